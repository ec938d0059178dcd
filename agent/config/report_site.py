"""What a report has to know besides the book: places, rules, factor documents, sector values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from agent.config.benchmarks import all_benchmarks
from agent.config.factor_rows import Grid, Named
from agent.config.factors import FactorNotFound, Library, library
from agent.config.rules import Rules, rules_named
from agent.config.site import SiteConfig, SourcePlan
from agent.config.source_factor import KG_PER_T, NM3_PER_UNIT, USER
from agent.config.standard_coal import source_coal
from agent.core.carbon.uncertainty import accuracy_class_uncertainty_pct
from agent.core.checks.plausibility import Benchmark, FactorDefault
from agent.core.model import FactorRef
from agent.core.report.model import (
    PURCHASED_ENERGY,
    FactorDocument,
    ReportSite,
    SourcePlace,
    StreamPlace,
)

CEMS = "cems"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportReference:
    """Everything outside the book that a report needs."""

    site: ReportSite
    document: Callable[[FactorRef], FactorDocument]
    defaults: Mapping[str, FactorDefault]
    benchmarks: tuple[Benchmark, ...]


def report_reference(config: SiteConfig) -> ReportReference:
    """The reference of one gateway's site file."""
    rules = rules_named(config.site.rules)
    known = library()
    gwp, _ = known.gwp(config.site.gwp)
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
        decimals_t=0 if rules.rounding == "whole-tonnes" else 3,
        sources=tuple(_source(config, plan, rules, known) for plan in config.sources.values()),
        streams=tuple(_streams(config)),
    )
    return ReportReference(
        site=site,
        document=lambda ref: factor_document(known, ref),
        defaults=dict(_defaults(config, rules, known)),
        benchmarks=all_benchmarks(),
    )


def _source(config: SiteConfig, plan: SourcePlan, rules: Rules, known: Library) -> SourcePlace:
    section = plan.section
    device = next(item for item in config.devices if item.id == section.device)
    unit = next(item for item in config.units if item.id == device.unit)
    area = next(item for item in config.areas if item.id == unit.area)
    stream = config.streams.get(section.stream or "")
    meter = config.meters.get((section.stream or "").partition(".")[0])
    stated = section.uncertainty_activity_pct
    if stated is None and meter is not None and meter.section.accuracy_class is not None:
        stated = accuracy_class_uncertainty_pct(meter.section.accuracy_class)
    carrier: Named | None = None
    if section.fuel is not None:
        carrier, _ = known.fuel(section.fuel, rules)
    others = {
        other.section.kind for other in config.sources.values() if other.section.device == device.id
    }
    return SourcePlace(
        id=plan.id,
        name=section.name or plan.id,
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
        meter=meter.id if meter else "",
        carrier=carrier.id if carrier else section.kind,
        carrier_zh=carrier.name_zh if carrier else "",
        carrier_en=carrier.name_en if carrier else "",
        counted=not (str(section.kind) == CEMS and others - PURCHASED_ENERGY - {CEMS}),
        uncertainty_activity_pct=rules.uncertainty_pct.activity if stated is None else stated,
        uncertainty_factor_pct=plan.uncertainty_factor_pct,
        coal=source_coal(config, plan, stream.unit, rules, known) if stream else None,
    )


def _streams(config: SiteConfig) -> Iterator[StreamPlace]:
    for stream in config.streams.values():
        meter = stream.id.partition(".")[0]
        plan = config.meters.get(meter)
        yield StreamPlace(
            id=stream.id,
            meter=meter,
            meter_name=(plan.section.name if plan else "") or meter,
            quantity=stream.quantity,
            unit=stream.unit,
            devices=tuple(
                device.id
                for device in config.devices
                if any(share.stream == stream.id for share in device.streams)
            ),
            gateway=config.gateway.id,
        )


def factor_document(known: Library, ref: FactorRef) -> FactorDocument:
    """The document a factor was taken from, by its id «kind/row/…@set» and version.

    A version that this library does not have, and a factor of the site's own, have no document
    here; their status says so.
    """
    name, _, origin = ref.id.partition("@")
    set_id, _, own = origin.partition("+")
    if set_id == USER:
        return FactorDocument(status=USER)
    kind, *words = name.split("/")
    for pack in known.packs:
        if pack.set.id != set_id or pack.set.kind != kind or pack.set.version != ref.version:
            continue
        rows = [row for row in pack.rows if words and row.id == words[0]]
        if len(words) > 1:
            rows = [row for row in rows if not isinstance(row, Grid) or row.basis == words[1]]
        row = rows[0] if rows else None
        return FactorDocument(
            standard=pack.set.standard,
            edition=pack.set.edition,
            table=pack.set.table,
            row=row.row if row else "",
            name_zh=row.name_zh if row else "",
            name_en=row.name_en if row else "",
            data_year=pack.set.data_year,
            status=USER if own else pack.set.status,
            source=pack.set.source,
        )
    return FactorDocument()


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
                scale = KG_PER_T if fuel.unit == "t" else KG_PER_T / NM3_PER_UNIT
                value = fuel.tco2_per_unit * scale
            elif section.kind == "electricity":
                choice = known.grid(section.region or rules.grid_region, section.year)
                value, origin = choice.row.kgco2_per_kwh, choice.set
            elif section.kind == "heat":
                heat, origin = known.heat(rules)
                value = heat.tco2_per_gj * KG_PER_T
            else:
                continue
        except FactorNotFound:
            continue  # the site's own factor is all there is
        document = f"{origin.standard} · {origin.table}".strip(" ·")
        yield (
            plan.id,
            FactorDefault(source=plan.id, value=value, unit=f"kgCO2e/{unit}", document=document),
        )
