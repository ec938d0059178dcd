"""The ledger's signed word on what it has committed: two lines, receipt and signature."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from agent.core import strict_json
from agent.core.chain import PublicKey, SigningKey
from agent.core.errors import ProofError
from agent.core.model import Receipt
from agent.core.payload import MAX_INTEGER, parse_signature_line, signature_line

SCHEMA = "tanshu/v1/receipt"
MAX_RECEIPT_BYTES = 1024 * 1024

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_EPOCH = re.compile(r"[0-9a-f]{32}")
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedReceipt:
    """A receipt and the ledger's clock when it was written (UTC milliseconds)."""

    receipt: Receipt
    time_ms: int


def encode_receipt(receipt: Receipt, *, time_ms: int, key: SigningKey) -> bytes:
    """The bytes of a receipt; ``hash`` is null while nothing of the chain is unbroken.

    Raises:
        ProofError: values that a receipt cannot hold.
    """
    value = {
        "schema": SCHEMA,
        "site": receipt.site,
        "gateway": receipt.gateway,
        "epoch": receipt.epoch,
        "through": receipt.through,
        "hash": receipt.hash or None,
        "held": [list(span) for span in receipt.held],
        "time": time_ms,
    }
    _check(value)
    line = strict_json.encode(value)
    return b"\n".join([line, signature_line(SCHEMA, sha256(line).digest(), key), b""])


def decode_receipt(data: bytes, key: PublicKey) -> TimedReceipt:
    """Read and verify a receipt against the pinned key of the ledger.

    Raises:
        ProofError: not a receipt, or not signed by that key.
    """
    if len(data) > MAX_RECEIPT_BYTES:
        raise ProofError(f"a receipt of {len(data)} bytes")
    lines = data.split(b"\n")
    if len(lines) != 3 or lines[2]:
        raise ProofError("a receipt has exactly two lines")
    key_id, signature = parse_signature_line(lines[1])
    if key_id != key.id:
        raise ProofError(
            f"the receipt is signed by key {key_id}, not by {key.id}",
            hint="ledger_key of the target must be the key that the ledger prints at start",
        )
    key.verify(SCHEMA, sha256(lines[0]).digest(), signature)
    return _check(strict_json.parse(lines[0]))


def _check(value: Any) -> TimedReceipt:
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise ProofError(f"the first line of a receipt is an object with schema {SCHEMA}")
    for key, pattern in (("site", _ID), ("gateway", _ID), ("epoch", _EPOCH)):
        if not isinstance(value.get(key), str) or not pattern.fullmatch(value[key]):
            raise ProofError(f"{key} of a receipt is not of the form {pattern.pattern}")
    through, digest, time_ms = value.get("through"), value.get("hash"), value.get("time")
    if type(through) is not int or not 0 <= through <= MAX_INTEGER or type(time_ms) is not int:
        raise ProofError("through and time of a receipt are whole numbers")
    if (through == 0) != (digest is None):
        raise ProofError("hash of a receipt is null when through is 0 and only then")
    if digest is not None and (not isinstance(digest, str) or not _HASH.fullmatch(digest)):
        raise ProofError("hash of a receipt has 64 hex digits")
    return TimedReceipt(
        receipt=Receipt(
            site=value["site"],
            gateway=value["gateway"],
            epoch=value["epoch"],
            through=through,
            hash=digest or "",
            held=_spans(value.get("held"), above=through),
        ),
        time_ms=time_ms,
    )


def _spans(value: Any, *, above: int) -> tuple[tuple[int, int], ...]:
    if not isinstance(value, list):
        raise ProofError("held of a receipt is a list")
    spans: list[tuple[int, int]] = []
    for span in value:
        if not isinstance(span, list) or len(span) != 2 or any(type(n) is not int for n in span):
            raise ProofError("held of a receipt holds pairs of whole numbers")
        first, last = span
        if not above < first <= last <= MAX_INTEGER:
            raise ProofError("held of a receipt is not in ascending order above through")
        spans.append((first, last))
        above = last
    return tuple(spans)


def spans_of(numbers: list[int]) -> tuple[tuple[int, int], ...]:
    """Ascending numbers as closed spans.

    Example:
        >>> spans_of([3, 4, 7])
        ((3, 4), (7, 7))
    """
    spans: list[tuple[int, int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], number)
        else:
            spans.append((number, number))
    return tuple(spans)
