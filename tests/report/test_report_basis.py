"""A month booked before factors or warming potentials changed says so, with the difference."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_month import BookedSite

from agent.config.load import load_site
from agent.core.activity import ActivityKind
from agent.core.checks.finding import Finding, FindingCode
from agent.core.report.model import MonthReport
from agent.web.report.forms import rendered
from agent.web.report_view import ReportForm
from tests.sources.plant import Plant, month
from tests.sources.site_text import site_with

JUNE, JULY = month(6), month(7)
ACID = """
[[source]]
id = "acid"
name = "硝酸"
device = "d"
kind = "nitric_acid"
technology = "dual-pressure"
stream = "m.mass"
"""


def found(report: MonthReport) -> list[Finding]:
    return [one for one in report.findings if one.code is FindingCode.BASIS]


def test_other_warming_potentials_are_a_finding_and_no_row(tmp_path: Path) -> None:
    plant = Plant(tmp_path, site_with(tmp_path, ACID, site='gwp = "AR5"'), seen_ms=JUNE[0])
    plant.windows("m.mass", JUNE, 1000.0)
    assert found(plant.report(2026, 6, JULY[0])) == []
    plant.configure(site_with(tmp_path, ACID, site='gwp = "AR6"'))
    report = plant.report(2026, 6, JULY[0])
    plant.close()
    (finding,) = found(report)
    assert finding.number == pytest.approx(8.0 * (265 - 273))
    assert finding.reference == pytest.approx(8.0 * 273)
    assert [one.gas for one in report.gases] == ["CO2", "CH4", "N2O"]
    assert report.gases[-1].gwp == 265.0
    assert float(report.gases[-1].kgco2e) == pytest.approx(8.0 * 265_000)
    english = rendered(report, ReportForm.BODY, "en").decode()
    assert "Booked in part with other potentials than AR6" in english
    assert "reload its site file" in english


def test_potentials_of_a_source_without_a_stream_are_compared_gas_by_gas(tmp_path: Path) -> None:
    entered = ACID.replace('stream = "m.mass"', 'activity = "activity.product.硝酸"')
    plant = Plant(tmp_path, site_with(tmp_path, entered, site='gwp = "AR5"'), seen_ms=JUNE[0])
    plant.enter(ActivityKind.PRODUCT, "硝酸", 1000.0, JUNE)
    plant.run(JULY[0] + 1)
    assert found(plant.report(2026, 6, JULY[0])) == []
    plant.configure(site_with(tmp_path, entered, site='gwp = "AR6"'))
    (finding,) = found(plant.report(2026, 6, JULY[0]))
    plant.close()
    assert finding.number == pytest.approx(8.0 * (265 - 273))


def test_another_factor_is_a_finding_until_it_is_booked(tmp_path: Path) -> None:
    site = BookedSite(tmp_path)
    site.book()
    before = site.report()
    assert found(before) == []
    booked = next(one.mass for one in before.sources if one.place.id == "f103-gas")
    text = site.path.read_text(encoding="utf-8")
    changed = text.replace('fuel = "natural-gas"', 'fuel = "natural-gas"\nfactor = 20.0')
    site.path.write_text(changed, encoding="utf-8")
    former = site.config.sources["f103-gas"].factor.value
    site.read_again()
    assert load_site(site.path).sources["f103-gas"].factor.value == 2.0
    (finding,) = found(site.report())
    assert finding.subject == "f103-gas"
    assert finding.number == pytest.approx(float(booked.kgco2e) / 1000 * (1 - 2.0 / former))
    site.book(revision=1)
    assert found(site.report()) == []
    site.close()
