"""Delivers sealed batches to one target until its ledger has receipted them.

A batch leaves the outbox when a receipt, signed by the pinned key of the ledger, says that it is
committed. A broker's PUBACK only says that the broker has it, and frees a slot of its window.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog

from agent.config.sections import Target
from agent.core import strict_json
from agent.core.errors import ProofError, SyncError
from agent.core.model import Event, Receipt, Severity
from agent.core.payload import Link
from agent.core.ports import Clock
from agent.sync.connection import Connection
from agent.sync.flight import SMALLEST_PART_LIMIT, Flight, FlightRules, Key, Shipment
from agent.sync.model import Handlers, Loss, LossKind, Message, Patience, Will
from agent.sync.outbox import Outbox
from agent.sync.receipts import Receipts
from agent.sync.target import advice, broker_of, pinned_key
from agent.sync.topics import Topics
from agent.sync.wire import packets

log = structlog.get_logger(__name__)

REFUSED_FROM = 0x80  # PUBACK reason codes from here on are failures (MQTT 5 section 3.4.2.1)
NO_SUBSCRIBERS = 0x10
IDLE_S = 1.0  # how often the outbox is looked at when nobody calls `wake`


@dataclass(slots=True, kw_only=True)
class PublisherState:
    """What the page, `status` and metrics show of a target."""

    connected: bool = False
    in_flight: int = 0
    blocked: int = 0
    sent: int = 0  # messages handed to the broker, repeats and parts included
    receipted: int = 0
    last_receipt_ms: int | None = None
    last_loss: str = ""


@dataclass(slots=True, kw_only=True)
class _Airborne:
    """A batch that the broker has not acknowledged yet."""

    parts: int
    largest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PublisherRules:
    """Waits of a publisher; the window comes from the target's section."""

    flight: FlightRules = field(default_factory=FlightRules)
    patience: Patience = field(default_factory=Patience)


class Publisher:
    """One target: its connection, what is under way to it, and its receipts."""

    def __init__(
        self,
        target: Target,
        *,
        site: str,
        gateway: str,
        outbox: Outbox,
        clock: Clock,
        random: Callable[[], float],
        report: Callable[[Event], None],
        take_factors: Callable[[bytes], None] | None = None,
        rules: PublisherRules | None = None,
    ) -> None:
        self.target = target
        self.state = PublisherState()
        self._outbox = outbox
        self._clock = clock
        self._report_event = report
        self._take_factors = take_factors
        self._topics = Topics(site=site, gateway=gateway)
        key = pinned_key(target)
        self._receipts = None if key is None else Receipts(key, self._topics, outbox)
        self._retained: dict[str, bytes] = {}
        self._wake = asyncio.Event()
        self._inbox: asyncio.Queue[Message | Receipt] = asyncio.Queue()
        self._airborne: dict[Key, _Airborne] = {}
        self._learned_limit: int | None = None
        self._last_loss: LossKind | None = None
        self._log = log.bind(target=target.id, gateway=gateway)
        rules = rules or PublisherRules()
        self._flight = Flight(
            FlightRules(
                window=target.window,
                receipt=rules.flight.receipt,
                strike=rules.flight.strike,
                overtaken_s=rules.flight.overtaken_s,
            ),
            random,
        )
        self._connection = Connection(
            broker_of(target, site=site, gateway=gateway),
            clock=clock,
            random=random,
            handlers=Handlers(
                message=self._inbox.put_nowait, online=self._on_online, lost=self._on_lost
            ),
            subscriptions=[(self._topics[name], 1) for name in self._subscribed()],
            will=Will(
                topic=self._topics["status"], payload=strict_json.encode({"state": "offline"})
            ),
            patience=rules.patience,
        )

    def wake(self) -> None:
        """Say that the outbox holds something new."""
        self._wake.set()

    def publish_status(self, status: Mapping[str, Any]) -> None:
        """Publish the retained status, now and at every new connection."""
        self._keep("status", status)

    def publish_birth(self, birth: Mapping[str, Any]) -> None:
        """Publish the retained birth message, now and at every new connection."""
        self._keep("birth", birth)

    def publish_live(self, live: Mapping[str, Any]) -> None:
        """Publish current values; dropped when there is no connection."""
        self._send_plain("live", strict_json.encode(dict(live)), qos=0, retain=False)

    def publish_event(self, event: Mapping[str, Any]) -> None:
        """Publish an event as a notice; the ledger's copy travels in a batch."""
        self._send_plain("event", strict_json.encode(dict(event)), qos=1, retain=False)

    @property
    def takes_factors(self) -> bool:
        """Whether it asks the broker for factor packs."""
        return self._take_factors is not None

    def _subscribed(self) -> tuple[str, ...]:
        """A broker that forbids a topic ends the connection: only what is used is asked for."""
        return ("receipt", "factors") if self.takes_factors else ("receipt",)

    async def run(self) -> None:
        """Deliver for ever; ends only by cancellation."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._connection.run(), name=f"mqtt {self.target.id}")
                tasks.create_task(self._send_loop(), name=f"send {self.target.id}")
                tasks.create_task(self._receipt_loop(), name=f"receipts {self.target.id}")
        finally:
            self.state.connected = False
            self._airborne.clear()

    def _keep(self, name: str, value: Mapping[str, Any]) -> None:
        self._retained[name] = strict_json.encode(dict(value))
        self._send_plain(name, self._retained[name], qos=1, retain=True)

    def _send_plain(self, name: str, payload: bytes, *, qos: int, retain: bool) -> None:
        if not self._connection.online or (qos and self._connection.free_slots <= 0):
            return
        limit = self._connection.maximum_packet_size
        if limit is not None and len(payload) + 256 > limit:
            self._log.warning("sync.notice_too_large", topic=name, size=len(payload), limit=limit)
            return
        with suppress(SyncError):
            self._connection.publish(self._topics[name], payload, qos=qos, retain=retain)

    async def _send_loop(self) -> None:
        while True:
            self._wake.clear()
            if self._connection.online:
                await self._refill()
                while self._connection.free_slots > 0:
                    shipment = self._flight.next_due(self._clock.monotonic_ns())
                    if shipment is None:
                        break
                    await self._ship(shipment)
                    await self._refill()
            self._update_state()
            await self._pause()

    async def _pause(self) -> None:
        wait_s = IDLE_S
        due_ns = self._flight.next_due_ns()
        if due_ns is not None and self._connection.free_slots > 0:
            wait_s = min(IDLE_S, max(0.01, (due_ns - self._clock.monotonic_ns()) / 1e9))
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _refill(self) -> None:
        room = self._flight.room
        if room > 0:
            batches = await self._outbox.pending(self.target.id, self._flight.cursor, room)
            self._flight.admit(batches, self._clock.monotonic_ns())

    async def _ship(self, shipment: Shipment) -> None:
        data = shipment.data
        if data is None:
            found = await self._outbox.pending(self.target.id, shipment.position - 1, 1)
            if not found or (found[0].link.epoch, found[0].link.seq) != shipment.key:
                self._flight.postponed(shipment, self._clock.monotonic_ns())
                return
            data = found[0].data
        epoch, seq = shipment.key
        try:
            made = packets(
                data,
                link=Link(epoch=epoch, seq=seq, hash=""),
                topic=self._topics["batch"],
                compress=self.target.compress,
                limit=self._limit(shipment),
            )
        except SyncError as fault:
            now_ns = self._clock.monotonic_ns()
            if self._flight.strike(shipment.key, now_ns, size=None, certain=True):
                self._alarm_blocked(shipment.key, str(fault))
            return
        self._airborne.pop(shipment.key, None)
        self._airborne[shipment.key] = _Airborne(
            parts=len(made), largest=max(len(packet.payload) for packet in made)
        )
        if self._flight.sent(shipment, self._clock.monotonic_ns()):
            self._alarm_blocked(
                shipment.key, f"sent {shipment.attempts} times; later ones are receipted"
            )
        for packet in made:
            while self._connection.online and self._connection.free_slots <= 0:
                self._wake.clear()
                await self._wake.wait()
            if shipment.key not in self._airborne:
                return
            try:
                acknowledged = self._connection.publish(
                    self._topics["batch"], packet.payload, qos=1, user=packet.user
                )
            except SyncError:
                return
            self.state.sent += 1
            acknowledged.add_done_callback(partial(self._on_acknowledged, shipment.key))

    def _limit(self, shipment: Shipment) -> int | None:
        limits = (
            self._connection.maximum_packet_size,
            self._learned_limit,
            shipment.part_limit,
        )
        return min((limit for limit in limits if limit is not None), default=None)

    def _on_acknowledged(self, key: Key, acknowledged: asyncio.Future[int]) -> None:
        self._wake.set()
        airborne = self._airborne.get(key)
        if acknowledged.cancelled() or acknowledged.exception() is not None or airborne is None:
            return
        reason = acknowledged.result()
        if reason >= REFUSED_FROM:
            del self._airborne[key]
            now_ns = self._clock.monotonic_ns()
            if self._flight.strike(key, now_ns, size=None, certain=True):
                self._alarm_blocked(key, f"the broker refused it with reason 0x{reason:02X}")
            return
        airborne.parts -= 1
        if airborne.parts > 0:
            return
        del self._airborne[key]
        if self.target.confirm == "puback" and reason != NO_SUBSCRIBERS:
            epoch, seq = key
            self._inbox.put_nowait(
                Receipt(
                    site=self._topics.site,
                    gateway=self._topics.gateway,
                    epoch=epoch,
                    through=0,
                    hash="",
                    held=((seq, seq),),
                )
            )

    def _on_online(self) -> None:
        self.state.connected = True
        if self._last_loss is not None:
            self._report("sync.online", Severity.INFO, "")
        self._last_loss = None
        for name in ("birth", "status"):
            if name in self._retained:
                self._send_plain(name, self._retained[name], qos=1, retain=True)
        self._wake.set()

    def _on_lost(self, loss: Loss) -> None:
        self.state.connected = False
        self.state.last_loss = f"{loss.kind.value}: {loss.detail}"
        if loss.kind is not self._last_loss:
            severe = loss.kind in (LossKind.REFUSED, LossKind.TAKEN_OVER)
            self._report(
                f"sync.{loss.kind.value}",
                Severity.ALARM if severe else Severity.WARNING,
                advice(loss, self._connection.broker),
            )
        self._last_loss = loss.kind
        self._suspect(loss)
        self._flight.connection_lost(self._clock.monotonic_ns())
        self._wake.set()

    def _suspect(self, loss: Loss) -> None:
        """Put down the loss of a connection to the batch that was being sent, if there is one."""
        airborne, self._airborne = self._airborne, {}
        if not airborne or loss.kind in (LossKind.TAKEN_OVER, LossKind.REFUSED):
            return
        too_large = loss.kind is LossKind.TOO_LARGE
        if too_large:
            key = max(airborne, key=lambda known: airborne[known].largest)
            self._learned_limit = max(SMALLEST_PART_LIMIT, airborne[key].largest // 4)
        else:
            key = next(iter(airborne))  # a broker handles what it gets in order
        newly = self._flight.strike(
            key, self._clock.monotonic_ns(), size=airborne[key].largest, certain=too_large
        )
        if newly:
            self._alarm_blocked(key, f"the connection was lost over it: {loss.detail}")

    async def _receipt_loop(self) -> None:
        while True:
            item = await self._inbox.get()
            if isinstance(item, Receipt):
                await self._apply(item)
            elif item.topic == self._topics["receipt"] and self._receipts is not None:
                await self._receive(item.payload, self._receipts)
            elif item.topic == self._topics["factors"] and self._take_factors and item.payload:
                self._take_factors(item.payload)

    async def _receive(self, payload: bytes, receipts: Receipts) -> None:
        try:
            receipt, lost = await receipts.accept(payload)
        except ProofError as fault:
            self._report("sync.receipt_refused", Severity.ALARM, str(fault))
            return
        if lost:
            self._report("sync.ledger_lost", Severity.ALARM, lost)
        self.state.last_receipt_ms = self._clock.now_ms()
        await self._apply(receipt)

    async def _apply(self, receipt: Receipt) -> None:
        await self._outbox.confirm(self.target.id, receipt)
        done = self._flight.receipted(receipt, self._clock.monotonic_ns())
        for key in done:
            self._airborne.pop(key, None)
        self.state.receipted += len(done)
        if done:
            self._connection.mark_good()
        self._wake.set()

    def _alarm_blocked(self, key: Key, why: str) -> None:
        epoch, seq = key
        self._report("sync.blocked", Severity.ALARM, f"batch {epoch[:8]}/{seq} is set aside: {why}")

    def _report(self, code: str, severity: Severity, detail: str) -> None:
        level = self._log.info if severity is Severity.INFO else self._log.warning
        level(code, detail=detail)
        self._report_event(
            Event(
                time_ms=self._clock.now_ms(),
                code=code,
                subject=self.target.id,
                severity=severity,
                detail=detail,
            )
        )

    def _update_state(self) -> None:
        self.state.in_flight = len(self._flight)
        self.state.blocked = self._flight.blocked
