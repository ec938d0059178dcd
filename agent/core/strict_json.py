"""JSON as evidence needs it: no duplicate keys, no NaN, no infinities, one compact spelling."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

from agent.core.errors import ProofError


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ProofError("a key stands twice in one JSON object")
    return members


def _finite(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ProofError(f"the number {text[:40]} is too large for a 64-bit float")
    return value


def _constant(text: str) -> float:
    raise ProofError(f"{text} is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_members, parse_float=_finite, parse_constant=_constant
)
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def parse(line: bytes) -> Any:
    """The value of one UTF-8 JSON text.

    Raises:
        ProofError: not UTF-8, not JSON, a duplicate key, NaN, an infinity, half a surrogate pair,
            or nested too deeply.
    """
    try:
        value = _DECODER.decode(line.decode("utf-8"))
        if b"\\u" in line:
            # Only an escape can name half a surrogate pair, which no database stores as text.
            _ENCODER.encode(value).encode("utf-8")
        return value
    except (ValueError, RecursionError) as fault:
        raise ProofError(f"not a JSON line: {fault}") from fault


def encode(value: Any) -> bytes:
    """The compact UTF-8 form of a value; floats by their shortest exact spelling.

    Raises:
        ProofError: the value holds NaN, an infinity or text that is not Unicode.
    """
    try:
        return _ENCODER.encode(value).encode("utf-8")
    except (ValueError, TypeError) as fault:
        raise ProofError(f"cannot be written as JSON: {fault}") from fault
