"""The same figures as print, workbook and JSON, in both languages."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import pytest
from openpyxl import load_workbook
from report_month import HOURS, BookedSite, measured

from agent.config.language import LANGUAGES, load_language
from agent.core.model import Provenance
from agent.core.report.model import DayFigures, Department, Mass, MonthReport
from agent.web.report.chart import days_svg, scale_of
from agent.web.report.forms import rendered
from agent.web.report.html import css_string, shown
from agent.web.report.table import Form
from agent.web.report.tables import tables_of
from agent.web.report.words import ReportWords
from agent.web.report_view import ReportForm


def rich(booked: BookedSite) -> MonthReport:
    """Half of the gas estimated, a hole in the pump, a month before."""
    from report_month import Month

    def value(meter: str, hour: int) -> tuple[float | None, Provenance]:
        if meter == "gas" and hour >= HOURS // 2:
            return 900.0, Provenance.ESTIMATED
        if meter == "pump" and hour % 50 < 8:
            return None, Provenance.MISSING
        return measured(meter, hour)

    booked.book(value=value)
    booked.book(Month(2026, 9))
    return booked.report()


class Shape(HTMLParser):
    """Whether tags close, what they are, and which attributes they bear."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in {"meta", "link", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)


def shape(text: str) -> Shape:
    parser = Shape()
    parser.feed(text)
    assert parser.faults == []
    assert parser.open == []
    assert len(parser.ids) == len(set(parser.ids))
    return parser


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_printed_file_stands_alone(booked: BookedSite, language: str) -> None:
    text = rendered(rich(booked), ReportForm.HTML, language).decode()
    seen = shape(text)
    assert "script" not in seen.tags
    assert "link" not in seen.tags
    assert seen.tags.count("style") == 1
    assert not re.search(r"https?://|url\(|@import", text)
    assert f'<html lang="{language}">' in text
    words = load_language(language)
    for key in ("report.title", "report.summary", "report.annex", "signoff.draft"):
        assert words(key) in text
    for figure in ("1\N{NO-BREAK SPACE}596", "2.162188809", "AR5"):
        assert figure in text
    assert "一号厂区" in text
    assert text.count("<table") == 16  # neither products, entries nor reviews


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_body_needs_no_inline_style(booked: BookedSite, language: str) -> None:
    seen = shape(rendered(rich(booked), ReportForm.BODY, language).decode())
    assert {"script", "style", "html"}.isdisjoint(seen.tags)
    names = {name for name, _ in seen.attributes}
    assert "style" not in names
    assert not any(name.startswith("on") for name in names)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_finding_says_number_place_limit_and_remedy(
    booked: BookedSite, language: str
) -> None:
    report = rich(booked)
    words = ReportWords.of(report, load_language(language))
    said = [words.finding(finding) for finding in report.findings]
    assert "47.4 %" in said[0]
    assert "5 %" in said[0]
    assert "燃料气表" in said[0]
    assert "120 h" in said[1]
    assert all(words.settle(finding) for finding in report.findings)
    assert not any("{" in text or "None" in text for text in said)


def cells(sheet: Any) -> list[list[Any]]:
    return [[cell.value for cell in row] for row in sheet.iter_rows()]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_workbook_reads_back_with_numbers_as_numbers(booked: BookedSite, language: str) -> None:
    report = rich(booked)
    book = load_workbook(io.BytesIO(rendered(report, ReportForm.XLSX, language)))
    words = load_language(language)
    names = ("summary", "sources", "places", "days", "coal", "energy", "activity", "factors")
    names += ("findings", "reviews", "annex")
    assert book.sheetnames == [words(f"report.sheet_{name}") for name in names]
    assert [sheet.freeze_panes for sheet in book] == ["A2"] + ["B3"] * 10
    rows = cells(book[words("report.sheet_annex")])
    gas = next(row for row in rows if row[1] == "f103-gas")
    assert gas[5] == pytest.approx(float(report.sources[0].mass.kgco2e))
    assert gas[6] == HOURS
    total = next(row for row in rows if row[0] == words("report.total"))
    assert sum(
        row[5] for row in rows if row[1] in {source.place.id for source in report.sources}
    ) == pytest.approx(total[5])
    sheet = book[words("report.sheet_sources")]
    row = next(row for row in sheet.iter_rows() if row[0].value == "F-103 燃料气")
    assert row[5].number_format == "#,##0.000"
    assert row[6].number_format == "0.0%"
    assert isinstance(row[3].value, float | int)
    assert row[6].value == pytest.approx(report.sources[0].share)
    printed = next(row for row in cells(book.worksheets[0]) if row[0] == words("line.combustion"))
    assert printed[1:3] == [1528, 1528]


def test_a_name_that_looks_like_a_formula_stays_a_name(booked: BookedSite) -> None:
    report = rich(booked)
    site = replace(report.site, name='=HYPERLINK("x")\x07')
    book = load_workbook(
        io.BytesIO(rendered(replace(report, site=site), ReportForm.XLSX, "en")), data_only=False
    )
    cell = book.worksheets[0]["B1"]
    assert cell.value == '=HYPERLINK("x") '
    assert cell.data_type == "s"


def test_names_are_escaped_in_print(booked: BookedSite) -> None:
    report = rich(booked)
    site = replace(report.site, name='</style><script>"\\')
    text = rendered(replace(report, site=site), ReportForm.HTML, "en").decode()
    assert "<script" not in text
    assert shape(text).tags.count("style") == 1
    assert css_string('"\\a\n<') == '"\\22 \\5c a\\a \\3c "'


def test_json_holds_exact_decimals(booked: BookedSite) -> None:
    report = rich(booked)
    text = rendered(report, ReportForm.JSON, "en").decode()
    assert "\n" not in text
    document = json.loads(text, parse_float=Decimal)
    total = document["totals"]["kgco2e"]
    assert total == report.totals.mass.kgco2e
    for group in ("sources", "devices", "units", "areas", "stages", "days"):
        assert sum(one["kgco2e"] for one in document[group]) == total
    assert document["summary"]["total_tco2e"] == 1596
    assert document["findings"][0]["settle"]
    assert document["sign_off"] == "draft"


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_empty_month_can_be_printed(booked: BookedSite, language: str) -> None:
    report = booked.report()
    for form in ReportForm:
        assert rendered(report, form, language)
    empty = replace(
        report, sources=(), factors=(), streams=(), devices=(), units=(), areas=(), stages=()
    )
    assert (
        load_language(language)("report.no_sources")
        in rendered(empty, ReportForm.BODY, language).decode()
    )


def day(report: MonthReport, place: int, kg: str, estimated: str = "0") -> DayFigures:
    mass = Mass(kgco2e=Decimal(kg), estimated_kgco2e=Decimal(estimated))
    return DayFigures(day=report.days[place].day, mass=mass)


def test_a_day_that_gives_away_more_than_it_uses_hangs_below_zero(booked: BookedSite) -> None:
    report = booked.report()
    days = [day(report, 0, "8000", "2000"), day(report, 1, "-3000"), day(report, 2, "0", "0")]
    scale = scale_of(days)
    assert (scale.top_t, scale.bottom_t) == (10.0, 5.0)
    svg = str(days_svg(days, ReportWords.of(report, load_language("en")), "x"))
    assert svg.count('class="measured"') == 2
    assert svg.count('class="estimated"') == 1
    assert f'y="{scale.floor_px}" height="30"' in svg


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (None, Form.TONNES, "—"),
        (0.4567, Form.PERCENT, "45.7%"),
        (Decimal("-1234.5678"), Form.TONNES, "\N{MINUS SIGN}1\N{NO-BREAK SPACE}234.568"),
        (2.162188809, Form.FACTOR, "2.162188809"),
        (110.0, Form.FACTOR, "110"),
        (744, Form.COUNT, "744"),
        (1234.5, Form.AMOUNT, "1\N{NO-BREAK SPACE}234.5"),
    ],
)
def test_values_are_written_as_people_read_them(value: Any, form: Form, text: str) -> None:
    assert shown(value, form) == text


def test_tables_are_rectangular(booked: BookedSite) -> None:
    report = rich(booked)
    for table in tables_of(report, ReportWords.of(report, load_language("en"))).values():
        assert all(len(row) == len(table.columns) for row in table.rows), table.key
    assert set(Department) == {"environment", "production"}
