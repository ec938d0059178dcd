"""What a Modbus slave answers to a request, whatever carries it."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from drivers.virtual.faults import Faults
from drivers.virtual.meter import Meter

ILLEGAL_FUNCTION = 1
ILLEGAL_ADDRESS = 2
ILLEGAL_VALUE = 3
MOST_REGISTERS = 125


def exception(function: int, code: int) -> bytes:
    """An exception response."""
    return bytes((function | 0x80, code))


def answer(request: bytes, meter: Meter, t_ms: float) -> bytes:
    """Answer a request (function code and data) with the registers of a moment."""
    function = request[0]
    if function not in meter.model.functions:
        return exception(function, ILLEGAL_FUNCTION)
    if len(request) != 5:
        return exception(function, ILLEGAL_VALUE)
    address, count = struct.unpack(">HH", request[1:])
    if not 1 <= count <= MOST_REGISTERS:
        return exception(function, ILLEGAL_VALUE)
    wanted = range(address, address + count)
    words = meter.registers(t_ms, wanted).words
    if any(register not in words for register in wanted):
        return exception(function, ILLEGAL_ADDRESS)
    body = b"".join(words[register].to_bytes(2, "big") for register in wanted)
    return bytes((function, len(body))) + body


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What a slave sends: under which unit, how much later than usual and what happens to it."""

    unit: int
    pdu: bytes
    delay_s: float = 0.0
    noisy: bool = False
    truncated: bool = False


def respond(
    request: bytes, meter: Meter, t_ms: float, *, faults: Faults, units: tuple[int, ...]
) -> Response | None:
    """The response of a slave with its faults; None if it stays silent.

    ``units`` are the addresses on the bus, one of which a wrong reply carries.
    """
    if faults.active("dead", meter.id) is not None:
        return None
    pdu = answer(request, meter, t_ms)
    late = faults.strikes("late", meter.id)
    unit = meter.unit
    if faults.strikes("wrong-unit", meter.id) is not None:
        unit = _other(unit, units, faults)
    return Response(
        unit=unit,
        pdu=pdu,
        delay_s=late.amount / 1000.0 if late is not None else 0.0,
        noisy=faults.strikes("noise", meter.id) is not None,
        truncated=faults.strikes("truncated", meter.id) is not None,
    )


def _other(unit: int, units: tuple[int, ...], faults: Faults) -> int:
    others = [other for other in units if other != unit] or [unit % 247 + 1]
    return others[faults.below(len(others))]
