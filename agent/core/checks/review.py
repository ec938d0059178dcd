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
from agent.core.report.signature import changes, figures_hash


def judged(
    gateway: str, reviews: Iterable[Review], figures: str, signed: Mapping[str, str]
) -> tuple[ReviewFigures, ...]:
    """Every review of a gateway's figures with what it is worth now, oldest first.

    ``signed`` holds the canonical figures that were reviewed, by their hash. A review of other
    figures than today's is void, and says which figure changed.
    """
    now = figures_hash(figures)
    listed = sorted(reviews, key=lambda review: review.reviewed_ms)
    last = {review.department: place for place, review in enumerate(listed)}
    return tuple(
        ReviewFigures(
            review=review,
            void=review.figures != now,
            latest=last[review.department] == place,
            gateway=gateway,
            changes=()
            if review.figures == now or review.figures not in signed
            else changes(signed[review.figures], figures),
        )
        for place, review in enumerate(listed)
    )


def sign_off(
    reviews: Sequence[ReviewFigures], gateways: Sequence[str], *, complete: bool
) -> SignOff:
    """How far the month is signed, by the latest review of each gateway and department."""
    if not complete:
        return SignOff.RUNNING
    latest = _latest(reviews)
    if any(one.void and one.review.decision is Decision.ACCEPTED for one in latest.values()):
        return SignOff.VOID
    if any(one.review.decision is Decision.RETURNED for one in latest.values()):
        return SignOff.RETURNED
    return SignOff.SIGNED if len(latest) == len(gateways) * len(Department) else SignOff.DRAFT


def _latest(reviews: Iterable[ReviewFigures]) -> dict[tuple[str, Department], ReviewFigures]:
    return {(one.gateway, one.review.department): one for one in reviews if one.latest}


def review_findings(
    reviews: Sequence[ReviewFigures], gateways: Sequence[str], *, complete: bool
) -> Iterator[Finding]:
    """A department that has not reviewed, returned the report, or signed other figures."""
    if not complete:
        return
    latest = _latest(reviews)
    for gateway in gateways:
        place = gateway if len(gateways) > 1 else ""
        for department in Department:
            found = latest.get((gateway, department))
            if found is None:
                yield Finding(
                    code=FindingCode.REVIEW_MISSING,
                    subject=f"{department}@{place}" if place else department,
                    name=place,
                    severity=Severity.INFO,
                )
            elif found.review.decision is Decision.RETURNED:
                yield _about(found, place, FindingCode.REVIEW_RETURNED, found.review.note)
            elif found.void:
                parts = [
                    f"{change.what}: {change.before or '∅'} → {change.after or '∅'}"
                    for change in found.changes
                ]
                yield _about(found, place, FindingCode.REVIEW_VOID, "; ".join(parts))


def _about(found: ReviewFigures, place: str, code: FindingCode, detail: str) -> Finding:
    department = found.review.department
    return Finding(
        code=code,
        subject=f"{department}@{place}" if place else department,
        name=place,
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
