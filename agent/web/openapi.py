"""The OpenAPI description: addresses and parameters by hand, schemas from the records."""

from __future__ import annotations

from typing import Any

import msgspec

from agent.core.activity import ActivityKind
from agent.core.activity_read import FIELDS
from agent.core.report.model import Decision, Department
from agent.web import (
    activity_view,
    answers,
    computed_view,
    factor_view,
    manual_view,
    quality_view,
    report_view,
    view,
)
from agent.web.computed_openapi import post_model
from agent.web.manual_openapi import post_readings, post_verification
from agent.web.params import LIMIT_DEFAULT, LIMIT_MOST
from agent.web.quality_openapi import post_correction

Schema = dict[str, Any]

_NUMBERS = ("amount", "carbon_content", "purity", "distance_km", "price_cny")


ANSWERS: dict[str, tuple[type, str, tuple[str, ...]]] = {
    "/healthz": (answers.Health, "200 while polling and writing progress, else 503", ()),
    "/api/v1/status": (answers.Status, "Site, totals, buses, targets", ()),
    "/api/v1/devices": (answers.Devices, "Every device with its latest values and emissions", ()),
    "/api/v1/devices/{device}": (
        view.DeviceDetail,
        "One device: streams, factors, latest windows and emissions",
        ("device",),
    ),
    "/api/v1/windows": (
        answers.Windows,
        "Current revisions of windows, by start",
        ("stream", "from", "to", "limit"),
    ),
    "/api/v1/emissions": (
        answers.Emissions,
        "Sums of emissions, by start",
        ("by", "period", "from", "to", "limit"),
    ),
    "/api/v1/events": (answers.Events, "Events, newest first", ("from", "to", "limit")),
    "/api/v1/activity": (
        answers.Activity,
        "Current activity entries whose period touches the span, by start and stream",
        ("kind", "from:year", "to", "limit"),
    ),
    "/api/v1/balance": (
        computed_view.Balances,
        "Master meters against their submeters, by start and master",
        ("period:balance", "from", "to", "limit"),
    ),
    "/api/v1/models": (
        computed_view.ModelList,
        "Every version of the fitted models, by stream",
        ("stream",),
    ),
    "/api/v1/factor-packs": (answers.FactorPacks, "Factor packs, the latest first", ()),
    "/api/v1/manual": (
        manual_view.ManualEntries,
        "Current readings that people took, by time and stream",
        ("meter", "from:month", "to", "limit"),
    ),
    "/api/v1/manual/tasks": (
        manual_view.ManualTasks,
        "Readings that are overdue, and estimates to verify",
        (),
    ),
    "/api/v1/completeness": (
        quality_view.CompletenessAnswer,
        "Data completeness of the site's days or months that the span touches",
        ("by:completeness", "period:completeness", "from", "to"),
    ),
    "/api/v1/gaps": (
        quality_view.GapsAnswer,
        "What became of the gaps that touch the span: method, interval, analogue periods",
        ("from", "to", "limit"),
    ),
    "/api/v1/reports": (answers.Reports, "Months with booked emissions, newest first", ()),
}

TIME = "UTC milliseconds or ISO 8601 (without offset: the site's time)"
PARAMETERS: dict[str, tuple[str, Schema]] = {
    "month": ("Month of the site, YYYY-MM", {"type": "string"}),
    "hash": ("SHA-256 of a factor pack, or its first 8 or more digits", {"type": "string"}),
    "device": ("Id of a device", {"type": "string"}),
    "stream": ("Id of a stream, «meter.point»; all streams if absent", {"type": "string"}),
    "from": (f"{TIME}; default: the start of the site's today", {"type": "string"}),
    "to": (f"{TIME}; exclusive; default: now", {"type": "string"}),
    "from:year": (f"{TIME}; default: the start of the site's year", {"type": "string"}),
    "from:month": (f"{TIME}; default: 31 days ago", {"type": "string"}),
    "meter": ("Id of a meter that people read; all if absent", {"type": "string"}),
    "kind": (
        "Kind of entry; all if absent",
        {"type": "string", "enum": [kind.value for kind in ActivityKind]},
    ),
    "limit": (
        "Largest number of rows",
        {"type": "integer", "minimum": 1, "maximum": LIMIT_MOST, "default": LIMIT_DEFAULT},
    ),
    "by": ("What to sum over", {"type": "string", "enum": list(view.GroupBy)}),
    "period": ("Length of the periods", {"type": "string", "enum": list(view.Period)}),
    "period:balance": (
        "Length of the periods",
        {"type": "string", "enum": list(computed_view.BalancePeriod), "default": "day"},
    ),
    "by:completeness": (
        "Whose time",
        {"type": "string", "enum": list(quality_view.CompletenessBy), "default": "meter"},
    ),
    "period:completeness": (
        "Length of the periods",
        {"type": "string", "enum": list(quality_view.CompletenessPeriod), "default": "day"},
    ),
    "scope": ("Page the values are for", {"type": "string"}),
    "lang": ("Language of the texts", {"type": "string", "enum": ["zh-CN", "en"]}),
}


def description(version: str) -> Schema:
    """The OpenAPI 3.1 document of this API."""
    kinds = (
        *(kind for kind, _, _ in ANSWERS.values()),
        manual_view.ManualOutcome,
        manual_view.ManualNotStored,
        manual_view.VerifyOutcome,
        computed_view.ModelSubmission,
        computed_view.ModelRow,
        quality_view.Corrected,
        factor_view.FactorCheckOutcome,
        factor_view.FactorPackView,
        report_view.ReviewOutcome,
        activity_view.ActivityOutcome,
        answers.NotStored,
        answers.Refusal,
    )
    references, components = msgspec.json.schema_components(
        kinds, ref_template="#/components/schemas/{name}"
    )
    refusal = references[-1]
    paths = {
        path: _get(summary, _json(reference), refusal, names)
        for (path, (_, summary, names)), reference in zip(ANSWERS.items(), references, strict=False)
    }
    of = dict(zip(kinds, references, strict=True))
    paths["/api/v1/models"]["post"] = post_model(
        of[computed_view.ModelSubmission], of[computed_view.ModelRow], refusal
    )
    paths["/api/v1/corrections"] = {"post": post_correction(of[quality_view.Corrected], refusal)}
    paths["/api/v1/manual"]["post"] = post_readings(
        of[manual_view.ManualOutcome], of[manual_view.ManualNotStored], refusal
    )
    paths["/api/v1/manual/verify"] = {
        "post": post_verification(of[manual_view.VerifyOutcome], refusal)
    }
    paths["/api/v1/activity"]["post"] = _post_activity(references[-3], references[-2], refusal)
    paths["/api/v1/reports/{month}"] = _get(
        "The report of a month: figures, factors, findings, reviews",
        _json({"type": "object"}),
        refusal,
        ("month", "lang"),
    )
    paths["/api/v1/reviews"] = {"post": _post_review(references[-4], refusal)}
    paths["/api/v1/factor-packs/check"] = {
        "post": _post_factors(
            "Look for newer factor packs now", of[factor_view.FactorCheckOutcome], refusal
        )
    }
    paths["/api/v1/factor-packs/{hash}"] = {
        "post": _post_decision(of[factor_view.FactorPackView], refusal)
    }
    text = {"schema": {"type": "string"}}
    live = "Live texts of a page as server-sent events"
    paths["/api/v1/live"] = _get(
        live, {"text/event-stream": text}, refusal, ("scope", "device", "lang")
    )
    paths["/metrics"] = _get("Prometheus metrics", {"text/plain": text}, refusal, ())
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tanshu gateway",
            "version": version,
            "description": "Emissions are kgCO2e, shares 0..1, times UTC milliseconds.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _get(summary: str, content: Schema, refusal: Schema, names: tuple[str, ...]) -> Schema:
    failures = {
        "400": {"description": "A parameter is wrong", "content": _json(refusal)},
        "404": {"description": "There is no such thing", "content": _json(refusal)},
        "503": {"description": "The gateway cannot answer now", "content": _json(refusal)},
    }
    return {
        "get": {
            "summary": summary,
            "parameters": [
                _parameter(name, in_path=name == "month" or names == ("device",)) for name in names
            ],
            "responses": {"200": {"description": summary, "content": content}, **failures},
        }
    }


def _post_activity(outcome: Schema, not_stored: Schema, refusal: Schema) -> Schema:
    return {
        "summary": "Enter activity data: one entry, an array, or an object with `entries`",
        "description": (
            "From this machine (and not through a proxy), or with the header "
            "`Authorization: Bearer` and the token of `web.token_file`. Nothing is stored unless "
            "all entries are good, or `keep_good` is true. An entry under a stream and period "
            "(or batch) that is already booked becomes its next revision; the same content "
            "again changes nothing; an amount of null retires."
        ),
        "security": [{}, {"token": []}],
        "requestBody": {
            "required": True,
            "content": _json({"oneOf": [_ENTRY, {"type": "array", "items": _ENTRY}, _SUBMISSION]}),
        },
        "responses": {
            "200": {"description": "Stored, or checked only", "content": _json(outcome)},
            "400": {"description": "Faulty; nothing stored", "content": _json(not_stored)},
            **{
                status: {"description": description, "content": _json(refusal)}
                for status, description in (
                    ("401", "The token is wrong"),
                    ("403", "From another machine, or on behalf of a foreign page"),
                    ("413", "Too large"),
                    ("415", "Not application/json"),
                    ("503", "The gateway cannot store now"),
                )
            },
        },
    }


def _post_review(outcome: Schema, refusal: Schema) -> Schema:
    text: Schema = {"type": "string"}
    body: Schema = {
        "type": "object",
        "required": ["month", "department", "name", "decision"],
        "properties": {
            "month": text,
            "department": {"type": "string", "enum": list(Department)},
            "name": text,
            "decision": {"type": "string", "enum": list(Decision)},
            "note": text,
            "figures": {**text, "description": "Hash of the figures that were read"},
            "settled": {"type": "array", "items": text, "description": "Ids of findings"},
        },
        "additionalProperties": False,
    }
    return {
        "summary": "Review a month: accept (sign) its figures, or return them with a note",
        "description": "Who may write is as for `/api/v1/activity`; a review is never changed.",
        "security": [{}, {"token": []}],
        "requestBody": {"required": True, "content": _json(body)},
        "responses": {
            "200": {"description": "Booked", "content": _json(outcome)},
            **{
                status: {"description": description, "content": _json(refusal)}
                for status, description in (
                    ("400", "Not booked: something lacks, or the figures have changed"),
                    ("401", "The token is wrong"),
                    ("403", "From another machine, or on behalf of a foreign page"),
                    ("415", "Not application/json"),
                    ("503", "The gateway cannot store now"),
                )
            },
        },
    }


def _post_decision(outcome: Schema, refusal: Schema) -> Schema:
    text: Schema = {"type": "string"}
    body: Schema = {
        "type": "object",
        "required": ["decision", "by"],
        "properties": {
            "decision": {"type": "string", "enum": list(factor_view.FactorDecision)},
            "by": text,
            "note": {**text, "description": "Needed where a pack is rejected"},
        },
        "additionalProperties": False,
    }
    described = _post_factors(
        "Approve or reject a factor pack; what is approved holds from the reload that follows",
        outcome,
        refusal,
    )
    return {
        **described,
        "parameters": [_parameter("hash", in_path=True)],
        "requestBody": {"required": True, "content": _json(body)},
    }


def _post_factors(summary: str, outcome: Schema, refusal: Schema) -> Schema:
    return {
        "summary": summary,
        "description": "Who may write is as for `/api/v1/activity`.",
        "security": [{}, {"token": []}],
        "responses": {
            "200": {"description": "Done", "content": _json(outcome)},
            **{
                status: {"description": description, "content": _json(refusal)}
                for status, description in (
                    ("400", "No such pack, or it cannot be decided so"),
                    ("401", "The token is wrong"),
                    ("403", "From another machine, or on behalf of a foreign page"),
                    ("415", "Not application/json"),
                    ("503", "The gateway cannot do it now"),
                )
            },
        },
    }


_ENTRY: Schema = {
    "type": "object",
    "required": ["kind", "item", "amount"],
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
        "keep_good": {"type": "boolean", "default": False},
        "dry_run": {"type": "boolean", "default": False},
    },
    "additionalProperties": False,
}


def _parameter(name: str, *, in_path: bool) -> Schema:
    text, schema = PARAMETERS[name]
    return {
        "name": name.partition(":")[0],
        "in": "path" if in_path else "query",
        "required": in_path,
        "description": text,
        "schema": schema,
    }
