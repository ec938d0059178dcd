"""OPC UA subscription: CPU per change against the client library's own handler, and losses.

The server runs in a process of its own (`_opcua_server.py`), so the CPU time is the client's.
"""

from __future__ import annotations

import asyncio
import logging
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from asyncua import Client, ua

from agent.clock import SystemClock
from agent.config import sections
from agent.config.site import MeterPlan
from agent.core.model import PointRole, PointSpec
from drivers.opcua import opcua

Row = dict[str, Any]

SERVER = Path(__file__).parent / "_opcua_server.py"
URI = "urn:bench"
CPU_BAR = 0.45


async def ours(port: int, count: int, seconds: float) -> tuple[float, int]:
    """CPU microseconds per change, and changes missing between the first and the last seen."""
    bus = sections.Bus(
        id="dcs", driver="opcua", endpoint=f"opc.tcp://127.0.0.1:{port}", security="None"
    )
    points = tuple(
        PointSpec(id=f"v{i}", quantity="", unit="%", role=PointRole.GAUGE, node=f"nsu={URI};s=V{i}")
        for i in range(count)
    )
    meter = MeterPlan(section=sections.Meter(id="m", bus="dcs"), bus=bus, points=points)
    driver = opcua(bus, (meter,), SystemClock())
    seen: dict[str, set[float]] = {f"m.v{i}": set() for i in range(count)}
    await driver.open()
    batches = driver.batches()
    end_ns = changes = 0
    cpu_s = 0.0
    async for samples in batches:
        for sample in samples:
            if sample.value is not None:
                seen[sample.point].add(sample.value)
        if not end_ns and driver.statistics.changes >= 2 * count:
            end_ns = time.monotonic_ns() + round(seconds * 1e9)
            cpu_s, changes = time.process_time(), driver.statistics.changes
        elif end_ns and time.monotonic_ns() > end_ns:
            break
    used_s = time.process_time() - cpu_s
    await batches.aclose()  # type: ignore[attr-defined]
    await driver.close()
    lost = sum(round(max(s) - min(s)) + 1 - len(s) for s in seen.values())
    lost += driver.statistics.overflows + driver.statistics.lost_notifications
    return 1e6 * used_s / (driver.statistics.changes - changes), lost


async def rival(port: int, count: int, seconds: float) -> float:
    """CPU microseconds per change of the client library's handler."""

    class Handler:
        changes = 0
        started = asyncio.Event()

        def datachange_notification(self, node: Any, value: Any, data: Any) -> None:
            self.changes += 1
            if self.changes == 2 * count:
                self.started.set()

    handler = Handler()
    async with Client(f"opc.tcp://127.0.0.1:{port}") as client:
        subscription = await client.create_subscription(1000, handler)
        index = await client.get_namespace_index(URI)
        nodes = [client.get_node(ua.NodeId(f"V{i}", index)) for i in range(count)]
        await subscription.subscribe_data_change(nodes, queuesize=10, sampling_interval=1000)
        await handler.started.wait()
        cpu_s, changes = time.process_time(), handler.changes
        await asyncio.sleep(seconds)
        return 1e6 * (time.process_time() - cpu_s) / (handler.changes - changes)


def measure(count: int, seconds: float, rounds: int) -> list[Row]:
    logging.disable(logging.WARNING)
    command = [sys.executable, str(SERVER), str(count)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        port = int(server.stdout.readline())
        results = []
        for _ in range(rounds):
            own_us, lost = asyncio.run(ours(port, count, seconds))
            results.append((own_us, asyncio.run(rival(port, count, seconds)), lost))
        server.stdin.close()
    ratio = statistics.median(own / other for own, other, _ in results)
    lost = sum(lost for _, _, lost in results)
    return [
        {
            "what": f"CPU per change, {count} changes/s",
            "value": round(ratio, 3),
            "unit": "x asyncua",
            "rival": f"{statistics.median(other for _, other, _ in results):.1f} us",
            "bar": CPU_BAR,
            "ok": ratio <= CPU_BAR,
        },
        {
            "what": "CPU per change",
            "value": round(statistics.median(own for own, _, _ in results), 1),
            "unit": "us",
            "rival": None,
            "bar": None,
            "ok": None,
        },
        {
            "what": f"changes lost in {rounds} runs",
            "value": lost,
            "unit": "changes",
            "rival": None,
            "bar": 0,
            "ok": lost == 0,
        },
    ]


def run(short: bool) -> list[Row]:
    if short:
        return measure(500, 3.0, 1)
    return measure(5000, 10.0, 5)
