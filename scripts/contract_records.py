"""JSON Schemas of the record lines of a batch, from the columns and the types of the records."""

from __future__ import annotations

import dataclasses
import types
from enum import StrEnum
from typing import Any, Union, get_args, get_origin, get_type_hints

from contract_texts import RECORDS

from agent.core import recalculation
from agent.core.activity import ActivityEntry
from agent.core.manual import ManualEntry
from agent.core.model import Emission, Endpoint, Event, Window
from agent.core.recalculation import BulkRecalculation
from agent.core.record import COLUMNS
from agent.core.report.month import Month
from agent.core.report.review_record import SignedReview

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
HIGHEST = 2**63 - 1
INTEGER: Schema = {"type": "integer", "minimum": -HIGHEST - 1, "maximum": HIGHEST}

CLASSES: dict[str, type] = {
    "window": Window,
    "emission": Emission,
    "recalculation": BulkRecalculation,
    "endpoint": Endpoint,
    "event": Event,
    "activity": ActivityEntry,
    "review": SignedReview,
    "manual": ManualEntry,
}

# Where a column does not bear the name of its attribute (with or without «_ms»).
ATTRIBUTES = {
    ("recalculation", "from"): "start_ms",
    ("recalculation", "to"): "end_ms",
    ("review", "figures"): "review.figures",
    ("review", "signed"): "figures",
}
PARTS = ("factor", "evidence", "terms", "review")  # attributes whose own attributes are columns

# Lowest values, by column or by attribute of what a column lists.
LEAST = {"length": 1, "length_ms": 1, "count": 1, "revision": 0}
NARROWER: dict[tuple[str, str], Schema] = {
    ("recalculation", "from"): {"minimum": 0},
    ("recalculation", "to"): {"minimum": 1, "maximum": recalculation.LATEST_MS},
    ("recalculation", "count"): {"maximum": recalculation.MOST_EMISSIONS},
    ("recalculation", "runs"): {"minItems": 1, "maxItems": recalculation.MOST_RUNS},
    ("recalculation", "eras"): {"minItems": 1, "maxItems": recalculation.MOST_RUNS},
    ("review", "figures"): {"pattern": "^[0-9a-f]{64}$"},
}


class ContractError(Exception):
    """The contract cannot be written; says what is missing."""


def record_schemas() -> dict[str, Schema]:
    """The schema of each kind's line by its file name."""
    return {f"record-{kind}": _line(kind, columns) for kind, columns in COLUMNS.items()}


def _line(kind: str, columns: tuple[str, ...]) -> Schema:
    if kind not in CLASSES or kind not in RECORDS:
        raise ContractError(
            f"records of kind {kind} have no class or no text in scripts/contract_*"
        )
    about, texts = RECORDS[kind]
    if set(texts) != set(columns):
        odd = ", ".join(sorted(set(texts) ^ set(columns)))
        raise ContractError(f"scripts/contract_texts.py: columns of {kind} that differ: {odd}")
    values = [
        {"title": column, "description": texts[column], **_column(kind, column)}
        for column in columns
    ]
    return {
        "$schema": DIALECT,
        "$id": f"urn:tanshu:v1:record-{kind}",
        "title": f"Record of kind {kind}",
        "description": f"{about} A later version of v1 may append columns: "
        "read values by the names in the batch header.",
        "type": "array",
        "prefixItems": [{"title": "kind", "const": kind}, *values],
        "minItems": len(values) + 1,
    }


def _column(kind: str, column: str) -> Schema:
    annotation, nullable = _annotation(CLASSES[kind], kind, column)
    schema = _of_type(annotation, column)
    schema.update(NARROWER.get((kind, column), {}))
    return _or_null(schema) if nullable else schema


def _annotation(holder: type, kind: str, column: str) -> tuple[Any, bool]:
    """The type of a column's attribute, and whether what holds it may be missing."""
    path = ATTRIBUTES.get((kind, column))
    if path is not None:
        return _walk(holder, path.split("."))
    for part in PARTS:
        inner, nullable = _unwrapped(_hints(holder).get(part))
        name = column.removeprefix(f"{part}_")
        for attribute in (name, f"{name}_ms"):
            if inner is not None and attribute in _hints(inner):
                return _hints(inner)[attribute], nullable
    for attribute in (column, f"{column}_ms"):
        if attribute in _hints(holder):
            return _hints(holder)[attribute], False
    raise ContractError(f"scripts/contract_records.py: which attribute is {kind}.{column}?")


def _walk(holder: type, path: list[str]) -> tuple[Any, bool]:
    for name in path[:-1]:
        holder = _hints(holder)[name]
    return _hints(holder)[path[-1]], False


def _hints(holder: type) -> dict[str, Any]:
    """Types of attributes and properties."""
    hints = get_type_hints(holder)
    for name, member in vars(holder).items():
        if isinstance(member, property):
            hints[name] = get_type_hints(member.fget)["return"]
    return hints


def _unwrapped(annotation: Any) -> tuple[Any, bool]:
    """A type without its «or None», and whether it had one."""
    if get_origin(annotation) in (Union, types.UnionType):
        (inner,) = (one for one in get_args(annotation) if one is not type(None))
        return inner, True
    return annotation, False


def _of_type(annotation: Any, name: str) -> Schema:
    inner, nullable = _unwrapped(annotation)
    if nullable:
        return _or_null(_of_type(inner, name))
    if annotation is int:
        least = {"minimum": LEAST[name]} if name in LEAST else {}
        return {**INTEGER, **least}
    if annotation in _PLAIN:
        return dict(_PLAIN[annotation])
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return {"type": "string", "enum": [word.value for word in annotation]}
    if get_origin(annotation) is tuple:
        return _of_tuple(get_args(annotation), name)
    if dataclasses.is_dataclass(annotation):
        return _fixed([_titled(field, kind) for field, kind in _leaves(annotation)])
    raise ContractError(f"scripts/contract_records.py: no schema for {annotation} ({name})")


_PLAIN: dict[Any, Schema] = {
    str: {"type": "string"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    Month: {"type": "string", "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])$"},
}


def _of_tuple(members: tuple[Any, ...], name: str) -> Schema:
    if members[-1] is Ellipsis:
        return {"type": "array", "items": _of_type(members[0], name)}
    # the only pairs are (stream, revision)
    return _fixed([_titled("stream", members[0]), _titled("revision", members[1])])


def _leaves(holder: Any) -> list[tuple[str, Any]]:
    """The attributes of a record, those of its parts in their place."""
    found: list[tuple[str, Any]] = []
    for name, annotation in get_type_hints(holder).items():
        inner = _leaves(annotation) if dataclasses.is_dataclass(annotation) else None
        found += inner if inner is not None else [(name, annotation)]
    return found


def _titled(name: str, annotation: Any) -> Schema:
    return {"title": name.removesuffix("_ms"), **_of_type(annotation, name)}


def _fixed(items: list[Schema]) -> Schema:
    return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}


def _or_null(schema: Schema) -> Schema:
    if "enum" in schema:
        return {**schema, "type": [schema["type"], "null"], "enum": [*schema["enum"], None]}
    known = schema["type"]
    kinds = known if isinstance(known, list) else [known]
    return {**schema, "type": [*kinds, "null"] if "null" not in kinds else kinds}
