"""Windows: they add up, they say how they were obtained, and no order of calls changes them."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from histories import HOUR_MS, MINUTE_MS, SEEDS, START_MS, Ledger, counter, made_up
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.gaps.load import LoadSeries
from agent.core.model import Provenance, StreamKind
from agent.core.streamstate import Issued, fold, unfold
from agent.core.windows import close_windows

QUARTER_MS = 15 * MINUTE_MS


def minutes(*numbers: float) -> np.ndarray:
    return (START_MS + np.array(numbers) * MINUTE_MS).astype(np.int64)


def steady(first: int, last: int, per_minute: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """A reading a minute of a register that starts at 100 at minute 0."""
    numbers = np.arange(first, last + 1)
    return minutes(*numbers), 100.0 + numbers * per_minute


def without(
    history: tuple[np.ndarray, np.ndarray], first: int, last: int
) -> tuple[np.ndarray, np.ndarray]:
    """The history without the readings strictly between two minutes."""
    times, values = history
    keep = (times <= START_MS + first * MINUTE_MS) | (times >= START_MS + last * MINUTE_MS)
    return times[keep], values[keep]


def test_a_steady_meter_gives_measured_windows_with_endpoints() -> None:
    ledger = Ledger(counter())
    closing = ledger.close(*steady(-3, 62), START_MS + 62 * MINUTE_MS)
    assert [w.value for w in closing.windows] == [15.0] * 4
    assert {w.provenance for w in closing.windows} == {Provenance.MEASURED}
    assert {w.coverage for w in closing.windows} == {1.0}
    assert closing.windows[0].start_ms == START_MS
    assert (closing.windows[0].lower, closing.windows[0].upper) == (14.9, 15.1)
    assert [e.boundary_ms - START_MS for e in closing.endpoints] == [
        0,
        QUARTER_MS,
        2 * QUARTER_MS,
        3 * QUARTER_MS,
        4 * QUARTER_MS,
    ]
    assert closing.endpoints[0].register == 100.0
    assert closing.endpoints[0].accumulated == 3.0
    assert closing.events == ()


def test_a_boundary_between_two_readings_is_interpolated() -> None:
    ledger = Ledger(counter())
    ledger.close(minutes(0, 14, 16, 31), np.array([0.0, 14.0, 20.0, 50.0]), START_MS + HOUR_MS)
    assert ledger.current[START_MS].value == 17.0
    assert ledger.current[START_MS].coverage == pytest.approx(1 / 15)


def test_the_first_incomplete_window_is_not_booked() -> None:
    ledger = Ledger(counter())
    ledger.close(*steady(5, 40), START_MS + 40 * MINUTE_MS)
    assert list(ledger.current) == [START_MS + QUARTER_MS]


def test_a_boundary_waits_for_its_reading_until_that_would_be_a_gap() -> None:
    ledger = Ledger(counter())
    assert ledger.close(*steady(0, 14), START_MS + 16 * MINUTE_MS).windows == ()
    assert [
        w.provenance for w in ledger.close(*steady(0, 16), START_MS + 17 * MINUTE_MS).windows
    ] == [Provenance.MEASURED]


def test_a_boundary_is_closed_as_soon_as_silence_is_known_to_be_a_gap() -> None:
    times, values = steady(0, 14)
    for known_to_ms, methods in (
        (START_MS + 18 * MINUTE_MS, []),
        (START_MS + 20 * MINUTE_MS, ["short-gap"]),
    ):
        closing = close_windows(
            counter(),
            None,
            times,
            values,
            until_ms=START_MS + QUARTER_MS,
            length_ms=QUARTER_MS,
            loads=None,
            max_gap_ms=5 * MINUTE_MS,
            known_to_ms=known_to_ms,
        )
        assert [w.method for w in closing.windows] == methods


def test_six_hours_while_the_register_counts_are_allocated() -> None:
    """2,400 kWh on the day, the hours of the gap marked, nothing lost, no spike."""
    numbers = [n for n in range(0, 25 * 60, 5) if not 8 * 60 < n < 14 * 60]
    times, values = minutes(*numbers), 5_000 + np.array(numbers) * 100 / 60
    ledger = Ledger(counter(), length_ms=HOUR_MS, max_gap_ms=10 * MINUTE_MS)
    ledger.close(times, values, START_MS + 24 * HOUR_MS)
    assert ledger.total == pytest.approx(2_400, abs=1e-6)
    allocated = [at for at, _, kind in ledger.amounts if kind == "allocated"]
    assert [(at - START_MS) // HOUR_MS for at in allocated] == list(range(8, 14))
    assert {w.value for w in ledger.current.values()} == {100.0}
    assert ledger.codes == ["gap.opened", "gap.closed"]


def test_an_allocated_gap_takes_the_shape_of_the_load_and_keeps_its_total() -> None:
    loads = LoadSeries(
        times_ms=minutes(-60, 60, 120, 180), values=np.array([80.0, 20.0, 60.0, 80.0])
    )
    ledger = Ledger(counter(), length_ms=HOUR_MS, loads=loads)
    ledger.close(*without(steady(0, 240), 60, 180), START_MS + 240 * MINUTE_MS)
    assert [w.value for _, w in sorted(ledger.current.items())] == [60.0, 30.0, 90.0, 60.0]
    assert [w.load for _, w in sorted(ledger.current.items())] == [80.0, 20.0, 60.0, 80.0]


def test_bounds_of_an_allocated_window_hold_what_is_possible() -> None:
    ledger = Ledger(counter(max_rate_per_h=80.0), length_ms=HOUR_MS)
    ledger.close(*without(steady(0, 300), 60, 180), START_MS + 300 * MINUTE_MS)
    first = ledger.current[START_MS + HOUR_MS]
    assert first.value == 60.0
    assert (first.lower, first.upper) == (39.9, 80.1)


def test_a_gap_inside_a_window_only_lowers_its_coverage() -> None:
    ledger = Ledger(counter(), length_ms=HOUR_MS)
    ledger.close(*without(steady(0, 120), 70, 100), START_MS + 120 * MINUTE_MS)
    window = ledger.current[START_MS + HOUR_MS]
    assert (window.value, window.provenance, window.coverage) == (60.0, Provenance.MEASURED, 0.5)


def test_an_open_gap_is_provisional_and_superseded_when_the_register_answers() -> None:
    ledger = Ledger(counter())
    times, values = without(steady(0, 120, 2.0), 20, 80)
    for boundary in range(0, 121, 15):
        seen = times <= START_MS + boundary * MINUTE_MS
        closing = ledger.close(times[seen], values[seen], START_MS + boundary * MINUTE_MS)
        if boundary == 60:
            assert [(w.value, w.method) for w in closing.windows] == [(30.0, "short-gap")]
            assert closing.windows[0].lower is None
        if boundary == 90:
            assert {w.method for w in closing.windows} == {"register-allocated"}
            assert len(closing.superseding) == 4
    assert ledger.total == 240.0
    assert ledger.codes == ["gap.opened", "gap.closed"]
    assert max(ledger.revisions.values()) == 1


def test_a_gap_longer_than_the_limit_is_never_half_filled() -> None:
    ledger = Ledger(counter())
    history = steady(0, 30)
    ledger.close(*history, START_MS + 120 * MINUTE_MS)
    assert {
        w.provenance for at, w in ledger.current.items() if at >= START_MS + 30 * MINUTE_MS
    } == {Provenance.ESTIMATED}
    ledger.close(*history, START_MS + 165 * MINUTE_MS)
    late = [w for at, w in ledger.current.items() if at >= START_MS + 30 * MINUTE_MS]
    assert len(late) == 9
    assert {(w.value, w.method) for w in late} == {(None, "open-gap")}
    assert ledger.state is not None
    assert len(ledger.state.issued) == 1


def test_a_month_without_answer_keeps_a_small_state() -> None:
    ledger = Ledger(counter())
    history = steady(0, 30)
    ledger.close(*history, START_MS + 30 * 24 * HOUR_MS)
    closing = ledger.close(*history, START_MS + 31 * 24 * HOUR_MS)
    assert len(closing.windows) == 96
    assert closing.state is not None
    assert len(closing.state.to_json()) < 1_000


def test_between_150_and_160_at_steady_load_lie_155_and_at_half_load_half() -> None:
    """The counter is reset in the gap, so the register does not tell the total."""
    before = 100 + np.arange(0, 61) * 2.5
    after = np.arange(0, 61) * 160 / 60
    times = np.concatenate((minutes(*range(61)), minutes(*range(120, 181))))
    values = np.concatenate((before, after))
    loads = LoadSeries(times_ms=minutes(-1), values=np.array([90.0]))
    ledger = Ledger(counter(), length_ms=HOUR_MS, loads=loads)
    ledger.close(times, values, START_MS + 180 * MINUTE_MS)
    window = ledger.current[START_MS + HOUR_MS]
    assert (window.value, window.provenance) == (
        pytest.approx(155.0, abs=1e-6),
        Provenance.ESTIMATED,
    )
    assert "counter.reset" in ledger.codes

    halved = LoadSeries(times_ms=minutes(-1, 60, 120), values=np.array([90.0, 45.0, 90.0]))
    ledger = Ledger(counter(), length_ms=HOUR_MS, loads=halved)
    ledger.close(times, values, START_MS + 180 * MINUTE_MS)
    assert ledger.current[START_MS + HOUR_MS].value == pytest.approx(77.5, abs=1e-6)


def test_an_unknown_total_over_the_limit_is_missing() -> None:
    times = np.concatenate((minutes(*range(61)), minutes(*range(300, 361))))
    values = np.concatenate((1_000 + np.arange(61.0), np.arange(61.0)))
    ledger = Ledger(counter(), length_ms=HOUR_MS)
    ledger.close(times, values, START_MS + 360 * MINUTE_MS)
    kinds = [kind for _, _, kind in ledger.amounts]
    assert kinds == ["measured", *["missing"] * 4, "measured"]
    assert ledger.current[START_MS + 2 * HOUR_MS].method == "long-gap"


def test_an_hourly_meter_replaced_at_900000() -> None:
    """2,400 kWh on the day; the hour of the exchange is estimated, not booked as 851,300 kWh."""
    hours = np.arange(0, 25)
    values = np.where(hours < 12, 50_000 + hours * 100, 900_000 + hours * 100)
    ledger = Ledger(counter(), length_ms=HOUR_MS, max_gap_ms=HOUR_MS)
    ledger.close(START_MS + hours * HOUR_MS, values.astype(float), START_MS + 24 * HOUR_MS)
    assert ledger.total == pytest.approx(2_400)
    assert [kind for _, _, kind in ledger.amounts].count("estimated") == 1
    assert ledger.codes == ["counter.jump", "counter.replaced_perhaps"]


def test_a_rate_is_integrated_and_its_gap_estimated() -> None:
    spec = counter(kind=StreamKind.RATE, resolution=0.0)
    numbers = np.array([n for n in range(181) if not 70 < n < 110])
    ledger = Ledger(spec, length_ms=HOUR_MS)
    ledger.close(minutes(*numbers), np.full(len(numbers), 120.0), START_MS + 180 * MINUTE_MS)
    assert [w.value for _, w in sorted(ledger.current.items())] == [120.0, 120.0, 120.0]
    assert [kind for _, _, kind in ledger.amounts] == ["measured", "estimated", "measured"]
    assert ledger.closings[0].endpoints == ()


def test_jitter_is_told_once_per_window() -> None:
    times, values = steady(0, 30)
    values[[3, 5, 7]] = values[[3, 5, 7]] - 1.1
    ledger = Ledger(counter())
    closing = ledger.close(times, values, START_MS + 30 * MINUTE_MS)
    assert [(e.code, e.detail) for e in closing.events] == [
        ("counter.jitter", "readings=3 booked=0")
    ]
    assert ledger.total == 30.0


def test_windows_of_another_length_are_refused() -> None:
    ledger = Ledger(counter())
    ledger.close(*steady(0, 30), START_MS + 30 * MINUTE_MS)
    with pytest.raises(ValueError, match="windows of 900000 ms"):
        close_windows(
            counter(),
            ledger.state,
            np.empty(0, np.int64),
            np.empty(0),
            until_ms=START_MS,
            length_ms=MINUTE_MS,
            loads=None,
            max_gap_ms=MINUTE_MS,
        )


def test_no_reading_gives_nothing() -> None:
    ledger = Ledger(counter())
    closing = ledger.close(minutes(1, 2), np.array([math.nan, math.nan]), START_MS + HOUR_MS)
    assert (closing.windows, closing.state) == ((), None)


@settings(max_examples=200)
@given(seed=SEEDS)
def test_windows_add_up_to_the_register_and_are_never_negative(seed: int) -> None:
    times, registers, _ = made_up(seed, faults=False)
    registers = np.round(registers % 1e6, 1)
    if np.any(np.diff(registers) < 0):
        return
    ledger = Ledger(counter())
    closing = ledger.close(times, registers, int(times[-1]))
    if not closing.endpoints:
        return
    values = [w.value for w in ledger.current.values()]
    assert all(value is not None and value >= 0 for value in values)
    first, last = closing.endpoints[0], closing.endpoints[-1]
    assert ledger.total == pytest.approx(last.accumulated - first.accumulated, abs=1e-9)
    boundary = np.interp([first.boundary_ms, last.boundary_ms], times.astype(float), registers)
    slack = 2e-6 + 600 * (9_000_000 / HOUR_MS)  # a boundary may lie in a gap
    assert abs(ledger.total - (boundary[1] - boundary[0])) <= slack
    whole = Ledger(counter(), max_gap_ms=10**9)
    whole.close(times, registers, int(times[-1]))
    assert whole.total == pytest.approx(boundary[1] - boundary[0], abs=2e-6)


@settings(max_examples=120)
@given(seed=SEEDS, data=st.data())
def test_any_division_into_calls_ends_in_the_same_windows(seed: int, data: st.DataObject) -> None:
    times, registers, _ = made_up(seed)
    kind = data.draw(st.sampled_from(list(StreamKind)))
    spec = counter(kind=kind, modulus=1_000_000.0)
    if kind is StreamKind.RATE:
        registers = registers % 500
    loads = None
    if data.draw(st.booleans()):
        at = np.arange(int(times[0]) - HOUR_MS, int(times[-1]), 777_000)
        loads = LoadSeries(times_ms=at, values=50 + 45 * np.sin(at / 5e6))
    end_ms = int(times[-1]) + data.draw(st.sampled_from([0, HOUR_MS, 9 * HOUR_MS]))
    whole = Ledger(spec, loads=loads)
    whole.close(times, registers, end_ms)
    parts = Ledger(spec, loads=loads)
    count = data.draw(st.integers(1, 40))
    known_ms = 0
    for until in np.linspace(int(times[0]), end_ms, count + 1).astype(np.int64):
        known_ms = max(known_ms, int(until) + data.draw(st.sampled_from([0, 0, 0, HOUR_MS])))
        seen = times <= known_ms
        parts.close(times[seen], registers[seen], int(until))
    assert parts.amounts == whole.amounts
    assert parts.state == whole.state
    told = [Counter(c for c in made.codes if c.startswith("counter.")) for made in (parts, whole)]
    assert told[0] == told[1]
    # While a reading waits for proof the time after it may pass for a gap that is none.
    assert parts.codes.count("gap.closed") >= whole.codes.count("gap.closed")
    ends = [
        {e.boundary_ms: e for c in made.closings for e in c.endpoints} for made in (parts, whole)
    ]
    assert ends[0] == ends[1]


@settings(max_examples=120)
@given(seed=SEEDS)
def test_faults_never_book_more_than_is_possible(seed: int) -> None:
    times, registers, _ = made_up(seed)
    ledger = Ledger(counter(modulus=1_000_000.0))
    ledger.close(times, registers, int(times[-1]))
    windows = [w for _, w in sorted(ledger.current.items())]
    greatest = 600 * (0.25 + 5 / 3_600) + 0.1 * 5
    assert all(w.value is None or 0 <= w.value <= greatest for w in windows)
    assert all(w.lower is None or w.value is None or w.lower <= w.value for w in windows)
    assert all(w.upper is None or w.value is None or w.value <= w.upper for w in windows)
    hours = sum(w.length_ms for w in windows) / HOUR_MS
    counts = 2 + ledger.codes.count("counter.reset") + ledger.codes.count("counter.jump")
    assert ledger.total <= 600 * (hours + 5 / 3_600) + 0.1 * counts + 1e-3


@given(
    runs=st.lists(
        st.tuples(st.sampled_from([None, 1.0, 2.5]), st.sampled_from(list(Provenance))), max_size=30
    )
)
def test_folding_what_was_issued_loses_nothing(runs: list[tuple[float | None, Provenance]]) -> None:
    windows = {index * QUARTER_MS: run for index, run in enumerate(runs) if index % 7}
    folded = fold(windows, QUARTER_MS)
    assert unfold(folded, QUARTER_MS) == windows
    assert all(isinstance(run, Issued) for run in folded)
