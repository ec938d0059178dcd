"""Loops of emission arithmetic. Plain Python that numba can compile unchanged."""

from __future__ import annotations

from agent.core.kernels.arrays import Floats


def emissions(activity: Floats, factor: Floats, kgco2e: Floats) -> int:
    """Emission of each amount by its factor (kg per unit); a missing amount (NaN) stays missing."""
    for i in range(len(activity)):
        kgco2e[i] = activity[i] * factor[i]
    return len(activity)
