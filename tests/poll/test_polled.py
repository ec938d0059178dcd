"""The polling loop on a scripted driver and a clock of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from agent.config import sections
from agent.config.site import MeterPlan
from agent.core.errors import PortError, ReplyInvalid, ReplyTimeout
from agent.core.model import Event, PointRole, PointSpec, Quality, Sample
from agent.poll.live import BusStatus, LiveValues
from agent.poll.polled import PolledBus
from tests.fake_clock import FakeClock

BUS = sections.Bus(id="b", driver="modbus-rtu", port="/dev/null")


@dataclass
class Counts:
    exchanges: int = 0
    timeouts: int = 0
    invalid: int = 0
    refused: int = 0
    busy_ns: int = 0


@dataclass
class ScriptedDriver:
    """Answers in 50 ms; a dead meter costs 500 ms."""

    clock: FakeClock
    dead: set[str] = field(default_factory=set)
    lost: bool = False
    noise: int = 0
    asked: list[tuple[float, str]] = field(default_factory=list)
    statistics: Counts = field(default_factory=Counts)
    opened: int = 0
    closed: int = 0

    async def open(self) -> None:
        self.opened += 1

    async def read(self, meter: str) -> Sequence[Sample]:
        self.asked.append((self.clock.mono_ns / 1e9, meter))
        if self.lost:
            raise PortError("unplugged", where="/dev/null", hint="plug it in")
        if self.noise:
            self.noise -= 1
            raise ReplyInvalid("CRC", where=meter)
        if meter in self.dead:
            self.clock.advance(0.5)
            raise ReplyTimeout("no reply", where=meter)
        self.clock.advance(0.05)
        return [
            Sample(
                point=f"{meter}.energy",
                time_ms=self.clock.now_ms(),
                monotonic_ns=self.clock.mono_ns,
                value=1.0,
            )
        ]

    async def close(self) -> None:
        self.closed += 1


def meter(name: str, period_s: float = 1.0) -> MeterPlan:
    point = PointSpec(id="energy", quantity="energy-import", unit="kWh", role=PointRole.COUNTER)
    return MeterPlan(
        section=sections.Meter(id=name, bus="b", unit=1, period_s=period_s),
        bus=BUS,
        points=(point,),
    )


class Bench:
    """A bus under test with everything it emitted."""

    def __init__(self, meters: Sequence[MeterPlan], dead: set[str] | None = None) -> None:
        self.clock = FakeClock()
        self.driver = ScriptedDriver(self.clock, dead=dead or set())
        self.status = BusStatus("b", "modbus-rtu")
        self.samples: list[Sample] = []
        self.events: list[Event] = []
        self.live = LiveValues()
        self.bus = PolledBus(
            self.driver, meters, self.status, self.clock, self.take, self.events.append
        )

    def take(self, samples: Sequence[Sample]) -> None:
        self.samples += samples
        self.live.update(samples)

    async def run_for(self, seconds: float) -> None:
        until_ns = self.clock.mono_ns + int(seconds * 1e9)
        task = asyncio.create_task(self.bus.run())
        while self.clock.mono_ns < until_ns and not task.done():
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()

    def asked(self, name: str) -> list[float]:
        return [time for time, meter in self.driver.asked if meter == name]


async def test_each_meter_is_asked_at_its_own_period() -> None:
    bench = Bench([meter("fast"), meter("slow", period_s=5)])
    await bench.run_for(60)
    assert len(bench.asked("fast")) == pytest.approx(60, abs=2)
    assert len(bench.asked("slow")) == pytest.approx(12, abs=1)


async def test_a_dead_meter_does_not_hold_up_the_others() -> None:
    names = [f"m{index}" for index in range(9)]
    healthy = Bench([meter(name) for name in names])
    await healthy.run_for(600)
    bench = Bench([meter(name) for name in [*names, "gone"]], dead={"gone"})
    await bench.run_for(600)
    for name in names:
        assert len(bench.asked(name)) >= 0.95 * len(healthy.asked(name))
    assert 5 < len(bench.asked("gone")) < 30
    assert [event.code for event in bench.events] == ["meter.dead"]
    assert bench.status.meters["gone"].dead
    assert bench.status.answering == 9


async def test_a_meter_that_comes_back_is_polled_at_its_period_again() -> None:
    bench = Bench([meter("m"), meter("gone")], dead={"gone"})
    await bench.run_for(60)
    bench.driver.dead.clear()
    await bench.run_for(100)
    assert not bench.status.meters["gone"].dead
    assert [event.code for event in bench.events] == ["meter.dead", "meter.answers"]
    last = bench.asked("gone")[-10:]
    assert last[-1] - last[0] == pytest.approx(9, abs=0.2)


async def test_a_failure_is_shown_at_once_and_never_as_a_value() -> None:
    bench = Bench([meter("gone")], dead={"gone"})
    await bench.run_for(1)
    assert bench.samples
    assert all(sample.value is None for sample in bench.samples)
    assert all(sample.quality is Quality.MISSING for sample in bench.samples)
    assert bench.live.last_good("gone.energy") is None


async def test_noise_is_answered_with_another_try_and_silence_is_not() -> None:
    bench = Bench([meter("m")])
    bench.driver.noise = 2
    await bench.run_for(0.04)
    assert len(bench.driver.asked) == 3
    assert [sample.value for sample in bench.samples] == [1.0]
    silent = Bench([meter("gone")], dead={"gone"})
    await silent.run_for(0.4)
    assert len(silent.driver.asked) == 1


async def test_a_bus_that_is_lost_and_comes_back_says_each_once() -> None:
    bench = Bench([meter("m")])
    await bench.run_for(3)
    bench.driver.lost = True
    for _ in range(3):
        with pytest.raises(PortError):
            await bench.run_for(5)
    bench.driver.lost = False
    await bench.run_for(3)
    assert [event.code for event in bench.events] == ["bus.lost", "bus.back"]


async def test_a_lost_port_is_told_to_the_supervisor_and_the_port_is_closed() -> None:
    bench = Bench([meter("m")])
    bench.driver.lost = True
    with pytest.raises(PortError, match="unplugged"):
        await bench.run_for(5)
    assert bench.driver.closed == 1
    assert bench.status.state == "lost"
    assert bench.status.last_hint == "plug it in"
