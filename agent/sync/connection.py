"""One MQTT 5 connection to a broker, kept up for ever, driven by asyncio without a thread.

Every attempt uses a new paho client, so paho's own queue never outlives a connection: what has
to be sent again is decided by the publisher, from the outbox, not from memory.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from agent.core.errors import SyncError
from agent.core.payload import MAX_BATCH_BYTES
from agent.core.ports import Clock
from agent.sync.broker import Broker, open_socket
from agent.sync.model import Handlers, Loss, LossKind, Message, Patience, Will

log = structlog.get_logger(__name__)

NOT_ALLOWED = {0x86, 0x87, 0x8A, 0x8C}  # bad password, not authorised, banned, bad method
TAKEN_OVER = 0x8E
TOO_LARGE = 0x95
QUICK_CLOSES = 3
LARGEST_PACKET = MAX_BATCH_BYTES + 64 * 1024  # what a broker may send here
DEFAULT_RECEIVE_MAXIMUM = 65_535  # MQTT 5 section 3.2.2.3.3


class _Client(mqtt.Client):
    """A paho client that is handed its socket, so that connecting never blocks the loop."""

    def __init__(self, connected: socket.socket, client_id: str, *, manual_ack: bool) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=mqtt.MQTTv5,
            reconnect_on_failure=False,
            manual_ack=manual_ack,
        )
        self.connected = connected

    def _create_socket(self) -> socket.socket:
        return self.connected


def _properties(packet_type: int) -> Properties:
    return Properties(packet_type)  # type: ignore[no-untyped-call]


class Connection:
    """Keeps one broker connected, with backoff; ``run`` is its life."""

    def __init__(
        self,
        broker: Broker,
        *,
        clock: Clock,
        random: Callable[[], float],
        handlers: Handlers,
        subscriptions: Sequence[tuple[str, int]] = (),
        will: Will | None = None,
        manual_ack: bool = False,
        receive_maximum: int | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.broker = broker
        self.online = False
        self.maximum_packet_size: int | None = None
        self.receive_maximum = DEFAULT_RECEIVE_MAXIMUM
        self._clock = clock
        self._random = random
        self._handlers = handlers
        self._subscriptions = tuple(subscriptions)
        self._will = will
        self._manual_ack = manual_ack
        self._own_receive_maximum = receive_maximum
        self._patience = patience or Patience()
        self._client: _Client | None = None
        self._unacknowledged: dict[int, asyncio.Future[int]] = {}
        self._closed: asyncio.Future[Loss] | None = None
        self._session = 0
        self._idle_at_end = False
        self._quick_closes = 0
        self._attempts = 0
        self._severe = 0
        self._log = log.bind(broker=broker.address, client_id=broker.client_id)

    @property
    def free_slots(self) -> int:
        """How many more QoS 1 messages may be sent before the broker acknowledges one."""
        return self.receive_maximum - len(self._unacknowledged) if self.online else 0

    def mark_good(self) -> None:
        """Say that the connection does what it is for; only then the next wait is short again."""
        self._attempts = 0
        self._severe = 0
        self._quick_closes = 0

    async def run(self) -> None:
        """Connect, serve and connect again, until cancelled; then say goodbye."""
        while True:
            started_ns = self._clock.monotonic_ns()
            loss = self._judge(await self._attempt(), started_ns)
            if self._clock.monotonic_ns() - started_ns >= self._patience.steady_s * 1e9:
                self.mark_good()
            delay_s = self._delay_s(loss)
            self._log.warning(
                f"sync.{loss.kind.value}", detail=loss.detail, retry_s=round(delay_s, 2)
            )
            self._handlers.lost(loss)
            await self._clock.sleep_until(self._clock.monotonic_ns() + int(delay_s * 1e9))

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 0,
        retain: bool = False,
        user: Sequence[tuple[str, str]] = (),
    ) -> asyncio.Future[int]:
        """Send a message; the future gives the reason code of its PUBACK (0 at once for QoS 0).

        The future fails with ``SyncError`` if the connection is lost first.

        Raises:
            SyncError: not connected.
        """
        if self._client is None or not self.online:
            raise SyncError("not connected", where=self.broker.address)
        properties = _properties(PacketTypes.PUBLISH)
        if user:
            properties.UserProperty = list(user)
        info = self._client.publish(topic, payload, qos, retain, properties)
        if info.rc != mqtt.MQTT_ERR_SUCCESS:
            raise SyncError(f"not sent: {mqtt.error_string(info.rc)}", where=self.broker.address)
        acknowledged: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if qos == 0:
            acknowledged.set_result(0)
        else:
            self._unacknowledged[info.mid] = acknowledged
        return acknowledged

    def acknowledge(self, message: Message) -> None:
        """Send the PUBACK of a message that was received with ``manual_ack``."""
        if self._client is not None and message.qos == 1 and message.session == self._session:
            self._client.ack(message.message_id, 1)

    async def _attempt(self) -> Loss:
        try:
            password = self.broker.password()
            connected = await open_socket(self.broker)
        except (OSError, SyncError) as fault:
            return Loss(kind=LossKind.UNREACHABLE, detail=f"{type(fault).__name__}: {fault}")
        client = _Client(connected, self.broker.client_id, manual_ack=self._manual_ack)
        self._client = client
        self._session += 1
        closed = self._closed = asyncio.get_running_loop().create_future()
        try:
            self._prepare(client, password)
            client.connect_async(
                self.broker.host,
                self.broker.port,
                keepalive=self.broker.keepalive_s,
                clean_start=True,
                properties=self._connect_properties(),
            )
            client.reconnect()
            return await self._serve(client, closed)
        except asyncio.CancelledError:
            await self._say_goodbye(client)
            raise
        except OSError as fault:
            return Loss(kind=LossKind.CLOSED, detail=str(fault))
        finally:
            self._end(client)

    async def _serve(self, client: _Client, closed: asyncio.Future[Loss]) -> Loss:
        """Run paho's timers until the connection ends."""
        started_ns = self._clock.monotonic_ns()
        limit_ns = int(self.broker.connect_timeout_s * 1e9)
        while not closed.done():
            await asyncio.wait({closed}, timeout=1.0)
            client.loop_misc()
            waited_ns = self._clock.monotonic_ns() - started_ns
            if not self.online and not closed.done() and waited_ns > limit_ns:
                return Loss(kind=LossKind.UNREACHABLE, detail="no CONNACK or SUBACK in time")
        return closed.result()

    def _prepare(self, client: _Client, password: str | None) -> None:
        client.suppress_exceptions = False
        # The broker's receive maximum is kept by the publisher, not by paho's queue.
        client.max_inflight_messages_set(0)
        if self.broker.user is not None:
            client.username_pw_set(self.broker.user, password)
        if self._will is not None:
            client.will_set(self._will.topic, self._will.payload, qos=1, retain=True)
        loop = asyncio.get_running_loop()
        client.on_socket_open = lambda _c, _u, sock: loop.add_reader(
            sock.fileno(), partial(self._readable, client)
        )
        client.on_socket_close = lambda _c, _u, sock: (
            loop.remove_reader(sock.fileno()),
            loop.remove_writer(sock.fileno()),
            None,
        )[2]
        client.on_socket_register_write = lambda _c, _u, sock: loop.add_writer(
            sock.fileno(), client.loop_write
        )
        client.on_socket_unregister_write = lambda _c, _u, sock: (
            loop.remove_writer(sock.fileno()),
            None,
        )[1]
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_message = self._on_message

    def _connect_properties(self) -> Properties:
        properties = _properties(PacketTypes.CONNECT)
        properties.MaximumPacketSize = LARGEST_PACKET
        if self._own_receive_maximum is not None:
            properties.ReceiveMaximum = self._own_receive_maximum
        return properties

    def _readable(self, client: _Client) -> None:
        client.loop_read()
        # TLS may hold decrypted bytes that the selector does not see.
        while True:
            connected = client.socket()
            pending = getattr(connected, "pending", None)
            if pending is None or pending() == 0:
                return
            client.loop_read()

    def _on_connect(
        self,
        client: mqtt.Client,
        _user: Any,
        _flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        answer: Properties | None,
    ) -> None:
        if reason.is_failure:
            kind = LossKind.REFUSED if reason.value in NOT_ALLOWED else LossKind.CLOSED
            self._close(Loss(kind=kind, detail=str(reason)))
            return
        self.maximum_packet_size = getattr(answer, "MaximumPacketSize", None)
        self.receive_maximum = getattr(answer, "ReceiveMaximum", DEFAULT_RECEIVE_MAXIMUM)
        if self._subscriptions:
            client.subscribe(
                [(topic, SubscribeOptions(qos=qos)) for topic, qos in self._subscriptions]
            )
        else:
            self._go_online()

    def _on_subscribe(
        self,
        client: mqtt.Client,
        _user: Any,
        _message_id: int,
        reasons: list[ReasonCode],
        _answer: Properties,
    ) -> None:
        refused = [
            f"{topic}: {reason}"
            for (topic, _), reason in zip(self._subscriptions, reasons, strict=False)
            if reason.is_failure
        ]
        if refused:
            self._close(
                Loss(kind=LossKind.REFUSED, detail="subscription refused: " + "; ".join(refused))
            )
            client.disconnect()
        else:
            self._go_online()

    def _go_online(self) -> None:
        self.online = True
        self._log.info(
            "sync.connected",
            maximum_packet_size=self.maximum_packet_size,
            receive_maximum=self.receive_maximum,
        )
        self._handlers.online()

    def _on_disconnect(
        self,
        _client: mqtt.Client,
        _user: Any,
        flags: mqtt.DisconnectFlags,
        reason: ReasonCode,
        _answer: Properties | None,
    ) -> None:
        kind = LossKind.CLOSED
        if flags.is_disconnect_packet_from_server:
            kind = {
                TAKEN_OVER: LossKind.TAKEN_OVER,
                TOO_LARGE: LossKind.TOO_LARGE,
                **dict.fromkeys(NOT_ALLOWED, LossKind.REFUSED),
            }.get(reason.value, LossKind.CLOSED)
        self._close(Loss(kind=kind, detail=str(reason)))

    def _on_publish(
        self,
        _client: mqtt.Client,
        _user: Any,
        message_id: int,
        reason: ReasonCode,
        _answer: Properties,
    ) -> None:
        acknowledged = self._unacknowledged.pop(message_id, None)
        if acknowledged is not None and not acknowledged.done():
            acknowledged.set_result(reason.value)

    def _on_message(self, _client: mqtt.Client, _user: Any, message: mqtt.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        pairs = getattr(message.properties, "UserProperty", ()) or ()
        self._handlers.message(
            Message(
                topic=topic,
                payload=bytes(message.payload),
                qos=message.qos,
                message_id=message.mid,
                session=self._session,
                retain=message.retain,
                user=dict(pairs),
            )
        )

    def _close(self, loss: Loss) -> None:
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(loss)

    async def _say_goodbye(self, client: _Client) -> None:
        """Publish the will ourselves, since a proper DISCONNECT makes the broker drop it."""
        if not self.online:
            return
        if self._will is not None:
            client.publish(self._will.topic, self._will.payload, qos=0, retain=True)
        client.disconnect()
        for _ in range(50):
            if client.socket() is None or not client.want_write():
                return
            await asyncio.sleep(0.02)

    def _end(self, client: _Client) -> None:
        self._idle_at_end = self.online and not self._unacknowledged
        self.online = False
        self._client = None
        loop = asyncio.get_running_loop()
        connected = client.socket() or client.connected
        if connected.fileno() >= 0:
            loop.remove_reader(connected.fileno())
            loop.remove_writer(connected.fileno())
            connected.close()
        waiting, self._unacknowledged = self._unacknowledged, {}
        for acknowledged in waiting.values():
            if not acknowledged.done():
                acknowledged.set_exception(SyncError("connection lost before PUBACK"))
                acknowledged.exception()  # read here, so that an unread one is no warning

    def _judge(self, loss: Loss, started_ns: int) -> Loss:
        """Recognise a take-over by brokers that do not say so (mosquitto 2.0.11 only closes).

        A broker that accepts at once and closes soon after, again and again, with nothing under
        way, has most likely another client of the same id that reconnects in turn with this one.
        """
        steady_ns = self._patience.steady_s * 1e9
        short = self._clock.monotonic_ns() - started_ns < steady_ns
        if loss.kind is not LossKind.CLOSED or not short:
            self._quick_closes = 0
            return loss
        self._quick_closes += self._idle_at_end
        if self._quick_closes < QUICK_CLOSES:
            return loss
        return Loss(
            kind=LossKind.TAKEN_OVER,
            detail=f"closed {self._quick_closes} times soon after it was accepted",
        )

    def _delay_s(self, loss: Loss) -> float:
        if loss.kind in (LossKind.REFUSED, LossKind.TAKEN_OVER):
            self._severe += 1
            return self._patience.severe.delay_s(self._severe - 1, self._random())
        self._attempts += 1
        return self._patience.ordinary.delay_s(self._attempts - 1, self._random())
