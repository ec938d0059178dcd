"""`/api/v1/manual`: readings that people take, and what they have to verify."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.core.errors import UsageError
from agent.core.manual import PREFIX
from agent.web import answers, params
from agent.web.activity import decoded, submitted_entries, submitted_files
from agent.web.manual_view import (
    ManualEntries,
    ManualNotStored,
    ManualOutcome,
    ManualQuery,
    ManualSubmission,
    VerifySubmission,
)
from agent.web.present import site_zone
from agent.web.recent import RecentView
from agent.web.writing import WriteRefusal, check_may_write, read_body

DEFAULT_DAYS = 31


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualEndpoints:
    """The handlers of readings that people take."""

    recent: RecentView

    async def listed(self, request: Request) -> Response:
        site = (await self.recent.snapshot()).site
        query = manual_query(request.query_params, site.now_ms, site_zone(site.timezone))
        rows = await self.recent.view.manual.current(query)
        return _json(
            ManualEntries(
                from_ms=query.from_ms,
                to_ms=query.to_ms,
                truncated=len(rows) >= query.limit,
                entries=tuple(rows),
            )
        )

    async def entered(self, request: Request) -> Response:
        body = await self._body(request)
        if isinstance(body, Response):
            return body
        outcome = await self.recent.view.manual.add(read_submission(body))
        return _json(_not_stored(outcome), 400) if outcome.errors else _json(outcome)

    async def tasks(self, request: Request) -> Response:
        params.known_only(request.query_params)
        return _json(await self.recent.view.manual.tasks())

    async def verified(self, request: Request) -> Response:
        body = await self._body(request)
        if isinstance(body, Response):
            return body
        return _json(await self.recent.view.manual.verify(read_verification(body)))

    def routes(self) -> Sequence[Route]:
        return (
            Route("/api/v1/manual", self._either, methods=["GET", "POST"]),
            Route("/api/v1/manual/tasks", self.tasks),
            Route("/api/v1/manual/verify", self.verified, methods=["POST"]),
        )

    async def _either(self, request: Request) -> Response:
        return await (self.entered(request) if request.method == "POST" else self.listed(request))

    async def _body(self, request: Request) -> bytes | Response:
        """What was sent, or the refusal of a request that may not write."""
        params.known_only(request.query_params)
        try:
            check_may_write(request, self.recent.view.write_token)
            return await read_body(request)
        except WriteRefusal as refused:
            answer = answers.Refusal(what=refused.what, where=refused.where, hint=refused.hint)
            return _json(answer, refused.status)


def manual_query(query: Mapping[str, str], now_ms: int, zone: tzinfo) -> ManualQuery:
    """The query of a list; by default the last 31 days."""
    params.known_only(query, "meter", "from", "to", "limit")
    begin = datetime.fromtimestamp(now_ms / 1000, zone) - timedelta(days=DEFAULT_DAYS)
    from_ms = params.time_ms(query, "from", round(begin.timestamp() * 1000), zone)
    to_ms = params.time_ms(query, "to", max(now_ms + 1, from_ms), zone)
    if to_ms < from_ms:
        raise UsageError("lies before `from`", where="to", hint="exchange the two")
    meter = query.get("meter")
    return ManualQuery(
        from_ms=from_ms,
        to_ms=to_ms,
        limit=params.limit(query),
        stream=None if meter is None else PREFIX + meter.removeprefix(PREFIX),
    )


def read_submission(body: bytes) -> ManualSubmission:
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
        if name not in ("entries", "files", "dry_run"):
            raise UsageError("unknown key", where=name[:80], hint="one of entries, files, dry_run")
    dry_run = wrapper.get("dry_run", False)
    if not isinstance(dry_run, bool):
        raise UsageError("is neither true nor false", where="dry_run", hint="true or false")
    return ManualSubmission(
        entries=submitted_entries(wrapper["entries"]),
        files=submitted_files(wrapper.get("files", {})),
        dry_run=dry_run,
    )


def read_verification(body: bytes) -> VerifySubmission:
    """What a person says of a task.

    Raises:
        UsageError: it is no such object.
    """
    try:
        return msgspec.convert(decoded(body), VerifySubmission)
    except msgspec.ValidationError as error:
        raise UsageError(
            str(error), where="body", hint="{task, author, value or accept, unit, note}"
        ) from None


def _not_stored(outcome: ManualOutcome) -> ManualNotStored:
    first, count = outcome.errors[0], len(outcome.errors)
    return ManualNotStored(
        what=f"{count} fault{'s' if count > 1 else ''}, first: {first.what}",
        where=f"entries[{first.index}].{first.where}",
        hint=first.hint,
        stored=False,
        entries=outcome.entries,
        errors=outcome.errors,
        warnings=outcome.warnings,
    )


def _json(content: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
