"""Modbus TCP on pymodbus's asyncio client: one connection, units in turn, no library retries."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from agent.config import sections
from agent.config.site import MeterPlan
from agent.core.decode import RegisterBlock
from agent.core.errors import DeviceRefused, PortError, ReplyInvalid, ReplyTimeout, UsageError
from agent.core.model import Sample
from agent.core.ports import Clock
from agent.core.readplan import ReadBlock
from drivers.modbus.frames import ADDRESS_REFUSALS, REQUEST_CLASSES, refusal
from drivers.modbus.meters import Done, MeterReads, TimedBlock
from drivers.modbus.statistics import ModbusStatistics

DEFAULT_PORT = 502
CONNECT_TIMEOUT_S = 3.0
GATEWAY_TARGET_SILENT = 11
NEVER_DISCONNECT = 1 << 31
LIBRARY_TIMEOUT_S = 3600.0  # ours comes first; the library's would drop the connection
MS = 1_000_000


class TcpDriver:
    """One Modbus TCP endpoint with its units; satisfies `agent.core.ports.PolledDriver`."""

    def __init__(self, bus: sections.Bus, meters: Sequence[MeterPlan], clock: Clock) -> None:
        self.statistics = ModbusStatistics()
        self._bus = bus
        self._clock = clock
        self._host, self._port = endpoint_of(bus, DEFAULT_PORT)
        self._meters = {meter.id: MeterReads(meter) for meter in meters}
        self._client: AsyncModbusTcpClient | None = None
        self._turn = asyncio.Lock()
        # Every failure is raised and counted here; the library would also print it.
        logging.getLogger("pymodbus").setLevel(logging.CRITICAL)

    async def open(self) -> None:
        """Connect; after a PortError of `read` this may be called again."""
        await self.close()
        client = AsyncModbusTcpClient(
            self._host,
            port=self._port,
            name=self._bus.id,
            timeout=LIBRARY_TIMEOUT_S,
            retries=0,
            reconnect_delay=0,
        )
        client.set_max_no_responses(NEVER_DISCONNECT)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                connected = await client.connect()
        except (TimeoutError, OSError):
            connected = False
        if not connected:
            client.close()
            raise PortError(
                "cannot connect",
                where=f"{self._bus.id} ({self._host}:{self._port})",
                hint="check address, port, network and that the device serves Modbus TCP",
            )
        self._client = client

    async def read(self, meter: str) -> Sequence[Sample]:
        reads = self._meters.get(meter)
        if reads is None:
            raise UsageError(f"no meter {meter!r} on this bus", where=self._bus.id)
        reads.begin(self._clock.monotonic_ns())
        done: Done = {}
        while (block := reads.next_block(done)) is not None:
            try:
                timed, response_ms = await self._exchange(
                    reads.unit, block, reads.timeout_s, reads.where
                )
            except DeviceRefused as refused:
                if refused.code not in ADDRESS_REFUSALS:
                    raise
                reads.refuse(block, refused, self._clock.monotonic_ns())
                continue
            self.statistics.responded(reads.id, response_ms)
            done[block.function, block.address, block.count] = timed
        return reads.samples(list(done.values()))

    async def read_registers(
        self, unit: int, function: int, address: int, count: int, *, timeout_s: float | None = None
    ) -> tuple[int, ...]:
        """Registers of any unit, for a scan or a technician."""
        block = ReadBlock(function=function, address=address, count=count, spans=())
        where = f"{self._bus.id}/unit {unit}"
        timed, _ = await self._exchange(unit, block, timeout_s or self._bus.timeout_s, where)
        return timed.block.registers

    async def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    async def _exchange(
        self, unit: int, block: ReadBlock, timeout_s: float, where: str
    ) -> tuple[TimedBlock, float]:
        async with self._turn:
            client = self._client
            if client is None or not client.connected:
                raise self._lost(where)
            self.statistics.exchanges += 1
            sent_ns, time_ms = self._clock.monotonic_ns(), self._clock.now_ms()
            try:
                response = await self._ask(client, unit, block, timeout_s, where)
            finally:
                elapsed_ns = self._clock.monotonic_ns() - sent_ns
                self.statistics.busy_ns += elapsed_ns
        registers = self._checked(response, unit, block, where)
        timed = TimedBlock(
            block=RegisterBlock(
                function=block.function, address=block.address, registers=registers
            ),
            time_ms=time_ms,
            monotonic_ns=sent_ns,
        )
        return timed, elapsed_ns / MS

    async def _ask(
        self,
        client: AsyncModbusTcpClient,
        unit: int,
        block: ReadBlock,
        timeout_s: float,
        where: str,
    ) -> ModbusPDU:
        request_class = REQUEST_CLASSES[block.function]
        request = request_class(dev_id=unit, address=block.address, count=block.count)
        try:
            async with asyncio.timeout(timeout_s):
                response: ModbusPDU = await client.execute(False, request)
        except TimeoutError as fault:
            raise await self._unanswered(client, where) from fault
        except (ModbusException, OSError) as fault:
            raise self._lost(where) from fault
        # Without this a server that always sends transaction 0 would pass for any request.
        if response.transaction_id != request.transaction_id:
            self.statistics.invalid += 1
            raise ReplyInvalid(
                f"transaction {response.transaction_id} instead of {request.transaction_id}",
                where=where,
                hint="the server does not keep transaction identifiers; use RTU over TCP",
            )
        return response

    async def _unanswered(
        self, client: AsyncModbusTcpClient, where: str
    ) -> ReplyTimeout | PortError:
        if not client.connected:
            return self._lost(where)
        self.statistics.timeouts += 1
        if client.ctx.recv_buffer:
            # The rest of a half reply would be read as the head of the next one.
            await self.close()
        return ReplyTimeout(
            "no reply", where=where, hint="check power, unit number and the gateway's own timeout"
        )

    def _checked(
        self, response: ModbusPDU, unit: int, block: ReadBlock, where: str
    ) -> tuple[int, ...]:
        if response.isError():
            if response.exception_code == GATEWAY_TARGET_SILENT:
                self.statistics.timeouts += 1
                raise ReplyTimeout(
                    "the gateway got no reply from the device",
                    where=where,
                    hint="check power, wiring and slave address behind the gateway",
                )
            if response.exception_code not in ADDRESS_REFUSALS:
                self.statistics.refused += 1
            raise refusal(response.exception_code, where)
        registers = tuple(response.registers)
        expected = (unit, block.function, block.count)
        got = (response.dev_id, response.function_code, len(registers))
        if got != expected:
            self.statistics.invalid += 1
            raise ReplyInvalid(
                f"unit, function, count {got} instead of {expected}",
                where=where,
                hint="the server answers something else than it was asked",
            )
        return registers

    def _lost(self, where: str) -> PortError:
        return PortError("connection lost", where=where, hint="it is opened again")


def endpoint_of(bus: sections.Bus, default_port: int) -> tuple[str, int]:
    """Host and TCP port of a bus."""
    if not bus.host:
        raise UsageError("bus has no host", where=f"bus[{bus.id}].host", hint="name or address")
    try:
        port = default_port if bus.port is None else int(bus.port)
    except ValueError as fault:
        raise UsageError(
            f"{bus.port!r} is no TCP port", where=f"bus[{bus.id}].port", hint="a number, e.g. 502"
        ) from fault
    return bus.host, port
