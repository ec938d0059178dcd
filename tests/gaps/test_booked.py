"""Booked windows as gaps, and what was found for gaps as windows."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.gaps.booked import (
    ALLOCATED,
    LONG_GAP,
    OPEN_GAP,
    SHORT_GAP,
    GapFill,
    GapRun,
    Grid,
    class_length,
    drafts_of,
    fill_of,
    gap_runs,
    kinds_of,
    series_of,
)
from agent.core.gaps.filled import Gap, finished, left_open
from agent.core.gaps.series import Span
from agent.core.model import Provenance, Window

HOUR_MS = 3_600_000
KINDS = {
    "register": Provenance.MEASURED,
    ALLOCATED: Provenance.ALLOCATED,
    SHORT_GAP: Provenance.ESTIMATED,
    LONG_GAP: Provenance.MISSING,
    OPEN_GAP: Provenance.MISSING,
    "provisional:line": Provenance.ESTIMATED,
    "filled:line": Provenance.ESTIMATED,
    "refused:too long": Provenance.MISSING,
}


def hour(number: int, method: str, value: float = 10.0, *, coverage: float = 0.0) -> Window:
    kind = KINDS[method]
    return Window(
        stream="s",
        start_ms=number * HOUR_MS,
        length_ms=HOUR_MS,
        revision=0,
        value=None if kind is Provenance.MISSING else value,
        provenance=kind,
        method=method,
        coverage=1.0 if method == "register" else coverage,
        load=80.0,
    )


def hours(*methods: str) -> list[Window]:
    return [hour(number, method) for number, method in enumerate(methods)]


def spans(windows: list[Window], read_ms: dict[int, int] | None = None) -> list[tuple[int, int]]:
    return [
        (run.start_ms // HOUR_MS, run.end_ms // HOUR_MS) for run in gap_runs(windows, read_ms or {})
    ]


def test_runs_are_neighbours_of_one_kind() -> None:
    assert spans(hours("register", ALLOCATED, ALLOCATED, "register", LONG_GAP, "register")) == [
        (1, 3),
        (4, 5),
    ]
    assert spans(hours(OPEN_GAP, "provisional:line", LONG_GAP)) == [(0, 3)]
    assert spans(hours(ALLOCATED, "register", "filled:line", "refused:too long")) == []
    assert spans(hours(LONG_GAP, ALLOCATED, ALLOCATED)) == [(0, 1), (1, 3)]


def test_what_the_cut_measured_in_a_window_stays() -> None:
    edges = [
        hour(0, ALLOCATED, coverage=0.3),
        hour(1, ALLOCATED),
        hour(2, ALLOCATED),
        hour(3, ALLOCATED, coverage=0.9),
    ]
    assert spans(edges) == [(1, 3)]
    assert spans([hour(0, SHORT_GAP, coverage=0.5), hour(1, SHORT_GAP)]) == [(1, 2)]


def test_a_reading_in_a_gap_divides_it() -> None:
    windows = hours(*[ALLOCATED] * 6)
    silent = dict.fromkeys(range(0, 7 * HOUR_MS, HOUR_MS), -5)
    assert spans(windows, silent) == [(0, 6)]
    at_boundary = silent | {bound * HOUR_MS: 3 * HOUR_MS for bound in range(3, 7)}
    assert spans(windows, at_boundary) == [(0, 3), (3, 6)]
    within = silent | {bound * HOUR_MS: 2 * HOUR_MS + 7 for bound in range(3, 7)}
    assert spans(windows, within) == [(0, 2), (3, 6)]


def test_a_load_that_fell_silent_is_not_held_through_the_gap() -> None:
    grid = Grid(start_ms=0, step_ms=HOUR_MS, count=4)
    windows = [*hours("register", LONG_GAP), hour(2, SHORT_GAP, coverage=0.6), hour(3, "register")]
    series = series_of(
        grid, windows, offset_ms=0, load="m.load", gap_loads={HOUR_MS: math.nan}, numbers={}
    )
    np.testing.assert_array_equal(series.values, [10.0, math.nan, 10.0, 10.0])
    np.testing.assert_array_equal(series.numbers["m.load"], [80.0, math.nan, 80.0, 80.0])
    assert series.load == "m.load"
    assert series.stopped is None
    stopped = [replace(window, maintenance=True) for window in windows[:1]]
    alone = series_of(grid, stopped, offset_ms=0, load=None, gap_loads={}, numbers={})
    assert alone.stopped is not None
    assert list(alone.stopped) == [True, False, False, False]


@given(
    st.lists(st.floats(0.0, 100.0), min_size=2, max_size=40),
    st.floats(0.0, 1.0),
    st.integers(0, 10**9),
)
def test_an_allocation_keeps_its_total_and_no_part_is_beyond_the_largest_rate(
    shape: list[float], fullness: float, micro: int
) -> None:
    most = 50.0
    total = round(fullness * most * len(shape) + micro * 1e-12, 6)
    windows = tuple(
        hour(number, ALLOCATED, round(total / len(shape), 6)) for number in range(len(shape))
    )
    run = GapRun(windows=windows, known_total=True)
    assert run.total is not None
    weights = np.array(shape) + 1e-9
    gap = Gap(first=0, end=len(shape), total=run.total, resolution=0.01)
    filled = finished(
        gap,
        Span(first=0, end=len(shape)),
        weights * run.total / weights.sum(),
        half=np.ones(len(shape)),
        total_half=0.01,
        method="register:line",
        lowest=0.0,
        calibration=20,
    )
    drafts = drafts_of(run, filled, closed=True, max_rate_per_h=most)
    after = {window.start_ms: window for window in (*windows, *drafts)}
    assert math.fsum(one.value or 0.0 for one in after.values()) == pytest.approx(
        run.total, abs=1e-6
    )
    if run.total < most * len(shape):
        assert all((one.value or 0.0) <= most + 2e-6 for one in drafts)


def test_what_is_not_proven_or_not_allowed_stays() -> None:
    counted = GapRun(windows=tuple(hours(ALLOCATED, ALLOCATED)), known_total=True)
    gap, span = Gap(first=0, end=2, total=20.0), Span(first=0, end=2)
    guess = finished(
        gap, span, np.array([15.0, 5.0]), half=None, total_half=0.0, method="m", lowest=0.0
    )
    assert drafts_of(counted, guess, closed=True, max_rate_per_h=None) == []
    told = fill_of(
        counted, guess, Grid(start_ms=0, step_ms=HOUR_MS, count=2), unit="kWh", closed=True
    )
    assert (told.method, told.total, told.total_known) == (ALLOCATED, 20.0, True)
    unknown = GapRun(windows=tuple(hours(LONG_GAP, "provisional:line")), known_total=False)
    refused = left_open(Gap(first=0, end=2), span, "too long")
    drafts = drafts_of(unknown, refused, closed=True, max_rate_per_h=None)
    assert [(one.value, one.method) for one in drafts] == [(None, "refused:too long")] * 2
    drafts = drafts_of(unknown, refused, closed=False, max_rate_per_h=None)
    assert [(one.value, one.method) for one in drafts] == [(None, OPEN_GAP)] * 2


def test_an_open_gap_keeps_what_was_said_of_it() -> None:
    run = GapRun(windows=tuple(hours("provisional:line", OPEN_GAP)), known_total=False)
    filled = finished(
        Gap(first=0, end=2),
        Span(first=0, end=2, closed=False),
        np.array([60.0, 7.0]),
        half=np.array([1.0, 1.0]),
        total_half=2.0,
        method="line",
        lowest=0.0,
    )
    (draft,) = drafts_of(run, filled, closed=False, max_rate_per_h=50.0)
    assert (draft.start_ms, draft.value, draft.method) == (HOUR_MS, 7.0, "provisional:line")
    drafts = drafts_of(run, filled, closed=True, max_rate_per_h=50.0)
    assert [one.value for one in drafts] == [50.0, 7.0]
    assert {one.method for one in drafts} == {"filled:line"}


def test_gaps_of_nearly_one_length_share_a_class() -> None:
    assert class_length(1) == 1
    assert {class_length(count) for count in range(23, 29)} == {26}
    assert all(2 / 3 < class_length(count) / count < 3 / 2 for count in range(1, 3000))


def test_a_few_whole_numbers_name_kinds() -> None:
    found = kinds_of(np.array([3.0, 1.0, math.nan, 3.0]))
    assert found is not None
    assert list(found) == [1, 0, -1, 1]
    assert kinds_of(np.array([3.0, 1.5])) is None
    assert kinds_of(np.arange(13.0)) is None
    assert kinds_of(np.array([math.nan])) is None


def test_a_fill_is_told_and_read_again() -> None:
    fill = GapFill(
        stream="s",
        unit="kWh",
        start_ms=0,
        end_ms=HOUR_MS,
        windows=1,
        total_known=False,
        method="line",
        matched=((1, 2), (3, 4)),
    )
    assert GapFill.from_detail(fill.detail) == fill
    assert GapFill.from_detail("from another version") is None
    assert GapFill.from_detail('{"stream": "s"}') is None
