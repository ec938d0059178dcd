"""The sum of all sources of an inventory: totals, gases, subtotals, uncertainty."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from agent.core.carbon.basis import Gases, WarmingPotentials, combined_uncertainty_pct
from agent.core.carbon.uncertainty import UncertainTerm, half_width, relative_pct

PURCHASED_ENERGY = frozenset({"electricity", "heat"})
T = TypeVar("T")


def without_purchased(kind: str, emitted: T, own_plant: T) -> T:
    """The part of a source that stays in the total without purchased energy.

    Purchased and exported electricity and heat are left out; what a power plant of the site's own
    burns for them is not purchased and stays.
    """
    return own_plant if kind in PURCHASED_ENERGY else emitted


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedFactor:
    """A number that a source was computed with, and where it comes from."""

    id: str
    value: float
    unit: str
    source: str
    version: str = ""  # of the factor file; empty for what is no file's
    row: str = ""  # id of the row in the factor file


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceResult:
    """What one source emitted, how, and how sure that is."""

    id: str
    kind: str
    gases: Gases
    activity: float
    activity_unit: str
    factors: tuple[UsedFactor, ...]
    uncertainty_activity_pct: float
    uncertainty_factor_pct: float
    activity_group: str | None = None
    factor_group: str | None = None
    activity_spread: float = 1.0  # of a difference of amounts, which is less sure than they are
    direct_tco2: float = 0.0  # what an own power plant burns, in a source of purchased energy
    tce: float | None = None  # energy of the source in coal equivalent; negative if exported
    biogenic_tco2: float = 0.0  # reported apart, not in the total
    estimated_share: float = 0.0
    warnings: tuple[str, ...] = ()

    @property
    def uncertainty_pct(self) -> float:
        return combined_uncertainty_pct(self._activity_pct, self.uncertainty_factor_pct)

    @property
    def _activity_pct(self) -> float:
        return self.uncertainty_activity_pct * self.activity_spread

    def term(self, gwp: WarmingPotentials) -> UncertainTerm:
        """What the source adds to the uncertainty of a sum, in tCO2e."""
        return UncertainTerm(
            value=self.gases.tco2e(gwp),
            activity_pct=self._activity_pct,
            factor_pct=self.uncertainty_factor_pct,
            activity_group=self.activity_group,
            factor_group=self.factor_group,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The sum of an inventory under one set of warming potentials."""

    tco2e: float
    gases: Gases
    subtotals: dict[str, float]  # tCO2e by kind, in the order of first appearance
    subtotal_intervals: dict[str, tuple[float, float]]  # their 95 % intervals, tCO2e
    tco2e_without_energy: float  # without purchased and exported electricity and heat
    uncertainty_pct: float | None
    lower_tco2e: float
    upper_tco2e: float
    estimated_share: float
    tce: float
    biogenic_tco2: float


def totals(results: Iterable[SourceResult], gwp: WarmingPotentials) -> Totals:
    """Totals of all sources, summed without rounding, so that their order changes nothing.

    ``E = Σ_sources (CO2 + CH4 · GWP_CH4 + N2O · GWP_N2O)``; exports and recoveries are negative.
    ``lower`` and ``upper`` are the 95 % interval by IPCC approach 1 with shared factors grouped.
    The estimated share weighs each source by its absolute emission.

    Source: NDRC 2013 guide for chemical producers, equation 1; IPCC 2006 volume 1 chapter 3.
    """
    listed = list(results)
    emitted = {result.id: result.gases.tco2e(gwp) for result in listed}
    total = _exact_sum(listed, gwp)
    kinds = dict.fromkeys(result.kind for result in listed)
    half = _half_width(listed, gwp)
    subtotals = {kind: _exact_sum(_of_kind(listed, kind), gwp) for kind in kinds}
    halves = {kind: _half_width(_of_kind(listed, kind), gwp) for kind in kinds}
    weight = math.fsum(abs(value) for value in emitted.values())
    guessed = math.fsum(abs(emitted[result.id]) * result.estimated_share for result in listed)
    return Totals(
        tco2e=total,
        gases=Gases(
            tco2=math.fsum(result.gases.tco2 for result in listed),
            tch4=math.fsum(result.gases.tch4 for result in listed),
            tn2o=math.fsum(result.gases.tn2o for result in listed),
        ),
        subtotals=subtotals,
        subtotal_intervals={
            kind: (value - halves[kind], value + halves[kind]) for kind, value in subtotals.items()
        },
        tco2e_without_energy=math.fsum(
            without_purchased(result.kind, emitted[result.id], result.direct_tco2)
            for result in listed
        ),
        uncertainty_pct=relative_pct(half, total),
        lower_tco2e=total - half,
        upper_tco2e=total + half,
        estimated_share=guessed / weight if weight else 0.0,
        tce=math.fsum(result.tce for result in listed if result.tce is not None),
        biogenic_tco2=math.fsum(result.biogenic_tco2 for result in listed),
    )


def _of_kind(results: Iterable[SourceResult], kind: str) -> list[SourceResult]:
    return [result for result in results if result.kind == kind]


def _half_width(results: Iterable[SourceResult], gwp: WarmingPotentials) -> float:
    return half_width(result.term(gwp) for result in results)


def _exact_sum(results: Iterable[SourceResult], gwp: WarmingPotentials) -> float:
    return math.fsum(result.gases.tco2e(gwp) for result in results)
