"""Computing an inventory: every source by its kind, then the totals."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agent.config.factor_rows import MeterAccuracy
from agent.config.factors import FactorNotFound, Library
from agent.config.faults import Faults
from agent.config.inventory import energy, other, process
from agent.config.inventory.cross import check_across
from agent.config.inventory.read import Inventory
from agent.config.inventory.sections import Allocation, Source
from agent.config.inventory.work import USER, Outcome, SourceFault, Work
from agent.config.rules import Rules, RulesNotFound, rules_named
from agent.core.carbon.allocation import Allocated, CoProduct, allocate, shares_sum_to_one
from agent.core.carbon.basis import CarbonInputError, Gases, WarmingPotentials
from agent.core.carbon.formula import FormulaError
from agent.core.carbon.inventory import SourceResult, Totals, totals
from agent.core.carbon.uncertainty import accuracy_class_uncertainty_pct
from agent.core.units import UnitError

_RESOLVERS: dict[str, Callable[[Any, Work], Outcome]] = {
    "fuel": energy.fuel_outcome,
    "electricity": energy.electricity_outcome,
    "heat": energy.heat_outcome,
    "carbon_balance": process.carbon_balance_outcome,
    "reaction": process.reaction_outcome,
    "coke_burn": process.coke_burn_outcome,
    "carbonate": process.carbonate_outcome,
    "nitric_acid": process.nitric_acid_outcome,
    "adipic_acid": process.adipic_acid_outcome,
    "co2_recovery": process.co2_recovery_outcome,
    "flare": other.flare_outcome,
    "wastewater": other.wastewater_outcome,
    "incineration": other.incineration_outcome,
    "landfill": other.landfill_outcome,
    "transport": other.transport_outcome,
    "cems": other.cems_outcome,
    "factor": other.factor_outcome,
}

_OF_ANY_GUIDE = ("factor", "cems")  # ways of computing, not sources of a guide's list
_IMPOSSIBLE_T = 1e12
_CLASS = re.compile(r"(\d+(?:\.\d+)?)\s*S?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocatedTotal:
    """Which products bear the total, by which method."""

    method: str
    sources: tuple[str, ...]  # empty: all
    tco2e: float
    products: tuple[Allocated, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryResult:
    """Everything `tanshu calc` says about an inventory."""

    name: str
    rules: Rules
    gwp: WarmingPotentials
    sources: tuple[SourceResult, ...]
    totals: Totals
    allocation: AllocatedTotal | None


def evaluate(inventory: Inventory, library: Library, faults: Faults) -> InventoryResult | None:
    """The result of an inventory; None, with every fault noted, if any source is faulty."""
    try:
        rules = rules_named(inventory.heading.rules)
    except RulesNotFound as error:
        faults.add("inventory.rules", error.what, error.hint)
        return None
    row, _ = library.gwp(inventory.heading.gwp or rules.gwp)
    gwp = WarmingPotentials(id=row.id, ch4=row.ch4, n2o=row.n2o)
    check_across(inventory.sources, library, rules, faults)
    results = tuple(
        result
        for path, source in inventory.sources
        if (result := source_result(path, source, library, rules, faults)) is not None
    )
    if faults.errors:
        return None
    allocation = _allocation(inventory.allocation, results, gwp, faults)
    if faults.errors:
        return None
    return InventoryResult(
        name=inventory.heading.name,
        rules=rules,
        gwp=gwp,
        sources=results,
        totals=totals(results, gwp),
        allocation=allocation,
    )


def source_result(
    path: str, source: Source, library: Library, rules: Rules, faults: Faults
) -> SourceResult | None:
    """What one source emits; None, with the fault noted at its key, if it cannot be computed."""
    origin = USER if source.evidence is None else f"{USER}: {source.evidence}"
    work = Work(library=library, rules=rules, origin=origin)
    try:
        outcome = _RESOLVERS[source.kind](source, work)
        _require_possible(outcome.gases)
        _require_evidence(source, outcome)
        activity_pct = _activity_pct(source, work)
    except (CarbonInputError, FactorNotFound, FormulaError, UnitError) as error:
        # an error of the arithmetic names its key, one of a look-up happened at the current key
        key = error.where or ("" if isinstance(error, CarbonInputError) else work.key)
        faults.add(f"{path}.{key}" if key else path, error.what, error.hint or "correct it")
        return None
    if rules.kinds and source.kind not in (*rules.kinds, *_OF_ANY_GUIDE):
        work.warnings.append(
            f"{source.kind} is not in the source list of {rules.id}: "
            "report it under the guide that covers it"
        )
    default_pct = getattr(rules.uncertainty_pct, outcome.uncertainty)
    own_pct = source.uncertainty_factor_pct
    main = work.factors[0] if work.factors else None
    return SourceResult(
        id=source.id,
        kind=source.kind,
        gases=outcome.gases,
        activity=outcome.activity,
        activity_unit=outcome.activity_unit,
        factors=tuple(work.factors),
        uncertainty_activity_pct=activity_pct,
        activity_spread=1.0
        if source.uncertainty_activity_pct is not None
        else outcome.activity_spread,
        uncertainty_factor_pct=default_pct if own_pct is None else own_pct,
        activity_group=source.meter,
        factor_group=None if main is None else f"{main.id}={main.value!r}",
        tce=outcome.tce,
        biogenic_tco2=outcome.biogenic_tco2,
        direct_tco2=outcome.direct_tco2,
        estimated_share=source.estimated_share,
        warnings=tuple(work.warnings),
    )


def _require_possible(gases: Gases) -> None:
    """Refuse what no source emits, before it spoils every sum."""
    for tonnes in (gases.tco2, gases.tch4, gases.tn2o):
        if not abs(tonnes) < _IMPOSSIBLE_T:
            raise CarbonInputError(
                f"{tonnes:g} t is more than the world emits",
                hint="check the amounts, the factor and their units",
            )


_MAKES_ZERO = {  # values of a source's own by which an activity emits nothing
    "biogenic_share": 1.0,
    "removal": 1.0,
    "conversion": 0.0,
    "b0": 0.0,
    "mcf": 0.0,
    "carbon": 0.0,
    "carbon_content": 0.0,
    "carbon_fraction": 0.0,
    "fossil_fraction": 0.0,
    "efficiency": 0.0,
    "doc": 0.0,
    "doc_f": 0.0,
    "methane_fraction": 0.0,
    "oxidation": 0.0,
}


def _require_evidence(source: Source, outcome: Outcome) -> None:
    """Refuse a part of a factor that makes it 0, as a factor of 0 is, where nothing proves it."""
    if source.evidence is not None or outcome.activity == 0 or outcome.gases != Gases():
        return
    for key, value in _MAKES_ZERO.items():
        of_landfill = key == "oxidation" and source.kind == "landfill"  # there it is of the methane
        if getattr(source, key, None) == value and not of_landfill:
            raise SourceFault(
                f"{value:g} makes the factor 0, which needs evidence",
                where=key,
                hint='evidence = "…": a laboratory report, certificates or own records',
            )


def _activity_pct(source: Source, work: Work) -> float:
    """The uncertainty of the activity: as stated, by the meter's class, or the rules' default."""
    if source.uncertainty_activity_pct is not None:
        return source.uncertainty_activity_pct
    stated = source.meter_class
    if stated is None:
        return work.rules.uncertainty_pct.activity
    if isinstance(stated, str):
        number = _CLASS.fullmatch(stated.strip())
        if number is None:
            work.key = "meter_class"
            row, _ = work.library.row(MeterAccuracy, stated, "class or kind of meter")
            return accuracy_class_uncertainty_pct(row.accuracy_class_pct)
        stated = float(number[1])
    return accuracy_class_uncertainty_pct(stated)


def _allocation(
    wanted: Allocation | None,
    results: tuple[SourceResult, ...],
    gwp: WarmingPotentials,
    faults: Faults,
) -> AllocatedTotal | None:
    if wanted is None:
        return None
    known = {result.id for result in results}
    ids = [product.id for product in wanted.product]
    for twice in sorted({one for one in ids if ids.count(one) > 1}):
        path = f"allocation.product[{twice}].id"
        faults.add(path, f'"{twice}" is used twice', "one line per product")
    for name in wanted.sources:
        if name not in known:
            faults.add("allocation.sources", f'there is no source "{name}"', "an id of a source")
    shared = [result for result in results if not wanted.sources or result.id in wanted.sources]
    total = totals(shared, gwp).tco2e
    try:
        products = _agreed(wanted) if wanted.method == "agreed" else _by_basis(wanted)
        parts = allocate(total, products, "mass" if wanted.method == "agreed" else wanted.method)
    except CarbonInputError as error:
        faults.add(f"allocation.{error.where}", error.what, error.hint)
        return None
    return AllocatedTotal(method=wanted.method, sources=wanted.sources, tco2e=total, products=parts)


def _agreed(wanted: Allocation) -> tuple[CoProduct, ...]:
    """Shares that the plant has fixed: they must sum to 1."""
    shares = {}
    for product in wanted.product:
        if product.share is None:
            raise CarbonInputError(
                "missing", where=f"product[{product.id}].share", hint="a share from 0 to 1"
            )
        shares[product.id] = product.share
    shares_sum_to_one(shares)
    return tuple(CoProduct(id=name, amount=share) for name, share in shares.items())


def _by_basis(wanted: Allocation) -> tuple[CoProduct, ...]:
    key = {"energy": "energy_gj", "price": "price", "carbon": "carbon_content"}.get(wanted.method)
    products = []
    for product in wanted.product:
        per_unit = 1.0 if key is None else getattr(product, key)
        if per_unit is None:
            raise CarbonInputError(
                "missing",
                where=f"product[{product.id}].{key}",
                hint=f"allocation by {wanted.method} needs it per unit of amount",
            )
        products.append(CoProduct(id=product.id, amount=product.amount, per_unit=per_unit))
    return tuple(products)
