"""Publish responses from bytes, without an object per field. Pure: bytes in, tuples out.

A change is the hot path of this driver. The client library builds about five objects per change
and converts each time stamp to a datetime; here a scalar costs one `struct` call. What is not a
scalar (arrays, structures) is cut out by the caller's ``other`` function, so nothing is lost.
Encoding: OPC 10000-6 §5.2 (built-in types) and OPC 10000-4 §5.14.5 (Publish).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

PUBLISH_RESPONSE: Final = 829
REPUBLISH_RESPONSE: Final = 835
DATA_CHANGE_NOTIFICATION: Final = 811
STATUS_CHANGE_NOTIFICATION: Final = 820

# (client handle, value, status code, source time ms or 0, server time ms or 0)
Change = tuple[int, Any, int, int, int]
Other = Callable[[bytes, int], tuple[Any, int]]  # bytes, offset of a Variant -> value, next offset

_FILETIME_EPOCH_MS: Final = 11_644_473_600_000  # 1601-01-01 to 1970-01-01
_EARLIEST_MS: Final = 946_684_800_000  # 2000-01-01: older stamps are unset clocks, not times

_U32 = struct.Struct("<I")
_I32 = struct.Struct("<i")
_I64 = struct.Struct("<q")
_HANDLE_MASK_TYPE = struct.Struct("<IBB")
# Built-in types 1 to 11: Boolean, SByte, Byte, Int16 ... UInt64, Float, Double.
_SCALARS: Final = {kind: struct.Struct(f"<{code}") for kind, code in enumerate("?bBhHiIqQfd", 1)}
_STRING: Final = 12


class WireError(ValueError):
    """Bytes that are not a publish response; ``handle`` where one value alone is to blame."""

    def __init__(self, what: str, handle: int | None = None) -> None:
        super().__init__(what)
        self.handle = handle


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """One publish response; ``changes`` is empty for a keep-alive."""

    subscription: int
    sequence: int
    publish_ms: int  # server's clock, 0 if unset
    more: bool
    keep_alive: bool
    changes: list[Change]
    ended: int | None  # status code of a StatusChangeNotification


def decode_publish(data: bytes, other: Other) -> Publish:
    """The publish response in ``data``; raises WireError if it is cut short or another message."""
    try:
        return _publish(data, other)
    except (struct.error, IndexError) as error:
        raise WireError(f"publish response of {len(data)} bytes is malformed: {error}") from error


def decode_republish(data: bytes, other: Other, subscription: int) -> Publish:
    """The notification that the server kept for us, as if it had been published now."""
    try:
        kind, at = _node_number(data, 0)
        if kind != REPUBLISH_RESPONSE:
            raise WireError(f"message {kind} where a republish ({REPUBLISH_RESPONSE}) was due")
        return _message(data, _after_header(data, at), other, subscription, False)
    except (struct.error, IndexError) as error:
        raise WireError(f"republish response of {len(data)} bytes is malformed: {error}") from error


def _publish(data: bytes, other: Other) -> Publish:
    kind, at = _node_number(data, 0)
    if kind != PUBLISH_RESPONSE:
        raise WireError(f"message {kind} where a publish response ({PUBLISH_RESPONSE}) was due")
    at = _after_header(data, at)
    subscription = _U32.unpack_from(data, at)[0]
    available = max(0, _I32.unpack_from(data, at + 4)[0])
    at += 8 + 4 * available
    return _message(data, at + 1, other, subscription, data[at] != 0)


def _message(data: bytes, at: int, other: Other, subscription: int, more: bool) -> Publish:
    sequence = _U32.unpack_from(data, at)[0]
    publish_ms = _milliseconds(_I64.unpack_from(data, at + 4)[0])
    notifications = _I32.unpack_from(data, at + 12)[0]
    at += 16
    changes: list[Change] = []
    ended: int | None = None
    for _ in range(max(0, notifications)):
        kind, at = _node_number(data, at)
        body = at + 5
        length = _I32.unpack_from(data, at + 1)[0]
        if data[at] != 1 or length < 0 or body + length > len(data):
            raise WireError(f"notification {kind} has no binary body")
        if kind == DATA_CHANGE_NOTIFICATION:
            read_changes(data, body, body + length, other, changes)
        elif kind == STATUS_CHANGE_NOTIFICATION:
            ended = _U32.unpack_from(data, body)[0]
        at = body + length
    return Publish(
        subscription=subscription,
        sequence=sequence,
        publish_ms=publish_ms,
        more=more,
        keep_alive=notifications <= 0,
        changes=changes,
        ended=ended,
    )


def read_changes(data: bytes, at: int, end: int, other: Other, into: list[Change]) -> None:
    """Append the changes of a DataChangeNotification body in ``data[at:end]`` to ``into``."""
    count = _I32.unpack_from(data, at)[0]
    at += 4
    head = _HANDLE_MASK_TYPE.unpack_from
    scalars = _SCALARS
    time = _I64.unpack_from
    for _ in range(max(0, count)):
        if at + 6 > end:
            # The last value may end right behind its mask: 5 bytes, no variant.
            handle, mask, kind = *struct.unpack_from("<IB", data, at), 0
        else:
            handle, mask, kind = head(data, at)
        at += 5
        value: Any = None
        status = source_ms = server_ms = 0
        if mask & 0x01:
            scalar = scalars.get(kind)
            if scalar is not None:
                value = scalar.unpack_from(data, at + 1)[0]
                at += 1 + scalar.size
            elif kind == _STRING:
                value, at = _string(data, at + 1)
            elif kind == 0:
                at += 1
            else:
                try:
                    value, at = other(data, at)
                except WireError as error:
                    raise WireError(str(error), handle) from error
        if mask & 0x02:
            status = _U32.unpack_from(data, at)[0]
            at += 4
        if mask & 0x04:
            source_ms = _milliseconds(time(data, at)[0])
            at += 8
        if mask & 0x10:
            at += 2
        if mask & 0x08:
            server_ms = _milliseconds(time(data, at)[0])
            at += 8
        if mask & 0x20:
            at += 2
        into.append((handle, value, status, source_ms, server_ms))
    if at > end:
        raise WireError("a value reaches beyond its notification")


def _milliseconds(filetime: int) -> int:
    unix_ms = filetime // 10_000 - _FILETIME_EPOCH_MS
    return unix_ms if unix_ms >= _EARLIEST_MS else 0


def _string(data: bytes, at: int) -> tuple[str | None, int]:
    length = _I32.unpack_from(data, at)[0]
    at += 4
    if length < 0:
        return None, at
    if at + length > len(data):
        raise WireError("a string reaches beyond the message")
    return data[at : at + length].decode("utf-8", "replace"), at + length


def _node_number(data: bytes, at: int) -> tuple[int, int]:
    encoding = data[at]
    if encoding == 0:
        return data[at + 1], at + 2
    if encoding == 1:
        return struct.unpack_from("<H", data, at + 2)[0], at + 4
    if encoding == 2:
        return _U32.unpack_from(data, at + 3)[0], at + 7
    raise WireError(f"type identifier with encoding {encoding:#04x} is not numeric")


def _after_header(data: bytes, at: int) -> int:
    at += 8 + 4 + 4  # timestamp, request handle, service result (checked by the session)
    at = _after_diagnostics(data, at)
    strings = _I32.unpack_from(data, at)[0]
    at += 4
    for _ in range(max(0, strings)):
        _, at = _string(data, at)
    _, at = _node_number(data, at)
    body = data[at]
    at += 1
    if body:
        at += 4 + max(0, _I32.unpack_from(data, at)[0])
    return at


def _after_diagnostics(data: bytes, at: int) -> int:
    mask = data[at]
    at += 1
    at += 4 * (mask & 0x0F).bit_count()  # symbolic id, namespace, locale, localized text
    if mask & 0x10:
        _, at = _string(data, at)
    if mask & 0x20:
        at += 4
    return _after_diagnostics(data, at) if mask & 0x40 else at
