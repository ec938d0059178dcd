"""Closing windows: readings to windows, windows to emissions, all in one transaction.

What is due is computed from the store, never from a timer: each stream's state says how far its
windows are closed, so a close that was missed is made up and one that was done is not repeated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from agent.book.ports import Owner
from agent.book.sqlite import SqliteBook
from agent.config.site import SiteConfig
from agent.core.gaps.load import LoadSeries
from agent.core.model import (
    Event,
    Provenance,
    Sample,
    Severity,
    StreamSpec,
    Window,
)
from agent.core.streamstate import StreamState
from agent.core.timebase import HOUR_MS, ceil_boundary, floor_boundary, iso_utc
from agent.core.windows import Closing, close_windows
from agent.pipeline.booking import Booking
from agent.pipeline.virtual import Derivation
from agent.store.corrections import Corrections
from agent.store.history import History
from agent.store.readings import Readings, Series
from agent.store.state import StreamStates

if TYPE_CHECKING:
    from sqlite3 import Connection

Latest = Callable[[str], Sample | None]

LONGEST_STEP_MS = 6 * 3_600_000  # how much is closed in one transaction
FIRST_ANSWER_MS = 60_000  # a start takes a while on a slow box with a busy bus
MISSED_PERIODS = 4  # readings further apart than this many periods leave a gap


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """What one closing booked."""

    until_ms: int
    windows: int
    emissions: int
    events: tuple[Event, ...]


def settle_ms(config: SiteConfig) -> int:
    """How long after a boundary a window is closed: the slowest meter has answered by then."""
    slowest_ms = max((stream.period_ms for stream in config.metered.values()), default=1000)
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
        self._metered = config.metered
        self._owner = owner
        self._readings = readings
        self._latest = latest
        self._held_loads: dict[str, tuple[int, float]] = {}
        self._damaged: set[tuple[str, int]] = set()  # found in sealed hours
        self._told_damaged: set[tuple[str, int]] = set()
        self._booking = Booking(owner, config.sources.values())
        self._derivation = Derivation(config, owner, readings, self._booking)

    def due_until_ms(self, now_ms: int) -> int:
        """The last window boundary that can be closed now."""
        length_ms = self._config.window_ms
        return (now_ms - settle_ms(self._config)) // length_ms * length_ms

    def closed_to_ms(self, connection: Connection) -> int:
        """A reading up to this time may come too late for the window it belongs to."""
        known = StreamStates(connection).load()
        texts = [known[stream][1] for stream in self._metered if stream in known]
        return max((StreamState.from_json(text).closed_to_ms for text in texts if text), default=0)

    def steps(self, connection: Connection, target_ms: int) -> list[int]:
        """The boundaries of the transactions on the way to the target; none when there.

        A stream without a closed window takes part in the last step only.
        """
        states = StreamStates(connection).load()
        closed_to = [
            StreamState.from_json(text).closed_to_ms if text else None
            for text in (states[stream][1] for stream in self._metered)
        ]
        begun = [time_ms for time_ms in closed_to if time_ms is not None]
        if not closed_to or (len(begun) == len(closed_to) and min(begun) >= target_ms):
            return []
        length_ms = self._config.window_ms
        step_ms = max(LONGEST_STEP_MS // length_ms, 1) * length_ms
        return [*range(min(begun, default=target_ms) + step_ms, target_ms, step_ms), target_ms]

    def close(self, connection: Connection, until_ms: int, now_ms: int) -> Closed:
        """Close every stream up to the boundary, in the caller's transaction."""
        states = StreamStates(connection)
        book = SqliteBook(connection)
        known = self._known(states)
        windows: list[Window] = []
        saved: dict[str, str] = {}
        events: list[Event] = []
        replaced = Corrections(connection).replacements()
        for name, (state, series, loads) in self._inputs(connection, known, now_ms).items():
            stream = replace(self._metered[name], replacements=replaced.get(name, ()))
            length_ms, end_ms = self._cutting(state, until_ms)
            closing = close_windows(
                stream,
                state,
                series.times_ms,
                series.values,
                until_ms=end_ms,
                length_ms=length_ms,
                loads=loads,
                max_gap_ms=max_gap_ms(stream),
                known_to_ms=now_ms,
            )
            if state is None:
                told = book.number(self._owner, "stream", name) is not None
                silent = self._never_read(stream, known[name][0], closing, end_ms, told=told)
                windows.extend(silent)
                if silent and closing.state is None:
                    states.begin_at(name, silent[-1].end_ms)
                if silent and not told:
                    events.append(_never_read_event(name, silent[0].start_ms))
            windows.extend(closing.windows)
            book.add_endpoints(self._owner, closing.endpoints)
            events += closing.events
            if closing.state is not None:
                saved[name] = closing.state.to_json()
                self._hold_load(name, loads, closing.state.resume_ms)
        events += self._damage_events(now_ms)
        windows, emissions = self._booking.add(book, windows)
        book.add_events(self._owner, events)
        states.save(saved)
        derived = self._derivation.close(connection, until_ms)
        return Closed(
            until_ms=until_ms,
            windows=len(windows) + derived.windows,
            emissions=len(emissions) + derived.emissions,
            events=(*events, *derived.events),
        )

    def _known(self, states: StreamStates) -> dict[str, tuple[int, str | None]]:
        """The states of all streams; a point that was a counter and is a rate now begins anew."""
        known = states.load()
        for name, stream in self._metered.items():
            text = known[name][1]
            state = StreamState.from_json(text) if text else None
            if state is not None and state.kind is not stream.kind:
                states.begin_anew(name, state.closed_to_ms)
                known[name] = (state.closed_to_ms, None)
        return known

    def is_behind(self, connection: Connection) -> bool:
        """Whether computed streams have not followed what was booked since."""
        return self._derivation.is_behind(connection)

    def _never_read(
        self, stream: StreamSpec, since_ms: int, closing: Closing, until_ms: int, *, told: bool
    ) -> list[Window]:
        """Missing windows of a stream that was configured but has not answered yet.

        The window in which the gateway was started, and a moment for the first answer, are no
        silence; once silence is told of, every window up to the first reading belongs to it.
        """
        length_ms = self._config.window_ms
        end_ms = closing.windows[0].start_ms if closing.windows else until_ms
        patience_ms = max(max_gap_ms(stream), length_ms, FIRST_ANSWER_MS)
        if not told and end_ms - since_ms <= patience_ms:
            return []
        return [
            Window(
                stream=stream.id,
                start_ms=start_ms,
                length_ms=length_ms,
                revision=0,
                value=None,
                provenance=Provenance.MISSING,
                method="never-read",
                coverage=0.0,
            )
            for start_ms in range(ceil_boundary(since_ms, length_ms), end_ms, length_ms)
        ]

    def _damage_events(self, now_ms: int) -> list[Event]:
        """An alarm, once, for each sealed hour that did not match its hash."""
        new = sorted(self._damaged - self._told_damaged)
        self._told_damaged |= self._damaged
        return [damaged_event(point, hour_ms, now_ms) for point, hour_ms in new]

    def _cutting(self, state: StreamState | None, until_ms: int) -> tuple[int, int]:
        """The window length to go on with, and how far.

        After the length was changed in the site file, windows of the old length go on to the
        next boundary that both have, so that none overlaps and none is missing.
        """
        length_ms = self._config.window_ms
        if state is None or state.length_ms == length_ms:
            return length_ms, until_ms
        common_ms = ceil_boundary(state.closed_to_ms, math.lcm(length_ms, state.length_ms))
        return state.length_ms, min(floor_boundary(until_ms, state.length_ms), common_ms)

    def _inputs(
        self,
        connection: Connection,
        known: Mapping[str, tuple[int, str | None]],
        now_ms: int,
    ) -> dict[str, tuple[StreamState | None, Series, LoadSeries | None]]:
        states: dict[str, StreamState | None] = {}
        from_ms: dict[str, int] = {}
        for name in self._metered:
            since_ms, text = known[name]
            state = StreamState.from_json(text) if text else None
            state = states[name] = state and state.for_length(self._config.window_ms)
            from_ms[name] = state.resume_ms + 1 if state else since_ms
        history = History(connection, self._readings)
        found = self._read(history, from_ms, now_ms + 1)
        self._damaged |= set(history.damaged)
        return {
            name: (
                state,
                found[name, name],
                self._load_series(self._metered[name].load, name, found),
            )
            for name, state in states.items()
        }

    def _read(
        self, history: History, from_ms: Mapping[str, int], to_ms: int
    ) -> dict[tuple[str, str], Series]:
        """Readings of each stream and of its load, by (stream, point).

        Streams that go on from nearly the same time are read together: the row table is in the
        order of time and is passed once per group.
        """
        groups: dict[int, list[str]] = {}
        for name, start_ms in from_ms.items():
            groups.setdefault(start_ms // HOUR_MS, []).append(name)
        found: dict[tuple[str, str], Series] = {}
        for names in groups.values():
            start_ms = min(from_ms[name] for name in names)
            loads = {name: self._metered[name].load for name in names}
            points = [*names, *{load for load in loads.values() if load}]
            read = history.good(points, start_ms, to_ms)
            for name in names:
                found[name, name] = _after(read[name], from_ms[name])
                load = loads[name]
                if load:
                    found[name, load] = read[load]
        return found

    def _load_series(
        self, point: str | None, stream: str, found: Mapping[tuple[str, str], Series]
    ) -> LoadSeries | None:
        """A load that did not change was not sent again: its last value still holds."""
        if point is None:
            return None
        series = found[stream, point]
        times_ms, values = series.times_ms, series.values
        held = self._held_loads.get(stream) or self._latest_load(point, times_ms)
        if held is not None and (not times_ms.size or held[0] < times_ms[0]):
            times_ms = np.concatenate((np.array([held[0]], np.int64), times_ms))
            values = np.concatenate((np.array([held[1]], np.float64), values))
        return LoadSeries(times_ms=times_ms, values=values)

    def _latest_load(self, point: str, times_ms: npt.NDArray[np.int64]) -> tuple[int, float] | None:
        last = self._latest(point)
        if times_ms.size or last is None or last.value is None:
            return None
        return last.time_ms, last.value

    def _hold_load(self, stream: str, loads: LoadSeries | None, resume_ms: int) -> None:
        """Keep the load that holds when the stream's next closing begins."""
        if loads is None:
            return
        before = int(loads.times_ms.searchsorted(resume_ms, "right")) - 1
        if before >= 0:
            self._held_loads[stream] = (
                int(loads.times_ms[before]),
                float(loads.values[before]),
            )


def damaged_event(point: str, hour_ms: int, now_ms: int) -> Event:
    """The alarm for a sealed hour that cannot be used."""
    return Event(
        time_ms=now_ms,
        code="store.damaged",
        subject=point,
        severity=Severity.ALARM,
        detail=f"the sealed hour {iso_utc(hour_ms)} does not match its hash",
    )


def _never_read_event(stream: str, since_ms: int) -> Event:
    return Event(
        time_ms=since_ms,
        code="stream.never_read",
        subject=stream,
        severity=Severity.ALARM,
        detail="no reading since it was configured; its windows have no value",
    )


def _after(series: Series, from_ms: int) -> Series:
    first = int(series.times_ms.searchsorted(from_ms))
    return Series(series.times_ms[first:], series.values[first:])
