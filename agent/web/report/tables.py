"""A report as tables of plain values; HTML and workbook show the same ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from agent.core.model import Provenance, Severity
from agent.core.report.model import (
    ZERO,
    GroupFigures,
    Mass,
    MonthReport,
    SourceFigures,
    StreamFigures,
    Totals,
)
from agent.core.report.rounding import KG_PER_T, summary
from agent.web.present import unit_label
from agent.web.report.words import METHOD_OF_OTHERS, METHODS, ReportWords

Value = str | int | float | Decimal | None
HASH_SHOWN = 12
SEVERITY_SHAPES = {Severity.ALARM: "▲", Severity.WARNING: "◆", Severity.INFO: ""}


class Form(StrEnum):
    """How a column is written."""

    TEXT = "text"
    WORD = "word"  # a short word that is not broken
    CODE = "code"  # ids and versions
    LONG = "long"  # sentences
    COUNT = "count"
    SUMMARY = "summary"  # tonnes as the rules round them
    TONNES = "tonnes"  # three decimals: to the kilogram
    AMOUNT = "amount"
    PERCENT = "percent"  # a share of 0..1
    EXACT = "exact"  # kilograms to the milligram
    FACTOR = "factor"  # all digits


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    title: str
    form: Form = Form.TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of values; ``sums`` are the places of rows that are sums of others."""

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    sums: frozenset[int] = frozenset()
    notes: tuple[str, ...] = ()
    empty: str = ""
    decimals_t: int = 0


def tonnes(kg: Decimal) -> Decimal:
    return kg / KG_PER_T


def tables_of(report: MonthReport, words: ReportWords) -> dict[str, Table]:
    """All tables of a report by key, in the order in which they are shown."""
    made = [
        summary_table(report, words),
        sources_table(report.sources, "sources", words, report.totals),
        *(
            groups_table(key, groups, report, words)
            for key, groups in (
                ("stages", report.stages),
                ("areas", report.areas),
                ("units", report.units),
                ("devices", report.devices),
            )
        ),
        days_table(report, words),
        energy_table(report, words),
        entries_table(report, words),
        methods_table(report, words),
        factors_table(report, words),
        findings_table(report, words),
        reviews_table(report, words),
        annex_table(report, words),
    ]
    if report.compared:
        made.append(sources_table(report.compared, "compared", words, None))
    return {table.key: table for table in made}


def summary_table(report: MonthReport, words: ReportWords) -> Table:
    """The table for the authority: whole tonnes, and both totals."""
    t = words.t
    printed = summary(report.sources, report.site.decimals_t)
    rows: list[tuple[Value, ...]] = [
        (t(f"line.{line.line}"), line.tonnes, line.tco2e) for line in printed.lines
    ]
    rows.append((t("report.total_without_energy"), None, printed.without_energy_tco2e))
    rows.append((t("report.total"), None, printed.total_tco2e))
    notes = [t("report.rounding_note")]
    if printed.lines_differ_by_t:
        notes.append(t("report.rounding_differs", number=f"{printed.lines_differ_by_t:+}"))
    others = sorted(
        {
            t.named("kind", source.place.kind)
            for source in report.sources
            if report.site.rules_kinds and source.place.kind not in report.site.rules_kinds
        }
    )
    if others:
        notes.append(t("report.other_guides", kinds=", ".join(others)))
    return Table(
        key="summary",
        title=t("report.summary"),
        columns=(
            Column(title=t("report.line")),
            Column(title=t("report.gas_t"), form=Form.SUMMARY),
            Column(title="t CO₂e", form=Form.SUMMARY),
        ),
        rows=tuple(rows),
        sums=frozenset({len(rows) - 2, len(rows) - 1}),
        notes=tuple(notes),
        decimals_t=report.site.decimals_t,
    )


def sources_table(
    sources: Sequence[SourceFigures], key: str, words: ReportWords, total: Totals | None
) -> Table:
    t = words.t
    rows: list[tuple[Value, ...]] = [
        (
            words.source(source),
            words.place(source.place),
            words.kind(source.place),
            source.activity,
            unit_label(source.place.unit_of_stream),
            tonnes(source.mass.kgco2e),
            source.share,
            source.estimated_share,
            source.half_95_kg / 1000,
        )
        for source in sources
    ]
    sums = frozenset[int]()
    if total is not None and sources:
        sums = frozenset({len(rows)})
        rows.append(
            (
                t("report.total"),
                "",
                "",
                None,
                "",
                tonnes(total.mass.kgco2e),
                1.0 if total.mass.kgco2e else None,
                total.estimated_share,
                total.half_95_kg / 1000,
            )
        )
    return Table(
        key=key,
        title=t("report.sources") if key == "sources" else t("report.compared"),
        columns=(
            Column(title=t("report.source")),
            Column(title=t("report.place")),
            Column(title=t("report.kind")),
            Column(title=t("report.activity"), form=Form.AMOUNT),
            Column(title=t("points.unit"), form=Form.WORD),
            Column(title="t CO₂e", form=Form.TONNES),
            Column(title=t("report.share"), form=Form.PERCENT),
            Column(title=t("provenance.estimated"), form=Form.PERCENT),
            Column(title=t("report.half_95"), form=Form.TONNES),
        ),
        rows=tuple(rows),
        sums=sums,
        empty=t("report.no_sources"),
        notes=(t("report.compared_note"),) if key == "compared" else (),
    )


def groups_table(
    key: str, groups: Iterable[GroupFigures], report: MonthReport, words: ReportWords
) -> Table:
    t = words.t
    listed = list(groups)
    rows: list[tuple[Value, ...]] = [
        (
            words.stage(group.key) if key == "stages" else _name(group, words),
            tonnes(group.mass.kgco2e),
            group.share,
            group.estimated_share,
            group.half_95_kg / 1000,
        )
        for group in listed
    ]
    total = report.totals
    if listed:
        rows.append(
            (
                t("report.total"),
                tonnes(total.mass.kgco2e),
                1.0 if total.mass.kgco2e else None,
                total.estimated_share,
                total.half_95_kg / 1000,
            )
        )
    titles = {
        "stages": t("report.by_stage"),
        "areas": t("report.by_area"),
        "units": t("report.by_unit"),
        "devices": t("report.by_device"),
    }
    return Table(
        key=key,
        title=titles[key],
        columns=(
            Column(title=t("report.name")),
            Column(title="t CO₂e", form=Form.TONNES),
            Column(title=t("report.share"), form=Form.PERCENT),
            Column(title=t("provenance.estimated"), form=Form.PERCENT),
            Column(title=t("report.half_95"), form=Form.TONNES),
        ),
        rows=tuple(rows),
        sums=frozenset({len(rows) - 1}) if listed else frozenset(),
        empty=t("report.no_sources"),
    )


def _name(group: GroupFigures, words: ReportWords) -> str:
    return group.name or group.key or words.t("report.no_place")


def days_table(report: MonthReport, words: ReportWords) -> Table:
    t = words.t
    rows: list[tuple[Value, ...]] = []
    guessed = ZERO
    for day in report.days:
        sign = -1 if day.mass.kgco2e < 0 else 1
        estimated = sign * min(day.mass.estimated_kgco2e, abs(day.mass.kgco2e))
        guessed += estimated
        rows.append((day.day.isoformat(), *_parts(day.mass.kgco2e, estimated)))
    if rows:
        rows.append((t("report.total"), *_parts(report.totals.mass.kgco2e, guessed)))
    return Table(
        key="days",
        title=t("report.by_day"),
        columns=(
            Column(title=t("report.day")),
            Column(title=t("report.measured_t"), form=Form.TONNES),
            Column(title=t("report.estimated_t"), form=Form.TONNES),
            Column(title="t CO₂e", form=Form.TONNES),
        ),
        rows=tuple(rows),
        sums=frozenset({len(rows) - 1}) if rows else frozenset(),
    )


def _parts(total: Decimal, estimated: Decimal) -> tuple[Decimal, Decimal, Decimal]:
    """Measured, estimated and whole, in tonnes."""
    return tonnes(total - estimated), tonnes(estimated), tonnes(total)


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
    for part in report.entries:
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
            Column(title=t("report.place")),
            Column(title=t("report.origin")),
            Column(title=t("report.author")),
            Column(title=t("report.evidence")),
            Column(title=t("windows.revision"), form=Form.COUNT),
        ),
        rows=tuple(rows),
        empty=t("report.no_entries"),
    )


def methods_table(report: MonthReport, words: ReportWords) -> Table:
    t = words.t
    kinds = dict.fromkeys(source.place.kind for source in report.sources)
    return Table(
        key="methods",
        title=t("report.methods"),
        columns=(Column(title=t("report.kind")), Column(title=t("report.formula"))),
        rows=tuple((t.named("kind", kind), METHODS.get(kind, METHOD_OF_OTHERS)) for kind in kinds),
        empty=t("report.no_sources"),
    )


def factors_table(report: MonthReport, words: ReportWords) -> Table:
    t = words.t
    names = {source.place.id: words.source(source) for source in report.sources}
    return Table(
        key="factors",
        title=t("report.factors"),
        columns=(
            Column(title=t("report.source")),
            Column(title=t("factors.factor"), form=Form.CODE),
            Column(title=t("factors.version"), form=Form.CODE),
            Column(title=t("factors.value"), form=Form.FACTOR),
            Column(title=t("points.unit"), form=Form.WORD),
            Column(title=t("report.document")),
            Column(title=t("report.status"), form=Form.WORD),
            Column(title=t("report.used")),
            Column(title="kg CO₂e", form=Form.EXACT),
        ),
        rows=tuple(
            (
                names.get(use.source, use.source),
                use.ref.id,
                use.ref.version,
                use.ref.value,
                unit_label(use.ref.unit),
                words.document(use.document),
                words.status(use),
                words.span(use.first_ms, use.end_ms),
                use.kgco2e,
            )
            for use in report.factors
        ),
        empty=t("report.no_sources"),
    )


def findings_table(report: MonthReport, words: ReportWords) -> Table:
    t = words.t
    return Table(
        key="findings",
        title=t("report.findings"),
        columns=(
            Column(title=t("report.level"), form=Form.COUNT),
            Column(title=t("events.severity"), form=Form.WORD),
            Column(title=t("report.finding"), form=Form.LONG),
            Column(title=t("report.settle"), form=Form.LONG),
            Column(title=t("report.finding_id"), form=Form.CODE),
            Column(title=t("report.settled_by"), form=Form.WORD),
        ),
        rows=tuple(
            (
                finding.level,
                f"{SEVERITY_SHAPES[finding.severity]} {t(f'severity.{finding.severity}')}".strip(),
                words.finding(finding),
                words.settle(finding),
                finding.id,
                finding.settled_by,
            )
            for finding in report.findings
        ),
        empty=t("report.no_findings"),
    )


def reviews_table(report: MonthReport, words: ReportWords) -> Table:
    t = words.t
    return Table(
        key="reviews",
        title=t("report.reviews"),
        columns=(
            Column(title=t("report.department"), form=Form.WORD),
            Column(title=t("report.name")),
            Column(title=t("report.decision"), form=Form.WORD),
            Column(title=t("events.time")),
            Column(title=t("report.worth")),
            Column(title=t("report.note"), form=Form.LONG),
            Column(title=t("report.settled"), form=Form.CODE),
            Column(title=t("report.figures"), form=Form.CODE),
        ),
        rows=tuple(
            (
                t(f"department.{one.review.department}"),
                one.review.name,
                t(f"decision.{one.review.decision}"),
                words.moment(one.review.reviewed_ms),
                words.worth(one),
                one.review.note,
                ", ".join(one.review.settled),
                one.review.figures[:HASH_SHOWN],
            )
            for one in report.reviews
        ),
        empty=t("report.no_reviews"),
    )


def annex_table(report: MonthReport, words: ReportWords) -> Table:
    """Full precision: every sum can be redone from what is printed."""
    t = words.t
    rows: list[tuple[Value, ...]] = [
        (
            words.source(source),
            source.place.id,
            *_exact(source.mass),
            source.windows,
            source.missing_windows,
            source.revised_windows,
            source.previous_kgco2e,
            source.last_year_kgco2e,
        )
        for source in report.sources
    ]
    if report.sources:
        rows.append(
            (
                t("report.total"),
                "",
                *_exact(report.totals.mass),
                sum(source.windows for source in report.sources),
                sum(source.missing_windows for source in report.sources),
                sum(source.revised_windows for source in report.sources),
                report.previous.kgco2e if report.previous else None,
                report.last_year.kgco2e if report.last_year else None,
            )
        )
    return Table(
        key="annex",
        title=t("report.annex"),
        columns=(
            Column(title=t("report.source")),
            Column(title=t("report.id"), form=Form.CODE),
            *(Column(title=f"kg {gas}", form=Form.EXACT) for gas in ("CO₂", "CH₄", "N₂O", "CO₂e")),
            Column(title=t("report.windows"), form=Form.COUNT),
            Column(title=t("report.windows_missing"), form=Form.COUNT),
            Column(title=t("report.windows_revised"), form=Form.COUNT),
            Column(title=t("report.previous_kg"), form=Form.EXACT),
            Column(title=t("report.last_year_kg"), form=Form.EXACT),
        ),
        rows=tuple(rows),
        sums=frozenset({len(rows) - 1}) if report.sources else frozenset(),
        empty=t("report.no_sources"),
        notes=(t("report.annex_note"),),
    )


def _exact(mass: Mass) -> Iterator[Decimal]:
    yield from (mass.kgco2, mass.kgch4, mass.kgn2o, mass.kgco2e)
