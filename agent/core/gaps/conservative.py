"""Conservative substitution: what regulators let stand for hours that nobody measured.

These rules overstate on purpose: on a steel works the European rule books 286 % too much energy for
a day, on a steady chemical plant 23 %. They are never the default; a rule set names the one it
asks for. The rules are data (``config/substitution``), each with the text it comes from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from agent.core.kernels.arrays import Floats


class Basis(StrEnum):
    """What is put in place of a missing hour."""

    BEFORE_AFTER = "before-after"  # mean of the hour before and the hour after
    MEAN_PLUS_SIGMAS = "mean-plus-sigmas"
    PERCENTILE = "percentile"  # of the look-back, or the mean before and after if that is more
    MAXIMUM = "maximum"  # of the look-back
    POTENTIAL = "potential"  # the largest possible rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """One step of a rule: the first that a gap fits into applies.

    ``least_availability_pct`` is the share of hours with quality-assured data; a gap fits if it is
    no longer than ``longest_gap_h`` (None: any).
    """

    basis: Basis
    least_availability_pct: float = 0.0
    longest_gap_h: float | None = None
    percentile: float | None = None
    sigmas: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubstitutionRule:
    """A rule with its source; ``look_back_h`` quality-assured hours before the gap count."""

    id: str
    name_zh: str
    name_en: str
    look_back_h: int
    tiers: tuple[Tier, ...]
    source: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Substitute:
    """The rate per hour that stands for the gap, and by which step of which rule."""

    rate_per_h: float
    rule: str
    basis: Basis


def substitute(
    rule: SubstitutionRule,
    *,
    gap_h: float,
    before: float | None,
    after: float | None,
    look_back: Sequence[float] | Floats,
    availability_pct: float,
    max_rate_per_h: float | None,
) -> Substitute | None:
    """The rate per hour for a gap, or None where the rule lacks what it needs.

    ``before`` and ``after`` are the rates of the quality-assured hours beside the gap (one is
    enough), ``look_back`` those of the hours before it, oldest first; only the last
    ``rule.look_back_h`` count. ``availability_pct`` is the share of hours with such data, 0..100.
    Percentiles are by nearest rank; the deviation is that of a sample (n - 1).

    Sources: Regulation (EU) 2018/2066 Art. 45(3); 40 CFR 98.35(b); 40 CFR 75.33(b).

    Example (40 CFR 75.33): a gap of 30 h at 96 % availability between 100 and 110 per hour, the
    90th percentile of the last 720 h being 140: 140 per hour; a gap of 20 h gets 105.
    """
    tier = next((tier for tier in rule.tiers if _fits(tier, gap_h, availability_pct)), None)
    if tier is None:
        return None
    history = np.asarray(look_back, np.float64)[-rule.look_back_h :]
    rate = _rate(tier, _beside(before, after), history, max_rate_per_h)
    if rate is None:
        return None
    return Substitute(rate_per_h=rate, rule=rule.id, basis=tier.basis)


def _fits(tier: Tier, gap_h: float, availability_pct: float) -> bool:
    short_enough = tier.longest_gap_h is None or gap_h <= tier.longest_gap_h
    return short_enough and availability_pct >= tier.least_availability_pct


def _beside(before: float | None, after: float | None) -> float | None:
    known = [rate for rate in (before, after) if rate is not None]
    return sum(known) / len(known) if known else None


def _rate(
    tier: Tier, beside: float | None, history: Floats, max_rate_per_h: float | None
) -> float | None:
    if tier.basis is Basis.POTENTIAL:
        return max_rate_per_h
    if tier.basis is Basis.BEFORE_AFTER:
        return beside
    if tier.basis is Basis.MEAN_PLUS_SIGMAS:
        if tier.sigmas is None or len(history) < 2:
            return None
        return float(history.mean() + tier.sigmas * history.std(ddof=1))
    if not len(history):
        return None
    if tier.basis is Basis.MAXIMUM:
        return float(history.max())
    assert tier.percentile is not None
    rank = max(1, math.ceil(tier.percentile / 100 * len(history)))
    high = float(np.sort(history)[rank - 1])
    return high if beside is None else max(high, beside)
