"""A regular series with holes and the conditions it ran under, made ready for learning from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from agent.core import kernels
from agent.core.kernels.arrays import Floats, Integers, Mask
from agent.core.timebase import DAY_MS, HOUR_MS

EDGE_H: Final = 2.0  # how much of what follows a gap may be seen
MOST_LABELS: Final = 24  # rarer labels of one column count as one
_HELD_H: Final = 2.0  # a condition missing for longer is unknown
UNKNOWN: Final = -1

WORKDAY, SATURDAY, SUNDAY = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One value per interval of ``step_ms``; NaN is missing.

    ``start_ms`` is the local clock (UTC plus the offset of the place) at the start of the first
    interval. ``numbers`` and ``labels`` are operating conditions: measured quantities (NaN =
    unknown) and codes of raw material, grade or process parameter (-1 = unknown). ``load`` names
    the one of ``numbers`` to which consumption is proportional in short gaps. ``stopped`` marks
    maintenance and shutdown. ``check`` is the same quantity by another meter.
    """

    start_ms: int
    step_ms: int
    values: Floats
    numbers: Mapping[str, Floats] = field(default_factory=dict)
    labels: Mapping[str, Integers] = field(default_factory=dict)
    load: str | None = None
    stopped: Mask | None = None
    check: Floats | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of all condition columns, the load among them."""
        return (*self.numbers, *self.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Where a gap lies: intervals [first, end), and whether what follows it is known."""

    first: int
    end: int
    closed: bool = True

    def __len__(self) -> int:
        return self.end - self.first


class Prepared:
    """A series with what every method needs: conditions as columns, calendar, running sums.

    ``values`` has holes closed by what was filled before, else by the mean; ``known`` says where a
    value may be learned from. The columns are in units of their own spread.
    """

    def __init__(self, series: Series, use: tuple[str, ...] | None = None) -> None:
        self.series = series
        self.count = len(series)
        self.step_ms = series.step_ms
        self.edge = self.intervals(EDGE_H)
        self.measured = np.isfinite(series.values)
        self._leaned_on = self.measured.copy()
        self.known = self.measured.copy()
        if series.stopped is not None:
            self.known &= ~series.stopped
        names = series.conditions if use is None else use
        self.numbers: list[Floats] = []
        self.marks: list[Floats] = []
        for name in names:
            if name in series.numbers:
                self._add_number(series.numbers[name])
            elif name in series.labels:
                self._add_label(series.labels[name])
        self.load = None
        if series.load is not None and series.load in names:
            self.load = hold(series.numbers[series.load], self.intervals(_HELD_H))
        self.mean = float(series.values[self.known].mean()) if self.known.any() else 0.0
        lowest = series.values[self.measured].min() if self.measured.any() else 0.0
        self.lowest = 0.0 if lowest >= 0.0 else -np.inf  # no estimate may fall below it
        self.values = np.where(self.measured, series.values, self.mean)
        clock_ms = series.start_ms + np.arange(self.count, dtype=np.int64) * series.step_ms
        weekday = (clock_ms // DAY_MS + 3) % 7  # 1970-01-01 was a Thursday
        self.kind = np.where(weekday < 5, WORKDAY, np.where(weekday == 5, SATURDAY, SUNDAY))
        self.slot_ms = clock_ms % DAY_MS
        self.known_sums = running(self.known.astype(np.float64))

    def _add_number(self, raw: Floats) -> None:
        values = hold(raw, self.intervals(_HELD_H))
        seen = np.isfinite(values)
        self.known &= seen
        if not seen.any():
            return
        spread = float(values[seen].std())
        center = float(values[seen].mean())
        if spread > 1e-9 * max(1.0, abs(center)):
            self.numbers.append(np.where(seen, (values - center) / spread, 0.0))

    def _add_label(self, codes: Integers) -> None:
        self.known &= codes != UNKNOWN
        labels, counts = np.unique(codes[codes != UNKNOWN], return_counts=True)
        if len(labels) < 2:
            return
        often = labels[np.argsort(-counts, kind="stable")][:MOST_LABELS]
        self.marks.extend((codes == label).astype(np.float64) for label in np.sort(often))

    @property
    def columns(self) -> list[Floats]:
        """The conditions: numbers first, then one column of 0 and 1 per label."""
        return [*self.numbers, *self.marks]

    def intervals(self, hours: float) -> int:
        """How many intervals make up a time; at least one."""
        return max(1, round(hours * HOUR_MS / self.series.step_ms))

    def days_back(self, days: int) -> int:
        """How many intervals lie between now and the same time some days ago."""
        return round(days * DAY_MS / self.series.step_ms)

    def close(self, span: Span, values: Floats) -> None:
        """Let later gaps lean on what was filled here; nothing is learned from it."""
        self.values[span.first : span.end] = values
        self._leaned_on[span.first : span.end] = True

    def leans(self, first: int, end: int) -> bool:
        """Whether every value of a stretch was measured or filled before."""
        return first >= 0 and end <= self.count and bool(self._leaned_on[first:end].all())

    def around(self, span: Span) -> Integers:
        """Indices of a gap and its edges; beyond the series the outermost index repeats."""
        wide = np.arange(span.first - self.edge, span.end + self.edge, dtype=np.int64)
        return np.clip(wide, 0, self.count - 1)


def running(values: Floats) -> Floats:
    """Running sum that begins with zero: the sum over [i, j) is ``sums[j] - sums[i]``."""
    sums = np.zeros(len(values) + 1)
    np.cumsum(values, out=sums[1:])
    return sums


def hold(values: Floats, longest: int) -> Floats:
    """A column with its short holes closed by a line."""
    filled = np.empty(len(values))
    states = np.empty(len(values), np.uint8)
    source = np.ascontiguousarray(values, np.float64)
    kernels.run("fill_lines", source, np.array([longest]), filled, states)
    return filled


def codes_of(labels: list[str]) -> Integers:
    """Labels as numbers in alphabetical order; an empty label is unknown.

    Example: ["B", "A", "", "B"] gives 1, 0, -1, 1.
    """
    order = {label: code for code, label in enumerate(sorted(set(labels) - {""}))}
    order[""] = UNKNOWN
    return np.array([order[label] for label in labels], np.int64)
