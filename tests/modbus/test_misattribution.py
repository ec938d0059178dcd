"""No value is ever booked under another register or another device, whatever the wire does."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pymodbus.client import ModbusSerialClient
from pymodbus.exceptions import ModbusException
from slaves import UNITS, Device, PtySlave, SimulatedWire, Trouble, register

from agent.core.bustime import SerialLine
from agent.core.errors import BusError, ReplyInvalid
from drivers.modbus.frames import read_request
from drivers.modbus.master import RtuMaster
from drivers.modbus.statistics import ModbusStatistics

LINE = SerialLine(baud=9600, parity="even")
TIMEOUT_S = 0.3
SLOWEST_S = 1.0

MATRIX = {
    "healthy": Trouble(),
    "a little late": Trouble(late=0.05, late_by_s=(0.0, 0.25)),
    "around the timeout": Trouble(late=0.05, late_by_s=(0.25, 0.35)),
    "late by up to the slowest": Trouble(late=0.05, late_by_s=(0.0, 0.98)),
    "noise": Trouble(noise=0.05),
    "wrong unit": Trouble(wrong_unit=0.05),
    "truncated": Trouble(truncated=0.05),
    "doubled": Trouble(doubled=0.05),
    "stray bytes": Trouble(stray=0.2),
    "everything at once": Trouble(
        late=0.05,
        late_by_s=(0.0, 0.98),
        noise=0.02,
        wrong_unit=0.02,
        truncated=0.02,
        doubled=0.02,
        stray=0.05,
    ),
}


def run(
    trouble: Trouble, exchanges: int, seed: int, dead: int | None
) -> tuple[Counter[str], SimulatedWire, ModbusStatistics]:
    devices = {unit: Device() for unit in UNITS if unit != dead}
    wire = SimulatedWire(LINE, devices, trouble, seed)
    statistics = ModbusStatistics()
    master = RtuMaster(wire, LINE, slowest_reply_s=SLOWEST_S, statistics=statistics)
    master.open()
    chance = random.Random(seed)
    outcome: Counter[str] = Counter()
    for number in range(exchanges):
        unit = UNITS[number % len(UNITS)]
        # Few different counts, so that replies resemble each other as much as they can.
        address, count = chance.randrange(0, 4000), chance.choice((2, 2, 2, 10))
        request = read_request(unit, chance.choice((3, 4)), address, count)
        try:
            reply = master.exchange(request, timeout_s=TIMEOUT_S, where=f"unit {unit}")
        except BusError as error:
            outcome[type(error).__name__] += 1
            continue
        expected = tuple(register(unit, address + at) for at in range(count))
        outcome["right" if reply.registers == expected else "misattributed"] += 1
    return outcome, wire, statistics


@pytest.mark.parametrize("name", MATRIX)
def test_no_value_under_another_register_or_device(name: str) -> None:
    outcome, wire, statistics = run(MATRIX[name], exchanges=3000, seed=7, dead=4)
    assert outcome["misattributed"] == 0
    assert wire.silence_violations == 0
    assert wire.collisions == 0
    assert statistics.silence_violations == 0
    assert outcome["ReplyTimeout"] >= 300  # the dead one
    assert outcome["right"] >= 2000


@given(
    seed=st.integers(0, 2**32),
    late=st.floats(0, 0.5),
    longest=st.floats(0.0, 0.98),
    noise=st.floats(0, 0.3),
    wrong_unit=st.floats(0, 0.3),
    truncated=st.floats(0, 0.3),
)
@hypothesis_settings(max_examples=60)
def test_whatever_the_mixture(
    seed: int, late: float, longest: float, noise: float, wrong_unit: float, truncated: float
) -> None:
    trouble = Trouble(
        late=late,
        late_by_s=(0.0, longest),
        noise=noise,
        wrong_unit=wrong_unit,
        truncated=truncated,
    )
    outcome, wire, _ = run(trouble, exchanges=150, seed=seed, dead=None)
    assert outcome["misattributed"] == 0
    assert wire.silence_violations == 0
    assert wire.collisions == 0


def test_a_late_reply_teaches_how_slow_the_bus_is() -> None:
    wire = SimulatedWire(LINE, {1: Device(), 2: Device()}, Trouble(late=1.0, late_by_s=(1.6, 1.6)))
    statistics = ModbusStatistics()
    master = RtuMaster(wire, LINE, slowest_reply_s=SLOWEST_S, statistics=statistics)
    master.open()
    for unit in (1, 2, 1, 2):
        with pytest.raises(BusError):
            master.exchange(read_request(unit, 3, unit * 100, 2), timeout_s=TIMEOUT_S, where="bus")
    assert statistics.late >= 1
    assert master.slowest_reply_ns >= 1_600_000_000
    assert statistics.slowest_reply_ms >= 1600


class Babbling(SimulatedWire):
    """A transmitter that does not stop until a given time."""

    until_ns = 0

    def wait(self, until_ns: int) -> bytes:
        if self._now < self.until_ns:
            self._now = min(until_ns, self._now + 5_000_000)
            return b"\x55\xaa"
        return super().wait(until_ns)


def test_nothing_is_sent_while_another_transmits() -> None:
    wire = Babbling(LINE, {1: Device()}, Trouble())
    statistics = ModbusStatistics()
    master = RtuMaster(wire, LINE, slowest_reply_s=SLOWEST_S, statistics=statistics)
    master.open()
    wire.until_ns = 60_000_000_000
    request = read_request(1, 3, 100, 2)
    for _ in range(3):
        with pytest.raises(ReplyInvalid, match="does not become quiet"):
            master.exchange(request, timeout_s=TIMEOUT_S, where="bus")
    assert wire.requests == 0
    assert statistics.invalid == 3
    wire.until_ns = 0
    reply = master.exchange(request, timeout_s=TIMEOUT_S, where="bus")
    assert reply.registers == (register(1, 100), register(1, 101))


def test_an_answer_to_a_former_owner_is_not_taken() -> None:
    wire = SimulatedWire(LINE, {1: Device(), 2: Device()}, Trouble(late=1.0, late_by_s=(0.6, 0.6)))
    master = RtuMaster(wire, LINE, slowest_reply_s=SLOWEST_S, statistics=ModbusStatistics())
    master.open()
    wire.write(read_request(1, 3, 100, 2).frame)  # asked just before, answered late
    wire.trouble = Trouble()
    reply = master.exchange(read_request(1, 3, 200, 2), timeout_s=TIMEOUT_S, where="bus")
    assert reply.registers == (register(1, 200), register(1, 201))


def test_the_library_client_misattributes_on_the_same_kind_of_wire() -> None:
    """The control: pymodbus's own client takes a late reply for the reply to its next request."""
    devices = {unit: Device() for unit in UNITS}
    line = SerialLine(baud=115200, parity="none")
    wrong = right = 0

    def late(number: int) -> float:
        return 0.09 if number % 7 == 2 else 0.04

    with PtySlave(devices, line, late=late) as slave:
        client = ModbusSerialClient(
            slave.path, baudrate=115200, parity="N", timeout=0.075, retries=0
        )
        assert client.connect()
        for address in range(100, 2600, 100):
            try:
                reply = client.read_holding_registers(address, count=4, device_id=1)
            except ModbusException:
                continue
            expected = [register(1, address + at) for at in range(4)]
            if reply.registers == expected:
                right += 1
            else:
                wrong += 1
        client.close()
    assert right >= 1
    assert wrong >= 1
