"""The RTU driver on the virtual plant's bus: every family answers, no fault moves a value."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from agent.clock import SystemClock
from agent.config import sections
from agent.config.site import MeterPlan
from agent.config.templates import load_template, template_points
from agent.core.errors import BusError
from agent.core.model import Quality
from drivers import modbus
from drivers.modbus.rtu_driver import RtuDriver
from drivers.virtual.plant import Plant

METERS = {
    "em-crusher": (1, "acrel-adl400"),
    "em-compressor": (2, "acrel-adl400"),
    "em-reactor": (3, "chint-dtsu666"),
    "heat-reactor": (4, "tuf-2000"),
    "em-column": (5, "chint-dtsu666"),
}
TIMEOUT_S = 0.25
LATE_MS = 400
ROUNDS = 3
MOST_GROWTH = 20.0  # kWh, GJ or m3 in the few seconds of the test
START_MS = 1_763_000_000_000  # mid-month, so that the counters have grown apart
FAULTS = (
    "dead:em-column",
    f"late:em-crusher={LATE_MS},0.3",
    f"late:em-reactor={LATE_MS},0.3",
    "noise:rs485-1=0.05",
    "wrong-unit:rs485-1=0.05",
    "truncated:rs485-1=0.03",
)


def driver_of(plant: Plant) -> RtuDriver:
    bus = sections.Bus(
        id="rs485-1",
        driver="modbus-rtu",
        port=plant.endpoints["rs485_1"],
        baud=9600,
        timeout_s=TIMEOUT_S,
        slowest_reply_s=0.65,
    )
    plans = []
    for name, (unit, template) in METERS.items():
        section = sections.Meter(id=name, bus=bus.id, unit=unit, template=template)
        points = template_points(load_template(template), None, section)
        plans.append(MeterPlan(section=section, bus=bus, points=points))
    return modbus.rtu(bus, tuple(plans), SystemClock())


async def test_faults_on_the_bus_never_move_a_value_to_another_meter() -> None:
    async with Plant(opcua=False, start_ms=START_MS) as plant:
        driver = driver_of(plant)
        await driver.open()
        first: dict[str, float] = {}
        for meter in METERS:
            for sample in await driver.read(meter):
                assert sample.quality is Quality.GOOD, sample
                assert sample.value is not None
                first[sample.point] = sample.value
        counters = [point for point in first if point.endswith((".energy", ".heat", ".volume"))]
        values = sorted(first[point] for point in counters)
        assert len(values) == 6
        assert min(after - before for before, after in pairwise(values)) > 2 * MOST_GROWTH
        for fault in FAULTS:
            plant.faults.switch_on(fault)
        outcome: Counter[str] = Counter()
        for _ in range(ROUNDS):
            for meter in METERS:
                try:
                    samples = await driver.read(meter)
                except BusError:
                    outcome[meter] += 1
                    continue
                for sample in samples:
                    assert sample.value is not None
                    if sample.point in counters:
                        # The counters lie far apart: another meter's value would show at once.
                        grown = sample.value - first[sample.point]
                        assert 0 <= grown < MOST_GROWTH, sample
        await driver.close()
        line = plant.stats()["rs485-1"]
        assert line["silence_violations"] == 0
        assert line["collisions"] == 0
        assert driver.statistics.silence_violations == 0
        assert outcome["em-column"] == ROUNDS
