"""`/api/v1/completeness`, `/gaps` and `/corrections`: what is measured, estimated, misread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.core.errors import UsageError
from agent.core.timebase import DAY_MS
from agent.web import answers, params
from agent.web.present import site_zone
from agent.web.quality_view import (
    LONGEST_DAYS,
    CompletenessAnswer,
    CompletenessBy,
    CompletenessPeriod,
    CompletenessQuery,
    GapsAnswer,
)
from agent.web.recent import RecentView
from agent.web.writing import WriteRefusal, check_may_write, read_body


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityEndpoints:
    """The handlers of data completeness and corrections."""

    recent: RecentView

    async def listed(self, request: Request) -> Response:
        site = (await self.recent.snapshot()).site
        asked = request.query_params
        params.known_only(asked, "by", "period", "from", "to")
        from_ms, to_ms = params.span(asked, site.now_ms, site_zone(site.timezone))
        if to_ms - from_ms > LONGEST_DAYS * DAY_MS:
            raise UsageError("the span is too long", where="to", hint=f"{LONGEST_DAYS} days")
        query = CompletenessQuery(
            from_ms=from_ms,
            to_ms=to_ms,
            by=params.choice(asked, "by", CompletenessBy.METER),
            period=params.choice(asked, "period", CompletenessPeriod.DAY),
        )
        rows = await self.recent.view.quality.completeness(query)
        answer = CompletenessAnswer(
            from_ms=from_ms, to_ms=to_ms, by=query.by, period=query.period, periods=tuple(rows)
        )
        return _json(answer)

    async def gaps(self, request: Request) -> Response:
        site = (await self.recent.snapshot()).site
        asked = request.query_params
        params.known_only(asked, "from", "to", "limit")
        from_ms, to_ms = params.span(asked, site.now_ms, site_zone(site.timezone))
        most = params.limit(asked)
        rows = await self.recent.view.quality.gaps(from_ms, to_ms)
        answer = GapsAnswer(
            from_ms=from_ms, to_ms=to_ms, truncated=len(rows) > most, gaps=tuple(rows[:most])
        )
        return _json(answer)

    async def corrected(self, request: Request) -> Response:
        params.known_only(request.query_params)
        try:
            check_may_write(request, self.recent.view.write_token)
            body = await read_body(request)
        except WriteRefusal as refused:
            refusal = answers.Refusal(what=refused.what, where=refused.where, hint=refused.hint)
            return _json(refusal, refused.status)
        try:
            fields = msgspec.json.decode(body, type=dict[str, object])
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise UsageError(f"is not one JSON object: {error}", where="body") from None
        return _json(await self.recent.view.quality.correct(fields))

    def routes(self) -> Sequence[Route]:
        return (
            Route("/api/v1/completeness", self.listed),
            Route("/api/v1/gaps", self.gaps),
            Route("/api/v1/corrections", self.corrected, methods=["POST"]),
        )


def _json(content: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
