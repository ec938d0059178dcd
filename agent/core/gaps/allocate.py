"""A gap through which the register kept counting: the total is measured, its shape is allocated."""

from __future__ import annotations

import numpy as np

from agent.core.gaps.knots import Gap
from agent.core.gaps.load import LoadSeries
from agent.core.kernels.arrays import Floats, Integers


def shares(edges_ms: Integers, loads: LoadSeries | None) -> Floats:
    """Which share of the whole falls before each edge: in proportion to load, else to time.

    ``edges_ms`` ascend from the start to the end of the span; the first share is 0, the last 1.
    Time without a known load counts with the mean of the known; negative load counts as none.
    """
    starts, ends = edges_ms[:-1], edges_ms[1:]
    lengths = (ends - starts).astype(np.float64)
    weights = lengths
    if loads is not None:
        clipped = LoadSeries(times_ms=loads.times_ms, values=np.maximum(loads.values, 0.0))
        means, known_ms = clipped.means(starts, ends)
        loaded = np.where(known_ms > 0, means, 0.0) * known_ms
        known = int(known_ms.sum())
        if known > 0 and loaded.sum() > 0.0:
            weights = loaded + (lengths - known_ms) * (float(loaded.sum()) / known)
    running = np.concatenate((np.zeros(1), np.cumsum(weights)))
    result: Floats = running / running[-1]
    return result


def allocate(
    gap: Gap, accumulated: float, grid_ms: Integers, loads: LoadSeries | None
) -> dict[int, float]:
    """The accumulated amount at each boundary within a gap whose total is known.

    ``accumulated`` is the amount at the start of the gap. Parts between neighbouring boundaries
    add up to the register's difference whatever the load says.

    Example: 600 kWh over six hours, load steady: 100 kWh in each hour.
    """
    assert gap.total is not None
    edges = np.concatenate(([gap.start_ms], grid_ms, [gap.end_ms])).astype(np.int64)
    parts = shares(edges, loads)[1:-1]
    return {
        int(time_ms): accumulated + gap.total * float(part)
        for time_ms, part in zip(grid_ms, parts, strict=True)
    }
