"""Load, edges, shares and the estimate of a short gap."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from histories import HOUR_MS, MINUTE_MS, START_MS
from hypothesis import given
from hypothesis import strategies as st

from agent.core.gaps.allocate import allocate, spread
from agent.core.gaps.knots import (
    Edge,
    Gap,
    Knots,
    edge_after,
    edge_after_is_final,
    edge_before,
    find_gaps,
)
from agent.core.gaps.load import LoadSeries
from agent.core.gaps.short import estimate


def knots(minutes: list[float], amounts: list[float], segments: list[int] | None = None) -> Knots:
    return Knots(
        times_ms=START_MS + (np.array(minutes) * MINUTE_MS).astype(np.int64),
        registers=np.array(amounts, float),
        accumulated=np.array(amounts, float),
        segments=np.array(segments or [0] * len(minutes), np.int64),
    )


def series(minutes: list[float], values: list[float]) -> LoadSeries:
    times_ms = START_MS + (np.array(minutes) * MINUTE_MS).astype(np.int64)
    return LoadSeries(times_ms=times_ms, values=np.array(values, float))


def at(minute: float) -> int:
    return START_MS + round(minute * MINUTE_MS)


def edge(rate: float, load: float | None = None) -> Edge:
    return Edge(rate_per_h=rate, load=load, complete=True)


def fill(left: Edge | None, right: Edge | None, load: float | None, **part: int) -> float | None:
    return estimate(
        part.get("start_ms", 0),
        part.get("end_ms", HOUR_MS),
        gap_start_ms=0,
        gap_end_ms=HOUR_MS,
        left=left,
        right=right,
        load=load,
        max_rate_per_h=600.0,
    )


def test_the_load_holds_until_the_next_value() -> None:
    loads = series([0, 10, 20], [50, 100, 0])
    assert loads.mean(at(0), at(20)) == 75
    assert loads.mean(at(5), at(15)) == 75
    assert loads.mean(at(30), at(40)) == 0
    assert loads.mean(at(-10), at(0)) is None
    assert loads.mean(at(-10), at(10)) == 50


def test_unknown_load_is_left_out_of_the_mean() -> None:
    loads = series([0, 10, 20], [50, float("nan"), 100])
    assert loads.mean(at(0), at(30)) == 75
    assert loads.mean(at(12), at(18)) is None
    assert series([], []).mean(at(0), at(1)) is None


def test_gaps_lie_where_readings_are_far_apart_or_the_amount_is_unknown() -> None:
    track = knots([0, 1, 10, 11, 12], [0, 1, 10, 10, 11], [0, 0, 0, 1, 1])
    gaps = find_gaps(track, max_gap_ms=5 * MINUTE_MS, open_to_ms=at(60))
    assert [(gap.left, gap.total, gap.open) for gap in gaps] == [
        (1, 9.0, False),
        (2, None, False),
        (4, None, True),
    ]


def test_an_edge_is_the_mean_rate_of_one_window_beside_the_gap() -> None:
    track = knots([0, 10, 20, 30], [0, 100, 110, 120])
    before = edge_before(track, 3, 15 * MINUTE_MS, series([0, 25], [80, 90]))
    assert before is not None
    assert before.rate_per_h == pytest.approx(60)
    assert before.load == pytest.approx((80 * 10 + 90 * 5) / 15)
    after = edge_after(track, 0, 15 * MINUTE_MS, None)
    assert after is not None
    assert after.rate_per_h == pytest.approx(105 * 4)
    assert after.complete


def test_an_edge_ends_where_the_segment_does() -> None:
    track = knots([0, 1, 2, 3], [0, 1, 1, 2], [0, 0, 1, 1])
    assert edge_before(track, 2, HOUR_MS, None) is None
    after = edge_after(track, 2, HOUR_MS, None)
    assert after is not None
    assert not edge_after_is_final(track, 2, after)
    first = edge_after(track, 0, HOUR_MS, None)
    assert edge_after_is_final(track, 0, first)
    assert not edge_after_is_final(track, 3, edge_after(track, 3, HOUR_MS, None))


def test_155_between_150_and_160_and_half_of_it_at_half_load() -> None:
    assert fill(edge(150, 90), edge(160, 90), 90) == pytest.approx(155)
    assert fill(edge(150, 90), edge(160, 90), 45) == pytest.approx(77.5)
    assert fill(edge(150), edge(160), 90) == pytest.approx(155)


def test_with_one_side_known_that_side_counts_and_with_none_nothing() -> None:
    assert fill(edge(150, 90), None, 60) == pytest.approx(100)
    assert fill(None, edge(160), None) == pytest.approx(160)
    assert fill(None, None, 90) is None


def test_an_edge_that_stood_still_cannot_scale_the_load() -> None:
    assert fill(edge(3, 0), edge(3, 0), 90) == pytest.approx(3)


def test_no_estimate_exceeds_the_largest_rate() -> None:
    assert fill(edge(150, 1), edge(150, 1), 100) == 600


@given(
    left=st.floats(0, 600),
    right=st.floats(0, 600),
    cuts=st.lists(st.integers(1, HOUR_MS - 1), max_size=10, unique=True),
)
def test_parts_of_a_gap_add_up_to_the_whole(left: float, right: float, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), HOUR_MS]
    parts = [
        fill(edge(left), edge(right), None, start_ms=low, end_ms=high) or 0.0
        for low, high in itertools.pairwise(edges)
    ]
    assert sum(parts) == pytest.approx((left + right) / 2, abs=1e-6)


@given(
    values=st.lists(st.floats(-10, 100) | st.just(float("nan")), min_size=1, max_size=20),
    total=st.floats(0, 1e6),
)
def test_an_allocation_keeps_order_and_total_whatever_the_load_says(
    values: list[float], total: float
) -> None:
    loads = series([10.0 * index for index in range(len(values))], values)
    gap = Gap(left=0, start_ms=at(-5), end_ms=at(222), open=False, total=total)
    grid = np.array([at(15 * index) for index in range(15)])
    for rate in (None, 600.0):
        amounts = list(allocate(gap, 1_000.0, grid, loads, rate).values())
        assert all(low <= high for low, high in itertools.pairwise(amounts))
        assert amounts[0] >= 1_000.0
        assert amounts[-1] <= 1_000.0 + total
        if rate is not None and total < 600 * 227 / 60:
            assert max(np.diff(amounts)) <= 150 + 1e-6


def test_without_load_or_with_none_at_all_the_shape_is_flat() -> None:
    edges = np.array([at(0), at(15), at(60)])
    for loads in (None, series([], []), series([0], [0.0])):
        assert list(spread(80.0, edges, loads, None)) == [20.0, 60.0]


def test_what_the_largest_rate_forbids_goes_to_the_other_parts() -> None:
    edges = np.array([at(0), at(60), at(120), at(180)])
    loads = series([0, 60, 120], [80, 10, 0])
    assert list(spread(90.0, edges[:3], loads, 60.0)) == pytest.approx([60, 30])
    assert list(spread(150.0, edges, loads, 60.0)) == pytest.approx([60, 60, 30])
    assert list(spread(181.0, edges, loads, 60.0)) == pytest.approx([181 / 3] * 3)
