"""RTU frames: requests built by pymodbus, replies matched to the request that caused them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache

from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
)

from agent.core.errors import DeviceRefused, UsageError

REQUEST_CLASSES = {3: ReadHoldingRegistersRequest, 4: ReadInputRegistersRequest}
EXCEPTION_SIZE = 5
SHORTEST_FRAME = 4
CRC_SIZE = 2

EXCEPTIONS = {
    1: "ILLEGAL FUNCTION",
    2: "ILLEGAL DATA ADDRESS",
    3: "ILLEGAL DATA VALUE",
    4: "SERVER DEVICE FAILURE",
    5: "ACKNOWLEDGE",
    6: "SERVER DEVICE BUSY",
    8: "MEMORY PARITY ERROR",
    10: "GATEWAY PATH UNAVAILABLE",
    11: "GATEWAY TARGET DEVICE FAILED TO RESPOND",
}
ADDRESS_REFUSALS = frozenset({2, 3})
"""Exceptions that speak of the registers asked for, not of the device."""

_framer = FramerRTU(DecodePDU(False))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRequest:
    """One read request, and what a reply to it must begin with."""

    unit: int
    function: int
    address: int
    count: int
    frame: bytes
    reply_header: bytes
    refusal_header: bytes
    reply_size: int
    body: struct.Struct


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A reply found among received bytes; ``code`` is set when the device refused."""

    start: int
    end: int
    registers: tuple[int, ...]
    code: int = 0


@lru_cache(maxsize=1024)
def read_request(unit: int, function: int, address: int, count: int) -> ReadRequest:
    """The request for ``count`` registers from a wire address, built once and kept."""
    request_class = REQUEST_CLASSES.get(function)
    if request_class is None:
        raise UsageError(f"function {function} does not read registers", hint="3 or 4")
    try:
        pdu = request_class(dev_id=unit, address=address, count=count)
        frame = _framer.buildFrame(pdu)
    except ValueError as fault:
        raise UsageError(f"no such read request: {fault}", hint="1…125 registers") from fault
    return ReadRequest(
        unit=unit,
        function=function,
        address=address,
        count=count,
        frame=frame,
        reply_header=bytes((unit, function, 2 * count)),
        refusal_header=bytes((unit, function | 0x80)),
        reply_size=5 + 2 * count,
        body=struct.Struct(f">{count}H"),
    )


def crc_holds(frame: bytes) -> bool:
    """Whether the last two bytes are the CRC of the rest."""
    check = (frame[-2] << 8) | frame[-1]
    return bool(FramerRTU.compute_CRC(frame[:-CRC_SIZE]) == check)


def is_damaged_reply(received: bytes, request: ReadRequest) -> bool:
    """Whether these bytes are the reply itself with a bit turned over: header and size are right.

    Such a reply will not come a second time, so nothing is left to wait for.
    """
    return len(received) == request.reply_size and received.startswith(request.reply_header)


def find_reply(received: bytes, request: ReadRequest) -> Match | None:
    """The reply to a request among received bytes: right unit, function, byte count and CRC.

    Bytes before it (noise of the line driver, another unit's frame) are passed over. None when
    there is no complete one.
    """
    size = request.reply_size
    start = received.find(request.reply_header)
    while start >= 0:
        end = start + size
        frame = received[start:end]
        if len(frame) == size and crc_holds(frame):
            return Match(start=start, end=end, registers=request.body.unpack_from(frame, 3))
        start = received.find(request.reply_header, start + 1)
    start = received.find(request.refusal_header)
    while start >= 0:
        end = start + EXCEPTION_SIZE
        frame = received[start:end]
        if len(frame) == EXCEPTION_SIZE and crc_holds(frame):
            return Match(start=start, end=end, registers=(), code=frame[2])
        start = received.find(request.refusal_header, start + 1)
    return None


def refusal(code: int, where: str) -> DeviceRefused:
    """The error for a Modbus exception code."""
    name = EXCEPTIONS.get(code, "unknown exception")
    hint = (
        "the device has no such register: check template, variant and firmware"
        if code in ADDRESS_REFUSALS
        else "see the device's manual"
    )
    return DeviceRefused(f"refused with exception {code} {name}", code=code, where=where, hint=hint)


def explain(received: bytes, request: ReadRequest) -> str:
    """Why received bytes are no reply to the request, for the error message."""
    if received.startswith(request.frame):
        return "the request came back: the adapter echoes what it sends"
    if len(received) < SHORTEST_FRAME:
        return f"only {len(received)} bytes came"
    unit, function = received[0], received[1]
    complete = len(received) >= request.reply_size
    if unit != request.unit:
        whole = crc_holds(received[: request.reply_size]) if complete else crc_holds(received)
        kind = "a reply of" if whole else "damaged bytes, perhaps of"
        return f"{kind} unit {unit} instead of {request.unit}"
    if function & 0x7F != request.function:
        return f"function {function} instead of {request.function}"
    if received[2] != 2 * request.count and not function & 0x80:
        return f"{received[2]} data bytes instead of {2 * request.count}"
    if complete:
        return "CRC does not match"
    return f"cut off after {len(received)} of {request.reply_size} bytes"
