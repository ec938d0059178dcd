"""The load of a device over time: it shapes what is allocated and scales what is estimated."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from agent.core import kernels
from agent.core.kernels.arrays import Floats, Integers


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSeries:
    """A gauge whose value holds until the next one; NaN says that it is unknown from there on.

    Times ascend. Supply the last value before the span of interest too: it holds into it.
    """

    times_ms: Integers
    values: Floats

    def means(self, starts_ms: Integers, ends_ms: Integers) -> tuple[Floats, Integers]:
        """Mean over the known part of each span (NaN if none), and the length of that part."""
        means = np.empty(len(starts_ms), np.float64)
        known_ms = np.empty(len(starts_ms), np.int64)
        kernels.run(
            "step_means",
            np.ascontiguousarray(self.times_ms, np.int64),
            np.ascontiguousarray(self.values, np.float64),
            np.ascontiguousarray(starts_ms, np.int64),
            np.ascontiguousarray(ends_ms, np.int64),
            means,
            known_ms,
        )
        return means, known_ms

    def mean(self, start_ms: int, end_ms: int) -> float | None:
        """Mean over the known part of one span; None if nothing of it is known."""
        means, _ = self.means(np.array([start_ms]), np.array([end_ms]))
        return None if math.isnan(means[0]) else float(means[0])
