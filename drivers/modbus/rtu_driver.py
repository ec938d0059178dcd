"""Modbus RTU: a thread per wire does all requests of a meter, the event loop only awaits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from agent.config import sections
from agent.config.site import MeterPlan
from agent.core.bustime import SerialLine
from agent.core.decode import RegisterBlock
from agent.core.errors import DeviceRefused, PortError, UsageError
from agent.core.model import Sample
from agent.core.readplan import ReadBlock
from drivers.modbus.frames import ADDRESS_REFUSALS, read_request
from drivers.modbus.master import Reply, RtuMaster
from drivers.modbus.meters import Done, MeterReads, TimedBlock
from drivers.modbus.statistics import ModbusStatistics
from drivers.modbus.wire import Wire

T = TypeVar("T")


class RtuDriver:
    """One RTU wire with its meters; satisfies `agent.core.ports.PolledDriver`."""

    def __init__(self, wire: Wire, bus: sections.Bus, meters: Sequence[MeterPlan]) -> None:
        self.statistics = ModbusStatistics()
        self._wire = wire
        self._bus = bus
        line = SerialLine(baud=bus.baud, parity=bus.parity, stop_bits=bus.stop_bits)
        self.master = RtuMaster(
            wire, line, slowest_reply_s=bus.slowest_reply_s, statistics=self.statistics
        )
        self._meters = {meter.id: MeterReads(meter) for meter in meters}
        self._thread: ThreadPoolExecutor | None = None

    async def open(self) -> None:
        """Open the port; after a PortError of `read` this may be called again."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"rtu-{self._bus.id}")
        await self._call(self.master.open)

    async def read(self, meter: str) -> Sequence[Sample]:
        reads = self._meters.get(meter)
        if reads is None:
            raise UsageError(f"no meter {meter!r} on this bus", where=self._bus.id)
        return await self._call(lambda: self._read(reads))

    async def read_registers(
        self, unit: int, function: int, address: int, count: int, *, timeout_s: float | None = None
    ) -> tuple[int, ...]:
        """Registers of any unit, for a scan or a technician; same discipline as `read`."""
        request = read_request(unit, function, address, count)
        where = f"{self._bus.id}/unit {unit}"
        wait_s = timeout_s or self._bus.timeout_s
        reply = await self._call(
            lambda: self.master.exchange(request, timeout_s=wait_s, where=where)
        )
        return reply.registers

    async def close(self) -> None:
        if self._thread is None:
            return
        self._wire.interrupt()
        await self._call(self.master.close)
        self._thread.shutdown(wait=False)
        self._thread = None

    async def _call(self, work: Callable[[], T]) -> T:
        if self._thread is None:
            raise PortError("not open", where=self._bus.id, hint="open it first")
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _read(self, reads: MeterReads) -> tuple[Sample, ...]:
        reads.begin(self._wire.monotonic_ns())
        done: Done = {}
        while (block := reads.next_block(done)) is not None:
            request = read_request(reads.unit, block.function, block.address, block.count)
            try:
                reply = self.master.exchange(request, timeout_s=reads.timeout_s, where=reads.where)
            except DeviceRefused as refused:
                if refused.code not in ADDRESS_REFUSALS:
                    raise
                reads.refuse(block, refused, self._wire.monotonic_ns())
                continue
            self.statistics.responded(reads.id, reply.response_ms)
            done[block.function, block.address, block.count] = _timed(block, reply)
        return reads.samples(list(done.values()))


def _timed(block: ReadBlock, reply: Reply) -> TimedBlock:
    return TimedBlock(
        block=RegisterBlock(
            function=block.function, address=block.address, registers=reply.registers
        ),
        time_ms=reply.time_ms,
        monotonic_ns=reply.monotonic_ns,
    )
