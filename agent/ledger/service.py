"""The ledger as a service: one worker on the shared subscription of all gateways.

Any number of workers may run. None of them keeps anything in memory that matters: a batch is
acknowledged to the broker after its commit, and receipts are read from the database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from agent.book.database import Database
from agent.book.ports import Owner
from agent.core.chain import SigningKey
from agent.core.errors import SyncError, TanshuError
from agent.core.model import Receipt
from agent.core.ports import Clock
from agent.core.receipt import encode_receipt
from agent.ledger.database import open_ledger
from agent.ledger.factor_packs import PackCourier
from agent.ledger.intake import Delivery, Intake, Refusal
from agent.ledger.muffle import Muffle
from agent.ledger.storage import LedgerStorage, Notice
from agent.sync.broker import Broker, split_url
from agent.sync.connection import Connection
from agent.sync.keys import load_or_create_key
from agent.sync.model import Handlers, Loss, Message, Patience
from agent.sync.topics import PREFIX, Topics, parse_topic

log = structlog.get_logger(__name__)

ROUND_MESSAGES = 16  # a batch of recalculations takes some tenths of a second
ROUND_BYTES = 8 * 1024 * 1024
RECEIVE_MAXIMUM = 128
NOTICES = ("birth", "status")
MOST_NOTICE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAccess:
    """How the ledger reaches its broker; the files are paths."""

    url: str
    client_id: str | None = None
    ca: str | None = None
    certificate: str | None = None
    private_key: str | None = None
    user: str | None = None
    password_file: str | None = None

    def broker(self, random: Callable[[], float]) -> Broker:
        """The broker's address, with a client id of this worker's own."""
        host, port, tls = split_url(self.url)
        return Broker(
            host=host,
            port=port,
            tls=tls,
            client_id=self.client_id or f"tanshu-ledger-{int(random() * 2**32):08x}",
            ca=self.ca,
            certificate=self.certificate,
            private_key=self.private_key,
            user=self.user,
            password_file=self.password_file,
        )


@dataclass(slots=True, kw_only=True)
class LedgerState:
    """What `status` and the demo show of a running worker."""

    connected: bool = False
    committed: int = 0
    refused: int = 0
    receipts: int = 0
    ledger_key: str = ""


class LedgerWorker:
    """Takes batches from the broker into a database and answers with receipts."""

    def __init__(
        self,
        *,
        database: Database,
        broker: Broker,
        key: SigningKey,
        clock: Clock,
        random: Callable[[], float],
        group: str = "ledger",
        patience: Patience | None = None,
    ) -> None:
        self.state = LedgerState(ledger_key=key.public.text)
        self.database = database
        self._intake = Intake(database, clock)
        self._storage = LedgerStorage(database.connection)
        self._key = key
        self._clock = clock
        self._muffle = Muffle(clock)
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._connection = Connection(
            broker,
            clock=clock,
            random=random,
            handlers=Handlers(
                message=self._inbox.put_nowait, online=self._on_online, lost=self._on_lost
            ),
            subscriptions=[
                (f"$share/{group}/{PREFIX}/+/+/batch", 1),
                *((f"{PREFIX}/+/+/{name}", 1) for name in NOTICES),
            ],
            manual_ack=True,
            receive_maximum=RECEIVE_MAXIMUM,
            patience=patience or Patience(),
        )
        self._courier = PackCourier(database, self._connection)

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until told to stop; a round that has begun is committed and answered.

        Raises:
            StoreError: the database cannot be written; what came is not acknowledged.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                connection = tasks.create_task(self._connection.run(), name="ledger mqtt")
                intake = tasks.create_task(self._serve(), name="ledger intake")
                courier = tasks.create_task(self._courier.run(), name="ledger packs")
                await stop.wait()
                courier.cancel()
                intake.cancel()
                connection.cancel()
        except ExceptionGroup as group:
            fault = group.exceptions[0]
            if isinstance(fault, TanshuError):
                raise fault from group
            raise
        finally:
            self.state.connected = False

    async def _serve(self) -> None:
        while True:
            messages = [await self._inbox.get()]
            size = len(messages[0].payload)
            while len(messages) < ROUND_MESSAGES and size < ROUND_BYTES:
                try:
                    messages.append(self._inbox.get_nowait())
                except asyncio.QueueEmpty:
                    break
                size += len(messages[-1].payload)
            self._round(messages)
            # A round holds the loop while it commits; the connection gets its turn in between.
            await asyncio.sleep(0)

    def _round(self, messages: list[Message]) -> None:
        deliveries: list[Delivery] = []
        notices: list[Notice] = []
        for message in messages:
            parsed = parse_topic(message.topic)
            if parsed is None:
                continue
            topics, name = parsed
            owner = Owner(site=topics.site, gateway=topics.gateway)
            if name == "batch":
                deliveries.append(Delivery(owner=owner, body=message.payload, user=message.user))
            elif name in NOTICES and len(message.payload) <= MOST_NOTICE_BYTES:
                notices.append(
                    Notice(
                        owner=owner,
                        topic=name,
                        received_ms=self._clock.now_ms(),
                        payload=message.payload,
                    )
                )
        self._keep_notices(notices)
        receipts: tuple[Receipt, ...] = ()
        if deliveries:
            outcome = self._intake.take(deliveries)
            self.state.committed += outcome.committed
            self._log_refusals(outcome.refusals)
            receipts = outcome.receipts
        for message in messages:
            self._connection.acknowledge(message)
        for receipt in receipts:
            self._send(receipt)

    def _keep_notices(self, notices: list[Notice]) -> None:
        known = [notice for notice in notices if self._storage.keys(notice.owner)]
        if known:
            with self.database.transaction():
                for notice in known:
                    self._storage.keep_notice(notice)
        self._courier.announced(notice.owner for notice in known if notice.topic == "birth")

    def _send(self, receipt: Receipt) -> None:
        """Publish a receipt; if that fails, the gateway asks again by sending again."""
        payload = encode_receipt(receipt, time_ms=self._clock.now_ms(), key=self._key)
        topic = Topics(site=receipt.site, gateway=receipt.gateway)["receipt"]
        self._connection.mark_good()
        try:
            qos = 1 if self._connection.free_slots > 0 else 0
            self._connection.publish(topic, payload, qos=qos)
        except SyncError as fault:
            log.info("ledger.receipt_not_sent", gateway=receipt.gateway, detail=str(fault))
            return
        self.state.receipts += 1
        log.debug(
            "ledger.receipt",
            gateway=receipt.gateway,
            epoch=receipt.epoch,
            through=receipt.through,
            held=len(receipt.held),
        )

    def _log_refusals(self, refusals: tuple[Refusal, ...]) -> None:
        self.state.refused += len(refusals)
        for refusal in refusals:
            if self._muffle.lets((refusal.owner, refusal.code)):
                log.warning(
                    refusal.code,
                    site=refusal.owner.site,
                    gateway=refusal.owner.gateway,
                    detail=refusal.detail,
                )

    def _on_online(self) -> None:
        self.state.connected = True

    def _on_lost(self, loss: Loss) -> None:
        self.state.connected = False
        log.warning("ledger.offline", kind=loss.kind.value, detail=loss.detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerOptions:
    """What a person chooses when starting a ledger."""

    database: Path
    key_file: Path
    access: BrokerAccess
    group: str = "ledger"
    patience: Patience = field(default_factory=Patience)


async def run_ledger(
    options: LedgerOptions,
    *,
    clock: Clock,
    random: Callable[[], float],
    stop: asyncio.Event,
    started: Callable[[LedgerWorker], None] | None = None,
) -> None:
    """Run one ledger worker until ``stop`` is set.

    ``started`` is called with the worker once its key and database are there.

    Raises:
        StoreError: the database or the key file cannot be used.
        ProofError: the key file does not hold a key, or others may read it.
        SyncError: the broker's URL is not one.
    """
    key = load_or_create_key(options.key_file)
    database = open_ledger(options.database)
    try:
        worker = LedgerWorker(
            database=database,
            broker=options.access.broker(random),
            key=key,
            clock=clock,
            random=random,
            group=options.group,
            patience=options.patience,
        )
        log.info("ledger.started", ledger_key=key.public.text, database=str(options.database))
        if started is not None:
            started(worker)
        await worker.run(stop)
    finally:
        database.close()
