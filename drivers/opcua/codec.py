"""The client library's codec where this driver has none of its own, with plain values out."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import variant_from_binary

from drivers.opcua import wire


def decode_other(data: bytes, at: int) -> tuple[Any, int]:
    """A variant that is no scalar, as plain text where it has one; the codec's job."""
    buffer = Buffer(data, at)
    try:
        value = variant_from_binary(buffer).Value
    except (ua.UaError, ValueError, TypeError, KeyError) as error:
        raise wire.WireError(f"value at byte {at} cannot be decoded: {error}") from error
    return plain(value), buffer.cur_pos


def plain(value: Any) -> Any:
    """The text in a LocalizedText or QualifiedName, ISO 8601 for times, hex for bytes."""
    if isinstance(value, ua.LocalizedText):
        return value.Text
    if isinstance(value, ua.QualifiedName):
        return value.Name
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return value


def milliseconds(moment: datetime | None) -> int:
    """UTC milliseconds of a time of the client library (aware, or naive and meant as UTC)."""
    if moment is None:
        return 0
    naive = moment.replace(tzinfo=None)
    return round((naive - datetime(1970, 1, 1)).total_seconds() * 1000)  # noqa: DTZ001
