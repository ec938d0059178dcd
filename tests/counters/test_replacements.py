"""Declared replacements, 32-bit registers, and the faults that others book wrongly, by name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.counters import CounterState, ReadingClass, advance
from agent.core.gaps.load import LoadSeries
from agent.core.model import Provenance, Replacement, StreamKind, StreamSpec
from agent.core.windows import Closing, close_windows

START_MS = 1_767_225_600_000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000


def spec(**changes: object) -> StreamSpec:
    fields: dict[str, object] = {
        "id": "em-1.energy",
        "kind": StreamKind.COUNTER,
        "quantity": "energy",
        "unit": "kWh",
        "resolution": 0.1,
        "modulus": None,
        "max_rate_per_h": 600.0,
        "period_ms": MINUTE_MS,
    }
    return StreamSpec(**{**fields, **changes})  # type: ignore[arg-type]


def at(minute: float) -> int:
    return START_MS + round(minute * MINUTE_MS)


def minutes(count: int) -> np.ndarray:
    return START_MS + np.arange(count, dtype=np.int64) * MINUTE_MS


def exchanged(minute: float, old_end: float, new_start: float) -> Replacement:
    return Replacement(at_ms=at(minute), old_end=old_end, new_start=new_start)


def test_a_declared_replacement_books_what_both_meters_counted() -> None:
    """The old one ended 3 kWh after its last reading, the new one counted 2 before its first."""
    meter = spec(replacements=(exchanged(1.5, 103.0, 900_000.0),))
    run = advance(meter, None, minutes(4), np.array([90.0, 100.0, 900_002.0, 900_004.0]))
    assert run.state is not None
    assert list(run.accumulated) == [0.0, 10.0, 15.0, 17.0]
    assert run.events == ()
    assert run.state.reading == 900_004.0


def test_a_declaration_that_is_not_possible_books_nothing_across() -> None:
    meter = spec(replacements=(exchanged(1.5, 5_000.0, 900_000.0),))
    registers = np.array([90.0, 100.0, *(900_002.0 + 2 * np.arange(5))])
    run = advance(meter, None, minutes(7), registers)
    assert run.state is not None
    assert run.state.accumulated == pytest.approx(10 + 8)
    assert [event.code for event in run.events] == ["counter.jump", "counter.replaced_perhaps"]


def test_an_odd_reading_just_before_the_exchange_books_nothing() -> None:
    meter = spec(replacements=(exchanged(2.5, 101.0, 0.0),))
    run = advance(meter, None, minutes(6), np.array([90.0, 100.0, 0.0, 0.5, 1.0, 1.5]))
    kinds = [ReadingClass(kind).name for kind in run.classes]
    assert kinds == ["FIRST", "NORMAL", "TRANSIENT", "NORMAL", "NORMAL", "NORMAL"]
    assert run.state is not None
    assert run.state.accumulated == pytest.approx(10 + 1 + 1.5)


def test_two_exchanges_between_two_readings_are_one_sum() -> None:
    meter = spec(replacements=(exchanged(1.2, 102.0, 500.0), exchanged(1.6, 501.0, 7.0)))
    run = advance(meter, None, minutes(3), np.array([95.0, 100.0, 8.0]))
    assert list(run.accumulated) == [0.0, 5.0, pytest.approx(5 + 2 + 1 + 1)]


@settings(max_examples=200)
@given(
    cuts=st.sets(st.integers(1, 39), max_size=5),
    exchanges=st.sets(st.integers(2, 37), max_size=3),
    odd=st.dictionaries(st.integers(1, 39), st.sampled_from([0.0, 5e5, float("nan")]), max_size=5),
)
def test_any_division_into_calls_gives_the_same(
    cuts: set[int], exchanges: set[int], odd: dict[int, float]
) -> None:
    """Also where a call ends between an exchange and the first reading of the new meter."""
    declared, registers = [], np.empty(40)
    offset = 0.0
    for index in range(40):
        if index in exchanges:
            end = 100.0 * index / 10 + 0.7
            declared.append(
                Replacement(at_ms=at(index - 0.5), old_end=end - offset, new_start=1_000.0 * index)
            )
            offset = end - 1_000.0 * index
        registers[index] = odd.get(index, round(10.0 * index - offset, 1))
    meter = spec(replacements=tuple(declared))
    times = minutes(40)
    whole = advance(meter, None, times, registers)
    state: CounterState | None = None
    begin = 0
    for cut in [*sorted(cuts), 40]:
        part = advance(meter, state, times[begin:cut], registers[begin:cut])
        state, begin = part.state, begin + part.decided
    assert state == whole.state


def test_a_32_bit_register_counts_in_steps_that_are_neither_odd_nor_lost() -> None:
    """At 20 million a 32-bit float counts in steps of 2: increments of 0.5 come as 0, 0, 0, 2."""
    meter = spec(resolution=0.0, relative_resolution=2.0**-23, max_rate_per_h=60.0)
    true = 20_000_000 + np.arange(240) * 0.5
    registers = true.astype(np.float32).astype(np.float64)
    run = advance(meter, None, minutes(240), registers)
    assert set(run.classes) == {ReadingClass.FIRST, ReadingClass.NORMAL}
    assert run.state is not None
    assert run.state.accumulated == pytest.approx(119.5, abs=2.0)
    assert [event.code for event in run.events] == ["counter.coarse"]
    assert "unit=kWh" in run.events[0].detail
    again = advance(meter, run.state, minutes(250)[240:], registers[-1:].repeat(10))
    assert again.events == ()


def test_without_that_knowledge_the_same_register_would_look_impossible() -> None:
    meter = spec(resolution=0.0, relative_resolution=0.0, max_rate_per_h=60.0)
    true = 20_000_000 + np.arange(240) * 0.5
    run = advance(meter, None, minutes(240), true.astype(np.float32).astype(np.float64))
    assert ReadingClass.PENDING in run.classes or ReadingClass.TRANSIENT in run.classes


def day(
    registers: np.ndarray, hours: np.ndarray, *, loads: LoadSeries | None = None, **changes: object
) -> Closing:
    """A day of an hourly-closed meter, read every five minutes, true use 100 kWh per hour."""
    return close_windows(
        spec(period_ms=300_000, **changes),
        None,
        START_MS + np.round(hours * HOUR_MS).astype(np.int64),
        registers,
        until_ms=START_MS + 24 * HOUR_MS,
        length_ms=HOUR_MS,
        loads=loads,
        max_gap_ms=1_201_000,
    )


READ = np.arange(0, 25, 1 / 12)


def total(closing: Closing) -> float:
    return sum(window.value or 0.0 for window in closing.windows)


def test_six_hours_without_reading_lose_nothing() -> None:
    """2,400 kWh; another system booked 1,700 of them and marked nothing."""
    hours = READ[(READ <= 8) | (READ >= 14)]
    closing = day(50_000 + 100 * hours, hours)
    assert total(closing) == pytest.approx(2_400, abs=1e-6)
    kinds = [window.provenance for window in closing.windows]
    assert kinds == [
        *[Provenance.MEASURED] * 8,
        *[Provenance.ALLOCATED] * 6,
        *[Provenance.MEASURED] * 10,
    ]


def test_a_counter_that_restarts_at_zero_loses_five_minutes_at_most() -> None:
    """2,400 kWh; the five minutes across the restart are estimated from both sides."""
    registers = np.where(READ < 12, 50_000 + 100 * READ, 100 * (READ - 12))
    closing = day(registers, READ)
    assert total(closing) == pytest.approx(2_400, abs=0.01)
    kinds = [window.provenance for window in closing.windows]
    assert kinds.count(Provenance.ESTIMATED) == 1
    assert "counter.reset" in [event.code for event in closing.events]


@pytest.mark.parametrize("is_declared", [True, False])
def test_a_meter_replaced_by_one_at_900000_never_books_its_number(is_declared: bool) -> None:
    """2,400 kWh, measured if it is declared, else with the exchange proposed; not 851,300."""
    registers = np.where(READ < 12, 50_000 + 100 * READ, 900_000 + 100 * (READ - 12))
    declared = Replacement(at_ms=START_MS + 12 * HOUR_MS - 1, old_end=51_200.0, new_start=900_000.0)
    closing = day(registers, READ, replacements=(declared,) if is_declared else ())
    assert total(closing) == pytest.approx(2_400, abs=0.01)
    codes = {event.code for event in closing.events}
    kinds = {window.provenance for window in closing.windows}
    if is_declared:
        assert codes == set()
        assert kinds == {Provenance.MEASURED}
    else:
        assert codes == {"counter.jump", "counter.replaced_perhaps"}
        assert kinds == {Provenance.MEASURED, Provenance.ESTIMATED}
