"""How much of the wire's limit the master uses, in simulated time free of machine load."""

from __future__ import annotations

import pytest
from slaves import UNITS, Device, SimulatedWire, Trouble

from agent.core.bustime import SerialLine, exchanges_per_s_limit
from drivers.modbus.frames import read_request
from drivers.modbus.master import RtuMaster
from drivers.modbus.statistics import ModbusStatistics

WARM_UP = 100
EXCHANGES = 500
NS = 1_000_000_000


class PromptWire(SimulatedWire):
    """Slaves without turnaround time behind a receiver that hands over 8 characters at a time."""

    fifo = 8

    def _answer(self, reply: bytes, end_ns: int) -> None:
        start = end_ns + self._silence_ns + self._chance.randrange(200_000)
        for place, byte in enumerate(reply, start=1):
            handed_over = min(len(reply), -(-place // self.fifo) * self.fifo)
            self._arriving.append((start + handed_over * self._character_ns, byte))
        self._busy_until = max(self._busy_until, self._arriving[-1][0])


@pytest.mark.parametrize("registers", [10, 100])
@pytest.mark.parametrize(("baud", "bar"), [(9600, 0.97), (19200, 0.93), (115200, 0.85)])
def test_the_bus_is_used_nearly_to_its_limit(baud: int, bar: float, registers: int) -> None:
    line = SerialLine(baud=baud, parity="none")
    wire = PromptWire(line, {unit: Device() for unit in UNITS}, Trouble())
    master = RtuMaster(wire, line, slowest_reply_s=0.05, statistics=ModbusStatistics())
    master.open()
    begun_ns = 0
    for number in range(WARM_UP + EXCHANGES):
        if number == WARM_UP:
            begun_ns = wire.monotonic_ns()
        request = read_request(UNITS[number % len(UNITS)], 3, 0, registers)
        master.exchange(request, timeout_s=0.3, where="bus")
    per_s = EXCHANGES * NS / (wire.monotonic_ns() - begun_ns)
    assert bar <= per_s / exchanges_per_s_limit(line, registers) <= 1.0
    assert wire.silence_violations == 0


def test_slaves_of_different_speed_are_each_met_when_they_are_ready() -> None:
    class SlowWire(PromptWire):
        def _answer(self, reply: bytes, end_ns: int) -> None:
            super()._answer(reply, end_ns + 4_000_000 * reply[0])

    line = SerialLine(baud=19200, parity="none")
    wire = SlowWire(line, {unit: Device() for unit in UNITS}, Trouble())
    statistics = ModbusStatistics()
    master = RtuMaster(wire, line, slowest_reply_s=0.2, statistics=statistics)
    master.open()
    for number in range(400):
        unit = UNITS[number % len(UNITS)]
        reply = master.exchange(read_request(unit, 3, 0, 10), timeout_s=0.3, where="bus")
        if number >= 200:
            ready_ms = 4 * unit + 1000 * (line.silence_s + 25 * line.character_s)
            assert ready_ms <= reply.response_ms < ready_ms + 3
