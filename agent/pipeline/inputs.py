"""What a computed stream knows of its inputs, window by window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from agent.book.ports import Owner, Span
from agent.book.sqlite import SqliteBook
from agent.config.site import DerivedPlan, SiteConfig
from agent.core.gaps.load import LoadSeries
from agent.core.model import Provenance, Window
from agent.core.timebase import DAY_MS, HOUR_MS
from agent.core.virtual import Amount
from agent.store.history import History
from agent.store.readings import Readings, Series

if TYPE_CHECKING:
    from sqlite3 import Connection

Key = tuple[int, int]  # start and length of a window, in ms

HELD_PERIODS = 4  # a polled point keeps its value over so many missed readings
HELD_PUSHED_MS = DAY_MS  # a server that pushes changes only is silent while nothing changes
CHUNK_MS = 6 * HOUR_MS  # windows further apart are read one by one
MOST_MISSED = 0.5  # of a window: with less read, its mean is an estimate


class Inputs:
    """Reads the inputs of computed streams from the book and the readings."""

    def __init__(
        self, connection: Connection, config: SiteConfig, owner: Owner, readings: Readings
    ) -> None:
        self._book = SqliteBook(connection)
        self._history = History(connection, readings)
        self._config = config
        self._owner = owner

    def of(self, plan: DerivedPlan, keys: Iterable[Key]) -> Iterator[tuple[Key, dict[str, Amount]]]:
        """The amounts of every window of which all input windows are there, by time."""
        for chunk in chunks(sorted(keys)):
            windows = {name: self.windows(name, chunk) for name in plan.streams}
            means = {name: self._means(name, chunk) for name in plan.gauges}
            for place, key in enumerate(chunk):
                if all(key in windows[name] for name in plan.streams):
                    found = {name: _amount(windows[name][key]) for name in plan.streams}
                    found |= {name: means[name][place] for name in plan.gauges}
                    yield key, found

    def windows(self, stream: str, chunk: Sequence[Key]) -> Mapping[Key, Window]:
        """The current windows of a stream in the span of a chunk, by their key."""
        span = Span(from_ms=chunk[0][0], to_ms=chunk[-1][0] + 1)
        return {
            (window.start_ms, window.length_ms): window
            for window in self._book.current_windows(self._owner, span, stream)
        }

    def _means(self, point: str, chunk: Sequence[Key]) -> list[Amount]:
        held_ms = self._held_ms(point)
        starts = np.array([start for start, _ in chunk], np.int64)
        ends = starts + np.array([length for _, length in chunk], np.int64)
        series = self._history.good([point], int(starts[0]) - held_ms, int(ends.max()))[point]
        means, known_ms = _steps(series, held_ms, int(ends.max())).means(starts, ends)
        resolution = self._config.points[point].resolution
        return [
            _mean(float(mean), float(known) / length, resolution)
            for mean, known, (_, length) in zip(means, known_ms, chunk, strict=True)
        ]

    def _held_ms(self, point: str) -> int:
        meter = self._config.meters[point.partition(".")[0]]
        if meter.bus.driver == "opcua":
            return HELD_PUSHED_MS
        return round(HELD_PERIODS * meter.section.period_s * 1000) + 1000


def chunks(keys: Sequence[Key]) -> Iterator[list[Key]]:
    """Sorted keys in runs that are worth reading at once."""
    run: list[Key] = []
    for key in keys:
        if run and key[0] - run[-1][0] > CHUNK_MS:
            yield run
            run = []
        run.append(key)
    if run:
        yield run


def _steps(series: Series, held_ms: int, until_ms: int) -> LoadSeries:
    """The readings as steps that end when no reading confirmed them in time."""
    times, values = series.times_ms, series.values
    following = np.append(times[1:], until_ms)
    lapsed = following - times > held_ms
    ends = times[lapsed] + held_ms
    merged = np.concatenate([times, ends])
    order = np.argsort(merged, kind="stable")
    steps = np.concatenate([values, np.full(len(ends), np.nan)])
    return LoadSeries(times_ms=merged[order], values=steps[order])


def _amount(window: Window) -> Amount:
    return Amount(
        value=window.value,
        provenance=window.provenance,
        lower=window.lower,
        upper=window.upper,
        coverage=window.coverage,
        maintenance=window.maintenance,
        revision=window.revision,
    )


def _mean(mean: float, coverage: float, resolution: float) -> Amount:
    if mean != mean:  # nothing was read
        return Amount(value=None, provenance=Provenance.MISSING, coverage=0.0)
    is_read = coverage >= MOST_MISSED
    return Amount(
        value=mean,
        provenance=Provenance.MEASURED if is_read else Provenance.ESTIMATED,
        lower=mean - resolution if is_read else None,
        upper=mean + resolution if is_read else None,
        coverage=coverage,
    )
