"""A half-duplex serial line in time: who occupies it, what the master hears and when.

Pure: times come in as seconds of one monotonic clock and no byte leaves by itself. Rules:

1. A character takes ``bits_per_char / baud``; bytes of one writer follow each other without gap.
2. A slave takes a request for finished after 3.5 characters of silence (1.75 ms above 19200 baud),
   then needs its turnaround time before it answers.
3. A reply starts at its time even if the master has given up meanwhile.
4. Whoever talks at the same time as someone else garbles both; of two replies the later one loses
   the bytes that overlap, as one receiver hears one stream of characters.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

FAST_BAUD = 19_200
FAST_SILENCE_S = 0.00175
SILENCE_CHARS = 3.5
KEPT_S = 2.0  # how long past traffic is kept for overlaps
MOST_FIFO = 16
SLACK_S = 1e-6  # times are sums of floats


def char_s(baud: int, bits_per_char: int) -> float:
    """Seconds of one character on the line."""
    return bits_per_char / baud


def silence_s(baud: int, bits_per_char: int) -> float:
    """Seconds of silence that end a frame: 3.5 characters, 1.75 ms above 19200 baud
    (Modbus over Serial Line V1.02, 2.5.1.1).

    Example: 9600 baud with 11 bits gives 0.00401 s.
    """
    if baud > FAST_BAUD:
        return FAST_SILENCE_S
    return SILENCE_CHARS * char_s(baud, bits_per_char)


@dataclass(slots=True, kw_only=True)
class LineStats:
    """What happened on a line since its start."""

    requests: int = 0
    replies: int = 0
    unanswered: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    silence_violations: int = 0
    collisions: int = 0
    bad_requests: int = 0
    occupied_s: float = 0.0

    def copy(self) -> LineStats:
        return replace(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A frame that a slave sends ``delay_s`` later than its turnaround time."""

    unit: int
    frame: bytes
    delay_s: float = 0.0


class BadRequestError(Exception):
    """The frame is damaged; no slave takes it."""


@dataclass(slots=True, kw_only=True)
class _Sending:
    unit: int
    start_s: float
    end_s: float
    frame: bytes
    delivered: int = 0
    collided: bool = False


@dataclass(slots=True, kw_only=True)
class _Request:
    begin_s: float
    end_s: float
    frame: bytearray = field(default_factory=bytearray)


class Line:
    """The state of one line.

    ``respond`` is asked with each request frame and the time at which the slaves took it; it
    returns the reply, None for silence, or raises BadRequestError.
    """

    def __init__(
        self,
        *,
        baud: int,
        bits_per_char: int,
        turnaround_s: float,
        fifo: int,
        respond: Callable[[bytes, float], Reply | None],
        seed: int = 1,
    ) -> None:
        self.char_s = char_s(baud, bits_per_char)
        self.silence_s = silence_s(baud, bits_per_char)
        self.turnaround_s = turnaround_s
        self.fifo = min(max(fifo, 1), MOST_FIFO)
        self.stats = LineStats()
        self._respond = respond
        self._chance = random.Random(f"{seed}:line")
        self._open: _Request | None = None
        self._requests: list[_Request] = []
        self._sendings: list[_Sending] = []
        self._quiet_since_s = float("-inf")

    def receive(self, now_s: float, data: bytes) -> None:
        """The master begins to send bytes now (after its own earlier ones, if still going)."""
        request = self._open
        if request is None:
            request = self._begin(now_s)
        elif now_s > request.end_s and self._complete(request):
            self.stats.silence_violations += 1
        request.frame += data
        request.end_s = max(now_s, request.end_s) + len(data) * self.char_s
        self.stats.bytes_in += len(data)
        self.stats.occupied_s += len(data) * self.char_s

    def next_event_s(self) -> float | None:
        """When `advance` has something to do, None if nothing is under way."""
        times = [self._due_s(sending) for sending in self._sendings if not _done(sending)]
        if self._open is not None:
            times.append(self._open.end_s + self.silence_s)
        return min(times, default=None)

    def advance(self, now_s: float) -> bytes:
        """Let time pass up to now; the bytes that the master's receiver hands over meanwhile."""
        heard = bytearray()
        while (event_s := self.next_event_s()) is not None and event_s <= now_s:
            request = self._open
            if request is not None and event_s >= request.end_s + self.silence_s:
                self._take(request)
            else:
                self._deliver(event_s, heard)
        self._forget(now_s)
        return bytes(heard)

    def _begin(self, now_s: float) -> _Request:
        talking = [s for s in self._sendings if s.start_s <= now_s < s.end_s]
        if talking:
            self._collide(talking)
        elif now_s - self._quiet_since(now_s) < self.silence_s - SLACK_S:
            self.stats.silence_violations += 1
        request = _Request(begin_s=now_s, end_s=now_s)
        self._open = request
        self._requests.append(request)
        return request

    def _quiet_since(self, now_s: float) -> float:
        ends = [s.end_s for s in self._sendings if s.end_s <= now_s]
        return max([self._quiet_since_s, *ends])

    def _complete(self, request: _Request) -> bool:
        """Whether a slave would accept the bytes so far, which makes what follows a new frame."""
        return len(request.frame) >= 8 and crc16(bytes(request.frame)) == 0

    def _take(self, request: _Request) -> None:
        """The silence after a request: the slaves look at it and one of them may answer."""
        self._open = None
        self._quiet_since_s = max(self._quiet_since_s, request.end_s)
        taken_s = request.end_s + self.silence_s
        self.stats.requests += 1
        disturbing = [
            s for s in self._sendings if s.start_s < taken_s and s.end_s > request.begin_s
        ]
        if disturbing:
            self._collide(disturbing)
            self.stats.bad_requests += 1
            return
        try:
            reply = self._respond(bytes(request.frame), taken_s)
        except BadRequestError:
            self.stats.bad_requests += 1
            return
        if reply is None:
            self.stats.unanswered += 1
            return
        self._schedule(reply, taken_s)

    def _schedule(self, reply: Reply, taken_s: float) -> None:
        start_s = taken_s + self.turnaround_s + reply.delay_s
        for other in self._sendings:
            if other.unit == reply.unit and other.end_s + self.silence_s > start_s:
                start_s = other.end_s + self.silence_s
        end_s = start_s + len(reply.frame) * self.char_s
        self._sendings.append(
            _Sending(unit=reply.unit, start_s=start_s, end_s=end_s, frame=reply.frame)
        )
        self.stats.replies += 1
        self.stats.bytes_out += len(reply.frame)
        self.stats.occupied_s += end_s - start_s

    def _due_s(self, sending: _Sending) -> float:
        """When the receiver hands over its next bytes: its FIFO is full or the frame is over."""
        return self._byte_end_s(sending, min(sending.delivered + self.fifo, len(sending.frame)))

    def _byte_end_s(self, sending: _Sending, count: int) -> float:
        if count == len(sending.frame):
            return sending.end_s
        return sending.start_s + count * self.char_s

    def _deliver(self, event_s: float, heard: bytearray) -> None:
        for sending in self._sendings:
            while not _done(sending) and self._due_s(sending) <= event_s:
                last = min(sending.delivered + self.fifo, len(sending.frame))
                for i in range(sending.delivered, last):
                    byte = self._hear(sending, i)
                    if byte is not None:
                        heard.append(byte)
                sending.delivered = last

    def _hear(self, sending: _Sending, i: int) -> int | None:
        """One byte of a reply as the master hears it; None if it was lost in another one."""
        from_s, to_s = sending.start_s + i * self.char_s, sending.start_s + (i + 1) * self.char_s
        byte = sending.frame[i]
        for other in self._sendings:
            overlaps = other.start_s < to_s - SLACK_S and other.end_s > from_s + SLACK_S
            if other is sending or not overlaps:
                continue
            self._collide([sending])
            if other.start_s <= sending.start_s:
                return None
            return byte ^ self._chance.randrange(1, 256)
        for request in self._requests:
            if request.begin_s < to_s - SLACK_S and request.end_s > from_s + SLACK_S:
                self._collide([sending])
                return byte ^ self._chance.randrange(1, 256)
        return byte

    def _collide(self, sendings: list[_Sending]) -> None:
        """Count each reply that was disturbed once."""
        for sending in sendings:
            if not sending.collided:
                sending.collided = True
                self.stats.collisions += 1

    def _forget(self, now_s: float) -> None:
        """Drop traffic that can no longer overlap with anything."""
        oldest_s = min((s.start_s for s in self._sendings if not _done(s)), default=now_s)
        limit_s = min(oldest_s, now_s) - KEPT_S
        for sending in self._sendings:
            if _done(sending) and sending.end_s < limit_s:
                self._quiet_since_s = max(self._quiet_since_s, sending.end_s)
        self._sendings = [s for s in self._sendings if not _done(s) or s.end_s >= limit_s]
        self._requests = [r for r in self._requests if r is self._open or r.end_s >= limit_s]


def _done(sending: _Sending) -> bool:
    return sending.delivered >= len(sending.frame)


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
        table.append(crc)
    return tuple(table)


_CRC_TABLE = _crc_table()


def crc16(data: bytes) -> int:
    """CRC-16 of Modbus; 0 over a whole frame with its CRC (low byte first).

    Example: ``crc16(bytes.fromhex("010300000001")) == 0x0A84``.
    """
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc


def framed(unit: int, pdu: bytes) -> bytes:
    """A Modbus RTU frame: unit, PDU and CRC with the low byte first."""
    body = bytes((unit,)) + pdu
    return body + crc16(body).to_bytes(2, "little")
