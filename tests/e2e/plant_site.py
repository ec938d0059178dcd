"""A whole site on loopback: virtual plant, broker, ledger and gateway, each a real process.

Every process is started and ended by its own handle, so that a test can kill any of them at any
instant and start it again on what it left behind.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agent.core.chain import SigningKey
from agent.sync.keys import load_or_create_key
from tests.sync.harness import ChildBroker, mosquitto

MAIN = "agent.cli.main"
ROOT = Path(__file__).resolve().parents[2]
WINDOW_S = 5
SETTLE_S = 3  # a window is closed so long after its end
SEED = 1
HANG_S = 90.0  # only a guard against a test that would never end

TARGET = """
[[target]]
id = "{id}"
url = "{url}"
"""

TAIL = """
[web]
port = 0
language = "zh-CN"

[store]
path = "gateway.db"

[log]
format = "json"
"""


def until(condition: Callable[[], bool], what: str, hang_s: float = HANG_S) -> None:
    """Wait for a condition; the limit only keeps a broken test from hanging."""
    limit = time.monotonic() + hang_s
    while not condition():
        if time.monotonic() > limit:
            raise TimeoutError(f"waited {hang_s:g} s for {what}")
        time.sleep(0.05)


def tanshu(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run one `tanshu` command to its end."""
    return subprocess.run(
        [sys.executable, "-m", MAIN, *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )


class Child:
    """One process with its output in a log file."""

    def __init__(self, name: str, log: Path, *words: str, module: str = MAIN) -> None:
        self.name = name
        self.log = log
        self.words = words
        self.module = module
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self.module, *self.words],
                cwd=ROOT,
                stdin=subprocess.DEVNULL if self.module == MAIN else subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def signal(self, number: int) -> None:
        assert self._process is not None, f"{self.name} was not started"
        self._process.send_signal(number)

    def tell(self, line: str) -> None:
        """Write a line to a process that reads its input."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        """End it at once, as a power cut of its host would."""
        if self._process is not None:
            self._process.kill()
            self._wait()

    def stop(self) -> int:
        """End it politely; returns its exit code."""
        assert self._process is not None, f"{self.name} was not started"
        self._process.terminate()
        return self._wait()

    def _wait(self) -> int:
        assert self._process is not None
        if self._process.stdin is not None:
            self._process.stdin.close()
        return self._process.wait(HANG_S)

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


class PlantSite:
    """The processes of one site in one folder."""

    def __init__(
        self,
        folder: Path,
        broker: str,
        *,
        faults: Sequence[str] = (),
        plant_words: Sequence[str] = (),
        scripted_plant: bool = False,
        drain_s: float = 60.0,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.site_file = folder / "site.toml"
        self.gateway_db = folder / "gateway.db"
        self.ledger_db = folder / "ledger.db"
        self.broker: ChildBroker = mosquitto(broker, folder)
        self.ledger_key: SigningKey = load_or_create_key(folder / "ledger.key")
        load_or_create_key(folder / "gateway.key")
        plant = ["--write-site", str(folder / "plant.toml"), "--window-s", str(WINDOW_S)]
        plant += ["--seed", str(SEED), *plant_words]
        plant += [word for fault in faults for word in ("--fault", fault)]
        self.plant = Child("plant", folder / "plant.log", "plant", *plant)
        if scripted_plant:  # takes its faults line by line instead
            words = (str(folder / "plant.toml"), str(WINDOW_S), str(SEED))
            module = "tests.e2e.plant_process"
            self.plant = Child("plant", folder / "plant.log", *words, module=module)
        self.ledger = Child(
            "ledger", folder / "ledger.log", "ledger", "run",
            "--db", str(self.ledger_db), "--key-file", str(folder / "ledger.key"),
            "--broker", self.broker.url, "--log-format", "json",
        )  # fmt: skip
        self.gateway = Child(
            "gateway", folder / "gateway.log", "run", "--config", str(self.site_file),
            "--port-file", str(folder / "page.port"), "--drain-s", str(drain_s),
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for child in (self.gateway, self.ledger, self.plant):
            child.kill()
        self.broker.kill()

    def target(self) -> str:
        """The target table of this site's ledger."""
        table = TARGET.format(id="ledger", url=self.broker.url)
        return f'{table}ledger_key = "{self.ledger_key.public.text}"\n'

    def start_plant(self) -> str:
        """Start the plant; returns the site file it wrote, without targets."""
        self.plant.start()
        written = self.folder / "plant.toml"
        until(lambda: written.exists() or not self.plant.running, "the plant's site file")
        return written.read_text(encoding="utf-8")

    def write_site(self, text: str) -> None:
        temporary = self.site_file.with_suffix(".new")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(self.site_file)

    def start_central(self) -> None:
        """Start the broker and a ledger that knows this gateway."""
        self.broker.start()
        enrolment = self.folder / "enrolment.json"
        if not enrolment.exists():
            gateway_key = load_or_create_key(self.folder / "gateway.key")
            words = {"site": "plant-1", "gateway": "gw-01", "key": gateway_key.public.text}
            enrolment.write_text(json.dumps(words), encoding="utf-8")
        done = tanshu("ledger", "enrol", "--db", str(self.ledger_db), str(enrolment))
        assert done.returncode == 0, done.stderr
        self.ledger.start()

    def start_gateway(self) -> None:
        """Start the gateway and wait until its page answers."""
        port = self.folder / "page.port"
        port.unlink(missing_ok=True)
        self.gateway.start()
        until(lambda: port.exists() or not self.gateway.running, "the gateway's page")
        assert self.gateway.running, self.gateway.output()[-2000:]

    def start(self) -> None:
        """Start everything, with one target."""
        self.start_central()
        self.write_site(self.start_plant() + self.target() + TAIL)
        self.start_gateway()

    @property
    def url(self) -> str:
        return "http://127.0.0.1:" + (self.folder / "page.port").read_text()

    def get(self, path: str) -> Any:
        """One answer of the gateway's API."""
        with urllib.request.urlopen(self.url + path, timeout=30) as reply:
            return json.load(reply)

    def page(self, path: str) -> str:
        """One page as the server renders it."""
        with urllib.request.urlopen(self.url + path, timeout=30) as reply:
            text: str = reply.read().decode()
            return text

    @contextmanager
    def live_stream(self) -> Iterator[bytes]:
        """An open page: the live stream of the overview, and its first line."""
        with urllib.request.urlopen(self.url + "/api/v1/live", timeout=30) as stream:
            yield stream.readline()

    def status(self) -> Any:
        return self.get("/api/v1/status")

    def is_delivered(self) -> bool:
        """Whether the ledger has receipted everything that is sealed."""
        targets = self.status()["targets"]
        return all(t["outbox_depth"] == 0 and t["batches_receipted"] > 0 for t in targets)

    def wait_for_windows(self, more: int) -> None:
        """Wait until so many further windows of time are closed and receipted."""

        def closed() -> int:
            with closing(sqlite3.connect(f"file:{self.gateway_db}?mode=ro", uri=True)) as book:
                row = book.execute("SELECT count(DISTINCT start_ms) FROM windows").fetchone()
            return int(row[0])

        wanted = closed() + more
        until(
            lambda: closed() >= wanted and self.is_delivered(),
            f"{more} further receipted windows",
        )

    def finish(self) -> int:
        """Stop gateway, ledger, plant and broker in turn; returns the gateway's exit code.

        The gateway is told just before a window becomes due, which must not leave a batch behind.
        """
        time.sleep((SETTLE_S - 0.03 - time.time()) % WINDOW_S)
        code = self.gateway.stop()
        assert outbox_depth(self.gateway_db) == 0
        self.ledger.stop()
        self.plant.stop()
        self.broker.kill(signal.SIGTERM)
        return code


def outbox_depth(gateway_db: Path) -> int:
    """How many batches of a stopped gateway its ledger has not receipted."""
    from agent.store.batches import Batches
    from agent.store.database import open_store

    store = open_store(gateway_db)
    try:
        return Batches(store.connection).depth("ledger")[0]
    finally:
        store.close()
