"""Entering over HTTP on a real gateway: who may, what is refused, what is answered."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

from agent.daemon.assemble import assemble
from agent.daemon.service import Gateway
from agent.web.app import create_app
from tests.activity.desk import NOW_MS, naphtha, write_site
from tests.fake_clock import FakeClock

TOKEN = "a token of enough characters"
LOCAL = {"host": "127.0.0.1:8600", "content-type": "application/json"}
ADDRESS = "/api/v1/activity"


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any


@dataclass(frozen=True)
class Served:
    """A gateway's application without a socket, and the gateway behind it."""

    gateway: Gateway
    app: Starlette

    async def call(
        self,
        method: str = "POST",
        content: object = b"",
        *,
        query: str = "",
        client: str = "127.0.0.1",
        headers: dict[str, str] | None = None,
    ) -> Answer:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        pieces = [body[: len(body) // 2], body[len(body) // 2 :]]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            if not pieces:
                await asyncio.Event().wait()
            return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": ADDRESS,
            "raw_path": ADDRESS.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [
                (name.encode(), value.encode())
                for name, value in {**LOCAL, **(headers or {})}.items()
                if value
            ],
            "client": (client, 1),
            "server": ("127.0.0.1", 80),
        }
        await self.app(scope, receive, send)
        raw = b"".join(message.get("body", b"") for message in sent[1:])
        return Answer(status=sent[0]["status"], body=json.loads(raw))

    def count(self) -> int:
        row = self.gateway.database.connection.execute("SELECT count(*) FROM activity").fetchone()
        return int(row[0])


def serve(folder: Path, *, trusted: bool = True) -> Served:
    (folder / "token").write_text(TOKEN + "\n")
    path = write_site(folder, web='token_file = "token"')
    gateway = Gateway(path, FakeClock(NOW_MS), "boot")
    if trusted:
        gateway.recorder.flush()
    app = create_app(assemble(gateway, lambda port: None, asyncio.Event()), language="en")
    return Served(gateway=gateway, app=app)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = serve(tmp_path)
    yield made
    made.gateway.database.close()


async def test_one_many_and_with_documents(served: Served) -> None:
    one = await served.call(content=naphtha())
    assert (one.status, one.body["stored"]) == (200, True)
    assert one.body["entries"][0] == {
        "index": 0,
        "stream": "activity.raw-material.石脑油",
        "revision": 0,
        "change": "added",
        "amount": 1200.0,
        "unit": "t",
        "former_amount": None,
    }
    many = await served.call(content=[naphtha(amount=1250), naphtha(period="2026-04")])
    assert [entry["change"] for entry in many.body["entries"]] == ["revised", "added"]
    assert many.body["entries"][0]["former_amount"] == 1200.0
    digest = sha256(b"bill").hexdigest()
    entry = naphtha(period="2026-05", evidence_name="bill.pdf", evidence_sha256=digest)
    files = {digest: base64.b64encode(b"bill").decode()}
    assert (await served.call(content={"entries": [entry], "files": files})).body["stored"]
    folder = Path(served.gateway.database.path).parent / "evidence"
    assert (folder / digest).read_bytes() == b"bill"


async def test_faults_are_answered_by_entry_and_nothing_stored(served: Served) -> None:
    entries = [naphtha(), naphtha(period="2026-04", amount=-1, purity=2), naphtha(kind="gift")]
    answer = await served.call(content=entries)
    assert (answer.status, answer.body["stored"], served.count()) == (400, False, 0)
    found = [(error["index"], error["where"]) for error in answer.body["errors"]]
    assert found == [(1, "amount"), (1, "purity"), (2, "kind")]
    assert all(error["what"] and error["hint"] for error in answer.body["errors"])
    assert answer.body["where"] == "entries[1].amount"
    kept = await served.call(content={"entries": entries, "keep_good": True})
    assert (kept.status, kept.body["stored"], served.count()) == (200, True, 1)
    dry = await served.call(content={"entries": [naphtha(period="2026-06")], "dry_run": True})
    assert (dry.status, dry.body["stored"], served.count()) == (200, False, 1)


async def test_entries_are_listed_by_span_and_kind(served: Served) -> None:
    await served.call(content=[naphtha(), naphtha(kind="product", item="乙烯", period="2025-12")])
    this_year = await served.call("GET")
    assert [entry["item"] for entry in this_year.body["entries"]] == ["石脑油"]
    both = await served.call("GET", query="from=2025-12-31&to=2026-04-01")
    assert [entry["item"] for entry in both.body["entries"]] == ["乙烯", "石脑油"]
    query = "from=2025-01-01&kind=product&limit=1"
    products = await served.call("GET", query=query)
    assert [entry["kind"] for entry in products.body["entries"]] == ["product"]
    assert products.body["truncated"] is True
    for wrong in ("kind=gift", "from=x", "from=10&to=9", "colour=red"):
        assert (await served.call("GET", query=wrong)).status == 400


@pytest.mark.parametrize(
    ("client", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {"host": "[::1]:8600"}, 200),
        ("127.0.0.1", {"host": "localhost"}, 200),
        ("127.0.0.1", {"origin": "http://127.0.0.1:8600"}, 200),
        ("192.0.2.7", {}, 403),
        ("127.0.0.1", {"host": "rebound.example"}, 403),
        ("127.0.0.1", {"host": ""}, 403),
        ("127.0.0.1", {"host": "[::1"}, 403),
        ("127.0.0.1", {"origin": "http://[::1"}, 403),
        ("127.0.0.1", {"origin": "http://foreign.example"}, 403),
        ("127.0.0.1", {"origin": "null"}, 403),
        ("127.0.0.1", {"x-forwarded-for": "192.0.2.7"}, 403),
        ("127.0.0.1", {"content-type": "text/plain"}, 415),
        ("127.0.0.1", {"content-type": "application/x-www-form-urlencoded"}, 415),
        ("127.0.0.1", {"authorization": "Bearer wrong"}, 401),
        ("192.0.2.7", {"authorization": f"Basic {TOKEN}"}, 401),
        ("192.0.2.7", {"authorization": "Bearer "}, 401),
        ("192.0.2.7", {"authorization": "Bearer 碳"}, 401),
        ("192.0.2.7", {"authorization": f"Bearer {TOKEN}"}, 200),
        ("192.0.2.7", {"authorization": f"bearer {TOKEN}", "host": "gateway.plant"}, 200),
    ],
)
async def test_who_may_write(
    served: Served, client: str, headers: dict[str, str], status: int
) -> None:
    answer = await served.call(content=naphtha(), client=client, headers=headers)
    assert answer.status == status
    assert served.count() == (1 if status == 200 else 0)
    if status != 200:
        assert set(answer.body) == {"what", "where", "hint"}


async def test_reading_needs_nothing(served: Served) -> None:
    assert (await served.call("GET", client="192.0.2.7")).status == 200


@pytest.mark.parametrize("content", ["short", None])
async def test_a_token_file_that_protects_nothing_is_refused(
    served: Served, tmp_path: Path, content: str | None
) -> None:
    (tmp_path / "token").unlink()
    if content is not None:
        (tmp_path / "token").write_text(content)
    headers = {"authorization": f"Bearer {content or ''}"}
    answer = await served.call(content=naphtha(), client="192.0.2.7", headers=headers)
    assert (answer.status, served.count()) == (503, 0)


async def test_without_a_token_file_no_token_is_right(tmp_path: Path) -> None:
    gateway = Gateway(write_site(tmp_path), FakeClock(NOW_MS), "boot")
    app = create_app(assemble(gateway, lambda port: None, asyncio.Event()), language="en")
    served = Served(gateway=gateway, app=app)
    for authorization in ("Bearer ", "Bearer x", "Bearer"):
        headers = {"authorization": authorization}
        assert (await served.call(content=naphtha(), headers=headers)).status == 401
    gateway.database.close()


async def test_nothing_is_dated_by_a_clock_that_cannot_be_trusted(tmp_path: Path) -> None:
    served = serve(tmp_path, trusted=False)
    answer = await served.call(content=naphtha())
    assert (answer.status, answer.body["where"], served.count()) == (503, "clock", 0)
    served.gateway.database.close()


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"\xff", "body"),
        (b"[" * 100_000, "body"),
        (b"NaN", "body"),
        ([], "entries"),
        ({"entries": {}}, "entries"),
        ([1], "entries[0]"),
        ([[]], "entries[0]"),
        ({"entries": [{}], "colour": 1}, "colour"),
        ({"entries": [{}], "dry_run": 1}, "dry_run"),
        ({"entries": [{}], "files": []}, "files"),
        ({"entries": [{}], "files": {"a": "?"}}, "files.a"),
        ({"entries": [{}], "files": {"a": None}}, "files.a"),
        ({"entries": [{}], "files": {"00" * 32: "YQ=="}}, "files." + "00" * 32),
        ([{}] * 5_001, "entries"),
    ],
)
async def test_what_is_no_submission_is_refused(
    served: Served, content: object, where: str
) -> None:
    answer = await served.call(content=content)
    assert (answer.status, answer.body["where"]) == (400, where)
    assert served.count() == 0


async def test_a_body_without_end_is_refused(served: Served) -> None:
    assert (await served.call(content=b" " * (17 << 20))).status == 413


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(st.sampled_from([*naphtha(), "batch", "purity", "note"]), json_values)
    | json_values
)
def test_no_json_makes_the_gateway_fail(served: Served, content: object) -> None:
    answer = asyncio.run(served.call(content=content))
    assert answer.status in {200, 400}
