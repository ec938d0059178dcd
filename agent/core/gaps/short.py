"""A short gap whose total is unknown: a line between both edges, scaled by the load."""

from __future__ import annotations

from agent.core.gaps.knots import HOUR_MS, Edge


def estimate(
    start_ms: int,
    end_ms: int,
    *,
    gap_start_ms: int,
    gap_end_ms: int,
    left: Edge | None,
    right: Edge | None,
    load: float | None,
    max_rate_per_h: float | None,
) -> float | None:
    """Amount in part of a gap from how the stream ran beside it; None if neither side is known.

    Each edge's rate is multiplied by load in the part ÷ load at that edge where both are known (and
    the edge ran at all); the two are weighted by nearness; no more than the largest possible rate.
    Source: the substitute-value practice for short gaps (BDEW: up to 2 h from the neighbours).

    Example: 150 kWh/h before, 160 kWh/h after an hour at steady 90 % load gives 155 kWh; with the
    load at 45 % in the gap 77.5 kWh.
    """
    if left is not None and right is not None:
        position = ((start_ms + end_ms) / 2 - gap_start_ms) / (gap_end_ms - gap_start_ms)
        rate = (1.0 - position) * _scaled(left, load) + position * _scaled(right, load)
    elif left is not None:
        rate = _scaled(left, load)
    elif right is not None:
        rate = _scaled(right, load)
    else:
        return None
    if max_rate_per_h is not None:
        rate = min(rate, max_rate_per_h)
    return rate * (end_ms - start_ms) / HOUR_MS


def _scaled(edge: Edge, load: float | None) -> float:
    if load is None or edge.load is None or edge.load <= 0.0:
        return edge.rate_per_h
    return edge.rate_per_h * (max(load, 0.0) / edge.load)
