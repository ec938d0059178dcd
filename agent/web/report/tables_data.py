"""What a report is made from: energy in coal equivalent, products, meters, entries."""

from __future__ import annotations

from agent.config.standard_coal import OWN_VALUE
from agent.core.model import Provenance
from agent.core.report.model import MonthReport, StreamFigures
from agent.web.present import unit_label
from agent.web.report.table import Column, Form, Table, Value
from agent.web.report.words import ReportWords


def coal_table(report: MonthReport, words: ReportWords) -> Table:
    """Every energy flow in t of coal equivalent, by its calorific and its equivalent value."""
    t, energy = words.t, report.energy
    by_id = {source.place.id: source for source in report.sources}
    rows: list[tuple[Value, ...]] = [
        (
            words.source(by_id[flow.source]),
            words.kind(by_id[flow.source].place),
            flow.amount,
            unit_label(by_id[flow.source].place.unit_of_stream),
            flow.coal.calorific_kgce,
            flow.calorific_tce,
            flow.coal.equivalent_kgce,
            flow.equivalent_tce,
            words.cited(flow.coal.document)
            if flow.coal.document != OWN_VALUE
            else t("report.measured_ncv"),
        )
        for flow in energy.flows
    ]
    notes: list[str] = []
    if rows:
        rows.append(
            (
                t("report.energy_total"),
                "",
                None,
                "",
                None,
                energy.calorific_tce,
                None,
                energy.equivalent_tce,
                "",
            )
        )
        notes.append(t("report.coal_note"))
        if report.site.equivalent_source:
            notes.append(t("report.equivalent_source", source=report.site.equivalent_source))
        if energy.equivalent_tce is None:
            notes.append(t("report.equivalent_missing"))
    if energy.left_out:
        names = ", ".join(words.source(by_id[source]) for source in energy.left_out)
        notes.append(t("report.energy_left_out", names=names))
    return Table(
        key="coal",
        title=t("report.coal"),
        columns=(
            Column(title=t("report.source")),
            Column(title=t("report.kind")),
            Column(title=t("report.activity"), form=Form.AMOUNT),
            Column(title=t("points.unit"), form=Form.WORD),
            Column(title=t("report.calorific_per_unit"), form=Form.SHORT),
            Column(title=t("report.calorific_tce"), form=Form.TONNES),
            Column(title=t("report.equivalent_per_unit"), form=Form.SHORT),
            Column(title=t("report.equivalent_tce"), form=Form.TONNES),
            Column(title=t("report.document")),
        ),
        rows=tuple(rows),
        sums=frozenset({len(rows) - 1}) if rows else frozenset(),
        notes=tuple(notes),
        empty=t("report.no_energy"),
    )


def products_table(report: MonthReport, words: ReportWords) -> Table:
    """What a tonne of each product took."""
    t = words.t
    names = {
        key: name
        for source in report.sources
        for key, name in (
            (source.place.id, words.source(source)),
            (source.place.device, source.place.device_name),
            (source.place.unit, source.place.unit_name),
            (source.place.area, source.place.area_name),
        )
    }
    return Table(
        key="products",
        title=t("report.products"),
        columns=(
            Column(title=t("activity.product")),
            Column(title=t("report.place")),
            Column(title="t", form=Form.AMOUNT),
            Column(title="kg CO₂e/t", form=Form.AMOUNT),
            Column(title=t("report.calorific_per_t"), form=Form.AMOUNT),
            Column(title=t("report.equivalent_per_t"), form=Form.AMOUNT),
        ),
        rows=tuple(
            (
                one.item,
                names.get(one.place, one.place) if one.place else t("report.whole_site"),
                one.tonnes,
                one.kgco2e_per_t,
                one.calorific_kgce_per_t,
                one.equivalent_kgce_per_t,
            )
            for one in report.products
        ),
        empty=t("report.no_products"),
    )


def energy_table(report: MonthReport, words: ReportWords) -> Table:
    t = words.t
    return Table(
        key="energy",
        title=t("report.energy"),
        columns=(
            Column(title=t("meters.meter")),
            Column(title=t("streams.stream"), form=Form.CODE),
            Column(title=t("points.quantity")),
            Column(title=t("windows.value"), form=Form.AMOUNT),
            Column(title=t("points.unit"), form=Form.WORD),
            Column(title=t("report.available"), form=Form.PERCENT),
            Column(title=t("provenance.allocated"), form=Form.PERCENT),
            Column(title=t("provenance.estimated"), form=Form.PERCENT),
            Column(title=t("provenance.manual"), form=Form.PERCENT),
            Column(title=t("provenance.missing"), form=Form.PERCENT),
        ),
        rows=tuple(_stream_row(stream, words) for stream in report.streams),
        empty=t("report.no_streams"),
        notes=(t("report.available_note"),),
    )


def _stream_row(stream: StreamFigures, words: ReportWords) -> tuple[Value, ...]:
    return (
        stream.place.meter_name,
        stream.place.id,
        words.t.named("quantity", stream.place.quantity),
        stream.amount,
        unit_label(stream.place.unit),
        stream.availability,
        stream.share_of_time(Provenance.ALLOCATED),
        stream.share_of_time(Provenance.ESTIMATED),
        stream.share_of_time(Provenance.MANUAL),
        stream.share_of_time(Provenance.MISSING),
    )


def entries_table(report: MonthReport, words: ReportWords) -> Table:
    t = words.t
    rows: list[tuple[Value, ...]] = []
    for part in (*report.opening_stock, *report.entries):
        entry = part.entry
        evidence = f"{entry.evidence.name} {entry.evidence.sha256[:8]}" if entry.evidence else ""
        rows.append(
            (
                t.named("activity", entry.kind),
                entry.item,
                part.amount,
                unit_label(entry.unit),
                words.period(entry) + (f" ({t('report.divided')})" if part.divided else ""),
                entry.carbon_content,
                words.details(entry),
                entry.place,
                t.named("origin", entry.origin),
                entry.author,
                evidence,
                entry.revision,
            )
        )
    return Table(
        key="entries",
        title=t("report.entries"),
        columns=(
            Column(title=t("report.kind")),
            Column(title=t("report.item")),
            Column(title=t("windows.value"), form=Form.AMOUNT),
            Column(title=t("points.unit"), form=Form.WORD),
            Column(title=t("report.period")),
            Column(title=t("report.carbon_content"), form=Form.FACTOR),
            Column(title=t("report.details")),
            Column(title=t("report.place")),
            Column(title=t("report.origin")),
            Column(title=t("report.author")),
            Column(title=t("report.evidence")),
            Column(title=t("windows.revision"), form=Form.COUNT),
        ),
        rows=tuple(rows),
        empty=t("report.no_entries"),
    )
