"""Consumption by operating condition: a ridge regression that forgets, refitted day by day."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

import numpy as np

from agent.core import kernels
from agent.core.gaps.series import Prepared
from agent.core.kernels.arrays import Floats, Integers
from agent.core.timebase import DAY_MS, HOUR_MS

HALF_LIFE_DAYS: Final = 30.0
RIDGE: Final = 5.0  # intervals that speak for a coefficient of zero
LAGS_H: Final = (0.5, 2.0, 6.0, 18.0)  # a plant follows its load with delay
CALENDAR_SHRINK: Final = 6.0  # intervals that speak for no difference between times of day
SLOT_MS: Final = 1_800_000
_CALENDAR_DAYS: Final = 120  # what is older hardly counts
_CELL_ROWS_H: Final = 0.1  # one value in so much time says enough of a time of day
MOST_PRODUCTS: Final = 4  # of more quantities no products are formed


class Terms(StrEnum):
    """What a regression is made of."""

    LINEAR = "linear"  # conditions and their lagged means
    CURVED = "curved"  # and squares and products of the conditions
    WIDE = "wide"  # and squares of the lagged means


class Features:
    """What regressions are made of, and its moments day by day; each takes the first columns."""

    def __init__(self, prepared: Prepared, most: Terms) -> None:
        self.widths: dict[Terms, int] = {}
        reaches = [hours * HOUR_MS / prepared.step_ms for hours in LAGS_H]
        reaches = [reach for reach in reaches if reach >= 1.0]
        pairs = list(itertools.combinations_with_replacement(prepared.numbers[:MOST_PRODUCTS], 2))
        lags = len(prepared.columns) * len(reaches)
        self.widths[Terms.LINEAR] = width = 1 + len(prepared.columns) + lags
        if most is not Terms.LINEAR:
            self.widths[Terms.CURVED] = width = width + len(pairs)
        if most is Terms.WIDE:
            self.widths[Terms.WIDE] = width = width + lags
        self.values = np.empty((prepared.count, width))
        for column, row in zip(range(width), self._rows(prepared, reaches, pairs), strict=False):
            self.values[:, column] = row
        self.per_day = max(1, round(DAY_MS / prepared.step_ms))
        forget = 0.5 ** (1.0 / HALF_LIFE_DAYS)
        squares, products = np.zeros((width, width)), np.zeros(width)
        self.moments = [(squares, products)]
        for first in range(0, prepared.count, self.per_day):
            day = slice(first, first + self.per_day)
            known = prepared.known[day]
            seen = self.values[day][known]
            squares = squares * forget + seen.T @ seen
            products = products * forget + seen.T @ prepared.series.values[day][known]
            self.moments.append((squares, products))

    def _rows(
        self, prepared: Prepared, reaches: list[float], pairs: list[tuple[Floats, Floats]]
    ) -> Iterator[Floats]:
        """One row after the other, as a year of minutes has no room for all at once."""
        yield np.ones(prepared.count)
        yield from prepared.columns
        first = 1 + len(prepared.columns)
        for column in prepared.columns:
            for reach in reaches:
                means = np.empty(prepared.count)
                share = np.array([1.0 - math.exp(-1.0 / reach)])
                kernels.run("exponential_means", np.ascontiguousarray(column), share, means)
                yield means
        for one, other in pairs:
            yield one * other
        for place in range(first, self.widths[Terms.LINEAR]):
            yield self.values[:, place] ** 2


class Regression:
    """Values explained by conditions, learned from what lies before a gap and nothing else.

    Source: regression on load and schedule as in 40 CFR 98.35 ("all available process data").
    """

    def __init__(self, features: Features, terms: Terms) -> None:
        self._features = features
        self._width = features.widths[terms]
        self._coefficients: dict[int, Floats] = {}
        self._fits: dict[int, Floats] = {}

    def day(self, index: int) -> int:
        """Number of the fit that knows whole days before an interval."""
        return min(index // self._features.per_day, len(self._features.moments) - 1)

    def coefficients(self, index: int) -> Floats:
        """What was known of the coefficients at the start of an interval; zero without history."""
        day = self.day(index)
        if day not in self._coefficients:
            squares, products = self._features.moments[day]
            width = self._width
            ridge = np.full(width, RIDGE)
            ridge[0] = 1e-6
            solved = np.linalg.solve(squares[:width, :width] + np.diag(ridge), products[:width])
            self._coefficients[day] = np.asarray(solved, np.float64)
        return self._coefficients[day]

    def fit(self, index: int) -> Floats:
        """The regression for all intervals, as known at the start of one."""
        day = self.day(index)
        if day not in self._fits:
            self._fits = {day: self._features.values[:, : self._width] @ self.coefficients(index)}
        return self._fits[day]

    def predict(self, index: int, places: Integers) -> Floats:
        """The regression at some intervals, as known at the start of one."""
        result: Floats = self._features.values[places, : self._width] @ self.coefficients(index)
        return result


class CalendarRegression:
    """What a regression leaves, by half hour and kind of day, added to it."""

    def __init__(self, prepared: Prepared, regression: Regression) -> None:
        self._prepared = prepared
        self._regression = regression
        slots = DAY_MS // SLOT_MS
        self._cells = prepared.kind * slots + prepared.slot_ms // SLOT_MS
        self._size = int(3 * slots)
        self._effects: dict[int, Floats] = {}

    def predict(self, index: int, places: Integers) -> Floats:
        """As `Regression.predict`, with the mean remainder of each cell, shrunk towards none."""
        explained = self._regression.predict(index, places)
        return explained + self._effects_of(index)[self._cells[places]]

    def _effects_of(self, index: int) -> Floats:
        day = self._regression.day(index)
        if day not in self._effects:
            prepared = self._prepared
            first = max(0, index - prepared.days_back(_CALENDAR_DAYS))
            thin = prepared.intervals(_CELL_ROWS_H)
            rows = first + thin * np.flatnonzero(prepared.known[first:index:thin])
            ages = (index - rows) * (prepared.step_ms / DAY_MS)
            weights = 0.5 ** (ages / HALF_LIFE_DAYS)
            remainder = prepared.series.values[rows] - self._regression.predict(index, rows)
            cells = self._cells[rows]
            sums = np.bincount(cells, weights * remainder, self._size)
            counts = np.bincount(cells, weights, self._size)
            self._effects = {day: sums / (counts + CALENDAR_SHRINK)}
        return self._effects[day]
