"""Modbus RTU: use of the bus against the wire's limit, silences, CPU against pymodbus, and safety.

The slaves run in a process of their own (`_rtu_slave.py`), so the CPU time is the master's alone.
The CPU bar stands at the two speeds that plants use; at 115200 baud, and with few registers, the
ratio is shown without one: there pymodbus is woken less often, and our hand-over weighs more.
The bus-use bar stands for requests of 100 registers, the size that merging aims at.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.clock import SystemClock
from agent.config import sections
from agent.config.site import MeterPlan
from agent.core.bustime import SerialLine, exchanges_per_s_limit
from agent.core.model import PointRole, PointSpec, RegisterSpec
from drivers import modbus

Row = dict[str, Any]

SLAVES = Path(__file__).parent / "_rtu_slave.py"
BARS = {9600: 0.97, 19200: 0.93, 115200: 0.85}
CPU_BAR = 0.25
CPU_BAUDS = (9600, 19200)
FIFO = 8
LARGE = 100
UNITS = range(1, 11)


@dataclass
class Run:
    """One run of a master: exchanges per second, CPU per exchange, what the line counted."""

    per_s: float
    cpu_ms: float
    line: dict[str, float]


def with_slaves(baud: int, work: Callable[[str], tuple[int, float, float]]) -> Run:
    command = [sys.executable, str(SLAVES), str(baud), str(FIFO), ""]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as slaves:
        assert slaves.stdout is not None
        assert slaves.stdin is not None
        try:
            exchanges, seconds, cpu_s = work(slaves.stdout.readline().strip())
        finally:
            slaves.stdin.close()
        line = json.loads(slaves.stdout.readline())
    return Run(per_s=exchanges / seconds, cpu_ms=1000 * cpu_s / exchanges, line=line)


def ours(baud: int, registers: int, seconds: float) -> Callable[[str], tuple[int, float, float]]:
    async def run(port: str) -> tuple[int, float, float]:
        bus = sections.Bus(
            id="bus",
            driver="modbus-rtu",
            port=port,
            baud=baud,
            parity="none",
            slowest_reply_s=0.05,
            max_hole=100,
        )
        points = tuple(
            PointSpec(
                id=f"p{at}",
                quantity="any",
                unit="1",
                role=PointRole.GAUGE,
                register=RegisterSpec(function=3, address=at, type="f32"),
            )
            for at in range(0, registers, max(2, registers // 10 * 2))
        )
        last = PointSpec(
            id="last",
            quantity="any",
            unit="1",
            role=PointRole.GAUGE,
            register=RegisterSpec(function=3, address=registers - 1, type="u16"),
        )
        plans = tuple(
            MeterPlan(
                section=sections.Meter(id=f"m{unit}", bus="bus", unit=unit),
                bus=bus,
                points=(*points, last),
            )
            for unit in UNITS
        )
        driver = modbus.rtu(bus, plans, SystemClock())
        await driver.open()
        for unit in UNITS:
            await driver.read(f"m{unit}")
        exchanges, begun, cpu = 0, time.monotonic(), time.process_time()
        while time.monotonic() - begun < seconds:
            await driver.read(f"m{UNITS[exchanges % len(UNITS)]}")
            exchanges += 1
        took, used = time.monotonic() - begun, time.process_time() - cpu
        await driver.close()
        return exchanges, took, used

    return lambda port: asyncio.run(run(port))


def rival(baud: int, registers: int, seconds: float) -> Callable[[str], tuple[int, float, float]]:
    from pymodbus.client import AsyncModbusSerialClient

    async def run(port: str) -> tuple[int, float, float]:
        client = AsyncModbusSerialClient(port, baudrate=baud, parity="N", timeout=1, retries=0)
        await client.connect()
        await client.read_holding_registers(0, count=registers, device_id=1)
        exchanges, begun, cpu = 0, time.monotonic(), time.process_time()
        while time.monotonic() - begun < seconds:
            unit = UNITS[exchanges % len(UNITS)]
            await client.read_holding_registers(0, count=registers, device_id=unit)
            exchanges += 1
        took, used = time.monotonic() - begun, time.process_time() - cpu
        client.close()
        return exchanges, took, used

    return lambda port: asyncio.run(run(port))


def bus_use(baud: int, registers: int, seconds: float, rounds: int) -> list[Row]:
    limit = exchanges_per_s_limit(SerialLine(baud=baud, parity="none"), registers)
    mine: list[Run] = []
    theirs: list[Run] = []
    for _ in range(rounds):
        mine.append(with_slaves(baud, ours(baud, registers, seconds)))
        theirs.append(with_slaves(baud, rival(baud, registers, seconds)))
    use = statistics.median(run.per_s for run in mine) / limit
    violations = sum(run.line["silence_violations"] for run in mine)
    cpu = statistics.median(
        own.cpu_ms / other.cpu_ms for own, other in zip(mine, theirs, strict=True)
    )
    what = f"{baud} baud, {registers} registers"
    rival_use = statistics.median(run.per_s for run in theirs) / limit
    rival_broken = sum(run.line["silence_violations"] for run in theirs)
    asked = sum(run.line["requests"] for run in theirs)
    large = registers == LARGE
    cpu_bar = large and baud in CPU_BAUDS
    return [
        {
            "what": f"{what}: bus use",
            "value": use,
            "unit": "of the wire's limit",
            "rival": f"pymodbus asyncio {rival_use:.3f}",
            "bar": BARS[baud] if large else None,
            "ok": use >= BARS[baud] if large else None,
        },
        {
            "what": f"{what}: silence violations",
            "value": violations,
            "unit": "requests",
            "rival": f"pymodbus asyncio {rival_broken:.0f} of {asked:.0f}",
            "bar": 0,
            "ok": violations == 0,
        },
        {
            "what": f"{what}: CPU per read",
            "value": cpu,
            "unit": "x pymodbus asyncio",
            "rival": f"{statistics.median(run.cpu_ms for run in theirs):.2f} ms",
            "bar": CPU_BAR if cpu_bar else None,
            "ok": cpu <= CPU_BAR if cpu_bar else None,
        },
    ]


def misattributed(exchanges: int) -> Row:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "tests" / "modbus"))
    from slaves import Device, SimulatedWire, Trouble, register

    from agent.core.errors import BusError
    from drivers.modbus.frames import read_request
    from drivers.modbus.master import RtuMaster
    from drivers.modbus.statistics import ModbusStatistics

    line = SerialLine(baud=9600)
    trouble = Trouble(late=0.05, late_by_s=(0.0, 0.98), wrong_unit=0.01, noise=0.01)
    wire = SimulatedWire(line, {unit: Device() for unit in UNITS}, trouble, seed=11)
    master = RtuMaster(wire, line, slowest_reply_s=1.0, statistics=ModbusStatistics())
    master.open()
    chance = random.Random(11)
    wrong = 0
    for number in range(exchanges):
        unit, address = UNITS[number % len(UNITS)], chance.randrange(4000)
        try:
            reply = master.exchange(read_request(unit, 3, address, 2), timeout_s=0.3, where="bus")
        except BusError:
            continue
        wrong += reply.registers != (register(unit, address), register(unit, address + 1))
    return {
        "what": f"{exchanges} exchanges, 5 % late, 1 % wrong unit, 1 % noise: misattributed",
        "value": wrong,
        "unit": "values",
        "rival": None,
        "bar": 0,
        "ok": wrong == 0 and wire.silence_violations == 0,
    }


def run(short: bool = False) -> list[Row]:
    seconds, rounds = (2.0, 1) if short else (3.0, 5)
    rows: list[Row] = []
    for baud in BARS:
        for registers in (10, LARGE):
            rows.extend(bus_use(baud, registers, seconds, rounds))
    rows.append(misattributed(20_000 if short else 1_000_000))
    return rows
