"""`/factors` and `/api/v1/factor-packs`: what waits for an approval, and the approval itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.core.errors import UsageError
from agent.web import answers, params
from agent.web.factor_view import FactorDecision, FactorDecisionSubmission
from agent.web.pages import Pages
from agent.web.recent import RecentView
from agent.web.writing import WriteRefusal, check_may_write, read_body

DECISION_KEYS = ("decision", "by", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorEndpoints:
    """The handlers of factor packs."""

    recent: RecentView
    pages_for: Callable[[Request], Pages]
    html: Callable[[Request, str], Response]

    async def page(self, request: Request) -> Response:
        snapshot = await self.recent.snapshot()
        packs = await self.recent.view.factor_packs()
        return self.html(request, self.pages_for(request).factors(snapshot, packs))

    async def listed(self, request: Request) -> Response:
        params.known_only(request.query_params)
        return _json(answers.FactorPacks(packs=tuple(await self.recent.view.factor_packs())))

    async def checked(self, request: Request) -> Response:
        body = await self._writing(request)
        return body if isinstance(body, Response) else _json(await self.recent.view.check_factors())

    async def decided(self, request: Request) -> Response:
        body = await self._writing(request)
        if isinstance(body, Response):
            return body
        submission = read_decision(request.path_params["hash"], body)
        return _json(await self.recent.view.decide_factors(submission))

    async def _writing(self, request: Request) -> bytes | Response:
        """The body of a request that may write, or the answer to one that may not."""
        params.known_only(request.query_params)
        try:
            check_may_write(request, self.recent.view.write_token)
            return await read_body(request)
        except WriteRefusal as refused:
            return _json(
                answers.Refusal(what=refused.what, where=refused.where, hint=refused.hint),
                refused.status,
            )

    def routes(self) -> Sequence[Route]:
        return (
            Route("/factors", self.page),
            Route("/api/v1/factor-packs", self.listed),
            Route("/api/v1/factor-packs/check", self.checked, methods=["POST"]),
            Route("/api/v1/factor-packs/{hash}", self.decided, methods=["POST"]),
        )


def read_decision(digest: str, body: bytes) -> FactorDecisionSubmission:
    """A decision as it is posted.

    Raises:
        UsageError: it is not JSON, or a key is missing, unknown or of another type.
    """
    try:
        value: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise UsageError(f"is not JSON: {error}", where="body", hint="UTF-8 JSON") from None
    if not isinstance(value, dict):
        raise UsageError("is not an object", where="body", hint="{decision, by, note}")
    for key, written in value.items():
        if key not in DECISION_KEYS or not isinstance(written, str):
            known = ", ".join(DECISION_KEYS)
            raise UsageError("unknown, or not text", where=key[:80], hint=f"texts: {known}")
    if value.get("decision") not in list(FactorDecision):
        raise UsageError("is missing or unknown", where="decision", hint="approve or reject")
    return FactorDecisionSubmission(
        hash=digest,
        decision=FactorDecision(value["decision"]),
        by=value.get("by", ""),
        note=value.get("note", ""),
    )


def _json(content: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
