"""Delivery to all targets: the outbox over the store, one supervised publisher each."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from functools import partial

from agent import __version__
from agent.config.check_factors import LEDGER
from agent.config.site import SiteConfig
from agent.core.errors import TanshuError
from agent.core.model import Event, Quality, Receipt
from agent.core.payload import Link
from agent.daemon.service import Gateway
from agent.store.batches import Batches
from agent.sync.outbox import OutboxBatch
from agent.sync.publisher import Publisher
from agent.web.view import Problem, ProblemCode, TargetState

LIVE_INTERVAL_NS = 2_000_000_000


class StoreOutbox:
    """The publisher's outbox on the gateway's store."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._batches = Batches(gateway.database.connection)

    async def pending(self, target: str, after: int, limit: int) -> Sequence[OutboxBatch]:
        """Unconfirmed batches above a position, oldest first."""
        found = []
        for row in self._batches.unconfirmed(target, after, limit):
            data = self._batches.data(row.epoch, row.seq)
            assert data is not None
            link = Link(epoch=row.epoch, seq=row.seq, hash=row.hash)
            found.append(OutboxBatch(position=row.position, link=link, data=data))
        return found

    async def hash_of(self, epoch: str, seq: int) -> str | None:
        """The hash of a batch that this gateway has sealed."""
        return self._batches.hash(epoch, seq)

    async def confirm(self, target: str, receipt: Receipt) -> None:
        """Durably move the target's cursor."""
        with self._gateway.database.transaction():
            self._batches.confirm(
                target,
                receipt.epoch,
                receipt.through,
                list(receipt.held),
                self._gateway.clock.now_ms(),
            )


class Deliveries:
    """The publishers of all targets, and what the page shows of them."""

    def __init__(
        self, gateway: Gateway, take_factors: Callable[[str, bytes], None] | None = None
    ) -> None:
        self._gateway = gateway
        self._take_factors = take_factors
        self._publishers: dict[str, Publisher] = {}
        self._problems: dict[str, Problem] = {}

    def reconcile(self) -> None:
        """Make one publisher per configured target; called at start and after a reload."""
        wanted = {target.id: target for target in self._gateway.config.targets}
        from_ledger = LEDGER in self._gateway.config.factors.sources
        take = self._take_factors if from_ledger else None
        for target_id, target in wanted.items():
            known = self._publishers.get(target_id)
            if known is not None and (known.target, known.takes_factors) == (target, bool(take)):
                continue
            try:
                publisher = Publisher(
                    target,
                    site=self._gateway.owner.site,
                    gateway=self._gateway.owner.gateway,
                    outbox=StoreOutbox(self._gateway),
                    clock=self._gateway.clock,
                    random=random.random,
                    report=self._gateway.recorder.report,
                    take_factors=None if take is None else partial(take, target_id),
                )
            except TanshuError as error:
                self._problems[target_id] = Problem(
                    what=error.what, where=error.where, hint=error.hint
                )
                continue
            self._problems.pop(target_id, None)
            self._publishers[target_id] = publisher
        for target_id in set(self._publishers) - set(wanted):
            del self._publishers[target_id]

    def factories(self) -> dict[str, Callable[[], object]]:
        """The loop of each publisher by the name of its child."""
        return {f"sync:{name}": publisher.run for name, publisher in self._publishers.items()}

    async def announce(self) -> None:
        """Publish birth and status, wake publishers when batches are sealed, send live values."""
        clock = self._gateway.clock
        self._publish_birth()
        due_ns = clock.monotonic_ns()
        while True:
            due_ns += LIVE_INTERVAL_NS
            async with asyncio.TaskGroup() as group:
                timer = group.create_task(clock.sleep_until(due_ns))
                sealed = group.create_task(self._gateway.sealed.wait())
                await asyncio.wait((timer, sealed), return_when=asyncio.FIRST_COMPLETED)
                timer.cancel()
                sealed.cancel()
            if self._gateway.sealed.is_set():
                self._gateway.sealed.clear()
                due_ns -= LIVE_INTERVAL_NS
                for publisher in self._publishers.values():
                    publisher.wake()
                continue
            self._publish_live()

    def publish_event(self, event: Event) -> None:
        """Tell subscribers at once; the ledger's copy travels in a batch."""
        message = {
            "time": event.time_ms,
            "code": event.code,
            "subject": event.subject,
            "severity": event.severity.value,
            "detail": event.detail,
        }
        for publisher in self._publishers.values():
            publisher.publish_event(message)

    def _publish_birth(self) -> None:
        birth = birth_of(self._gateway.config)
        for publisher in self._publishers.values():
            publisher.publish_birth(birth)
            publisher.publish_status(
                {"state": "online", "started": self._gateway.started_ms, "version": __version__}
            )

    def _publish_live(self) -> None:
        live = self._gateway.live
        values = {
            name: sample.value
            for name in self._gateway.config.points
            if (sample := live.get(name)) is not None
            and sample.quality == Quality.GOOD
            and sample.value is not None
        }
        message = {"time": self._gateway.clock.now_ms(), "values": values}
        for publisher in self._publishers.values():
            publisher.publish_live(message)

    def state(self, target: str) -> tuple[TargetState, Problem | None]:
        """Whether a target is connected, and what is wrong if not."""
        publisher = self._publishers.get(target)
        if publisher is None:
            return TargetState.DOWN, self._problems.get(target)
        state = publisher.state
        if state.connected:
            blocked = (
                Problem(
                    what=f"{state.blocked} batches are set aside",
                    where=target,
                    hint="see the events for the broker's reason",
                    code=ProblemCode.BATCHES_BLOCKED,
                    values={"n": str(state.blocked)},
                )
                if state.blocked
                else None
            )
            return TargetState.CONNECTED, blocked
        if not state.last_loss:
            return TargetState.CONNECTING, None
        refused = state.last_loss.startswith(("refused", "taken_over"))
        return (
            TargetState.REFUSED if refused else TargetState.DOWN,
            Problem(
                what=state.last_loss,
                where=target,
                hint="it is tried again by itself",
                code=ProblemCode.TARGET_LOST,
                values={"loss": state.last_loss},
            ),
        )

    def sent(self, target: str) -> int:
        """Messages handed to the broker since the start."""
        publisher = self._publishers.get(target)
        return publisher.state.sent if publisher else 0


def birth_of(config: SiteConfig) -> dict[str, object]:
    """The retained description of a gateway: places, devices, streams, sources, factors."""
    return {
        "schema": "tanshu/v1/birth",
        "version": __version__,
        "config": config.hash,
        "site": {
            "id": config.site.id,
            "name": config.site.name,
            "timezone": config.site.timezone,
            "rules": config.site.rules,
            "gwp": config.site.gwp,
            "window_ms": config.window_ms,
        },
        "gateway": config.gateway.id,
        "areas": [{"id": area.id, "name": area.name} for area in config.areas],
        "units": [
            {"id": unit.id, "area": unit.area, "name": unit.name, "mode": unit.mode}
            for unit in config.units
        ],
        "devices": [
            {
                "id": device.id,
                "unit": device.unit,
                "name": device.name,
                "stage": device.stage,
                "streams": [[share.stream, share.share] for share in device.streams],
            }
            for device in config.devices
        ],
        "streams": [
            {
                "id": stream.id,
                "kind": stream.kind.value,
                "quantity": stream.quantity,
                "unit": stream.unit,
                "resolution": stream.resolution,
            }
            for stream in config.streams.values()
        ],
        "derived": [
            {
                "id": plan.id,
                "name": plan.name,
                "formula": plan.formula_text,
                "formula_hash": plan.formula_hash if plan.formula_text else "",
                "inputs": plan.inputs,
            }
            for plan in config.derived
            if plan.booked
        ],
        "sources": [
            {
                "id": source.id,
                "device": source.section.device,
                "kind": source.section.kind,
                "stream": source.section.stream,
                "share": source.section.share,
                "factor": source.factor.id,
                "factor_version": source.factor.version,
                "factor_value": source.factor.value,
                "factor_unit": source.factor.unit,
            }
            for source in config.sources.values()
        ],
        "period_sources": [
            {
                "id": source.id,
                "device": source.section.device,
                "kind": source.section.kind,
                "period": source.section.period,
                "inputs": sorted({*source.streams, *source.entered}),
            }
            for source in config.period_sources.values()
        ],
    }
