"""How a fitted model is posted, for the OpenAPI description."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def post_model(submission: Schema, row: Schema, refusal: Schema) -> Schema:
    """`POST /api/v1/models`."""
    return {
        "summary": "Keep a fitted model as the next version of its stream",
        "description": (
            "Who may write is as for `/api/v1/activity`. Windows that start at or after `since_ms` "
            "(now, if absent) follow it; with `again` also those that are booked already."
        ),
        "security": [{}, {"token": []}],
        "requestBody": {"required": True, "content": _json(submission)},
        "responses": {
            "200": {"description": "Kept", "content": _json(row)},
            **{
                status: {"description": description, "content": _json(refusal)}
                for status, description in (
                    ("400", "No such stream, or a model of other inputs"),
                    ("401", "The token is wrong"),
                    ("403", "From another machine, or on behalf of a foreign page"),
                    ("415", "Not application/json"),
                    ("503", "The gateway cannot store now"),
                )
            },
        },
    }


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}
