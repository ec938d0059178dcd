"""What a computed stream knows of its inputs, window by window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The last reading of a point before a time up to which all of them were read."""

    read_to_ms: int
    time_ms: int
    value: float


class Inputs:
    """Reads the inputs of computed streams from the book and the readings.

    ``held`` is kept by the caller between two closings, so that a point which seldom changes is
    not looked for in a whole day each time.
    """

    def __init__(
        self,
        connection: Connection,
        config: SiteConfig,
        owner: Owner,
        readings: Readings,
        held: dict[str, Held] | None = None,
    ) -> None:
        self._book = SqliteBook(connection)
        self._history = History(connection, readings)
        self._config = config
        self._owner = owner
        self._held = {} if held is None else held
        points = {point for plan in config.derived for point in plan.gauges}
        self._held_ms = {point: holds_ms(config, point) for point in sorted(points)}
        polled = [held_ms for held_ms in self._held_ms.values() if held_ms < HELD_PUSHED_MS]
        self._back_ms = max(polled, default=0)
        self._read: tuple[tuple[int, int], dict[str, Series]] | None = None

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
        starts = np.array([start for start, _ in chunk], np.int64)
        ends = starts + np.array([length for _, length in chunk], np.int64)
        start_ms, end_ms = int(starts[0]), int(ends.max())
        steps = steps_of(self._series(start_ms, end_ms)[point], self._held_ms[point], end_ms)
        means, known_ms = steps.means(starts, ends)
        resolution = self._config.points[point].resolution
        return [
            _mean(float(mean), float(known) / length, resolution)
            for mean, known, (_, length) in zip(means, known_ms, chunk, strict=True)
        ]

    def _series(self, start_ms: int, end_ms: int) -> dict[str, Series]:
        """The readings of all points in a span, each from the last one at or before its start.

        All at once, and kept for the next stream: the row table is passed in the order of time.
        """
        span = (start_ms, end_ms)
        if self._read is None or self._read[0] != span:
            read = self._history.good(list(self._held_ms), start_ms - self._back_ms, end_ms)
            found = {point: self._begun(point, read[point], start_ms) for point in read}
            for point, series in found.items():
                if series.times_ms.size:
                    self._held[point] = Held(
                        read_to_ms=end_ms,
                        time_ms=int(series.times_ms[-1]),
                        value=float(series.values[-1]),
                    )
            self._read = (span, found)
        return self._read[1]

    def _begun(self, point: str, series: Series, start_ms: int) -> Series:
        """The readings with the one before them that still holds, if none is at the start."""
        held_ms = self._held_ms[point]
        if held_ms <= self._back_ms or (series.times_ms.size and series.times_ms[0] <= start_ms):
            return series
        held = self._held.get(point)
        if held is not None and held.read_to_ms == start_ms:
            before = Series(np.array([held.time_ms], np.int64), np.array([held.value], np.float64))
        else:
            span = (start_ms - held_ms, start_ms - self._back_ms)
            before = self._history.good([point], *span)[point]
        return Series(
            np.concatenate((before.times_ms[-1:], series.times_ms)),
            np.concatenate((before.values[-1:], series.values)),
        )


def holds_ms(config: SiteConfig, point: str) -> int:
    """How long a reading of a point holds if no other follows."""
    meter = config.meters[point.partition(".")[0]]
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


def steps_of(series: Series, held_ms: int, until_ms: int) -> LoadSeries:
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
