"""A small DCS on a real socket, a wire that can be cut, and a client to look at both."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from asyncua import Node, Server, ua
from asyncua.server.internal_session import SessionState

from agent.config import sections
from agent.config.site import MeterPlan
from agent.core.model import PointRole, PointSpec, Sample
from drivers.opcua import opcua
from drivers.opcua.driver import OpcUaDriver

URI = "urn:test:dcs"


class SystemClock:
    """The clock of this machine; ``shift_ms`` moves the wall time, never the monotonic one."""

    def __init__(self, shift_ms: int = 0) -> None:
        self.shift_ms = shift_ms

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.shift_ms

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    async def sleep_until(self, monotonic_ns: int) -> None:
        await asyncio.sleep(max(0.0, (monotonic_ns - time.monotonic_ns()) / 1e9))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Dcs:
    """An in-process server whose nodes are named in one namespace."""

    def __init__(self, server: Server, port: int) -> None:
        self.server = server
        self.port = port
        self.nodes: dict[str, Node] = {}

    @asynccontextmanager
    async def having(
        self, values: dict[str, Any], historize: Sequence[str] = ()
    ) -> AsyncIterator[Dcs]:
        """The server with these values; history is kept of those named, until leaving."""
        await self.add(values, historize)
        try:
            yield self
        finally:
            for name in historize:
                await self.server.dehistorize_node_data_change(self.nodes[name])

    async def add(self, values: dict[str, Any], historize: Sequence[str] = ()) -> None:
        index = await self.server.get_namespace_index(URI)
        for name, value in values.items():
            if name in self.nodes:
                await self.write(name, value)
                continue
            self.nodes[name] = await self.server.nodes.objects.add_variable(
                ua.NodeId(name, index), name, value
            )
        for name in historize:
            await self.server.historize_node_data_change(
                self.nodes[name], period=timedelta(hours=1)
            )

    @property
    def sessions(self) -> int:
        """Sessions of clients that are logged in."""
        return sum(
            1
            for connection in self.server.bserver.clients
            if connection.processor.session is not None
            and connection.processor.session.state is SessionState.Activated
        )

    async def write(self, name: str, value: Any, status: int = 0) -> None:
        variant = value if isinstance(value, ua.Variant) else ua.Variant(value)
        now = datetime.now(UTC)
        await self.nodes[name].write_value(
            ua.DataValue(variant, ua.StatusCode(status), SourceTimestamp=now, ServerTimestamp=now)
        )


@asynccontextmanager
async def dcs(
    values: dict[str, Any],
    *,
    port: int = 0,
    namespaces_before: Sequence[str] = (),
    prepare: Callable[[Server], Any] | None = None,
) -> AsyncIterator[Dcs]:
    """A running server with one variable per value; ended on leaving."""
    server = Server()
    await server.init()
    port = port or free_port()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    if prepare is not None:
        await prepare(server)
    for uri in namespaces_before:
        await server.register_namespace(uri)
    await server.register_namespace(URI)
    plant = Dcs(server, port)
    await plant.add(values)
    await server.start()
    try:
        yield plant
    finally:
        await server.stop()


def bus_of(port: int, **keys: Any) -> sections.Bus:
    keys = {
        "endpoint": f"opc.tcp://127.0.0.1:{port}",
        "security": "None",
        "publish_ms": 100,
    } | keys
    return sections.Bus(id="dcs", driver="opcua", **keys)


def meter_of(bus: sections.Bus, *points: PointSpec, period_s: float = 1.0) -> MeterPlan:
    section = sections.Meter(id="m", bus=bus.id, period_s=period_s)
    return MeterPlan(section=section, bus=bus, points=points)


def point(
    id: str, node: str | None = None, role: PointRole = PointRole.GAUGE, scale: float = 1.0
) -> PointSpec:
    node = f"nsu={URI};s={id}" if node is None else node
    return PointSpec(id=id, quantity="load", unit="%", role=role, node=node, scale=scale)


def driver_of(bus: sections.Bus, *points: PointSpec, period_s: float = 1.0) -> OpcUaDriver:
    return opcua(bus, (meter_of(bus, *points, period_s=period_s),), SystemClock())


class Listener:
    """Collects what a driver yields while the test does something else."""

    def __init__(self, driver: OpcUaDriver) -> None:
        self.driver = driver
        self.samples: list[Sample] = []
        self.ended: BaseException | None = None
        self._news = asyncio.Event()

    def of(self, point: str) -> list[Sample]:
        return [sample for sample in self.samples if sample.point == f"m.{point}"]

    def values(self, point: str) -> list[float | None]:
        return [sample.value for sample in self.of(point)]

    async def until(self, condition: Callable[[], Any], timeout_s: float = 30.0) -> None:
        """Wait for a condition over what was heard; the timeout only guards against a hang."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                if self.ended is not None:
                    raise self.ended
                self._news.clear()
                await self._news.wait()

    async def listen(self) -> None:
        try:
            async for samples in self.driver.batches():
                self.samples.extend(samples)
                self._news.set()
        except Exception as error:
            self.ended = error
        finally:
            self._news.set()


@asynccontextmanager
async def listening(driver: OpcUaDriver) -> AsyncIterator[Listener]:
    """An opened driver whose batches are collected; closed on leaving."""
    await driver.open()
    listener = Listener(driver)
    task = asyncio.create_task(listener.listen())
    try:
        yield listener
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await driver.close()


class Wire:
    """A TCP relay in front of a server that can fall silent or be cut."""

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self.connections = 0
        self._target_port = target_port
        self._passing = asyncio.Event()
        self._passing.set()
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def freeze(self) -> None:
        """Pass no byte any more, but keep the connections."""
        self._passing.clear()

    def thaw(self) -> None:
        self._passing.set()

    def cut(self) -> None:
        """Drop all connections at once."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers += [writer, up_writer]
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pass(reader, up_writer))
            group.create_task(self._pass(up_reader, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self._passing.wait()
                writer.write(data)
                await writer.drain()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


@asynccontextmanager
async def wire_to(port: int) -> AsyncIterator[Wire]:
    wire = Wire(port)
    server = await asyncio.start_server(wire.accept, "127.0.0.1", 0)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        wire.thaw()
        server.close()
        wire.cut()
        await asyncio.sleep(0.05)
