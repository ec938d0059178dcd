"""The commands beside a running gateway: readings and verifications go through its API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent.cli.manual_door import submit, verify
from agent.config.load import load_site
from agent.config.site import SiteConfig
from agent.core.errors import UsageError
from agent.daemon.assemble import assemble
from agent.daemon.service import Gateway
from agent.web.app import create_app
from agent.web.manual_view import ManualSubmission, VerifySubmission
from agent.web.server import serve
from tests.fake_clock import FakeClock
from tests.manual.manual_site import EIGHT_MS, HOUR_MS, TABLES, reading
from tests.pipeline.site import ENERGY, SITE


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[Gateway, SiteConfig]]:
    """A gateway whose page answers, and the site file that a command would read."""
    path = folder / "site.toml"
    text = SITE.replace("@energy@", ENERGY) + TABLES
    path.write_text(text, encoding="utf-8")
    gateway = Gateway(path, FakeClock(EIGHT_MS + 2 * HOUR_MS), "boot")
    gateway.recorder.flush()
    stop, ports = asyncio.Event(), asyncio.Queue[int]()
    app = create_app(assemble(gateway, lambda port: None, asyncio.Event()), language="en")
    async with asyncio.TaskGroup() as group:
        group.create_task(serve(app, "127.0.0.1", 0, stop, bound=ports.put_nowait))
        port = await ports.get()
        path.write_text(f"{text}\n[web]\nport = {port}\n", encoding="utf-8")
        try:
            yield gateway, load_site(path)
        finally:
            stop.set()
    gateway.database.close()


async def test_readings_and_verifications_go_to_the_running_gateway(tmp_path: Path) -> None:
    async with running(tmp_path) as (gateway, config):
        entries = (reading("08:00", 1000), reading("09:00", 900))
        outcome, where = await asyncio.to_thread(
            submit, config, ManualSubmission(entries=entries), None, None
        )
        assert where == f"http://127.0.0.1:{config.web.port}"
        assert (outcome.stored, [error.index for error in outcome.errors]) == (False, [1])
        good = ManualSubmission(entries=entries[:1])
        outcome, _ = await asyncio.to_thread(submit, config, good, None, None)
        assert (outcome.stored, outcome.entries[0].change) == (True, "added")
        answer = VerifySubmission(task="a.energy@never", author="李四", accept=True)
        with pytest.raises(UsageError, match="no task"):
            await asyncio.to_thread(verify, config, answer, None, None)
        row = gateway.database.connection.execute(
            "SELECT actor, action FROM audit WHERE subject = 'manual.old'"
        ).fetchall()
        assert json.dumps(row, ensure_ascii=False) == '[["王工", "manual.added"]]'
