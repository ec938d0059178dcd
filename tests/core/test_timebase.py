"""Boundaries of windows, and hours, days and months of a site."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core import timebase

SHANGHAI = ZoneInfo("Asia/Shanghai")
KATHMANDU = ZoneInfo("Asia/Kathmandu")  # UTC+05:45
BERLIN = ZoneInfo("Europe/Berlin")
TIMES = st.integers(0, 4_102_444_800_000)


def utc(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@given(time_ms=TIMES, length_ms=st.sampled_from([5_000, 60_000, 900_000, 3_600_000]))
def test_boundaries_enclose_a_time(time_ms: int, length_ms: int) -> None:
    low = timebase.floor_boundary(time_ms, length_ms)
    high = timebase.ceil_boundary(time_ms, length_ms)
    assert low <= time_ms <= high
    assert high - low in {0, length_ms}
    assert low % length_ms == high % length_ms == 0
    assert list(timebase.boundaries(low, high, length_ms)) == sorted({low, high})


def test_a_day_is_the_sites_day() -> None:
    start_ms, end_ms = timebase.local_day(date(2026, 4, 1), SHANGHAI)
    assert (start_ms, end_ms) == (utc("2026-03-31T16:00"), utc("2026-04-01T16:00"))
    assert timebase.local_date(start_ms, SHANGHAI) == date(2026, 4, 1)
    assert timebase.local_date(start_ms - 1, SHANGHAI) == date(2026, 3, 31)


def test_days_with_a_clock_change_have_23_and_25_hours() -> None:
    spring = timebase.local_day(date(2026, 3, 29), BERLIN)
    autumn = timebase.local_day(date(2026, 10, 25), BERLIN)
    assert spring[1] - spring[0] == 23 * timebase.HOUR_MS
    assert autumn[1] - autumn[0] == 25 * timebase.HOUR_MS


def test_months_join_without_gap_over_the_year() -> None:
    edges = [timebase.local_month(2026, month, SHANGHAI) for month in range(1, 13)]
    assert all(first[1] == second[0] for first, second in itertools.pairwise(edges))
    assert edges[-1][1] == timebase.local_month(2027, 1, SHANGHAI)[0]
    assert (edges[1][1] - edges[1][0]) == 28 * timebase.DAY_MS


def test_clock_hours_follow_the_zone() -> None:
    start_ms, end_ms = timebase.local_hour(utc("2026-01-01T00:20"), KATHMANDU)
    assert (start_ms, end_ms) == (utc("2026-01-01T00:15"), utc("2026-01-01T01:15"))


@given(time_ms=TIMES, zone=st.sampled_from([SHANGHAI, KATHMANDU, BERLIN]))
def test_days_of_a_span_cover_it_once(time_ms: int, zone: ZoneInfo) -> None:
    until_ms = time_ms + 5 * timebase.DAY_MS
    days = list(timebase.local_days(time_ms, until_ms, zone))
    assert days[0][1] <= time_ms < days[0][2]
    assert days[-1][1] < until_ms <= days[-1][2]
    assert all(one[2] == other[1] for one, other in itertools.pairwise(days))


@pytest.mark.parametrize(
    ("length_ms", "zone", "fits"),
    [
        (900_000, SHANGHAI, True),
        (5_000, SHANGHAI, True),
        (4_000, SHANGHAI, False),
        (7_000, SHANGHAI, False),
        (60_500, SHANGHAI, False),
        (3_600_000, SHANGHAI, True),
        (7_200_000, SHANGHAI, False),
        (900_000, KATHMANDU, True),
        (3_600_000, KATHMANDU, False),
        (1_800_000, KATHMANDU, False),
        (3_600_000, BERLIN, True),
    ],
)
def test_a_window_must_divide_hour_and_offset(length_ms: int, zone: ZoneInfo, fits: bool) -> None:
    assert timebase.fits_zone(length_ms, zone, utc("2026-06-01")) is fits


def test_texts_for_machines_and_people() -> None:
    time_ms = utc("2026-03-31T16:00") + 7
    assert timebase.iso_utc(time_ms) == "2026-03-31T16:00:00.007Z"
    assert timebase.iso_local(time_ms, SHANGHAI) == "2026-04-01T00:00:00+08:00"
