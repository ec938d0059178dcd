"""Balances and models over the API, and the meter tree on the page."""

from __future__ import annotations

import urllib.error
import urllib.request

import msgspec
import pytest
from asgi_call import get
from conftest import Site
from starlette.applications import Starlette
from web_plant import NOW_MS, FakeView

from agent.core.indirect import Coefficient, Model
from agent.web.computed_view import BalancePeriod, BalanceQuery, ModelSubmission

MODEL = Model(
    unit="kWh",
    intercept=1.0,
    intercept_error=0.1,
    coefficients=(
        Coefficient(
            input="em-1.energy", unit="kWh/h", value=2.0, standard_error=0.2, low=0.0, high=9.0
        ),
    ),
    r2=0.9,
    residual_low=-1.0,
    residual_high=1.0,
    rows=20,
    reference="ref.csv",
)


async def test_balances_come_by_period(app: Starlette, view: FakeView) -> None:
    answer = (await get(app, f"/api/v1/balance?period=month&from=0&to={NOW_MS}")).json()
    assert [row["verdict"] for row in answer["balances"]] == ["unmetered", "undecided"]
    assert answer["balances"][0]["master"] == {
        "stream": "em-1.energy",
        "amount": 1000.0,
        "half_90": 9.5,
        "whole": True,
    }
    assert answer["truncated"] is False
    asked = next(item for item in view.asked if isinstance(item, BalanceQuery))
    assert (asked.from_ms, asked.to_ms, asked.period) == (0, NOW_MS, BalancePeriod.MONTH)


@pytest.mark.parametrize("query", ["period=week", "by=device", "limit=0", "from=soon"])
async def test_wrong_questions_are_refused(app: Starlette, query: str) -> None:
    answer = await get(app, f"/api/v1/balance?{query}")
    assert answer.status == 400
    assert answer.json()["hint"]


async def test_the_meter_tree_stands_on_the_page(app: Starlette) -> None:
    page = (await get(app, "/buses?lang=en")).text
    assert "Meter tree" in page
    assert "(5.0" in page
    assert "unmetered beyond what is known" in page
    assert "≤ 63" in page
    assert "No accuracy class is given for em-2" in page
    assert "计量树平衡" in (await get(app, "/buses?lang=zh-CN")).text


def post(site: Site, body: bytes) -> bytes:
    request = urllib.request.Request(
        f"{site.url}/api/v1/models", data=body, headers={"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        found: bytes = reply.read()
    return found


def test_a_model_is_kept_through_the_api(site: Site) -> None:
    submission = ModelSubmission(stream="indirect.pump", model=MODEL, by="Li", since_ms=7)
    row = msgspec.json.decode(post(site, msgspec.json.encode(submission)))
    assert (row["stream"], row["version"], row["since_ms"]) == ("indirect.pump", 1, 7)
    assert submission in site.view.asked


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"stream":"x","model":{},"by":"y"}'])
def test_what_is_no_model_is_refused(site: Site, body: bytes) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        post(site, body)
    assert caught.value.code == 400
    caught.value.close()
