"""Cumulative registers: what may be booked from one reading to the next, and what may not.

The amount booked over any span is at most the stream's largest rate times that span plus one count
of the register; whatever else a register does is classified and books nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from agent.core import kernels
from agent.core.kernels import counting
from agent.core.kernels.arrays import Bytes, Floats, Integers, Mask
from agent.core.model import Event, Severity, StreamSpec

# A register is refreshed by its meter now and then, and read somewhere between request and reply:
# an increment may belong to up to this much time before the former reading.
REFRESH_MS = 5_000


class ReadingClass(IntEnum):
    """What one reading of a counter turned out to be."""

    FIRST = counting.FIRST  # nothing before it
    NORMAL = counting.NORMAL
    JITTER = counting.JITTER  # backward by at most two counts: books nothing
    WRAP = counting.WRAP  # past the modulus, and the increment is possible
    RESET = counting.RESET  # a fall that stays: a new segment, nothing booked across
    REPLACEMENT = counting.REPLACEMENT  # an impossible rise that stays: a new segment
    TRANSIENT = counting.TRANSIENT  # an odd value from which the register came back
    TRANSIENT_TAIL = counting.TRANSIENT_TAIL  # further readings of the same transient
    INVALID = counting.INVALID  # not a number, or not later than the reading before
    PENDING = counting.PENDING  # only later readings can tell


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterState:
    """All that is needed to go on from a reading; the next readings are those after it.

    ``time_ms`` and ``register`` are the last accepted reading (``register`` without backward
    jitter, ``reading`` as it was read), ``decided_ms`` the last reading that was decided at all.
    ``accumulated`` counts from the first reading ever; ``credit`` is what may be booked at once.
    """

    time_ms: int
    decided_ms: int
    register: float
    reading: float
    offset: float
    credit: float
    segment: int

    @property
    def accumulated(self) -> float:
        """The amount since the first reading ever."""
        return self.offset + self.register


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterRun:
    """One class per reading; accumulated amount (NaN if not accepted) and segment beside it."""

    times_ms: Integers
    registers: Floats
    classes: Bytes
    accumulated: Floats
    segments: Integers
    decided: int
    state: CounterState | None
    events: tuple[Event, ...]

    @property
    def accepted(self) -> Mask:
        """Which readings carry an accumulated amount."""
        return self.classes <= ReadingClass.REPLACEMENT


def advance(
    spec: StreamSpec,
    state: CounterState | None,
    times_ms: Integers,
    registers: Floats,
    *,
    upto_ms: int | None = None,
) -> CounterRun:
    """Classify readings in time order and book what is physically possible.

    ``registers`` are in the stream's unit; times are those after ``state.decided_ms``. Readings at
    the end that only later ones can explain are pending: feed them again together with the next.
    Any division of the same readings into calls gives the same result. ``upto_ms`` decides only
    readings up to that time and looks at later ones only for proof.

    A fall needs 3 consistent readings, a wrap 2, an impossible rise 4 (each counts itself) before
    it is believed; if the register comes back first, it was a transient.

    Example (resolution 0.1 kWh, 60 kWh/h, a reading a minute): 100.0, 100.5, 0.0, 101.5 is first,
    normal, transient, normal; accumulated 0.0, 0.5, -, 1.5.
    """
    times = np.ascontiguousarray(times_ms, dtype=np.int64)
    values = np.ascontiguousarray(registers, dtype=np.float64)
    stop = len(times)
    if upto_ms is not None:
        stop = int(np.searchsorted(times, upto_ms, side="right"))
    numbers, integers = _unpack(state, stop)
    classes = np.empty(len(times), np.uint8)
    accumulated = np.empty(len(times), np.float64)
    segments = np.empty(len(times), np.int64)
    decided = kernels.run(
        "classify_counter",
        times,
        values,
        _limits(spec),
        numbers,
        integers,
        classes,
        accumulated,
        segments,
    )
    accepted = np.flatnonzero(classes <= ReadingClass.REPLACEMENT)
    reading = math.nan if state is None else state.reading
    if len(accepted):
        reading = float(values[accepted[-1]])
    return CounterRun(
        times_ms=times,
        registers=values,
        classes=classes,
        accumulated=accumulated,
        segments=segments,
        decided=decided,
        state=_pack(numbers, integers, reading),
        events=_events(spec, state, times, values, classes, accumulated),
    )


def _limits(spec: StreamSpec) -> Floats:
    rate = math.inf if spec.max_rate_per_h is None else spec.max_rate_per_h
    credit = spec.resolution
    if spec.max_rate_per_h is not None:
        credit += spec.max_rate_per_h * REFRESH_MS / 3_600_000
    modulus = spec.modulus if spec.modulus and spec.max_rate_per_h is not None else 0.0
    return np.array([spec.resolution, modulus, rate, credit], np.float64)


def _unpack(state: CounterState | None, stop: int) -> tuple[Floats, Integers]:
    if state is None:
        return np.zeros(3, np.float64), np.array([0, 0, 0, 0, stop], np.int64)
    numbers = np.array([state.register, state.offset, state.credit], np.float64)
    integers = np.array([state.time_ms, state.segment, 1, state.decided_ms, stop], np.int64)
    return numbers, integers


def _pack(numbers: Floats, integers: Integers, reading: float) -> CounterState | None:
    register, offset, credit = (float(number) for number in numbers)
    time_ms, segment, known, decided_ms, _ = (int(number) for number in integers)
    if not known:
        return None
    return CounterState(
        time_ms=time_ms,
        decided_ms=decided_ms,
        register=register,
        reading=reading,
        offset=offset,
        credit=credit,
        segment=segment,
    )


def _events(
    spec: StreamSpec,
    state: CounterState | None,
    times: Integers,
    registers: Floats,
    classes: Bytes,
    accumulated: Floats,
) -> tuple[Event, ...]:
    """One event per wrap, reset, replacement and transient; jitter is left to the window."""
    odd = np.flatnonzero((classes >= ReadingClass.WRAP) & (classes <= ReadingClass.TRANSIENT))
    if not len(odd):
        return ()
    accepted = np.flatnonzero(classes <= ReadingClass.REPLACEMENT)
    events = []
    for index in odd:
        before = int(np.searchsorted(accepted, index)) - 1
        if before >= 0:
            former = float(registers[accepted[before]])
            booked = float(accumulated[index] - accumulated[accepted[before]])
        else:
            assert state is not None  # a first reading is never odd
            former = state.reading
            booked = float(accumulated[index]) - state.accumulated
        kind = ReadingClass(classes[index])
        events.append(_event(spec, kind, int(times[index]), former, registers[index], booked))
    return tuple(events)


def _event(
    spec: StreamSpec, kind: ReadingClass, time_ms: int, former: float, now: float, booked: float
) -> Event:
    rose = now > former
    code, severity, outcome = {
        ReadingClass.WRAP: ("wrap", Severity.INFO, f"booked={round(booked, 6):g}"),
        ReadingClass.RESET: ("reset", Severity.ALARM, "booked=0 segment=new"),
        ReadingClass.REPLACEMENT: ("jump", Severity.ALARM, "booked=0 segment=new"),
        ReadingClass.TRANSIENT: (
            "jump" if rose else "transient_zero",
            Severity.WARNING,
            "booked=0 ignored",
        ),
    }[kind]
    return Event(
        time_ms=time_ms,
        code=f"counter.{code}",
        subject=spec.id,
        severity=severity,
        detail=f"from={former:.15g} to={float(now):.15g} unit={spec.unit} {outcome}",
    )
