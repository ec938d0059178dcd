"""How what is known beside a gap bends an estimate within it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from agent.core.gaps.series import Prepared
from agent.core.kernels.arrays import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """How far the difference at an edge reaches into the gap, and over which time it is taken.

    Reach 0: not at all; infinite: a line from one edge to the other. A window of 0 is one value.
    """

    reach_h: float
    window_h: float


BRIDGES: Final = (
    Bridge(reach_h=0.0, window_h=0.0),
    Bridge(reach_h=0.5, window_h=0.0),
    Bridge(reach_h=2.0, window_h=0.0),
    Bridge(reach_h=8.0, window_h=0.25),
    Bridge(reach_h=48.0, window_h=0.25),
    Bridge(reach_h=math.inf, window_h=0.0),
    Bridge(reach_h=math.inf, window_h=0.25),
    Bridge(reach_h=math.inf, window_h=1.0),
)
NONE: Final = 0
LINES: Final = tuple(i for i, bridge in enumerate(BRIDGES) if math.isinf(bridge.reach_h))
LINE: Final = LINES[0]
_NOISE: Final = 0.1  # of the variance at an edge that does not reach into the gap


def _weights(length: int, reach: float, *, left: bool, right: bool) -> tuple[Floats, Floats]:
    """Weights of both edges' differences: the best guess between two points of a process whose
    memory fades as exp(-distance / reach)."""
    place = np.arange(length) + 0.5
    none = np.zeros(length)
    if reach == 0.0 or not (left or right):
        return none, none
    if math.isinf(reach):
        if left and right:
            return 1.0 - place / length, place / length
        ones = np.ones(length)
        return (ones, none) if left else (none, ones)
    from_left, from_right = np.exp(-place / reach), np.exp(-(length - place) / reach)
    level = 1.0 + _NOISE
    if not right:
        return from_left / level, none
    if not left:
        return none, from_right / level
    across = math.exp(-length / reach)
    scale = level * level - across * across
    return (
        (from_left * level - from_right * across) / scale,
        (from_right * level - from_left * across) / scale,
    )


class Bridging:
    """All bridges over gaps of one length; the weights are computed once."""

    def __init__(self, prepared: Prepared, length: int) -> None:
        self._prepared = prepared
        self._length = length
        windows = [bridge.window_h for bridge in BRIDGES]
        self._last = np.array([prepared.intervals(hours) - 1 if hours else 0 for hours in windows])
        self._known: dict[tuple[bool, bool], tuple[Floats, Floats]] = {}

    def _shapes(self, *, left: bool, right: bool) -> tuple[Floats, Floats]:
        if (left, right) not in self._known:
            per_hour = 3_600_000 / self._prepared.step_ms
            shapes = [
                _weights(self._length, bridge.reach_h * per_hour, left=left, right=right)
                for bridge in BRIDGES
            ]
            self._known[left, right] = (
                np.array([one for one, _ in shapes]),
                np.array([other for _, other in shapes]),
            )
        return self._known[left, right]

    def apply(self, base: Floats, actual: Floats) -> Floats:
        """An estimate bent by every bridge: one row per bridge, the gap's intervals only.

        Both cover the gap and its edges; ``actual`` is NaN where nothing is known.
        """
        edge, length = self._prepared.edge, self._length
        differences = actual - base
        before, after = differences[:edge], differences[edge + length :]
        lefts, rights = self._means(before[::-1]), self._means(after)
        from_left, from_right = self._shapes(left=lefts is not None, right=rights is not None)
        bent = np.repeat(base[None, edge : edge + length], len(BRIDGES), axis=0)
        if lefts is not None:
            bent += lefts[:, None] * from_left
        if rights is not None:
            bent += rights[:, None] * from_right
        result: Floats = np.maximum(bent, self._prepared.lowest)
        return result

    def _means(self, differences: Floats) -> Floats | None:
        """Mean difference over each bridge's window, counted from the gap; None if the value next
        to the gap is unknown."""
        if not len(differences) or math.isnan(differences[0]):
            return None
        known = np.isfinite(differences)
        sums = np.cumsum(np.where(known, differences, 0.0))
        counts = np.cumsum(known)
        last = np.minimum(self._last, len(differences) - 1)
        means: Floats = sums[last] / counts[last]
        return means
