"""How to enter and verify readings that people take, for the OpenAPI description."""

from __future__ import annotations

from typing import Any

from agent.core.manual_read import FIELDS

Schema = dict[str, Any]

_NUMBERS = ("value", "old_end", "new_start", "running_h")
_TEXT: Schema = {"type": "string"}
_ENTRY: Schema = {
    "type": "object",
    "required": ["meter", "time", "value", "author"],
    "properties": {
        name: {"type": ["string", "number", "null"] if name in _NUMBERS else ["string", "null"]}
        for name in FIELDS
    },
    "additionalProperties": False,
}
_SUBMISSION: Schema = {
    "type": "object",
    "required": ["entries"],
    "properties": {
        "entries": {"type": "array", "items": _ENTRY},
        "files": {
            "type": "object",
            "description": "Documents in Base64 by their SHA-256, named by `evidence_sha256`",
            "additionalProperties": {"type": "string", "contentEncoding": "base64"},
        },
        "dry_run": {"type": "boolean", "default": False},
    },
    "additionalProperties": False,
}
_VERIFICATION: Schema = {
    "type": "object",
    "required": ["task", "author"],
    "properties": {
        "task": _TEXT,
        "author": _TEXT,
        "value": {"type": ["number", "null"], "description": "Amount of the whole span"},
        "unit": _TEXT,
        "accept": {"type": "boolean", "default": False, "description": "The estimate stands"},
        "note": _TEXT,
    },
}


def post_readings(outcome: Schema, not_stored: Schema, refusal: Schema) -> Schema:
    """The description of ``POST /api/v1/manual``."""
    return _post(
        "Enter readings that people took: one, an array, or an object with `entries`",
        "Who may write is as for `/api/v1/activity`. Nothing is stored unless all entries are "
        "good. A meter and time that is already booked gets its next revision; the same content "
        "again changes nothing; a value of null retires. What is odd is stored with a warning.",
        {"oneOf": [_ENTRY, {"type": "array", "items": _ENTRY}, _SUBMISSION]},
        outcome,
        not_stored,
        refusal,
    )


def post_verification(outcome: Schema, refusal: Schema) -> Schema:
    """The description of ``POST /api/v1/manual/verify``."""
    return _post(
        "Verify an estimate: its measured total, or that it stands",
        "Who may write is as for `/api/v1/activity`. A value gives the task's windows new "
        "revisions; what it changes in a signed month is booked as an adjustment.",
        _VERIFICATION,
        outcome,
        refusal,
        refusal,
    )


def _post(
    summary: str, text: str, body: Schema, outcome: Schema, faulty: Schema, refusal: Schema
) -> Schema:
    def content(schema: Schema) -> Schema:
        return {"application/json": {"schema": schema}}

    refusals = {
        "401": "The token is wrong",
        "403": "From another machine, or on behalf of a foreign page",
        "413": "Too large",
        "415": "Not application/json",
        "503": "The gateway cannot store now",
    }
    return {
        "summary": summary,
        "description": text,
        "security": [{}, {"token": []}],
        "requestBody": {"required": True, "content": content(body)},
        "responses": {
            "200": {"description": "Stored, or checked only", "content": content(outcome)},
            "400": {"description": "Faulty; nothing stored", "content": content(faulty)},
            **{
                status: {"description": said, "content": content(refusal)}
                for status, said in refusals.items()
            },
        },
    }
