"""Periods as people write them: a day, month, quarter or year of the site, or from … to."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from agent.core.activity_words import plain
from agent.core.timebase import local_day, local_month

_YEARS = range(2000, 2101)
_DATE = re.compile(r"(\d{4})(?:[-/.年](\d{1,2})(?:[-/.月](\d{1,2})日?|月)?|年)?")
_QUARTER = re.compile(r"(\d{4})(?:-?q|年第?)([1-4一二三四])(?:季度)?")
_QUARTER_DIGITS = {"一": 1, "二": 2, "三": 3, "四": 4}
_RANGE = re.compile(r"\s*(?:\.\.|~|至|\bto\b|(?<=\d)/(?=\d{4}-))\s*")

PERIOD_HINT = "a day 2026-03-05, a month 2026-03, 2026-Q1, 2026, or 2026-03-01..2026-03-15"


def read_period(text: str, zone: ZoneInfo) -> tuple[int, int]:
    """Start and end (exclusive) in UTC milliseconds of a period in the site's time.

    A day, month, quarter or year is the calendar's; ``from..to`` includes the whole last day,
    month or year, and with clock times ends at that time. Anything else raises ``ValueError``.

    Example: 2026-03 in Asia/Shanghai is 2026-02-28T16:00Z to 2026-03-31T16:00Z:

    >>> read_period("2026年3月", ZoneInfo("Asia/Shanghai"))
    (1772294400000, 1774972800000)
    """
    parts = _RANGE.split(plain(text).lower())
    if len(parts) == 1:
        return _calendar(parts[0], zone)
    if len(parts) != 2:
        raise ValueError(text)
    first, last = parts
    start_ms = _instant(first, zone) if "t" in first else _calendar(first, zone)[0]
    end_ms = _instant(last, zone) if "t" in last else _calendar(last, zone)[1]
    return start_ms, end_ms


def period_text(start_ms: int, end_ms: int, zone: ZoneInfo) -> str:
    """A period in its shortest form that `read_period` reads back."""
    first = datetime.fromtimestamp(start_ms / 1000, zone)
    after = datetime.fromtimestamp(end_ms / 1000, zone)
    if (first.hour, first.minute, first.second) != (0, 0, 0) or (
        (after.hour, after.minute, after.second) != (0, 0, 0)
    ):
        return f"{first.isoformat(timespec='seconds')}..{after.isoformat(timespec='seconds')}"
    last = after.date() - timedelta(days=1)
    if first.date() == last:
        return last.isoformat()
    if first.day == 1 and after.day == 1:
        if (after.year, after.month) == (first.year + 1, 1) and first.month == 1:
            return f"{first.year}"
        if (first.year, first.month) == (last.year, last.month):
            return f"{first:%Y-%m}"
        return f"{first:%Y-%m}..{last:%Y-%m}"
    return f"{first.date().isoformat()}..{last.isoformat()}"


def _calendar(text: str, zone: ZoneInfo) -> tuple[int, int]:
    if quarter := _QUARTER.fullmatch(text):
        year, number = _year(quarter[1]), _QUARTER_DIGITS.get(quarter[2]) or int(quarter[2])
        return (
            local_month(year, 3 * number - 2, zone)[0],
            local_month(year, 3 * number, zone)[1],
        )
    found = _DATE.fullmatch(text)
    if found is None:
        raise ValueError(text)
    year = _year(found[1])
    if found[2] is None:
        return local_month(year, 1, zone)[0], local_month(year, 12, zone)[1]
    if found[3] is None:
        return local_month(year, int(found[2]), zone)
    return local_day(date(year, int(found[2]), int(found[3])), zone)


def _year(text: str) -> int:
    if int(text) not in _YEARS:
        raise ValueError(text)
    return int(text)


def _instant(text: str, zone: ZoneInfo) -> int:
    moment = datetime.fromisoformat(text.upper())
    _year(str(moment.year))
    placed = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    return round(placed.timestamp() * 1000)
