"""Closing windows: readings to windows, windows to emissions, all in one transaction.

What is due is computed from the store, never from a timer: each stream's state says how far its
windows are closed, so a close that was missed is made up and one that was done is not repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.book.ports import Owner
from agent.book.sqlite import SqliteBook
from agent.config.site import SiteConfig, SourcePlan
from agent.core.carbon.booking import emission_of
from agent.core.model import Emission, Sample, StreamSpec, Window
from agent.core.windows import Closing, LoadSeries, StreamState, close_windows
from agent.store.readings import Readings, Series
from agent.store.state import StreamStates

if TYPE_CHECKING:
    from sqlite3 import Connection

Latest = Callable[[str], Sample | None]

LONGEST_STEP_MS = 6 * 3_600_000  # how much is closed in one transaction
MISSED_PERIODS = 4  # readings further apart than this many periods leave a gap


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """What one closing booked."""

    until_ms: int
    windows: int
    emissions: int
    events: int


def settle_ms(config: SiteConfig) -> int:
    """How long after a boundary a window is closed: the slowest meter has answered by then."""
    slowest_ms = max((stream.period_ms for stream in config.streams.values()), default=1000)
    return 2 * slowest_ms + 1000


def max_gap_ms(stream: StreamSpec) -> int:
    """Good readings of the stream further apart than this have a gap between them."""
    return MISSED_PERIODS * stream.period_ms + 1000


class WindowCloser:
    """Closes the windows of all streams of one gateway."""

    def __init__(
        self, config: SiteConfig, owner: Owner, readings: Readings, latest: Latest
    ) -> None:
        self._config = config
        self._owner = owner
        self._readings = readings
        self._latest = latest
        self._scanned_to_ms: dict[str, int] = {}
        self._sources: dict[str, list[SourcePlan]] = {}
        for source in config.sources.values():
            self._sources.setdefault(source.section.stream, []).append(source)

    def due_until_ms(self, now_ms: int) -> int:
        """The last window boundary that can be closed now."""
        length_ms = self._config.window_ms
        return (now_ms - settle_ms(self._config)) // length_ms * length_ms

    def noticed(self, earliest_ms: Mapping[str, int]) -> None:
        """Readings were written; any of them older than what was scanned is scanned again."""
        for point, time_ms in earliest_ms.items():
            if time_ms < self._scanned_to_ms.get(point, 0):
                self._scanned_to_ms[point] = time_ms

    def next_until_ms(self, connection: Connection, target_ms: int) -> int | None:
        """The boundary of the next transaction on the way to the target; None when there."""
        closed_to = [
            StreamState.from_json(state).closed_to_ms if state else since_ms
            for stream, (since_ms, state) in StreamStates(connection).load().items()
            if stream in self._config.streams
        ]
        if not closed_to or min(closed_to) >= target_ms:
            return None
        length_ms = self._config.window_ms
        step_ms = max(LONGEST_STEP_MS // length_ms, 1) * length_ms
        return min(target_ms, min(closed_to) // length_ms * length_ms + step_ms)

    def close(self, connection: Connection, until_ms: int, now_ms: int) -> Closed:
        """Close every stream up to the boundary, in the caller's transaction."""
        states = StreamStates(connection)
        book = SqliteBook(connection)
        known = states.load()
        windows: list[Window] = []
        saved: dict[str, str] = {}
        events = 0
        for name, (state, series, loads) in self._inputs(known, until_ms, now_ms).items():
            stream = self._config.streams[name]
            closing = close_windows(
                stream,
                state,
                series.times_ms,
                series.values,
                until_ms=until_ms,
                length_ms=self._config.window_ms,
                loads=loads,
                max_gap_ms=max_gap_ms(stream),
            )
            self._remember(name, series, closing, now_ms)
            windows.extend(closing.windows)
            book.add_endpoints(self._owner, closing.endpoints)
            events += book.add_events(self._owner, closing.events)
            if closing.state is not None:
                saved[name] = closing.state.to_json()
        windows = self._numbered(book, windows)
        emissions = self._emissions(book, windows)
        book.add_windows(self._owner, windows)
        book.add_emissions(self._owner, emissions)
        states.save(saved)
        return Closed(
            until_ms=until_ms, windows=len(windows), emissions=len(emissions), events=events
        )

    def _inputs(
        self, known: Mapping[str, tuple[int, str | None]], until_ms: int, now_ms: int
    ) -> dict[str, tuple[StreamState | None, Series, LoadSeries | None]]:
        states: dict[str, StreamState | None] = {}
        from_ms: dict[str, int] = {}
        for name in self._config.streams:
            since_ms, text = known[name]
            state = states[name] = StreamState.from_json(text) if text else None
            resume_ms = state.resume_ms + 1 if state else since_ms
            from_ms[name] = max(resume_ms, self._scanned_to_ms.get(name, 0))
        if not from_ms:
            return {}
        loads = {stream.load for stream in self._config.streams.values() if stream.load}
        start_ms = min(from_ms.values())
        found = self._readings.good([*from_ms, *loads], start_ms, now_ms + 1)
        return {
            name: (
                state,
                _after(found[name], from_ms[name]),
                self._load_series(self._config.streams[name].load, found),
            )
            for name, state in states.items()
        }

    def _load_series(self, point: str | None, found: Mapping[str, Series]) -> LoadSeries | None:
        """A load that did not change was not sent again: its last value still holds."""
        if point is None:
            return None
        series = found[point]
        if series.times_ms.size:
            return LoadSeries(series.times_ms, series.values)
        last = self._latest(point)
        if last is None or last.value is None:
            return None
        return LoadSeries.constant(last.time_ms, last.value)

    def _remember(self, name: str, series: Series, closing: Closing, now_ms: int) -> None:
        """A silent stream is not scanned from the beginning of its silence each time."""
        if series.times_ms.size:
            self._scanned_to_ms.pop(name, None)
        elif closing.state is not None:
            self._scanned_to_ms[name] = now_ms - max_gap_ms(self._config.streams[name])

    def _numbered(self, book: SqliteBook, windows: list[Window]) -> list[Window]:
        keys = [(window.stream, window.start_ms, window.length_ms) for window in windows]
        revisions = book.next_revisions(self._owner, "stream", keys)
        return [
            replace(window, revision=revisions[key])
            for window, key in zip(windows, keys, strict=True)
        ]

    def _emissions(self, book: SqliteBook, windows: list[Window]) -> list[Emission]:
        drafts = [
            emission_of(
                source.id,
                window,
                source.factor,
                share=source.section.share,
                uncertainty_activity_pct=source.section.uncertainty_activity_pct or 0.0,
            )
            for window in windows
            for source in self._sources.get(window.stream, ())
        ]
        keys = [(draft.source, draft.start_ms, draft.length_ms) for draft in drafts]
        revisions = book.next_revisions(self._owner, "source", keys)
        return [
            replace(draft, revision=revisions[key]) for draft, key in zip(drafts, keys, strict=True)
        ]


def _after(series: Series, from_ms: int) -> Series:
    first = int(series.times_ms.searchsorted(from_ms))
    return Series(series.times_ms[first:], series.values[first:])
