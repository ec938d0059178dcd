"""The methods a gap may be filled by, each with what it needs and how long a gap it may fill."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from agent.core.gaps import calendar
from agent.core.gaps.analogue import Analogues, Found, Search
from agent.core.gaps.regression import CalendarRegression, Features, Regression, Terms
from agent.core.gaps.series import Prepared, Span
from agent.core.kernels.arrays import Floats, Integers
from agent.core.timebase import HOUR_MS

MONTH_H: Final = 744.0

LIKE = Search(conditions=2, edges=1, time_of_day=0.5, day_kind=0.5, age=0.1)
_PIECE = Search(conditions=4, edges=1, time_of_day=1, day_kind=1, age=0.2, neighbours=12, apart=0.3)


def _like(
    base: Search,
    *,
    conditions: float | None = None,
    total: float = 0.0,
    neighbours: int | None = None,
    median: bool = False,
    residual: bool = False,
    piece_h: float | None = None,
) -> Search:
    return Search(
        conditions=base.conditions if conditions is None else conditions,
        edges=base.edges,
        time_of_day=base.time_of_day,
        day_kind=base.day_kind,
        age=base.age,
        total=total,
        neighbours=base.neighbours if neighbours is None else neighbours,
        apart=base.apart,
        median=median,
        residual=residual,
        piece_h=piece_h,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A way to estimate a gap. Gaps shorter or longer than its limits it does not fill at all."""

    name: str
    family: str
    conditions: bool = False  # only where conditions are known
    load: bool = False  # only where a load is known
    known_total: bool = False  # only where a register counted through the gap
    bridged: bool = True
    shortest_h: float = 0.0
    longest_h: float = MONTH_H
    search: Search | None = None


_SEARCHES: Final = {
    "analogue": LIKE,
    "analogue-median": _like(LIKE, neighbours=12, median=True),
    "analogue-calendar": Search(
        conditions=1, edges=0.3, time_of_day=6, day_kind=3, age=0.3, neighbours=12
    ),
    "analogue-few": Search(conditions=2, edges=1, time_of_day=2, day_kind=0.5, age=0, neighbours=5),
    "analogue-conditions": Search(conditions=8, edges=0.2, time_of_day=0, day_kind=0, age=0.1),
}
_RESIDUAL_FEW: Final = Search(
    conditions=0.5,
    edges=1,
    time_of_day=1.7,
    day_kind=0.5,
    age=0,
    neighbours=5,
    residual=True,
)
_KNOWN_TOTAL: Final = {
    "analogue-total": _like(LIKE, conditions=4, total=10, neighbours=12),
    "analogue-total-median": _like(LIKE, total=3, neighbours=12, median=True),
}
_PIECES: Final = {
    "pieces-6h": (_like(_PIECE, piece_h=6), 6.0),
    "pieces-6h-median": (_like(_PIECE, piece_h=6, neighbours=20, median=True), 0.0),
    "pieces-24h": (_like(_PIECE, piece_h=24), 24.0),
    "pieces-24h-median": (_like(_PIECE, piece_h=24, neighbours=20, median=True), 24.0),
}
_EDGE_WINDOWS_H: Final = {"line-by-load": 0.0, "line-by-load-15min": 0.25, "line-by-load-1h": 1.0}
_FEWEST: Final = Terms.LINEAR
_REGRESSIONS: Final = {
    "regression-linear": Terms.LINEAR,
    "regression": Terms.CURVED,
    "regression-wide": Terms.WIDE,
}

METHODS: Final = {
    method.name: method
    for method in (
        Method(name="line", family="line", longest_h=24.0),
        *(
            Method(name=name, family="line-by-load", load=True, bridged=False, longest_h=24.0)
            for name in _EDGE_WINDOWS_H
        ),
        Method(name="last-week", family="calendar"),
        Method(name="weeks", family="calendar"),
        Method(name="kind-of-day", family="calendar"),
        Method(name="kind-of-day-median", family="calendar"),
        *(Method(name=name, family="regression", conditions=True) for name in _REGRESSIONS),
        Method(name="regression-calendar", family="regression"),
        *(Method(name=n, family="analogue", search=s) for n, s in _SEARCHES.items()),
        *(
            Method(name=name, family="analogue", search=search, shortest_h=shortest_h)
            for name, (search, shortest_h) in _PIECES.items()
        ),
        Method(
            name="residual-analogue",
            family="residual-analogue",
            conditions=True,
            search=_like(LIKE, residual=True),
        ),
        Method(
            name="residual-analogue-few",
            family="residual-analogue",
            conditions=True,
            search=_RESIDUAL_FEW,
        ),
        Method(
            name="residual-pieces-24h",
            family="residual-analogue",
            conditions=True,
            shortest_h=24.0,
            search=_like(_PIECE, residual=True, piece_h=24),
        ),
        *(
            Method(name=name, family="analogue", known_total=True, search=search)
            for name, search in _KNOWN_TOTAL.items()
        ),
        Method(
            name="residual-analogue-total",
            family="residual-analogue",
            conditions=True,
            known_total=True,
            search=_like(LIKE, conditions=1, total=3, residual=True),
        ),
    )
}


class Methods:
    """Every method on one prepared series."""

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
        terms = _REGRESSIONS if prepared.numbers else {"regression": Terms.CURVED}
        if not prepared.columns:
            terms = {}
        features = Features(prepared, max(terms.values(), key=list(Terms).index, default=_FEWEST))
        self._regressions = {name: Regression(features, kind) for name, kind in terms.items()}
        plain = self._regressions.get("regression") or Regression(features, _FEWEST)
        self._fits: dict[str, Callable[[int, Integers], Floats]] = {
            name: regression.predict for name, regression in self._regressions.items()
        }
        self._fits["regression-calendar"] = CalendarRegression(prepared, plain).predict
        self.analogues = Analogues(prepared, self._regressions.get("regression"))

    def usable(self, length: int, *, known_total: bool) -> tuple[str, ...]:
        """Names of the methods that may fill a gap of a length, in a fixed order."""
        hours = length * self.prepared.step_ms / HOUR_MS
        return tuple(
            method.name
            for method in METHODS.values()
            if method.shortest_h < hours + 1e-9 <= method.longest_h + 2e-9
            and (known_total or not method.known_total)
            and (not method.conditions or self.prepared.columns)
            and (method.name not in _REGRESSIONS or method.name in self._regressions)
            and (not method.load or self.prepared.load is not None)
        )

    def predict(self, name: str, span: Span, total: float | None) -> Floats | None:
        """What a method says of a gap and its edges; None where it cannot say anything."""
        prepared = self.prepared
        if (search := METHODS[name].search) is not None:
            return self.analogues.predict(span, search, total)
        if name in self._fits:
            return self._fits[name](span.first, prepared.around(span))
        if name in _EDGE_WINDOWS_H:
            return _line_by_load(prepared, span, _EDGE_WINDOWS_H[name])
        if name == "line":
            return np.zeros(len(span) + 2 * prepared.edge)
        if name == "last-week":
            return calendar.same_time_of_weeks(prepared, span, 1, 1.0)
        if name == "weeks":
            return calendar.same_time_of_weeks(prepared, span, 8, 0.8)
        if name == "kind-of-day":
            return calendar.same_kind_of_day(prepared, span, 20, 0.93)
        return calendar.median_of_kind(prepared, span, 15)

    def matches(self, name: str, span: Span, total: float | None) -> Found | None:
        """The analogues that a method used, as whole periods; None if it is no such method."""
        search = METHODS[name].search
        if search is None:
            return None
        whole = _like(
            search,
            total=search.total,
            residual=search.residual,
        )
        return self.analogues.find(span.first, span, whole, total)


def _line_by_load(prepared: Prepared, span: Span, window_h: float) -> Floats | None:
    """A line between the rates per load at both edges, times the load.

    Source: the substitute-value practice for short gaps (BDEW: up to 2 h from the neighbours).

    Example: 150 and 160 kWh around an hour at steady 90 % load give 155 kWh, and 77.5 kWh if the
    load was 45 % in that hour.
    """
    load = prepared.load
    if load is None or not np.isfinite(load[span.first : span.end]).all():
        return None
    size = prepared.intervals(window_h) if window_h else 1
    left = slice(max(0, span.first - size), span.first)
    right = slice(span.end, span.end + size if span.closed else span.end)
    rates = [_per_load(prepared, load, edge) for edge in (left, right)]
    within = np.maximum(load[span.first : span.end], 0.0)
    scaled = [
        None if rate is None else (np.full(len(span), rate[0]) if rate[1] else rate[0] * within)
        for rate in rates
    ]
    place = (np.arange(len(span)) + 0.5) / len(span)
    before, after = (scaled[0], scaled[1]) if scaled[0] is not None else (scaled[1], scaled[0])
    if before is None:
        return None
    values = before if after is None else (1.0 - place) * before + place * after
    sides = np.zeros(prepared.edge)
    return np.concatenate((sides, values, sides))


def _per_load(prepared: Prepared, load: Floats, edge: slice) -> tuple[float, bool] | None:
    """Value per load beside a gap, or the value itself (True) where there was no load."""
    values = prepared.series.values[edge]
    known = np.isfinite(values) & np.isfinite(load[edge])
    if not known.any():
        return None
    value, mean_load = float(values[known].mean()), float(load[edge][known].mean())
    if mean_load <= 0.0 or not math.isfinite(value / mean_load):
        return value, True
    return value / mean_load, False
