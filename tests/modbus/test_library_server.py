"""The drivers against servers that this project did not write: pymodbus's own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest
from pymodbus import FramerType
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from agent.clock import SystemClock
from agent.config import sections
from agent.config.site import MeterPlan
from agent.config.templates import load_template, template_points
from agent.core.errors import DeviceRefused
from agent.core.model import Quality
from drivers import modbus

ENERGY = [0x075B, 0xCD15]  # 123 456 789 counts of 0.1 kWh
FREQUENCY = [0x4248, 0x0000]  # 50.0 Hz


@contextlib.asynccontextmanager
async def library_server(framer: FramerType) -> AsyncIterator[int]:
    primary = [0] * 0x34 + FREQUENCY + [0] * 22 + ENERGY
    device = SimDevice(
        id=3,
        simdata=[SimData(address=0x800, values=primary, datatype=DataType.REGISTERS)],
    )
    server = ModbusTcpServer(device, framer=framer, address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    try:
        yield server.transport.sockets[0].getsockname()[1]
    finally:
        await server.shutdown()


@pytest.mark.parametrize("framer", [FramerType.SOCKET, FramerType.RTU])
async def test_a_meter_of_a_template_is_read(framer: FramerType) -> None:
    async with library_server(framer) as port:
        bus = sections.Bus(
            id="bus", driver="any", host="127.0.0.1", port=port, baud=115200, slowest_reply_s=0.05
        )
        section = sections.Meter(id="em", bus="bus", unit=3, template="acrel-adl400")
        plan = MeterPlan(
            section=section,
            bus=bus,
            points=template_points(load_template("acrel-adl400"), None, section),
        )
        factory = modbus.tcp if framer is FramerType.SOCKET else modbus.rtu_over_tcp
        driver = factory(bus, (plan,), SystemClock())
        await driver.open()
        samples = {sample.point: sample for sample in await driver.read("em")}
        assert samples["em.energy"].value == 12345678.9
        assert samples["em.frequency"].value == 50.0
        assert samples["em.frequency"].quality is Quality.GOOD
        with pytest.raises(DeviceRefused) as caught:
            await driver.read_registers(3, 3, 0x9000, 2)
        assert caught.value.code == 2
        await driver.close()
