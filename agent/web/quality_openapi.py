"""The OpenAPI description of corrections."""

from __future__ import annotations

from typing import Any

from agent.core.correction import CorrectionKind

Schema = dict[str, Any]


def post_correction(outcome: Schema, refusal: Schema) -> Schema:
    """The operation `POST /api/v1/corrections`."""
    text: Schema = {"type": "string"}
    number: Schema = {"type": "number"}
    properties: Schema = {
        "kind": {**text, "enum": list(CorrectionKind)},
        "point": {**text, "description": "«meter.point»"},
        "at": {**text, "description": "ISO 8601, without offset the site's time"},
        "by": text,
        "note": text,
        "old_end": {**number, "description": "Last register of the meter that was taken out"},
        "new_start": {**number, "description": "First register of the new one"},
        "value": {**number, "description": "What holds in place of the reading"},
        "void": {"type": "boolean", "description": "In place of numbers: take back, or not good"},
    }
    body = {
        "type": "object",
        "required": ["kind", "point", "at", "by"],
        "properties": properties,
        "additionalProperties": False,
    }
    answers = (
        ("400", "A field is wrong, or contradicts the readings beside it"),
        ("401", "The token is wrong"),
        ("403", "From another machine, or on behalf of a foreign page"),
        ("415", "Not application/json"),
        ("503", "The gateway cannot store now"),
    )
    return {
        "summary": "Declare that a meter was replaced, or repair a reading",
        "description": "Who may write is as for `/api/v1/activity`. Readings stay as read; closed "
        "windows that are touched get a new revision with the next closing.",
        "security": [{}, {"token": []}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {
            "200": {
                "description": "Booked",
                "content": {"application/json": {"schema": outcome}},
            },
            **{
                status: {
                    "description": description,
                    "content": {"application/json": {"schema": refusal}},
                }
                for status, description in answers
            },
        },
    }
