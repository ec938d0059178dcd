"""A gap through which the register kept counting: the total is measured, its shape is allocated."""

from __future__ import annotations

import numpy as np

from agent.core.gaps.knots import HOUR_MS, Gap
from agent.core.gaps.load import LoadSeries
from agent.core.kernels.arrays import Floats, Integers


def spread(
    total: float, edges_ms: Integers, loads: LoadSeries | None, max_rate_per_h: float | None
) -> Floats:
    """Amount between each two neighbouring edges: in proportion to load, else to time.

    Time without a known load counts with the mean of the known; negative load counts as none. No
    part gets more than the largest rate allows: what is over goes to the others by the same rule.

    Example: 90 kWh over two hours at 80 % and 10 % load with at most 60 kWh/h: 60 and 30 kWh.
    """
    lengths = (edges_ms[1:] - edges_ms[:-1]).astype(np.float64)
    weights = _weights(edges_ms, lengths, loads)
    amounts: Floats = total * (weights / weights.sum())
    if max_rate_per_h is None:
        return amounts
    caps = max_rate_per_h * lengths / HOUR_MS
    if total >= caps.sum():
        even: Floats = total * (lengths / lengths.sum())
        return even
    free = np.ones(len(caps), np.bool_)
    while np.any(over := free & (amounts > caps)):
        free &= ~over
        amounts = np.where(free, 0.0, caps)
        if not free.any():
            break
        shares = np.where(free, weights, 0.0)
        if shares.sum() <= 0.0:
            shares = np.where(free, lengths, 0.0)
        amounts += (total - caps[~free].sum()) * (shares / shares.sum())
    return amounts


def _weights(edges_ms: Integers, lengths: Floats, loads: LoadSeries | None) -> Floats:
    if loads is None:
        return lengths
    clipped = LoadSeries(times_ms=loads.times_ms, values=np.maximum(loads.values, 0.0))
    means, known_ms = clipped.means(edges_ms[:-1], edges_ms[1:])
    loaded = np.where(known_ms > 0, means, 0.0) * known_ms
    known = int(known_ms.sum())
    if known == 0 or loaded.sum() <= 0.0:
        return lengths
    weights: Floats = loaded + (lengths - known_ms) * (float(loaded.sum()) / known)
    return weights


def allocate(
    gap: Gap,
    accumulated: float,
    grid_ms: Integers,
    loads: LoadSeries | None,
    max_rate_per_h: float | None,
) -> dict[int, float]:
    """The accumulated amount at each boundary within a gap whose total is known.

    ``accumulated`` is the amount at the start of the gap. Parts between neighbouring boundaries
    add up to the register's difference whatever the load says.

    Example: 600 kWh over six hours, load steady: 100 kWh in each hour.
    """
    assert gap.total is not None
    edges = np.concatenate(([gap.start_ms], grid_ms, [gap.end_ms])).astype(np.int64)
    running = np.cumsum(spread(gap.total, edges, loads, max_rate_per_h))[:-1]
    return {
        int(time_ms): accumulated + min(float(amount), gap.total)
        for time_ms, amount in zip(grid_ms, running, strict=True)
    }
