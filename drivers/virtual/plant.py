"""The virtual plant as a whole: it starts the buses, keeps the books and takes faults."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, replace
from pathlib import Path
from string import Template
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from drivers.virtual.books import Books
from drivers.virtual.clock import PlantClock, month_start_ms
from drivers.virtual.definition import PlantDefinition, default_definition
from drivers.virtual.errors import PlantError
from drivers.virtual.faults import Fault, Faults, parse_fault
from drivers.virtual.meter import Meter
from drivers.virtual.profile import Profile
from drivers.virtual.serial_bus import DEFAULT_FIFO, SerialBus
from drivers.virtual.tcp_bus import TcpBus

if TYPE_CHECKING:
    from drivers.virtual.dcs import Dcs

__all__ = ["Plant", "fill_site", "parse_fault"]

SITE_FILE = Path(__file__).with_name("site.toml")
WATCH_S = 0.05

_DCS_PART = re.compile(r"^# >>> dcs\n.*?^# <<< dcs\n", re.MULTILINE | re.DOTALL)
_DCS_KEY = re.compile(r"^(?:load|conditions) = .*dcs-.*\n", re.MULTILINE)


class Plant:
    """A plant that answers while its context is open.

    ``clock`` returns UTC milliseconds (default: the computer's clock), ``start_ms`` lets the plant
    begin at another time. Loads depend on plant time and ``seed`` alone. ``fifo`` (1..16) is how
    many bytes a serial receiver hands over at once; ``baud`` and ``turnaround_ms`` override the
    definition for all serial buses (the site file still names the defined baud rates).
    """

    def __init__(
        self,
        start_ms: float | None = None,
        seed: int = 1,
        clock: Callable[[], float] | None = None,
        opcua: bool = True,
        *,
        definition: PlantDefinition | None = None,
        faults: Iterable[Fault | str] = (),
        fifo: int = DEFAULT_FIFO,
        baud: int | None = None,
        turnaround_ms: float | None = None,
        host: str = "127.0.0.1",
        gas_port: int = 0,
        dcs_port: int = 0,
        dcs_security: str = "None",
        certificates: Path | None = None,
        trust: Path | None = None,
    ) -> None:
        self.definition = definition if definition is not None else default_definition()
        self.seed = seed
        self.clock = PlantClock(source=clock, start_ms=start_ms)
        self.faults = Faults(self.definition, self.clock.elapsed_s, seed=seed)
        for fault in faults:
            self.faults.add(fault)
        self.meters = self._make_meters()
        self.books = Books(self.definition, self.meters)
        self.serial: dict[str, SerialBus] = {}
        self.tcp: dict[str, TcpBus] = {}
        self.dcs: Dcs | None = None
        self.endpoints: dict[str, str] = {}
        self._fifo = fifo
        self._baud = baud
        self._turnaround_ms = turnaround_ms
        self._host = host
        self._gas_port = gas_port
        self._opcua = opcua
        self._dcs_options: dict[str, Any] = {
            "host": host,
            "port": dcs_port,
            "security": dcs_security,
            "certificates": certificates,
            "trust": trust,
        }
        self._stack: AsyncExitStack | None = None

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for bus in self.definition.buses.values():
                if bus.kind == "rtu":
                    self._start_serial(bus.id, stack)
                elif bus.kind == "tcp":
                    await self._start_tcp(bus.id, stack)
                elif self._opcua:
                    await self._start_dcs(bus.id, stack)
            stack.push_async_callback(_end, asyncio.create_task(self._watch_tcp()))
            if self.dcs is not None:
                stack.push_async_callback(_end, asyncio.create_task(self.dcs.run()))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._stack is not None:
            stack, self._stack = self._stack, None
            await stack.__aexit__(kind, error, trace)

    def stats(self) -> dict[str, dict[str, float]]:
        """What happened on every bus so far, as plain numbers for JSON."""
        counted: dict[str, dict[str, float]] = {}
        for id_, serial in self.serial.items():
            counted[id_] = asdict(serial.stats())
        for id_, tcp in self.tcp.items():
            counted[id_] = asdict(tcp.stats())
        if self.dcs is not None:
            counted[self.dcs.id] = asdict(self.dcs.stats())
        return counted

    def _make_meters(self) -> dict[str, Meter]:
        offset_h = self.definition.utc_offset_h
        commissioned_ms = month_start_ms(self.clock.start_ms, offset_h)
        return {
            id_: Meter(
                meter,
                profile=Profile(meter, seed=self.seed, utc_offset_h=offset_h),
                commissioned_ms=commissioned_ms,
                faults=self.faults,
            )
            for id_, meter in self.definition.meters.items()
        }

    def _meters_on(self, bus: str) -> tuple[Meter, ...]:
        return tuple(self.meters[meter.id] for meter in self.definition.meters_of(bus))

    def _start_serial(self, bus_id: str, stack: AsyncExitStack) -> None:
        line = self.definition.buses[bus_id]
        if self._baud is not None:
            line = replace(line, baud=self._baud)
        if self._turnaround_ms is not None:
            line = replace(line, turnaround_ms=self._turnaround_ms)
        bus = SerialBus(
            line,
            self._meters_on(bus_id),
            clock=self.clock,
            faults=self.faults,
            fifo=self._fifo,
            seed=self.seed,
        )
        stack.callback(bus.stop)
        bus.start()
        self.serial[bus_id] = bus
        self.endpoints[bus_id.replace("-", "_")] = bus.path

    async def _start_tcp(self, bus_id: str, stack: AsyncExitStack) -> None:
        bus = TcpBus(
            bus_id,
            self._meters_on(bus_id),
            clock=self.clock,
            faults=self.faults,
            host=self._host,
            port=self._gas_port,
        )
        stack.push_async_callback(bus.stop)
        await bus.start()
        self.tcp[bus_id] = bus
        self.endpoints[f"{bus_id}_host"] = bus.host
        self.endpoints[f"{bus_id}_port"] = str(bus.port)

    async def _start_dcs(self, bus_id: str, stack: AsyncExitStack) -> None:
        from drivers.virtual.dcs import Dcs

        dcs = Dcs(
            bus_id,
            self.definition.tags,
            self.meters,
            clock=self.clock,
            faults=self.faults,
            **self._dcs_options,
        )
        stack.push_async_callback(dcs.stop)
        await dcs.start()
        self.dcs = dcs
        self.endpoints[f"{bus_id}_endpoint"] = dcs.endpoint

    async def _watch_tcp(self) -> None:
        """Drop TCP connections where a fault says so, and keep dropping them while it lasts."""
        while True:
            await asyncio.sleep(WATCH_S)
            for bus in self.tcp.values():
                fault = self.faults.active("drop", bus.id)
                lasting = fault is not None and fault.for_s is not None
                if self.faults.take("drop", bus.id) is not None or lasting:
                    bus.drop_connections()


async def _end(task: asyncio.Task[None]) -> None:
    """Stop a task of the plant; what made it fail before comes to light here."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def fill_site(plant: Plant, window_s: int, targets_toml: str) -> str:
    """The gateway's site file for a running plant.

    ``targets_toml`` are the ``[[target]]`` tables, empty for a gateway that stands alone. A plant
    without OPC UA gives a site without the DCS and what refers to it.
    """
    if not plant.endpoints:
        raise PlantError("the plant has no endpoints yet; fill the site file while it runs")
    text = SITE_FILE.read_text(encoding="utf-8")
    if plant.dcs is None:
        text = _DCS_KEY.sub("", _DCS_PART.sub("", text))
    values = {**plant.endpoints, "window_s": str(window_s), "targets": targets_toml}
    return Template(text).substitute(values)
