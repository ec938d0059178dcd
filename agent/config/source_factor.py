"""The factor of an emission source: from the library, or the site's own."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

import msgspec

from agent.config import sections
from agent.config.draft import Draft, Item
from agent.config.factors import FactorNotFound, FactorSet, Fuel, GridChoice, Library
from agent.config.rules import Rules
from agent.config.site import FormerFactor
from agent.config.source_keys import is_of_kind, kinds_with
from agent.core.carbon.fuel import fuel_factor_tco2_per_unit
from agent.core.model import FactorRef, GasRates
from agent.core.timebase import local_day

USER = "user"
KG_PER_T = 1000.0
NM3_PER_UNIT = 10_000.0

_PARAMETERS = ("ncv", "carbon_content", "oxidation")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFactor:
    """What a source books with: the factor, the unit its stream must have, its uncertainty."""

    ref: FactorRef
    stream_unit: str
    uncertainty_pct: float
    former: tuple[FormerFactor, ...] = ()
    gases: GasRates | None = None
    heat_gj: float | None = None  # in one unit of a stream that is a mass of steam or water
    taken_out: bool = False  # recovered: its share of the stream counts below 0


def check_keys(draft: Draft, item: Item[sections.Source]) -> None:
    """Refuse keys that only sources of another kind have, and a factor of 0 without evidence."""
    source = item.section
    for key in item.table:
        if not is_of_kind(source.kind, key):
            others = kinds_with(key)
            hint = f'remove it, or write kind = "{others[0]}"' if others else "remove it"
            draft.reject(item, key, f"has no meaning for kind {source.kind}", hint)
    factors = [("factor", source.factor)]
    factors += [
        (f"changes[{place}].factor", change.factor)
        for place, change in enumerate(source.changes, start=1)
    ]
    for key, factor in factors:
        if factor == 0 and source.evidence is None:
            _reject_zero(draft, item, key)


def _reject_zero(draft: Draft, item: Item[sections.Source], key: str) -> None:
    draft.reject(
        item,
        key,
        "0 needs evidence",
        'evidence = "…": the contract with settlement, certificates or a laboratory report; '
        "or remove the key for the default factor",
    )


def source_factor(
    draft: Draft, item: Item[sections.Source], rules: Rules, library: Library, zone: ZoneInfo
) -> SourceFactor | None:
    """The factor of a source in kgCO2e per unit of its stream; None if the source is left out.

    Over time it follows the source's own `changes`, the sets that supersede the rules' set, or,
    for electricity without `year`, the data years; each from a local day of the zone on.
    """
    source = item.section
    try:
        ref, stream_unit = _factor(draft, item, rules, library)
        former, ref = _over_time(draft, item, rules, library, zone, ref)
    except FactorNotFound as error:
        key = {"fuel": "fuel", "electricity": "region", "heat": "factor"}[source.kind]
        if source.kind == "electricity" and source.year is not None and "earlier" in error.what:
            key = "year"
        draft.reject(item, key, error.what, error.hint)
        return None
    if item.is_left_out():
        return None
    default_pct = getattr(rules.uncertainty_pct, source.kind)
    own_pct = source.uncertainty_factor_pct
    return SourceFactor(
        ref=ref,
        stream_unit=stream_unit,
        uncertainty_pct=default_pct if own_pct is None else own_pct,
        former=former,
    )


def _over_time(
    draft: Draft,
    item: Item[sections.Source],
    rules: Rules,
    library: Library,
    zone: ZoneInfo,
    first: FactorRef,
) -> tuple[tuple[FormerFactor, ...], FactorRef]:
    """The factors that were replaced, and the current one."""
    source = item.section
    steps: list[tuple[datetime.date, FactorRef]] = []
    if source.factor is not None:
        steps = _own_changes(draft, item, first)
    elif source.changes:
        hint = "add factor: the one that holds before the first change"
        draft.reject(item, "changes", "needs a factor of the source's own", hint)
    elif source.kind == "electricity" and source.year is None:
        region = source.region or rules.grid_region
        basis = source.basis if "basis" in item.table else rules.grid_basis
        years = library.grid_years(region, basis)
        first = _grid_ref(library.grid(region, years[0], basis))
        steps = [
            (datetime.date(year, 1, 1), _grid_ref(library.grid(region, year, basis)))
            for year in years[1:]
        ]
    elif source.kind in ("fuel", "heat"):
        base = rules.fuel_set if source.kind == "fuel" else rules.heat_set
        for successor in library.successors(source.kind, base):
            key = f"{source.kind}_set"
            following = msgspec.structs.replace(rules, **{key: successor.id})
            if successor.valid_from is not None:
                ref, _ = _factor(draft, item, following, library)
                steps.append((successor.valid_from, ref))
    former: list[FormerFactor] = []
    for since, ref in sorted(steps, key=lambda step: step[0]):
        former.append(FormerFactor(until_ms=local_day(since, zone)[0], factor=first))
        first = ref
    return tuple(former), first


def _own_changes(
    draft: Draft, item: Item[sections.Source], first: FactorRef
) -> list[tuple[datetime.date, FactorRef]]:
    days = [change.since for change in item.section.changes]
    if days != sorted(set(days)):
        draft.reject(item, "changes", "are not in the order of their days", "one change per day")
    per_unit = {"fuel": KG_PER_T, "heat": KG_PER_T, "electricity": 1.0}[item.section.kind]
    if first.unit == "kgCO2e/Nm3":
        per_unit /= NM3_PER_UNIT
    return [
        (change.since, replace(first, value=change.factor * per_unit))
        for change in item.section.changes
    ]


def _factor(
    draft: Draft, item: Item[sections.Source], rules: Rules, library: Library
) -> tuple[FactorRef, str]:
    if item.section.kind == "fuel":
        return _fuel(draft, item, rules, library)
    if item.section.kind == "heat":
        return _heat(item.section, rules, library), "GJ"
    return _electricity(draft, item, rules, library), "kWh"


def _fuel(
    draft: Draft, item: Item[sections.Source], rules: Rules, library: Library
) -> tuple[FactorRef, str]:
    source = item.section
    if source.fuel is None:
        draft.reject(item, "fuel", "missing", 'such as fuel = "natural-gas"')
        return _user_factor("fuel", 0.0, "t"), "t"
    fuel, factor_set = library.fuel(source.fuel, rules)
    if not library.has_fuel(fuel, rules):
        draft.faults.add(
            f"{item.path}.fuel",
            f"the fuel table of {rules.id} has none, that of {factor_set.id} is used",
            "give ncv and carbon_content of your own if the report must do without it",
            warning=True,
        )
    own = [key for key in _PARAMETERS if getattr(source, key) is not None]
    if source.factor is not None and own:
        hint = "one path only: factor, or ncv, carbon_content and oxidation"
        draft.reject(item, own[0], "stands beside factor", hint)
    if source.oxidation == 0 and source.evidence is None:
        _reject_zero(draft, item, "oxidation")
    unit = fuel.stream_unit
    kg_per_stream_unit = KG_PER_T if unit == "t" else KG_PER_T / NM3_PER_UNIT
    if source.factor is not None:
        return _user_factor(f"fuel/{fuel.id}", source.factor * kg_per_stream_unit, unit), unit
    return _library_fuel(source, fuel, factor_set, own, kg_per_stream_unit), unit


def _library_fuel(
    source: sections.Source,
    fuel: Fuel,
    factor_set: FactorSet,
    own: list[str],
    kg_per_stream_unit: float,
) -> FactorRef:
    tco2 = fuel_factor_tco2_per_unit(
        ncv_gj_per_unit=source.ncv or fuel.ncv_gj_per_unit,
        carbon_content_tc_per_gj=source.carbon_content or fuel.carbon_content_tc_per_gj,
        oxidation=fuel.oxidation if source.oxidation is None else source.oxidation,
    )
    origin = factor_set.id + (f"+{USER}" if own else "")
    return FactorRef(
        id=f"fuel/{fuel.id}@{origin}",
        version=factor_set.version,
        value=tco2 * kg_per_stream_unit,
        unit=f"kgCO2e/{fuel.stream_unit}",
    )


def _heat(source: sections.Source, rules: Rules, library: Library) -> FactorRef:
    if source.factor is not None:
        return _user_factor("heat", source.factor * KG_PER_T, "GJ")
    row, factor_set = library.heat(rules)
    return FactorRef(
        id=f"heat/{row.id}@{factor_set.id}",
        version=factor_set.version,
        value=row.tco2_per_gj * KG_PER_T,
        unit="kgCO2e/GJ",
    )


def _electricity(
    draft: Draft, item: Item[sections.Source], rules: Rules, library: Library
) -> FactorRef:
    source = item.section
    if source.factor is not None:
        return _user_factor("grid", source.factor, "kWh")
    region = source.region or rules.grid_region
    basis = source.basis if "basis" in item.table else rules.grid_basis
    choice = library.grid(region, source.year, basis)
    if source.year is not None and choice.data_year < source.year:
        draft.faults.add(
            f"{item.path}.year",
            f"no factor is published for {source.year}, that of {choice.data_year} is used",
            f"nothing to do until one is published; year = {choice.data_year} says it openly",
            warning=True,
        )
    return _grid_ref(choice)


def _grid_ref(choice: GridChoice) -> FactorRef:
    return FactorRef(
        id=choice.id,
        version=choice.set.version,
        value=choice.row.kgco2_per_kwh,
        unit="kgCO2e/kWh",
    )


def _user_factor(what: str, value: float, stream_unit: str) -> FactorRef:
    return FactorRef(id=f"{what}@{USER}", version=USER, value=value, unit=f"kgCO2e/{stream_unit}")
