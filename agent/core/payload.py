"""The sync batch as bytes: what a gateway seals once and everyone verifies as it is.

A batch is UTF-8 lines, each ended by a line feed: a header object, one JSON array per record
(kind, then the values in the header's column order), and a signature object. What is signed are
bytes, not their meaning: a leaf of the Merkle tree is a record line without its line feed, the
batch hash is SHA-256 of the header line, and the signature covers ``tanshu/v1/batch``, a zero
byte and that hash. Nothing is ever encoded again to be verified.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from agent.core import strict_json
from agent.core.chain import (
    PublicKey,
    SigningKey,
    decode_base64,
    encode_base64,
    merkle_root,
)
from agent.core.errors import ProofError
from agent.core.model import Emission, Window
from agent.core.recalculation import BulkRecalculation
from agent.core.record import COLUMNS, Record, Unknown, decode_record, encode_record, kind_of

SCHEMA = "tanshu/v1/batch"
MAX_BATCH_BYTES = 16 * 1024 * 1024
MAX_RECORDS = 200_000
MAX_INTEGER = 2**63 - 1

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_KIND = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_EPOCH = re.compile(r"[0-9a-f]{32}")
_HASH = re.compile(r"[0-9a-f]{64}")
_KEY_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One batch of a chain, named by what the next one must repeat."""

    epoch: str
    seq: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The first line of a batch.

    ``prev`` is the hash of the batch before (``None`` for seq 1), ``former`` the last receipted
    batch of the epoch before (only in seq 1), ``window_from_ms``/``window_to_ms`` the span of the
    windows and emissions inside, ``columns`` the column names of each kind of record.
    """

    site: str
    gateway: str
    epoch: str
    seq: int
    prev: str | None
    former: Link | None
    root: str
    count: int
    window_from_ms: int | None
    window_to_ms: int | None
    columns: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch taken apart, not yet verified; ``lines`` are the records' exact bytes."""

    header: Header
    hash: str
    lines: tuple[bytes, ...]
    key_id: str
    signature: bytes

    @property
    def link(self) -> Link:
        return Link(epoch=self.header.epoch, seq=self.header.seq, hash=self.hash)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedBatch:
    """A batch ready to be stored and sent; ``data`` never changes again."""

    link: Link
    data: bytes
    count: int
    window_from_ms: int | None
    window_to_ms: int | None


def seal(
    records: Sequence[Record],
    *,
    site: str,
    gateway: str,
    epoch: str,
    previous: Link | None,
    key: SigningKey,
    former: Link | None = None,
) -> SealedBatch:
    """Seal records into the next batch of a chain.

    ``previous`` is the batch before in the same epoch, or ``None`` for the first; ``former`` is
    the last receipted batch of the epoch before and may be given only with the first.

    Raises:
        ProofError: a value that JSON cannot hold, a previous batch of another epoch, or a
            ``former`` on a batch that is not the first.
    """
    if previous is not None and previous.epoch != epoch:
        raise ProofError(f"batch {previous.seq} belongs to epoch {previous.epoch}, not {epoch}")
    if previous is not None and former is not None:
        raise ProofError("only the first batch of an epoch names the former epoch")
    lines = [encode_record(record) for record in records]
    span = _span(records)
    kinds = {kind_of(record) for record in records}
    seq = previous.seq + 1 if previous else 1
    header = {
        "schema": SCHEMA,
        "site": site,
        "gateway": gateway,
        "epoch": epoch,
        "seq": seq,
        "prev": previous.hash if previous else None,
        "former": (
            {"epoch": former.epoch, "seq": former.seq, "hash": former.hash} if former else None
        ),
        "root": merkle_root(lines).hex(),
        "count": len(lines),
        "window_from": span[0],
        "window_to": span[1],
        "columns": {kind: list(names) for kind, names in COLUMNS.items() if kind in kinds},
    }
    _check_header(header)
    line = strict_json.encode(header)
    digest = sha256(line).digest()
    data = b"\n".join([line, *lines, signature_line(SCHEMA, digest, key), b""])
    if len(data) > MAX_BATCH_BYTES or len(lines) > MAX_RECORDS:
        raise ProofError(
            f"{len(lines)} records make {len(data)} bytes",
            where=f"batch {seq}",
            hint=f"seal at most {MAX_RECORDS} records or {MAX_BATCH_BYTES} bytes at once",
        )
    return SealedBatch(
        link=Link(epoch=epoch, seq=seq, hash=digest.hex()),
        data=data,
        count=len(lines),
        window_from_ms=span[0],
        window_to_ms=span[1],
    )


def parse_batch(data: bytes) -> Batch:
    """Take a batch apart and check its structure, but no hash and no signature.

    Raises:
        ProofError: too large, a line too few or too many, or a header or signature line that
            breaks the format.
    """
    if len(data) > MAX_BATCH_BYTES:
        raise ProofError(f"a batch of {len(data)} bytes; at most {MAX_BATCH_BYTES} are allowed")
    lines = data.split(b"\n")
    if len(lines) < 3 or lines[-1]:
        raise ProofError("a batch ends with a line feed and has at least two lines")
    header = _check_header(strict_json.parse(lines[0]))
    records = tuple(lines[1:-2])
    if len(records) != header.count:
        raise ProofError(
            f"{len(records)} record lines, the header says {header.count}", where=name(header)
        )
    key_id, signature = parse_signature_line(lines[-2])
    return Batch(
        header=header,
        hash=sha256(lines[0]).hexdigest(),
        lines=records,
        key_id=key_id,
        signature=signature,
    )


def verify_batch(batch: Batch, key: PublicKey) -> None:
    """Check the Merkle root of a batch and its signature.

    Raises:
        ProofError: the records are not those that were sealed, or the key did not sign them.
    """
    if batch.key_id != key.id:
        raise ProofError(f"signed by key {batch.key_id}, not {key.id}", where=name(batch.header))
    if merkle_root(batch.lines).hex() != batch.header.root:
        raise ProofError(
            "the records do not have the Merkle root of the header", where=name(batch.header)
        )
    key.verify(SCHEMA, bytes.fromhex(batch.hash), batch.signature)


def check_follows(batch: Batch, previous: Link | None) -> None:
    """Check that a batch is the next one after ``previous`` (``None``: the first of its epoch).

    Raises:
        ProofError: another epoch, a gap in the sequence or another hash of the batch before.
    """
    header = batch.header
    expected = Link(epoch=header.epoch, seq=0, hash="") if previous is None else previous
    if header.epoch != expected.epoch or header.seq != expected.seq + 1:
        raise ProofError(
            f"follows {expected.epoch}/{expected.seq}, so it cannot be next", where=name(header)
        )
    if (header.prev or "") != expected.hash:
        raise ProofError("names another batch before it than the chain has", where=name(header))


def decode_records(batch: Batch) -> tuple[Record | Unknown, ...]:
    """The records of a batch; kinds this version does not know are kept as their exact bytes.

    Raises:
        ProofError: a record that is not an array of the header's columns, or a value of the
            wrong type.
    """
    decoded: list[Record | Unknown] = []
    for number, line in enumerate(batch.lines, start=1):
        try:
            decoded.append(decode_record(line, batch.header.columns))
        except ProofError as fault:
            raise ProofError(f"record {number}: {fault.what}", where=name(batch.header)) from fault
    return tuple(decoded)


def name(header: Header) -> str:
    """How messages name a batch: gateway, epoch and sequence number."""
    return f"{header.site}/{header.gateway} batch {header.epoch[:8]}/{header.seq}"


def signature_line(context: str, digest: bytes, key: SigningKey) -> bytes:
    """The last line of a signed message."""
    return strict_json.encode(
        {"key": key.public.id, "sig": encode_base64(key.sign(context, digest))}
    )


def parse_signature_line(line: bytes) -> tuple[str, bytes]:
    """Key id and signature of a signature line, which has exactly one spelling.

    Raises:
        ProofError: anything else than the line that ``signature_line`` writes.
    """
    value = strict_json.parse(line)
    if not isinstance(value, dict) or list(value) != ["key", "sig"]:
        raise ProofError("a signature line is an object of key and sig")
    key_id, text = value["key"], value["sig"]
    if not isinstance(key_id, str) or not _KEY_ID.fullmatch(key_id) or not isinstance(text, str):
        raise ProofError("a signature line holds a key id of 16 hex digits and Base64")
    signature = decode_base64(text)
    # The signature line is covered by no hash, so it must not have a second spelling.
    if len(signature) != 64 or strict_json.encode(value) != line:
        raise ProofError("the signature line is not in its canonical spelling")
    return key_id, signature


def _span(records: Iterable[Record]) -> tuple[int | None, int | None]:
    spans = Window | Emission | BulkRecalculation
    timed = [record for record in records if isinstance(record, spans)]
    if not timed:
        return None, None
    return min(record.start_ms for record in timed), max(record.end_ms for record in timed)


def _check_header(value: Any) -> Header:
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise ProofError(f"the first line of a batch is an object with schema {SCHEMA}")
    seq = _integer(value, "seq", least=1)
    prev = None if value.get("prev", "") is None else _text(value, "prev", _HASH)
    if (seq == 1) != (prev is None):
        raise ProofError("prev is null in the first batch of an epoch and only there")
    former = _former(value.get("former"))
    if former is not None and seq != 1:
        raise ProofError("only the first batch of an epoch names the former epoch")
    return Header(
        site=_text(value, "site", _ID),
        gateway=_text(value, "gateway", _ID),
        epoch=_text(value, "epoch", _EPOCH),
        seq=seq,
        prev=prev,
        former=former,
        root=_text(value, "root", _HASH),
        count=_integer(value, "count", least=0),
        window_from_ms=_time(value, "window_from"),
        window_to_ms=_time(value, "window_to"),
        columns=_columns(value.get("columns")),
    )


def _former(value: Any) -> Link | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ProofError("former is null or an object")
    return Link(
        epoch=_text(value, "epoch", _EPOCH),
        seq=_integer(value, "seq", least=1),
        hash=_text(value, "hash", _HASH),
    )


def _columns(value: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, dict):
        raise ProofError("columns is an object of kinds")
    columns: dict[str, tuple[str, ...]] = {}
    for kind, names in value.items():
        if not _KIND.fullmatch(kind) or not isinstance(names, list):
            raise ProofError(f"columns: {kind[:40]!r} is not a kind with a list of names")
        if not all(isinstance(column, str) for column in names) or len({*names}) != len(names):
            raise ProofError(f"columns: the names of {kind} are not distinct words")
        columns[kind] = tuple(names)
    return columns


def _text(value: Mapping[str, Any], key: str, pattern: re.Pattern[str]) -> str:
    text = value.get(key)
    if not isinstance(text, str) or not pattern.fullmatch(text):
        raise ProofError(f"{key} is missing or not of the form {pattern.pattern}")
    return text


def _integer(value: Mapping[str, Any], key: str, *, least: int) -> int:
    number = value.get(key)
    if type(number) is not int or not least <= number <= MAX_INTEGER:
        raise ProofError(f"{key} is missing or not a whole number from {least}")
    return number


def _time(value: Mapping[str, Any], key: str) -> int | None:
    if key in value and value[key] is None:
        return None
    return _integer(value, key, least=-MAX_INTEGER)
