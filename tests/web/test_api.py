"""The HTTP API: answers, refusals, description, health and metrics."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from urllib.parse import quote

import pytest
from asgi_call import get
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from web_plant import EMPTY, FRESH, MIDNIGHT_MS, NOW_MS, RICH, FakeView

from agent.web import metrics
from agent.web.app import create_app
from agent.web.view import EmissionQuery, GroupBy, Period, WindowQuery


async def test_status_and_devices(app: Starlette) -> None:
    status = (await get(app, "/api/v1/status")).json()
    assert status["site"]["id"] == "plant-1"
    assert status["site"]["clock"]["state"] == "trusted"
    assert status["totals"]["now_kgco2e_per_h"] == RICH.totals.now_kgco2e_per_h
    assert status["buses"][1]["last_error"]["hint"].startswith("check its supply")
    devices = (await get(app, "/api/v1/devices")).json()["devices"]
    assert [d["id"] for d in devices] == [d.id for d in RICH.devices]
    assert devices[0]["points"][0]["quality"] == "good"
    assert devices[7]["points"][0]["value"] is None


async def test_one_device_with_its_reasons(app: Starlette) -> None:
    answer = (await get(app, "/api/v1/devices/f103")).json()
    assert answer["sources"][0]["factor"]["value"] == 2.162218
    assert answer["windows"][3]["method"] == "short-gap"
    missing = await get(app, "/api/v1/devices/none")
    assert missing.status == 404
    assert set(missing.json()) == {"what", "where", "hint"}


async def test_windows_by_span_and_stream(app: Starlette, view: FakeView) -> None:
    answer = (
        await get(app, f"/api/v1/windows?stream=gas-f103.volume&from=0&to={NOW_MS}&limit=5")
    ).json()
    assert len(answer["windows"]) == 5
    assert answer["truncated"] is True
    starts = [window["start_ms"] for window in answer["windows"]]
    assert starts == sorted(starts)
    await get(app, "/api/v1/windows")
    assert view.asked[-1] == WindowQuery(from_ms=MIDNIGHT_MS, to_ms=NOW_MS, limit=1000)


@pytest.mark.parametrize(
    ("text", "time_ms"),
    [
        ("1795329128000", NOW_MS),
        ("2026-11-22T14:32:08", NOW_MS),
        ("2026-11-22T14:32:08%2B08:00", NOW_MS),
        ("2026-11-22T14:32:08+08:00", NOW_MS),
        ("2026-11-22T06:32:08Z", NOW_MS),
        ("2026-11-22", MIDNIGHT_MS),
        ("2026-11-22 14:32:08", NOW_MS),
    ],
)
async def test_times_are_read_in_the_site_s_zone(
    app: Starlette, view: FakeView, text: str, time_ms: int
) -> None:
    answer = await get(app, f"/api/v1/windows?from={text.replace(' ', '%20')}&to={NOW_MS + 1}")
    assert answer.status == 200
    query = view.asked[-1]
    assert isinstance(query, WindowQuery)
    assert query.from_ms == time_ms


async def test_emissions_are_asked_for_by_group_and_period(app: Starlette, view: FakeView) -> None:
    answer = (await get(app, "/api/v1/emissions?by=area&period=day&from=0")).json()
    assert (answer["by"], answer["period"]) == ("area", "day")
    assert view.asked[-1] == EmissionQuery(
        from_ms=0, to_ms=NOW_MS, limit=1000, by=GroupBy.AREA, period=Period.DAY
    )
    assert answer["emissions"][0]["kgco2e"] == 94_120.0


async def test_events_include_the_present_moment(app: Starlette, view: FakeView) -> None:
    now = replace(RICH.events[0], time_ms=NOW_MS)
    view.current = replace(RICH, events=(now, *RICH.events))
    events = (await get(app, "/api/v1/events")).json()["events"]
    assert events[0]["time_ms"] == NOW_MS


@pytest.mark.parametrize(
    ("address", "where"),
    [
        ("/api/v1/emissions?by=plant", "by"),
        ("/api/v1/emissions?period=week", "period"),
        ("/api/v1/emissions?form=0", "form"),
        ("/api/v1/windows?from=yesterday", "from"),
        ("/api/v1/windows?from=9999999999999999", "from"),
        ("/api/v1/windows?from=0001-01-01T00:00:00", "from"),
        ("/api/v1/windows?from=10&to=9", "to"),
        ("/api/v1/windows?limit=0", "limit"),
        ("/api/v1/windows?limit=10001", "limit"),
        ("/api/v1/windows?limit=%D9%A1", "limit"),
        ("/api/v1/status?x=1", "x"),
        ("/api/v1/live?scope=all", "scope"),
    ],
)
async def test_wrong_parameters_are_refused_with_a_hint(
    app: Starlette, address: str, where: str
) -> None:
    answer = await get(app, address)
    assert answer.status == 400
    body = answer.json()
    assert body["where"] == where
    assert body["what"]
    assert body["hint"]


HOSTILE_TARGET = create_app(FakeView(), language="en")


@settings(max_examples=150)
@given(
    path=st.sampled_from(["windows", "emissions", "events", "devices/", "status", "devices"]),
    names=st.lists(st.sampled_from(["from", "to", "limit", "by", "period", "stream", "lang", "x"])),
    values=st.lists(st.text(max_size=40), min_size=8, max_size=8),
)
def test_no_query_makes_the_api_fail(path: str, names: list[str], values: list[str]) -> None:
    query = "&".join(
        f"{name}={quote(value, errors='replace')}"
        for name, value in zip(names, values, strict=False)
    )
    tail = quote(values[0], safe="", errors="replace") if path.endswith("/") else ""
    answer = asyncio.run(get(HOSTILE_TARGET, f"/api/v1/{path}{tail}?{query}"))
    assert answer.status in {200, 400, 404}
    assert answer.headers["content-type"].startswith(("application/json", "text/html"))


async def test_a_fault_of_the_store_is_a_503_with_its_hint(app: Starlette, view: FakeView) -> None:
    view.broken = True
    for path in ("/api/v1/status", "/healthz", "/metrics", "/api/v1/windows"):
        answer = await get(app, path)
        assert answer.status == 503
        assert answer.json() == {
            "what": "cannot be read",
            "where": "tanshu.db",
            "hint": "check the disk",
        }


async def test_a_bug_is_a_500_that_tells_nothing_of_the_inside(
    app: Starlette, view: FakeView
) -> None:
    view.bug = True
    answers = []
    for path in ("/api/v1/status", "/"):

        async def keep(scope: object, receive: object, send: object) -> None:
            with pytest.raises(ZeroDivisionError):
                await app(scope, receive, send)  # type: ignore[arg-type]

        answers.append(await get(keep, path))  # type: ignore[arg-type]
    for answer in answers:
        assert answer.status == 500
        assert "a bug in the gateway" not in answer.text
        assert "default-src 'self'" in answer.headers["content-security-policy"]


async def test_health_follows_the_progress_of_the_gateway(app: Starlette, view: FakeView) -> None:
    good = await get(app, "/healthz")
    assert (good.status, good.json()) == (200, {"status": "ok", "problems": []})
    view.current = replace(RICH, alive=False)
    await asyncio.sleep(0.05)
    bad = await get(app, "/healthz")
    assert (bad.status, bad.json()["status"]) == (503, "failing")


async def test_the_description_names_every_address_and_only_those(app: Starlette) -> None:
    answer = (await get(app, "/openapi.json")).json()
    described = set(answer["paths"])
    served = {
        route.path  # type: ignore[attr-defined]
        for route in app.routes
        if route.path.startswith(("/api/", "/healthz", "/metrics"))  # type: ignore[attr-defined]
    }
    assert described == served
    text = str(answer)
    for name in re.findall(r"#/components/schemas/(\w+)", text):
        assert name in answer["components"]["schemas"]
    assert answer["components"]["schemas"]["Refusal"]["required"] == ["what", "where", "hint"]


LINE = re.compile(
    r'^[a-z0-9_]+(\{([a-z_]+="([^"\\\n]|\\.)*",?)*\})? (NaN|[+-]Inf|-?[0-9.]+(e[+-]?[0-9]+)?)$'
)


@pytest.mark.parametrize("snapshot", [RICH, FRESH, EMPTY], ids=["rich", "fresh", "empty"])
async def test_metrics_are_well_formed(app: Starlette, view: FakeView, snapshot: object) -> None:
    view.current = snapshot  # type: ignore[assignment]
    answer = await get(app, "/metrics")
    assert answer.headers["content-type"] == metrics.MEDIA_TYPE
    lines = answer.text.splitlines()
    assert [line for line in lines if not line.startswith("#") and not LINE.match(line)] == []
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(set(names)) == len(names)
    counters = [line.split()[2] for line in lines if line.endswith(" counter")]
    assert all(name.endswith("_total") for name in counters)


async def test_metrics_carry_the_numbers(app: Starlette) -> None:
    text = (await get(app, "/metrics")).text
    for line in (
        'tanshu_readings_total{quality="good"} 1000000',
        'tanshu_bus_timeouts_total{bus="rs485-2",driver="modbus-rtu"} 818',
        'tanshu_bus_degraded{bus="rs485-2",driver="modbus-rtu"} 1',
        'tanshu_outbox_batches{target="ledger"} 2',
        'tanshu_batches_receipted_total{target="ledger"} 4711',
        'tanshu_device_emission_kgco2e_per_hour{device="f103",unit="furnaces"} 6795',
        "tanshu_emission_today_kgco2e 231183",
    ):
        assert line in text
    assert 'tanshu_device_emission_kgco2e_per_hour{device="k301"' not in text
