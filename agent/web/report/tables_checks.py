"""How a report was made and checked: methods, factors, findings, reviews."""

from __future__ import annotations

from agent.core.model import Severity
from agent.core.report.model import MonthReport
from agent.web.present import unit_label
from agent.web.report.table import Column, Form, Table
from agent.web.report.words import METHOD_OF_OTHERS, METHODS, ReportWords

HASH_SHOWN = 12
SEVERITY_SHAPES = {Severity.ALARM: "▲", Severity.WARNING: "◆", Severity.INFO: ""}


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
    sources = (*report.sources, *report.compared)
    names = {source.place.id: words.source(source) for source in sources}
    evidence = {source.place.id: source.place.evidence for source in sources}
    return Table(
        key="factors",
        title=t("report.factors"),
        columns=(
            Column(title=t("report.source")),
            Column(title=t("factors.factor")),
            Column(title=t("report.id_and_version"), form=Form.CODE),
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
                words.named(use.document),
                f"{use.ref.id} {use.ref.version}",
                use.ref.value,
                unit_label(use.ref.unit),
                words.document(use.document, evidence.get(use.source, "")),
                words.status(use.document),
                words.days(use.first_ms, use.end_ms),
                use.kgco2e,
            )
            for use in report.factors
        ),
        empty=t("report.no_sources"),
    )


def composition_table(report: MonthReport, words: ReportWords) -> Table:
    """The numbers that composed factors are made of, so that each can be computed again."""
    t = words.t
    sources = (*report.sources, *report.compared)
    names = {source.place.id: words.source(source) for source in sources}
    evidence = {source.place.id: source.place.evidence for source in sources}
    return Table(
        key="composition",
        title=t("report.composition"),
        columns=(
            Column(title=t("report.source")),
            Column(title=t("factors.factor")),
            Column(title=t("report.id_and_version"), form=Form.CODE),
            Column(title=t("factors.value"), form=Form.FACTOR),
            Column(title=t("points.unit"), form=Form.WORD),
            Column(title=t("report.document")),
            Column(title=t("report.status"), form=Form.WORD),
            Column(title=t("report.used")),
        ),
        rows=tuple(
            (
                names.get(use.source, use.source),
                words.named(part.document),
                f"{part.id} {part.version}".strip(),
                part.value,
                unit_label(part.unit),
                words.document(part.document, evidence.get(use.source, "")),
                words.status(part.document),
                words.days(use.first_ms, use.end_ms),
            )
            for use in report.factors
            for part in use.parts
        ),
        notes=(t("report.composition_note"),) if any(use.parts for use in report.factors) else (),
        empty=t("report.no_composition"),
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


def adjustments_table(report: MonthReport, words: ReportWords) -> Table:
    t = words.t
    names = {source.place.id: words.source(source) for source in report.sources}
    return Table(
        key="adjustments",
        title=t("report.adjustments"),
        columns=(
            Column(title=t("events.time")),
            Column(title=t("report.source")),
            Column(title=t("report.adjusted_from"), form=Form.EXACT),
            Column(title=t("report.adjusted_to"), form=Form.EXACT),
            Column(title=t("report.adjusted_by"), form=Form.EXACT),
            Column(title=t("report.reason")),
            Column(title=t("report.name")),
            Column(title=t("report.figures"), form=Form.CODE),
        ),
        rows=tuple(
            (
                words.moment(one.adjusted_ms),
                names.get(one.source, one.source),
                one.before_kgco2e,
                one.after_kgco2e,
                one.difference_kgco2e,
                t.named("adjusted", one.reason),
                one.author,
                one.figures[:HASH_SHOWN],
            )
            for one in report.adjustments
        ),
        empty="",
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
