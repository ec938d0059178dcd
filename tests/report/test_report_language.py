"""A Chinese report is Chinese: nothing is left in Latin letters but names, units and formulas."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser

import pytest
from every_kind import report_of_every_kind
from openpyxl import load_workbook

from agent.config.factors import library
from agent.config.language import load_language
from agent.config.rules import all_rules
from agent.core.report.model import MonthReport
from agent.web.report.forms import rendered
from agent.web.report_view import ReportForm

LATIN = re.compile(r"[A-Za-z]{2,}")
HASH = re.compile(r"\b[0-9a-f]{12,}\b")
# Units, gases, symbols of formulas, names of standards and institutions, and the product's own.
UNITS = "kg Nm kgCO kWh MWh GJ tce kgce mg km CO CH kJ tC COD kgCOD"
SYMBOLS = "FC NCV CC OF AD EF PUR GWP TOW MCF CCW FCF OX"
NAMES = "GB AR SAR SHA MEE NDRC IPCC Asia Shanghai gw"
ALLOWED = frozenset(f"{UNITS} {SYMBOLS} {NAMES}".split())


class Text(HTMLParser):
    """The words of a document outside cells that hold ids."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._code: list[bool] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "link", "br", "rect", "line"}:
            classes = (dict(attrs).get("class") or "").split()
            self._code.append("code" in classes or any(self._code[-1:]))

    def handle_endtag(self, tag: str) -> None:
        if tag not in {"meta", "link", "br", "rect", "line"}:
            self._code.pop()

    def handle_data(self, data: str) -> None:
        if not any(self._code[-1:]):
            self.words += LATIN.findall(HASH.sub("", data))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> MonthReport:
    return report_of_every_kind(tmp_path_factory.mktemp("kinds"))


def test_no_english_is_left_in_the_chinese_report(report: MonthReport) -> None:
    text = Text()
    text.feed(rendered(report, ReportForm.BODY, "zh-CN").decode())
    assert sorted(set(text.words) - ALLOWED) == []


def test_no_english_is_left_in_the_chinese_workbook(report: MonthReport) -> None:
    book = load_workbook(io.BytesIO(rendered(report, ReportForm.XLSX, "zh-CN")))
    found: set[str] = set()
    for sheet in book:
        for column in sheet.iter_cols(values_only=True):
            texts = [value for value in column if isinstance(value, str)]
            if not any(
                head in texts for head in ("编号", "标识", "标识与版本", "数据流", "数据指纹")
            ):
                found |= {word for value in texts for word in LATIN.findall(HASH.sub("", value))}
    assert sorted(found - ALLOWED) == []


def test_every_document_of_the_library_has_a_chinese_name() -> None:
    words = load_language("zh-CN")
    english = {
        part
        for pack in library().packs
        for part in (pack.set.standard, pack.set.edition, pack.set.table)
        if re.search(r"[a-z]{3}", part) and f"cited.{part}" not in words.texts
    }
    assert english == set()


def test_every_rule_set_speaks_both_languages() -> None:
    for rules in all_rules():
        assert bool(rules.note_zh) == bool(rules.note_en), rules.id
        assert rules.missing_data_zh, rules.id
        assert rules.missing_data_en, rules.id


def test_the_english_report_has_no_chinese_but_names(report: MonthReport) -> None:
    text = rendered(report, ReportForm.BODY, "en").decode()
    for word in ("排放", "因子", "核算", "推算", "燃料"):
        assert word not in text.replace("排放源", "").replace("二氧化碳排放因子", ""), word
