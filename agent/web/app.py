"""The ASGI application: pages, API, metrics; every answer carries the security headers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import agent
from agent.config.language import LANGUAGES, load_language
from agent.core.errors import TanshuError, UsageError
from agent.web import answers, metrics, params
from agent.web.activity import ActivityEndpoints
from agent.web.assets import load_assets
from agent.web.computed import ComputedEndpoints
from agent.web.computed_view import BalanceQuery
from agent.web.factors import FactorEndpoints
from agent.web.live import LiveFrames, Subject, live_messages
from agent.web.manual import ManualEndpoints
from agent.web.pages import Pages, templates
from agent.web.present import site_zone
from agent.web.quality import QualityEndpoints
from agent.web.recent import RecentView
from agent.web.reports import ReportEndpoints
from agent.web.texts import Scope as PageScope
from agent.web.view import DeviceDetail, GatewayView

LANGUAGE_COOKIE = "lang"
COOKIE_AGE_S = 365 * 24 * 3600
LIVE_CONNECTIONS = 100
EVENTS_ON_PAGE = 200
EVENTS_DAYS = 7
BALANCES_ON_PAGE = 200
BATCHES_ON_PAGE = 50
DAY_MS = 86_400_000

HEADERS: dict[bytes, bytes] = {
    b"content-security-policy": (
        b"default-src 'self'; base-uri 'none'; form-action 'self'; "
        b"frame-ancestors 'none'; object-src 'none'"
    ),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"permissions-policy": b"camera=(), microphone=(), geolocation=()",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}


class SecurityHeaders:
    """Adds the security headers, and `no-store` where a response says nothing about caching."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *HEADERS.items()]
                if b"cache-control" not in present:
                    message["headers"].append((b"cache-control", b"no-store"))
            await send(message)

        await self.app(scope, receive, send_with_headers)


def json_response(content: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """The handlers; everything they need is given."""

    recent: RecentView
    frames: LiveFrames
    pages: dict[str, Pages]
    language: str
    live_period_s: float
    live_open: list[int]  # open live streams; one cell that the streams share

    def pages_for(self, request: Request) -> Pages:
        asked = (request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE))
        return self.pages[next((code for code in asked if code in LANGUAGES), self.language)]

    def html(self, request: Request, content: str, status: int = 200) -> Response:
        response = HTMLResponse(content, status)
        asked = request.query_params.get("lang")
        if asked in LANGUAGES:
            response.set_cookie(
                LANGUAGE_COOKIE, asked, max_age=COOKIE_AGE_S, httponly=True, samesite="strict"
            )
        return response

    async def overview(self, request: Request) -> Response:
        snapshot = await self.recent.snapshot()
        return self.html(request, self.pages_for(request).overview(snapshot))

    async def device_page(self, request: Request) -> Response:
        detail = await self._detail(request.path_params["device"])
        snapshot = await self.recent.snapshot()
        return self.html(request, self.pages_for(request).device(snapshot, detail))

    async def buses(self, request: Request) -> Response:
        snapshot = await self.recent.snapshot()
        now_ms = snapshot.site.now_ms
        days = BalanceQuery(
            from_ms=max(0, now_ms - DAY_MS), to_ms=now_ms + 1, limit=BALANCES_ON_PAGE
        )
        balances = await self.recent.view.computed.balances(days)
        return self.html(request, self.pages_for(request).buses(snapshot, balances))

    async def delivery(self, request: Request) -> Response:
        snapshot = await self.recent.snapshot()
        batches = await self.recent.view.batches(BATCHES_ON_PAGE) if snapshot.targets else ()
        return self.html(request, self.pages_for(request).delivery(snapshot, batches))

    async def events_page(self, request: Request) -> Response:
        snapshot = await self.recent.snapshot()
        to_ms = snapshot.site.now_ms + 1
        from_ms = max(0, to_ms - EVENTS_DAYS * DAY_MS)
        events = await self.recent.view.events(from_ms, to_ms, EVENTS_ON_PAGE)
        return self.html(request, self.pages_for(request).events(snapshot, events))

    async def status(self, request: Request) -> Response:
        params.known_only(request.query_params)
        snapshot = await self.recent.snapshot()
        return json_response(
            answers.Status(
                site=snapshot.site,
                totals=snapshot.totals,
                buses=snapshot.buses,
                targets=snapshot.targets,
                counts=snapshot.counts,
                alive=snapshot.alive,
                problems=snapshot.problems,
                factor_packs=snapshot.factor_packs,
            )
        )

    async def devices(self, request: Request) -> Response:
        params.known_only(request.query_params)
        snapshot = await self.recent.snapshot()
        return json_response(answers.Devices(devices=snapshot.devices))

    async def device(self, request: Request) -> Response:
        params.known_only(request.query_params)
        return json_response(await self._detail(request.path_params["device"]))

    async def windows(self, request: Request) -> Response:
        now_ms, zone = await self._now()
        query = params.window_query(request.query_params, now_ms, zone)
        rows = await self.recent.view.windows(query)
        return json_response(
            answers.Windows(
                from_ms=query.from_ms,
                to_ms=query.to_ms,
                truncated=len(rows) >= query.limit,
                windows=tuple(rows),
            )
        )

    async def emissions(self, request: Request) -> Response:
        now_ms, zone = await self._now()
        query = params.emission_query(request.query_params, now_ms, zone)
        rows = await self.recent.view.emissions(query)
        return json_response(
            answers.Emissions(
                from_ms=query.from_ms,
                to_ms=query.to_ms,
                by=query.by,
                period=query.period,
                truncated=len(rows) >= query.limit,
                emissions=tuple(rows),
            )
        )

    async def events(self, request: Request) -> Response:
        params.known_only(request.query_params, "from", "to", "limit")
        now_ms, zone = await self._now()
        from_ms, to_ms = params.span(request.query_params, now_ms + 1, zone)
        limit = params.limit(request.query_params)
        rows = await self.recent.view.events(from_ms, to_ms, limit)
        return json_response(
            answers.Events(
                from_ms=from_ms, to_ms=to_ms, truncated=len(rows) >= limit, events=tuple(rows)
            )
        )

    async def live(self, request: Request) -> Response:
        params.known_only(request.query_params, "scope", "device", "lang")
        scope = params.choice(request.query_params, "scope", PageScope.OVERVIEW)
        device = request.query_params.get("device")
        if scope is PageScope.DEVICE:
            await self._detail(device or "")
        if self.live_open[0] >= LIVE_CONNECTIONS:
            raise HTTPException(503, "too many live connections")
        stop: asyncio.Event = request.app.state.stop
        subject = Subject(
            scope=scope,
            device=device if scope is PageScope.DEVICE else None,
            language=self.pages_for(request).text.code,
        )

        async def counted() -> AsyncIterator[bytes]:
            self.live_open[0] += 1
            try:
                messages = live_messages(
                    self.frames, subject, period_s=self.live_period_s, stop=stop
                )
                async for message in messages:
                    yield message
            finally:
                self.live_open[0] -= 1

        return StreamingResponse(counted(), media_type="text/event-stream")

    async def healthz(self, request: Request) -> Response:
        snapshot = await self.recent.snapshot()
        answer = answers.Health(
            status="ok" if snapshot.alive else "failing", problems=snapshot.problems
        )
        return json_response(answer, 200 if snapshot.alive else 503)

    async def metrics(self, request: Request) -> Response:
        text = metrics.prometheus_text(await self.recent.snapshot())
        return Response(text, headers={"content-type": metrics.MEDIA_TYPE})

    async def openapi(self, request: Request) -> Response:
        # rarely asked for, and it holds the schema of everything
        from agent.web.openapi import description

        return json_response(description(agent.__version__))

    async def _detail(self, device: str) -> DeviceDetail:
        detail = await self.recent.device(device)
        if detail is None:
            raise HTTPException(404, "no such device")
        return detail

    async def _now(self) -> tuple[int, tzinfo]:
        site = (await self.recent.snapshot()).site
        return site.now_ms, site_zone(site.timezone)

    def routes(self) -> Sequence[Route]:
        return (
            Route("/", self.overview),
            Route("/devices/{device}", self.device_page),
            Route("/buses", self.buses),
            Route("/delivery", self.delivery),
            Route("/events", self.events_page),
            Route("/api/v1/status", self.status),
            Route("/api/v1/devices", self.devices),
            Route("/api/v1/devices/{device}", self.device),
            Route("/api/v1/windows", self.windows),
            Route("/api/v1/emissions", self.emissions),
            Route("/api/v1/events", self.events),
            *ActivityEndpoints(recent=self.recent).routes(),
            *ManualEndpoints(recent=self.recent).routes(),
            *ComputedEndpoints(recent=self.recent).routes(),
            *QualityEndpoints(recent=self.recent).routes(),
            *ReportEndpoints(recent=self.recent, pages_for=self.pages_for, html=self.html).routes(),
            *FactorEndpoints(recent=self.recent, pages_for=self.pages_for, html=self.html).routes(),
            Route("/api/v1/live", self.live),
            Route("/healthz", self.healthz),
            Route("/metrics", self.metrics),
            Route("/openapi.json", self.openapi),
        )


def create_app(view: GatewayView, *, language: str, live_period_s: float = 2.0) -> Starlette:
    """The application over a view of the gateway.

    ``language`` is used where a browser has not chosen one. Live values are sent every
    ``live_period_s`` seconds; answers to other requests are at most half as old. Raises
    LanguageError if a language file is broken.
    """
    assets = load_assets()
    environment = templates(assets)
    texts = {code: load_language(code) for code in LANGUAGES}
    recent = RecentView(view, max_age_s=live_period_s / 2)
    endpoints = Endpoints(
        recent=recent,
        frames=LiveFrames(recent, texts),
        pages={code: Pages(environment=environment, text=text) for code, text in texts.items()},
        language=load_language(language).code,
        live_period_s=live_period_s,
        live_open=[0],
    )

    async def static(request: Request) -> Response:
        asset = assets.files.get(request.path_params["name"])
        if asset is None:
            raise HTTPException(404)
        current = request.query_params.get("v") == asset.version
        headers = {
            "cache-control": "public, max-age=31536000, immutable" if current else "no-cache",
            "vary": "accept-encoding",
        }
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
            return Response(asset.packed, media_type=asset.media_type, headers=headers)
        return Response(asset.plain, media_type=asset.media_type, headers=headers)

    app = Starlette(
        routes=[*endpoints.routes(), Route("/static/{name}", static)],
        middleware=[Middleware(SecurityHeaders), Middleware(GZipMiddleware, compresslevel=6)],
        exception_handlers=_handlers(endpoints),
    )
    app.router.redirect_slashes = False  # it would build an address from the Host header
    app.state.stop = asyncio.Event()
    return app


Handler = Callable[[Request, Exception], Awaitable[Response]]


def _handlers(endpoints: Endpoints) -> dict[Any, Handler]:
    async def refused(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        text = endpoints.pages_for(request).text
        known = {404: "error.not_found", 405: "error.method", 503: "error.busy"}
        return _answer(request, status, text(known.get(status, "error.internal")), "", "")

    async def failed(request: Request, error: Exception) -> Response:
        known = error if isinstance(error, TanshuError) else TanshuError(str(error))
        status = 400 if isinstance(error, UsageError) else 503
        return _answer(request, status, known.what, known.where, known.hint)

    async def broken(request: Request, error: Exception) -> Response:
        response = await refused(request, error)
        # this handler stands outside the middleware that adds the headers
        response.headers.update({name.decode(): value.decode() for name, value in HEADERS.items()})
        return response

    def _answer(request: Request, status: int, what: str, where: str, hint: str) -> Response:
        path = request.url.path
        if path.startswith(("/api/", "/healthz", "/metrics", "/openapi", "/static/")):
            place = where or path
            advice = hint or "see /openapi.json"
            return json_response(answers.Refusal(what=what, where=place, hint=advice), status)
        shown = f"{where}: {what}" if where else what
        return endpoints.html(
            request, endpoints.pages_for(request).error(status, shown, hint), status
        )

    return {HTTPException: refused, TanshuError: failed, Exception: broken}
