"""A gap, the rules a user sets, and what became of the gap."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from agent.core.gaps.conservative import SubstitutionRule
from agent.core.gaps.series import Span
from agent.core.kernels.arrays import Floats
from agent.core.model import Provenance

DECIMALS: Final = 6
SHORT_H: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a user decides: up to which length a gap is short, the seed, and the conservative rule
    for gaps that no method may fill."""

    short_h: float = SHORT_H
    seed: int = 0
    substitute: SubstitutionRule | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Missing intervals [first, end). ``total`` is what a register counted through them."""

    first: int
    end: int
    total: float | None = None
    resolution: float = 0.0

    def __len__(self) -> int:
        return self.end - self.first


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledGap:
    """What became of a gap; where nothing may be said, all values are NaN and ``reason`` says why.

    ``matched`` are the analogue periods [first, end) that the values lean on. ``score_pct`` and
    ``calibration`` are those of the plan. ``provisional`` says that nothing is known after it.
    """

    gap: Gap
    values: Floats
    lower: Floats
    upper: Floats
    provenance: Provenance
    method: str
    total: float | None
    total_lower: float | None
    total_upper: float | None
    score_pct: float | None = None
    calibration: int = 0
    matched: tuple[tuple[int, int], ...] = ()
    provisional: bool = False
    reason: str = ""


def left_open(gap: Gap, span: Span, reason: str) -> FilledGap:
    """A gap that gets no value at all, not even in part."""
    missing = np.full(len(gap), math.nan)
    return FilledGap(
        gap=gap,
        values=missing,
        lower=missing,
        upper=missing,
        provenance=Provenance.MISSING,
        method="none",
        total=None,
        total_lower=None,
        total_upper=None,
        provisional=not span.closed,
        reason=reason,
    )


def finished(
    gap: Gap,
    span: Span,
    values: Floats,
    *,
    half: Floats | None,
    total_half: float | None,
    method: str,
    lowest: float,
    score_pct: float | None = None,
    calibration: int = 0,
    matched: tuple[tuple[int, int], ...] = (),
    reason: str = "",
) -> FilledGap:
    """A gap with values, each within plus and minus ``half``, the total ``total_half``.

    The total of a register is kept to the last of six decimals, and is its own best estimate.
    """
    values = rounded(values, gap.total)
    total = round(float(values.sum()), DECIMALS)
    missing = np.full(len(gap), math.nan)
    lower = upper = missing
    if half is not None:
        if len(gap) == 1 and total_half is not None:
            half = np.array([total_half])
        lower = np.maximum(values - half, np.minimum(values, lowest))
        upper = values + half
        if gap.total is not None and lowest >= 0.0 and len(gap) > 1:
            upper = np.minimum(upper, max(gap.total, 0.0) + gap.resolution)
            upper = np.maximum(upper, values)
    least = min(total, lowest * len(gap))
    return FilledGap(
        gap=gap,
        values=values,
        lower=lower,
        upper=upper,
        provenance=Provenance.ESTIMATED if gap.total is None else Provenance.ALLOCATED,
        method=method,
        total=total,
        total_lower=None if total_half is None else max(total - total_half, least),
        total_upper=None if total_half is None else total + total_half,
        score_pct=score_pct,
        calibration=calibration,
        matched=matched,
        provisional=not span.closed,
        reason=reason,
    )


def rounded(values: Floats, total: float | None) -> Floats:
    """Values of six decimals whose sum is the total, or that of the values, at six decimals."""
    sums = np.cumsum(values)
    if total is not None and len(sums):
        sums[-1] = total
    steps = np.diff(np.round(sums, DECIMALS), prepend=0.0)
    result: Floats = np.round(steps, DECIMALS)
    return result
