"""The RTU master: one exchange at a time, and no reply ever taken for another's.

RTU has no transaction number. What ties a reply to its request is that nothing else can be on
the way: before a request goes out, every earlier request has been answered, or so much time has
passed that its slave can no longer answer. The rules:

1. A request is sent only after 3.5 characters of silence.
2. A reply counts only with the right unit, function, byte count and CRC.
3. After a timeout or any other reply the bus stays quiet until the outstanding reply has come
   and been thrown away, or until the slowest reply ever known could not come any more. A reply
   of the right header and size whose CRC fails has come.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.core.bustime import REQUEST_CHARACTERS, SerialLine, reply_s
from agent.core.errors import ReplyInvalid, ReplyTimeout
from drivers.modbus.frames import (
    ADDRESS_REFUSALS,
    SHORTEST_FRAME,
    Match,
    ReadRequest,
    explain,
    find_reply,
    is_damaged_reply,
    refusal,
)
from drivers.modbus.statistics import ModbusStatistics
from drivers.modbus.wire import NS, Wire

RECEIVED_KEPT = 1024
BABBLE_LIMIT = 4  # slowest replies of unbroken noise after which the bus counts as unusable
SLOWEST_MARGIN = 1.25
SLOWEST_LIMIT_NS = 10 * NS
TURNAROUND_DECAY = 0.95
TURNAROUND_GAIN = 0.8
MS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Registers, and the instant the request's last bit left: the time of the reading."""

    registers: tuple[int, ...]
    time_ms: int
    monotonic_ns: int
    response_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outstanding:
    """A request whose reply may still come; None for what a former owner of the port asked."""

    request: ReadRequest | None
    sent_ns: int
    answer_by_ns: int


class RtuMaster:
    """Owns the silence of one wire; all calls come from one thread."""

    def __init__(
        self,
        wire: Wire,
        line: SerialLine,
        *,
        slowest_reply_s: float,
        statistics: ModbusStatistics,
    ) -> None:
        self._wire = wire
        self._line = line
        self._statistics = statistics
        self._character_ns = round(line.character_s * NS)
        self._silence_ns = round(line.silence_s * NS)
        self._slowest_ns = round(slowest_reply_s * NS)
        self._last_activity_ns = 0
        self._outstanding: Outstanding | None = None
        self._lost: dict[int, Outstanding] = {}
        self._turnaround_ns: dict[int, float] = {}

    @property
    def slowest_reply_ns(self) -> int:
        """How long after a request its reply may still come, as far as is known."""
        return self._slowest_ns

    def open(self) -> None:
        """Open the wire; what a former owner asked may still be answered."""
        self._wire.open()
        now = self._wire.monotonic_ns()
        self._last_activity_ns = now
        self._outstanding = Outstanding(
            request=None, sent_ns=now, answer_by_ns=now + self._slowest_ns
        )

    def close(self) -> None:
        self._wire.close()

    def exchange(self, request: ReadRequest, *, timeout_s: float, where: str) -> Reply:
        """Send one request and return its reply.

        ``timeout_s`` is how long the slave may take until its reply begins. Errors: ReplyTimeout,
        ReplyInvalid, DeviceRefused, PortError; after each of the first three the bus is quiet.
        """
        begun_ns = self._wire.monotonic_ns()
        try:
            self._await_silence(where)
            sent_ns, time_ms = self._send(request)
            return self._receive(request, sent_ns, time_ms, round(timeout_s * NS), where)
        finally:
            self._statistics.busy_ns += self._wire.monotonic_ns() - begun_ns

    def _await_silence(self, where: str) -> None:
        try:
            self._make_silence(where)
        except ReplyInvalid:
            self._statistics.invalid += 1
            raise

    def _make_silence(self, where: str) -> None:
        if self._outstanding is not None:
            self._settle(self._outstanding, b"", where)
        received = b""
        while True:
            more = self._wire.wait(self._last_activity_ns + self._silence_ns)
            if not more:
                break
            self._last_activity_ns = self._wire.monotonic_ns()
            received += more
            if len(received) >= SHORTEST_FRAME:
                # Long enough to be a reply that nobody waits for: others may follow it.
                now = self._last_activity_ns
                unknown = Outstanding(
                    request=None, sent_ns=now, answer_by_ns=now + self._slowest_ns
                )
                self._outstanding = unknown
                self._settle(unknown, received, where)
                received = b""
        self._statistics.noise_bytes += len(received)

    def _send(self, request: ReadRequest) -> tuple[int, int]:
        start_ns = self._wire.monotonic_ns()
        if start_ns - self._last_activity_ns < self._silence_ns:
            self._statistics.silence_violations += 1
        self._wire.write(request.frame)
        duration_ns = REQUEST_CHARACTERS * self._character_ns
        # Whatever goes wrong from here on, this request is on the wire and may be answered.
        sent_ns = self._wire.monotonic_ns() + duration_ns
        time_ms = self._wire.now_ms() + duration_ns // MS
        self._outstanding = Outstanding(
            request=request, sent_ns=sent_ns, answer_by_ns=sent_ns + self._slowest_ns
        )
        self._last_activity_ns = sent_ns
        self._statistics.exchanges += 1
        return sent_ns, time_ms

    def _reply_ns(self, count: int) -> int:
        return round(reply_s(self._line, count) * NS)

    def _receive(
        self, request: ReadRequest, sent_ns: int, time_ms: int, timeout_ns: int, where: str
    ) -> Reply:
        reply_ns = self._reply_ns(request.count)
        deadline_ns = sent_ns + timeout_ns + reply_ns
        turnaround_ns = round(self._turnaround_ns.get(request.unit, self._silence_ns))
        self._wire.sleep(min(deadline_ns, sent_ns + turnaround_ns + reply_ns))
        received = self._wire.read()
        match = find_reply(received, request) if received else None
        at_once = match is not None
        while match is None and (more := self._wire.wait(deadline_ns)):
            received = (received + more)[-RECEIVED_KEPT:]
            match = find_reply(received, request)
            if match is None:
                missing = max(1, request.reply_size - len(received))
                rest_ns = self._wire.monotonic_ns() + missing * self._character_ns
                self._wire.sleep(min(deadline_ns, rest_ns))
        now = self._wire.monotonic_ns()
        if received:
            self._last_activity_ns = max(self._last_activity_ns, now)
        if match is None or len(received) - match.end >= SHORTEST_FRAME:
            raise self._failed(request, sent_ns, deadline_ns, received, match, where)
        self._outstanding = None
        self._lost.pop(request.unit, None)
        self._statistics.noise_bytes += len(received) - (match.end - match.start)
        if match.start >= SHORTEST_FRAME:
            self._learn_slowest(received[: match.start], now)
        return self._accepted(request, match, sent_ns, time_ms, at_once, where)

    def _accepted(
        self,
        request: ReadRequest,
        match: Match,
        sent_ns: int,
        time_ms: int,
        at_once: bool,
        where: str,
    ) -> Reply:
        if match.code:
            if match.code not in ADDRESS_REFUSALS:
                self._statistics.refused += 1
            raise refusal(match.code, where)
        elapsed_ns = self._wire.monotonic_ns() - sent_ns
        spare_ns = max(0, elapsed_ns - self._reply_ns(request.count))
        known = self._turnaround_ns.get(request.unit, float(self._silence_ns))
        # Looking too early costs a little work, looking too late costs time on the bus: come
        # clearly earlier after a reply that was there already, a little later after one that
        # was not.
        self._turnaround_ns[request.unit] = (
            known * TURNAROUND_DECAY
            if at_once
            else min(known + TURNAROUND_GAIN * (spare_ns - known), known * 1.1 + MS // 5)
        )
        return Reply(
            registers=match.registers,
            time_ms=time_ms,
            monotonic_ns=sent_ns,
            response_ms=elapsed_ns / MS,
        )

    def _failed(
        self,
        request: ReadRequest,
        sent_ns: int,
        deadline_ns: int,
        received: bytes,
        match: Match | None,
        where: str,
    ) -> ReplyTimeout | ReplyInvalid:
        """Count the failure, make the bus quiet, and return the error to raise."""
        error: ReplyTimeout | ReplyInvalid
        if not received:
            self._statistics.timeouts += 1
            error = ReplyTimeout(
                "no reply", where=where, hint="check power, wiring, slave address and baud rate"
            )
        else:
            self._statistics.invalid += 1
            reason = explain(received, request) if match is None else "more than one reply came"
            error = ReplyInvalid(
                reason, where=where, hint="check shield, termination and duplicate addresses"
            )
            if is_damaged_reply(received, request):
                self._outstanding = None
                return error
        waiting_ns = max(self._slowest_ns + self._reply_ns(request.count), deadline_ns - sent_ns)
        outstanding = Outstanding(
            request=request, sent_ns=sent_ns, answer_by_ns=sent_ns + waiting_ns
        )
        self._outstanding = outstanding
        self._lost[request.unit] = outstanding
        self._settle(outstanding, received if match is None else b"", where)
        return error

    def _settle(self, outstanding: Outstanding, received: bytes, where: str) -> None:
        """Wait until nothing that was asked before can be answered any more.

        Ends early when the outstanding reply itself arrives. Bytes that are not it start the
        waiting anew, since what sent them is not known. Raises ReplyInvalid when the bus does
        not become quiet at all; it then stays unsettled, and nothing is sent.
        """
        until_ns = outstanding.answer_by_ns
        limit_ns = self._wire.monotonic_ns() + BABBLE_LIMIT * max(self._slowest_ns, NS // 10)
        limit_ns = max(limit_ns, until_ns + self._slowest_ns)
        while more := self._wire.wait(until_ns):
            self._wire.sleep(self._wire.monotonic_ns() + self._silence_ns)
            received = (received + more + self._wire.read())[-RECEIVED_KEPT:]
            now = self._wire.monotonic_ns()
            self._last_activity_ns = max(self._last_activity_ns, now)
            self._learn_slowest(received, now)
            if self._is_answer(outstanding, received):
                break
            until_ns = max(until_ns, now + self._slowest_ns)
            if now > limit_ns:
                raise ReplyInvalid(
                    "the bus does not become quiet",
                    where=where,
                    hint="look for a second master or a transmitter that is stuck",
                )
        self._outstanding = None

    def _is_answer(self, outstanding: Outstanding, received: bytes) -> bool:
        if outstanding.request is None:
            return False
        match = find_reply(received, outstanding.request)
        return match is not None and match.end == len(received)

    def _learn_slowest(self, received: bytes, now_ns: int) -> None:
        """A reply that comes after its timeout tells how slow this bus can be."""
        for unit, lost in list(self._lost.items()):
            if lost.request is None or find_reply(received, lost.request) is None:
                continue
            del self._lost[unit]
            self._statistics.late += 1
            lateness_ns = now_ns - lost.sent_ns
            self._statistics.slowest_reply_ms = max(
                self._statistics.slowest_reply_ms, lateness_ns / MS
            )
            if lateness_ns > self._slowest_ns:
                self._slowest_ns = min(SLOWEST_LIMIT_NS, round(lateness_ns * SLOWEST_MARGIN))
