"""How long a serial bus needs: frames, silences and cycles, computed before they are tried.

Source: Modbus over Serial Line, Specification and Implementation Guide V1.02, §2.5.1.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

REQUEST_CHARACTERS = 8  # unit, function, address, count, CRC
REPLY_OVERHEAD_CHARACTERS = 5  # unit, function, byte count, CRC
SILENCE_CHARACTERS = 3.5
FAST_BAUD = 19200
FAST_SILENCE_S = 0.00175
DEFAULT_TURNAROUND_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialLine:
    """Speed and character format of a serial line; ``parity`` is none, even or odd."""

    baud: int
    parity: str = "even"
    stop_bits: int = 1

    @property
    def bits_per_character(self) -> int:
        """Start bit, 8 data bits, parity if any, stop bits: 10 for 8N1, 11 for 8E1 and 8N2."""
        return 1 + 8 + (0 if self.parity == "none" else 1) + self.stop_bits

    @property
    def character_s(self) -> float:
        """Seconds per character: 1.146 ms at 9600 baud 8E1."""
        return self.bits_per_character / self.baud

    @property
    def silence_s(self) -> float:
        """The silence between frames (t3.5): 3.5 characters, 1.75 ms above 19200 baud."""
        if self.baud > FAST_BAUD:
            return FAST_SILENCE_S
        return SILENCE_CHARACTERS * self.character_s


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterDemand:
    """What one meter asks of its bus: registers per request, how often, how long to wait."""

    meter: str
    counts: tuple[int, ...]
    period_s: float
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BusBudget:
    """The time a bus needs.

    ``cycle_s``: every meter asked once, all answering. ``utilisation``: share of the time that
    the line is busy with every meter at its own period; above 1 the configuration cannot work.
    ``one_dead_cycle_s``: the same cycle when the most expensive meter does not answer.
    ``all_dead_cycle_s``: when none does. ``period_s``: the shortest period asked for.
    """

    cycle_s: float
    period_s: float
    utilisation: float
    one_dead_cycle_s: float
    all_dead_cycle_s: float
    demand_s: tuple[tuple[str, float], ...]  # meter, seconds per cycle

    @property
    def fits(self) -> bool:
        return self.utilisation <= 1.0


def request_s(line: SerialLine) -> float:
    """Seconds a read request takes on the wire: 8 characters."""
    return REQUEST_CHARACTERS * line.character_s


def reply_s(line: SerialLine, count: int) -> float:
    """Seconds a reply with ``count`` registers takes on the wire: 5 + 2·count characters."""
    return (REPLY_OVERHEAD_CHARACTERS + 2 * count) * line.character_s


def exchange_s(line: SerialLine, count: int, turnaround_s: float = DEFAULT_TURNAROUND_S) -> float:
    """Seconds from one request to the next: silence, request, silence, turnaround, reply.

    ``turnaround_s`` is what the slave takes beyond the silence by which it sees the end of the
    request.

    Example: 10 registers at 9600 baud 8N1 without turnaround: (8 + 25) · 1.0417 ms + 2 · 3.646 ms
    = 41.67 ms, hence 24.0 exchanges per second.
    """
    return request_s(line) + reply_s(line, count) + 2 * line.silence_s + turnaround_s


def exchanges_per_s_limit(line: SerialLine, count: int) -> float:
    """The most exchanges per second that the wire allows, with a slave that needs no time.

    Example: 100 registers at 115200 baud 8N1 give 45.5 per second.
    """
    return 1.0 / exchange_s(line, count, turnaround_s=0.0)


def _dead_s(line: SerialLine, demand: MeterDemand, slowest_reply_s: float) -> float:
    # After its first request fails the meter is left alone for this cycle, and the bus stays
    # quiet until a reply to that request can no longer come.
    longest = max(demand.timeout_s, slowest_reply_s)
    count = demand.counts[0] if demand.counts else 0
    return line.silence_s + request_s(line) + reply_s(line, count) + longest


def bus_budget(
    line: SerialLine,
    demands: Sequence[MeterDemand],
    *,
    slowest_reply_s: float,
    turnaround_s: float = DEFAULT_TURNAROUND_S,
) -> BusBudget:
    """The time a bus needs per cycle, healthy and at its worst.

    Parameters: the line, one demand per meter, ``slowest_reply_s`` how late a reply may come
    (the bus stays quiet that long after a timeout), ``turnaround_s`` typical time of a slave.

    Example: at 9600 baud 8E1 a meter with requests of 54 and 2 registers and 10 ms turnaround
    needs 156.7 + 37.5 = 194.2 ms; five of them fit a period of 1 s, six do not.
    """
    per_meter = [
        (demand, sum(exchange_s(line, count, turnaround_s) for count in demand.counts))
        for demand in demands
    ]
    cycle = sum(seconds for _, seconds in per_meter)
    dead = [_dead_s(line, demand, slowest_reply_s) for demand, _ in per_meter]
    extra = [max(0.0, late - healthy) for late, (_, healthy) in zip(dead, per_meter, strict=True)]
    return BusBudget(
        cycle_s=cycle,
        period_s=min((demand.period_s for demand in demands), default=0.0),
        utilisation=sum(seconds / demand.period_s for demand, seconds in per_meter),
        one_dead_cycle_s=cycle + max(extra, default=0.0),
        all_dead_cycle_s=sum(dead),
        demand_s=tuple((demand.meter, seconds) for demand, seconds in per_meter),
    )
