"""Cumulative registers: what may be booked from one reading to the next, and what may not.

The amount booked over any span is at most the stream's largest rate times that span plus one count
of the register; whatever else a register does is classified and books nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from agent.core import kernels
from agent.core.kernels import counting
from agent.core.kernels.arrays import Bytes, Floats, Integers, Mask
from agent.core.model import Event, Replacement, Severity, StreamSpec

# A register is refreshed by its meter now and then, and read somewhere between request and reply:
# an increment may belong to up to this much time before the former reading.
REFRESH_MS = 5_000

# A step of a register is too coarse if the largest rate takes longer than this to count it: it
# would then be more than 1 % of the largest amount of a window of 15 min.
COARSE_H = 0.15 / 60


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

    A declared replacement joins the two registers: what the old one counted up to its end and the
    new one from its beginning is booked as one increment, if that is possible.
    """
    times = np.ascontiguousarray(times_ms, dtype=np.int64)
    values = np.ascontiguousarray(registers, dtype=np.float64)
    stop = len(times)
    if upto_ms is not None:
        stop = int(np.searchsorted(times, upto_ms, side="right"))
    run = _Run(
        spec=spec,
        times=times,
        registers=values,
        classes=np.full(len(times), ReadingClass.PENDING, np.uint8),
        accumulated=np.full(len(times), math.nan),
        segments=np.zeros(len(times), np.int64),
    )
    after = run.decide(state, stop)
    return CounterRun(
        times_ms=times,
        registers=values,
        classes=run.classes,
        accumulated=run.accumulated,
        segments=run.segments,
        decided=run.decided,
        state=after,
        events=_events(spec, state, run),
    )


@dataclass(slots=True, kw_only=True)
class _Run:
    """The readings of one call, and what has been decided of them."""

    spec: StreamSpec
    times: Integers
    registers: Floats
    classes: Bytes
    accumulated: Floats
    segments: Integers
    decided: int = 0

    def decide(self, state: CounterState | None, stop: int) -> CounterState | None:
        """Decide the readings of each meter in turn; returns the state to go on from.

        A state keeps the register of the meter it was read from, so that a replacement is applied
        anew by each call until a reading of the new meter is accepted.
        """
        kept = joined = state
        for replacement, first, last in self._meters(state):
            if self.decided < first:
                break
            if replacement is not None and joined is not None:
                joined = _join(joined, replacement)
            after = self._classify(joined, first, last, min(stop, last))
            if after is None:
                continue
            if joined is None or after.time_ms != joined.time_ms:
                kept = joined = after
            if self.decided < last <= stop and last < len(self.times):
                self._give_up(last)
                after = replace(after, decided_ms=int(self.times[last - 1]))
            assert kept is not None
            kept = replace(kept, decided_ms=after.decided_ms)
            joined = replace(joined, decided_ms=after.decided_ms)
        return kept

    def _meters(self, state: CounterState | None) -> Iterator[tuple[Replacement | None, int, int]]:
        """The replacement that brought each meter, and the span of its readings."""
        since_ms = -math.inf if state is None else state.time_ms
        declared = [each for each in self.spec.replacements if each.at_ms > since_ms]
        begins = [int(np.searchsorted(self.times, each.at_ms)) for each in declared]
        return zip((None, *declared), (0, *begins), (*begins, len(self.times)), strict=True)

    def _classify(
        self, state: CounterState | None, first: int, last: int, stop: int
    ) -> CounterState | None:
        if stop <= first:
            return state
        numbers, integers = _unpack(state, stop - first)
        span = slice(first, last)
        self.decided = first + kernels.run(
            "classify_counter",
            self.times[span],
            self.registers[span],
            _limits(self.spec),
            numbers,
            integers,
            self.classes[span],
            self.accumulated[span],
            self.segments[span],
        )
        accepted = np.flatnonzero(self.classes[span] <= ReadingClass.REPLACEMENT)
        reading = math.nan if state is None else state.reading
        if len(accepted):
            reading = float(self.registers[first + accepted[-1]])
        return _pack(numbers, integers, reading)

    def _give_up(self, last: int) -> None:
        """No later reading of a meter that was taken out can prove an odd one: it books nothing."""
        kind = ReadingClass.TRANSIENT
        for index in range(self.decided, last):
            late = index > 0 and self.times[index] <= self.times[index - 1]
            if late or not math.isfinite(self.registers[index]):
                self.classes[index] = ReadingClass.INVALID
            else:
                self.classes[index] = kind
                kind = ReadingClass.TRANSIENT_TAIL
        self.decided = last


def _join(state: CounterState, replacement: Replacement) -> CounterState:
    """The state as the new meter would have left it: what the old one still counted is ahead."""
    register = replacement.new_start - (replacement.old_end - state.register)
    return replace(state, register=register, offset=state.accumulated - register)


def _limits(spec: StreamSpec) -> Floats:
    rate = math.inf if spec.max_rate_per_h is None else spec.max_rate_per_h
    spare = 0.0
    if spec.max_rate_per_h is not None:
        spare = spec.max_rate_per_h * REFRESH_MS / 3_600_000
    modulus = spec.modulus if spec.modulus and spec.max_rate_per_h is not None else 0.0
    limits = (spec.resolution, modulus, rate, spare, spec.relative_resolution)
    return np.array(limits, np.float64)


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


def _events(spec: StreamSpec, state: CounterState | None, run: _Run) -> tuple[Event, ...]:
    """One event per wrap, reset, replacement and transient; jitter is left to the window."""
    accepted = np.flatnonzero(run.classes <= ReadingClass.REPLACEMENT)
    events = _coarse_events(spec, state, run, accepted)
    odd = (run.classes >= ReadingClass.WRAP) & (run.classes <= ReadingClass.TRANSIENT)
    for index in np.flatnonzero(odd):
        before = int(np.searchsorted(accepted, index)) - 1
        if before >= 0:
            last = accepted[before]
            former, since_ms = float(run.registers[last]), int(run.times[last])
            booked = float(run.accumulated[index] - run.accumulated[last])
        else:
            assert state is not None  # a first reading is never odd
            former, since_ms = state.reading, state.time_ms
            booked = float(run.accumulated[index]) - state.accumulated
        kind = ReadingClass(run.classes[index])
        time_ms, now = int(run.times[index]), float(run.registers[index])
        events.append(_event(spec, kind, time_ms, former, now, booked))
        if _looks_replaced(spec, kind, time_ms - since_ms, now):
            events.append(_proposal(spec, time_ms, former, now))
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
        detail=f"from={former:.15g} to={now:.15g} unit={spec.unit} {outcome}",
    )


def _looks_replaced(spec: StreamSpec, kind: ReadingClass, span_ms: int, now: float) -> bool:
    """Whether a register stands where its meter cannot have counted to since it was last read.

    One that restarted from zero can have reached at most the largest rate times that time.
    """
    if spec.max_rate_per_h is None or kind not in (ReadingClass.RESET, ReadingClass.REPLACEMENT):
        return False
    return now > spec.max_rate_per_h * (span_ms + REFRESH_MS) / 3_600_000 + spec.resolution


def _proposal(spec: StreamSpec, time_ms: int, former: float, now: float) -> Event:
    return Event(
        time_ms=time_ms,
        code="counter.replaced_perhaps",
        subject=spec.id,
        severity=Severity.WARNING,
        detail=f"old_end={former:.15g} new_start={now:.15g} unit={spec.unit}",
    )


def _coarse_events(
    spec: StreamSpec, state: CounterState | None, run: _Run, accepted: Integers
) -> list[Event]:
    """A floating-point register whose steps have grown too coarse; told once per doubling."""
    if spec.relative_resolution <= 0.0 or not len(accepted):
        return []
    registers = np.abs(run.registers[accepted])
    former = 0.0 if state is None else abs(state.reading)
    doublings = np.frexp(np.concatenate(([former], registers)))[1]
    tolerable = max(spec.resolution, (spec.max_rate_per_h or 0.0) * COARSE_H)
    steps = registers * spec.relative_resolution
    told = np.flatnonzero((np.diff(doublings) > 0) & (steps > tolerable))
    return [
        Event(
            time_ms=int(run.times[accepted[index]]),
            code="counter.coarse",
            subject=spec.id,
            severity=Severity.WARNING,
            detail=f"step={steps[index]:.3g} register={registers[index]:.15g} unit={spec.unit}",
        )
        for index in told
    ]
