"""A review of a month's figures as the line of a sync batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.core.errors import ProofError, UsageError
from agent.core.record_fields import integer, text, word
from agent.core.report.model import Decision, Department, Review
from agent.core.report.month import Month
from agent.core.report.signature import figures_hash

REVIEW_COLUMNS = (
    "month",
    "department",
    "name",
    "decision",
    "note",
    "settled",
    "figures",
    "signed",
    "reviewed",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedReview:
    """A review together with the figures it is about, so that it can be judged anywhere."""

    review: Review
    figures: str  # canonical text; its SHA-256 is ``review.figures``


def review_values(signed: SignedReview) -> list[Any]:
    """The values of a review in the order of `REVIEW_COLUMNS`."""
    review = signed.review
    return [
        str(review.month),
        review.department.value,
        review.name,
        review.decision.value,
        review.note,
        list(review.settled),
        review.figures,
        signed.figures,
        review.reviewed_ms,
    ]


def decode_review(fields: Mapping[str, Any]) -> SignedReview:
    """A review from its columns; ``ProofError`` for a wrong type or figures of another hash."""
    figures, signed = text(fields, "figures"), text(fields, "signed")
    if figures_hash(signed) != figures:
        raise ProofError("the figures of a review are not those that it signs")
    settled = fields["settled"]
    if not isinstance(settled, list) or not all(isinstance(one, str) for one in settled):
        raise ProofError("settled is not a list of finding ids")
    try:
        month = Month.parse(text(fields, "month"))
    except UsageError as error:
        raise ProofError(error.what) from None
    return SignedReview(
        review=Review(
            month=month,
            department=word(fields, "department", Department),
            name=text(fields, "name"),
            decision=word(fields, "decision", Decision),
            note=text(fields, "note"),
            figures=figures,
            reviewed_ms=integer(fields, "reviewed"),
            settled=tuple(settled),
        ),
        figures=signed,
    )
