"""The month's energy in coal equivalent, and what a tonne of product took of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.core.activity import ActivityKind
from agent.core.carbon.amounts import convert_amount
from agent.core.units import UnitError

if TYPE_CHECKING:
    from agent.core.report.figures import Booked
    from agent.core.report.model import EntryFigures, SourcePlace

KGCE_PER_TCE = 1000.0
ENERGY_KINDS = frozenset({"fuel", "electricity", "heat"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CoalEquivalent:
    """Standard coal of one unit of a stream by GB/T 2589, in kgce, and where it is taken from.

    The calorific value is the heat the carrier holds; the equivalent value is what it took to
    make, which for electricity is a number of the site and None without one.
    """

    calorific_kgce: float
    equivalent_kgce: float | None
    document: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyFlow:
    """One source's energy in t of coal equivalent; negative where it was handed on."""

    source: str
    amount: float
    coal: CoalEquivalent
    calorific_tce: float
    equivalent_tce: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyFigures:
    """Comprehensive energy of the month by GB/T 2589, in tce; None where a value is not known."""

    flows: tuple[EnergyFlow, ...] = ()
    left_out: tuple[str, ...] = ()  # sources of energy whose amount or coefficient is not known
    calorific_tce: float | None = None
    equivalent_tce: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductFigures:
    """One product of one place, and what a tonne of it took of that place's sums."""

    item: str
    place: str  # device, unit, area or source; empty: the whole site
    tonnes: float
    kgco2e_per_t: float
    calorific_kgce_per_t: float | None
    equivalent_kgce_per_t: float | None


def energy_figures(sources: Iterable[Booked]) -> EnergyFigures:
    """Comprehensive energy consumption of the month in tce: ``E = Σ amount · coefficient``.

    Energy that was handed on counts negative. The equivalent sum is only known where every flow
    has an equivalent value; a source of energy that no flow can be made of is named.

    Source: GB/T 2589-2020, 综合能耗.

    Example: 148,800 kWh at 0.1229 kgce/kWh (calorific) are 18.28752 tce.
    """
    listed = list(sources)
    flows = tuple(
        EnergyFlow(
            source=source.place.id,
            amount=source.activity,
            coal=coal,
            calorific_tce=source.activity * coal.calorific_kgce / KGCE_PER_TCE,
            equivalent_tce=None
            if coal.equivalent_kgce is None
            else source.activity * coal.equivalent_kgce / KGCE_PER_TCE,
        )
        for source in listed
        if (coal := source.place.coal) is not None and source.activity is not None
    )
    made = {flow.source for flow in flows}
    left_out = tuple(
        source.place.id
        for source in listed
        if source.place.kind in ENERGY_KINDS and source.sum.windows and source.place.id not in made
    )
    if not flows:
        return EnergyFigures(left_out=left_out)
    return EnergyFigures(
        flows=flows,
        left_out=left_out,
        calorific_tce=math.fsum(flow.calorific_tce for flow in flows),
        equivalent_tce=_sum_if_known([flow.equivalent_tce for flow in flows]),
    )


def product_figures(
    entries: Iterable[EntryFigures], sources: Sequence[Booked]
) -> tuple[ProductFigures, ...]:
    """Energy and emission per tonne of each product, over the place it is entered for.

    A product without a place is held against the whole site; a place that no source stands at,
    and a product whose unit is no mass, give no intensity.
    """
    made: dict[tuple[str, str], list[float]] = {}
    for part in entries:
        if part.entry.kind is not ActivityKind.PRODUCT:
            continue
        try:
            tonnes = convert_amount(part.amount, part.entry.unit, "t")
        except UnitError:
            continue
        made.setdefault((part.entry.item, part.entry.place), []).append(tonnes)
    figures = []
    for (item, place), parts in made.items():
        tonnes = math.fsum(parts)
        own = [source for source in sources if _stands_at(place)(source.place)]
        if tonnes > 0 and own:
            figures.append(_product(item, place, tonnes, own))
    return tuple(figures)


def _product(item: str, place: str, tonnes: float, own: Sequence[Booked]) -> ProductFigures:
    energy = energy_figures(own)

    def per_tonne(tce: float | None) -> float | None:
        return None if tce is None else tce * KGCE_PER_TCE / tonnes

    return ProductFigures(
        item=item,
        place=place,
        tonnes=tonnes,
        kgco2e_per_t=float(sum(source.sum.mass.kgco2e for source in own)) / tonnes,
        calorific_kgce_per_t=per_tonne(energy.calorific_tce),
        equivalent_kgce_per_t=per_tonne(energy.equivalent_tce),
    )


def _stands_at(place: str) -> Callable[[SourcePlace], bool]:
    return lambda at: not place or place in (at.id, at.device, at.unit, at.area)


def _sum_if_known(parts: Sequence[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return math.fsum(known) if len(known) == len(parts) else None
