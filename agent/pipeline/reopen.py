"""Windows cut again: after late readings, repaired ones, and meters declared replaced.

Readings up to a closed boundary that come late are noted by the hour (`agent.store.corrections`).
Here the stream is cut once more around them, from all readings that are kept, and what now differs
is booked as new revisions; every other window stays as it is, and so do the former revisions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from agent.book.ports import Owner, Span
from agent.book.sqlite import SqliteBook
from agent.config.site import SiteConfig
from agent.core.adjustment import Reason
from agent.core.counters import CounterState
from agent.core.cut import DECIMALS, edge_ms
from agent.core.gaps.booked import BY_REGISTER, FILLED, PROVISIONAL
from agent.core.gaps.load import LoadSeries
from agent.core.model import Endpoint, Event, Provenance, Severity, StreamSpec, Window
from agent.core.streamstate import StreamState, fold
from agent.core.timebase import DAY_MS, HOUR_MS, iso_utc
from agent.core.windows import SHORT_GAP_MS, Closing, close_windows
from agent.pipeline.adjust import Cause, Revising
from agent.pipeline.close import Closed, damaged_event, max_gap_ms
from agent.pipeline.substitution import METHOD
from agent.store.corrections import Corrections
from agent.store.history import History
from agent.store.models import DerivedMarks
from agent.store.readings import Readings
from agent.store.state import StreamStates

if TYPE_CHECKING:
    from sqlite3 import Connection

ALIKE = 2e-6  # two cuts of the same readings differ by the rounding of two boundaries at most
MOST_HOURS = 24 * 31  # noted hours that are cut again in one transaction
_BY_PEOPLE = (Provenance.MANUAL, Provenance.VERIFIED)
_BY_REGISTER = (Provenance.MEASURED, Provenance.ALLOCATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class LateSpan:
    """Neighbouring hours of one stream that are to be cut again."""

    stream: str
    hours_ms: tuple[int, ...]

    @property
    def from_ms(self) -> int:
        return self.hours_ms[0]

    @property
    def to_ms(self) -> int:
        return self.hours_ms[-1] + HOUR_MS


class Reopener:
    """Cuts closed windows of one gateway again where their readings changed."""

    def __init__(self, config: SiteConfig, owner: Owner, readings: Readings) -> None:
        self._metered = config.metered
        self._derived = config.derived
        self._owner = owner
        self._readings = readings
        self._revising = Revising(config, owner)

    def due(self, connection: Connection) -> Iterator[LateSpan]:
        """What has been noted, in spans that hold the store briefly."""
        for stream, hours in Corrections(connection).late_hours().items():
            first = 0
            for index in range(1, len(hours) + 1):
                ends = index == len(hours) or hours[index] != hours[index - 1] + HOUR_MS
                if ends or index - first == MOST_HOURS:
                    yield LateSpan(stream=stream, hours_ms=tuple(hours[first:index]))
                    first = index

    def recut(self, connection: Connection, late: LateSpan, now_ms: int) -> Closed:
        """Book new revisions of what changed around the span, in the caller's transaction."""
        corrections = Corrections(connection)
        corrections.forget_late(late.stream, late.hours_ms)
        spec = self._metered.get(late.stream)
        _, text = StreamStates(connection).load().get(late.stream, (0, None))
        if spec is None:
            self._compute_again(connection, late)
        if spec is None or text is None:
            return Closed(until_ms=late.to_ms, windows=0, emissions=0, events=())
        spec = replace(spec, replacements=corrections.replacements().get(spec.id, ()))
        state = StreamState.from_json(text)
        book = SqliteBook(connection)
        # a gap beside the hours ends there; one beside these windows must be seen whole too
        touched = self._beside(connection, spec.id, Span(from_ms=late.from_ms, to_ms=late.to_ms))
        goes_on = late.to_ms > state.resume_ms  # the next closing goes on from what changed
        if goes_on:
            touched = replace(touched, to_ms=max(touched.to_ms, state.open_from_ms))
        seen = self._beside(connection, spec.id, touched)
        until_ms = min(touched.to_ms, state.open_from_ms)
        booked = {
            (window.start_ms, window.length_ms): window
            for window in book.current_windows(self._owner, touched, spec.id)
            if window.end_ms <= until_ms
        }
        history = History(connection, self._readings)
        drafts: list[Window] = []
        anew: StreamState | None = None
        lengths = {length_ms for _, length_ms in booked} | ({state.length_ms} if goes_on else set())
        for length_ms in sorted(lengths):
            closing = _cut(history, spec, seen, until_ms, now_ms, length_ms)
            if history.damaged:  # what was booked from these readings is better than without them
                alarms = tuple(damaged_event(*each, now_ms) for each in history.damaged)
                book.add_events(self._owner, alarms)
                return Closed(until_ms=late.to_ms, windows=0, emissions=0, events=alarms)
            changed = [
                replace(window, maintenance=booked[key].maintenance)
                for window in closing.windows
                if (key := (window.start_ms, length_ms)) in booked and _differs(window, booked[key])
            ]
            changed = _without_reshaped(changed, booked)
            drafts += changed
            ahead = self._ahead(connection, closing.endpoints)
            if ahead is not None:
                book.add_endpoints(self._owner, _endpoints(closing.endpoints, changed, *ahead))
            if goes_on and length_ms == state.length_ms and closing.state is not None:
                anew = _resumed(state, closing.state, None if ahead is None else ahead[0])
        cause = Cause(reason=Reason.LATE, author="gateway", now_ms=now_ms)
        revised = self._revising.book(connection, drafts, cause)
        if anew is not None:
            anew = self._issued(book, spec.id, anew)
            StreamStates(connection).save({spec.id: anew.to_json()})
        events = _events(spec, late, now_ms, booked, drafts)
        book.add_events(self._owner, events)
        return Closed(
            until_ms=late.to_ms,
            windows=revised.windows,
            emissions=revised.emissions,
            events=(*events, *revised.events),
        )

    def _compute_again(self, connection: Connection, late: LateSpan) -> None:
        """Streams that are computed from means of a point follow its readings too."""
        known = StreamStates(connection).load()
        for plan in self._derived:
            if plan.booked and late.stream in plan.gauges:
                since_ms = max(late.from_ms, known[plan.id][0])
                DerivedMarks(connection).compute_again(plan.id, since_ms)

    def _beside(self, connection: Connection, stream: str, span: Span) -> Span:
        """The span widened to the nearest windows with readings in them on both sides."""
        series = SqliteBook(connection).number(self._owner, "stream", stream)
        read = "FROM windows WHERE series = ? AND coverage > 0 AND start_ms"
        before = connection.execute(
            f"SELECT start_ms {read} < ? ORDER BY start_ms DESC LIMIT 1", (series, span.from_ms)
        ).fetchone()
        after = connection.execute(
            f"SELECT start_ms + length_ms {read} >= ? ORDER BY start_ms LIMIT 1",
            (series, span.to_ms),
        ).fetchone()
        return Span(
            from_ms=span.from_ms if before is None else before[0],
            to_ms=span.to_ms if after is None else after[0],
        )

    def _ahead(
        self, connection: Connection, ends: Sequence[Endpoint]
    ) -> tuple[float, Sequence[Endpoint]] | None:
        """By how much the booked amounts are ahead of a cut's, and its end points that are booked.

        A cut counts from its own first reading: the end points that both have tell.
        """
        if not ends:
            return None
        rows = connection.execute(
            "SELECT boundary_ms, time_ms, accumulated FROM endpoints WHERE series = ? "
            "AND boundary_ms >= ? AND boundary_ms <= ? ORDER BY id",
            (
                SqliteBook(connection).number(self._owner, "stream", ends[0].stream),
                ends[0].boundary_ms,
                ends[-1].boundary_ms,
            ),
        )
        booked = {boundary_ms: (time_ms, amount) for boundary_ms, time_ms, amount in rows}
        known = [end for end in ends if booked.get(end.boundary_ms, (None,))[0] == end.time_ms]
        if not known:
            return None
        return booked[known[0].boundary_ms][1] - known[0].accumulated, known

    def _issued(self, book: SqliteBook, stream: str, state: StreamState) -> StreamState:
        """The state with the windows that it may still supersede, as they are booked."""
        span = Span(from_ms=state.open_from_ms, to_ms=state.closed_to_ms)
        windows = {
            window.start_ms: (window.value, window.provenance)
            for window in book.current_windows(self._owner, span, stream)
            if window.length_ms == state.length_ms
        }
        return replace(state, issued=fold(windows, state.length_ms))


def _resumed(former: StreamState, cut: StreamState, ahead: float | None) -> StreamState:
    """Where the next closing goes on after a new cut, counting as the former state did."""
    if ahead is None:
        begun = former.boundary_accumulated, cut.boundary_accumulated
        ahead = 0.0 if None in begun else (begun[0] or 0.0) - (begun[1] or 0.0)
    anchor, boundary = cut.anchor, cut.boundary_accumulated
    return replace(
        cut,
        anchor=replace(anchor, offset=anchor.offset + ahead)
        if isinstance(anchor, CounterState)
        else replace(anchor, accumulated=anchor.accumulated + ahead),
        boundary_accumulated=None if boundary is None else round(boundary + ahead, DECIMALS),
        decided_ms=former.decided_ms,
        closed_to_ms=max(former.closed_to_ms, cut.closed_to_ms),
        gap_opened_ms=former.gap_opened_ms,
    )


def _endpoints(
    ends: Sequence[Endpoint], changed: Sequence[Window], ahead: float, known: Sequence[Endpoint]
) -> list[Endpoint]:
    """The end points of changed windows that another reading gives now."""
    touched = {bound for window in changed for bound in (window.start_ms, window.end_ms)}
    return [
        replace(end, accumulated=round(end.accumulated + ahead, DECIMALS))
        for end in ends
        if end.boundary_ms in touched and end not in known
    ]


def _cut(
    history: History,
    spec: StreamSpec,
    seen: Span,
    until_ms: int,
    now_ms: int,
    length_ms: int,
) -> Closing:
    """The span as all readings that are kept now cut it."""
    reach_ms = SHORT_GAP_MS + 2 * edge_ms(spec, length_ms)
    from_ms, to_ms = seen.from_ms - reach_ms, min(seen.to_ms + reach_ms, now_ms + 1)
    series = history.good([spec.id], from_ms, to_ms)[spec.id]
    return close_windows(
        spec,
        None,
        series.times_ms,
        series.values,
        until_ms=until_ms,
        length_ms=length_ms,
        loads=_loads(history, spec.load, from_ms, to_ms),
        max_gap_ms=max_gap_ms(spec),
        known_to_ms=to_ms,
    )


def _loads(history: History, point: str | None, from_ms: int, to_ms: int) -> LoadSeries | None:
    """The load in a span and a day before it: a load that did not change was not sent again."""
    if point is None:
        return None
    series = history.good([point], from_ms - DAY_MS, to_ms)[point]
    return LoadSeries(times_ms=series.times_ms, values=series.values)


def _differs(window: Window, booked: Window) -> bool:
    """Whether a window is another now; what people verified gives way to a register only."""
    if booked.provenance in _BY_PEOPLE and window.provenance not in _BY_REGISTER:
        return False
    if window.value is None and booked.method.startswith((METHOD, FILLED, PROVISIONAL)):
        return False  # still missing: its estimate stands
    if window.value is None or booked.value is None:
        return window.value is not booked.value
    if window.provenance is not booked.provenance:
        return True
    return not np.isclose(window.value, booked.value, rtol=0.0, atol=ALIKE)


def _without_reshaped(
    changed: Sequence[Window], booked: dict[tuple[int, int], Window]
) -> list[Window]:
    """The windows without those that got a better shape before and still have the same total."""
    runs: list[list[Window]] = []
    for window in changed:
        if runs and runs[-1][-1].end_ms == window.start_ms:
            runs[-1].append(window)
        else:
            runs.append([window])
    kept: list[Window] = []
    for run in runs:
        former = [booked[window.start_ms, window.length_ms] for window in run]
        apart = math.fsum(
            (new.value or 0.0) - (old.value or 0.0) for new, old in zip(run, former, strict=True)
        )
        shaped = all(old.method.startswith(BY_REGISTER) for old in former)
        allocated = all(new.provenance is Provenance.ALLOCATED for new in run)
        if not (shaped and allocated and abs(apart) <= ALIKE * len(run)):
            kept += run
    return kept


def _events(
    spec: StreamSpec,
    late: LateSpan,
    now_ms: int,
    booked: dict[tuple[int, int], Window],
    windows: list[Window],
) -> tuple[Event, ...]:
    if not windows:
        return ()
    before = sum(booked[each.start_ms, each.length_ms].value or 0.0 for each in windows)
    after = sum(each.value or 0.0 for each in windows)
    detail = (
        f"windows={len(windows)} from={iso_utc(windows[0].start_ms)} "
        f"to={iso_utc(windows[-1].end_ms)} before={round(before, 6):.15g} "
        f"after={round(after, 6):.15g} unit={spec.unit}"
    )
    return (
        Event(
            time_ms=now_ms,
            code="windows.revised",
            subject=late.stream,
            severity=Severity.INFO,
            detail=detail,
        ),
    )
