"""Reviews and sign-offs of monthly figures, append-only. Nothing here commits."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.book.ports import Owner
from agent.core.errors import UsageError
from agent.core.report.model import Decision, Department, MonthReport, Review
from agent.core.report.month import Month
from agent.core.report.review_record import SignedReview
from agent.core.report.signature import figures_hash

if TYPE_CHECKING:
    from sqlite3 import Connection

NAME_MOST = 100
NOTE_MOST = 2000
SEEN_LEAST = 8  # digits of a hash that name figures


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewBasis:
    """What a review is about: the figures of a month, and the findings it may settle."""

    month: Month
    complete: bool
    figures: str  # canonical text
    findings: tuple[str, ...]

    @classmethod
    def of(cls, report: MonthReport) -> ReviewBasis:
        return cls(
            month=report.month,
            complete=report.complete,
            figures=report.figures,
            findings=tuple(finding.id for finding in report.findings if finding.level < 3),
        )

    @property
    def hash(self) -> str:
        return figures_hash(self.figures)


def new_review(
    basis: ReviewBasis,
    *,
    department: Department,
    name: str,
    decision: Decision,
    note: str,
    seen: str,
    settled: Sequence[str],
    reviewed_ms: int,
) -> Review:
    """A review of a month's figures, checked; ``UsageError`` says what it lacks.

    ``seen`` is the hash of the figures that the reviewer has read, or its beginning, or empty.
    """
    name, note, seen = name.strip(), note.strip(), seen.strip().lower()
    if seen and (len(seen) < SEEN_LEAST or not basis.hash.startswith(seen)):
        raise UsageError(
            f"the figures are {basis.hash[:12]} now, not {seen[:12]}",
            where="figures",
            hint="read the report again and review what it says now",
        )
    if not basis.complete:
        raise UsageError(
            "the month is not over, its figures still change",
            where=str(basis.month),
            hint="review it when the month has ended",
        )
    if not name or len(name) > NAME_MOST:
        raise UsageError("a review bears a name", where="name", hint="the reviewer's full name")
    if len(note) > NOTE_MOST:
        raise UsageError("is too long", where="note", hint=f"at most {NOTE_MOST} characters")
    if decision is Decision.RETURNED and not note:
        raise UsageError(
            "a returned report says why", where="note", hint="name what has to be corrected"
        )
    known = set(basis.findings)
    for finding in settled:
        if finding not in known:
            raise UsageError(
                f"there is no finding {finding}",
                where="settled",
                hint="one of " + ", ".join(sorted(known)) if known else "there is none to settle",
            )
    return Review(
        month=basis.month,
        department=department,
        name=name,
        decision=decision,
        note=note,
        figures=basis.hash,
        reviewed_ms=reviewed_ms,
        settled=tuple(dict.fromkeys(settled)),
    )


def add_review(connection: Connection, owner: Owner, review: Review, figures: str) -> None:
    """Append a review together with the figures it is about, in the caller's transaction."""
    if figures_hash(figures) != review.figures:
        raise UsageError(
            "the figures are not those that were reviewed",
            where=str(review.month),
            hint="read the report again and review it anew",
        )
    connection.execute(
        "INSERT INTO reviewed_figures (hash, figures) VALUES (?, ?) ON CONFLICT DO NOTHING",
        (review.figures, figures),
    )
    connection.execute(
        "INSERT INTO reviews (site, gateway, month, department, name, decision, note, settled, "
        "figures, reviewed_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            owner.site,
            owner.gateway,
            str(review.month),
            review.department.value,
            review.name,
            review.decision.value,
            review.note,
            json.dumps(review.settled, ensure_ascii=False),
            review.figures,
            review.reviewed_ms,
        ),
    )


def receive_reviews(connection: Connection, owner: Owner, reviews: Iterable[SignedReview]) -> None:
    """Append reviews that a gateway sent; one that is booked already is left as it is."""
    for signed in reviews:
        if find_review(connection, owner, signed) is None:
            add_review(connection, owner, signed.review, signed.figures)


def find_review(connection: Connection, owner: Owner, signed: SignedReview) -> int | None:
    """The number under which exactly this review is booked."""
    review = signed.review
    row = connection.execute(
        "SELECT reviews.id FROM reviews JOIN reviewed_figures ON hash = reviews.figures "
        "WHERE site = ? AND gateway = ? AND month = ? AND department = ? AND name = ? "
        "AND decision = ? AND note = ? AND settled = ? AND reviewed_ms = ? AND hash = ? "
        "AND reviewed_figures.figures = ?",
        (
            owner.site,
            owner.gateway,
            str(review.month),
            review.department.value,
            review.name,
            review.decision.value,
            review.note,
            json.dumps(review.settled, ensure_ascii=False),
            review.reviewed_ms,
            review.figures,
            signed.figures,
        ),
    ).fetchone()
    return None if row is None else int(row[0])


def reviews_after(
    connection: Connection, owner: Owner, mark: int, most: int
) -> list[tuple[int, SignedReview]]:
    """Reviews in the order of their booking, each with the number that marks its place."""
    # +: found by the booking number, so what is sealed is not read
    rows = connection.execute(
        "SELECT reviews.id, month, department, name, decision, note, settled, hash, reviewed_ms, "
        "reviewed_figures.figures FROM reviews JOIN reviewed_figures ON hash = reviews.figures "
        "WHERE +site = ? AND +gateway = ? AND reviews.id > ? ORDER BY reviews.id LIMIT ?",
        (owner.site, owner.gateway, mark, most),
    )
    return [
        (
            number,
            SignedReview(review=_review(Month.parse(month), fields), figures=figures),
        )
        for number, month, *fields, figures in rows
    ]


def reviews_of(connection: Connection, owner: Owner, month: Month) -> list[Review]:
    """All reviews of a month in the order they were given."""
    rows = connection.execute(
        "SELECT department, name, decision, note, settled, figures, reviewed_ms FROM reviews "
        "WHERE site = ? AND gateway = ? AND month = ? ORDER BY id",
        (owner.site, owner.gateway, str(month)),
    )
    return [_review(month, row) for row in rows]


def _review(month: Month, row: Sequence[Any]) -> Review:
    department, name, decision, note, settled, figures, reviewed_ms = row
    return Review(
        month=month,
        department=Department(department),
        name=name,
        decision=Decision(decision),
        note=note,
        settled=tuple(json.loads(settled)),
        figures=figures,
        reviewed_ms=reviewed_ms,
    )


def reviewed_figures(connection: Connection, reviews: Sequence[Review]) -> dict[str, str]:
    """The canonical figures behind the reviews, by their hash."""
    found: dict[str, str] = {}
    for review in reviews:
        row = connection.execute(
            "SELECT figures FROM reviewed_figures WHERE hash = ?", (review.figures,)
        ).fetchone()
        if row is not None:
            found[review.figures] = row[0]
    return found
