"""Made-up plants for the tests of gap filling: small, with a truth that is known."""

from __future__ import annotations

import numpy as np

from agent.core.gaps.series import Series
from agent.core.kernels.arrays import Floats

MONDAY_MS = 1_514_764_800_000  # 2018-01-01 00:00 local
QUARTER_MS = 900_000
PER_DAY = 96


def truth(days: int, seed: int, noise: float = 2.0) -> tuple[Floats, Floats]:
    """Energy and load per 15 minutes: two shifts on workdays, in proportion to the load."""
    rng = np.random.default_rng(seed)
    count = days * PER_DAY
    hour = np.arange(count) % PER_DAY / 4
    workday = np.arange(count) // PER_DAY % 7 < 5
    daily = np.repeat(rng.uniform(0.7, 1.0, days), PER_DAY)
    load = np.where(workday & (hour >= 6) & (hour < 22), 90.0 * daily, 10.0)
    energy = np.maximum(0.5 * load + 3.0 + rng.normal(0.0, noise, count), 0.0)
    return energy, load


def plant(
    days: int = 28,
    seed: int = 1,
    *,
    gap: tuple[int, int] | None = None,
    until: int | None = None,
    with_load: bool = True,
    noise: float = 2.0,
) -> Series:
    """A plant with one gap [first, end), seen up to an interval."""
    energy, load = truth(days, seed, noise)
    if gap is not None:
        energy[gap[0] : gap[1]] = np.nan
    return Series(
        start_ms=MONDAY_MS,
        step_ms=QUARTER_MS,
        values=energy[:until],
        numbers={"load": load[:until]} if with_load else {},
        load="load" if with_load else None,
    )
