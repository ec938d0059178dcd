"""From readings to accepted knots, for counters and rates alike, and back to a resumable state."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from agent.core import kernels
from agent.core.counters import CounterState, ReadingClass, advance
from agent.core.gaps.knots import Knots
from agent.core.kernels.arrays import AnyArray, Floats, Integers, Mask
from agent.core.model import Event, StreamKind, StreamSpec
from agent.core.streamstate import RateState


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """The knots from the anchor on, with all events and backward jitter among them."""

    knots: Knots
    decided_ms: int
    events: tuple[Event, ...]
    jitter_ms: Integers


def follow(
    spec: StreamSpec,
    anchor: CounterState | RateState | None,
    times_ms: Integers,
    values: Floats,
    *,
    max_gap_ms: int,
) -> Track | None:
    """Accept what can be accepted; None while there is no good reading at all."""
    if spec.kind is StreamKind.RATE:
        assert not isinstance(anchor, CounterState)
        return _follow_rate(spec, anchor, times_ms, values, max_gap_ms)
    assert not isinstance(anchor, RateState)
    return _follow_counter(spec, anchor, times_ms, values)


def anchor_at(
    spec: StreamSpec,
    anchor: CounterState | RateState | None,
    times_ms: Integers,
    values: Floats,
    *,
    upto_ms: int,
    max_gap_ms: int,
) -> CounterState | RateState:
    """The state at the accepted reading at ``upto_ms``, to go on from later."""
    if anchor is not None and upto_ms <= anchor.time_ms:
        return anchor
    if spec.kind is StreamKind.RATE:
        assert not isinstance(anchor, CounterState)
        stop = int(np.searchsorted(times_ms, upto_ms, side="right"))
        run = _integrate(spec, anchor, times_ms, values, max_gap_ms, stop)
        return run.state
    assert not isinstance(anchor, RateState)
    state = advance(spec, anchor, times_ms, values, upto_ms=upto_ms).state
    assert state is not None
    return state


def _follow_counter(
    spec: StreamSpec, anchor: CounterState | None, times_ms: Integers, values: Floats
) -> Track | None:
    run = advance(spec, anchor, times_ms, values)
    if run.state is None:
        return None
    first = None
    if anchor is not None:
        first = (anchor.time_ms, anchor.reading, anchor.accumulated, anchor.segment)
    return Track(
        knots=_knots(
            first, run.accepted, run.times_ms, run.registers, run.accumulated, run.segments
        ),
        decided_ms=run.state.decided_ms,
        events=run.events,
        jitter_ms=run.times_ms[run.classes == ReadingClass.JITTER],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _RateRun:
    accepted: Mask
    accumulated: Floats
    segments: Integers
    good: int
    state: RateState


def _integrate(
    spec: StreamSpec,
    anchor: RateState | None,
    times_ms: Integers,
    values: Floats,
    max_gap_ms: int,
    stop: int,
) -> _RateRun:
    greatest = math.inf if spec.max_rate_per_h is None else spec.max_rate_per_h
    numbers = np.zeros(2, np.float64)
    integers = np.array([0, 0, 0, stop], np.int64)
    if anchor is not None:
        numbers[:] = (anchor.rate, anchor.accumulated)
        integers[:3] = (anchor.time_ms, anchor.segment, 1)
    classes = np.empty(len(times_ms), np.uint8)
    accumulated = np.empty(len(times_ms), np.float64)
    segments = np.empty(len(times_ms), np.int64)
    limits = np.array([max_gap_ms, greatest], np.float64)
    good = kernels.run(
        "integrate_rate",
        times_ms,
        values,
        limits,
        numbers,
        integers,
        classes,
        accumulated,
        segments,
    )
    return _RateRun(
        accepted=classes <= ReadingClass.NORMAL,
        accumulated=accumulated,
        segments=segments,
        good=good,
        state=RateState(
            time_ms=int(integers[0]),
            rate=float(numbers[0]),
            accumulated=float(numbers[1]),
            segment=int(integers[1]),
        ),
    )


def _follow_rate(
    spec: StreamSpec,
    anchor: RateState | None,
    times_ms: Integers,
    values: Floats,
    max_gap_ms: int,
) -> Track | None:
    run = _integrate(spec, anchor, times_ms, values, max_gap_ms, len(times_ms))
    if anchor is None and run.good == 0:
        return None
    first = None
    if anchor is not None:
        first = (anchor.time_ms, anchor.rate, anchor.accumulated, anchor.segment)
    return Track(
        knots=_knots(first, run.accepted, times_ms, values, run.accumulated, run.segments),
        decided_ms=run.state.time_ms,
        events=(),
        jitter_ms=np.empty(0, np.int64),
    )


def _knots(
    first: tuple[int, float, float, int] | None,
    accepted: Mask,
    times_ms: Integers,
    registers: Floats,
    accumulated: Floats,
    segments: Integers,
) -> Knots:
    columns: tuple[AnyArray, ...] = (times_ms, registers, accumulated, segments)
    columns = tuple(column[accepted] for column in columns)
    if first is not None:
        columns = tuple(
            np.concatenate((np.array([value], column.dtype), column))
            for value, column in zip(first, columns, strict=True)
        )
    return Knots(
        times_ms=columns[0], registers=columns[1], accumulated=columns[2], segments=columns[3]
    )
