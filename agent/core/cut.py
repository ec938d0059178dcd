"""One cut through a stream: boundaries placed among the readings, gaps found, windows valued."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from agent.core import kernels
from agent.core.gaps.allocate import allocate
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
from agent.core.kernels import cutting
from agent.core.kernels.arrays import Bytes, Floats, Integers
from agent.core.model import Provenance, StreamKind, StreamSpec, Window
from agent.core.timebase import HOUR_MS, MINUTE_MS, boundaries

DECIMALS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How windows of a stream are cut: their length, and what counts as a gap and a short one."""

    length_ms: int
    max_gap_ms: int
    short_gap_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownGap:
    """A short gap whose amount is unknown, with how the stream ran beside it."""

    gap: Gap
    left: Edge | None
    right: Edge | None
    final: bool  # no later reading changes what is estimated for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Everything that the windows between the boundaries ``grid_ms`` are made from."""

    spec: StreamSpec
    limits: Limits
    knots: Knots
    gaps: tuple[Gap, ...]  # those that reach into the grid
    unknown: dict[int, UnknownGap]  # the short ones of unknown amount by ``Gap.left``
    grid_ms: Integers
    left: Integers  # the knot at or before each boundary
    places: Bytes  # see agent.core.kernels.cutting
    accumulated: Floats  # the amount at each boundary, rounded
    covered_ms: Integers
    loads: LoadSeries | None
    load_means: Floats


def edge_ms(spec: StreamSpec, length_ms: int) -> int:
    """How long a time beside a gap tells how the stream ran: a window, 3 readings, a minute."""
    return max(length_ms, 3 * spec.period_ms, MINUTE_MS)


def cut_stream(
    spec: StreamSpec,
    limits: Limits,
    knots: Knots,
    grid: Integers,
    loads: LoadSeries | None,
    *,
    open_to_ms: int | None,
) -> Cut:
    """Place the boundaries, find the gaps, and measure coverage and load of each window."""
    count = len(grid)
    span = np.array([limits.max_gap_ms], np.int64)
    left = np.empty(count, np.int64)
    places = np.empty(count, np.uint8)
    values = np.empty(count, np.float64)
    covered = np.empty(count - 1, np.int64)
    columns = (knots.times_ms, knots.accumulated, knots.segments)
    kernels.run("place_boundaries", *columns, grid, span, left, places, values)
    kernels.run("covered_ms", knots.times_ms, knots.segments, grid, span, covered)
    gaps = tuple(
        gap
        for gap in find_gaps(knots, max_gap_ms=limits.max_gap_ms, open_to_ms=open_to_ms)
        if gap.end_ms > grid[0] and gap.start_ms < grid[-1]
    )
    if np.any(places == cutting.KNOWN_GAP):
        _allocate_boundaries(limits, knots, gaps, grid, loads, spec.max_rate_per_h, values)
    load_means = np.full(count - 1, math.nan)
    if loads is not None and count > 1:
        load_means, _ = loads.means(grid[:-1], grid[1:])
    return Cut(
        spec=spec,
        limits=limits,
        knots=knots,
        gaps=gaps,
        unknown={
            gap.left: _with_edges(spec, limits, knots, gap, loads)
            for gap in gaps
            if gap.total is None and gap.length_ms <= limits.short_gap_ms
        },
        grid_ms=grid,
        left=left,
        places=places,
        accumulated=np.array([round(float(value), DECIMALS) for value in values], np.float64),
        covered_ms=covered,
        loads=loads,
        load_means=load_means,
    )


def _allocate_boundaries(
    limits: Limits,
    knots: Knots,
    gaps: tuple[Gap, ...],
    grid: Integers,
    loads: LoadSeries | None,
    max_rate_per_h: float | None,
    values: Floats,
) -> None:
    """Give the boundaries within gaps of known total their share of it."""
    for gap in gaps:
        if gap.total is None:
            continue
        inside = np.array(boundaries(gap.start_ms + 1, gap.end_ms - 1, limits.length_ms), np.int64)
        before = float(knots.accumulated[gap.left])
        amounts = allocate(gap, before, inside, loads, max_rate_per_h)
        first, last = np.searchsorted(grid, (gap.start_ms + 1, gap.end_ms))
        for index in range(first, last):
            values[index] = amounts[int(grid[index])]


def _with_edges(
    spec: StreamSpec, limits: Limits, knots: Knots, gap: Gap, loads: LoadSeries | None
) -> UnknownGap:
    reach_ms = edge_ms(spec, limits.length_ms)
    left = edge_before(knots, gap.left, reach_ms, loads)
    if gap.open:
        return UnknownGap(gap=gap, left=left, right=None, final=False)
    right = edge_after(knots, gap.left + 1, reach_ms, loads)
    final = edge_after_is_final(knots, gap.left + 1, right)
    return UnknownGap(gap=gap, left=left, right=right, final=final)


@dataclass(frozen=True, slots=True, kw_only=True)
class CutWindow:
    """A window, and whether no later reading can change it."""

    window: Window
    final: bool


def windows_of(cut: Cut) -> tuple[CutWindow, ...]:
    """Value every window between the boundaries of a cut, in time order."""
    result = []
    first = 0
    for index in range(len(cut.grid_ms) - 1):
        start_ms, end_ms = int(cut.grid_ms[index]), int(cut.grid_ms[index + 1])
        while first < len(cut.gaps) and cut.gaps[first].end_ms <= start_ms:
            first += 1
        touching = []
        for gap in cut.gaps[first:]:
            if gap.start_ms >= end_ms:
                break
            touching.append(gap)
        result.append(_window(cut, index, touching))
    return tuple(result)


def _window(cut: Cut, index: int, touching: list[Gap]) -> CutWindow:
    start_ms, end_ms = int(cut.grid_ms[index]), int(cut.grid_ms[index + 1])
    value: float | None = float(cut.accumulated[index + 1]) - float(cut.accumulated[index])
    provenance = Provenance.MEASURED
    method = "register" if cut.spec.kind is StreamKind.COUNTER else "integral"
    final = True
    for gap in touching:
        if gap.total is not None:
            crosses = gap.start_ms < start_ms or gap.end_ms > end_ms
            if crosses and provenance is Provenance.MEASURED:
                provenance, method = Provenance.ALLOCATED, "register-allocated"
            continue
        final = final and _is_final(cut, gap)
        amount = _unknown_amount(cut, gap, start_ms, end_ms)
        if amount is None or value is None:
            value = None
            provenance, method = Provenance.MISSING, "open-gap" if gap.open else "long-gap"
        else:
            value += amount
            provenance, method = Provenance.ESTIMATED, "short-gap"
    value = None if value is None else round(value, DECIMALS)
    lower, upper = _bounds(cut, index, touching, value, provenance)
    load = float(cut.load_means[index])
    window = Window(
        stream=cut.spec.id,
        start_ms=start_ms,
        length_ms=end_ms - start_ms,
        revision=0,
        value=value,
        provenance=provenance,
        method=method,
        coverage=int(cut.covered_ms[index]) / (end_ms - start_ms),
        lower=lower,
        upper=upper,
        load=None if math.isnan(load) else load,
    )
    return CutWindow(window=window, final=final)


def _is_final(cut: Cut, gap: Gap) -> bool:
    unknown = cut.unknown.get(gap.left)
    return not gap.open if unknown is None else unknown.final


def _unknown_amount(cut: Cut, gap: Gap, start_ms: int, end_ms: int) -> float | None:
    """What a window gets for its part of a gap of unknown amount; None if that is too long."""
    unknown = cut.unknown.get(gap.left)
    if unknown is None:
        return None
    from_ms, to_ms = max(start_ms, gap.start_ms), min(end_ms, gap.end_ms)
    return estimate(
        from_ms,
        to_ms,
        gap_start_ms=gap.start_ms,
        gap_end_ms=gap.end_ms,
        left=unknown.left,
        right=unknown.right,
        load=None if cut.loads is None else cut.loads.mean(from_ms, to_ms),
        max_rate_per_h=cut.spec.max_rate_per_h,
    )


def _bounds(
    cut: Cut, index: int, touching: list[Gap], value: float | None, provenance: Provenance
) -> tuple[float | None, float | None]:
    """Lower and upper bound: of a measurement one count, of an allocation what is possible."""
    if value is None or provenance is Provenance.ESTIMATED:
        return None, None
    hours = (int(cut.grid_ms[index + 1]) - int(cut.grid_ms[index])) / HOUR_MS
    if cut.spec.kind is StreamKind.RATE:
        margin = cut.spec.resolution * hours
        return round(value - margin, DECIMALS), round(value + margin, DECIMALS)
    lower, upper = value, value
    for gap in touching:
        least, part, most = _allocated_part(cut, gap, index)
        lower += least - part
        upper += most - part
    step = cut.spec.resolution
    if cut.left[index + 1] >= 0:
        register = float(cut.knots.registers[cut.left[index + 1]])
        step = max(step, abs(register) * cut.spec.relative_resolution)
    lower -= step
    upper += step
    return max(0.0, round(lower, DECIMALS)), round(upper, DECIMALS)


def _allocated_part(cut: Cut, gap: Gap, index: int) -> tuple[float, float, float]:
    """Least, allocated and greatest amount of a gap that can belong to a window.

    The greatest is the gap's total or what the largest rate allows within the window; the least
    is what the largest rate cannot place outside it.
    """
    start_ms, end_ms = int(cut.grid_ms[index]), int(cut.grid_ms[index + 1])
    if gap.total is None or (gap.start_ms >= start_ms and gap.end_ms <= end_ms):
        return 0.0, 0.0, 0.0
    accumulated = cut.knots.accumulated
    low = float(accumulated[gap.left])
    if gap.start_ms < start_ms:
        low = float(cut.accumulated[index])
    high = float(accumulated[gap.left + 1])
    if gap.end_ms > end_ms:
        high = float(cut.accumulated[index + 1])
    least, most = 0.0, gap.total
    if cut.spec.max_rate_per_h is not None:
        inside_ms = min(end_ms, gap.end_ms) - max(start_ms, gap.start_ms)
        possible = cut.spec.max_rate_per_h * inside_ms / HOUR_MS
        outside = cut.spec.max_rate_per_h * (gap.length_ms - inside_ms) / HOUR_MS
        most = max(high - low, min(most, possible))
        least = min(high - low, max(0.0, gap.total - outside))
    return least, high - low, most
