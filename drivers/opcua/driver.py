"""The driver: one server, one session, one subscription, rebuilt whenever it is opened again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from asyncua import ua

from agent.config import sections
from agent.config.site import MeterPlan
from agent.core.errors import PortError, ReplyInvalid, ReplyTimeout
from agent.core.model import Sample
from agent.core.ports import Clock
from drivers.opcua.errors import status_name
from drivers.opcua.history import Gap, read_gaps, readable
from drivers.opcua.nodes import NodePoint, node_points
from drivers.opcua.publisher import Publisher
from drivers.opcua.readings import Readings
from drivers.opcua.session import Item, Session, Subscription
from drivers.opcua.wire import Publish, WireError

KEEP_ALIVE_MS: Final = 1000
PATIENCE_FLOOR_S: Final = 2.0  # a busy machine may be late by more than three short intervals
QUEUE_INTERVALS: Final = 10  # publish intervals that the server's queue must bridge
RETRY_NODES_NS: Final = 60 * 10**9
BUFFERED_CHANGES: Final = 50_000  # about 10 MB


@dataclass(slots=True)
class OpcUaStatistics:
    """Counters of one bus. ``exchanges`` counts publish responses, ``refused`` refused nodes."""

    exchanges: int = 0
    timeouts: int = 0
    invalid: int = 0
    refused: int = 0
    busy_ns: int = 0
    sessions: int = 0
    changes: int = 0
    held: int = 0  # samples that only say that a value still holds
    overflows: int = 0  # values behind which the server's queue dropped older ones
    future_times: int = 0  # values whose source's clock is ahead of the server's
    lost_notifications: int = 0  # neither received nor sent again
    history_values: int = 0
    history_refused: dict[str, str] = field(default_factory=dict)  # point -> why, last time
    clock_offset_ms: int = 0  # server's clock minus this gateway's
    certificate_end_ms: int | None = None  # end of validity of the server's certificate
    bad_nodes: dict[str, str] = field(default_factory=dict)  # point -> why


class OpcUaDriver:
    """Changes of all points of one OPC UA server; a `SubscribedDriver`.

    ``open`` connects and logs in. ``batches`` subscribes, first yields what the server recorded
    since the last session, then changes as they come, and ends with a BusError. ``close`` always
    gives the session back. What was last seen of each point survives in between.
    """

    def __init__(self, bus: sections.Bus, meters: Sequence[MeterPlan], clock: Clock) -> None:
        self.statistics = OpcUaStatistics()
        self._bus = bus
        self._clock = clock
        self._points = node_points(meters)
        self._readings = Readings(self._points, status_name, bus.publish_ms)
        self._session: Session | None = None
        self._publisher: Publisher | None = None
        self._bad: set[int] = set()
        self._undecodable: dict[int, str] = {}
        self._retry_at_ns = 0

    async def open(self) -> None:
        """Connect, check the server's certificate and log in; PortError says what to do."""
        await self.close()
        session = Session(self._bus, self._clock)
        await session.open()
        self._session = session
        self.statistics.sessions += 1
        self.statistics.certificate_end_ms = session.certificate_end_ms

    async def close(self) -> None:
        """End the subscription and give the session back to the server."""
        publisher, self._publisher = self._publisher, None
        session, self._session = self._session, None
        if publisher is not None:
            await publisher.stop()
        if session is not None:
            await session.close()

    async def batches(self) -> AsyncIterator[Sequence[Sample]]:
        """Samples in the order of their time per point, until a BusError ends them."""
        session = self._session
        if session is None:
            raise PortError(
                "the session is not open", where=f"bus {self._bus.id}", hint="call open first"
            )
        subscription = await session.subscribe(self._bus.publish_ms, KEEP_ALIVE_MS)
        publisher = Publisher(session, subscription.id, _patience_s(subscription), status_name)
        self._publisher = publisher
        try:
            refused = await self._monitor(session, subscription, range(len(self._points)))
            publisher.start()
            if refused:
                yield refused
            async for samples in self._catch_up(session, publisher):
                yield samples
            while True:
                lost = publisher.lost
                messages = await self._next(publisher)
                if publisher.lost > lost:
                    self.statistics.lost_notifications += publisher.lost - lost
                    async for samples in self._catch_up(session, publisher):
                        yield samples
                for message in messages:
                    if samples := self._samples(message):
                        yield samples
                await session.renew_if_due()
                await self._retry_bad(session, subscription)
        finally:
            await publisher.stop()

    async def _next(self, publisher: Publisher) -> list[Publish]:
        try:
            messages = await publisher.next()
        except ReplyTimeout:
            self.statistics.timeouts += 1
            raise
        except WireError as error:
            self.statistics.invalid += 1
            if error.handle is not None and error.handle < len(self._points):
                self._undecodable[error.handle] = f"cannot be decoded: {error}"
            raise ReplyInvalid(
                f"a notification cannot be decoded: {error}",
                where=f"bus {self._bus.id}",
                hint="the point is left out of the next session; give it a number or a text",
            ) from error
        self.statistics.exchanges += 1
        return messages

    def _samples(self, message: Publish) -> list[Sample]:
        """Samples of one notification, and those that its silence about the others confirms."""
        statistics, readings = self.statistics, self._readings
        started_ns = self._clock.monotonic_ns()
        now_ms = self._clock.now_ms()
        publish_ms = message.publish_ms or now_ms
        statistics.clock_offset_ms = publish_ms - now_ms
        statistics.changes += len(message.changes)
        samples = readings.change(message.changes, publish_ms, started_ns)
        if not message.more:
            samples += readings.held(publish_ms, started_ns)
        statistics.held = readings.held_count
        statistics.overflows = readings.overflows
        statistics.future_times = readings.future_times
        statistics.busy_ns += self._clock.monotonic_ns() - started_ns
        return samples

    async def _monitor(
        self, session: Session, subscription: Subscription, handles: Sequence[int]
    ) -> list[Sample]:
        """Monitor the nodes; those that the server refuses come back as missing samples."""
        reasons = {handle: why for handle, why in self._undecodable.items() if handle in handles}
        items: list[Item] = []
        self._readings.subscribed(handles, await session.current_time_ms())
        for handle in handles:
            if handle in reasons:
                continue
            point = self._points[handle]
            node = session.node_id(point.address) if point.address else None
            if node is None:
                reasons[handle] = point.fault or "BadNodeIdUnknown: namespace not on the server"
            else:
                items.append(_item(handle, node, point, subscription))
        for item, status in zip(items, await session.monitor(subscription.id, items), strict=True):
            if status >> 30:
                reasons[item.handle] = status_name(status)
        self._retry_at_ns = self._clock.monotonic_ns() + RETRY_NODES_NS
        now_ms = self._clock.now_ms()
        monotonic_ns = self._clock.monotonic_ns()
        self._bad.difference_update(handles)
        self._bad.update(reasons)
        self.statistics.refused += len(reasons)
        for handle in handles:
            self.statistics.bad_nodes.pop(self._points[handle].id, None)
        self.statistics.bad_nodes |= {self._points[h].id: why for h, why in reasons.items()}
        return [
            self._readings.missing(handle, reason, now_ms, monotonic_ns)
            for handle, reason in reasons.items()
        ]

    async def _retry_bad(self, session: Session, subscription: Subscription) -> None:
        """Ask again for refused nodes: a server that is starting has them a minute later."""
        if self._bad and self._clock.monotonic_ns() >= self._retry_at_ns:
            await self._monitor(session, subscription, sorted(self._bad))

    async def _catch_up(
        self, session: Session, publisher: Publisher
    ) -> AsyncIterator[Sequence[Sample]]:
        """History since each point was last seen, then what was published meanwhile.

        Publishing goes on during the read so that no queue of the server runs over. Only if that
        grows beyond the buffer is it delivered in between, out of the order of time.
        """
        gaps = [
            Gap(handle=handle, node=node, after_ms=after_ms)
            for handle, point in enumerate(self._points)
            if handle not in self._bad
            and (after_ms := self._readings.seen_ms(handle))
            and point.address is not None
            and (node := session.node_id(point.address)) is not None
        ]
        buffer: list[Publish] = []
        refused: dict[int, str] = {}
        async for gap, changes in read_gaps(session, await readable(session, gaps), refused):
            past = self._readings.past(gap.handle, changes, self._clock.monotonic_ns())
            self.statistics.history_values += len(past)
            if past:
                yield past
            if publisher.ready:
                buffer += await self._next(publisher)
            if sum(len(message.changes) for message in buffer) > BUFFERED_CHANGES:
                for message in buffer:
                    yield self._samples(message)
                buffer.clear()
        self.statistics.history_refused = {self._points[h].id: why for h, why in refused.items()}
        for message in buffer:
            if samples := self._samples(message):
                yield samples


def _item(handle: int, node: ua.NodeId, point: NodePoint, subscription: Subscription) -> Item:
    per_interval = max(1, -(-int(subscription.publish_ms) // point.period_ms))
    return Item(
        handle=handle,
        node=node,
        sampling_ms=point.period_ms,
        queue=QUEUE_INTERVALS * per_interval,
    )


def _patience_s(subscription: Subscription) -> float:
    silence_ms = 3 * subscription.publish_ms + subscription.keep_alive_ms
    return max(PATIENCE_FLOOR_S, silence_ms / 1000)


__all__ = ["OpcUaDriver", "OpcUaStatistics"]
