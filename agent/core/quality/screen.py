"""Doubt of single readings as they come: out of range, a spike, stuck.

A spike is a value that leaves the level of those before it and comes back within two readings and
ten seconds (what lasts longer may be the process); a value that stays is a new level. It is known
with the reading that comes back, so the verdict is about an earlier reading, which stays as read
and becomes suspect.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from agent.core import kernels
from agent.core.kernels import quality
from agent.core.kernels.arrays import Bytes, Floats, Integers
from agent.core.model import PointRole, PointSpec, Quality, Sample
from agent.core.timebase import HOUR_MS

LEVEL_VALUES = 11
FEWEST_VALUES = 5
LONGEST_SPIKE = 2
LONGEST_SPIKE_MS = 10_000
SIGMAS = 8.0  # process steps are common, spikes are far off
LEAST_SHARE = 0.5  # of the level
LEAST_OF_RANGE = 0.02  # of the largest possible value
STUCK_MS = HOUR_MS  # a measured rate that runs shows noise in its last digit


class Reason(StrEnum):
    """Why a reading is doubted."""

    RANGE = "range"  # outside what the template or the site file allows
    SPIKE = "spike"
    STUCK = "stuck"  # the same number for an hour; told, but the readings count
    NOT_A_NUMBER = "not-a-number"


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A reading that is doubted, and why."""

    point: str
    time_ms: int
    value: float
    reason: Reason


def limits_of(point: PointSpec) -> Floats:
    """The limits of `agent.core.kernels.quality.find_spikes` for a rate or gauge."""
    greatest = _greatest(point)
    least = 0.0 if greatest is None else LEAST_OF_RANGE * greatest
    return np.array([SIGMAS, least, LEAST_SHARE, LONGEST_SPIKE, FEWEST_VALUES], np.float64)


def _greatest(point: PointSpec) -> float | None:
    if point.role is PointRole.RATE and point.max_rate_per_h is not None:
        return point.max_rate_per_h
    return None if point.high is None else abs(point.high)


@dataclass(slots=True)
class Level:
    """The last good values of one point: all that is needed to judge the next."""

    recent: Floats = field(default_factory=lambda: np.zeros(LEVEL_VALUES))
    ordered: Floats = field(default_factory=lambda: np.zeros(LEVEL_VALUES))
    integers: Integers = field(default_factory=lambda: np.zeros(2, np.int64))

    def judge(self, limits: Floats, values: Sequence[float]) -> tuple[Bytes, int]:
        """Verdicts of the kernel on the next values, and how many are decided."""
        array = np.array(values, np.float64)
        verdicts = np.empty(len(array), np.uint8)
        decided = kernels.run(
            "find_spikes", array, limits, self.recent, self.ordered, self.integers, verdicts
        )
        return verdicts, decided


@dataclass(slots=True)
class _Watch:
    """One point under watch: its level, what waits for proof, since when it stands still."""

    spec: PointSpec
    limits: Floats
    level: Level = field(default_factory=Level)
    waiting: list[Sample] = field(default_factory=list)
    still_value: float | None = None
    still_since_ms: int = 0
    is_told: bool = False

    def judge(self, sample: Sample) -> Iterator[Doubt]:
        assert sample.value is not None
        waiting = [*self.waiting, sample]
        values = [each.value for each in waiting if each.value is not None]
        verdicts, decided = self.level.judge(self.limits, values)
        for each, verdict in zip(waiting[:decided], verdicts[:decided].tolist(), strict=True):
            if verdict == quality.SPIKE and sample.time_ms - each.time_ms <= LONGEST_SPIKE_MS:
                yield _doubt(each, Reason.SPIKE)
        self.waiting = waiting[decided:]
        if self.spec.role is PointRole.RATE and self._is_stuck(sample):
            yield _doubt(sample, Reason.STUCK)

    def _is_stuck(self, sample: Sample) -> bool:
        """Once per standstill: the same value, and not zero, for an hour."""
        if sample.value != self.still_value:
            self.still_value, self.still_since_ms = sample.value, sample.time_ms
            self.is_told = False
            return False
        stuck = bool(sample.value) and sample.time_ms - self.still_since_ms >= STUCK_MS
        told, self.is_told = self.is_told, self.is_told or stuck
        return stuck and not told

    def is_in_range(self, value: float) -> bool:
        spec = self.spec
        if spec.low is not None and value < spec.low:
            return False
        if spec.high is not None and value > spec.high:
            return False
        limit = spec.max_rate_per_h if spec.role is PointRole.RATE else None
        return limit is None or abs(value) <= limit


class Screen:
    """Judges the readings of all rates and of the gauges that something is computed from."""

    def __init__(self, points: Mapping[str, PointSpec], used: frozenset[str]) -> None:
        self._watches = {
            name: _Watch(spec=spec, limits=limits_of(spec))
            for name, spec in points.items()
            if spec.role is PointRole.RATE or (spec.role is PointRole.GAUGE and name in used)
        }

    def judge(self, samples: Sequence[Sample]) -> list[Doubt]:
        """Doubts about these readings and about those shortly before them."""
        found: list[Doubt] = []
        for sample in samples:
            watch = self._watches.get(sample.point)
            if watch is None or sample.value is None or sample.quality is not Quality.GOOD:
                continue
            if not math.isfinite(sample.value):
                found.append(_doubt(sample, Reason.NOT_A_NUMBER))
            elif not watch.is_in_range(sample.value):
                found.append(_doubt(sample, Reason.RANGE))
            else:
                found += watch.judge(sample)
        return found


def _doubt(sample: Sample, reason: Reason) -> Doubt:
    assert sample.value is not None
    return Doubt(point=sample.point, time_ms=sample.time_ms, value=sample.value, reason=reason)


def spikes(values: Floats, limits: Floats) -> Bytes:
    """Verdicts on a whole series at once, as `Screen` gives them reading by reading."""
    verdicts = np.empty(len(values), np.uint8)
    kernels.run(
        "find_spikes",
        np.ascontiguousarray(values, np.float64),
        limits,
        np.zeros(LEVEL_VALUES),
        np.zeros(LEVEL_VALUES),
        np.zeros(2, np.int64),
        verdicts,
    )
    return verdicts


def outliers(
    values: Floats, *, side: int, sigmas: float = 4.0, least: float = 0.0
) -> tuple[Bytes, Floats]:
    """Hampel's identifier: verdicts and the median of each value's surroundings.

    For series that are complete (an import, a past year): it looks ``side`` values ahead and back.
    ``least`` is a distance from the median that is never odd. Source: F. R. Hampel, The influence
    curve and its role in robust estimation, JASA 69 (1974).

    Example: 1, 2, 90, 3, 2 with side 2: the 90 is a spike; the median around it is 2.
    """
    series = np.ascontiguousarray(values, np.float64)
    verdicts = np.empty(len(series), np.uint8)
    medians = np.empty(len(series), np.float64)
    kernels.run(
        "hampel",
        series,
        np.array([side, sigmas, least], np.float64),
        np.zeros(2 * side + 2),
        verdicts,
        medians,
    )
    return verdicts, medians
