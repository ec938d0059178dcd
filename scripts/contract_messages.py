"""JSON Schemas of everything else that travels: header, signature, receipt, notices, packs."""

from __future__ import annotations

import re
from typing import Any

from contract_records import DIALECT, HIGHEST, INTEGER, Schema

from agent.config import factor_pack
from agent.core import payload, receipt
from agent.core.model import Severity, StreamKind
from agent.core.record import COLUMNS

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
TIME: Schema = {**INTEGER, "description": "UTC milliseconds since 1970-01-01."}


def message_schemas() -> dict[str, Schema]:
    """The schema of each message, or line of one, by its file name."""
    made = {
        "batch-header": _header(),
        "signature": _signature(),
        "receipt": _receipt(),
        "factors-header": _factors(),
        "birth": _birth(),
        "status": _status(),
        "live": _live(),
        "event": _event(),
    }
    return {
        name: {"$schema": DIALECT, "$id": f"urn:tanshu:v1:{name}", **schema}
        for name, schema in made.items()
    }


def _header() -> Schema:
    first_only = {
        "if": {"properties": {"seq": {"const": 1}}},
        "then": {"properties": {"prev": {"type": "null"}}},
        "else": {"properties": {"prev": _like(payload._HASH), "former": {"type": "null"}}},
    }
    link = _object({"epoch": _like(payload._EPOCH), "seq": _whole(1), "hash": _like(payload._HASH)})
    return {
        "title": "First line of a batch",
        "description": "Its SHA-256 (without the line feed) is the batch hash that the next "
        "batch's prev repeats and that the signature covers.",
        **_object(
            {
                "schema": {"const": payload.SCHEMA},
                "site": _like(payload._ID),
                "gateway": _like(payload._ID),
                "epoch": _like(payload._EPOCH),
                "seq": {**_whole(1), "description": "Counts from 1 without a gap in an epoch."},
                "prev": {
                    **_like(payload._HASH),
                    "type": ["string", "null"],
                    "description": "Hash of the batch before; null in the first of an epoch.",
                },
                "former": {
                    **link,
                    "type": ["object", "null"],
                    "description": "The last receipted batch of the epoch before; only in the "
                    "first batch of an epoch.",
                },
                "root": {
                    **_like(payload._HASH),
                    "description": "Merkle root (RFC 6962) of the record lines.",
                },
                "count": {
                    **_whole(0, payload.MAX_RECORDS),
                    "description": "Number of record lines.",
                },
                "window_from": {**TIME, "type": ["integer", "null"]},
                "window_to": {**TIME, "type": ["integer", "null"]},
                "columns": _columns(),
            }
        ),
        **first_only,
    }


def _columns() -> Schema:
    names = {"type": "array", "items": TEXT, "uniqueItems": True}
    known = {
        kind: {
            **names,
            "prefixItems": [{"const": column} for column in columns],
            "minItems": len(columns),
        }
        for kind, columns in COLUMNS.items()
    }
    return {
        "type": "object",
        "description": "Names of the values of each kind of record in this batch.",
        "propertyNames": {"pattern": _anchored(payload._KIND)},
        "properties": known,
        "additionalProperties": names,
    }


def _signature() -> Schema:
    return {
        "title": "Last line of a batch, a receipt or a factor pack",
        "description": "Ed25519 over the schema name, a zero byte and the SHA-256 that is signed.",
        **_object({"key": _like(payload._KEY_ID), "sig": {**TEXT, "pattern": _BASE64_64_BYTES}}),
        "additionalProperties": False,
    }


_BASE64_64_BYTES = "^[A-Za-z0-9+/]{85}[AQgw]==$"


def _receipt() -> Schema:
    pair = {"type": "array", "prefixItems": [_whole(1), _whole(1)], "minItems": 2, "maxItems": 2}
    return {
        "title": "First line of a receipt",
        **_object(
            {
                "schema": {"const": receipt.SCHEMA},
                "site": _like(receipt._ID),
                "gateway": _like(receipt._ID),
                "epoch": _like(receipt._EPOCH),
                "through": {
                    **_whole(0),
                    "description": "Last batch of the unbroken chain that is committed.",
                },
                "hash": {
                    **_like(receipt._HASH),
                    "type": ["string", "null"],
                    "description": "Hash of that batch; null exactly where through is 0.",
                },
                "held": {
                    "type": "array",
                    "items": pair,
                    "description": "Spans [first, last] committed above through, ascending.",
                },
                "time": TIME,
            }
        ),
        "if": {"properties": {"through": {"const": 0}}},
        "then": {"properties": {"hash": {"type": "null"}}},
        "else": {"properties": {"hash": _like(receipt._HASH)}},
    }


def _factors() -> Schema:
    one = _object({"kind": TEXT, "id": TEXT, "bytes": _whole(1)})
    return {
        "title": "First line of a factor pack",
        "description": "The bytes of the factor files (TOML) follow, one after the other, then "
        "the signature line over everything before it.",
        **_object(
            {
                "schema": {"const": factor_pack.SCHEMA},
                "issuer": {**TEXT, "minLength": 1, "maxLength": factor_pack.MAX_TEXT},
                "serial": _whole(1),
                "issued": {**TEXT, "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
                "note": {**TEXT, "maxLength": factor_pack.MAX_TEXT},
                "sets": {
                    "type": "array",
                    "items": one,
                    "minItems": 1,
                    "maxItems": factor_pack.MAX_SETS,
                },
            }
        ),
        "additionalProperties": False,
    }


def _birth() -> Schema:
    streams: Schema = {"type": "array", "items": TEXT}
    shares = {
        "type": "array",
        "items": {"type": "array", "prefixItems": [TEXT, NUMBER], "minItems": 2, "maxItems": 2},
    }
    kind = {"type": "string", "enum": [one.value for one in StreamKind]}
    return {
        "title": "What a gateway is made of",
        "description": "Retained; published at every start and change of the configuration.",
        **_object(
            {
                "schema": {"const": "tanshu/v1/birth"},
                "version": TEXT,
                "config": {**TEXT, "description": "Hash of the site file in force."},
                "site": _texts("id name timezone rules gwp", window_ms=_whole(1)),
                "gateway": _like(payload._ID),
                "areas": _list(_texts("id name")),
                "units": _list(_texts("id area name mode")),
                "devices": _list(_texts("id unit name stage", streams=shares)),
                "streams": _list(_texts("id quantity unit", kind=kind, resolution=NUMBER)),
                "derived": _list(_texts("id name formula formula_hash", inputs=streams)),
                "sources": _list(
                    _texts(
                        "id device kind stream factor factor_version factor_unit",
                        share=NUMBER,
                        factor_value=NUMBER,
                    )
                ),
                "period_sources": _list(_texts("id device kind period", inputs=streams)),
            }
        ),
    }


def _status() -> Schema:
    online = _object({"state": {"const": "online"}, "started": TIME, "version": TEXT})
    return {
        "title": "Whether a gateway is connected",
        "description": "Retained; «offline» is the last will.",
        "oneOf": [online, _object({"state": {"const": "offline"}})],
    }


def _live() -> Schema:
    values = {
        "type": "object",
        "additionalProperties": NUMBER,
        "description": "Good values of points («meter.point»), in the unit of each.",
    }
    return {
        "title": "Values of this moment, for displays",
        **_object({"time": TIME, "values": values}),
    }


def _event() -> Schema:
    severity = {"type": "string", "enum": [one.value for one in Severity]}
    return {
        "title": "An event as a notice; the record of it travels in a batch",
        **_object(
            {"time": TIME, "code": TEXT, "subject": TEXT, "severity": severity, "detail": TEXT}
        ),
    }


def _object(properties: dict[str, Any]) -> Schema:
    """Members may be added within v1, so others are allowed."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def _texts(names: str, **others: Schema) -> Schema:
    return _object({**dict.fromkeys(names.split(), TEXT), **others})


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _whole(least: int, most: int = HIGHEST) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most}


def _like(pattern: re.Pattern[str]) -> Schema:
    return {"type": "string", "pattern": _anchored(pattern)}


def _anchored(pattern: re.Pattern[str]) -> str:
    return f"^{pattern.pattern}$"
