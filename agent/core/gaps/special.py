"""Gaps that are not filled from pseudo-gaps: stops, check meters, conditions never seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from agent.core.gaps.conservative import SubstitutionRule, substitute
from agent.core.gaps.filled import FilledGap, Gap, Rules, finished, left_open
from agent.core.gaps.methods import MONTH_H
from agent.core.gaps.series import UNKNOWN, Prepared, Series, Span
from agent.core.kernels.arrays import Floats, Mask
from agent.core.model import Provenance
from agent.core.timebase import HOUR_MS

LEVEL: Final = 0.9
FEWEST: Final = 12
_LOOK_BACK_DAYS: Final = 30
_AVAILABILITY_DAYS: Final = 365
_BEYOND: Final = 0.1  # of the seen range of a quantity: further off, a condition is new
NEW_SHARE: Final = 0.05  # of a gap that may run under a new condition
_HISTORY: Final = 3  # times its length must have been measured before a longer gap


def new_condition(series: Series, names: tuple[str, ...], span: Span, known: Mask) -> str:
    """Name of a condition in a gap that was never measured under before it; empty if none."""
    allowed = NEW_SHARE * len(span)
    past = known[: span.first]
    for name in names:
        if name in series.numbers:
            values = series.numbers[name]
            seen, within = values[: span.first][past], values[span.first : span.end]
            seen = seen[np.isfinite(seen)]
            if not len(seen):
                continue
            margin = _BEYOND * float(np.ptp(seen)) + 0.01 * float(np.abs(seen).max())
            beyond = (within < seen.min() - margin) | (within > seen.max() + margin)
        else:
            codes = series.labels[name]
            within_codes = codes[span.first : span.end]
            beyond = ~np.isin(within_codes, codes[: span.first][past]) & (within_codes != UNKNOWN)
        if beyond.sum() > allowed:
            return name
    return ""


def refusal(prepared: Prepared, span: Span, new: str) -> str:
    """Why no method may fill a longer gap of unknown total; empty if one may."""
    if len(span) * prepared.step_ms > MONTH_H * HOUR_MS:
        return f"longer than {MONTH_H / 24:.0f} days, the limit of every method"
    if new:
        return f"condition never seen: {new}"
    if prepared.known[: span.first].sum() < _HISTORY * len(span):
        return f"less than {_HISTORY} times its length was measured before it"
    return ""


def counted(gap: Gap, span: Span, total: float) -> FilledGap:
    """One interval between two readings of the register: that is a measurement."""
    result = finished(
        gap,
        span,
        np.array([total]),
        half=np.array([gap.resolution]),
        total_half=gap.resolution,
        method="register",
        lowest=0.0,
    )
    return replace(result, provenance=Provenance.MEASURED)


def by_check_meter(series: Series, prepared: Prepared, gap: Gap, span: Span) -> FilledGap | None:
    """By the other meter of the same quantity, times how both compared before.

    None where that meter did not read either, or both were hardly ever known together.
    """
    if series.check is None:
        return None
    seen = series.check[span.first : span.end]
    first = max(0, span.first - prepared.days_back(_LOOK_BACK_DAYS))
    own, other = series.values[first : span.first], series.check[first : span.first]
    both = prepared.known[first : span.first] & np.isfinite(other)
    if not np.isfinite(seen).all() or both.sum() < FEWEST or other[both].sum() <= 0.0:
        return None
    ratio = float(own[both].sum() / other[both].sum())
    half = float(np.quantile(np.abs(own[both] - ratio * other[both]), LEVEL))
    return finished(
        gap,
        span,
        seen * ratio,
        half=np.full(len(span), half),
        total_half=half * len(span),
        method="check-meter",
        lowest=prepared.lowest,
        calibration=int(both.sum()),
    )


def substituted(series: Series, gap: Gap, span: Span, rules: Rules, reason: str) -> FilledGap:
    """The conservative rule where one is asked for, else no value at all."""
    rule = rules.substitute
    value = None if rule is None else _by_hours(series, span, rule)
    if rule is None or value is None:
        return left_open(gap, span, reason)
    return finished(
        gap,
        span,
        np.full(len(span), value),
        half=None,
        total_half=None,
        method=f"substitute-{rule.id}",
        lowest=-np.inf,
        reason=reason,
    )


def _by_hours(series: Series, span: Span, rule: SubstitutionRule) -> float | None:
    """The value per interval that a rule gives, from the mean values of the hours before a gap."""
    size = max(1, round(HOUR_MS / series.step_ms))
    past = series.values[span.first % size : span.first].reshape(-1, size)
    past = past[-_AVAILABILITY_DAYS * 24 :]
    hours = past.mean(axis=1)[np.isfinite(past).all(axis=1)]
    near = (series.values[max(0, span.first - size) : span.first], series.values[span.end :][:size])
    before, after = (_finite(values) for values in near)
    found = substitute(
        rule,
        gap_h=len(span) * series.step_ms / HOUR_MS,
        before=float(before.mean()) if len(before) else None,
        after=float(after.mean()) if len(after) else None,
        look_back=hours,
        availability_pct=100.0 * len(hours) / max(1, len(past)),
        max_rate_per_h=None,
    )
    return None if found is None else found.rate_per_h


def stop_values(series: Series, before: int) -> Floats:
    """What was measured during stops before an interval."""
    if series.stopped is None:
        return np.zeros(0)
    return _finite(series.values[:before][series.stopped[:before]])


def all_stopped(series: Series, gap: Gap, span: Span, rules: Rules) -> FilledGap:
    """A gap within a stop: as much as in earlier stops, never like production."""
    known = stop_values(series, span.first)
    if gap.total is not None:
        mean, half, total_half = gap.total / len(span), abs(gap.total), gap.resolution
    elif len(known) < FEWEST:
        reason = "within a stop, and no earlier stop was measured"
        return substituted(series, gap, span, rules, reason)
    else:
        mean = float(known.mean())
        half = float(np.quantile(np.abs(known - mean), LEVEL))
        total_half = half * len(span)
    return finished(
        gap,
        span,
        np.full(len(span), mean),
        half=np.full(len(span), half),
        total_half=total_half,
        method="stop",
        lowest=0.0 if not len(known) or known.min() >= 0.0 else -np.inf,
        calibration=len(known),
    )


def _finite(values: Floats) -> Floats:
    return values[np.isfinite(values)]
