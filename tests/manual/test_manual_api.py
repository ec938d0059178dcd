"""`/api/v1/manual` on a real gateway: entering, listing, tasks, verifying; and the overview."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from agent.daemon.assemble import assemble
from agent.daemon.service import Gateway
from agent.web.app import create_app
from agent.web.openapi import description
from tests.fake_clock import FakeClock
from tests.manual.manual_site import EIGHT_MS, HOUR_MS, TABLES, reading
from tests.pipeline.site import ENERGY, SITE


@dataclass(frozen=True)
class Answer:
    status: int
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)


@dataclass(frozen=True)
class Served:
    gateway: Gateway
    app: Starlette
    clock: FakeClock

    async def get(self, path: str) -> Answer:
        return await self.call("GET", path)

    async def post(self, path: str, content: object, *, client: str = "127.0.0.1") -> Answer:
        return await self.call("POST", path, json.dumps(content).encode(), client=client)

    async def call(
        self, method: str, path: str, body: bytes = b"", *, client: str = "127.0.0.1"
    ) -> Answer:
        sent: list[dict[str, Any]] = []
        pieces = [body]

        async def receive() -> dict[str, Any]:
            if not pieces:
                await asyncio.Event().wait()
            return {"type": "http.request", "body": pieces.pop(), "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        where, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": where,
            "raw_path": where.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(b"host", b"127.0.0.1:8600"), (b"content-type", b"application/json")],
            "client": (client, 1),
            "server": ("127.0.0.1", 80),
        }
        await self.app(scope, receive, send)
        raw = b"".join(message.get("body", b"") for message in sent[1:])
        return Answer(status=sent[0]["status"], text=raw.decode())


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    path = tmp_path / "site.toml"
    text = SITE.replace("@energy@", ENERGY).replace("window_s = 60", "window_s = 900") + TABLES
    text = text.replace(
        'streams = [{ stream = "b.energy" }]',
        'streams = [{ stream = "b.energy" }, { stream = "manual.old" }]',
    )
    path.write_text(text, encoding="utf-8")
    clock = FakeClock(EIGHT_MS)
    gateway = Gateway(path, clock, "boot")
    gateway.recorder.flush()
    view = assemble(gateway, lambda port: None, asyncio.Event())
    yield Served(gateway=gateway, app=create_app(view, language="en"), clock=clock)
    gateway.database.close()


async def test_readings_are_entered_and_listed(served: Served) -> None:
    served.clock.advance(2 * 3600)
    one = await served.post("/api/v1/manual", reading("08:00", 1000))
    assert (one.status, one.body["stored"]) == (200, True)
    assert one.body["entries"][0] == {
        "index": 0,
        "stream": "manual.old",
        "time_ms": EIGHT_MS,
        "revision": 0,
        "change": "added",
        "value": 1000.0,
        "unit": "kWh",
        "former_value": None,
    }
    many = await served.post("/api/v1/manual", [reading("09:00", 1010), reading("10:00", 1700)])
    assert [entry["change"] for entry in many.body["entries"]] == ["added", "added"]
    assert "expected" in many.body["warnings"][0]["what"]
    listed = await served.get("/api/v1/manual?meter=old&from=2026-11-19T00:00")
    assert [entry["value"] for entry in listed.body["entries"]] == [1000.0, 1010.0, 1700.0]
    assert listed.body["entries"][2]["warning"]
    assert (await served.get("/api/v1/manual?meter=diesel")).body["entries"] == []


async def test_faults_are_answered_by_entry_and_nothing_is_stored(served: Served) -> None:
    served.clock.advance(2 * 3600)
    answer = await served.post(
        "/api/v1/manual", {"entries": [reading("08:00", 5), reading("09:00", 4), {"meter": "x"}]}
    )
    assert (answer.status, answer.body["stored"]) == (400, False)
    assert {error["index"] for error in answer.body["errors"]} == {1, 2}
    assert answer.body["where"] == "entries[1].value"
    assert (await served.get("/api/v1/manual")).body["entries"] == []


@pytest.mark.parametrize("path", ["/api/v1/manual", "/api/v1/manual/verify"])
async def test_who_may_write_is_checked_and_no_json_makes_it_fail(
    served: Served, path: str
) -> None:
    far = await served.post(path, reading("08:00", 1), client="192.0.2.7")
    assert (far.status, far.body["where"]) == (403, "authorization")
    for content in (1, [], {}, "x", None, {"entries": []}, {"entries": [1]}, {"task": 1}):
        answer = await served.post(path, content)
        assert answer.status == 400
        assert answer.body["hint"]
    assert (await served.call("POST", path, b"\xff{")).status == 400


async def test_windows_follow_and_the_device_page_shows_them(served: Served) -> None:
    served.clock.advance(2 * 3600)
    await served.post("/api/v1/manual", [reading("08:00", 1000), reading("10:00", 1080)])
    served.gateway.pipeline.run_due(served.clock.now_ms())
    windows = await served.get(f"/api/v1/windows?stream=manual.old&from={EIGHT_MS}")
    assert [one["value"] for one in windows.body["windows"]] == [10.0] * 8
    assert windows.body["windows"][0]["provenance"] == "manual"
    page = await served.get("/devices/db")
    assert page.status == 200
    assert "manual.old" in page.text


async def test_what_is_overdue_is_listed_and_counted_on_the_overview(served: Served) -> None:
    served.clock.advance(5 * 3600)
    tasks = (await served.get("/api/v1/manual/tasks")).body
    assert [one["due_ms"] for one in tasks["overdue"] if one["stream"] == "manual.old"] == [
        EIGHT_MS + hour * HOUR_MS for hour in range(5)
    ]
    assert tasks["to_verify"] == []
    page = await served.get("/")
    assert "Readings overdue: 11" in page.text
    assert "老电表" in page.text
    refused = await served.post(
        "/api/v1/manual/verify", {"task": "a.energy@x", "author": "w", "accept": True}
    )
    assert (refused.status, refused.body["what"]) == (400, 'there is no task "a.energy@x"')


def test_the_api_is_described() -> None:
    paths = description("1")["paths"]
    assert set(paths["/api/v1/manual"]) == {"get", "post"}
    assert set(paths["/api/v1/manual/tasks"]) == {"get"}
    assert set(paths["/api/v1/manual/verify"]) == {"post"}


@pytest.mark.parametrize("period", ["hour", "day", "month"])
async def test_a_balance_of_all_times_is_refused_at_once(served: Served, period: str) -> None:
    answer = await served.get(f"/api/v1/balance?period={period}&from=0&to=253402300799999")
    assert (answer.status, answer.body["where"]) == (400, "to")
    assert (await served.get(f"/api/v1/balance?period={period}")).status == 200
