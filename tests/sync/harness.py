"""Real brokers on loopback, a real clock, an outbox in memory, a ledger in a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from agent.book.database import Database
from agent.book.ports import Owner
from agent.config.sections import Target
from agent.core.chain import SigningKey
from agent.core.model import (
    Emission,
    Event,
    FactorRef,
    Provenance,
    Receipt,
    Severity,
    Window,
)
from agent.core.payload import Link, SealedBatch, seal
from agent.core.record import Record
from agent.ledger.database import open_ledger
from agent.ledger.service import BrokerAccess, LedgerWorker
from agent.ledger.storage import LedgerStorage
from agent.sync.backoff import Backoff
from agent.sync.broker import Broker
from agent.sync.connection import Connection
from agent.sync.flight import FlightRules, covers
from agent.sync.model import Handlers, Patience
from agent.sync.outbox import OutboxBatch
from agent.sync.publisher import Publisher, PublisherRules

ROOT = Path(__file__).resolve().parents[2]
SITE, GATEWAY = "plant-1", "gw-01"
OWNER = Owner(site=SITE, gateway=GATEWAY)
EPOCH = "5eed" * 8
GATEWAY_KEY = SigningKey.from_seed(b"gateway key of the sync tests...")
LEDGER_KEY = SigningKey.from_seed(b"ledger key of the sync tests....")
START_MS = 1_767_225_600_000
HANG_S = 60.0  # only a guard against a test that would never end

QUICK = PublisherRules(
    flight=FlightRules(
        receipt=Backoff(first_s=0.8, most_s=1.5, jitter=0.25),
        strike=Backoff(first_s=0.5, most_s=4.0),
        overtaken_s=0.5,
    ),
    patience=Patience(
        ordinary=Backoff(first_s=0.1, most_s=0.5),
        severe=Backoff(first_s=30.0, most_s=60.0),
    ),
)


class SystemClock:
    """The machine's own clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    async def sleep_until(self, monotonic_ns: int) -> None:
        await asyncio.sleep(max(0.0, (monotonic_ns - time.monotonic_ns()) / 1e9))


@dataclass
class MemoryOutbox:
    """The publisher's outbox without a database."""

    batches: list[SealedBatch] = field(default_factory=list)
    confirmed: dict[str, set[tuple[str, int]]] = field(default_factory=dict)

    def add(self, batch: SealedBatch) -> None:
        self.batches.append(batch)

    async def pending(self, target: str, after: int, limit: int) -> Sequence[OutboxBatch]:
        done = self.confirmed.get(target, set())
        found = [
            OutboxBatch(position=position, link=batch.link, data=batch.data)
            for position, batch in enumerate(self.batches, start=1)
            if position > after and (batch.link.epoch, batch.link.seq) not in done
        ]
        return found[:limit]

    async def hash_of(self, epoch: str, seq: int) -> str | None:
        found = (b.link.hash for b in self.batches if (b.link.epoch, b.link.seq) == (epoch, seq))
        return next(found, None)

    async def confirm(self, target: str, receipt: Receipt) -> None:
        done = self.confirmed.setdefault(target, set())
        keys = [(batch.link.epoch, batch.link.seq) for batch in self.batches]
        done.update(key for key in keys if covers(receipt, key))

    def confirmed_seqs(self, target: str = "ledger") -> list[int]:
        return sorted(seq for _, seq in self.confirmed.get(target, set()))


def records_of(seq: int, *, size: int = 0) -> list[Record]:
    """A window, its emission and an event; ``size`` pads the event's detail."""
    start_ms = START_MS + seq * 5000
    return [
        Window(
            stream="gas-f103.volume",
            start_ms=start_ms,
            length_ms=5000,
            revision=0,
            value=seq / 7,
            provenance=Provenance.MEASURED,
            method="register",
            coverage=1.0,
        ),
        Emission(
            source="f103-gas",
            start_ms=start_ms,
            length_ms=5000,
            revision=0,
            kgco2=seq / 3,
            kgch4=None,
            kgn2o=None,
            kgco2e=seq / 3,
            lower=None,
            upper=None,
            estimated_share=0.0,
            factor=FactorRef(id="natural-gas", version="1", value=2.1622, unit="kgCO2e/Nm3"),
            inputs=(("gas-f103.volume", 0),),
        ),
        Event(
            time_ms=start_ms,
            code="test.event",
            subject="f103",
            severity=Severity.INFO,
            # Random text does not compress, so that the size is that on the wire.
            detail=Random(seq).randbytes(size // 2).hex(),
        ),
    ]


def chain(
    count: int,
    *,
    sizes: dict[int, int] | None = None,
    key: SigningKey = GATEWAY_KEY,
    epoch: str = EPOCH,
    gateway: str = GATEWAY,
    former: Link | None = None,
) -> list[SealedBatch]:
    """A sealed chain of ``count`` batches; ``sizes`` pads single ones."""
    batches: list[SealedBatch] = []
    for seq in range(1, count + 1):
        previous = batches[-1].link if batches else None
        records = records_of(seq, size=(sizes or {}).get(seq, 0))
        batches.append(
            seal(
                records,
                site=SITE,
                gateway=gateway,
                epoch=epoch,
                previous=previous,
                former=former if previous is None else None,
                key=key,
            )
        )
    return batches


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class ChildBroker:
    """A broker in a child process on a fixed port, which can be killed and started again."""

    def __init__(self, command: list[str], port: int) -> None:
        self.command = command
        self.port = port
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(f"no broker on port {self.port}: {self.command}")

    def kill(self, how: int = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(20)
            if self.process.stdin is not None:
                self.process.stdin.close()
            self.process = None


def mosquitto(program: str, folder: Path, *lines: str) -> ChildBroker:
    """Debian's mosquitto with its default settings, and the lines given."""
    port = free_port()
    config = folder / f"mosquitto-{port}.conf"
    config.write_text(
        "\n".join([f"listener {port} 127.0.0.1", "allow_anonymous true", *lines]) + "\n"
    )
    return ChildBroker([program, "-c", str(config)], port)


def embedded(folder: Path, *, max_payload: int = 17_825_792) -> ChildBroker:
    """The broker of the demo (PyPI `iotcore`), which speaks MQTT 5 on this listener."""
    port = free_port()
    config = folder / f"embedded-{port}.toml"
    config.write_text(f"""
id = 0
[router]
id = 0
max_connections = 100
max_outgoing_packet_count = 200
max_segment_size = 10485760
max_segment_count = 10
[v5.1]
name = "v5-1"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = {max_payload}
max_inflight_count = 100
dynamic_filters = true
""")
    return ChildBroker([sys.executable, "-m", "iotcore", "--config", str(config)], port)


def target(broker: ChildBroker, **changes: object) -> Target:
    options: dict[str, object] = {
        "id": "ledger",
        "url": broker.url,
        "ledger_key": LEDGER_KEY.public.text,
        **changes,
    }
    return Target(**options)  # type: ignore[arg-type]


@dataclass
class Gateway:
    """A publisher at work, its outbox, and what it reported."""

    publisher: Publisher
    outbox: MemoryOutbox
    events: list[Event]

    def codes(self) -> list[str]:
        return [event.code for event in self.events]


@asynccontextmanager
async def gateway(
    section: Target, batches: Sequence[SealedBatch] = (), *, rules: PublisherRules = QUICK
) -> AsyncIterator[Gateway]:
    outbox, events = MemoryOutbox(list(batches)), list[Event]()
    publisher = Publisher(
        section,
        site=SITE,
        gateway=GATEWAY,
        outbox=outbox,
        clock=SystemClock(),
        random=Random(1).random,
        report=events.append,
        rules=rules,
    )
    task = asyncio.create_task(publisher.run())
    try:
        yield Gateway(publisher, outbox, events)
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled() and (fault := task.exception()):
            raise fault


def new_ledger(path: Path, *, enrolled: bool = True) -> Database:
    database = open_ledger(path)
    if enrolled:
        with database.transaction() as connection:
            LedgerStorage(connection).enrol(OWNER, GATEWAY_KEY.public, 0)
    return database


@asynccontextmanager
async def ledger(
    broker: ChildBroker, path: Path, *, enrolled: bool = True
) -> AsyncIterator[LedgerWorker]:
    """A ledger worker in this process."""
    database = new_ledger(path, enrolled=enrolled)
    stop = asyncio.Event()
    worker = LedgerWorker(
        database=database,
        broker=BrokerAccess(url=broker.url).broker(Random().random),
        key=LEDGER_KEY,
        clock=SystemClock(),
        random=Random(2).random,
        patience=QUICK.patience,
    )
    task = asyncio.create_task(worker.run(stop))
    try:
        await until(lambda: worker.state.connected or task.done())
        yield worker
    finally:
        stop.set()
        try:
            await task
        finally:
            database.close()


class LedgerProcess:
    """A ledger worker in a process of its own, to be killed."""

    def __init__(self, broker: ChildBroker, path: Path) -> None:
        self.command = [sys.executable, "-m", "tests.sync.ledger_process", broker.url, str(path)]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )

    def kill(self, how: int = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(20)
            self.process = None


async def until(
    condition: Callable[[], bool] | Callable[[], Awaitable[bool]], *, hang_s: float = HANG_S
) -> None:
    """Wait for a condition; the limit only keeps a broken test from hanging."""
    async with asyncio.timeout(hang_s):
        while True:
            value = condition()
            if value if isinstance(value, bool) else await value:
                return
            await asyncio.sleep(0.02)


class Client:
    """A bare connection, for a test that speaks for another party."""

    def __init__(self, broker: ChildBroker, client_id: str = "other") -> None:
        self.connection = Connection(
            Broker(host="127.0.0.1", port=broker.port, tls=False, client_id=client_id),
            clock=SystemClock(),
            random=lambda: 0.5,
            handlers=Handlers(
                message=lambda _message: None, online=lambda: None, lost=lambda _loss: None
            ),
            patience=QUICK.patience,
        )

    async def __aenter__(self) -> Connection:
        self._task = asyncio.create_task(self.connection.run())
        await until(lambda: self.connection.online)
        return self.connection

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})
