"""Factor packs on the page, and the address that takes a decision about one."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from web_plant import FakeView

from agent.book.ports import Owner
from agent.config.factor_pack import open_pack
from agent.core.errors import UsageError
from agent.daemon.factor_desk import FactorDesk, pack_view
from agent.daemon.factor_review import differences, summary_of
from agent.store.database import open_store
from agent.web.factor_view import (
    FactorCheckOutcome,
    FactorDecisionSubmission,
    FactorPackView,
    PackState,
)
from tests.factors.packs import ISSUER_KEY, pack

NOW_MS = 1_795_000_000_000


class PackView(FakeView):
    """A view with one pack that waits."""

    packs: tuple[FactorPackView, ...] = ()
    decided: tuple[FactorDecisionSubmission, ...] = ()

    async def factor_packs(self) -> tuple[FactorPackView, ...]:
        return self.packs

    async def decide_factors(self, submission: FactorDecisionSubmission) -> FactorPackView:
        if not submission.by:
            raise UsageError("is missing", where="by", hint="say who decides")
        self.decided = (*self.decided, submission)
        return replace(self.packs[0], state=PackState.APPROVED, decided_by=submission.by)

    async def check_factors(self) -> FactorCheckOutcome:
        return FactorCheckOutcome(sources=1, staged=(), troubles=())


@pytest.fixture
def view(tmp_path: Path) -> PackView:
    made = PackView()
    database = open_store(tmp_path / "gw.db")
    opened = open_pack(pack(note="<b>更正</b>"), [ISSUER_KEY.public])
    desk = FactorDesk(database, Owner(site="plant", gateway="gw"), tmp_path / "factors")
    desk.stage(opened, summary_of(differences(opened)), "https://factors.example/x", NOW_MS)
    month = {"source": "sa", "month": "2026-11", "windows": 9}
    desk.keep_preview(opened.hash, [{**month, "before_kgco2e": 100.0, "after_kgco2e": 108.5}])
    made.packs = tuple(pack_view(one) for one in desk.packs.all())
    made.current = replace(made.current, factor_packs=made.packs)
    database.close()
    return made


def ask(url: str, body: object = None, **headers: str) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            text = reply.read().decode()
            return reply.status, json.loads(text) if "/api/" in url else text
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_the_page_shows_what_waits_and_the_address_takes_a_decision(
    view: PackView, serve_view: Callable[[FakeView], AbstractContextManager[Any]]
) -> None:
    with serve_view(view) as served:
        for language, word in (("zh-CN", "待审批"), ("en", "waits for approval")):
            page = ask(f"{served.url}/factors?lang={language}")[1]
            assert word in page
            assert "&lt;b&gt;更正" in page
            assert "+8.50" in page
            assert "tanshu factors approve" in page
            overview = ask(f"{served.url}/?lang={language}")[1]
            assert 'href="/factors"' in overview
            assert "+8.50" in overview
        address = f"{served.url}/api/v1/factor-packs"
        status, listed = ask(address)
        assert (status, listed["packs"][0]["state"]) == (200, "staged")
        assert ask(f"{served.url}/api/v1/status")[1]["factor_packs"] == listed["packs"]
        digest = listed["packs"][0]["hash"]
        decision = {"decision": "approve", "by": "王工", "note": "按公告"}
        status, done = ask(f"{address}/{digest}", decision)
        assert (status, done["state"], done["decided_by"]) == (200, "approved", "王工")
        assert view.decided[0].hash == digest
        assert ask(f"{address}/check", {}) == (200, {"sources": 1, "staged": [], "troubles": []})
        foreign = {"origin": "https://elsewhere.example"}
        assert ask(f"{address}/{digest}", decision, **foreign)[0] == 403
        assert ask(f"{address}/check", {}, **foreign)[0] == 403
        for body in (
            [],
            {},
            {"decision": "maybe"},
            {**decision, "more": "x"},
            {**decision, "by": 1},
        ):
            assert ask(f"{address}/{digest}", body)[0] == 400
        assert ask(f"{address}/{digest}", {"decision": "reject", "by": ""})[0] == 400
        assert len(view.decided) == 1
