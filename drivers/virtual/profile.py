"""Rates of consumption as functions of time whose integrals are exact."""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from drivers.virtual.definition import MeterDefinition
from drivers.virtual.errors import PlantError

DAY_S = 86_400.0
STEP_LEVELS = 97  # levels until the random steps repeat
SMALLEST_SHARE = 0.05  # of the nominal rate; a consumer never runs backwards
GRID_S = 0.25
GRID_POINTS = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """A sine wave of the share of the nominal rate."""

    amplitude: float
    period_s: float
    phase: float

    def value(self, t_s: float) -> float:
        return self.amplitude * math.sin(self._angle(t_s))

    def between(self, from_s: float, to_s: float) -> float:
        """Integral over the span in seconds."""
        scale = self.amplitude * self.period_s / math.tau
        return scale * (math.cos(self._angle(from_s)) - math.cos(self._angle(to_s)))

    def reach(self) -> float:
        return abs(self.amplitude)

    def _angle(self, t_s: float) -> float:
        return math.tau * math.fmod(t_s, self.period_s) / self.period_s + self.phase


class Polyline:
    """A periodic function that is linear between its points; the last point joins the first."""

    __slots__ = ("_areas", "_origin_s", "_period_s", "_times", "_values")

    def __init__(
        self, points: list[tuple[float, float]], period_s: float, origin_s: float = 0.0
    ) -> None:
        if not points or points[0][0] != 0.0:
            raise PlantError("a periodic profile must have its first point at second 0")
        if any(b[0] <= a[0] for a, b in pairwise(points)):
            raise PlantError("the points of a periodic profile must be in ascending time")
        if points[-1][0] >= period_s:
            raise PlantError(f"a profile point lies beyond its period of {period_s} s")
        closed = [*points, (period_s, points[0][1])]
        self._times = [time for time, _ in closed]
        self._values = [value for _, value in closed]
        self._areas = [0.0]
        for (t0, v0), (t1, v1) in pairwise(closed):
            self._areas.append(self._areas[-1] + (t1 - t0) * (v0 + v1) / 2.0)
        self._period_s = period_s
        self._origin_s = origin_s

    def value(self, t_s: float) -> float:
        within_s = (t_s - self._origin_s) % self._period_s
        i = self._segment(within_s)
        t0, t1 = self._times[i], self._times[i + 1]
        v0, v1 = self._values[i], self._values[i + 1]
        return v0 + (v1 - v0) * (within_s - t0) / (t1 - t0)

    def between(self, from_s: float, to_s: float) -> float:
        """Integral over the span in seconds."""
        periods_a, within_a = divmod(from_s - self._origin_s, self._period_s)
        periods_b, within_b = divmod(to_s - self._origin_s, self._period_s)
        whole = (periods_b - periods_a) * self._areas[-1]
        return whole + self._area(within_b) - self._area(within_a)

    def reach(self) -> float:
        return max(abs(value) for value in self._values)

    def _segment(self, within_s: float) -> int:
        return min(bisect_right(self._times, within_s) - 1, len(self._times) - 2)

    def _area(self, within_s: float) -> float:
        i = self._segment(within_s)
        t0, t1 = self._times[i], self._times[i + 1]
        v0, v1 = self._values[i], self._values[i + 1]
        elapsed = within_s - t0
        slope = (v1 - v0) / (t1 - t0)
        return self._areas[i] + elapsed * (v0 + slope * elapsed / 2.0)


class Profile:
    """The rate of one consumer, per hour, and its exact integral.

    A pure function of UTC time and the seed: two processes with the same definition and seed
    know the same plant.
    """

    __slots__ = ("_parts", "nominal")

    def __init__(self, meter: MeterDefinition, *, seed: int, utc_offset_h: float) -> None:
        chance = random.Random(f"{seed}:{meter.id}")
        self.nominal = meter.nominal
        self._parts: list[Wave | Polyline] = [
            Wave(amplitude=a, period_s=period_s, phase=chance.uniform(0.0, math.tau))
            for a, period_s in meter.waves
        ]
        if meter.day:
            self._parts.append(_shifts(meter.day, utc_offset_h))
        if meter.steps is not None:
            self._parts.append(_steps(*meter.steps, chance))
        if meter.batch is not None:
            origin_s = chance.uniform(0.0, meter.batch.period_s)
            self._parts.append(Polyline(list(meter.batch.points), meter.batch.period_s, origin_s))
        lowest = 1.0 - sum(part.reach() for part in self._parts)
        if lowest < SMALLEST_SHARE:
            raise PlantError(
                f"meter {meter.id}: its rate could fall to {lowest:.2f} of nominal; "
                f"keep the sum of all shares below {1.0 - SMALLEST_SHARE}"
            )

    def rate(self, t_ms: float) -> float:
        """Amount per hour at a time (UTC milliseconds)."""
        t_s = t_ms / 1000.0
        return self.nominal * (1.0 + sum(part.value(t_s) for part in self._parts))

    def amount(self, from_ms: float, to_ms: float) -> float:
        """Exact amount between two times (UTC milliseconds)."""
        from_s, to_s = from_ms / 1000.0, to_ms / 1000.0
        share_s = to_s - from_s + sum(part.between(from_s, to_s) for part in self._parts)
        return self.nominal * share_s / 3600.0

    def swing(self, from_ms: float, to_ms: float) -> float:
        """Largest minus smallest rate per hour in a span, on a grid of at most 0.25 s
        (coarser above 1000 s)."""
        rates = [self.rate(t_ms) for t_ms in _grid(from_ms, to_ms)]
        return max(rates) - min(rates)


def _grid(from_ms: float, to_ms: float) -> Iterator[float]:
    span_ms = to_ms - from_ms
    points = min(GRID_POINTS, max(1, math.ceil(span_ms / 1000.0 / GRID_S)))
    for i in range(points + 1):
        yield from_ms + span_ms * i / points


def _shifts(share: float, utc_offset_h: float) -> Polyline:
    """Day shift from 08:00 to 20:00 local time, with ramps of 30 minutes."""
    hours = [(0.0, -share), (7.75, -share), (8.25, share), (19.75, share), (20.25, -share)]
    points = [(hour * 3600.0, value) for hour, value in hours]
    return Polyline(points, DAY_S, origin_s=-utc_offset_h * 3600.0)


def _steps(amplitude: float, hold_s: float, ramp_s: float, chance: random.Random) -> Polyline:
    """Random levels, each held for ``hold_s`` and reached by a ramp at its start."""
    if not 0.0 < ramp_s < hold_s:
        raise PlantError(f"steps: the ramp must be shorter than the hold, got {ramp_s} of {hold_s}")
    levels = [chance.uniform(-amplitude, amplitude) for _ in range(STEP_LEVELS)]
    points: list[tuple[float, float]] = []
    for i, level in enumerate(levels):
        points.append((i * hold_s, levels[i - 1]))
        points.append((i * hold_s + ramp_s, level))
    return Polyline(points, STEP_LEVELS * hold_s)
