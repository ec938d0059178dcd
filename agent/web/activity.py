"""`/api/v1/activity`: what no meter reads, read and entered."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from hashlib import sha256
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.core.activity import ActivityKind, Origin
from agent.core.errors import UsageError
from agent.web import answers, params
from agent.web.activity_view import ActivityOutcome, ActivityQuery, ActivitySubmission
from agent.web.present import site_zone
from agent.web.recent import RecentView
from agent.web.writing import WriteRefusal, check_may_write, read_body

MOST_ENTRIES = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityEndpoints:
    """The handlers of activity data."""

    recent: RecentView

    async def listed(self, request: Request) -> Response:
        site = (await self.recent.snapshot()).site
        query = activity_query(request.query_params, site.now_ms, site_zone(site.timezone))
        rows = await self.recent.view.activity(query)
        return _json(
            answers.Activity(
                from_ms=query.from_ms,
                to_ms=query.to_ms,
                truncated=len(rows) >= query.limit,
                entries=tuple(rows),
            )
        )

    async def entered(self, request: Request) -> Response:
        params.known_only(request.query_params)
        try:
            check_may_write(request, self.recent.view.write_token)
            body = await read_body(request)
        except WriteRefusal as refused:
            return _json(
                answers.Refusal(what=refused.what, where=refused.where, hint=refused.hint),
                refused.status,
            )
        outcome = await self.recent.view.add_activity(read_submission(body))
        if outcome.errors and not outcome.stored:
            return _json(_not_stored(outcome), 400)
        return _json(outcome)

    def routes(self) -> Sequence[Route]:
        return (Route("/api/v1/activity", self._either, methods=["GET", "POST"]),)

    async def _either(self, request: Request) -> Response:
        return await (self.entered(request) if request.method == "POST" else self.listed(request))


def activity_query(query: Mapping[str, str], now_ms: int, zone: tzinfo) -> ActivityQuery:
    """The query of a list; by default the site's year so far."""
    params.known_only(query, "kind", "from", "to", "limit")
    year = datetime.fromtimestamp(now_ms / 1000, zone).year
    january = datetime(year, 1, 1, tzinfo=zone)
    from_ms = params.time_ms(query, "from", round(january.timestamp() * 1000), zone)
    to_ms = params.time_ms(query, "to", max(now_ms, from_ms), zone)
    if to_ms < from_ms:
        raise UsageError("lies before `from`", where="to", hint="exchange the two")
    kind = query.get("kind")
    return ActivityQuery(
        from_ms=from_ms,
        to_ms=to_ms,
        limit=params.limit(query),
        kind=None if kind is None else params.choice(query, "kind", ActivityKind.RAW_MATERIAL),
    )


def read_submission(body: bytes) -> ActivitySubmission:
    """One entry, an array of entries, or an object with ``entries`` and documents.

    Raises:
        UsageError: it is none of them.
    """
    value = decoded(body)
    if isinstance(value, dict) and "entries" in value:
        wrapper = value
    else:
        wrapper = {"entries": value if isinstance(value, list) else [value]}
    for name in wrapper:
        if name not in ("entries", "files", "keep_good", "dry_run"):
            raise UsageError(
                "unknown key", where=name[:80], hint="one of entries, files, keep_good, dry_run"
            )
    return ActivitySubmission(
        entries=submitted_entries(wrapper["entries"]),
        files=submitted_files(wrapper.get("files", {})),
        origin=Origin.API,
        keep_good=_flag(wrapper, "keep_good"),
        dry_run=_flag(wrapper, "dry_run"),
    )


def decoded(body: bytes) -> Any:
    """The value of a JSON body.

    Raises:
        UsageError: it is not JSON.
    """
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise UsageError(f"is not JSON: {error}", where="body", hint="UTF-8 JSON") from None


def submitted_entries(value: object) -> tuple[dict[str, object], ...]:
    """The objects of an array, at least one and not too many."""
    if not isinstance(value, list) or not value:
        raise UsageError("holds no entry", where="entries", hint="send one or more objects")
    if len(value) > MOST_ENTRIES:
        raise UsageError(
            f"{len(value)} entries at once", where="entries", hint=f"at most {MOST_ENTRIES}"
        )
    for index, entry in enumerate(value):
        if not isinstance(entry, dict):
            raise UsageError(
                "is not an object", where=f"entries[{index}]", hint="{kind, item, amount, …}"
            )
    return tuple(value)


def submitted_files(value: object) -> dict[str, bytes]:
    """Documents by their SHA-256, checked against it."""
    if not isinstance(value, dict):
        raise UsageError("is not an object", where="files", hint="{SHA-256: Base64}")
    files: dict[str, bytes] = {}
    for digest, text in value.items():
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError, TypeError):
            raise UsageError(
                "is not Base64", where=f"files.{digest[:64]}", hint="Base64 of the whole file"
            ) from None
        if sha256(data).hexdigest() != digest:
            raise UsageError(
                "is not the SHA-256 of what follows it",
                where=f"files.{digest[:64]}",
                hint="64 lower-case hex digits over the file's bytes",
            )
        files[digest] = data
    return files


def _flag(wrapper: Mapping[str, object], name: str) -> bool:
    value = wrapper.get(name, False)
    if not isinstance(value, bool):
        raise UsageError("is neither true nor false", where=name, hint="true or false")
    return value


def _not_stored(outcome: ActivityOutcome) -> answers.NotStored:
    first = outcome.errors[0]
    count = len(outcome.errors)
    return answers.NotStored(
        what=f"{count} fault{'s' if count > 1 else ''}, first: {first.what}",
        where=f"entries[{first.index}].{first.where}",
        hint=first.hint,
        stored=False,
        entries=outcome.entries,
        errors=outcome.errors,
        warnings=outcome.warnings,
    )


def _json(content: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
