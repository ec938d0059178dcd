"""Node addresses as people write them, and the point table of one bus. No client library here."""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from agent.config.site import MeterPlan
from agent.core.model import PointRole

MAXIMUM_UINT16 = 0xFFFF
MAXIMUM_UINT32 = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAddress:
    """A node by namespace and identifier; the URI, where given, outlives a server restart."""

    identifier: int | str | uuid.UUID | bytes
    namespace_uri: str | None = None
    namespace_index: int = 0


def parse_node(text: str) -> NodeAddress:
    """The address written in the notation of OPC 10000-6 §5.3.1.10-11.

    ``nsu=URI;`` or ``ns=INDEX;`` (neither: namespace 0), then ``i=`` number, ``s=`` string,
    ``g=`` GUID or ``b=`` base64 bytes. A ``;`` or ``%`` inside a URI is written ``%3B``, ``%25``.
    Raises ValueError with the reason.

    >>> parse_node("nsu=urn:dcs;s=F103.Load").identifier
    'F103.Load'
    """
    uri: str | None = None
    index = 0
    rest = text.strip()
    if rest.startswith("nsu="):
        uri, separator, rest = rest[4:].partition(";")
        if not separator or not uri:
            raise ValueError("nsu= needs a namespace URI and then ';'")
        uri = uri.replace("%3B", ";").replace("%3b", ";").replace("%25", "%")
    elif rest.startswith("ns="):
        number, separator, rest = rest[3:].partition(";")
        if not separator:
            raise ValueError("ns= needs a namespace index and then ';'")
        index = _unsigned(number, MAXIMUM_UINT16)
    return NodeAddress(identifier=_identifier(rest), namespace_uri=uri, namespace_index=index)


def _identifier(text: str) -> int | str | uuid.UUID | bytes:
    kind, separator, value = text.partition("=")
    if not separator or kind not in {"i", "s", "g", "b"}:
        raise ValueError("the identifier must be i=number, s=string, g=GUID or b=base64")
    if not value:
        raise ValueError(f"the identifier after {kind}= is empty")
    if kind == "i":
        return _unsigned(value, MAXIMUM_UINT32)
    if kind == "s":
        return value
    if kind == "g":
        return uuid.UUID(value)
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ValueError(f"b= is not base64: {error}") from error


def _unsigned(text: str, maximum: int) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > maximum:
        raise ValueError(f"{text!r} is not a number from 0 to {maximum}")
    return int(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePoint:
    """One point of the bus; its place in the table is its client handle on the wire."""

    id: str  # «meter.point»
    role: PointRole
    scale: float
    period_ms: int
    address: NodeAddress | None
    fault: str = ""  # why there is no address


def node_points(meters: Sequence[MeterPlan]) -> tuple[NodePoint, ...]:
    """The points of all meters; an unreadable node text stays in the table with its fault."""
    table: list[NodePoint] = []
    for meter in meters:
        period_ms = max(1, round(meter.section.period_s * 1000))
        for point in meter.points:
            address: NodeAddress | None = None
            fault = ""
            try:
                address = parse_node(point.node or "")
            except ValueError as error:
                fault = str(error)
            table.append(
                NodePoint(
                    id=f"{meter.id}.{point.id}",
                    role=point.role,
                    scale=point.scale,
                    period_ms=period_ms,
                    address=address,
                    fault=fault,
                )
            )
    return tuple(table)
