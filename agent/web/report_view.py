"""What the pages ask of the gateway about monthly reports, and what they hand in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from agent.core.report.model import Decision, Department
from agent.core.report.month import Month


class ReportForm(StrEnum):
    """The forms a report comes in."""

    BODY = "body"  # HTML without a frame
    HTML = "html"  # a file to print
    XLSX = "xlsx"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportMonth:
    """A month with booked emissions; ``complete`` when it is over."""

    month: str
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewSubmission:
    """A department's word on a month.

    ``figures`` is the hash (or the first 8 or more digits) of what the reviewer has read; if the
    figures are others by now, the review is refused. Empty: whatever the figures are now.
    """

    month: Month
    department: Department
    name: str
    decision: Decision
    note: str = ""
    figures: str = ""
    settled: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewOutcome:
    """What was booked: the review of these figures, at this time."""

    month: str
    department: Department
    name: str
    decision: Decision
    figures: str
    reviewed_ms: int
    settled: tuple[str, ...]
