"""From a ledger to a gateway over a real broker: every pack, also to who was away."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from agent.core.chain import SigningKey
from agent.core.errors import ConfigError, ProofError
from agent.ledger import factor_packs
from agent.ledger.factor_packs import publish
from agent.sync.keys import load_or_create_key
from agent.sync.publisher import Publisher
from tests.conftest import Needs
from tests.factors.packs import CORRECTED, ISSUER_KEY, OTHER_KEY, grid_table, pack, put, table
from tests.fake_clock import FakeClock
from tests.pipeline.site import GRID_2023, Bench
from tests.sync.harness import (
    GATEWAY,
    QUICK,
    SITE,
    ChildBroker,
    Client,
    MemoryOutbox,
    SystemClock,
    ledger,
    mosquitto,
    new_ledger,
    target,
    until,
)

ROOT = Path(__file__).resolve().parents[2]
HANG_S = 90.0  # only a guard against a test that would never end


@pytest.fixture
def broker(needs: Needs, tmp_path: Path) -> Iterator[ChildBroker]:
    made = mosquitto(needs("mosquitto"), tmp_path)
    made.start()
    try:
        yield made
    finally:
        made.kill()


class Taker:
    """A publisher that asks for packs, and what it got."""

    def __init__(self, broker: ChildBroker) -> None:
        self.got: list[bytes] = []
        self.publisher = Publisher(
            target(broker),
            site=SITE,
            gateway=GATEWAY,
            outbox=MemoryOutbox([]),
            clock=SystemClock(),
            random=Random(1).random,
            report=lambda _event: None,
            take_factors=self.got.append,
            rules=QUICK,
        )
        self.publisher.publish_birth({"schema": "tanshu/v1/birth"})

    async def __aenter__(self) -> Taker:
        self._task = asyncio.create_task(self.publisher.run())
        await until(lambda: self.publisher.state.connected)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})


async def test_published_packs_reach_a_gateway_that_is_there(
    broker: ChildBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(factor_packs, "LOOK_S", 0.1)
    async with ledger(broker, tmp_path / "ledger.db") as worker, Taker(broker) as taker:
        for data in (pack(serial=1), pack(grid_table(0.3), serial=2)):
            _, new = publish(worker.database, data, ISSUER_KEY.public, 0)
            assert new
            await until(lambda data=data: data in taker.got)
        assert publish(worker.database, pack(serial=1), None, 0)[1] is False


async def test_a_gateway_that_was_away_gets_all_of_them_when_it_comes(
    broker: ChildBroker, tmp_path: Path
) -> None:
    packs = [pack(serial=1), pack(table("gwp.toml"), serial=2), pack(grid_table(0.3), serial=3)]
    async with ledger(broker, tmp_path / "ledger.db") as worker:
        for data in packs:
            publish(worker.database, data, None, 0)
        async with Taker(broker) as taker:
            await until(lambda: set(taker.got) == set(packs))
    async with Taker(broker) as taker:  # without a ledger: what the broker keeps
        await until(lambda: taker.got == [packs[-1]])


async def test_a_gateway_that_is_not_enrolled_gets_nothing(
    broker: ChildBroker, tmp_path: Path
) -> None:
    async with ledger(broker, tmp_path / "ledger.db", enrolled=False) as worker:
        publish(worker.database, pack(), None, 0)
        async with Taker(broker) as taker, Client(broker) as other:
            # what is sent after the birth arrives after anything the ledger would have sent
            await asyncio.sleep(0.5)
            await other.publish(f"tanshu/v1/{SITE}/{GATEWAY}/factors", b"mark", qos=1)
            await until(lambda: b"mark" in taker.got)
            assert taker.got == [b"mark"]


def test_only_a_whole_pack_is_published(tmp_path: Path) -> None:
    database = new_ledger(tmp_path / "ledger.db")
    with pytest.raises(ProofError):
        publish(database, pack()[:-5], None, 0)
    with pytest.raises(ProofError, match="does not know"):
        publish(database, pack(), OTHER_KEY.public, 0)
    with pytest.raises(ConfigError):
        broken = pack().replace(b"kgco2_per_kwh = 0.54", b"kgco2_per_kwh = nan ")
        publish(database, broken, None, 0)
    database.close()


TAIL = """
[[target]]
id = "ledger"
url = "{url}"
ledger_key = "{ledger_key}"
[store]
path = "gw.db"
[factors]
keys = ["{key}"]
sources = ["ledger", "share"]
check = "never"
[web]
port = {port}
[log]
format = "json"
"""


class Plant:
    """Ledger and gateway as processes: no meter answers, some minutes are booked already."""

    def __init__(self, folder: Path, broker: ChildBroker, port: int) -> None:
        self.folder = folder
        self.site_file = folder / "site.toml"
        key: SigningKey = load_or_create_key(folder / "ledger.key")
        tail = TAIL.format(
            url=broker.url, ledger_key=key.public.text, key=ISSUER_KEY.public.text, port=port
        )
        self._book_some_minutes()
        text = self.site_file.read_text(encoding="utf-8")
        self.site_file.write_text(text + tail, encoding="utf-8")
        self.url = f"http://127.0.0.1:{port}"
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TANSHU_FACTORS": str(folder / "factors"),
        }
        self.children: list[subprocess.Popen[bytes]] = []
        self.ledger_words = (
            "ledger", "run", "--broker", broker.url, "--db", str(folder / "ledger.db"),
            "--key-file", str(folder / "ledger.key"),
        )  # fmt: skip

    def _book_some_minutes(self) -> None:
        bench = Bench(self.folder, FakeClock(int(time.time() - 7200) * 1000))
        for second in range(900):
            bench.clock.advance(1)
            bench.recorder.put([bench.sample("a.energy", round(1000 + 0.1 * second, 2))])
        bench.pipeline.run_due(bench.clock.now_ms())
        bench.close()

    def total_kgco2e(self) -> float:
        answer = self.get("/api/v1/emissions?by=source&from=2020-01-01")
        return sum(row["kgco2e"] for row in answer["emissions"] if row["key"] == "sa")

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{words[0]}.log").open("ab") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "agent.cli.main", *words],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.children.append(child)
        return child

    def tanshu(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "agent.cli.main", *words],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=HANG_S,
            check=False,
        )

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=30) as reply:
            return json.load(reply) if path.startswith("/api") else reply.read().decode()

    def packs(self) -> dict[int, str]:
        return {one["serial"]: one["state"] for one in self.get("/api/v1/factor-packs")["packs"]}

    def answers(self) -> bool:
        try:
            return bool(self.get("/api/v1/status"))
        except OSError:
            return False

    def end(self) -> None:
        for child in self.children:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        for child in self.children:
            child.wait(HANG_S)


def wait(condition: Callable[[], object], what: str) -> None:
    limit = time.monotonic() + HANG_S
    while not condition():
        if time.monotonic() > limit:
            raise TimeoutError(f"waited for {what}")
        time.sleep(0.1)


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_from_publishing_at_the_ledger_to_an_approval_at_the_gateway(
    broker: ChildBroker, tmp_path: Path
) -> None:
    plant = Plant(tmp_path, broker, free_port())
    site = ("--config", str(plant.site_file))
    try:
        gateway = plant.start("run", *site)
        enrolment = tmp_path / "enrolment.json"
        wait(lambda: enrolment.exists() or gateway.poll() is not None, "the enrolment")
        assert gateway.poll() is None, (tmp_path / "run.log").read_text(encoding="utf-8")[-2000:]
        ledger_db = ("--db", str(tmp_path / "ledger.db"))
        assert plant.tanshu("ledger", "enrol", *ledger_db, str(enrolment)).returncode == 0
        plant.start(*plant.ledger_words)
        wait(plant.answers, "the page")

        good = put(tmp_path, pack(serial=3, note="更正全国电网因子"))
        forged = put(tmp_path, pack(grid_table(0.1), serial=4, key=OTHER_KEY))
        for file in (forged, good):
            done = plant.tanshu("ledger", "publish-factors", *ledger_db, str(file))
            assert done.returncode == 0, done.stderr
        wait(lambda: plant.packs() == {3: "staged"}, "the pack at the gateway")
        wait(lambda: "更正全国电网因子" in plant.get("/factors"), "the page")
        wait(lambda: "新因子包待审批" in plant.get("/"), "the overview")
        wait(
            lambda: "因子包被拒收" in plant.get("/events"),
            "the refusal",
        )

        again = put(tmp_path / "share", pack(grid_table(0.2), serial=2))
        checked = plant.tanshu("factors", "check", *site, "--json")
        assert checked.returncode == 3, checked.stderr
        assert "older" in json.loads(checked.stdout)["troubles"][0]["reason"]
        assert again.exists()

        digest = good.name[:12]
        before = plant.total_kgco2e()
        assert before > 0
        review = plant.tanshu("factors", "review", digest, *site)
        assert review.returncode == 0, review.stderr
        assert str(CORRECTED) in review.stdout
        approved = plant.tanshu("factors", "approve", digest, "--by", "王工", *site)
        assert approved.returncode == 0, approved.stderr
        wait(
            lambda: (
                CORRECTED
                in [
                    source["factor"]["value"]
                    for source in plant.get("/api/v1/devices/da")["sources"]
                ]
            ),
            "the new factor in force",
        )
        ratio = CORRECTED / GRID_2023
        wait(lambda: plant.total_kgco2e() == pytest.approx(before * ratio), "revised emissions")
        rejected = plant.tanshu("factors", "reject", digest, "--by", "李工", "--why", "x", *site)
        assert rejected.returncode == 1
        assert "approved by 王工" in rejected.stderr
        assert plant.packs() == {3: "approved"}
    finally:
        plant.end()
