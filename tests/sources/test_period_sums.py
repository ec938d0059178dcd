"""Period sources in the sums of the API, on the page of their device, and on its live figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.book.sqlite import SqliteBook
from agent.core.activity import ActivityKind
from agent.core.model import Emission, FactorRef
from agent.daemon.emissions import HourlyEmissions, latest_periods, rate_per_h, rows_by
from agent.web.view import EmissionQuery, GroupBy, Period
from tests.sources.plant import DAY_MS, OWNER, ZONE, Plant, month
from tests.sources.site_text import site_with

JUNE, JULY = month(6), month(7)
HOUR_MS = 3_600_000
SOURCES = """
[[source]]
id = "waste"
name = "焚烧"
device = "d"
kind = "incineration"
factor = 3.2
activity = "activity.waste.residue-incineration"
[[source]]
id = "power"
device = "d"
kind = "electricity"
factor = 0.5
stream = "m.energy"
"""


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    made = Plant(tmp_path, site_with(tmp_path, SOURCES), seen_ms=JUNE[0])
    made.enter(ActivityKind.WASTE, "residue", 72.0, JUNE, treatment="incineration")
    made.windows("m.energy", (JULY[0] - DAY_MS, JULY[0] + DAY_MS), 4800.0)
    made.run(JULY[0])
    yield made
    made.close()


def test_a_months_emission_is_spread_over_hours_and_days_and_says_so(plant: Plant) -> None:
    book = SqliteBook(plant.database.connection)

    def rows(by: GroupBy, period: Period, span: tuple[int, int]) -> list[tuple[float, float]]:
        query = EmissionQuery(from_ms=span[0], to_ms=span[1], limit=10_000, by=by, period=period)
        found = rows_by(book, OWNER, plant.config, query)
        return [(row.kgco2e or 0.0, row.spread_share) for row in found]

    hours = rows(GroupBy.SOURCE, Period.HOUR, (JUNE[0], JUNE[0] + DAY_MS))
    assert len(hours) == 24
    assert {round(kg, 6) for kg, _ in hours} == {320.0}
    assert {share for _, share in hours} == {1.0}
    days = rows(GroupBy.DEVICE, Period.DAY, JUNE)
    assert len(days) == 30
    assert sum(kg for kg, _ in days) == pytest.approx(72 * 3200 + 1200, rel=1e-12)
    assert days[-1][0] == pytest.approx(24 * 320 + 1200)
    assert 0 < days[-1][1] < 1
    after = rows(GroupBy.AREA, Period.DAY, (JULY[0], JULY[0] + DAY_MS))
    assert after == [(pytest.approx(1200), 0.0)]


def test_the_live_hours_leave_it_out(plant: Plant) -> None:
    book = SqliteBook(plant.database.connection)
    hourly = HourlyEmissions(book, OWNER, ZONE, plant.config.period_sources)
    hourly.refresh(JULY[0] + 5 * HOUR_MS)
    rows = hourly.rows(JULY[0] - DAY_MS, JULY[0] + DAY_MS)
    assert {row.source for row in rows} == {"power"}
    plant.enter(ActivityKind.WASTE, "residue", 80.0, JUNE, treatment="incineration")
    plant.run(JULY[0] + 1)
    hourly.refresh(JULY[0] + 6 * HOUR_MS)
    assert {row.source for row in hourly.rows(JUNE[0], JULY[1])} == {"power"}


def test_its_device_shows_the_newest_period(plant: Plant) -> None:
    book = SqliteBook(plant.database.connection)
    (shown,) = latest_periods(book, OWNER, plant.config, "d", JULY[0] + DAY_MS)
    assert (shown.source, shown.start_ms) == ("waste", JUNE[0])
    assert latest_periods(book, OWNER, plant.config, "other", JULY[0]) == []


def emission(stream: str, kgco2e: float, half: float) -> Emission:
    return Emission(
        source=stream,
        start_ms=0,
        length_ms=HOUR_MS,
        revision=0,
        kgco2=kgco2e,
        kgch4=0.0,
        kgn2o=0.0,
        kgco2e=kgco2e,
        lower=kgco2e - half,
        upper=kgco2e + half,
        estimated_share=0.0,
        factor=FactorRef(id="f", version="1", value=1.0, unit="kgCO2e/kWh"),
        inputs=((stream, 0),),
    )


def test_errors_of_one_meter_add_and_those_of_two_are_independent() -> None:
    one, same, other = (emission(name, 100.0, 3.0) for name in ("a.x", "a.y", "b.x"))
    assert rate_per_h([one, same])[2:] == (194.0, 206.0)
    assert rate_per_h([one, replace(other, lower=96.0, upper=104.0)])[2:] == (195.0, 205.0)
    # what a meter counts too much is bought too much and handed on too much
    assert rate_per_h([one, emission("a.z", -100.0, 3.0)])[2:] == (0.0, 0.0)
