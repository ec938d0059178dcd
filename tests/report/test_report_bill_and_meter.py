"""Purchased electricity that a bill and a meter both book is pointed out."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.core.activity import ActivityKind
from agent.core.checks.finding import Finding, FindingCode
from tests.sources.plant import Plant, month
from tests.sources.site_text import site_with

JUNE, JULY = month(6), month(7)
BILL = """
[[source]]
id = "bill"
device = "d"
kind = "electricity"
region = "四川"
year = 2022
purchased_mwh = { activity = "activity.bill.电" }
"""
METER = """
[[source]]
id = "meter"
device = "d"
kind = "electricity"
region = "四川"
year = 2022
stream = "m.energy"
"""


def findings(folder: Path, sources: str) -> list[Finding]:
    plant = Plant(folder, site_with(folder, sources), seen_ms=JUNE[0])
    plant.windows("m.energy", JUNE, 300_000.0)
    plant.enter(ActivityKind.BILL, "电", 1000.0, JUNE, "MWh")
    plant.run(JULY[0] + 1)
    report = plant.report(2026, 6, JULY[0])
    plant.close()
    return [one for one in report.findings if one.code is FindingCode.BILL_AND_METER]


def test_a_bill_beside_a_meter_is_named_with_both_sums(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, BILL + METER)
    assert finding.subject == "bill"
    assert finding.number == pytest.approx(140.4)
    assert finding.reference == pytest.approx(0.3 * 140.4)


@pytest.mark.parametrize("sources", [BILL, METER, f"{BILL}{METER}share = -1.0\n"])
def test_one_of_them_or_exported_electricity_is_none(tmp_path: Path, sources: str) -> None:
    assert findings(tmp_path, sources) == []
