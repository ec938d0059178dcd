"""`/reports`: the list, a month in the frame, its files, and reviews over the API."""

from __future__ import annotations

import json
from typing import Any

import pytest
from asgi_call import get
from starlette.applications import Starlette
from web_plant import FakeView

from agent.core.errors import UsageError
from agent.core.report.model import Decision, Department
from agent.core.report.month import Month
from agent.web.report_view import ReportForm, ReviewSubmission
from agent.web.reports import read_review

REVIEW = {
    "month": "2026-10",
    "department": "environment",
    "name": "李四",
    "decision": "accepted",
    "settled": ["completeness.estimated:gas.volume"],
}


async def test_the_list_links_to_every_month_and_its_files(app: Starlette) -> None:
    answer = await get(app, "/reports?lang=en")
    assert answer.status == 200
    for address in ("/reports/2026-10", "/reports/2026-10.html", "/reports/2026-10.xlsx"):
        assert f'href="{address}"' in answer.text
    assert "running" in answer.text


async def test_a_month_stands_in_the_frame_under_the_strict_policy(
    app: Starlette, view: FakeView
) -> None:
    answer = await get(app, "/reports/2026-10?lang=en")
    assert answer.status == 200
    assert "<h1>2026-10 body en</h1>" in answer.text
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "/static/report.css?v=" in answer.text
    assert "http-equiv" not in answer.text  # a report does not reload itself
    assert 'href="/reports/2026-09"' in answer.text
    assert 'href="/reports/2026-11"' in answer.text
    assert (Month(2026, 10), ReportForm.BODY, "en") in view.asked
    assert 'href="/reports/2026-12"' not in (await get(app, "/reports/2026-11")).text


@pytest.mark.parametrize(
    ("form", "media"), [("html", "text/html"), ("xlsx", "application/vnd.openxmlformats")]
)
async def test_files_are_downloads(app: Starlette, form: str, media: str) -> None:
    answer = await get(app, f"/reports/2026-10.{form}?lang=zh-CN")
    assert answer.headers["content-type"].startswith(media)
    name = f'attachment; filename="tanshu-plant-1-2026-10.{form}"'
    assert answer.headers["content-disposition"] == name
    assert f"2026-10 {form} zh-CN" in answer.text


@pytest.mark.parametrize("address", ["/reports/2026-13", "/reports/x.xlsx", "/reports/2026-10.pdf"])
async def test_what_is_not_a_month_is_not_found(app: Starlette, address: str) -> None:
    assert (await get(app, address)).status == 404


async def test_the_api_lists_and_gives_months(app: Starlette) -> None:
    months = (await get(app, "/api/v1/reports")).json()["months"]
    assert months[0] == {"month": "2026-11", "complete": False}
    assert (await get(app, "/api/v1/reports/2026-10")).json() == {}
    refused = await get(app, "/api/v1/reports/2026-13")
    assert (refused.status, refused.json()["where"]) == (400, "month")
    paths = (await get(app, "/openapi.json")).json()["paths"]
    assert paths["/api/v1/reports/{month}"]["get"]["parameters"][0]["in"] == "path"
    assert "post" in paths["/api/v1/reviews"]


async def test_only_who_may_write_reviews(app: Starlette) -> None:
    assert (await get(app, "/api/v1/reviews")).status == 405
    refused = await get(app, "/api/v1/reviews", method="POST")
    assert (refused.status, refused.json()["where"]) == (415, "content-type")
    foreign = await get(
        app,
        "/api/v1/reviews",
        method="POST",
        headers={"content-type": "application/json", "host": "gateway"},
    )
    assert foreign.status == 403


def test_a_review_is_read_from_json() -> None:
    assert read_review(json.dumps(REVIEW).encode()) == ReviewSubmission(
        month=Month(2026, 10),
        department=Department.ENVIRONMENT,
        name="李四",
        decision=Decision.ACCEPTED,
        settled=("completeness.estimated:gas.volume",),
    )


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"month": "october"}, "month"),
        ({"department": "finance"}, "department"),
        ({"decision": None}, "decision"),
        ({"name": 5}, "name"),
        ({"settled": "x"}, "settled"),
        ({"signature": "x"}, "signature"),
    ],
)
def test_a_faulty_review_is_refused_by_its_key(change: dict[str, Any], where: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_review(json.dumps({**REVIEW, **change}).encode())
    assert refused.value.where == where


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"x"', b"\xff"])
def test_what_is_no_review_is_refused(body: bytes) -> None:
    with pytest.raises(UsageError):
        read_review(body)
