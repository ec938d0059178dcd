"""The emissions of a report as tables: for the authority, by gas, kind, source, place and day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from agent.core.report.figures import share_of
from agent.core.report.model import (
    ZERO,
    GroupFigures,
    Mass,
    MonthReport,
    SourceFigures,
    Totals,
)
from agent.core.report.rounding import rounded_t, summary
from agent.web.present import percent, unit_label
from agent.web.report.table import Column, Form, Table, Value, tonnes
from agent.web.report.words import ReportWords, grouped

GASES = ("CO₂", "CH₄", "N₂O", "CO₂e")


def summary_table(report: MonthReport, words: ReportWords) -> Table:
    """The table for the authority: whole tonnes, and both totals."""
    t = words.t
    printed = summary(report.sources, report.site.decimals_t)
    rows: list[tuple[Value, ...]] = [
        (t(f"line.{line.line}"), line.tonnes, line.tco2e) for line in printed.lines
    ]
    rows.append((t("report.total_without_energy"), None, printed.without_energy_tco2e))
    rows.append((t("report.total"), None, printed.total_tco2e))
    half = Decimal(report.totals.half_95_kg)
    low, high = (
        grouped(
            rounded_t(report.totals.mass.kgco2e + end, report.site.decimals_t),
            report.site.decimals_t,
        )
        for end in (-half, half)
    )
    notes = [
        t(
            "report.summary_range",
            low=low,
            high=high,
            share=percent(report.totals.estimated_share, decimals=1),
        ),
        t("report.rounding_note"),
    ]
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


def gases_table(report: MonthReport, words: ReportWords) -> Table:
    """Each gas in tonnes, its warming potential, and what that comes to."""
    t = words.t
    rows: list[tuple[Value, ...]] = [
        (
            unit_label(one.gas) or t("report.no_gas"),
            None if one.kg is None else tonnes(one.kg),
            one.gwp,
            tonnes(one.kgco2e),
        )
        for one in report.gases
    ]
    rows.append((t("report.total"), None, None, tonnes(report.totals.mass.kgco2e)))
    return Table(
        key="gases",
        title=t("report.by_gas"),
        columns=(
            Column(title=t("report.gas"), form=Form.WORD),
            Column(title="t", form=Form.EXACT),
            Column(title=f"{t('overview.gwp')} ({report.site.gwp})", form=Form.FACTOR),
            Column(title="t CO₂e", form=Form.TONNES),
        ),
        rows=tuple(rows),
        sums=frozenset({len(rows) - 1}),
        notes=(t("report.other_gwp", gwp=report.site.gwp),) if _has_other_gwp(report) else (),
    )


def _has_other_gwp(report: MonthReport) -> bool:
    """Whether a part of the month was booked with other potentials than those at its head."""
    own = {"CH4": report.site.gwp_ch4, "N2O": report.site.gwp_n2o}
    return any(one.kg and one.gwp != own.get(one.gas, one.gwp) for one in report.gases)


def kinds_table(report: MonthReport, words: ReportWords) -> Table:
    """The subtotal of every kind of source, gas by gas."""
    t = words.t
    total = report.totals
    rows: list[tuple[Value, ...]] = [
        (
            t.named("kind", group.key),
            *_gases_t(group.mass),
            group.share,
            group.estimated_share,
            group.half_95_kg / 1000,
        )
        for group in report.kinds
    ]
    if rows:
        rows.append(
            (
                t("report.total"),
                *_gases_t(total.mass),
                share_of(total.mass.kgco2e, total.gross_kgco2e),
                total.estimated_share,
                total.half_95_kg / 1000,
            )
        )
    return Table(
        key="kinds",
        title=t("report.by_kind"),
        columns=(
            Column(title=t("report.kind")),
            *(Column(title=f"t {gas}", form=Form.TONNES) for gas in GASES),
            Column(title=t("report.share"), form=Form.PERCENT),
            Column(title=t("provenance.estimated"), form=Form.PERCENT),
            Column(title=t("report.half_95"), form=Form.TONNES),
        ),
        rows=tuple(rows),
        sums=frozenset({len(rows) - 1}) if rows else frozenset(),
        notes=(t("report.share_note"),) if rows else (),
        empty=t("report.no_sources"),
    )


def _gases_t(mass: Mass) -> Iterator[Decimal]:
    return (tonnes(kg) for kg in _exact(mass))


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
                share_of(total.mass.kgco2e, total.gross_kgco2e),
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
                share_of(total.mass.kgco2e, total.gross_kgco2e),
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
        notes=(t("report.spread_note"),) if any(one.spread for one in report.sources) else (),
    )


def _parts(total: Decimal, estimated: Decimal) -> tuple[Decimal, Decimal, Decimal]:
    """Measured, estimated and whole, in tonnes."""
    return tonnes(total - estimated), tonnes(estimated), tonnes(total)


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
            *(Column(title=f"kg {gas}", form=Form.EXACT) for gas in GASES),
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
