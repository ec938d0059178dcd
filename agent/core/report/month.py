"""A calendar month of the site."""

from __future__ import annotations

import re
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from agent.core.errors import UsageError
from agent.core.timebase import local_date, local_month

_WRITTEN = re.compile(r"(\d{4})-(\d{2})")
FIRST_YEAR, LAST_YEAR = 1970, 9998


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A month of the calendar; ``number`` counts from 1."""

    year: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Month:
        """The month that «YYYY-MM» names; ``UsageError`` if it names none."""
        found = _WRITTEN.fullmatch(text)
        year, number = (int(part) for part in found.groups()) if found else (0, 0)
        if not (FIRST_YEAR <= year <= LAST_YEAR and 1 <= number <= 12):
            raise UsageError(
                f"{text[:40]!r} is not a month", where="month", hint="write YYYY-MM, e.g. 2026-10"
            )
        return cls(year, number)

    @classmethod
    def of(cls, time_ms: int, zone: ZoneInfo) -> Month:
        """The site's month of an instant."""
        day = local_date(time_ms, zone)
        return cls(day.year, day.month)

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.number:02d}"

    def shifted(self, months: int) -> Month:
        """The month so many months later (earlier where negative)."""
        year, index = divmod(self.year * 12 + self.number - 1 + months, 12)
        return Month(year, index + 1)

    def span(self, zone: ZoneInfo) -> tuple[int, int]:
        """Start and end in UTC milliseconds.

        Example: October 2026 in Asia/Shanghai begins at 2026-09-30T16:00:00Z.
        """
        return local_month(self.year, self.number, zone)
