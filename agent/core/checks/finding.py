"""A finding: the number, its place, the limit, and (by its code) the way to settle it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from agent.core.model import Severity


class FindingCode(StrEnum):
    """What a check can find; the part before the dot is its level."""

    MONTH_RUNNING = "completeness.month-running"
    FIRST_HOUR = "completeness.first-hour"
    NO_SOURCE = "completeness.no-source"
    NO_DATA = "completeness.no-data"
    MISSING_WINDOWS = "completeness.missing-windows"
    OPEN_GAP = "completeness.open-gap"
    NOT_COMPUTED = "completeness.not-computed"
    ESTIMATED = "completeness.estimated"
    UNKNOWN_SOURCE = "completeness.unknown-source"
    PERIOD_MISSING = "completeness.period-missing"
    NO_SITE_FILE = "completeness.no-site-file"
    PLACE_CONFLICT = "completeness.place-conflict"
    CARBON_CONTENT = "completeness.carbon-content"
    ENTRY_OVERDUE = "completeness.entry-overdue"
    HISTORY = "plausibility.history"
    PEERS = "plausibility.peers"
    SECTOR = "plausibility.sector"
    OWN_FACTOR = "plausibility.own-factor"
    CEMS = "plausibility.cems"
    ARITHMETIC = "plausibility.arithmetic"
    BALANCE = "plausibility.balance"
    BASIS = "plausibility.basis"
    BILL_AND_METER = "plausibility.bill-and-meter"
    REVIEW_MISSING = "review.missing"
    REVIEW_RETURNED = "review.returned"
    REVIEW_VOID = "review.void"


LEVELS = {"completeness": 1, "plausibility": 2, "review": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing a person has to look at.

    ``number`` is what was found and ``limit`` what it may be, both in ``unit``; ``reference`` is
    what the number was held against. ``id`` stays the same as long as the cause does, so that a
    review can name it.
    """

    code: FindingCode
    subject: str  # id of the stream, source, item or department
    name: str  # what people call it
    severity: Severity
    number: float | None = None
    limit: float | None = None
    unit: str = ""
    reference: float | None = None
    reference_unit: str = ""
    from_ms: int | None = None
    to_ms: int | None = None
    detail: str = ""  # names, documents: the same in every language
    streams: int = 1  # how many streams it says the same of; ``subject`` names the first
    settled_by: str = ""  # who settled it in a review that still holds

    @property
    def id(self) -> str:
        return f"{self.code}:{self.subject}"

    @property
    def level(self) -> int:
        return LEVELS[self.code.partition(".")[0]]
