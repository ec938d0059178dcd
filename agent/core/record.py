"""The records inside a sync batch: one JSON array each, kind first, then the columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agent.core import strict_json
from agent.core.activity import ActivityEntry
from agent.core.activity_record import ACTIVITY_COLUMNS, activity_values, decode_activity
from agent.core.errors import ProofError
from agent.core.manual import ManualEntry
from agent.core.manual_record import MANUAL_COLUMNS, decode_manual, manual_values
from agent.core.model import (
    Emission,
    Endpoint,
    Event,
    FactorRef,
    Provenance,
    Severity,
    Window,
)
from agent.core.recalculation import (
    RECALCULATION_COLUMNS,
    BulkRecalculation,
    decode_recalculation,
    recalculation_values,
)
from agent.core.record_fields import (
    count,
    flag,
    float_or_none,
    inputs,
    integer,
    number,
    optional,
    text,
    word,
)
from agent.core.report.review_record import (
    REVIEW_COLUMNS,
    SignedReview,
    decode_review,
    review_values,
)

Record = (
    Window
    | Emission
    | BulkRecalculation
    | Endpoint
    | Event
    | ActivityEntry
    | SignedReview
    | ManualEntry
)

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
    "recalculation": RECALCULATION_COLUMNS,
    "endpoint": ("stream", "boundary", "time", "register", "accumulated"),
    "event": ("time", "code", "subject", "severity", "detail"),
    "activity": ACTIVITY_COLUMNS,
    "review": REVIEW_COLUMNS,
    "manual": MANUAL_COLUMNS,
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
        case BulkRecalculation():
            return "recalculation"
        case Endpoint():
            return "endpoint"
        case Event():
            return "event"
        case ActivityEntry():
            return "activity"
        case SignedReview():
            return "review"
        case ManualEntry():
            return "manual"


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
        case BulkRecalculation():
            return recalculation_values(record)
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
        case ActivityEntry():
            return activity_values(record)
        case SignedReview():
            return review_values(record)
        case ManualEntry():
            return manual_values(record)


def _window_values(window: Window) -> list[Any]:
    return [
        window.stream,
        window.start_ms,
        window.length_ms,
        window.revision,
        float_or_none(window.value),
        window.provenance.value,
        window.method,
        float(window.coverage),
        float_or_none(window.lower),
        float_or_none(window.upper),
        float_or_none(window.load),
        bool(window.maintenance),
    ]


def _emission_values(emission: Emission) -> list[Any]:
    return [
        emission.source,
        emission.start_ms,
        emission.length_ms,
        emission.revision,
        float_or_none(emission.kgco2),
        float_or_none(emission.kgch4),
        float_or_none(emission.kgn2o),
        float_or_none(emission.kgco2e),
        float_or_none(emission.lower),
        float_or_none(emission.upper),
        float(emission.estimated_share),
        emission.factor.id,
        emission.factor.version,
        float(emission.factor.value),
        emission.factor.unit,
        [[stream, revision] for stream, revision in emission.inputs],
    ]


def _decode_window(fields: Mapping[str, Any]) -> Window:
    return Window(
        stream=text(fields, "stream"),
        start_ms=integer(fields, "start"),
        length_ms=count(fields, "length", least=1),
        revision=count(fields, "revision", least=0),
        value=optional(fields, "value"),
        provenance=word(fields, "provenance", Provenance),
        method=text(fields, "method"),
        coverage=number(fields, "coverage"),
        lower=optional(fields, "lower"),
        upper=optional(fields, "upper"),
        load=optional(fields, "load"),
        maintenance=flag(fields, "maintenance"),
    )


def _decode_emission(fields: Mapping[str, Any]) -> Emission:
    return Emission(
        source=text(fields, "source"),
        start_ms=integer(fields, "start"),
        length_ms=count(fields, "length", least=1),
        revision=count(fields, "revision", least=0),
        kgco2=optional(fields, "kgco2"),
        kgch4=optional(fields, "kgch4"),
        kgn2o=optional(fields, "kgn2o"),
        kgco2e=optional(fields, "kgco2e"),
        lower=optional(fields, "lower"),
        upper=optional(fields, "upper"),
        estimated_share=number(fields, "estimated_share"),
        factor=FactorRef(
            id=text(fields, "factor_id"),
            version=text(fields, "factor_version"),
            value=number(fields, "factor_value"),
            unit=text(fields, "factor_unit"),
        ),
        inputs=inputs(fields["inputs"]),
    )


def _decode_endpoint(fields: Mapping[str, Any]) -> Endpoint:
    return Endpoint(
        stream=text(fields, "stream"),
        boundary_ms=integer(fields, "boundary"),
        time_ms=integer(fields, "time"),
        register=number(fields, "register"),
        accumulated=number(fields, "accumulated"),
    )


def _decode_event(fields: Mapping[str, Any]) -> Event:
    return Event(
        time_ms=integer(fields, "time"),
        code=text(fields, "code"),
        subject=text(fields, "subject"),
        severity=word(fields, "severity", Severity),
        detail=text(fields, "detail"),
    )


_DECODERS: dict[str, Callable[[Mapping[str, Any]], Record]] = {
    "window": _decode_window,
    "emission": _decode_emission,
    "recalculation": decode_recalculation,
    "endpoint": _decode_endpoint,
    "event": _decode_event,
    "activity": decode_activity,
    "review": decode_review,
    "manual": decode_manual,
}
