"""Readings that people take: a meter without a wire, read by the hour, the shift or the day.

An entry is a register as it was read, or the amount of one period, in the unit of its stream
(``manual.<id>``). The key is stream and time: the same time again is a correction, a new revision
of it; the highest is current, and a value of ``None`` retires the entry.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from agent.core.activity import Evidence, Origin
from agent.core.model import StreamSpec
from agent.core.timebase import DAY_MS, local_date, local_day, local_hour

PREFIX = "manual."
PEER_SHARE = 0.20  # deviation from its peers that asks for a second look


class Form(StrEnum):
    """What a person writes down."""

    REGISTER = "register"  # what the meter shows
    AMOUNT = "amount"  # what the period came to


class Every(StrEnum):
    """How often a reading is due."""

    HOUR = "hour"
    SHIFT = "shift"
    DAY = "day"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When readings are due in the site's time, and after how long one is overdue.

    ``minutes`` are the due times of a day as minutes after midnight; an hourly reading has none.
    """

    every: Every
    minutes: tuple[int, ...]
    grace_ms: int
    zone: ZoneInfo

    def dues(self, from_ms: int, to_ms: int) -> list[int]:
        """All due times in [from_ms, to_ms), in order."""
        if from_ms >= to_ms:
            return []
        found = self._hours(from_ms, to_ms) if self.every is Every.HOUR else []
        if self.every is not Every.HOUR:
            day = local_date(from_ms, self.zone)
            while local_day(day, self.zone)[0] < to_ms:
                midnight = datetime(day.year, day.month, day.day, tzinfo=self.zone)
                found += sorted(_at(midnight, minute) for minute in self.minutes)
                day += timedelta(days=1)
        return [due for due in found if from_ms <= due < to_ms]

    def _hours(self, from_ms: int, to_ms: int) -> list[int]:
        start_ms, next_ms = local_hour(from_ms, self.zone)
        return list(range(start_ms, to_ms, next_ms - start_ms))

    def nearest(self, time_ms: int) -> int:
        """The due time that a reading at this time is meant for."""
        near = self.dues(time_ms - 2 * DAY_MS, time_ms + 2 * DAY_MS)
        return min(near, key=lambda due: (abs(due - time_ms), due))

    def before(self, due_ms: int) -> int:
        """The due time before another; the period of an amount lies between the two."""
        return self.dues(due_ms - 2 * DAY_MS, due_ms)[-1]

    def ends_at(self, time_ms: int) -> bool:
        """Whether a period ends at this time."""
        return bool(self.dues(time_ms, time_ms + 1))

    def around(self, time_ms: int) -> tuple[int, int]:
        """The due time at or before a time, and the one after it."""
        near = self.dues(time_ms - 2 * DAY_MS, time_ms + 2 * DAY_MS)
        after = bisect_left(near, time_ms + 1)
        return near[after - 1], near[after]


def _at(midnight: datetime, minute: int) -> int:
    placed = midnight.replace(hour=minute // 60, minute=minute % 60)
    return round(placed.timestamp() * 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualSpec:
    """A stream that people read: what they write down, when, and what is to be expected.

    ``written_unit`` is what people write down; the stream counts its canonical unit.
    ``low_per_h`` and ``high_per_h`` bound the expected, ``stream.max_rate_per_h`` the possible
    amount per hour; ``peers`` are the streams it is compared with.
    """

    stream: StreamSpec
    name: str
    form: Form
    schedule: Schedule
    written_unit: str
    low_per_h: float | None = None
    high_per_h: float | None = None
    peers: tuple[str, ...] = ()
    peer_share: float = PEER_SHARE

    @property
    def id(self) -> str:
        return self.stream.id


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualEntry:
    """One reading by a person, in the unit of its stream.

    ``time_ms`` is when the register was read, or the end of the period that an amount is of;
    ``start_ms`` is the beginning of that period, ``None`` for a register. Where the meter was
    replaced or reset since the reading before, ``old_end`` is the last reading of the old
    register and ``new_start`` the first of the new one. ``running_h`` is how long the device ran
    since the reading before, where that was written down. ``warning`` is what was odd when it was
    entered; it stays with the entry.
    """

    stream: str
    time_ms: int
    start_ms: int | None
    form: Form
    value: float | None
    unit: str
    revision: int = 0
    old_end: float | None = None
    new_start: float | None = None
    running_h: float | None = None
    origin: Origin = Origin.MANUAL
    author: str = ""
    note: str = ""
    warning: str = ""
    evidence: Evidence | None = None
    entered_ms: int = 0

    @property
    def key(self) -> tuple[str, int]:
        """What tells entries apart; a revision has the key of what it replaces."""
        return self.stream, self.time_ms


def same_reading(entry: ManualEntry, other: ManualEntry) -> bool:
    """Whether two entries say the same, whoever said it when: then there is nothing to revise."""
    return _content(entry) == _content(other)


def _content(entry: ManualEntry) -> tuple[object, ...]:
    return (
        entry.key,
        entry.start_ms,
        entry.form,
        entry.value,
        entry.unit,
        entry.old_end,
        entry.new_start,
        entry.running_h,
        entry.note,
        entry.evidence,
    )
