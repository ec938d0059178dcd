"""Modbus RTU, TCP and RTU over TCP; the factories import pymodbus only when called.

The modules are not named like the factories, which an import would otherwise replace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.config import sections
from agent.config.site import MeterPlan
from agent.core.errors import UsageError
from agent.core.ports import Clock

if TYPE_CHECKING:
    from drivers.modbus.rtu_driver import RtuDriver
    from drivers.modbus.tcp_driver import TcpDriver


def rtu(bus: sections.Bus, meters: tuple[MeterPlan, ...], clock: Clock) -> RtuDriver:
    """The driver of a serial port."""
    from drivers.modbus.rtu_driver import RtuDriver
    from drivers.modbus.wire import SerialWire

    if not isinstance(bus.port, str):
        raise UsageError(
            "a serial bus needs a port",
            where=f"bus[{bus.id}].port",
            hint="the path of a serial device",
        )
    wire = SerialWire(
        bus.port, baud=bus.baud, parity=bus.parity, stop_bits=bus.stop_bits, clock=clock
    )
    return RtuDriver(wire, bus, meters)


def rtu_over_tcp(bus: sections.Bus, meters: tuple[MeterPlan, ...], clock: Clock) -> RtuDriver:
    """The driver of a serial device server that passes RTU frames through a socket."""
    from drivers.modbus.rtu_driver import RtuDriver
    from drivers.modbus.tcp_driver import CONNECT_TIMEOUT_S, DEFAULT_PORT, endpoint_of
    from drivers.modbus.wire import SocketWire

    host, port = endpoint_of(bus, DEFAULT_PORT)
    wire = SocketWire(host, port, connect_timeout_s=CONNECT_TIMEOUT_S, clock=clock)
    return RtuDriver(wire, bus, meters)


def tcp(bus: sections.Bus, meters: tuple[MeterPlan, ...], clock: Clock) -> TcpDriver:
    """The driver of a Modbus TCP endpoint."""
    from drivers.modbus.tcp_driver import TcpDriver

    return TcpDriver(bus, meters, clock)


__all__ = ["rtu", "rtu_over_tcp", "tcp"]
