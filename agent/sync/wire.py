"""A sealed batch as MQTT messages: compressed or not, whole or in parts; and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import zstandard

from agent.core.errors import ProofError, SyncError
from agent.core.payload import MAX_BATCH_BYTES, Link

ENCODING = "zstd"
LEVEL = 9
MAX_PARTS = 20_000
SMALLEST_PART = 64
_FIXED_BYTES = 1 + 4 + 2 + 2 + 4  # type, length, topic length, packet id, property length
_PAIR_BYTES = 1 + 2 + 2  # identifier of a user property and the lengths of its two strings

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """One MQTT message of a batch and its user properties."""

    payload: bytes
    user: Pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Which piece of which batch a message is; ``size`` is the length of the whole in bytes."""

    batch: str  # «epoch/seq»
    number: int  # from 1
    parts: int
    size: int


def packets(
    data: bytes, *, link: Link, topic: str, compress: bool, limit: int | None
) -> tuple[Packet, ...]:
    """The messages that carry a batch, none of them larger than ``limit`` bytes on the wire.

    Raises:
        SyncError: the limit leaves no room for data.
    """
    base: Pairs = (("schema", "tanshu/v1/batch"), ("batch", f"{link.epoch}/{link.seq}"))
    if compress:
        data = zstandard.ZstdCompressor(level=LEVEL).compress(data)
        base = (*base, ("content-encoding", ENCODING))
    if limit is None or len(data) + overhead(topic, base) <= limit:
        return (Packet(payload=data, user=base),)
    most = str(MAX_PARTS)
    widest = (*base, ("part", most), ("parts", most), ("size", str(len(data))))
    room = limit - overhead(topic, widest)
    if room < SMALLEST_PART or len(data) > room * MAX_PARTS:
        raise SyncError(
            f"{len(data)} bytes do not fit into messages of {limit} bytes",
            where=f"batch {link.epoch[:8]}/{link.seq}",
            hint="raise the packet limit of the broker",
        )
    parts = -(-len(data) // room)
    step = -(-len(data) // parts)
    return tuple(
        Packet(
            payload=data[number * step : (number + 1) * step],
            user=(
                *base,
                ("part", str(number + 1)),
                ("parts", str(parts)),
                ("size", str(len(data))),
            ),
        )
        for number in range(parts)
    )


def overhead(topic: str, user: Pairs) -> int:
    """Bytes of a PUBLISH packet beside its payload (MQTT 5 section 3.3), rounded up."""
    words = sum(_PAIR_BYTES + len(key.encode()) + len(value.encode()) for key, value in user)
    return _FIXED_BYTES + len(topic.encode()) + words


def part_of(user: Mapping[str, str]) -> Part | None:
    """Which part a message is, or ``None`` for a whole batch.

    Raises:
        ProofError: the part's numbers make no sense.
    """
    if "parts" not in user:
        return None
    try:
        part = Part(
            batch=user["batch"],
            number=int(user["part"]),
            parts=int(user["parts"]),
            size=int(user["size"]),
        )
    except (KeyError, ValueError) as fault:
        raise ProofError(f"a part without batch, part, parts and size: {fault}") from fault
    if not (1 <= part.number <= part.parts <= MAX_PARTS and 0 < part.size <= MAX_BATCH_BYTES):
        raise ProofError(f"part {part.number} of {part.parts} with {part.size} bytes in all")
    if len(part.batch) > 64:
        raise ProofError("a part with an overlong batch name")
    return part


def join(part: Part, pieces: Sequence[bytes]) -> bytes:
    """The whole that was split, from all its pieces in order.

    Raises:
        ProofError: the pieces are not as many or not as long as they should be.
    """
    whole = b"".join(pieces)
    if len(pieces) != part.parts or len(whole) != part.size:
        raise ProofError(f"the parts of batch {part.batch} do not make the whole")
    return whole


def decode_body(data: bytes, user: Mapping[str, str]) -> bytes:
    """The batch bytes of a whole message body.

    Raises:
        ProofError: an unknown encoding, broken compression, or more bytes than a batch may have.
    """
    encoding = user.get("content-encoding")
    if encoding is None:
        return data
    if encoding != ENCODING:
        raise ProofError(f"content-encoding {encoding[:40]!r} is not known")
    try:
        # The announced size is checked first: a few bytes may announce gigabytes.
        if not 0 <= zstandard.frame_content_size(data) <= MAX_BATCH_BYTES:
            raise ProofError("the compressed batch announces no size or too large a one")
        return zstandard.ZstdDecompressor().decompress(data, allow_extra_data=False)
    except zstandard.ZstdError as fault:
        raise ProofError(f"the compressed batch is damaged: {fault}") from fault
