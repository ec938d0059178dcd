"""Readings that people took become windows; what is overdue is told once.

What is to be done is found from the entries themselves: those after the last one that was taken
in, and the due times after the last one that was looked at. Only windows that change get a new
revision.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from agent.book.manual import SqliteManual
from agent.book.ports import Owner, Span
from agent.book.sqlite import SqliteBook
from agent.config.site import SiteConfig
from agent.core.adjustment import Reason
from agent.core.gaps.load import LoadSeries
from agent.core.manual import ManualEntry, ManualSpec
from agent.core.manual_due import overdue
from agent.core.manual_windows import manual_windows
from agent.core.model import Event, Severity, Window
from agent.core.timebase import DAY_MS, HOUR_MS, ceil_boundary, floor_boundary, iso_utc
from agent.pipeline.adjust import Cause, Revised, Revising
from agent.store.history import History
from agent.store.readings import Readings
from agent.store.state import StreamStates

if TYPE_CHECKING:
    from sqlite3 import Connection

SLICE_MS = 7 * DAY_MS  # how much is cut in one transaction: loads may be a reading per second
MOST_LOOKED_MS = 31 * DAY_MS  # how many due times are looked at in one transaction
OVERDUE = "manual.overdue"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualState:
    """How far a stream was taken in: its last entry, and the due times that were looked at.

    Of entries that were taken in, the windows in [cut_from_ms, cut_to_ms) are still to be cut.
    """

    entry: int = 0
    looked_ms: int | None = None
    cut_from_ms: int = 0
    cut_to_ms: int = 0
    authors: tuple[str, ...] = ()

    @property
    def is_cut(self) -> bool:
        return self.cut_from_ms >= self.cut_to_ms

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | None) -> ManualState:
        if text is None:
            return cls()
        fields = json.loads(text)
        return cls(**{**fields, "authors": tuple(fields.get("authors", ()))})


class ManualWindows:
    """Cuts the windows of the streams that people read."""

    def __init__(self, config: SiteConfig, owner: Owner, readings: Readings) -> None:
        self._config = config
        self._owner = owner
        self._readings = readings
        self._revising = Revising(config, owner)

    def due(self, connection: Connection, now_ms: int) -> list[str]:
        """The streams with an entry to take in, windows to cut or a due time to look at."""
        known = StreamStates(connection).load() if self._config.manual else {}
        newest = SqliteManual(connection).newest()
        found = []
        for name, spec in self._config.manual.items():
            since_ms, text = known[name]
            state = ManualState.from_json(text)
            late = spec.schedule.dues(*_unlooked(spec, state, since_ms, now_ms))
            if newest > state.entry or not state.is_cut or late:
                found.append(name)
        return found

    def run(self, connection: Connection, name: str, now_ms: int) -> Revised:
        """Take in the next of what is new of one stream, in the caller's transaction."""
        states = StreamStates(connection)
        spec, (since_ms, text) = self._config.manual[name], states.load()[name]
        state = ManualState.from_json(text)
        taking = _Taking(connection, self._owner, spec, self._config.window_ms)
        loads = self._loads(connection, spec)
        events: list[Event] = []
        late = taking.overdue(state, since_ms, now_ms)
        if late:
            events.append(_overdue_event(spec, late))
            SqliteBook(connection).add_events(self._owner, events)
        state = taking.taken(state)
        until_ms = min(state.cut_to_ms, state.cut_from_ms + SLICE_MS)
        drafts = taking.drafts((state.cut_from_ms, until_ms), late, since_ms, loads)
        cause = Cause(reason=Reason.MANUAL, author=", ".join(state.authors), now_ms=now_ms)
        revised = self._revising.book(connection, drafts, cause)
        looked_ms = _unlooked(spec, state, since_ms, now_ms)[1]
        state = replace(state, cut_from_ms=until_ms, looked_ms=looked_ms)
        states.save({name: (replace(state, authors=()) if state.is_cut else state).to_json()})
        return replace(revised, events=(*events, *revised.events))

    def _loads(self, connection: Connection, spec: ManualSpec) -> _Loads:
        return _Loads(History(connection, self._readings), spec.stream.load)


@dataclass(frozen=True, slots=True)
class _Loads:
    history: History
    point: str | None

    def between(self, from_ms: int, to_ms: int) -> LoadSeries | None:
        """The load of a span, with what held when it began."""
        if self.point is None:
            return None
        series = self.history.good([self.point], from_ms - HOUR_MS, to_ms)[self.point]
        return LoadSeries(times_ms=series.times_ms, values=series.values)


class _Taking:
    """One stream, its entries and its booked windows."""

    def __init__(
        self, connection: Connection, owner: Owner, spec: ManualSpec, length_ms: int
    ) -> None:
        self._manual = SqliteManual(connection)
        self._book = SqliteBook(connection)
        self._owner = owner
        self._spec = spec
        self._length_ms = length_ms

    def overdue(self, state: ManualState, since_ms: int, now_ms: int) -> list[int]:
        """The due times that became overdue since the last look."""
        from_ms, to_ms = _unlooked(self._spec, state, since_ms, now_ms)
        if not self._spec.schedule.dues(from_ms, to_ms):
            return []
        entries = self._manual.between(
            self._owner, self._spec.id, from_ms - self._spec.stream.period_ms, now_ms
        )
        return overdue(self._spec, entries, from_ms, to_ms + self._spec.schedule.grace_ms)

    def taken(self, state: ManualState) -> ManualState:
        """The state with what was entered since, and with the span whose windows that touches."""
        manual, owner, stream = self._manual, self._owner, self._spec.id
        new = [entry for _, entry in manual.entered_after(owner, state.entry, stream=stream)]
        state = replace(state, entry=manual.newest())
        if not new:
            return state
        first_ms = min(manual.begins_ms(owner, entry) for entry in new)
        last_ms = max(entry.time_ms for entry in new)
        before = manual.before(owner, stream, first_ms)
        after = manual.after(owner, stream, last_ms)
        from_ms = floor_boundary(before[0].time_ms if before else first_ms, HOUR_MS)
        to_ms = ceil_boundary(after.time_ms if after else last_ms, HOUR_MS)
        if not state.is_cut:
            from_ms, to_ms = min(from_ms, state.cut_from_ms), max(to_ms, state.cut_to_ms)
        authors = {*state.authors, *(entry.author for entry in new)}
        return replace(state, cut_from_ms=from_ms, cut_to_ms=to_ms, authors=tuple(sorted(authors)))

    def drafts(
        self, span: tuple[int, int], late: Sequence[int], since_ms: int, loads: _Loads
    ) -> list[Window]:
        """The windows that have to be booked: what changes in a span, and the overdue."""
        changed = {_key(window): window for window in self._touched(*span, loads)}
        for window in self._absent(late, since_ms, loads):
            changed.setdefault(_key(window), window)
        return [changed[key] for key in sorted(changed)]

    def _touched(self, from_ms: int, to_ms: int, loads: _Loads) -> Iterator[Window]:
        for window, booked in self._cut(from_ms, to_ms, loads):
            if (window.value is not None or booked is not None) and not _same(window, booked):
                yield window

    def _absent(self, late: Sequence[int], since_ms: int, loads: _Loads) -> Iterator[Window]:
        """Windows that nobody wrote down and that are not in the book."""
        if not late:
            return
        start_ms = self._spec.schedule.before(late[0])
        last = self._manual.before(self._owner, self._spec.id, late[-1] + 1)
        if last:  # it may have been taken a little before its due time
            earliest_ms = start_ms - self._spec.stream.period_ms
            start_ms = min(start_ms, max(last[0].time_ms, earliest_ms))
        since_ms = ceil_boundary(since_ms, self._length_ms)
        from_ms = floor_boundary(max(start_ms, since_ms), self._length_ms)
        for window, booked in self._cut(from_ms, late[-1], loads):
            inside = from_ms <= window.start_ms and window.end_ms <= late[-1]
            if booked is None and window.value is None and inside:
                yield window

    def _cut(
        self, from_ms: int, to_ms: int, loads: _Loads
    ) -> Iterator[tuple[Window, Window | None]]:
        """Every window of the hours of a span as the entries have it, beside the booked one.

        All lengths divide the hour: one of which something is booked keeps its length, also when
        the site file has another one since.
        """
        end_ms = ceil_boundary(to_ms, HOUR_MS)
        for slice_ms in range(floor_boundary(from_ms, HOUR_MS), end_ms, SLICE_MS):
            span = Span(from_ms=slice_ms, to_ms=min(slice_ms + SLICE_MS, end_ms))
            booked = self._book.current_windows(self._owner, span, self._spec.id)
            lengths = {window.start_ms // HOUR_MS: window.length_ms for window in booked}
            former = {_key(window): window for window in booked}
            for length_ms in {self._length_ms, *lengths.values()}:
                for window in self._windows(span, length_ms, loads):
                    if length_ms == lengths.get(window.start_ms // HOUR_MS, self._length_ms):
                        yield window, former.get(_key(window))

    def _windows(self, span: Span, length_ms: int, loads: _Loads) -> list[Window]:
        entries = self._around(span.from_ms, span.to_ms)
        return manual_windows(
            self._spec,
            entries,
            from_ms=span.from_ms,
            to_ms=span.to_ms,
            length_ms=length_ms,
            loads=loads.between(entries[0].time_ms, entries[-1].time_ms) if entries else None,
        )

    def _around(self, from_ms: int, to_ms: int) -> list[ManualEntry]:
        """The entries of a span and the one on each side of it."""
        stream, owner = self._spec.id, self._owner
        after = self._manual.after(owner, stream, to_ms)
        return [
            *self._manual.before(owner, stream, from_ms),
            *self._manual.between(owner, stream, from_ms, to_ms),
            *([after] if after else []),
        ]


def _unlooked(spec: ManualSpec, state: ManualState, since_ms: int, now_ms: int) -> tuple[int, int]:
    """The span of due times that were not looked at, as far as their grace has passed."""
    from_ms = since_ms if state.looked_ms is None else state.looked_ms
    to_ms = min(now_ms - spec.schedule.grace_ms, from_ms + MOST_LOOKED_MS)
    return from_ms, max(from_ms, to_ms)


def _key(window: Window) -> tuple[int, int]:
    return window.start_ms, window.length_ms


def _same(window: Window, booked: Window | None) -> bool:
    return booked is not None and (window.value, window.provenance, window.method) == (
        booked.value,
        booked.provenance,
        booked.method,
    )


def _overdue_event(spec: ManualSpec, late: Sequence[int]) -> Event:
    return Event(
        time_ms=late[-1],
        code=OVERDUE,
        subject=spec.id,
        severity=Severity.WARNING,
        detail=f"due={iso_utc(late[-1])} missed={len(late)}",
    )
