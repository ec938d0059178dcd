"""The three Modbus drivers held to one contract, on real pseudo-terminals and sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
from slaves import Device, PtySlave, TcpServer, mbap_handler, register, rtu_handler

from agent.clock import SystemClock
from agent.config import sections
from agent.config.site import MeterPlan
from agent.core.bustime import SerialLine
from agent.core.errors import (
    BusError,
    DeviceRefused,
    PortError,
    ReplyInvalid,
    ReplyTimeout,
    UsageError,
)
from agent.core.model import PointRole, PointSpec, Quality, RegisterSpec
from agent.core.ports import PolledDriver
from drivers import modbus
from drivers.modbus.rtu_driver import RtuDriver
from drivers.modbus.tcp_driver import TcpDriver
from drivers.modbus.wire import SerialWire, port_error

Driver = RtuDriver | TcpDriver
KINDS = ("rtu", "rtu-over-tcp", "tcp")
BAUD = 115200
LINE = SerialLine(baud=BAUD, parity="even")


def u16(name: str, address: int, **more: object) -> PointSpec:
    spec = RegisterSpec(function=3, address=address, type="u16")
    return PointSpec(
        id=name,
        quantity="any",
        unit="1",
        role=PointRole.GAUGE,
        register=spec,
        **more,  # type: ignore[arg-type]
    )


POINTS = (u16("first", 10), u16("second", 14), u16("far", 300))


@dataclass
class Bench:
    """A driver with meters 1, 2 and the absent 9, and the means to disturb its server."""

    driver: Driver
    devices: dict[int, Device]
    cut: Callable[[], Awaitable[None]]


def meters(bus: sections.Bus, points: tuple[PointSpec, ...]) -> tuple[MeterPlan, ...]:
    return tuple(
        MeterPlan(
            section=sections.Meter(id=f"m{unit}", bus=bus.id, unit=unit), bus=bus, points=points
        )
        for unit in (1, 2, 9)
    )


def bus_section(**more: object) -> sections.Bus:
    return sections.Bus(
        id="bus",
        driver="any",
        baud=BAUD,
        timeout_s=0.2,
        slowest_reply_s=0.35,
        **more,  # type: ignore[arg-type]
    )


@contextlib.asynccontextmanager
async def bench(
    kind: str,
    *,
    late: Callable[[int], float] = lambda _: 0.0,
    spoil: Callable[[bytes], bytes] = lambda reply: reply,
    points: tuple[PointSpec, ...] = POINTS,
) -> AsyncIterator[Bench]:
    devices = {1: Device(), 2: Device()}
    async with contextlib.AsyncExitStack() as stack:
        driver: Driver
        if kind == "rtu":
            slave = stack.enter_context(PtySlave(devices, LINE, late=late, spoil=spoil))
            bus = bus_section(port=slave.path)
            driver = modbus.rtu(bus, meters(bus, points), SystemClock())

            async def cut() -> None:
                await asyncio.to_thread(slave.unplug)
        else:
            make = mbap_handler if kind == "tcp" else rtu_handler
            server = TcpServer(make(devices, late=late, spoil=spoil))
            await stack.enter_async_context(server)
            bus = bus_section(host="127.0.0.1", port=server.port)
            factory = modbus.tcp if kind == "tcp" else modbus.rtu_over_tcp
            driver = factory(bus, meters(bus, points), SystemClock())

            async def cut() -> None:
                await server.hang_up()
                await asyncio.sleep(0.05)

        await driver.open()
        try:
            yield Bench(driver=driver, devices=devices, cut=cut)
        finally:
            await driver.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_one_sample_per_point_each_with_its_own_value(kind: str) -> None:
    async with bench(kind) as made:
        polled: PolledDriver = made.driver
        for unit in (1, 2, 1):
            samples = await polled.read(f"m{unit}")
            assert [sample.point for sample in samples] == [
                f"m{unit}.first",
                f"m{unit}.second",
                f"m{unit}.far",
            ]
            assert [sample.value for sample in samples] == [
                register(unit, 10),
                register(unit, 14),
                register(unit, 300),
            ]
            assert all(sample.quality is Quality.GOOD for sample in samples)
            assert samples[0].monotonic_ns < samples[2].monotonic_ns
        assert polled.statistics.exchanges == 6
        assert polled.statistics.timeouts == polled.statistics.invalid == 0
        assert polled.statistics.busy_ns > 0
        assert made.driver.statistics.response_p95_ms("m1") is not None


@pytest.mark.parametrize("kind", KINDS)
async def test_a_dead_meter_leaves_the_bus_fit_for_the_next(kind: str) -> None:
    async with bench(kind) as made:
        with pytest.raises(ReplyTimeout, match="bus/m9"):
            await made.driver.read("m9")
        samples = await made.driver.read("m1")
        assert samples[0].value == register(1, 10)
        assert made.driver.statistics.timeouts == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_a_late_reply_is_thrown_away(kind: str) -> None:
    async with bench(kind, late=lambda number: 0.25 if number == 0 else 0.0) as made:
        with pytest.raises(ReplyTimeout):
            await made.driver.read("m1")
        for unit in (2, 1, 2):
            samples = await made.driver.read(f"m{unit}")
            assert [sample.value for sample in samples] == [
                register(unit, 10),
                register(unit, 14),
                register(unit, 300),
            ]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_refused_register_costs_only_itself(kind: str) -> None:
    points = (u16("first", 10), u16("hole-behind", 14), u16("refused", 20), u16("far", 300))
    async with bench(kind, points=points) as made:
        made.devices[1] = Device(holes=frozenset({12, 20}))
        for _ in range(2):
            samples = {sample.point: sample for sample in await made.driver.read("m1")}
            assert samples["m1.first"].value == register(1, 10)
            assert samples["m1.hole-behind"].value == register(1, 14)
            assert samples["m1.far"].value == register(1, 300)
            assert samples["m1.refused"].value is None
            assert samples["m1.refused"].quality is Quality.MISSING
        before = made.driver.statistics.exchanges
        await made.driver.read("m1")
        assert made.driver.statistics.exchanges - before == 3  # what was refused is remembered
        samples = {sample.point: sample for sample in await made.driver.read("m2")}
        assert samples["m2.refused"].value == register(2, 20)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_meter_that_refuses_everything_is_an_error_and_asked_again(kind: str) -> None:
    async with bench(kind) as made:
        made.devices[1] = Device(holes=frozenset(range(1000)))
        for _ in range(2):
            with pytest.raises(DeviceRefused, match="ILLEGAL DATA ADDRESS"):
                await made.driver.read("m1")
        made.devices[1] = Device()
        assert (await made.driver.read("m1"))[0].value == register(1, 10)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_busy_device_is_refused_with_its_code(kind: str) -> None:
    async with bench(kind) as made:
        made.devices[1] = Device(holes=frozenset(range(1000)), exception=6)
        with pytest.raises(DeviceRefused) as caught:
            await made.driver.read("m1")
        assert caught.value.code == 6
        assert made.driver.statistics.refused == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_a_lost_connection_is_a_port_error_and_open_mends_it(kind: str) -> None:
    async with bench(kind) as made:
        await made.driver.read("m1")
        await made.cut()
        with pytest.raises(PortError):
            await made.driver.read("m1")
        if kind == "rtu":
            with pytest.raises(PortError):
                await made.driver.open()
            return
        await made.driver.open()
        assert (await made.driver.read("m2"))[0].value == register(2, 10)


@pytest.mark.parametrize("kind", KINDS)
async def test_registers_of_any_unit_can_be_read(kind: str) -> None:
    async with bench(kind) as made:
        assert await made.driver.read_registers(2, 4, 700, 3) == tuple(
            register(2, 700 + at) for at in range(3)
        )
        with pytest.raises(UsageError):
            await made.driver.read("no-such-meter")


@pytest.mark.parametrize("kind", KINDS)
async def test_close_ends_a_read_under_way(kind: str) -> None:
    async with bench(kind, late=lambda _: 30.0) as made:
        reading = asyncio.create_task(made.driver.read("m1"))
        await asyncio.sleep(0.03)
        await made.driver.close()
        with pytest.raises(BusError):
            await reading
        with pytest.raises(PortError):
            await made.driver.read("m1")


@pytest.mark.parametrize("kind", ["rtu", "rtu-over-tcp"])
async def test_damaged_replies_are_invalid_never_values(kind: str) -> None:
    broken = [True]

    def spoil(reply: bytes) -> bytes:
        return reply[:4] + bytes((reply[4] ^ 1,)) + reply[5:] if broken[0] else reply

    async with bench(kind, spoil=spoil) as made:
        with pytest.raises(ReplyInvalid, match="CRC"):
            await made.driver.read("m1")
        broken[0] = False
        assert (await made.driver.read("m1"))[0].value == register(1, 10)
        assert made.driver.statistics.invalid == 1


@pytest.mark.parametrize("position", [0, 6, 7, 8], ids=["transaction", "unit", "function", "count"])
async def test_a_tcp_reply_that_does_not_fit_is_never_a_value(position: int) -> None:
    def spoil(reply: bytes) -> bytes:
        return reply[:position] + bytes((reply[position] ^ 7,)) + reply[position + 1 :]

    async with bench("tcp", spoil=spoil) as made:
        with pytest.raises(BusError):
            await made.driver.read("m1")


async def test_half_a_tcp_reply_does_not_spoil_the_next() -> None:
    cut = [True]

    def spoil(reply: bytes) -> bytes:
        return reply[:11] if cut[0] else reply

    async with bench("tcp", spoil=spoil) as made:
        with pytest.raises(ReplyTimeout):
            await made.driver.read("m1")
        cut[0] = False
        with pytest.raises(PortError):
            await made.driver.read("m1")
        await made.driver.open()
        assert (await made.driver.read("m1"))[0].value == register(1, 10)


async def test_the_slave_sees_the_silence_before_every_request() -> None:
    devices = {1: Device(), 2: Device()}
    line = SerialLine(baud=9600, parity="even")
    with PtySlave(devices, line, late=lambda number: 0.001 * (number % 3)) as slave:
        bus = sections.Bus(
            id="bus", driver="modbus-rtu", port=slave.path, baud=9600, slowest_reply_s=0.05
        )
        driver = modbus.rtu(bus, meters(bus, POINTS), SystemClock())
        await driver.open()
        for number in range(12):
            await driver.read(f"m{1 + number % 2}")
        await driver.close()
        assert len(slave.gaps_s) == 23
        assert min(slave.gaps_s) >= line.silence_s
        assert driver.statistics.silence_violations == 0


async def test_one_port_has_one_owner() -> None:
    with PtySlave({1: Device()}, LINE) as slave:
        first = SerialWire(slave.path, baud=BAUD, parity="even", stop_bits=1, clock=SystemClock())
        second = SerialWire(slave.path, baud=BAUD, parity="even", stop_bits=1, clock=SystemClock())
        first.open()
        with pytest.raises(PortError, match="another program"):
            second.open()
        first.close()
        second.open()
        second.close()


async def test_a_missing_port_names_itself_and_what_to_do() -> None:
    bus = bus_section(port="/dev/no-such-port")
    driver = modbus.rtu(bus, (), SystemClock())
    with pytest.raises(PortError) as caught:
        await driver.open()
    assert caught.value.where == "/dev/no-such-port"
    assert "no such serial port" in caught.value.what
    assert caught.value.hint


def test_a_forbidden_port_names_the_group() -> None:
    error = port_error("/dev/ttyS0", PermissionError(13, "Permission denied"))
    assert "dialout" in error.hint
    assert error.where == "/dev/ttyS0"


async def test_no_server_is_a_port_error() -> None:
    async with TcpServer(mbap_handler({})) as server:
        port = server.port
    for factory in (modbus.tcp, modbus.rtu_over_tcp):
        driver = factory(bus_section(host="127.0.0.1", port=port), (), SystemClock())
        with pytest.raises(PortError, match="cannot connect"):
            await driver.open()
        await driver.close()


async def test_what_was_refused_is_asked_again_later() -> None:
    class Jumping(SystemClock):
        ahead_ns = 0

        def monotonic_ns(self) -> int:
            return super().monotonic_ns() + self.ahead_ns

    clock = Jumping()
    devices = {1: Device(holes=frozenset({14, 11}))}
    async with TcpServer(mbap_handler(devices)) as server:
        bus = bus_section(host="127.0.0.1", port=server.port)
        driver = modbus.tcp(bus, meters(bus, POINTS), clock)
        await driver.open()
        assert (await driver.read("m1"))[1].value is None
        devices[1] = Device()
        assert (await driver.read("m1"))[1].value is None
        clock.ahead_ns = 601 * 1_000_000_000
        assert (await driver.read("m1"))[1].value == register(1, 14)
        await driver.close()


def test_importing_the_drivers_does_not_import_pymodbus() -> None:
    import subprocess
    import sys

    script = "import sys, drivers.modbus; sys.exit('pymodbus' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=os.getcwd()).returncode == 0
