"""A report as HTML: a body for the page's frame, and a whole file for print."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from agent import __version__
from agent.config.language import Language
from agent.core.model import Severity
from agent.core.report.model import NINETY_OF_NINETY_FIVE, Comparison, MonthReport, SignOff
from agent.core.report.rounding import rounded_t
from agent.web.present import NONE, percent, register
from agent.web.report.chart import days_svg
from agent.web.report.table import Form, Table, Value
from agent.web.report.tables import tables_of
from agent.web.report.tables_checks import HASH_SHOWN
from agent.web.report.words import ReportWords, grouped

WEB = Path(__file__).resolve().parents[1]
STYLESHEET = WEB / "static" / "report.css"
ENOUGH = 0.95  # of a month booked: compared without a remark
SHAPES = {
    SignOff.RUNNING: "○",
    SignOff.DRAFT: "◇",
    SignOff.RETURNED: "◆",
    SignOff.VOID: "▲",
    SignOff.SIGNED: "✓",
}
RIGHT = frozenset(
    {
        Form.COUNT,
        Form.SUMMARY,
        Form.TONNES,
        Form.AMOUNT,
        Form.PERCENT,
        Form.EXACT,
        Form.FACTOR,
        Form.SHORT,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFigure:
    """One line of the summary: a label, a value, and what one should know of it."""

    label: str
    value: str
    remark: str = ""


def key_figures(report: MonthReport, words: ReportWords) -> list[KeyFigure]:
    """What a reader wants to know first: how much, how sure, how much guessed, open, signed."""
    t, totals, decimals = words.t, report.totals, report.site.decimals_t
    total = totals.mass.kgco2e
    return [
        KeyFigure(
            label=t("report.total"),
            value=_tonnes(total, decimals),
            remark=_ranges(total, totals.half_95_kg, decimals, words),
        ),
        KeyFigure(
            label=t("report.estimated_share"), value=percent(totals.estimated_share, decimals=1)
        ),
        _open_findings(report, words),
        KeyFigure(label=t("report.sign_off"), value=t(f"signoff.{report.sign_off}")),
        KeyFigure(
            label=t("report.total_without_energy"),
            value=_tonnes(totals.without_energy.kgco2e, decimals),
            remark=_ranges(
                totals.without_energy.kgco2e, totals.without_energy_half_95_kg, decimals, words
            ),
        ),
        _energy(report, words),
        KeyFigure(
            label=t("report.available"),
            value=percent(mean_availability(report), decimals=1),
            remark=t("report.available_short"),
        ),
        _comparison(t("report.previous"), report.previous, total, words, decimals),
        _comparison(t("report.last_year"), report.last_year, total, words, decimals),
    ]


def _tonnes(kg: Decimal, decimals: int) -> str:
    return f"{grouped(rounded_t(kg, decimals), decimals)} t CO₂e"


def _ranges(kg: Decimal, half_95_kg: float, decimals: int, words: ReportWords) -> str:
    half_95 = Decimal(half_95_kg)
    half_90 = Decimal(half_95_kg * NINETY_OF_NINETY_FIVE)
    ends = {"low95": -half_95, "high95": half_95, "low90": -half_90, "high90": half_90}
    return words.t(
        "report.ranges",
        **{name: grouped(rounded_t(kg + end, decimals), decimals) for name, end in ends.items()},
    )


def _open_findings(report: MonthReport, words: ReportWords) -> KeyFigure:
    unsettled = [one for one in report.findings if not one.settled_by]
    alarms = sum(one.severity is Severity.ALARM for one in unsettled)
    return KeyFigure(
        label=words.t("report.findings"),
        value=str(len(unsettled)),
        remark=words.t("report.of_which_alarms", n=alarms) if unsettled else "",
    )


def _energy(report: MonthReport, words: ReportWords) -> KeyFigure:
    energy = report.energy
    remark = ""
    if energy.equivalent_tce is not None:
        remark = words.t("report.equivalent_remark", number=grouped(energy.equivalent_tce, 3))
    known = energy.calorific_tce is not None
    return KeyFigure(
        label=words.t("report.energy_total"),
        value=f"{grouped(energy.calorific_tce or 0.0, 3)} tce" if known else NONE,
        remark=remark,
    )


def mean_availability(report: MonthReport) -> float | None:
    """Mean over the streams that feed sources: every stream weighs the same."""
    feeding = {source.place.stream for source in report.sources}
    shares = [stream.availability for stream in report.streams if stream.place.id in feeding]
    return sum(shares) / len(shares) if shares else None


def _comparison(
    label: str, comparison: Comparison | None, total: Decimal, words: ReportWords, decimals: int
) -> KeyFigure:
    t = words.t
    if comparison is None:
        return KeyFigure(label=label, value=NONE, remark=t("report.not_known"))
    before = comparison.kgco2e
    value = f"{grouped(rounded_t(before, decimals), decimals)} t CO₂e"
    if before:
        change = (total - before) / abs(before) * 100
        value += f" ({'+' if change > 0 else ''}{grouped(change, 1)}%)"
    remark = ""
    if comparison.coverage < ENOUGH:
        remark = t("report.partly_booked", share=percent(comparison.coverage, decimals=1))
    return KeyFigure(label=label, value=value, remark=remark)


def shown(value: Value, form: Form, decimals_t: int = 0) -> str:
    """A value of a table as text."""
    if value is None:
        return NONE
    if isinstance(value, str):
        return value
    match form:
        case Form.PERCENT:
            return percent(float(value), decimals=1)
        case Form.SUMMARY:
            return grouped(value, decimals_t)
        case Form.TONNES:
            return grouped(value, 3)
        case Form.EXACT:
            return grouped(value, 6)
        case Form.COUNT:
            return grouped(value, 0)
        case Form.FACTOR:
            return f"{float(value):.12g}"
        case Form.SHORT:
            return f"{float(value):.4g}"
        case _:
            return register(float(value)).replace("-", "\N{MINUS SIGN}")


def report_environment() -> Environment:
    """The environment of the report's templates; undefined names are errors."""
    environment = Environment(
        loader=FileSystemLoader(WEB / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals |= {"shown": shown, "right": RIGHT, "shapes": SHAPES, "zip": zip}
    environment.filters["css_string"] = css_string
    return environment


def css_string(text: str) -> Markup:
    """Text as a string of a stylesheet that stands inside `<style>`."""
    escaped = "".join(
        character if character.isalnum() or character in " .-·–" else f"\\{ord(character):x} "
        for character in text
    )
    return Markup(f'"{escaped}"')  # noqa: S704  # nothing but letters, digits and escapes


def render_body(report: MonthReport, language: Language) -> str:
    """The report without a frame."""
    return _render("report_body.html", report, language)


def render_print(report: MonthReport, language: Language) -> str:
    """The report as one file that prints on A4: stylesheet inside, no script, no other file."""
    return _render(
        "report_print.html",
        report,
        language,
        stylesheet=Markup(STYLESHEET.read_text(encoding="utf-8")),  # noqa: S704  # our own file
    )


def _render(template: str, report: MonthReport, language: Language, **values: object) -> str:
    words = ReportWords.of(report, language)
    tables: dict[str, Table] = tables_of(report, words)
    site = report.site
    open_findings = [finding for finding in report.findings if not finding.settled_by]
    return (
        report_environment()
        .get_template(template)
        .render(
            t=language,
            words=words,
            report=report,
            site=site,
            tables=tables,
            figures=key_figures(report, words),
            chart=days_svg(report.days, words, "report-days-title"),
            has_days=any(day.mass.kgco2e for day in report.days),
            rules_name=words.quoted(site.rules_name_zh, site.rules_name_en),
            rules_note=words.quoted(site.rules_note_zh, site.rules_note_en),
            missing_data=words.quoted(site.rules_missing_data_zh, site.rules_missing_data_en),
            gwp=f"{site.gwp} (CH₄ {site.gwp_ch4:g}, N₂O {site.gwp_n2o:g})",
            hash=report.figures_hash[:HASH_SHOWN],
            open_findings=len(open_findings),
            version=__version__,
            **values,
        )
    )
