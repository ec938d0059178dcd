"""The accepted readings of a stream, and the gaps between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent.core.gaps.load import LoadSeries
from agent.core.kernels.arrays import Floats, Integers

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Knots:
    """Accepted readings in time order; across a change of segment the amount is unknown."""

    times_ms: Integers
    registers: Floats
    accumulated: Floats
    segments: Integers

    def __len__(self) -> int:
        return len(self.times_ms)

    def last_at(self, time_ms: int) -> int:
        """Index of the last knot at or before a time; -1 if there is none."""
        return int(np.searchsorted(self.times_ms, time_ms, side="right")) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """How a stream ran beside a gap: mean rate per hour and mean load over up to one edge window.

    ``complete`` says that later readings cannot change it.
    """

    rate_per_h: float
    load: float | None
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Time between two neighbouring knots without good readings, or whose amount is unknown.

    ``left`` is the index of the knot before it. ``end_ms`` of an open gap is the last boundary up
    to which nothing came. ``total`` is the amount by the register if that kept counting.
    """

    left: int
    start_ms: int
    end_ms: int
    open: bool
    total: float | None

    @property
    def length_ms(self) -> int:
        return self.end_ms - self.start_ms


def find_gaps(knots: Knots, *, max_gap_ms: int, open_to_ms: int | None) -> tuple[Gap, ...]:
    """All gaps between the knots, and the one after the last if that is to be seen as open."""
    times = knots.times_ms
    spans = np.diff(times)
    changed = np.diff(knots.segments) != 0
    gaps = []
    for left in np.flatnonzero((spans > max_gap_ms) | changed):
        total = None
        if not changed[left]:
            total = float(knots.accumulated[left + 1] - knots.accumulated[left])
        gaps.append(
            Gap(
                left=int(left),
                start_ms=int(times[left]),
                end_ms=int(times[left + 1]),
                open=False,
                total=total,
            )
        )
    last = len(knots) - 1
    if open_to_ms is not None:
        start_ms = int(times[last])
        gaps.append(Gap(left=last, start_ms=start_ms, end_ms=open_to_ms, open=True, total=None))
    return tuple(gaps)


def edge_before(knots: Knots, index: int, edge_ms: int, loads: LoadSeries | None) -> Edge | None:
    """The edge that ends at a knot; None if its segment has no reading before it."""
    end_ms = int(knots.times_ms[index])
    first = index
    while (
        first > 0
        and knots.segments[first - 1] == knots.segments[index]
        and end_ms - knots.times_ms[first] < edge_ms
    ):
        first -= 1
    if first == index:
        return None
    start_ms = max(end_ms - edge_ms, int(knots.times_ms[first]))
    before = _between(knots, first, start_ms)
    amount = float(knots.accumulated[index]) - before
    return _edge(amount, start_ms, end_ms, loads, complete=True)


def edge_after(knots: Knots, index: int, edge_ms: int, loads: LoadSeries | None) -> Edge | None:
    """The edge that begins at a knot; incomplete while later readings may still lengthen it."""
    start_ms = int(knots.times_ms[index])
    last = index
    while (
        last + 1 < len(knots)
        and knots.segments[last + 1] == knots.segments[index]
        and knots.times_ms[last] - start_ms < edge_ms
    ):
        last += 1
    if last == index:
        return None
    end_ms = min(start_ms + edge_ms, int(knots.times_ms[last]))
    amount = _between(knots, last - 1, end_ms) - float(knots.accumulated[index])
    complete = end_ms == start_ms + edge_ms or last + 1 < len(knots)
    return _edge(amount, start_ms, end_ms, loads, complete=complete)


def edge_after_is_final(knots: Knots, index: int, edge: Edge | None) -> bool:
    """Whether no later reading can change the edge that begins at a knot."""
    return edge.complete if edge is not None else index + 1 < len(knots)


def _between(knots: Knots, index: int, time_ms: int) -> float:
    """The accumulated amount at a time between a knot and the next."""
    start_ms = int(knots.times_ms[index])
    span_ms = int(knots.times_ms[index + 1]) - start_ms
    low = float(knots.accumulated[index])
    high = float(knots.accumulated[index + 1])
    return low + (high - low) * ((time_ms - start_ms) / span_ms)


def _edge(
    amount: float, start_ms: int, end_ms: int, loads: LoadSeries | None, *, complete: bool
) -> Edge:
    load = None if loads is None else loads.mean(start_ms, end_ms)
    return Edge(
        rate_per_h=amount * HOUR_MS / (end_ms - start_ms),
        load=load,
        complete=complete,
    )
