"""What a later, better value changes in a month that somebody has signed already."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum

from agent.core.errors import UsageError
from agent.core.model import Event, Severity
from agent.core.report.month import Month

ADJUSTED = "report.adjusted"


class Reason(StrEnum):
    """What made a signed figure another one."""

    MANUAL = "manual"  # a reading was entered late or corrected
    VERIFIED = "verified"  # an estimate was replaced by a measured total
    LATE = "late"  # readings of a meter came late or were corrected
    PERIOD = "period"  # data of a period source changed
    FACTOR = "factor"  # another factor, or other settings of a source
    COMPUTED = "computed"  # an input of a computed stream changed
    FILLED = "filled"  # a gap was estimated, or better than before
    SUBSTITUTED = "substituted"  # a rule for missing data was applied


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """One source in one signed month, before and after; it travels as a signed event.

    ``figures`` is the hash of the figures that were signed, ``reason`` what made the difference
    (a `Reason`, or a word of a newer gateway) and ``author`` who entered it.
    """

    month: Month
    source: str
    before_kgco2e: float
    after_kgco2e: float
    reason: str
    author: str
    figures: str
    adjusted_ms: int

    @property
    def difference_kgco2e(self) -> float:
        return self.after_kgco2e - self.before_kgco2e

    def event(self) -> Event:
        """The adjustment as it is booked."""
        return Event(
            time_ms=self.adjusted_ms,
            code=ADJUSTED,
            subject=self.source,
            severity=Severity.WARNING,
            detail=json.dumps(
                {
                    "month": str(self.month),
                    "before_kgco2e": self.before_kgco2e,
                    "after_kgco2e": self.after_kgco2e,
                    "difference_kgco2e": self.difference_kgco2e,
                    "reason": self.reason,
                    "author": self.author,
                    "figures": self.figures,
                },
                ensure_ascii=False,
            ),
        )

    @classmethod
    def of(cls, event: Event) -> Adjustment:
        """Inverse of `event`; ``ValueError`` if the event is none."""
        try:
            words = json.loads(event.detail)
            return cls(
                month=Month.parse(words["month"]),
                source=event.subject,
                before_kgco2e=float(words["before_kgco2e"]),
                after_kgco2e=float(words["after_kgco2e"]),
                reason=str(words["reason"]),
                author=str(words["author"]),
                figures=str(words["figures"]),
                adjusted_ms=event.time_ms,
            )
        except (KeyError, TypeError, UsageError) as error:
            raise ValueError(f"{event.detail[:80]!r} is no adjustment") from error
