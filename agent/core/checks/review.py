"""Level 3: whether the environment and the production department have signed these figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from agent.core.checks.finding import Finding, FindingCode
from agent.core.model import Severity
from agent.core.report.model import (
    Decision,
    Department,
    Review,
    ReviewFigures,
    SignOff,
)
from agent.core.report.signature import changes


def judged(
    reviews: Iterable[Review], figures_hash: str, figures: str, signed: Mapping[str, str]
) -> tuple[ReviewFigures, ...]:
    """Every review with what it is worth now, oldest first.

    ``signed`` holds the canonical figures that were reviewed, by their hash. A review of other
    figures than today's is void, and says which figure changed.
    """
    listed = sorted(reviews, key=lambda review: review.reviewed_ms)
    last = {review.department: place for place, review in enumerate(listed)}
    return tuple(
        ReviewFigures(
            review=review,
            void=review.figures != figures_hash,
            latest=last[review.department] == place,
            changes=()
            if review.figures == figures_hash or review.figures not in signed
            else changes(signed[review.figures], figures),
        )
        for place, review in enumerate(listed)
    )


def sign_off(reviews: Sequence[ReviewFigures], complete: bool) -> SignOff:
    """How far the month is signed, by the latest review of each department."""
    if not complete:
        return SignOff.RUNNING
    latest = {one.review.department: one for one in reviews if one.latest}
    if any(one.void and one.review.decision is Decision.ACCEPTED for one in latest.values()):
        return SignOff.VOID
    if any(one.review.decision is Decision.RETURNED for one in latest.values()):
        return SignOff.RETURNED
    return SignOff.SIGNED if len(latest) == len(Department) else SignOff.DRAFT


def review_findings(reviews: Sequence[ReviewFigures], complete: bool) -> Iterator[Finding]:
    """A department that has not reviewed, returned the report, or signed other figures."""
    if not complete:
        return
    latest = {one.review.department: one for one in reviews if one.latest}
    for department in Department:
        found = latest.get(department)
        if found is None:
            yield Finding(
                code=FindingCode.REVIEW_MISSING,
                subject=department,
                name=department,
                severity=Severity.INFO,
            )
        elif found.review.decision is Decision.RETURNED:
            yield _about(found, FindingCode.REVIEW_RETURNED, found.review.note)
        elif found.void:
            parts = [
                f"{change.what}: {change.before or '∅'} → {change.after or '∅'}"
                for change in found.changes
            ]
            yield _about(found, FindingCode.REVIEW_VOID, "; ".join(parts))


def _about(found: ReviewFigures, code: FindingCode, detail: str) -> Finding:
    return Finding(
        code=code,
        subject=found.review.department,
        name=found.review.department,
        severity=Severity.WARNING,
        from_ms=found.review.reviewed_ms,
        detail=detail,
    )


def settled(findings: Iterable[Finding], reviews: Iterable[ReviewFigures]) -> Iterator[Finding]:
    """The findings, each with who settled it in a review of today's figures."""
    by_id = {
        finding: one.review
        for one in reviews
        if one.latest and not one.void and one.review.decision is Decision.ACCEPTED
        for finding in one.review.settled
    }
    for finding in findings:
        review = by_id.get(finding.id)
        yield replace(finding, settled_by=review.name) if review else finding
