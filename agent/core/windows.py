"""Cutting a stream into windows: what was measured, allocated, estimated, or is missing.

A window of a counter is the difference of the register interpolated at its two boundaries, each
rounded to 6 decimals, so that windows add up to the register's difference exactly:

- measured: both boundaries lie between good readings at most ``max_gap_ms`` apart. A gap wholly
  inside the window changes nothing but its coverage.
- allocated: a boundary lies in a gap through which the register kept counting. The gap's total is
  spread over the gap's time by load (else evenly); what the window measured itself stays.
- estimated: part of the window's amount is unknown (the counter was reset, a rate was not read, or
  the gap is still open) for at most ``short_gap_ms``: that part comes from the neighbours and load.
- missing: the unknown time is longer; a window that it touches has no value at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent.core.cut import Cut, CutWindow, Limits, cut_stream, edge_ms, windows_of
from agent.core.gaps.knots import Gap
from agent.core.gaps.load import LoadSeries
from agent.core.kernels import cutting
from agent.core.kernels.arrays import Floats, Integers
from agent.core.model import Endpoint, Event, Provenance, Severity, StreamKind, StreamSpec, Window
from agent.core.streamstate import StreamState, fold, unfold
from agent.core.timebase import HOUR_MS, boundaries
from agent.core.track import Track, anchor_at, follow

SHORT_GAP_MS = 2 * HOUR_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """What a call of `close_windows` found out.

    ``windows`` are those to be booked: new ones, and those of ``superseding`` (by start) that
    replace what an earlier call returned. All carry revision 0; who books them numbers them.
    ``endpoints`` are the register readings at boundaries that became final.
    """

    windows: tuple[Window, ...]
    superseding: frozenset[int]
    endpoints: tuple[Endpoint, ...]
    events: tuple[Event, ...]
    state: StreamState | None


def close_windows(
    spec: StreamSpec,
    state: StreamState | None,
    times_ms: Integers,
    values: Floats,
    *,
    until_ms: int,
    length_ms: int,
    loads: LoadSeries | None,
    max_gap_ms: int,
    short_gap_ms: int = SHORT_GAP_MS,
    known_to_ms: int | None = None,
) -> Closing:
    """Cut every window that ends by ``until_ms`` and can be closed, and re-cut the provisional.

    ``times_ms`` and ``values`` are all good readings after ``state.resume_ms`` (all there are
    without a state), in time order and the stream's unit; some may lie after ``until_ms``.
    ``loads`` reach back to the last value at or before ``state.resume_ms``. The readings are
    complete up to ``known_to_ms`` (``until_ms`` if not given): once that is more than
    ``max_gap_ms`` after the last reading, the boundaries after it are closed provisionally; before
    that they wait. The first window begins at the first boundary at or after the first reading.

    However the same readings are divided into calls, with the state kept or sent through JSON
    between them, the current windows are the same in the end.

    Example: a register at 100 kWh at 8:00 and 700 kWh at 14:00, nothing read between: six windows
    of an hour, 100 kWh each, allocated; coverage 0.
    """
    if state is not None and state.length_ms != length_ms:
        raise ValueError(f"{spec.id}: its state is for windows of {state.length_ms} ms")
    limits = Limits(length_ms=length_ms, max_gap_ms=max_gap_ms, short_gap_ms=short_gap_ms)
    times, readings = _unread(state, times_ms, values)
    anchor = None if state is None else state.anchor
    track = follow(spec, anchor, times, readings, max_gap_ms=max_gap_ms)
    if track is None:
        return _nothing(state)
    feed = _Feed(spec=spec, limits=limits, state=state, times=times, readings=readings, track=track)
    known_to_ms = until_ms if known_to_ms is None else known_to_ms
    cut = _cut(feed, loads, until_ms=until_ms, known_to_ms=known_to_ms)
    return _nothing(state) if cut is None else _conclude(feed, cut)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Feed:
    """What one call was given, and the readings it accepted."""

    spec: StreamSpec
    limits: Limits
    state: StreamState | None
    times: Integers
    readings: Floats
    track: Track


def _cut(feed: _Feed, loads: LoadSeries | None, *, until_ms: int, known_to_ms: int) -> Cut | None:
    """Cut all boundaries that can be closed and may have changed; None if there are none."""
    state, track = feed.state, feed.track
    last_ms = int(track.knots.times_ms[-1])
    is_open = known_to_ms - last_ms > feed.limits.max_gap_ms
    from_ms = int(track.knots.times_ms[0]) if state is None else state.open_from_ms
    to_ms = until_ms if is_open else min(until_ms, last_ms)
    grid = np.array(boundaries(from_ms, to_ms, feed.limits.length_ms), np.int64)
    if len(grid) == 0 or _is_stale(state, track, int(grid[-1])):
        return None
    open_to_ms = int(grid[-1]) if is_open and grid[-1] > last_ms else None
    cut = cut_stream(feed.spec, feed.limits, track.knots, grid, loads, open_to_ms=open_to_ms)
    if state is not None and state.boundary_accumulated is not None:
        cut.accumulated[0] = state.boundary_accumulated
    return cut


def _conclude(feed: _Feed, cut: Cut) -> Closing:
    """Tell what is new in a cut, and what to remember of it."""
    state = feed.state
    made = windows_of(cut)
    firm = next((index for index, window in enumerate(made) if not window.final), len(made))
    issued = {} if state is None else unfold(state.issued, feed.limits.length_ms)
    changed = tuple(
        each.window
        for each in made
        if issued.get(each.window.start_ms) != (each.window.value, each.window.provenance)
    )
    superseding = frozenset(window.start_ms for window in changed if window.start_ms in issued)
    issued.update((window.start_ms, (window.value, window.provenance)) for window in changed)
    is_begun = state is not None and state.boundary_accumulated is not None
    open_gap = cut.gaps[-1] if cut.gaps and cut.gaps[-1].open else None
    return Closing(
        windows=changed,
        superseding=superseding,
        endpoints=_endpoints(cut, firm, with_first=not is_begun),
        events=_events(cut, state, feed.track, made[:firm], open_gap),
        state=_remember(feed, cut, firm, issued, open_gap),
    )


def _remember(
    feed: _Feed,
    cut: Cut,
    firm: int,
    issued: dict[int, tuple[float | None, Provenance]],
    open_gap: Gap | None,
) -> StreamState:
    state, length_ms = feed.state, feed.limits.length_ms
    open_from_ms = int(cut.grid_ms[firm])
    still_open = {start: kept for start, kept in issued.items() if start >= open_from_ms}
    return StreamState(
        length_ms=length_ms,
        anchor=anchor_at(
            feed.spec,
            None if state is None else state.anchor,
            feed.times,
            feed.readings,
            upto_ms=_anchor_ms(feed, int(cut.left[firm])),
            max_gap_ms=feed.limits.max_gap_ms,
        ),
        decided_ms=max(feed.track.decided_ms, 0 if state is None else state.decided_ms),
        open_from_ms=open_from_ms,
        closed_to_ms=max(int(cut.grid_ms[-1]), 0 if state is None else state.closed_to_ms),
        boundary_accumulated=float(cut.accumulated[firm]) if _is_placed(cut, firm) else None,
        gap_opened_ms=None if open_gap is None else open_gap.start_ms,
        issued=fold(still_open, length_ms),
    )


def _nothing(state: StreamState | None) -> Closing:
    return Closing(windows=(), superseding=frozenset(), endpoints=(), events=(), state=state)


def _unread(
    state: StreamState | None, times_ms: Integers, values: Floats
) -> tuple[Integers, Floats]:
    times = np.ascontiguousarray(times_ms, dtype=np.int64)
    readings = np.ascontiguousarray(values, dtype=np.float64)
    if state is None:
        return times, readings
    first = int(np.searchsorted(times, state.resume_ms, side="right"))
    return times[first:], readings[first:]


def _is_stale(state: StreamState | None, track: Track, last_boundary_ms: int) -> bool:
    """Whether a call can find out nothing that an earlier one has not."""
    return (
        state is not None
        and last_boundary_ms <= state.closed_to_ms
        and track.decided_ms <= state.decided_ms
    )


def _anchor_ms(feed: _Feed, firm_knot: int) -> int:
    """The reading to go on from: an edge window before the one at the last firm boundary."""
    knots = feed.track.knots
    reach_ms = int(knots.times_ms[firm_knot]) - edge_ms(feed.spec, feed.limits.length_ms)
    return int(knots.times_ms[max(0, knots.last_at(reach_ms))])


def _endpoints(cut: Cut, firm: int, *, with_first: bool) -> tuple[Endpoint, ...]:
    if cut.spec.kind is StreamKind.RATE:
        return ()
    return tuple(
        Endpoint(
            stream=cut.spec.id,
            boundary_ms=int(cut.grid_ms[index]),
            time_ms=int(cut.knots.times_ms[cut.left[index]]),
            register=float(cut.knots.registers[cut.left[index]]),
            accumulated=float(cut.accumulated[index]),
        )
        for index in range(0 if with_first else 1, firm + 1)
        if _is_placed(cut, index)
    )


def _is_placed(cut: Cut, index: int) -> bool:
    """Whether there are readings on both sides of a boundary."""
    return int(cut.places[index]) != cutting.AFTER


def _events(
    cut: Cut,
    state: StreamState | None,
    track: Track,
    firm_windows: tuple[CutWindow, ...],
    open_gap: Gap | None,
) -> tuple[Event, ...]:
    decided_ms = None if state is None else state.decided_ms
    events = [event for event in track.events if decided_ms is None or event.time_ms > decided_ms]
    events += _jitter_events(cut.spec, track, firm_windows)
    opened_ms = None if state is None else state.gap_opened_ms
    events += _gap_events(cut, decided_ms, opened_ms)
    if open_gap is not None and open_gap.start_ms != opened_ms:
        events.append(_gap_opened(cut.spec, open_gap.start_ms))
    return tuple(sorted(events, key=lambda event: (event.time_ms, event.code)))


def _jitter_events(spec: StreamSpec, track: Track, windows: tuple[CutWindow, ...]) -> list[Event]:
    """One event per window in which the register stepped back within its resolution."""
    events = []
    for made in windows:
        first, last = np.searchsorted(
            track.jitter_ms, (made.window.start_ms, made.window.end_ms), side="right"
        )
        if last > first:
            events.append(
                Event(
                    time_ms=int(track.jitter_ms[first]),
                    code="counter.jitter",
                    subject=spec.id,
                    severity=Severity.INFO,
                    detail=f"readings={last - first} booked=0",
                )
            )
    return events


def _gap_events(cut: Cut, decided_ms: int | None, opened_ms: int | None) -> list[Event]:
    """The gaps that ended with readings decided since the last call, and their beginnings."""
    times = cut.knots.times_ms
    candidates = np.diff(times) > cut.limits.max_gap_ms
    if opened_ms is not None:
        candidates |= times[:-1] == opened_ms
    events = []
    for left in np.flatnonzero(candidates):
        start_ms, end_ms = int(times[left]), int(times[left + 1])
        announced = start_ms == opened_ms
        is_new = decided_ms is None or end_ms > decided_ms
        if announced or is_new:
            if not announced:
                events.append(_gap_opened(cut.spec, start_ms))
            events.append(_gap_closed(cut, int(left)))
    return events


def _gap_opened(spec: StreamSpec, start_ms: int) -> Event:
    return Event(
        time_ms=start_ms,
        code="gap.opened",
        subject=spec.id,
        severity=Severity.WARNING,
        detail="no good reading after this time",
    )


def _gap_closed(cut: Cut, left: int) -> Event:
    knots = cut.knots
    start_ms, end_ms = int(knots.times_ms[left]), int(knots.times_ms[left + 1])
    amount = "unknown"
    if knots.segments[left] == knots.segments[left + 1]:
        total = float(knots.accumulated[left + 1] - knots.accumulated[left])
        amount = f"{round(total, 6):.15g}"
    return Event(
        time_ms=end_ms,
        code="gap.closed",
        subject=cut.spec.id,
        severity=Severity.INFO,
        detail=f"duration_s={(end_ms - start_ms) / 1000:g} amount={amount} unit={cut.spec.unit}",
    )
