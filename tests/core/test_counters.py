"""What a counter may book, and how odd readings are told apart."""

from __future__ import annotations

import math

import numpy as np
import pytest
from histories import HOUR_MS, MINUTE_MS, SEEDS, START_MS, counter, made_up
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.counters import CounterRun, CounterState, ReadingClass, advance
from agent.core.model import StreamSpec

NAN = math.nan


def run(registers: list[float], spec: StreamSpec | None = None) -> CounterRun:
    """One reading a minute; the default meter may book 10 kWh in it."""
    times = START_MS + np.arange(len(registers)) * MINUTE_MS
    return advance(spec or counter(), None, times, np.array(registers))


def classes(result: CounterRun) -> list[str]:
    return [ReadingClass(kind).name.lower() for kind in result.classes]


@pytest.mark.parametrize(
    ("registers", "expected"),
    [
        ([100, 105, 110], "first normal normal"),
        ([100, NAN, 105], "first invalid normal"),
        ([100, math.inf, 105], "first invalid normal"),
        ([100, 99.9, 99.8, 100.1], "first jitter jitter normal"),
        ([100, 0, 105], "first transient normal"),
        ([100, 0, 0, 105], "first transient transient_tail normal"),
        ([100, 40, NAN, 101], "first transient invalid normal"),
        ([100, 0], "first pending"),
        ([100, 0, 1], "first pending pending"),
        ([100, 0, 1, 2], "first reset normal normal"),
        ([100, 0, NAN, 1, 2], "first reset invalid normal normal"),
        ([100, 5000, 101], "first transient normal"),
        ([100, 5000, 5001, 5002], "first pending pending pending"),
        ([100, 5000, 5001, 5002, 5003], "first replacement normal normal normal"),
        ([100, 5000, 0, 101], "first transient transient normal"),
        ([100, 900_000, 900_001, 101], "first transient transient_tail normal"),
    ],
)
def test_each_odd_reading_has_its_class(registers: list[float], expected: str) -> None:
    assert classes(run(registers)) == expected.split()


def test_a_transient_zero_books_neither_the_zero_nor_the_lifetime_total() -> None:
    result = run([53_700, 53_701, 0, 53_702])
    assert result.state is not None
    assert result.state.accumulated == pytest.approx(2)
    assert [event.code for event in result.events] == ["counter.transient_zero"]


def test_jitter_is_not_a_reset_and_books_only_the_net_amount() -> None:
    """A register that steps back by one count had 215.6 kWh booked by a simpler rule."""
    result = run([215.6, 215.5, 215.6, 215.7])
    assert result.state is not None
    assert result.state.accumulated == pytest.approx(0.1)
    assert result.events == ()


def test_a_reset_books_nothing_across_and_begins_a_segment() -> None:
    result = run([2_000, 2_005, 0, 5, 10])
    assert result.state is not None
    assert result.state.accumulated == pytest.approx(15)
    assert list(result.segments) == [0, 0, 1, 1, 1]
    assert result.events[0].code == "counter.reset"
    assert result.events[0].time_ms == START_MS + 2 * MINUTE_MS


def test_a_meter_replaced_by_one_that_stands_at_900000() -> None:
    result = run([100, 101, 900_000, 900_001, 900_002, 900_003])
    assert result.state is not None
    assert result.state.accumulated == pytest.approx(4)
    assert [event.code for event in result.events] == ["counter.jump", "counter.replaced_perhaps"]


def test_a_wrap_is_believed_only_if_its_increment_is_possible() -> None:
    wrapping = counter(modulus=10_000.0)
    result = run([9_996, 9_998, 1, 3], wrapping)
    assert classes(result) == ["first", "normal", "wrap", "normal"]
    assert result.state is not None
    assert result.state.accumulated == pytest.approx(7)
    assert result.state.segment == 0
    assert classes(run([9_500, 9_501, 1, 3, 5], wrapping))[2] == "reset"
    assert classes(run([9_996, 9_998, 1, 3, 5], counter(modulus=None)))[2] == "reset"
    assert classes(run([9_996, 9_998, 0, 9_999], wrapping))[2] == "transient"
    assert classes(run([9_999.9, 0, 9_999.9, 0.1], wrapping))[1] == "transient"


def test_a_wrap_in_a_gap_so_long_that_it_may_have_wrapped_twice_is_a_reset() -> None:
    spec = counter(modulus=1_000.0)
    times = START_MS + np.array([0, 5 * HOUR_MS, 5 * HOUR_MS + MINUTE_MS, 5 * HOUR_MS + 120_000])
    result = advance(spec, None, times, np.array([900.0, 100.0, 101.0, 102.0]))
    assert classes(result)[1] == "reset"


def test_without_a_largest_rate_any_rise_is_booked_but_no_wrap() -> None:
    spec = counter(max_rate_per_h=None, modulus=10_000.0)
    assert classes(run([100, 9_000, 9_999, 0, 1, 2], spec)) == [
        "first",
        "normal",
        "normal",
        "reset",
        "normal",
        "normal",
    ]


def test_a_reading_not_later_than_the_one_before_is_invalid() -> None:
    times = np.array([START_MS, START_MS + 1_000, START_MS + 1_000, START_MS + 500])
    result = advance(counter(), None, times, np.array([1.0, 1.1, 1.2, 1.3]))
    assert classes(result) == ["first", "normal", "invalid", "invalid"]


def test_nothing_at_all_leaves_no_state() -> None:
    assert run([]).state is None
    assert run([NAN, NAN]).state is None


def test_a_coarse_register_read_fast_never_looks_impossible() -> None:
    """One count per second is far over the largest rate, but one count every two minutes is not."""
    spec = counter(resolution=10.0, max_rate_per_h=400.0)
    true = 400.0 * np.arange(0, 3_600) / 3_600
    times = START_MS + np.arange(3_600) * 1_000
    result = advance(spec, None, times, np.floor(true / 10) * 10)
    assert set(classes(result)) == {"first", "normal"}


@settings(max_examples=300, deadline=None)
@given(seed=SEEDS)
def test_never_more_than_the_largest_rate_allows(
    seed: int,
) -> None:
    times, registers, _ = made_up(seed)
    spec = counter(modulus=1_000_000.0)
    result = advance(spec, None, times, registers)
    accepted = result.accepted
    at, booked, segments = times[accepted], result.accumulated[accepted], result.segments[accepted]
    assert np.all(np.diff(booked) >= -1e-9)
    for first in range(len(at)):
        hours = (at[first:] - at[first]) / HOUR_MS
        counts = 1 + segments[first:] - segments[first]
        refresh = 5 / 3_600
        possible = 600 * (hours + refresh) + 0.1 * counts
        assert np.all(booked[first:] - booked[first] <= possible + 1e-6)
    hours = (at[-1] - at[0]) / HOUR_MS if len(at) else 0
    if len(at):
        assert booked[-1] <= 600 * hours + 0.1 * (1 + segments[-1]) + 1e-6


@settings(max_examples=200, deadline=None)
@given(seed=SEEDS)
def test_a_healthy_register_is_booked_to_the_last_count(
    seed: int,
) -> None:
    times, registers, _ = made_up(seed, faults=False)
    spec = counter(modulus=1_000_000.0)
    result = advance(spec, None, times, registers)
    assert result.state is not None
    assert result.state.segment == 0
    assert result.state.accumulated == pytest.approx(
        (registers[result.decided - 1] - registers[0]) % 1_000_000, abs=1e-6
    )


@settings(max_examples=200, deadline=None)
@given(seed=SEEDS, data=st.data())
def test_any_division_into_calls_gives_the_same(seed: int, data: st.DataObject) -> None:
    times, registers, _ = made_up(seed)
    spec = counter(modulus=1_000_000.0)
    whole = advance(spec, None, times, registers)
    state: CounterState | None = None
    kinds: dict[int, int] = {}
    events = []
    begin = 0
    cuts = sorted(data.draw(st.sets(st.integers(1, len(times)), max_size=8)) | {len(times)})
    for cut in cuts:
        part = advance(spec, state, times[begin:cut], registers[begin:cut])
        for time_ms, kind in zip(part.times_ms, part.classes, strict=True):
            kinds[int(time_ms)] = int(kind)
        events += part.events
        state = part.state
        begin += part.decided
    assert state == whole.state
    assert [kinds[int(time_ms)] for time_ms in times] == list(whole.classes)
    assert tuple(events) == whole.events


@settings(max_examples=100, deadline=None)
@given(seed=SEEDS, data=st.data())
def test_deciding_up_to_a_reading_and_going_on_is_the_same(seed: int, data: st.DataObject) -> None:
    times, registers, _ = made_up(seed)
    whole = advance(counter(), None, times, registers)
    accepted = np.flatnonzero(whole.accepted)
    index = int(data.draw(st.sampled_from(list(accepted) or [0])))
    part = advance(counter(), None, times, registers, upto_ms=int(times[index]))
    rest = advance(counter(), part.state, times[index + 1 :], registers[index + 1 :])
    assert rest.state == whole.state
