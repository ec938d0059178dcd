"""What the same time of earlier days and weeks says about a gap."""

from __future__ import annotations

from typing import Final

import numpy as np

from agent.core.gaps.series import Prepared, Span
from agent.core.kernels.arrays import Floats

MOST_DAYS: Final = 60


def same_time_of_weeks(prepared: Prepared, span: Span, weeks: int, keep: float) -> Floats:
    """Mean of the same time of the last weeks, each counting ``keep`` times the one after it."""
    places = prepared.around(span)
    sums, weights = np.zeros(len(places)), np.zeros(len(places))
    for week in range(1, weeks + 1):
        past = places - prepared.days_back(7 * week)
        usable = (past >= 0) & (past < span.first)
        usable[usable] = prepared.known[past[usable]]
        sums[usable] += keep**week * prepared.values[past[usable]]
        weights[usable] += keep**week
    return _or_mean(prepared, span, sums, weights)


def same_kind_of_day(prepared: Prepared, span: Span, days: int, keep: float) -> Floats:
    """Mean of the same time of the last days of its kind (workday, Saturday, Sunday)."""
    found = _by_kind(prepared, span, days)
    ages = np.cumsum(np.isfinite(found), axis=0) - 1
    weights = np.where(np.isfinite(found), keep**ages, 0.0)
    sums = (weights * np.where(np.isfinite(found), found, 0.0)).sum(axis=0)
    return _or_mean(prepared, span, sums, weights.sum(axis=0))


def median_of_kind(prepared: Prepared, span: Span, days: int) -> Floats:
    """Median of the same time of the last days of its kind: a rare event does not shift it."""
    ordered = np.sort(_by_kind(prepared, span, days), axis=0)  # NaN last
    counts = np.isfinite(ordered).sum(axis=0)
    places = np.arange(ordered.shape[1])
    lower = ordered[np.maximum(counts - 1, 0) // 2, places]
    upper = ordered[np.minimum(counts // 2, ordered.shape[0] - 1), places]
    known = counts > 0
    middle = np.where(known, (lower + upper) / 2.0, 0.0)
    return _or_mean(prepared, span, middle, known.astype(np.float64))


def _by_kind(prepared: Prepared, span: Span, days: int) -> Floats:
    """One row per earlier day of the same kind, the latest first; NaN where there is none."""
    places = prepared.around(span)
    found = np.full((days, len(places)), np.nan)
    counts = np.zeros(len(places), np.int64)
    for day in range(1, MOST_DAYS + 1):
        past = places - prepared.days_back(day)
        usable = (past >= 0) & (past < span.first) & (counts < days)
        if not usable.any():
            if (past < 0).all() or (counts >= days).all():
                break
            continue
        chosen = past[usable]
        usable[usable] = prepared.known[chosen] & (
            prepared.kind[chosen] == prepared.kind[places[usable]]
        )
        found[counts[usable], np.flatnonzero(usable)] = prepared.values[past[usable]]
        counts[usable] += 1
    return found


def _or_mean(prepared: Prepared, span: Span, sums: Floats, weights: Floats) -> Floats:
    """Weighted mean; where nothing was found the mean of what lies before the gap."""
    before = prepared.known[: span.first]
    mean = float(prepared.values[: span.first][before].mean()) if before.any() else 0.0
    safe = np.where(weights > 0.0, weights, 1.0)
    result: Floats = np.where(weights > 0.0, sums / safe, mean)
    return result
