"""Single values of a record's JSON array, read strictly: wrong types are faults, not guesses."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from agent.core.errors import ProofError

W = TypeVar("W", bound=StrEnum)


def float_or_none(value: float | None) -> float | None:
    """A number as a float, so that 3 and 3.0 are written alike."""
    return None if value is None else float(value)


def text(fields: Mapping[str, Any], name: str) -> str:
    """A text."""
    value = fields[name]
    if not isinstance(value, str):
        raise ProofError(f"{name} is not text")
    return value


def integer(fields: Mapping[str, Any], name: str) -> int:
    """A whole number of 64 bits."""
    value = fields[name]
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise ProofError(f"{name} is not a 64-bit whole number")
    return value


def count(fields: Mapping[str, Any], name: str, *, least: int) -> int:
    """A whole number from ``least`` on."""
    value = integer(fields, name)
    if value < least:
        raise ProofError(f"{name} is {value}, below {least}")
    return value


def number(fields: Mapping[str, Any], name: str) -> float:
    """A number that a 64-bit float holds exactly."""
    value = fields[name]
    if type(value) is float:
        return value
    if type(value) is int and abs(value) <= 2**53:
        return float(value)
    raise ProofError(f"{name} is not a number that a 64-bit float holds exactly")


def optional(fields: Mapping[str, Any], name: str) -> float | None:
    """A number or nothing."""
    return None if fields[name] is None else number(fields, name)


def flag(fields: Mapping[str, Any], name: str) -> bool:
    """True or false."""
    value = fields[name]
    if not isinstance(value, bool):
        raise ProofError(f"{name} is neither true nor false")
    return value


def word(fields: Mapping[str, Any], name: str, words: type[W]) -> W:
    """One of a fixed set of words."""
    value = text(fields, name)
    try:
        return words(value)
    except ValueError:
        raise ProofError(f"{name} is {value[:40]!r}, not one of {', '.join(words)}") from None


def inputs(value: Any) -> tuple[tuple[str, int], ...]:
    """Pairs of stream and revision."""
    if not isinstance(value, list):
        raise ProofError("inputs is not a list")
    inputs: list[tuple[str, int]] = []
    for pair in value:
        if not isinstance(pair, list) or len(pair) != 2:
            raise ProofError("inputs holds something else than [stream, revision]")
        stream, revision = pair
        if not isinstance(stream, str) or type(revision) is not int or not 0 <= revision < 2**63:
            raise ProofError("inputs holds something else than [stream, revision]")
        inputs.append((stream, revision))
    return tuple(inputs)
