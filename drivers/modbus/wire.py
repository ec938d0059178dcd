"""The wires an RTU master can speak on: a serial port, or a socket of a serial gateway."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import termios
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Protocol

import serial

from agent.core.errors import PortError
from agent.core.ports import Clock

CHUNK = 512
NS = 1_000_000_000
PSEUDO_TERMINALS = Path("/dev/pts")
PARITIES = {"none": serial.PARITY_NONE, "even": serial.PARITY_EVEN, "odd": serial.PARITY_ODD}


class Wire(Protocol):
    """Bytes out, bytes in, and the time by which the master keeps its silences."""

    def open(self) -> None: ...

    def close(self) -> None: ...

    def interrupt(self) -> None:
        """End every present and future wait with a PortError; called from another thread."""
        ...

    def write(self, frame: bytes) -> None: ...

    def read(self) -> bytes:
        """What has arrived, at once; empty when nothing has."""
        ...

    def wait(self, until_ns: int) -> bytes:
        """Sleep until something arrives, and return it; empty when the time has come first."""
        ...

    def sleep(self, until_ns: int) -> None:
        """Sleep until the time has come, whatever arrives."""
        ...

    def monotonic_ns(self) -> int: ...

    def now_ms(self) -> int: ...


class DescriptorWire(ABC):
    """A wire over a file descriptor; waits in ``select``, woken by ``interrupt``."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self._clock = clock
        self._descriptor = -1
        self._wake = -1

    @abstractmethod
    def _connect(self) -> int: ...

    @abstractmethod
    def _disconnect(self) -> None: ...

    @abstractmethod
    def _receive(self) -> bytes:
        """Read once; empty at end of file, BlockingIOError when nothing has arrived."""

    @abstractmethod
    def _send(self, data: bytes) -> int: ...

    def open(self) -> None:
        self.close()
        self._descriptor = self._connect()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def close(self) -> None:
        if self._descriptor < 0:
            return
        self._descriptor = -1
        self._disconnect()
        os.close(self._wake)
        self._wake = -1

    def interrupt(self) -> None:
        if self._wake >= 0:
            os.eventfd_write(self._wake, 1)

    def monotonic_ns(self) -> int:
        return self._clock.monotonic_ns()

    def now_ms(self) -> int:
        return self._clock.now_ms()

    def write(self, frame: bytes) -> None:
        rest = frame
        while rest:
            try:
                rest = rest[self._send(rest) :]
            except BlockingIOError:
                select.select([], [self._descriptor_open()], [], 1.0)
            except OSError as fault:
                raise self._lost(fault) from fault

    def read(self) -> bytes:
        try:
            return self._receive()
        except BlockingIOError:
            return b""
        except OSError as fault:
            raise self._lost(fault) from fault

    def wait(self, until_ns: int) -> bytes:
        if not self._select([self._descriptor_open()], until_ns):
            return b""
        try:
            received = self._receive()
        except BlockingIOError:
            return b""
        except OSError as fault:
            raise self._lost(fault) from fault
        if not received:
            raise self._lost(None)
        return received

    def sleep(self, until_ns: int) -> None:
        self._select([], until_ns)

    def _select(self, descriptors: list[int], until_ns: int) -> bool:
        remaining_ns = until_ns - self._clock.monotonic_ns()
        if remaining_ns <= 0 and not descriptors:
            return False
        ready, _, _ = select.select([*descriptors, self._wake], [], [], max(0.0, remaining_ns / NS))
        if self._wake in ready:
            raise PortError("closed while in use", where=self.name)
        return bool(ready)

    def _descriptor_open(self) -> int:
        if self._descriptor < 0:
            raise PortError("not open", where=self.name, hint="open it first")
        return self._descriptor

    def _lost(self, fault: OSError | None) -> PortError:
        cause = fault.strerror or str(fault) if fault else "end of file"
        return PortError(
            f"lost: {cause}", where=self.name, hint="check cable and power; it is opened again"
        )


class SerialWire(DescriptorWire):
    """A serial port, opened by pyserial and held exclusively."""

    def __init__(self, port: str, *, baud: int, parity: str, stop_bits: int, clock: Clock) -> None:
        super().__init__(port, clock)
        self._baud = baud
        # A pseudo-terminal has no parity bit, and Linux refuses the second attempt to set one.
        pseudo = Path(port).resolve().parent == PSEUDO_TERMINALS
        self._parity = PARITIES["none" if pseudo else parity]
        self._stop_bits = stop_bits
        self._serial: serial.Serial | None = None

    def _connect(self) -> int:
        try:
            port = serial.Serial(
                self.name,
                baudrate=self._baud,
                bytesize=serial.EIGHTBITS,
                parity=self._parity,
                stopbits=self._stop_bits,
                timeout=0,
                exclusive=True,
            )
        except (OSError, ValueError, termios.error) as fault:
            raise port_error(self.name, fault) from fault
        # USB adapters hold bytes back for 16 ms unless told otherwise; others cannot be told.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            port.set_low_latency_mode(True)
        self._serial = port
        return int(port.fileno())

    def _disconnect(self) -> None:
        if self._serial is not None:
            with contextlib.suppress(OSError):
                self._serial.close()
            self._serial = None

    def _receive(self) -> bytes:
        return os.read(self._descriptor_open(), CHUNK)

    def _send(self, data: bytes) -> int:
        return os.write(self._descriptor_open(), data)


class SocketWire(DescriptorWire):
    """The TCP port of a serial device server that passes RTU frames through."""

    def __init__(self, host: str, port: int, *, connect_timeout_s: float, clock: Clock) -> None:
        super().__init__(f"{host}:{port}", clock)
        self._address = (host, port)
        self._connect_timeout_s = connect_timeout_s
        self._socket: socket.socket | None = None

    def _connect(self) -> int:
        try:
            connection = socket.create_connection(self._address, self._connect_timeout_s)
        except OSError as fault:
            raise PortError(
                f"cannot connect: {fault.strerror or fault}",
                where=self.name,
                hint="check address, port and that the device server listens",
            ) from fault
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        return connection.fileno()

    def _disconnect(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _open_socket(self) -> socket.socket:
        if self._socket is None:
            raise PortError("not open", where=self.name, hint="open it first")
        return self._socket

    def _receive(self) -> bytes:
        received = self._open_socket().recv(CHUNK)
        if not received:
            raise ConnectionResetError(errno.ECONNRESET, "closed by the device server")
        return received

    def _send(self, data: bytes) -> int:
        return self._open_socket().send(data)


def port_error(port: str, fault: Exception) -> PortError:
    """Why a serial port cannot be opened, and what to do about it."""
    code = fault.errno if isinstance(fault, OSError) else None
    if code == errno.ENOENT:
        return PortError("no such serial port", where=port, hint=_present_ports())
    if code in (errno.EACCES, errno.EPERM):
        return PortError(
            "no permission to open the serial port",
            where=port,
            hint="add the service's user to the group that owns the port, usually dialout",
        )
    if code in (errno.EBUSY, errno.EAGAIN):
        return PortError(
            "another program holds the serial port", where=port, hint="stop it: one port, one owner"
        )
    cause = os.strerror(code) if code else str(fault)
    return PortError(
        f"cannot open the serial port: {cause}",
        where=port,
        hint="it must be a serial device and support the baud rate",
    )


def _present_ports() -> str:
    folder = Path("/dev/serial/by-path")
    present = sorted(folder.iterdir()) if folder.is_dir() else []
    if not present:
        return "no USB serial port is plugged in; check the cable and the path"
    return "present: " + ", ".join(str(path) for path in present)
