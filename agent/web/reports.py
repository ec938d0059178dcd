"""`/reports`: the months, each report in the page's frame, and its files; reviews over the API."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.core.errors import UsageError
from agent.core.report.model import Decision, Department
from agent.core.report.month import Month
from agent.web import answers, params
from agent.web.pages import Pages
from agent.web.recent import RecentView
from agent.web.report_view import ReportForm, ReviewSubmission
from agent.web.writing import WriteRefusal, check_may_write, read_body

Choice = TypeVar("Choice", bound=StrEnum)

MEDIA_TYPES = {
    ReportForm.HTML: "text/html; charset=utf-8",
    ReportForm.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
REVIEW_KEYS = ("month", "department", "name", "decision", "note", "figures", "settled")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportEndpoints:
    """The handlers of monthly reports."""

    recent: RecentView
    pages_for: Callable[[Request], Pages]
    html: Callable[[Request, str], Response]

    async def listed(self, request: Request) -> Response:
        snapshot = await self.recent.snapshot()
        months = await self.recent.view.report_months()
        return self.html(request, self.pages_for(request).reports(snapshot, months))

    async def page(self, request: Request) -> Response:
        month = _month(request)
        pages = self.pages_for(request)
        body = await self.recent.view.report(month, ReportForm.BODY, pages.text.code)
        snapshot = await self.recent.snapshot()
        return self.html(request, pages.report(snapshot, month, body.decode()))

    async def workbook(self, request: Request) -> Response:
        return await self._file(request, ReportForm.XLSX)

    async def print_file(self, request: Request) -> Response:
        return await self._file(request, ReportForm.HTML)

    async def _file(self, request: Request, form: ReportForm) -> Response:
        month = _month(request)
        language = self.pages_for(request).text.code
        content = await self.recent.view.report(month, form, language)
        site = (await self.recent.snapshot()).site.id
        name = f"tanshu-{site}-{month}.{form}"
        return Response(
            content,
            media_type=MEDIA_TYPES[form],
            headers={"content-disposition": f'attachment; filename="{name}"'},
        )

    async def months(self, request: Request) -> Response:
        params.known_only(request.query_params)
        return _json(answers.Reports(months=tuple(await self.recent.view.report_months())))

    async def document(self, request: Request) -> Response:
        params.known_only(request.query_params, "lang")
        month = Month.parse(request.path_params["month"])
        language = self.pages_for(request).text.code
        content = await self.recent.view.report(month, ReportForm.JSON, language)
        return Response(content, media_type="application/json")

    async def review(self, request: Request) -> Response:
        params.known_only(request.query_params)
        try:
            check_may_write(request, self.recent.view.write_token)
            body = await read_body(request)
        except WriteRefusal as refused:
            return _json(
                answers.Refusal(what=refused.what, where=refused.where, hint=refused.hint),
                refused.status,
            )
        return _json(await self.recent.view.add_review(read_review(body)))

    def routes(self) -> Sequence[Route]:
        return (
            Route("/reports", self.listed),
            Route("/reports/{month}.xlsx", self.workbook),
            Route("/reports/{month}.html", self.print_file),
            Route("/reports/{month}", self.page),
            Route("/api/v1/reports", self.months),
            Route("/api/v1/reports/{month}", self.document),
            Route("/api/v1/reviews", self.review, methods=["POST"]),
        )


def _month(request: Request) -> Month:
    try:
        return Month.parse(request.path_params["month"])
    except UsageError:
        raise HTTPException(404, "no such month") from None


def read_review(body: bytes) -> ReviewSubmission:
    """A review as it is posted.

    Raises:
        UsageError: it is not JSON, or a key is missing, unknown or of another type.
    """
    try:
        value: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise UsageError(f"is not JSON: {error}", where="body", hint="UTF-8 JSON") from None
    if not isinstance(value, dict):
        raise UsageError("is not an object", where="body", hint="{month, department, name, …}")
    for key in value:
        if key not in REVIEW_KEYS:
            raise UsageError("unknown key", where=key[:80], hint=f"one of {', '.join(REVIEW_KEYS)}")
    settled = value.get("settled", [])
    if not isinstance(settled, list) or not all(isinstance(item, str) for item in settled):
        raise UsageError("is not an array of ids", where="settled", hint='["…", …]')
    return ReviewSubmission(
        month=Month.parse(_text(value, "month")),
        department=_choice(Department, value, "department"),
        name=_text(value, "name"),
        decision=_choice(Decision, value, "decision"),
        note=_text(value, "note", ""),
        figures=_text(value, "figures", ""),
        settled=tuple(settled),
    )


def _text(value: dict[str, Any], key: str, default: str | None = None) -> str:
    found = value.get(key, default)
    if not isinstance(found, str):
        raise UsageError("is missing or not text", where=key, hint="a text")
    return found


def _choice(kind: type[Choice], value: dict[str, Any], key: str) -> Choice:
    text = _text(value, key)
    if text not in list(kind):
        raise UsageError(f"{text[:80]!r} is unknown", where=key, hint=f"one of {', '.join(kind)}")
    return kind(text)


def _json(content: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
