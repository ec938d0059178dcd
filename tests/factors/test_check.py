"""The scheduled look on a real file: due once, bounded, and from finding to revised emissions."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from agent.book.ports import Span
from agent.book.sqlite import SqliteBook
from agent.cli.main import main
from agent.config.factors import forget_library
from agent.config.load import load_site
from agent.daemon import factor_check
from agent.daemon.factor_check import FactorCheck
from agent.pipeline.recalculate import Recalculation
from agent.web.factor_view import FactorDecision, FactorDecisionSubmission
from tests.factors.packs import CORRECTED, ISSUER_KEY, OTHER_KEY, grid_table, pack, put
from tests.fake_clock import FakeClock
from tests.pipeline.site import GRID_2023, Bench

EVERYTHING = Span(from_ms=0, to_ms=1 << 60)
DAY_S = 86_400


class Site(Bench):
    """A bench whose site file names a source of packs."""

    def __init__(self, folder: Path, table: str = "") -> None:
        super().__init__(folder, FakeClock(1_795_000_000_000))
        self.share = folder / "share"
        self.share.mkdir()
        file = folder / "site.toml"
        factors = f'[factors]\nkeys = ["{ISSUER_KEY.public.text}"]\nsources = ["share"]\n'
        store = '[store]\npath = "gw.db"\n'
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace("[gateway]", factors + table + store + "[gateway]"), "utf-8")
        self.config = load_site(file)
        self.reload = asyncio.Event()
        self.recorder.flush()
        assert self.recorder.trust.trusted
        media = (str(folder / "media" / "*" / "tanshu-factors"),)
        self.check = FactorCheck(self, self.reload, media=media)  # type: ignore[arg-type]

    def codes(self) -> list[str]:
        book = SqliteBook(self.database.connection)
        return [event.code for event in reversed(book.events(self.owner, EVERYTHING))]

    def told(self) -> list[str]:
        return [code for code in self.codes() if code.startswith("factors.")]

    def total(self) -> float:
        book = SqliteBook(self.database.connection)
        return sum(one.kgco2e or 0 for one in book.current_emissions(self.owner, EVERYTHING))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("TANSHU_FACTORS", str(tmp_path / "factors"))
    forget_library()
    return Site(tmp_path)


async def test_from_the_share_to_revised_emissions(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site.read(900)
    site.pipeline.run_due(site.clock.now_ms())
    before = site.total()
    data = pack(note="更正")
    put(site.share, data)

    outcome = await site.check.check()
    (digest,) = outcome.staged
    assert (outcome.sources, outcome.troubles) == (1, ())
    (waiting,) = site.check.desk.packs.waiting()
    assert waiting.preview is not None
    foreseen = sum(month["after_kgco2e"] - month["before_kgco2e"] for month in waiting.preview)
    assert foreseen / before == pytest.approx(CORRECTED / GRID_2023 - 1)
    assert site.total() == before
    assert site.told() == ["factors.staged"]

    words = ["--config", str(tmp_path / "site.toml"), "--json"]
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(["factors", "review", digest[:12], *words])
    assert ended.value.code == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["sets"][0]["changed"][0]["new"] == CORRECTED
    assert shown["recalculation"] == [dict(month) for month in waiting.preview]
    with pytest.raises(SystemExit):
        main(["factors", "packs", *words])
    assert json.loads(capsys.readouterr().out)[0]["state"] == "staged"

    site.check.decide(
        FactorDecisionSubmission(hash=digest, decision=FactorDecision.APPROVE, by="王工")
    )
    assert site.reload.is_set()
    forget_library()  # what the reload does
    config = load_site(tmp_path / "site.toml")
    await Recalculation(config, site.database, site.owner, site.clock).run()
    assert site.total() - before == pytest.approx(foreseen)
    assert site.told() == ["factors.staged", "factors.approved"]
    assert "emissions.recalculated" in site.codes()
    site.close()


async def test_a_check_that_was_missed_is_made_up_once(site: Site) -> None:
    weekly = site.config.factors
    assert site.check.is_due()
    await site.check.check()
    assert not site.check.is_due()
    site.clock.advance(40 * DAY_S)
    assert site.check.is_due()
    await site.check.check()
    assert not site.check.is_due()
    # that was Monday 28 December
    site.config = replace(site.config, factors=structs.replace(weekly, check="weekly"))
    due = []
    for _ in range(7):
        site.clock.advance(DAY_S)
        due.append(site.check.is_due())
    assert due == [False] * 6 + [True]
    site.config = replace(site.config, factors=structs.replace(weekly, check="never"))
    assert not site.check.is_due()
    site.close()


async def test_what_cannot_be_reached_is_told_once_and_tried_again(site: Site) -> None:
    site.share.rmdir()
    for _ in range(2):
        outcome = await site.check.check()
        assert [trouble.subject for trouble in outcome.troubles] == [str(site.share)]
    assert site.told() == ["factors.refused"]
    assert not site.check.is_due()  # but later the same day
    site.clock.advance(3600)
    assert site.check.is_due()
    site.share.mkdir()
    await site.check.check()
    assert not site.check.is_due()
    site.share.rmdir()
    await site.check.check()
    assert site.told() == ["factors.refused"] * 2
    site.close()


async def test_bad_packs_are_told_once_and_good_ones_go_on(site: Site, tmp_path: Path) -> None:
    site.config = replace(site.config, factors=structs.replace(site.config.factors, usb=True))
    put(site.share, pack(grid_table(0.3), key=OTHER_KEY))
    damaged = put(site.share, pack(grid_table(0.2), serial=3))
    damaged.write_bytes(damaged.read_bytes()[:-1] + b" ")
    put(tmp_path / "media" / "STICK" / "tanshu-factors", pack(serial=4))
    for _ in range(2):
        outcome = await site.check.check()
        assert len(outcome.troubles) == 2
    assert sorted(site.told()) == ["factors.refused", "factors.refused", "factors.staged"]
    site.close()


async def test_a_source_that_hangs_is_left(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factor_check, "WORKER_LIMIT_S", 0.01)
    outcome = await site.check.check()
    (trouble,) = outcome.troubles
    assert "not looked through" in trouble.reason
    site.close()


async def test_what_a_ledger_sends_is_checked_like_any_other(site: Site) -> None:
    running = asyncio.create_task(site.check.run())
    forged, large = pack(serial=2, key=OTHER_KEY), os.urandom(5 << 20)
    for data in (pack(), pack(), b"rubbish", b"waste", large, large, forged, forged):
        site.check.take_from_ledger("ledger", data)
        async with asyncio.timeout(60):
            while site.check._inbox.qsize():
                await asyncio.sleep(0.02)
    async with asyncio.timeout(60):
        while len(site.told()) < 4:
            await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.wait({running})
    assert sorted(site.told()) == ["factors.refused"] * 3 + ["factors.staged"]
    (waiting,) = site.check.desk.packs.waiting()
    assert waiting.origin == "ledger ledger"
    site.close()


async def test_an_approval_that_was_interrupted_is_finished_at_the_next_start(
    site: Site, tmp_path: Path
) -> None:
    put(site.share, pack())
    (digest,) = (await site.check.check()).staged
    site.check.desk.packs.mark_installed = lambda *_: None  # type: ignore[method-assign]
    site.check.decide(
        FactorDecisionSubmission(hash=digest, decision=FactorDecision.APPROVE, by="王工")
    )
    fresh = FactorCheck(site, asyncio.Event())  # type: ignore[arg-type]
    running = asyncio.create_task(fresh.run())
    async with asyncio.timeout(60):
        while not fresh._reload.is_set():
            await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.wait({running})
    assert fresh.desk.packs.find(digest).installed_ms == site.clock.now_ms()
    site.close()
