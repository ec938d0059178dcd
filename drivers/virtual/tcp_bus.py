"""A Modbus TCP endpoint of the virtual plant."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass, replace

from drivers.virtual.clock import PlantClock
from drivers.virtual.faults import Faults
from drivers.virtual.meter import Meter
from drivers.virtual.slave import Response, exception, respond

HEADER = struct.Struct(">HHHB")  # transaction, protocol, length, unit
LONGEST_PDU = 253
GATEWAY_TARGET_FAILED = 0x0B


@dataclass(slots=True, kw_only=True)
class TcpStats:
    """What happened at a TCP endpoint since its start."""

    connections: int = 0
    requests: int = 0
    replies: int = 0
    dropped: int = 0


class TcpBus:
    """Answers Modbus TCP for its meters; several connections at once, as real devices allow few."""

    def __init__(
        self,
        bus_id: str,
        meters: tuple[Meter, ...],
        *,
        clock: PlantClock,
        faults: Faults,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.id = bus_id
        self.host = host
        self.port = port
        self._meters = {meter.unit: meter for meter in meters}
        self._clock = clock
        self._faults = faults
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._stats = TcpStats()

    async def start(self) -> None:
        """Listen; `port` becomes the port that was given by the system."""
        self._server = await asyncio.start_server(self._serve, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is None:
            return
        self._server.close()
        self.drop_connections()
        await self._server.wait_closed()
        await self._idle.wait()

    def drop_connections(self) -> None:
        """Close every connection at once without a word."""
        for writer in self._writers:
            writer.transport.abort()
            self._stats.dropped += 1

    def stats(self) -> TcpStats:
        return replace(self._stats)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._stats.connections += 1
        self._writers.add(writer)
        self._idle.clear()
        try:
            async with asyncio.TaskGroup() as replies:
                await self._converse(reader, writer, replies)
        except* (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has gone, or a fault dropped it
        finally:
            writer.close()
            self._writers.discard(writer)
            if not self._writers:
                self._idle.set()

    async def _converse(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        replies: asyncio.TaskGroup,
    ) -> None:
        while not writer.is_closing():
            header = await reader.readexactly(HEADER.size)
            transaction, protocol, length, unit = HEADER.unpack(header)
            if protocol != 0 or not 2 <= length <= LONGEST_PDU + 1:
                return
            request = await reader.readexactly(length - 1)
            self._stats.requests += 1
            response = self._answer(unit, request)
            if response is None:
                continue
            if response.delay_s > 0.0:
                replies.create_task(self._send_late(writer, transaction, response))
            else:
                self._send(writer, transaction, response)
                await writer.drain()

    def _answer(self, unit: int, request: bytes) -> Response | None:
        meter = self._meters.get(unit)
        if meter is None:
            return Response(unit=unit, pdu=exception(request[0], GATEWAY_TARGET_FAILED))
        units = tuple(self._meters)
        return respond(request, meter, self._clock.now_ms(), faults=self._faults, units=units)

    async def _send_late(
        self, writer: asyncio.StreamWriter, transaction: int, response: Response
    ) -> None:
        await asyncio.sleep(response.delay_s)
        if not writer.is_closing():
            self._send(writer, transaction, response)

    def _send(self, writer: asyncio.StreamWriter, transaction: int, response: Response) -> None:
        frame = HEADER.pack(transaction, 0, len(response.pdu) + 1, response.unit) + response.pdu
        if response.truncated:
            frame = frame[: 1 + self._faults.below(len(frame) - 1)]
        writer.write(frame)
        self._stats.replies += 1
