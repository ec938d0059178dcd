"""Every factor of a report can be computed again from the numbers that are listed with it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from every_kind import report_of_every_kind
from report_month import BookedSite

from agent.config.language import load_language
from agent.core.report.model import FactorUse, MonthReport
from agent.web.report.forms import rendered
from agent.web.report.tables_checks import composition_table
from agent.web.report.words import ReportWords
from agent.web.report_view import ReportForm


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> MonthReport:
    return report_of_every_kind(tmp_path_factory.mktemp("kinds"))


def use_of(report: MonthReport, source: str) -> FactorUse:
    (use,) = (one for one in report.factors if one.source == source)
    return use


def parts_of(use: FactorUse) -> dict[str, float]:
    return {part.id.partition("@")[0]: part.value for part in use.parts}


def test_nitric_acid_is_its_factor_its_removal_and_the_potential(report: MonthReport) -> None:
    use = use_of(report, "nitric-acid")
    parts = parts_of(use)
    assert parts == {"nitric-acid/dual-pressure": 8.0, "nitric-acid/removal": 0.85} | {
        "gwp/AR5/N2O": 265.0
    }
    assert math.isclose(use.ref.value, 8.0 * (1 - 0.85) * 265.0)  # 318 kgCO2e/t
    assert [part.document.status for part in use.parts] == ["secondary", "user", "secondary"]
    assert use.parts[0].document.row


def test_waste_water_is_capacity_correction_oxygen_demand_and_potential(
    report: MonthReport,
) -> None:
    use = use_of(report, "wastewater")
    parts = parts_of(use)
    assert math.isclose(
        use.ref.value,
        parts["wastewater/b0"]
        * parts["wastewater/anaerobic-reactor"]
        * (parts["wastewater/cod_in"] - parts["wastewater/cod_out"])
        * parts["gwp/AR5/CH4"],
    )
    assert use.parts[0].document.name_en == "Methane capacity per COD"


def test_a_fuel_is_its_calorific_value_carbon_and_oxidation(report: MonthReport) -> None:
    use = use_of(report, "fuel")
    parts = parts_of(use)
    product = math.prod(
        parts[f"fuel/natural-gas/{one}"] for one in ("ncv", "carbon-content", "oxidation")
    )
    assert math.isclose(use.ref.value, product * 44 / 12 / 10)  # t per 10^4 Nm3 to kg per Nm3


def test_a_balance_names_every_material(report: MonthReport) -> None:
    parts = parts_of(use_of(report, "carbon-balance"))
    assert parts == {"material/methanol": 0.375, "material/ethylene": 0.856}


def test_a_number_of_a_document_is_not_composed(report: MonthReport) -> None:
    assert use_of(report, "electricity").parts == ()


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_every_form_lists_the_parts(report: MonthReport, language: str) -> None:
    words = ReportWords.of(report, load_language(language))
    table = composition_table(report, words)
    assert len(table.rows) == sum(len(use.parts) for use in report.factors) > 30
    for form in (ReportForm.BODY, ReportForm.HTML):
        text = rendered(report, form, language).decode()
        assert words.t("report.composition") in text
        assert "wastewater/anaerobic-reactor@" in text
    document = json.loads(rendered(report, ReportForm.JSON, language))
    listed = {use["source"]: use["parts"] for use in document["factors"]}
    assert [part["value"] for part in listed["nitric-acid"]] == [8.0, 0.85, 265.0]


def test_a_factor_that_no_longer_holds_has_no_parts(tmp_path: Path) -> None:
    site = BookedSite(tmp_path)
    site.book()
    assert use_of(site.report(), "f103-gas").parts
    text = site.path.read_text(encoding="utf-8").replace(
        'fuel = "natural-gas"', 'fuel = "natural-gas"\nncv = 380.0'
    )
    site.path.write_text(text, encoding="utf-8")
    site.read_again()
    assert use_of(site.report(), "f103-gas").parts == ()
    site.close()
