"""What a stream and its peers used in a span, as far as the store knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agent.book.manual import SqliteManual
from agent.book.ports import Owner, Span
from agent.book.sqlite import SqliteBook
from agent.core.manual import ManualEntry, ManualSpec
from agent.core.manual_peers import MOST_HISTORY, Usage
from agent.core.manual_windows import Segment, segments_of
from agent.core.timebase import HOUR_MS
from agent.store.history import History
from agent.store.readings import Readings

if TYPE_CHECKING:
    from sqlite3 import Connection

LEAST_KNOWN = 0.5  # of a span: with less, a peer or a load says nothing about it


class Usages:
    """Usages for the comparison of a reading with its peers."""

    def __init__(self, connection: Connection, owner: Owner) -> None:
        self._book = SqliteBook(connection)
        self._manual = SqliteManual(connection)
        self._history = History(connection, Readings(connection))
        self._owner = owner

    def own(self, spec: ManualSpec, entry: ManualEntry, segment: Segment) -> Usage:
        """What an entry says was used; the load is that of its device, if one is named."""
        running_h, load_h = entry.running_h, None
        if spec.stream.load is not None:
            ran_h, load_h = self._load(spec.stream.load, segment)
            running_h = ran_h if running_h is None else running_h
        return Usage(
            amount=segment.amount or 0.0,
            running_h=segment.hours if running_h is None else running_h,
            load_h=load_h,
        )

    def peers(self, spec: ManualSpec, segment: Segment) -> list[Usage]:
        """What the peers used in the same span, from their windows."""
        found = (self._peer(name, segment) for name in spec.peers)
        return [usage for usage in found if usage is not None]

    def past(self, spec: ManualSpec, entry: ManualEntry) -> list[Usage]:
        """What the entries before this one say was used, per running hour."""
        entries = self._manual.before(self._owner, spec.id, entry.time_ms, MOST_HISTORY + 1)
        ran = {one.time_ms: one.running_h for one in entries}
        return [
            Usage(amount=one.amount, running_h=ran.get(one.end_ms) or one.hours)
            for one in segments_of(spec, entries)
            if one.amount is not None
        ]

    def _peer(self, stream: str, segment: Segment) -> Usage | None:
        span = Span(from_ms=segment.start_ms, to_ms=segment.end_ms)
        windows = [
            window
            for window in self._book.current_windows(self._owner, span, stream)
            if window.value is not None and window.end_ms <= segment.end_ms
        ]
        if sum(one.length_ms for one in windows) < LEAST_KNOWN * segment.hours * HOUR_MS:
            return None
        loads = [one.load for one in windows]
        known = [load for load in loads if load is not None]
        return Usage(
            amount=sum(one.value or 0.0 for one in windows),
            running_h=sum(one.length_ms for one in windows if one.value) / HOUR_MS,
            load_h=sum(
                load * one.length_ms / HOUR_MS for load, one in zip(known, windows, strict=True)
            )
            if len(known) == len(loads)
            else None,
        )

    def _load(self, point: str, segment: Segment) -> tuple[float | None, float | None]:
        """Hours with a load above zero, and the load summed over time; None where not known."""
        series = self._history.good([point], segment.start_ms - HOUR_MS, segment.end_ms)[point]
        edges = np.append(np.maximum(series.times_ms, segment.start_ms), segment.end_ms)
        lengths_h = np.diff(edges) / HOUR_MS
        if lengths_h.sum() < LEAST_KNOWN * segment.hours:
            return None, None
        values = np.maximum(series.values, 0.0)
        return float(lengths_h[values > 0].sum()), float((values * lengths_h).sum())
