"""`/api/v1/balance` and `/api/v1/models`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.core.errors import UsageError
from agent.web import answers, params
from agent.web.computed_view import (
    BalancePeriod,
    BalanceQuery,
    Balances,
    ModelList,
    ModelSubmission,
)
from agent.web.present import site_zone
from agent.web.recent import RecentView
from agent.web.writing import WriteRefusal, check_may_write, read_body


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputedEndpoints:
    """The handlers of balances and models."""

    recent: RecentView

    async def balance(self, request: Request) -> Response:
        query = request.query_params
        params.known_only(query, "period", "from", "to", "limit")
        site = (await self.recent.snapshot()).site
        from_ms, to_ms = params.span(query, site.now_ms, site_zone(site.timezone))
        asked = BalanceQuery(
            from_ms=from_ms,
            to_ms=to_ms,
            limit=params.limit(query),
            period=params.choice(query, "period", BalancePeriod.DAY),
        )
        rows = await self.recent.view.computed.balances(asked)
        return _json(
            Balances(
                from_ms=from_ms,
                to_ms=to_ms,
                period=asked.period,
                truncated=len(rows) >= asked.limit,
                balances=tuple(rows),
            )
        )

    async def models(self, request: Request) -> Response:
        params.known_only(request.query_params, "stream")
        rows = await self.recent.view.computed.models(request.query_params.get("stream"))
        return _json(ModelList(models=tuple(rows)))

    async def add_model(self, request: Request) -> Response:
        params.known_only(request.query_params)
        try:
            check_may_write(request, self.recent.view.write_token)
            body = await read_body(request)
        except WriteRefusal as refused:
            return _json(
                answers.Refusal(what=refused.what, where=refused.where, hint=refused.hint),
                refused.status,
            )
        return _json(await self.recent.view.computed.add_model(read_model(body)))

    def routes(self) -> Sequence[Route]:
        return (
            Route("/api/v1/balance", self.balance),
            Route("/api/v1/models", self.models),
            Route("/api/v1/models", self.add_model, methods=["POST"]),
        )


def read_model(body: bytes) -> ModelSubmission:
    """A model as it is posted.

    Raises:
        UsageError: it is not JSON, or a key is missing or of another type.
    """
    try:
        return msgspec.json.decode(body, type=ModelSubmission)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise UsageError(
            f"is no model: {error}", where="body", hint="as `tanshu model fit --json` prints it"
        ) from None


def _json(content: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
