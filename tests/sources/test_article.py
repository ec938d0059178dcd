"""The published figures, from readings and entries through the closer to the month's report.

500 t of raw material at 2.6 are 1,300 t, 100 t of waste at 3.2 are 320 t, and a factor that
changes on 1 July changes what is booked from then on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.core.activity import ActivityKind
from agent.core.model import Sample
from agent.core.timebase import HOUR_MS
from agent.pipeline.record import Recorder
from agent.pipeline.run import Pipeline
from agent.poll.live import LiveValues
from agent.store.readings import Readings
from agent.store.state import StreamStates
from tests.fake_clock import FakeClock
from tests.sources.plant import OWNER, Plant, month
from tests.sources.site_text import site_with

JUNE, JULY = month(6), month(7)
SOURCES = """
[[source]]
id = "raw"
device = "d"
kind = "factor"
factor = 2.6
stream = "m.mass"
[[source]]
id = "waste"
device = "d"
kind = "incineration"
factor = 3.2
changes = [{ since = 2026-07-01, factor = 3.0 }]
activity = "activity.waste.residue-incineration"
[[source]]
id = "balance"
device = "d"
kind = "carbon_balance"
inputs = [{ material = "feed", carbon_content = 0.8, activity = "activity.raw-material.feed" }]
products = [{ material = "good", carbon_content = 0.5, activity = "activity.product.good" }]
recovered_c_t = { activity = "activity.product.captured-carbon" }
[[source.wastes]]
material = "tar"
carbon_content = 0.9
activity = "activity.waste.tar-other"
"""


class Gateway(Plant):
    """The pipeline on a clock that the test moves by hours; the meter counts every hour."""

    def __init__(self, folder: Path) -> None:
        config = site_with(folder, SOURCES, meter="period_s = 900")
        self.clock = FakeClock(JUNE[0] - 2 * HOUR_MS)
        super().__init__(folder, config, seen_ms=self.clock.now_ms())
        readings, live = Readings(self.database.connection), LiveValues()
        self.recorder = Recorder(self.database, OWNER, readings, self.clock, "boot")
        with self.database.transaction() as connection:
            readings.register_points(config.points)
            StreamStates(connection).register(config.streams, self.clock.now_ms())
        self.pipeline = Pipeline(
            config,
            self.database,
            OWNER,
            readings,
            self.recorder,
            live.get,
            None,
            self.clock,
        )

    def run_to(self, end_ms: int, per_hour: float) -> None:
        """Count ``per_hour`` tonnes until a time, closing what is due every day."""
        while self.clock.now_ms() < end_ms:
            self.clock.advance(900)
            hours = (self.clock.now_ms() - JUNE[0]) / HOUR_MS
            self.recorder.put(
                [
                    Sample(
                        point="m.mass",
                        time_ms=self.clock.now_ms(),
                        monotonic_ns=self.clock.monotonic_ns(),
                        value=1000 + per_hour * hours,
                    )
                ]
            )
            if self.clock.now_ms() % (24 * HOUR_MS) == 0:
                self.pipeline.run_due(self.clock.now_ms())
        self.clock.advance(3600)
        self.pipeline.run_due(self.clock.now_ms())


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path)
    yield made
    made.close()


def tonnes(gateway: Gateway, number: int) -> dict[str, float]:
    report = gateway.report(2026, number, gateway.clock.now_ms())
    return {source.place.id: float(source.mass.kgco2e) / 1000 for source in report.sources}


def test_the_articles_figures_end_to_end(gateway: Gateway) -> None:
    for span in (JUNE, JULY):
        gateway.enter(ActivityKind.WASTE, "residue", 100.0, span, treatment="incineration")
        gateway.enter(ActivityKind.RAW_MATERIAL, "feed", 1000.0, span)
        gateway.enter(ActivityKind.PRODUCT, "good", 1200.0, span)
        gateway.enter(ActivityKind.PRODUCT, "captured-carbon", 20.0, span)
        gateway.enter(ActivityKind.WASTE, "tar", 50.0, span, treatment="other")
    gateway.run_to(JULY[0], 500 / 720)
    june = tonnes(gateway, 6)
    assert june["raw"] == pytest.approx(1300.0, rel=1e-9)
    assert june["waste"] == pytest.approx(320.0, rel=1e-9)
    carbon = 1000 * 0.8 - 1200 * 0.5 - 50 * 0.9 - 20
    assert june["balance"] == pytest.approx(carbon * 44 / 12, rel=1e-9)
    report = gateway.report(2026, 6, gateway.clock.now_ms())
    assert float(report.totals.mass.kgco2e) / 1000 == pytest.approx(1620 + carbon * 44 / 12)
    daily = [float(day.mass.kgco2e) for day in report.days]
    assert max(daily) == pytest.approx(min(daily), rel=1e-6)  # a month is no peak on its first day
    gateway.run_to(JULY[1], 500 / 720)
    july = tonnes(gateway, 7)
    assert july["waste"] == pytest.approx(300.0, rel=1e-9)
    assert tonnes(gateway, 6)["waste"] == pytest.approx(320.0, rel=1e-9)


def test_a_month_that_lacks_data_is_a_finding_of_its_report(gateway: Gateway) -> None:
    gateway.run_to(JULY[0], 500 / 720)
    report = gateway.report(2026, 6, gateway.clock.now_ms())
    assert {"waste", "balance"} <= {finding.subject for finding in report.findings}
    events = [event for event in gateway.events() if event.code == "source.no_period_value"]
    assert {event.subject for event in events} == {"waste", "balance"}
