"""The records inside a sync batch: one JSON array each, kind first, then the columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from agent.core import strict_json
from agent.core.errors import ProofError
from agent.core.model import (
    Emission,
    Endpoint,
    Event,
    FactorRef,
    Provenance,
    Severity,
    Window,
)

Record = Window | Emission | Endpoint | Event
_Word = TypeVar("_Word", Provenance, Severity)

COLUMNS: dict[str, tuple[str, ...]] = {
    "window": (
        "stream",
        "start",
        "length",
        "revision",
        "value",
        "provenance",
        "method",
        "coverage",
        "lower",
        "upper",
        "load",
        "maintenance",
    ),
    "emission": (
        "source",
        "start",
        "length",
        "revision",
        "kgco2",
        "kgch4",
        "kgn2o",
        "kgco2e",
        "lower",
        "upper",
        "estimated_share",
        "factor_id",
        "factor_version",
        "factor_value",
        "factor_unit",
        "inputs",
    ),
    "endpoint": ("stream", "boundary", "time", "register", "accumulated"),
    "event": ("time", "code", "subject", "severity", "detail"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A record of a kind that this version does not know, kept as it came."""

    kind: str
    line: bytes


def kind_of(record: Record) -> str:
    """The first element of the record's line."""
    match record:
        case Window():
            return "window"
        case Emission():
            return "emission"
        case Endpoint():
            return "endpoint"
        case Event():
            return "event"


def encode_record(record: Record) -> bytes:
    """The line of a record, without line feed.

    Raises:
        ProofError: a value that JSON cannot hold (NaN, infinity, broken text).
    """
    return strict_json.encode([kind_of(record), *_values(record)])


def decode_record(line: bytes, columns: Mapping[str, tuple[str, ...]]) -> Record | Unknown:
    """Read the line of a record by the column names of its batch.

    Columns beyond those of this version are ignored and unknown kinds are kept as bytes, so that
    a newer gateway is understood by an older ledger.

    Raises:
        ProofError: not an array, a kind without columns, a missing column or a wrong type.
    """
    value = strict_json.parse(line)
    if not isinstance(value, list) or not value or not isinstance(value[0], str):
        raise ProofError("a record is a JSON array that begins with its kind")
    kind = value[0]
    names = columns.get(kind)
    if names is None or len(value) != len(names) + 1:
        raise ProofError(f"{kind[:40]!r} with {len(value) - 1} values does not fit the columns")
    decoder = _DECODERS.get(kind)
    if decoder is None:
        return Unknown(kind=kind, line=line)
    fields = dict(zip(names, value[1:], strict=True))
    missing = [column for column in COLUMNS[kind] if column not in fields]
    if missing:
        raise ProofError(f"{kind} has no column {', '.join(missing)}")
    return decoder(fields)


def _values(record: Record) -> list[Any]:
    match record:
        case Window():
            return _window_values(record)
        case Emission():
            return _emission_values(record)
        case Endpoint():
            return [
                record.stream,
                record.boundary_ms,
                record.time_ms,
                float(record.register),
                float(record.accumulated),
            ]
        case Event():
            return [
                record.time_ms,
                record.code,
                record.subject,
                record.severity.value,
                record.detail,
            ]


def _window_values(window: Window) -> list[Any]:
    return [
        window.stream,
        window.start_ms,
        window.length_ms,
        window.revision,
        _float(window.value),
        window.provenance.value,
        window.method,
        float(window.coverage),
        _float(window.lower),
        _float(window.upper),
        _float(window.load),
        bool(window.maintenance),
    ]


def _emission_values(emission: Emission) -> list[Any]:
    return [
        emission.source,
        emission.start_ms,
        emission.length_ms,
        emission.revision,
        _float(emission.kgco2),
        _float(emission.kgch4),
        _float(emission.kgn2o),
        _float(emission.kgco2e),
        _float(emission.lower),
        _float(emission.upper),
        float(emission.estimated_share),
        emission.factor.id,
        emission.factor.version,
        float(emission.factor.value),
        emission.factor.unit,
        [[stream, revision] for stream, revision in emission.inputs],
    ]


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)


def _decode_window(fields: Mapping[str, Any]) -> Window:
    return Window(
        stream=_text(fields, "stream"),
        start_ms=_integer(fields, "start"),
        length_ms=_count(fields, "length", least=1),
        revision=_count(fields, "revision", least=0),
        value=_optional(fields, "value"),
        provenance=_word(fields, "provenance", Provenance),
        method=_text(fields, "method"),
        coverage=_number(fields, "coverage"),
        lower=_optional(fields, "lower"),
        upper=_optional(fields, "upper"),
        load=_optional(fields, "load"),
        maintenance=_flag(fields, "maintenance"),
    )


def _decode_emission(fields: Mapping[str, Any]) -> Emission:
    return Emission(
        source=_text(fields, "source"),
        start_ms=_integer(fields, "start"),
        length_ms=_count(fields, "length", least=1),
        revision=_count(fields, "revision", least=0),
        kgco2=_optional(fields, "kgco2"),
        kgch4=_optional(fields, "kgch4"),
        kgn2o=_optional(fields, "kgn2o"),
        kgco2e=_optional(fields, "kgco2e"),
        lower=_optional(fields, "lower"),
        upper=_optional(fields, "upper"),
        estimated_share=_number(fields, "estimated_share"),
        factor=FactorRef(
            id=_text(fields, "factor_id"),
            version=_text(fields, "factor_version"),
            value=_number(fields, "factor_value"),
            unit=_text(fields, "factor_unit"),
        ),
        inputs=_inputs(fields["inputs"]),
    )


def _decode_endpoint(fields: Mapping[str, Any]) -> Endpoint:
    return Endpoint(
        stream=_text(fields, "stream"),
        boundary_ms=_integer(fields, "boundary"),
        time_ms=_integer(fields, "time"),
        register=_number(fields, "register"),
        accumulated=_number(fields, "accumulated"),
    )


def _decode_event(fields: Mapping[str, Any]) -> Event:
    return Event(
        time_ms=_integer(fields, "time"),
        code=_text(fields, "code"),
        subject=_text(fields, "subject"),
        severity=_word(fields, "severity", Severity),
        detail=_text(fields, "detail"),
    )


_DECODERS: dict[str, Callable[[Mapping[str, Any]], Record]] = {
    "window": _decode_window,
    "emission": _decode_emission,
    "endpoint": _decode_endpoint,
    "event": _decode_event,
}


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields[name]
    if not isinstance(value, str):
        raise ProofError(f"{name} is not text")
    return value


def _integer(fields: Mapping[str, Any], name: str) -> int:
    value = fields[name]
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise ProofError(f"{name} is not a 64-bit whole number")
    return value


def _count(fields: Mapping[str, Any], name: str, *, least: int) -> int:
    value = _integer(fields, name)
    if value < least:
        raise ProofError(f"{name} is {value}, below {least}")
    return value


def _number(fields: Mapping[str, Any], name: str) -> float:
    value = fields[name]
    if type(value) is float:
        return value
    if type(value) is int and abs(value) <= 2**53:
        return float(value)
    raise ProofError(f"{name} is not a number that a 64-bit float holds exactly")


def _optional(fields: Mapping[str, Any], name: str) -> float | None:
    return None if fields[name] is None else _number(fields, name)


def _flag(fields: Mapping[str, Any], name: str) -> bool:
    value = fields[name]
    if not isinstance(value, bool):
        raise ProofError(f"{name} is neither true nor false")
    return value


def _word(fields: Mapping[str, Any], name: str, words: type[_Word]) -> _Word:
    value = _text(fields, name)
    try:
        return words(value)
    except ValueError:
        raise ProofError(f"{name} is {value[:40]!r}, not one of {', '.join(words)}") from None


def _inputs(value: Any) -> tuple[tuple[str, int], ...]:
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
