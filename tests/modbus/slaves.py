"""Slaves for the tests of the Modbus drivers: every register tells its unit and its address.

`answer` is what such a device replies; `SimulatedWire` puts ten of them on a bus in simulated
time, `PtySlave` on a real pseudo-terminal, `TcpServer` on real sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import select
import struct
import threading
import time
import tty
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field

from agent.core.bustime import SerialLine

NS = 1_000_000_000
UNITS = range(1, 11)


def register(unit: int, address: int) -> int:
    """The content of a register: which unit and which address it belongs to."""
    return (unit << 12 | address & 0xFFF) & 0xFFFF


def _remainder(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0xA001 if byte & 1 else 0)
    return byte


REMAINDERS = tuple(_remainder(byte) for byte in range(256))


def crc(frame: bytes) -> bytes:
    value = 0xFFFF
    for byte in frame:
        value = value >> 8 ^ REMAINDERS[(value ^ byte) & 0xFF]
    return struct.pack("<H", value)


@dataclass
class Device:
    """One slave: which addresses it refuses and with what."""

    holes: frozenset[int] = frozenset()
    exception: int = 2
    functions: frozenset[int] = frozenset({3, 4})
    values: dict[int, int] = field(default_factory=dict)

    def answer(self, unit: int, pdu: bytes) -> bytes:
        function, address, count = struct.unpack(">BHH", pdu)
        if function not in self.functions:
            return bytes((function | 0x80, 1))
        wanted = range(address, address + count)
        if self.holes & frozenset(wanted):
            return bytes((function | 0x80, self.exception))
        words = [self.values.get(at, register(unit, at)) for at in wanted]
        return struct.pack(f">BB{count}H", function, 2 * count, *words)


def rtu_answer(devices: dict[int, Device], frame: bytes) -> bytes | None:
    if len(frame) != 8 or crc(frame[:-2]) != frame[-2:]:
        return None
    device = devices.get(frame[0])
    if device is None:
        return None
    body = frame[:1] + device.answer(frame[0], frame[1:6])
    return body + crc(body)


@dataclass(frozen=True)
class Trouble:
    """How often the wire misbehaves, and the longest time by which a reply is late."""

    late: float = 0.0
    late_by_s: tuple[float, float] = (0.0, 0.0)
    noise: float = 0.0
    wrong_unit: float = 0.0
    truncated: float = 0.0
    doubled: float = 0.0
    stray: float = 0.0


def damaged(reply: bytes, trouble: Trouble, chance: random.Random) -> bytes:
    if chance.random() < trouble.wrong_unit:
        body = bytes((chance.choice(UNITS),)) + reply[1:-2]
        reply = body + crc(body)
    if chance.random() < trouble.noise:
        spoilt = bytearray(reply)
        for _ in range(chance.randint(1, 3)):
            spoilt[chance.randrange(len(spoilt))] ^= 1 << chance.randrange(8)
        reply = bytes(spoilt)
    if chance.random() < trouble.truncated:
        reply = reply[: chance.randrange(1, len(reply))]
    if chance.random() < trouble.doubled:
        reply += reply
    if chance.random() < trouble.stray:
        reply = bytes((chance.choice((0, 255)),)) + reply + b"\xff"
    return reply


class SimulatedWire:
    """A bus in simulated time; also the judge of silences and of requests into a reply."""

    def __init__(
        self, line: SerialLine, devices: dict[int, Device], trouble: Trouble, seed: int = 1
    ) -> None:
        self.line = line
        self.devices = devices
        self.trouble = trouble
        self.requests = 0
        self.silence_violations = 0
        self.collisions = 0
        self._chance = random.Random(seed)
        self._now = 0
        self._busy_until = -NS
        self._arriving: list[tuple[int, int]] = []  # (time, byte), in order of time
        self._character_ns = round(line.character_s * NS)
        self._silence_ns = round(line.silence_s * NS)

    def open(self) -> None:
        self._arriving.clear()

    def close(self) -> None:
        self._arriving.clear()

    def interrupt(self) -> None: ...

    def monotonic_ns(self) -> int:
        self._now += 2_000  # looking at the clock takes time too
        return self._now

    def now_ms(self) -> int:
        return self._now // 1_000_000

    def sleep(self, until_ns: int) -> None:
        if until_ns > self._now:
            self._now = until_ns + self._chance.randrange(100_000)

    def wait(self, until_ns: int) -> bytes:
        if self._arriving and self._arriving[0][0] <= until_ns:
            self._now = max(self._now, self._arriving[0][0])
            return self.read()
        self._now = max(self._now, until_ns)
        return b""

    def read(self) -> bytes:
        arrived = bytes(byte for at, byte in self._arriving if at <= self._now)
        del self._arriving[: len(arrived)]
        return arrived

    def write(self, frame: bytes) -> None:
        self.requests += 1
        past = [at for at, _ in self._arriving if at <= self._now]
        self._busy_until = max([self._busy_until, *past])
        if self._now - self._busy_until < self._silence_ns:
            self.silence_violations += 1
        if any(at > self._now for at, _ in self._arriving):
            self.collisions += 1
        end = self._now + len(frame) * self._character_ns
        self._busy_until = end
        reply = rtu_answer(self.devices, frame)
        if reply is not None:
            self._answer(reply, end)

    def _answer(self, reply: bytes, end_ns: int) -> None:
        late_s = 0.0
        if self._chance.random() < self.trouble.late:
            late_s = self._chance.uniform(*self.trouble.late_by_s)
        start = end_ns + self._silence_ns + round(late_s * NS) + self._chance.randrange(5_000_000)
        for place, byte in enumerate(damaged(reply, self.trouble, self._chance), start=1):
            self._arriving.append((start + place * self._character_ns, byte))
        self._arriving.sort(key=lambda arrival: arrival[0])
        self._busy_until = max(self._busy_until, self._arriving[-1][0])


class PtySlave:
    """Slaves on a pseudo-terminal, in a thread; ``late`` says by how much a reply is late."""

    def __init__(
        self,
        devices: dict[int, Device],
        line: SerialLine,
        *,
        late: Callable[[int], float] = lambda _: 0.0,
        spoil: Callable[[bytes], bytes] = lambda reply: reply,
    ) -> None:
        self.devices = devices
        self.gaps_s: list[float] = []  # silence seen before each request but the first
        self._line = line
        self._late = late
        self._spoil = spoil
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> PtySlave:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)
        self.unplug()

    def unplug(self) -> None:
        """Take the port away, as pulling a USB adapter does."""
        self._stop.set()
        for descriptor in (self._slave, self._master):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _serve(self) -> None:
        due: list[tuple[float, bytes]] = []
        last_byte_s: float | None = None
        received = b""
        requests = 0
        while not self._stop.is_set():
            now = time.monotonic()
            for item in [item for item in due if item[0] <= now]:
                due.remove(item)
                os.write(self._master, item[1])
                last_byte_s = time.monotonic()
            wait = min([0.02, *(max(0.0, at - now) for at, _ in due)])
            try:
                ready, _, _ = select.select([self._master], [], [], wait)
                if not ready:
                    continue
                begun = time.monotonic()
                received += os.read(self._master, 256)
            except OSError:
                return
            if last_byte_s is not None and len(received) >= 8:
                self.gaps_s.append(begun - last_byte_s)
            while len(received) >= 8:
                reply = rtu_answer(self.devices, received[:8])
                received = received[8:]
                # The last bit of the request leaves the line only after its characters' time.
                end = begun + 8 * self._line.character_s
                last_byte_s = end
                if reply is not None:
                    late = self._late(requests)
                    due.append((end + self._line.silence_s + late, self._spoil(reply)))
                requests += 1


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]


class TcpServer:
    """A TCP server on a free port of this machine."""

    def __init__(self, handler: Handler) -> None:
        self.port = 0
        self._handler = handler
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def __aenter__(self) -> TcpServer:
        self._server = await asyncio.start_server(self._handle, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self.hang_up()

    async def hang_up(self) -> None:
        """Cut every connection, with what is under way on it."""
        for task, writer in list(self._connections.items()):
            task.cancel()
            writer.transport.abort()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._handler(reader, writer))
        self._connections[task] = writer
        await asyncio.wait([task])
        del self._connections[task]
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def mbap_handler(
    devices: dict[int, Device],
    *,
    late: Callable[[int], float] = lambda _: 0.0,
    spoil: Callable[[bytes], bytes] = lambda reply: reply,
) -> Handler:
    """Modbus TCP: replies in their own time, so that a late one meets the next request."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def reply(frame: bytes, after_s: float) -> None:
            await asyncio.sleep(after_s)
            writer.write(frame)

        requests = 0
        async with asyncio.TaskGroup() as group:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    head = await reader.readexactly(7)
                    pdu = await reader.readexactly(int.from_bytes(head[4:6], "big") - 1)
                    device = devices.get(head[6])
                    requests += 1
                    if device is None:
                        continue
                    body = device.answer(head[6], pdu)
                    frame = head[:4] + struct.pack(">HB", len(body) + 1, head[6]) + body
                    group.create_task(reply(spoil(frame), late(requests - 1)))

    return handle


def rtu_handler(
    devices: dict[int, Device],
    *,
    late: Callable[[int], float] = lambda _: 0.0,
    spoil: Callable[[bytes], bytes] = lambda reply: reply,
) -> Handler:
    """A serial device server: RTU frames through a socket."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def reply(frame: bytes, after_s: float) -> None:
            await asyncio.sleep(after_s)
            writer.write(frame)

        requests = 0
        async with asyncio.TaskGroup() as group:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    frame = rtu_answer(devices, await reader.readexactly(8))
                    requests += 1
                    if frame is not None:
                        group.create_task(reply(spoil(frame), late(requests - 1)))

    return handle
