"""Time in UTC milliseconds: window boundaries, local hours, days and months of a site.

Windows lie on multiples of their length counted from 1970-01-01T00:00Z. A length that divides the
hour and the site's UTC offset makes local hours, days and months sums of whole windows.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

SECOND_MS = 1_000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000


def floor_boundary(time_ms: int, length_ms: int) -> int:
    """The last window boundary at or before ``time_ms``."""
    return time_ms - time_ms % length_ms


def ceil_boundary(time_ms: int, length_ms: int) -> int:
    """The first window boundary at or after ``time_ms``."""
    return time_ms + -time_ms % length_ms


def boundaries(from_ms: int, until_ms: int, length_ms: int) -> range:
    """All window boundaries from ``from_ms`` to ``until_ms``, both included where they are one."""
    return range(ceil_boundary(from_ms, length_ms), until_ms + 1, length_ms)


def utc_offset_ms(time_ms: int, zone: ZoneInfo) -> int:
    """How far the zone's clock is ahead of UTC at an instant."""
    offset = _local(time_ms, zone).utcoffset()
    assert offset is not None
    return round(offset.total_seconds() * 1000)


def fits_zone(length_ms: int, zone: ZoneInfo, time_ms: int) -> bool:
    """Whether windows of this length make up whole local hours of the zone's year of ``time_ms``.

    The length must be whole seconds, at least 5 s, and divide the hour and every UTC offset that
    the zone has in that year.
    """
    if length_ms < 5 * SECOND_MS or length_ms % SECOND_MS or HOUR_MS % length_ms:
        return False
    year = _local(time_ms, zone).year
    return all(
        utc_offset_ms(local_month(year, month, zone)[0], zone) % length_ms == 0
        for month in range(1, 13)
    )


def local_date(time_ms: int, zone: ZoneInfo) -> date:
    """The site's calendar day of an instant.

    Example: 2026-03-31T16:00:00Z is 1 April 2026 in Asia/Shanghai.
    """
    return _local(time_ms, zone).date()


def local_hour(time_ms: int, zone: ZoneInfo) -> tuple[int, int]:
    """Start and end of the site's clock hour that contains an instant."""
    into_ms = (time_ms + utc_offset_ms(time_ms, zone)) % HOUR_MS
    return time_ms - into_ms, time_ms - into_ms + HOUR_MS


def local_day(day: date, zone: ZoneInfo) -> tuple[int, int]:
    """Start and end of a calendar day; 23 or 25 hours where the zone changes its clock.

    Example: 1 April 2026 in Asia/Shanghai is 2026-03-31T16:00:00Z to 2026-04-01T16:00:00Z.
    """
    return _midnight_ms(day, zone), _midnight_ms(day + timedelta(days=1), zone)


def local_month(year: int, month: int, zone: ZoneInfo) -> tuple[int, int]:
    """Start and end of a calendar month (1–12)."""
    following = date(year + month // 12, month % 12 + 1, 1)
    return _midnight_ms(date(year, month, 1), zone), _midnight_ms(following, zone)


def local_days(from_ms: int, until_ms: int, zone: ZoneInfo) -> Iterator[tuple[date, int, int]]:
    """Every calendar day that overlaps a span, with its start and end."""
    day = local_date(from_ms, zone)
    while True:
        start_ms, end_ms = local_day(day, zone)
        if start_ms >= until_ms:
            return
        yield day, start_ms, end_ms
        day += timedelta(days=1)


def iso_utc(time_ms: int) -> str:
    """ISO 8601 with milliseconds and Z, for messages and machine-readable output."""
    return _utc(time_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def iso_local(time_ms: int, zone: ZoneInfo) -> str:
    """ISO 8601 to the second with the zone's offset, for people."""
    return _local(time_ms, zone).isoformat(timespec="seconds")


def _utc(time_ms: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time_ms)


def _local(time_ms: int, zone: ZoneInfo) -> datetime:
    return _utc(time_ms).astimezone(zone)


def _midnight_ms(day: date, zone: ZoneInfo) -> int:
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    return round(midnight.timestamp() * 1000)
