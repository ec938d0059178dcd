"""A serial bus of the virtual plant: a pseudo-terminal played by one thread."""

from __future__ import annotations

import logging
import os
import select
import termios
import threading
import time
import tty

from drivers.virtual.clock import PlantClock
from drivers.virtual.definition import BusDefinition
from drivers.virtual.faults import Faults
from drivers.virtual.line import BadRequestError, Line, LineStats, Reply, crc16, framed
from drivers.virtual.meter import Meter
from drivers.virtual.slave import respond

LOG = logging.getLogger(__name__)

IDLE_S = 0.1
SHORTEST_FRAME = 4
CFLAG = 2  # index in termios attributes
DEFAULT_FIFO = 8


class SerialBus:
    """Plays the slaves of a bus on a pseudo-terminal; the gateway opens `path`.

    The line takes the time that the baud rate takes. ``fifo`` is how many bytes the master's
    receiver collects before it hands them over.
    """

    def __init__(
        self,
        definition: BusDefinition,
        meters: tuple[Meter, ...],
        *,
        clock: PlantClock,
        faults: Faults,
        fifo: int = DEFAULT_FIFO,
        seed: int = 1,
    ) -> None:
        self.id = definition.id
        self._meters = {meter.unit: meter for meter in meters}
        self._units = tuple(self._meters)
        self._clock = clock
        self._faults = faults
        self._line = Line(
            baud=definition.baud,
            bits_per_char=definition.bits_per_char,
            turnaround_s=definition.turnaround_ms / 1000.0,
            fifo=fifo,
            respond=self._respond,
            seed=seed,
        )
        self._master, self._slave = os.openpty()
        self._wake_read, self._wake_write = os.pipe()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        self._own_cflag = termios.tcgetattr(self._slave)[CFLAG]
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"plant-{self.id}", daemon=True)

    @property
    def line(self) -> Line:
        """The line's timing, for what must know how long an exchange takes."""
        return self._line

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread and take the terminal away."""
        self._stopping = True
        os.write(self._wake_write, b"x")
        if self._thread.ident is not None:
            self._thread.join()
        for descriptor in (self._master, self._slave, self._wake_read, self._wake_write):
            os.close(descriptor)

    def stats(self) -> LineStats:
        """What happened on the line so far."""
        return self._line.stats.copy()

    def _run(self) -> None:
        while not self._stopping:
            self._hand_over(self._line.advance(time.monotonic()))
            due_s = self._line.next_event_s()
            wait_s = IDLE_S if due_s is None else min(IDLE_S, due_s - time.monotonic())
            ready, _, _ = select.select([self._master, self._wake_read], [], [], max(0.0, wait_s))
            if self._master in ready:
                self._listen()
            elif not ready:
                self._unsettle()

    def _listen(self) -> None:
        now_s = time.monotonic()
        try:
            data = os.read(self._master, 4096)
        except BlockingIOError:
            return
        self._hand_over(self._line.advance(now_s))
        self._line.receive(now_s, data)
        self._unsettle()

    def _hand_over(self, data: bytes) -> None:
        if not data:
            return
        try:
            os.write(self._master, data)
        except BlockingIOError:
            # Nobody reads: the bytes are lost, as in a receiver without an open port.
            LOG.debug("%s: %d bytes lost, nobody reads the port", self.id, len(data))

    def _unsettle(self) -> None:
        """Keep the terminal's settings different from what a client last asked for.

        A pseudo-terminal has no parity bit, and Linux reports EINVAL when nothing of what a client
        asks for can be changed: a second client that opens the port with the same 8E1 would fail.
        A stop bit that differs lets every open change something. A client that sets the same
        parity twice in one session still fails; it opens the port without parity.
        """
        attributes = termios.tcgetattr(self._slave)
        if attributes[CFLAG] != self._own_cflag:
            attributes[CFLAG] ^= termios.CSTOPB
            termios.tcsetattr(self._slave, termios.TCSANOW, attributes)
            self._own_cflag = termios.tcgetattr(self._slave)[CFLAG]

    def _respond(self, frame: bytes, taken_s: float) -> Reply | None:
        if len(frame) < SHORTEST_FRAME or crc16(frame) != 0:
            raise BadRequestError
        meter = self._meters.get(frame[0])
        if meter is None:
            return None
        t_ms = self._clock.at_ms(taken_s)
        response = respond(frame[1:-2], meter, t_ms, faults=self._faults, units=self._units)
        if response is None:
            return None
        reply = framed(response.unit, response.pdu)
        if response.noisy:
            reply = self._flip_bits(reply)
        if response.truncated:
            reply = reply[: 1 + self._faults.below(len(reply) - 1)]
        return Reply(unit=meter.unit, frame=reply, delay_s=response.delay_s)

    def _flip_bits(self, frame: bytes) -> bytes:
        """One to three bits of noise: the CRC detects every error of that size."""
        noisy = bytearray(frame)
        positions: set[int] = set()
        while len(positions) <= self._faults.below(3):
            positions.add(self._faults.below(len(frame) * 8))
        for position in positions:
            noisy[position // 8] ^= 1 << position % 8
        return bytes(noisy)
