"""The OpenAPI description: addresses and parameters by hand, schemas from the records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from agent.core.model import Event, Window
from agent.web import view
from agent.web.params import LIMIT_DEFAULT, LIMIT_MOST

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The gateway without its devices."""

    site: view.SiteView
    totals: view.EmissionTotals
    buses: tuple[view.BusView, ...]
    targets: tuple[view.TargetView, ...]
    counts: view.Counts
    alive: bool
    problems: tuple[view.Problem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    devices: tuple[view.DeviceView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """``truncated``: the limit was reached, ask for a shorter span."""

    from_ms: int
    to_ms: int
    truncated: bool
    windows: tuple[Window, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Emissions:
    from_ms: int
    to_ms: int
    by: view.GroupBy
    period: view.Period
    truncated: bool
    emissions: tuple[view.EmissionRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    from_ms: int
    to_ms: int
    truncated: bool
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    status: str
    problems: tuple[view.Problem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Every error: what is wrong, where, and what to do next."""

    what: str
    where: str
    hint: str


ANSWERS: dict[str, tuple[type, str, tuple[str, ...]]] = {
    "/healthz": (Health, "200 while polling and writing progress, else 503", ()),
    "/api/v1/status": (Status, "Site, totals, buses, targets", ()),
    "/api/v1/devices": (Devices, "Every device with its latest values and emissions", ()),
    "/api/v1/devices/{device}": (
        view.DeviceDetail,
        "One device: streams, factors, latest windows and emissions",
        ("device",),
    ),
    "/api/v1/windows": (
        Windows,
        "Current revisions of windows, by start",
        ("stream", "from", "to", "limit"),
    ),
    "/api/v1/emissions": (
        Emissions,
        "Sums of emissions, by start",
        ("by", "period", "from", "to", "limit"),
    ),
    "/api/v1/events": (Events, "Events, newest first", ("from", "to", "limit")),
}

TIME = "UTC milliseconds or ISO 8601 (without offset: the site's time)"
PARAMETERS: dict[str, tuple[str, Schema]] = {
    "device": ("Id of a device", {"type": "string"}),
    "stream": ("Id of a stream, «meter.point»; all streams if absent", {"type": "string"}),
    "from": (f"{TIME}; default: the start of the site's today", {"type": "string"}),
    "to": (f"{TIME}; exclusive; default: now", {"type": "string"}),
    "limit": (
        "Largest number of rows",
        {"type": "integer", "minimum": 1, "maximum": LIMIT_MOST, "default": LIMIT_DEFAULT},
    ),
    "by": ("What to sum over", {"type": "string", "enum": list(view.GroupBy)}),
    "period": ("Length of the periods", {"type": "string", "enum": list(view.Period)}),
    "scope": ("Page the values are for", {"type": "string"}),
    "lang": ("Language of the texts", {"type": "string", "enum": ["zh-CN", "en"]}),
}


def description(version: str) -> Schema:
    """The OpenAPI 3.1 document of this API."""
    kinds = (*(kind for kind, _, _ in ANSWERS.values()), Refusal)
    references, components = msgspec.json.schema_components(
        kinds, ref_template="#/components/schemas/{name}"
    )
    refusal = references[-1]
    paths = {
        path: _get(summary, _json(reference), refusal, names)
        for (path, (_, summary, names)), reference in zip(ANSWERS.items(), references, strict=False)
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
        "components": {"schemas": components},
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
                _parameter(name, in_path=name == "device" and len(names) == 1) for name in names
            ],
            "responses": {"200": {"description": summary, "content": content}, **failures},
        }
    }


def _parameter(name: str, *, in_path: bool) -> Schema:
    text, schema = PARAMETERS[name]
    return {
        "name": name,
        "in": "path" if in_path else "query",
        "required": in_path,
        "description": text,
        "schema": schema,
    }
