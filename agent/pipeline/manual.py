"""Readings that people took become windows; what is overdue is told once.

What is to be done is found from the entries themselves: those after the last one that was taken
in, and the due times after the last one that was looked at. Only windows that change get a new
revision.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
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

SLICE_MS = 7 * DAY_MS  # how much is cut at once: loads may be a reading per second
OVERDUE = "manual.overdue"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualState:
    """How far a stream was taken in: its last entry, and the due times that were looked at."""

    entry: int = 0
    looked_ms: int | None = None

    def to_json(self) -> str:
        return json.dumps({"entry": self.entry, "looked_ms": self.looked_ms})

    @classmethod
    def from_json(cls, text: str | None) -> ManualState:
        return cls() if text is None else cls(**json.loads(text))


class ManualWindows:
    """Cuts the windows of the streams that people read."""

    def __init__(self, config: SiteConfig, owner: Owner, readings: Readings) -> None:
        self._config = config
        self._owner = owner
        self._readings = readings
        self._revising = Revising(config, owner)

    def is_due(self, connection: Connection, now_ms: int) -> bool:
        """Whether there is an entry to take in or a due time to look at."""
        known = StreamStates(connection).load() if self._config.manual else {}
        manual = SqliteManual(connection)
        for name, spec in self._config.manual.items():
            since_ms, text = known[name]
            state = ManualState.from_json(text)
            if manual.entered_after(self._owner, state.entry, 1, name):
                return True
            if spec.schedule.dues(*_unlooked(spec, state, since_ms, now_ms)):
                return True
        return False

    def run(self, connection: Connection, now_ms: int) -> Revised:
        """Take in what is new, in the caller's transaction."""
        states = StreamStates(connection)
        known = states.load()
        events: list[Event] = []
        windows = emissions = 0
        for name, spec in self._config.manual.items():
            since_ms, text = known[name]
            taking = _Taking(connection, self._owner, spec, self._config.window_ms)
            state = ManualState.from_json(text)
            late = taking.overdue(state, since_ms, now_ms)
            if late:
                told = _overdue_event(spec, late)
                SqliteBook(connection).add_events(self._owner, [told])
                events.append(told)
            new = SqliteManual(connection).entered_after(self._owner, state.entry, stream=name)
            drafts = taking.drafts(new, late, since_ms, self._loads(connection, spec))
            if drafts:
                cause = Cause(
                    reason=Reason.MANUAL,
                    author=", ".join(sorted({entry.author for _, entry in new})),
                    now_ms=now_ms,
                )
                revised = self._revising.book(connection, drafts, cause)
                windows += revised.windows
                emissions += revised.emissions
                events += revised.events
            state = replace(
                state,
                entry=new[-1][0] if new else state.entry,
                looked_ms=_unlooked(spec, state, since_ms, now_ms)[1],
            )
            states.save({name: state.to_json()})
        return Revised(windows=windows, emissions=emissions, events=tuple(events))

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

    def drafts(
        self,
        new: Sequence[tuple[int, ManualEntry]],
        late: Sequence[int],
        since_ms: int,
        loads: _Loads,
    ) -> list[Window]:
        """The windows that have to be booked: those that new entries change, and the overdue."""
        changed = {window.start_ms: window for window in self._touched(new, loads)}
        for window in self._absent(late, since_ms, loads):
            changed.setdefault(window.start_ms, window)
        return [changed[start_ms] for start_ms in sorted(changed)]

    def _touched(self, new: Sequence[tuple[int, ManualEntry]], loads: _Loads) -> Iterator[Window]:
        if not new:
            return
        stream, owner = self._spec.id, self._owner
        first_ms = min(
            entry.time_ms if entry.start_ms is None else entry.start_ms for _, entry in new
        )
        last_ms = max(entry.time_ms for _, entry in new)
        before = self._manual.before(owner, stream, first_ms)
        after = self._manual.after(owner, stream, last_ms)
        from_ms = before[0].time_ms if before else first_ms
        to_ms = after.time_ms if after else last_ms
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
        for window, booked in self._cut(max(start_ms, since_ms), late[-1], loads):
            if booked is None and window.value is None and window.end_ms <= late[-1]:
                yield window

    def _cut(
        self, from_ms: int, to_ms: int, loads: _Loads
    ) -> Iterator[tuple[Window, Window | None]]:
        """Every window of a span as the entries have it, beside the booked one."""
        start_ms = floor_boundary(from_ms, self._length_ms)
        end_ms = ceil_boundary(to_ms, self._length_ms)
        step_ms = max(SLICE_MS // self._length_ms, 1) * self._length_ms
        for slice_ms in range(start_ms, end_ms, step_ms):
            until_ms = min(slice_ms + step_ms, end_ms)
            entries = self._around(slice_ms, until_ms)
            windows = manual_windows(
                self._spec,
                entries,
                from_ms=slice_ms,
                to_ms=until_ms,
                length_ms=self._length_ms,
                loads=loads.between(entries[0].time_ms, entries[-1].time_ms) if entries else None,
            )
            span = Span(from_ms=slice_ms, to_ms=until_ms)
            booked = {
                window.start_ms: window
                for window in self._book.current_windows(self._owner, span, self._spec.id)
                if window.length_ms == self._length_ms
            }
            for window in windows:
                yield window, booked.get(window.start_ms)

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
    return from_ms, max(from_ms, now_ms - spec.schedule.grace_ms)


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
