"""What is computed from a reading follows it, revision by revision, into signed months too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.book.adjustments import adjustments_of
from agent.core.model import Provenance
from agent.core.report.month import Month
from tests.manual.manual_site import GRID_2023, TABLES, ManualBench, reading

VIRTUAL = """
[[virtual]]
id = "twice"
formula = "2 * manual.old"
unit = "kWh"
[[source]]
id = "st"
device = "db"
kind = "electricity"
stream = "virtual.twice"
region = "全国"
year = 2023
"""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[ManualBench]:
    made = ManualBench(tmp_path, tables=TABLES + VIRTUAL)
    made.clock.advance(3 * 3600)
    made.enter(reading("08:00", 1000), reading("10:00", 1080))
    made.run()
    yield made
    made.close()


def test_a_formula_over_a_reading_follows_its_corrections(bench: ManualBench) -> None:
    found = bench.windows("virtual.twice")
    assert [one.value for one in found] == [20.0] * 8
    assert {one.provenance for one in found} == {Provenance.MANUAL}
    bench.enter(reading("10:00", 1088))
    bench.run()
    assert [one.value for one in bench.windows("virtual.twice")] == [22.0] * 8
    assert sum(one.kgco2e or 0 for one in bench.emissions("st")) == pytest.approx(176 * GRID_2023)


def test_both_sources_are_adjusted_in_a_signed_month(bench: ManualBench) -> None:
    bench.sign("2026-11")
    bench.enter(reading("10:00", 1088))
    bench.run()
    booked = adjustments_of(bench.database.connection, bench.owner, Month(2026, 11))
    found = sorted(booked, key=lambda one: one.source)
    assert [(one.source, one.reason) for one in found] == [("so", "manual"), ("st", "computed")]
    assert [one.difference_kgco2e for one in found] == pytest.approx(
        [8 * GRID_2023, 16 * GRID_2023]
    )
