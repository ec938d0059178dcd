"""Earlier times that ran like a gap: searched by conditions, calendar, edges and known total."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from agent.core import kernels
from agent.core.gaps.regression import Regression
from agent.core.gaps.series import SATURDAY, WORKDAY, Prepared, Span
from agent.core.kernels.analogues import block_distances
from agent.core.kernels.arrays import Floats, Integers
from agent.core.timebase import DAY_MS

LONGEST_SEARCH_DAYS: Final = 400
MOST_CANDIDATES: Final = 10_000
BLOCKS: Final = 24  # a condition within the gap is compared in this many parts
CALENDAR_BLOCKS: Final = 6
MONTH_DAYS: Final = 30.0
_LEFT_H: Final = ((0.0, 1.0), (1.0, 1.0), (4.0, 0.7))  # time before the gap, weight
_RIGHT_H: Final = ((0.0, 1.0), (1.0, 1.0), (2.0, 0.7))
_LAGS_H: Final = ((3.0, 0.0), (12.0, 3.0))
_PLAIN_ROWS: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What makes two times alike, as weights, and what is made of those found.

    ``age`` is the penalty per month. With ``residual`` the search and the copy concern what a
    regression on the conditions leaves. With ``piece_h`` a longer gap is put together from pieces.
    """

    conditions: float
    edges: float
    time_of_day: float
    day_kind: float
    age: float
    total: float = 0.0
    lags: float = 0.0
    neighbours: int = 8
    apart: float = 0.5  # of its length, so that two analogues are not the same one twice
    median: bool = False
    residual: bool = False
    piece_h: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Analogues of a span, the best first: start, weight (sum 1), distance."""

    starts: Integers
    weights: Floats
    distances: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sought:
    """What the distances of candidates depend on."""

    part: Span
    search: Search
    total: float | None
    outer: tuple[bool, bool]


class Analogues:
    """Finds and combines analogues in one prepared series."""

    def __init__(self, prepared: Prepared, regression: Regression | None) -> None:
        self._prepared = prepared
        self._regression = regression
        angle = prepared.slot_ms * (2.0 * np.pi / DAY_MS)
        calendar = [
            np.cos(angle),
            np.sin(angle),
            (prepared.kind == WORKDAY).astype(np.float64),
            (prepared.kind == SATURDAY).astype(np.float64),
        ]
        self._conditions = len(prepared.columns)
        rows = [prepared.values, *prepared.columns, *calendar]
        # The last column is of what the regression leaves, rewritten day by day.
        self._residual_column = len(rows)
        self._sums = np.zeros((len(rows) + 1) * (prepared.count + 1))
        for column, row in enumerate(rows):
            self._add_up(column, row)
        self._residual: dict[int, Floats] = {}
        self._now = -1
        self._starts: dict[int, Integers] = {}
        self._spreads: dict[bool, float] = {}
        self._measured: dict[_Sought, Floats | None] = {}

    def refresh(self) -> None:
        """Take over what was filled meanwhile."""
        self._add_up(0, self._prepared.values)
        self._residual = {}
        self._now = -1

    def _add_up(self, column: int, row: Floats) -> None:
        size = self._prepared.count + 1
        np.cumsum(row, out=self._sums[column * size + 1 : (column + 1) * size])

    def _source(self, index: int, *, residual: bool) -> tuple[int, Floats, Floats]:
        """Column of the values to copy, these values, and what the regression explains."""
        if not residual or self._regression is None:
            return 0, self._prepared.values, np.zeros(0)
        explained = self._regression.fit(index)
        day = self._regression.day(index)
        if day not in self._residual:
            rest = self._prepared.values - explained
            self._add_up(self._residual_column, rest)
            self._residual = {day: rest}
        return self._residual_column, self._residual[day], explained

    def predict(self, span: Span, search: Search, total: float | None) -> Floats | None:
        """Values of a gap and its edges as its analogues ran; None if there are none.

        ``total`` is the amount that a register counted through the gap, where one did.
        """
        pieces = 1
        if search.piece_h is not None:
            pieces = max(1, -(-len(span) // self._prepared.intervals(search.piece_h)))
        bounds = np.linspace(span.first, span.end, pieces + 1).astype(np.int64)
        parts = []
        for number in range(pieces):
            part = Span(first=int(bounds[number]), end=int(bounds[number + 1]), closed=span.closed)
            outer = (number == 0, number == pieces - 1)
            found = self.find(span.first, part, search, total if pieces == 1 else None, outer)
            if found is None:
                return None
            parts.append(self._combine(span.first, part, search, found, outer))
        return np.concatenate(parts)

    def find(
        self,
        now: int,
        part: Span,
        search: Search,
        total: float | None,
        outer: tuple[bool, bool] = (True, True),
    ) -> Found | None:
        """The nearest times that end before ``now``; ``outer`` says which edges belong to it."""
        if now != self._now:
            self._now = now
            self._starts, self._spreads, self._measured = {}, {}, {}
        if len(part) not in self._starts:
            self._starts[len(part)] = self._candidates(now, part)
        candidates = self._starts[len(part)]
        if not len(candidates):
            return None
        by_what = replace(search, neighbours=0, apart=0.0, median=False, piece_h=None)
        sought = _Sought(part=part, search=by_what, total=total, outer=outer)
        if sought not in self._measured:
            self._measured[sought] = self._distances(now, sought, candidates)
        distances = self._measured[sought]
        if distances is None:
            return None
        return _nearest(candidates, distances, search, max(1, int(len(part) * search.apart)))

    def _distances(self, now: int, sought: _Sought, candidates: Integers) -> Floats | None:
        part, search, total = sought.part, sought.search, sought.total
        own, source, explained = self._source(now, residual=search.residual)
        if search.residual not in self._spreads:
            self._spreads[search.residual] = float(source[:now].var()) + 1e-12
        spread = self._spreads[search.residual]
        features = self._features(part, search, spread, sought.outer)
        if total is not None and search.total:
            features.append((0, 0, len(part), search.total / spread))
        if not features:
            return None
        column, first, end = (np.array([row[i] for row in features]) for i in (0, 1, 2))
        lengths = end - first
        weights = np.array([row[3] for row in features]) / lengths**2
        offsets = np.where(column == 0, own, column) * (self._prepared.count + 1)
        sums = self._sums
        targets = sums[offsets + part.first + end] - sums[offsets + part.first + first]
        if total is not None and search.total:
            counted = float(explained[part.first : part.end].sum()) if len(explained) else 0.0
            targets[-1] = total - counted
        distances = np.zeros(len(candidates))
        measure(sums, offsets, first, end, weights, targets, candidates, distances)
        if search.age:
            months = (now - candidates) * (self._prepared.step_ms / DAY_MS / MONTH_DAYS)
            distances += search.age * months
        return distances

    def _candidates(self, now: int, part: Span) -> Integers:
        """Starts of earlier times that were measured throughout, in ascending order."""
        prepared = self._prepared
        length, edge = len(part), prepared.edge
        reach = prepared.intervals(_LAGS_H[1][0])
        first = max(reach, now - prepared.days_back(LONGEST_SEARCH_DAYS))
        last = now - length - edge
        if last < first:
            first = min(first, edge)
        stride = max(1, length // 96, (last - first) // MOST_CANDIDATES)
        starts = np.arange(last, first - 1, -stride, dtype=np.int64)[::-1]
        if not len(starts):
            return starts
        sums = prepared.known_sums
        inside = sums[starts + length] - sums[starts]
        wide = sums[starts + length + edge] - sums[starts - edge]
        usable = (inside == length) & (wide >= 0.8 * (length + 2 * edge))
        return np.ascontiguousarray(starts[usable])

    def _features(
        self, part: Span, search: Search, spread: float, outer: tuple[bool, bool]
    ) -> list[tuple[int, int, int, float]]:
        """Column, first, end and weight of everything that is compared."""
        prepared = self._prepared
        length = len(part)
        features: list[tuple[int, int, int, float]] = []
        if search.edges and outer[0]:
            features.extend(
                (0, -prepared.intervals(hours), 0, search.edges * weight / spread)
                for hours, weight in _LEFT_H
                if prepared.leans(part.first - prepared.intervals(hours), part.first)
            )
        if search.edges and outer[1] and part.closed:
            features.extend(
                (0, length, length + size, search.edges * weight / spread)
                for hours, weight in _RIGHT_H
                if prepared.leans(part.end, part.end + (size := prepared.intervals(hours)))
            )
        blocks = min(BLOCKS, length)
        bounds = [length * block // blocks for block in range(blocks + 1)]
        for column in range(1, self._conditions + 1):
            features.extend(
                (column, bounds[block], bounds[block + 1], search.conditions / blocks)
                for block in range(blocks)
            )
            if search.lags and part.first >= prepared.intervals(_LAGS_H[1][0]):
                features.extend(
                    (column, -prepared.intervals(start), _until(prepared, end), search.lags)
                    for start, end in _LAGS_H
                )
        calendar = 1 + self._conditions
        if search.time_of_day:
            features.extend((calendar + axis, 0, 1, search.time_of_day) for axis in (0, 1))
        if search.day_kind:
            blocks = min(CALENDAR_BLOCKS, length)
            bounds = [length * block // blocks for block in range(blocks + 1)]
            features.extend(
                (calendar + axis, bounds[block], bounds[block + 1], search.day_kind / blocks)
                for axis in (2, 3)
                for block in range(blocks)
            )
        return features

    def _combine(
        self, now: int, part: Span, search: Search, found: Found, outer: tuple[bool, bool]
    ) -> Floats:
        edge = self._prepared.edge
        before, after = (edge if side else 0 for side in outer)
        _, source, explained = self._source(now, residual=search.residual)
        places = found.starts[:, None] + np.arange(-before, len(part) + after)
        copies = source[np.clip(places, 0, len(source) - 1)]
        if search.median:
            values = _weighted_median(copies, found.weights)
        else:
            values = (found.weights[:, None] * copies).sum(axis=0)
        if len(explained):
            own = np.arange(part.first - before, part.end + after)
            values = values + explained[np.clip(own, 0, len(explained) - 1)]
        return values


def _until(prepared: Prepared, hours: float) -> int:
    return -prepared.intervals(hours) if hours else 0


def measure(
    sums: Floats,
    columns: Integers,
    firsts: Integers,
    ends: Integers,
    weights: Floats,
    targets: Floats,
    candidates: Integers,
    distances: Floats,
) -> None:
    """Distances of candidates by the kernel; by whole arrays where that is plain Python.

    Both add the same numbers in the same order, so the results are identical to the bit.
    """
    if kernels.MODE == "aot" or len(candidates) * len(columns) < _PLAIN_ROWS:
        name = block_distances.__name__
        kernels.run(name, sums, columns, firsts, ends, weights, targets, candidates, distances)
        return
    distances[:] = 0.0
    for column, first, end, weight, target in zip(
        columns, firsts, ends, weights, targets, strict=True
    ):
        difference = (sums[candidates + (column + end)] - sums[candidates + (column + first)]) - (
            target
        )
        distances += weight * (difference * difference)


def _nearest(candidates: Integers, distances: Floats, search: Search, apart: int) -> Found:
    """The nearest candidates that lie at least ``apart`` intervals from each other."""
    left = distances.copy()
    chosen: list[int] = []
    while len(chosen) < search.neighbours:
        best = int(left.argmin())
        if left[best] == np.inf:
            break
        chosen.append(best)
        near = np.searchsorted(candidates, (candidates[best] - apart + 1, candidates[best] + apart))
        left[near[0] : near[1]] = np.inf
    picked = np.array(chosen, np.int64)
    nearest = distances[picked]
    weights = 1.0 / (nearest + 0.3 * float(np.median(nearest)) + 1e-9)
    return Found(starts=candidates[picked], weights=weights / weights.sum(), distances=nearest)


def _weighted_median(copies: Floats, weights: Floats) -> Floats:
    order = np.argsort(copies, axis=0, kind="stable")
    reached = np.cumsum(weights[order], axis=0) >= 0.5 - 1e-12
    middle = np.take_along_axis(order, reached.argmax(axis=0)[None], axis=0)
    result: Floats = np.take_along_axis(copies, middle, axis=0)[0]
    return result
