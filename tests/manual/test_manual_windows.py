"""From readings that people took to windows: totals stay, whatever the shape."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.gaps.load import LoadSeries
from agent.core.manual import Every, Form, ManualEntry, ManualSpec, Schedule
from agent.core.manual_due import overdue
from agent.core.manual_windows import manual_windows, step
from agent.core.model import Provenance, StreamKind, StreamSpec
from tests.manual.manual_site import EIGHT_MS, HOUR_MS, ZONE

QUARTER_MS = 900_000


def spec(form: Form = Form.REGISTER, **stream: object) -> ManualSpec:
    made = StreamSpec(
        id="manual.old",
        kind=StreamKind.MANUAL,
        quantity="energy-import",
        unit="kWh",
        resolution=0.1,
        modulus=100_000.0,
        max_rate_per_h=None,
        period_ms=8 * HOUR_MS,
    )
    schedule = Schedule(every=Every.SHIFT, minutes=(0, 480, 960), grace_ms=2 * HOUR_MS, zone=ZONE)
    return ManualSpec(
        stream=replace(made, **stream),  # type: ignore[arg-type]
        name="old",
        form=form,
        schedule=schedule,
        written_unit="kWh",
    )


def entry(hours: float, value: float, start_hours: float | None = None) -> ManualEntry:
    return ManualEntry(
        stream="manual.old",
        time_ms=EIGHT_MS + round(hours * HOUR_MS),
        start_ms=None if start_hours is None else EIGHT_MS + round(start_hours * HOUR_MS),
        form=Form.REGISTER if start_hours is None else Form.AMOUNT,
        value=value,
        unit="kWh",
    )


def cut(entries: list[ManualEntry], hours: int, length_ms: int = HOUR_MS) -> list[float | None]:
    windows = manual_windows(
        spec(), entries, from_ms=EIGHT_MS, to_ms=EIGHT_MS + hours * HOUR_MS, length_ms=length_ms
    )
    return [window.value for window in windows]


def test_a_shift_is_spread_evenly() -> None:
    assert cut([entry(0, 100), entry(8, 108)], 8) == [1.0] * 8


def test_a_window_is_cut_where_its_readings_were_taken() -> None:
    assert cut([entry(0, 100), entry(1.5, 115), entry(3, 118)], 3) == [10.0, 6.0, 2.0]


def test_a_window_that_is_not_wholly_covered_has_no_value() -> None:
    windows = manual_windows(
        spec(),
        [entry(0.5, 100), entry(2, 130)],
        from_ms=EIGHT_MS,
        to_ms=EIGHT_MS + 3 * HOUR_MS,
        length_ms=HOUR_MS,
    )
    assert [window.value for window in windows] == [None, 20.0, None]
    assert [window.coverage for window in windows] == [0.5, 1.0, 0.0]
    assert [window.provenance for window in windows] == [
        Provenance.MISSING,
        Provenance.MANUAL,
        Provenance.MISSING,
    ]
    assert [window.method for window in windows] == [
        "manual-absent",
        "manual-register",
        "manual-absent",
    ]


def test_a_known_load_shapes_a_shift() -> None:
    loads = LoadSeries(
        times_ms=np.array([EIGHT_MS, EIGHT_MS + HOUR_MS], np.int64), values=np.array([80.0, 20.0])
    )
    windows = manual_windows(
        spec(),
        [entry(0, 0), entry(2, 50)],
        from_ms=EIGHT_MS,
        to_ms=EIGHT_MS + 2 * HOUR_MS,
        length_ms=HOUR_MS,
        loads=loads,
    )
    assert [(window.value, window.load) for window in windows] == [(40.0, 80.0), (10.0, 20.0)]


def test_amounts_stand_for_their_own_period() -> None:
    windows = manual_windows(
        spec(Form.AMOUNT),
        [entry(2, 20, 0), entry(6, 80, 4)],
        from_ms=EIGHT_MS,
        to_ms=EIGHT_MS + 6 * HOUR_MS,
        length_ms=HOUR_MS,
    )
    assert [window.value for window in windows] == [10.0, 10.0, None, None, 40.0, 40.0]
    assert windows[0].method == "manual-amount"


def test_a_register_wraps_only_as_far_as_it_can_have_counted() -> None:
    near_end, after = entry(0, 99_900), entry(1, 150)
    assert step(spec(), near_end, after) == 250
    assert step(spec(max_rate_per_h=300.0), near_end, after) == 250
    assert step(spec(max_rate_per_h=200.0), near_end, after) is None
    assert step(spec(modulus=None), near_end, after) is None
    assert step(spec(), entry(0, 60_000), entry(1, 20_000)) is None


def test_a_replaced_register_counts_to_its_end_and_on_from_the_new_start() -> None:
    replaced = replace(entry(8, 40), old_end=1_060.0, new_start=5.0)
    assert step(spec(), entry(0, 1_000), replaced) == 95
    assert step(spec(), entry(0, 1_000), replace(replaced, old_end=None)) == 35
    assert step(spec(), entry(0, 1_100), replaced) is None


registers = st.lists(
    st.tuples(st.integers(1, 30 * 60), st.integers(0, 50_000)), min_size=2, max_size=8
)


@given(registers, st.sampled_from([QUARTER_MS, HOUR_MS, 60_000]), st.integers(0, 40))
def test_windows_add_up_to_the_register_however_they_are_asked_for(
    steps: list[tuple[int, int]], length_ms: int, split: int
) -> None:
    minutes, register, entries = 0, 0, []
    for minute, tenths in steps:
        minutes, register = minutes + minute, register + tenths
        entries.append(entry(minutes / 60, register / 10))
    first_ms, last_ms = entries[0].time_ms, entries[-1].time_ms
    from_ms = first_ms - first_ms % length_ms
    to_ms = last_ms + -last_ms % length_ms
    whole = manual_windows(
        spec(modulus=None), entries, from_ms=from_ms, to_ms=to_ms, length_ms=length_ms
    )
    middle = min(from_ms + split * length_ms, to_ms)
    parts = [
        window
        for a, b in ((from_ms, middle), (middle, to_ms))
        for window in manual_windows(
            spec(modulus=None),
            [one for place, one in enumerate(entries) if _touches(entries, place, a, b)],
            from_ms=a,
            to_ms=b,
            length_ms=length_ms,
        )
    ]
    assert parts == whole
    inner = [window for window in whole if window.value is not None]
    if inner:
        at = {one.time_ms: one.value or 0.0 for one in entries}
        low, high = inner[0].start_ms, inner[-1].end_ms
        total = sum(window.value or 0.0 for window in inner)
        if low in at and high in at:
            assert total == pytest.approx(at[high] - at[low], abs=1e-6)
        assert total <= entries[-1].value + 1e-6 - entries[0].value  # type: ignore[operator]
    for before, after in pairwise(entries):
        between = [
            one for one in whole if one.start_ms >= before.time_ms and one.end_ms <= after.time_ms
        ]
        assert all(one.value is not None and one.value >= 0 for one in between)


def _touches(entries: list[ManualEntry], place: int, from_ms: int, to_ms: int) -> bool:
    """Whether an entry lies in the span, or is the one before or after it."""
    times = [one.time_ms for one in entries]
    before = max((t for t in times if t < from_ms), default=None)
    after = min((t for t in times if t > to_ms), default=None)
    return from_ms <= times[place] <= to_ms or times[place] in (before, after)


def test_a_register_is_overdue_after_its_last_reading_only() -> None:
    made = spec()
    night_ms, late_ms = EIGHT_MS + 16 * HOUR_MS, EIGHT_MS + 8 * HOUR_MS
    now_ms = night_ms + 3 * HOUR_MS
    assert overdue(made, [], EIGHT_MS, now_ms) == [EIGHT_MS, late_ms, night_ms]
    early = replace(entry(7.7, 1), time_ms=late_ms - 1_000_000)  # read before it was due
    assert overdue(made, [early], EIGHT_MS, now_ms) == [night_ms]
    assert overdue(made, [early], EIGHT_MS, night_ms + HOUR_MS) == []


def test_every_period_of_an_amount_is_due() -> None:
    made = spec(Form.AMOUNT)
    now_ms = EIGHT_MS + 19 * HOUR_MS
    late = entry(16, 5, 8)
    assert overdue(made, [late], EIGHT_MS, now_ms) == [EIGHT_MS, EIGHT_MS + 8 * HOUR_MS]


def test_dues_follow_the_clock_of_the_site() -> None:
    schedule = spec().schedule
    assert schedule.around(EIGHT_MS + 1) == (EIGHT_MS, EIGHT_MS + 8 * HOUR_MS)
    assert schedule.nearest(EIGHT_MS + 3 * HOUR_MS) == EIGHT_MS
    hourly = replace(schedule, every=Every.HOUR, minutes=())
    assert hourly.dues(EIGHT_MS - 1, EIGHT_MS + 2 * HOUR_MS) == [EIGHT_MS, EIGHT_MS + HOUR_MS]
