"""What a power plant of the site burns stays in the total without purchased energy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.core.activity import ActivityKind
from agent.core.report.model import MonthReport
from agent.core.report.rounding import summary
from agent.web.report.forms import rendered
from agent.web.report_view import ReportForm
from tests.sources.plant import Plant, month
from tests.sources.site_text import site_with

JUNE, JULY = month(6), month(7)
BURNT_KG = 900 * 3.6 / 0.45 * 0.0153 * 0.99 * 44 / 12 * 1000
SOURCE = """
[[source]]
id = "power"
device = "d"
kind = "electricity"
region = "四川"
year = 2022
purchased_mwh = { activity = "activity.bill.电" }
exported_mwh = { activity = "activity.bill.上网" }
[source.own_plant]
fuel = "天然气"
efficiency = 0.45
generated_mwh = { activity = "activity.bill.自发电" }
@more@
"""


def june(folder: Path, purchased: float, exported: float) -> MonthReport:
    plant = Plant(folder, site_with(folder, SOURCE.replace("@more@", "")), seen_ms=JUNE[0])
    for item, amount in (("电", purchased), ("上网", exported), ("自发电", 900.0)):
        plant.enter(ActivityKind.BILL, item, amount, JUNE, "MWh")
    plant.run(JULY[0] + 1)
    report = plant.report(2026, 6, JULY[0])
    plant.close()
    return report


@pytest.mark.parametrize(("purchased", "exported"), [(1000.0, 0.0), (300.0, 300.0), (50.0, 400.0)])
def test_the_fuel_stays_and_the_purchase_goes(
    tmp_path: Path, purchased: float, exported: float
) -> None:
    report = june(tmp_path, purchased, exported)
    totals = report.totals
    net_kg = (purchased - exported) * 140.4
    assert float(totals.mass.kgco2e) == pytest.approx(BURNT_KG + net_kg, rel=1e-9)
    assert float(totals.without_energy.kgco2e) == pytest.approx(BURNT_KG, rel=1e-9)
    assert totals.without_energy.kgco2 == totals.without_energy.kgco2e
    assert 0 < totals.without_energy_half_95_kg < BURNT_KG
    printed = summary(report.sources, 3)
    assert float(printed.without_energy_tco2e) == pytest.approx(BURNT_KG / 1000, abs=6e-4)
    (source,) = json.loads(rendered(report, ReportForm.JSON, "en"))["sources"]
    assert source["own_plant_kgco2e"] == pytest.approx(BURNT_KG, rel=1e-9)


def test_a_fuel_that_another_source_counts_is_not_counted_twice(tmp_path: Path) -> None:
    gas = (
        '[[source]]\nid = "gas"\ndevice = "d"\nkind = "fuel"\nfuel = "天然气"\n'
        'activity = "activity.bill.气"\n'
    )
    text = gas + SOURCE.replace("@more@", 'fuel_source = "gas"')
    plant = Plant(tmp_path, site_with(tmp_path, text), seen_ms=JUNE[0])
    amounts = (("电", 1000.0, "MWh"), ("上网", 0.0, "MWh"), ("自发电", 900.0, "MWh"))
    for item, amount, unit in (*amounts, ("气", 20.0, "10^4Nm3")):
        plant.enter(ActivityKind.BILL, item, amount, JUNE, unit)
    plant.run(JULY[0] + 1)
    report = plant.report(2026, 6, JULY[0])
    plant.close()
    (burnt,) = (one.mass for one in report.sources if one.place.kind == "fuel")
    assert burnt.kgco2e > 0
    assert report.totals.without_energy.kgco2e == burnt.kgco2e
