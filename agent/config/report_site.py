"""What a report has to know besides the book: places, rules, factor documents, sector values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from agent.config import sections
from agent.config.benchmarks import all_benchmarks
from agent.config.factor_documents import factor_document
from agent.config.factor_parts import FactorParts
from agent.config.factor_rows import Named
from agent.config.factors import FactorNotFound, Library, library
from agent.config.rules import Rules, rules_named
from agent.config.site import SiteConfig
from agent.config.source_factor import KG_PER_T
from agent.config.standard_coal import period_coal, stream_coal
from agent.core.carbon.amounts import convert_amount
from agent.core.carbon.inventory import PURCHASED_ENERGY
from agent.core.checks.plausibility import Benchmark, FactorDefault
from agent.core.model import FactorRef, GasRates
from agent.core.report.model import (
    FactorDocument,
    ReportSite,
    SourcePlace,
    StreamPlace,
)
from agent.core.units import UnitError

CEMS = "cems"
_GAS_OF_KIND = {"nitric_acid": "n2o", "adipic_acid": "n2o", "wastewater": "ch4", "landfill": "ch4"}
_UNCERTAINTY_OF_KIND = {
    "fuel": "fuel",
    "electricity": "electricity",
    "heat": "heat",
    "nitric_acid": "n2o",
    "adipic_acid": "n2o",
    "wastewater": "waste",
    "incineration": "waste",
    "landfill": "waste",
    "transport": "transport",
    "cems": "measured",
    "factor": "user",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceConflict:
    """A place that a gateway describes in another way than the site file that owns it."""

    gateway: str
    place: str
    owned: str
    other: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportReference:
    """Everything outside the book that a report needs."""

    site: ReportSite
    document: Callable[[FactorRef], FactorDocument]
    defaults: Mapping[str, FactorDefault]
    benchmarks: tuple[Benchmark, ...]
    conflicts: tuple[PlaceConflict, ...] = ()
    recovered: frozenset[str] = frozenset()  # entered series that are no products but taken off
    billed: frozenset[str] = frozenset()  # sources of electricity that a bill says was purchased
    described: bool = True  # by a site file; else only what the book itself holds is known
    factors: FactorParts | None = None  # of the site files, if there are any


def report_reference(config: SiteConfig, *others: SiteConfig) -> ReportReference:
    """The reference of a site from its file, or from one file of each of its gateways.

    The first file owns areas and units, rules and warming potentials.
    """
    rules = rules_named(config.site.rules)
    known = library()
    gwp, _ = known.gwp(config.site.gwp)
    configs = (config, *others)
    site = ReportSite(
        id=config.site.id,
        name=config.site.name or config.site.id,
        timezone=config.site.timezone,
        rules=rules.id,
        rules_name_zh=rules.name_zh,
        rules_name_en=rules.name_en,
        rules_status=rules.status,
        rules_note_zh=rules.note_zh,
        rules_note_en=rules.note_en,
        rules_missing_data_zh=rules.missing_data_zh,
        rules_missing_data_en=rules.missing_data_en,
        rules_kinds=rules.kinds,
        gwp=gwp.id,
        gwp_ch4=gwp.ch4,
        gwp_n2o=gwp.n2o,
        equivalent_source=config.site.equivalent_source,
        decimals_t=decimals_of(rules),
        sources=tuple(place for one in configs for place in _sources(config, one, rules, known)),
        streams=tuple(place for one in configs for place in _streams(one)),
    )
    return ReportReference(
        site=site,
        document=lambda ref: factor_document(known, ref),
        defaults={
            source: default for one in configs for source, default in _defaults(one, rules, known)
        },
        benchmarks=all_benchmarks(),
        factors=FactorParts(configs, known),
        recovered=frozenset(name for one in configs for name in _recovered(one)),
        billed=frozenset(name for one in configs for name in _billed(one)),
        conflicts=tuple(
            conflict
            for one in others
            for conflict in place_conflicts(config, one.gateway.id, _described_places(one))
        ),
    )


def _recovered(config: SiteConfig) -> Iterator[str]:
    """The series that bring what was recovered: carbon and methane that were caught."""
    for plan in config.period_sources.values():
        for feed in plan.feeds:
            if feed.activity and str(feed.path[0]).startswith("recovered_"):
                yield feed.activity


def _billed(config: SiteConfig) -> Iterator[str]:
    """The sources of electricity whose purchase is entered from a bill."""
    for plan in config.period_sources.values():
        for feed in plan.feeds:
            if feed.path == ("purchased_mwh",) and feed.activity.startswith("activity.bill."):
                yield plan.id


def decimals_of(rules: Rules) -> int:
    """Decimals of tonnes in the summary."""
    return 0 if rules.rounding == "whole-tonnes" else 3


def _described_places(config: SiteConfig) -> dict[str, str]:
    """Every area and unit with its name and what it belongs to, in one line each."""
    return {
        "rules": f"{config.site.rules}, {config.site.gwp}",
        **{area.id: area.name or area.id for area in config.areas},
        **{unit.id: f"{unit.name or unit.id} ({unit.area})" for unit in config.units},
    }


def place_conflicts(
    owner: SiteConfig, gateway: str, described: Mapping[str, str]
) -> Iterator[PlaceConflict]:
    """Where a gateway describes a place in another way than the file that owns it.

    A place that only the gateway has is none: areas may have a gateway of their own.
    """
    own = _described_places(owner)
    for place, text in described.items():
        if own.get(place, text) != text:
            yield PlaceConflict(gateway=gateway, place=place, owned=own[place], other=text)


def _sources(
    owner: SiteConfig, config: SiteConfig, rules: Rules, known: Library
) -> Iterator[SourcePlace]:
    """The sources of one file; places that the owner names, too, bear its names."""
    units = {unit.id: unit for unit in (*config.units, *owner.units)}
    areas = {area.id: area for area in (*config.areas, *owner.areas)}
    devices = {device.id: device for device in config.devices}
    for section in config.source_sections:
        plan = config.sources.get(section.id)
        device = devices[section.device]
        unit = units[device.unit]
        area = areas[unit.area]
        stream = config.streams.get(section.stream)
        carrier: Named | None = None
        if section.fuel is not None:
            carrier, _ = known.fuel(section.fuel, rules)
        yield SourcePlace(
            id=section.id,
            name=section.name or section.id,
            kind=section.kind,
            stream=stream.id if stream else "",
            unit_of_stream=stream.unit if stream else "",
            share=section.share,
            device=device.id,
            device_name=device.name or device.id,
            unit=unit.id,
            unit_name=unit.name or unit.id,
            area=area.id,
            area_name=area.name or area.id,
            stage=device.stage,
            gateway=config.gateway.id,
            evidence=section.evidence or "",
            meter=config.meter_of(section.stream),
            period="" if stream else section.period,
            carrier=carrier.id if carrier else section.kind,
            carrier_zh=carrier.name_zh if carrier else "",
            carrier_en=carrier.name_en if carrier else "",
            counted=_counted(config, section),
            uncertainty_activity_pct=_stated_or(
                section.uncertainty_activity_pct, rules.uncertainty_pct.activity
            ),
            uncertainty_factor_pct=plan.uncertainty_factor_pct
            if plan
            else _stated_or(
                section.uncertainty_factor_pct, default_factor_pct(section.kind, rules)
            ),
            coal=stream_coal(owner, plan, stream.unit, rules, known)
            if plan and stream
            else period_coal(owner, config.period_sources[section.id], rules, known),
        )


def _counted(config: SiteConfig, section: sections.Source) -> bool:
    """False for a stack measurement of a gas that its device's other sources are computed for."""
    if section.kind != CEMS:
        return True
    computed = (
        _gases_of(config, one)
        for one in config.source_sections
        if one.device == section.device and one.kind not in (*PURCHASED_ENERGY, CEMS)
    )
    return _gases_of(config, section).isdisjoint(frozenset().union(*computed))


def _gases_of(config: SiteConfig, section: sections.Source) -> frozenset[str]:
    """Which gases a source is computed for."""
    plan = config.sources.get(section.id)
    if plan is None:
        table = config.period_sources[section.id].table
        return frozenset({_GAS_OF_KIND.get(section.kind) or str(table.get("gas", "co2"))})
    rates = plan.gases or GasRates(kgco2=1.0)
    found = (("co2", rates.kgco2), ("ch4", rates.kgch4), ("n2o", rates.kgn2o))
    return frozenset(gas for gas, rate in found if rate)


def _stated_or(stated: float | None, default: float) -> float:
    return default if stated is None else stated


def default_factor_pct(kind: str, rules: Rules) -> float:
    """Half of the 95 % interval of the factor of a kind of source, in %, as the rules assume it."""
    group = _UNCERTAINTY_OF_KIND.get(kind, "process")
    default: float = getattr(rules.uncertainty_pct, group)
    return default


def _streams(config: SiteConfig) -> Iterator[StreamPlace]:
    for stream in config.streams.values():
        meter = config.meter_of(stream.id)
        plan = (
            config.meters.get(meter)
            or config.manual.get(stream.id)
            or config.derived_plan(stream.id)
        )
        yield StreamPlace(
            id=stream.id,
            meter=meter,
            meter_name=(plan.name if plan else "") or meter,
            quantity=stream.quantity,
            unit=stream.unit,
            devices=tuple(
                device.id
                for device in config.devices
                if any(share.stream == stream.id for share in device.streams)
            ),
            gateway=config.gateway.id,
        )


def _defaults(
    config: SiteConfig, rules: Rules, known: Library
) -> Iterator[tuple[str, FactorDefault]]:
    """What the library has for each source, in kgCO2e per unit of the stream."""
    for plan in config.sources.values():
        section = plan.section
        stream = config.streams.get(section.stream or "")
        if stream is None:
            continue
        unit = stream.unit
        try:
            if section.kind == "fuel" and section.fuel is not None:
                fuel, origin = known.fuel(section.fuel, rules)
                value = fuel.tco2_per_unit * KG_PER_T * convert_amount(1.0, unit, fuel.unit)
            elif section.kind == "electricity":
                choice = known.grid(section.region or rules.grid_region, section.year)
                value = choice.row.kgco2_per_kwh * convert_amount(1.0, unit, "kWh")
                origin = choice.set
            elif section.kind == "heat":
                heat, origin = known.heat(rules)
                value = heat.tco2_per_gj * KG_PER_T * convert_amount(1.0, unit, "GJ")
            else:
                continue
        except (FactorNotFound, UnitError):
            continue  # the site's own factor is all there is, or steam is metered by its mass
        document = f"{origin.standard} · {origin.table}".strip(" ·")
        yield (
            plan.id,
            FactorDefault(source=plan.id, value=value, unit=f"kgCO2e/{unit}", document=document),
        )
