"""One session with one server: the calls this driver needs, each with its own errors.

Only the client library's connection and its codec are used. Its subscription class is not: it
starts one task per change, its publish loop ends silently when the server forgets the
subscription, and it decodes every field into an object (see `drivers.opcua.wire`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from asyncua import Client, ua
from asyncua.common.utils import Buffer
from asyncua.crypto import security_policies
from asyncua.crypto.uacrypto import CertProperties
from asyncua.ua.ua_binary import struct_from_binary

from agent.config import sections
from agent.core.errors import DeviceRefused, PortError, ReplyInvalid
from agent.core.ports import Clock
from drivers.opcua import security, wire
from drivers.opcua.codec import decode_other, milliseconds
from drivers.opcua.errors import bus_errors, status_name
from drivers.opcua.nodes import NodeAddress

DEFAULT_PORT: Final = 4840
REQUEST_TIMEOUT_S: Final = 5.0
CLOSE_TIMEOUT_S: Final = 2.0
SESSION_TIMEOUT_MS: Final = 60_000
CHANNEL_LIFETIME_MS: Final = 3_600_000
BATCH: Final = 1000  # nodes per call where the server names no limit
HISTORY_BATCH: Final = 50

_NAMESPACES: Final = 2255
_CURRENT_TIME: Final = 2258
_MAXIMUM_PER_READ: Final = 11705
_MAXIMUM_PER_HISTORY_READ: Final = 12165
_MAXIMUM_PER_MONITOR: Final = 11714


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many nodes the server takes in one call."""

    read: int
    history: int
    monitor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One monitored item to create."""

    handle: int
    node: ua.NodeId
    sampling_ms: int
    queue: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A subscription as the server granted it."""

    id: int
    publish_ms: float
    keep_alive_ms: float


class Session:
    """A connected and activated session; made by ``open``, ended by ``close``."""

    def __init__(self, bus: sections.Bus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        self.where = f"bus {bus.id} ({bus.endpoint})"
        self._url = endpoint_url(bus)
        self._client = self._new_client()
        self._renew_at_ns = 0
        self.namespaces: tuple[str, ...] = ()
        self.limits = Limits(read=BATCH, history=HISTORY_BATCH, monitor=BATCH)
        self.certificate_end_ms: int | None = None

    async def open(self) -> None:
        """Connect, check the server, log in; on any failure nothing stays open."""
        opened = False
        try:
            await self._secure()
            with bus_errors(self.where, "connecting"):
                await self._client.connect_socket()
                await self._client.send_hello()
                await self._client.open_secure_channel()
            self._schedule_renewal()
            with bus_errors(self.where, "opening a session"):
                await self._client.create_session()
            with bus_errors(self.where, "logging in"):
                await self._client.activate_session(
                    username=self._bus.user, password=security.read_password(self._bus)
                )
            await self._learn()
            opened = True
        finally:
            if not opened:
                await self.close()

    async def close(self) -> None:
        """End subscriptions and session at the server, then the connection. Never raises."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._client.close_session()
                await self._client.close_secure_channel()
        except (ua.UaError, OSError, ValueError):
            # The server is gone or deaf; it drops the session itself after its timeout.
            pass
        finally:
            self._client.disconnect_socket()
        await asyncio.sleep(0)

    async def renew_if_due(self) -> None:
        """Renew the keys of the secure channel after three quarters of their life."""
        if self._clock.monotonic_ns() < self._renew_at_ns:
            return
        with bus_errors(self.where, "renewing the secure channel"):
            await self._client.open_secure_channel(renew=True)
            self._client.uaclient.revolve_security_token()
        self._schedule_renewal()

    def node_id(self, address: NodeAddress) -> ua.NodeId | None:
        """The address with today's index of its namespace; None if the server has no such URI."""
        index = address.namespace_index
        if address.namespace_uri is not None:
            if address.namespace_uri not in self.namespaces:
                return None
            index = self.namespaces.index(address.namespace_uri)
        return ua.NodeId(address.identifier, index)

    async def subscribe(self, publish_ms: int, keep_alive_ms: int) -> Subscription:
        """Create one subscription that also reports that nothing changed."""
        request = ua.CreateSubscriptionRequest()
        parameters = request.Parameters
        parameters.RequestedPublishingInterval = float(publish_ms)
        parameters.RequestedMaxKeepAliveCount = max(1, keep_alive_ms // publish_ms)
        parameters.RequestedLifetimeCount = max(
            3 * parameters.RequestedMaxKeepAliveCount, -(-SESSION_TIMEOUT_MS // publish_ms)
        )
        parameters.MaxNotificationsPerPublish = 0
        parameters.PublishingEnabled = True
        response = await self._call(request, ua.CreateSubscriptionResponse, "subscribing")
        granted = response.Parameters
        interval_ms = float(granted.RevisedPublishingInterval)
        return Subscription(
            id=int(granted.SubscriptionId),
            publish_ms=interval_ms,
            keep_alive_ms=interval_ms * max(1, int(granted.RevisedMaxKeepAliveCount)),
        )

    async def monitor(self, subscription: int, items: Sequence[Item]) -> list[int]:
        """Create monitored items in batches; one status code per item, 0 is good."""
        statuses: list[int] = []
        size = self.limits.monitor
        while len(statuses) < len(items):
            part = items[len(statuses) : len(statuses) + size]
            request = ua.CreateMonitoredItemsRequest()
            request.Parameters.SubscriptionId = subscription
            request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
            request.Parameters.ItemsToCreate = [_item_request(item) for item in part]
            try:
                response = await self._call(
                    request, ua.CreateMonitoredItemsResponse, f"monitoring {len(part)} nodes"
                )
            except PortError as error:
                if not _too_many(error) or size == 1:
                    raise
                size //= 2
                continue
            if len(response.Results) != len(part):
                raise ReplyInvalid(
                    f"{len(response.Results)} results for {len(part)} monitored items",
                    where=self.where,
                    hint="look into the server's log",
                )
            statuses.extend(int(result.StatusCode.value) for result in response.Results)
        return statuses

    async def publish(self, subscription: int, acknowledge: int | None) -> wire.Publish:
        """Wait for the server's next notification or keep-alive; the caller sets the patience."""
        request = ua.PublishRequest()
        if acknowledge is not None:
            request.Parameters.SubscriptionAcknowledgements = [
                ua.SubscriptionAcknowledgement(
                    SubscriptionId=subscription, SequenceNumber=acknowledge
                )
            ]
        with bus_errors(self.where, "waiting for changes"):
            data = await self._send(request, None)
            return wire.decode_publish(data, decode_other)

    async def republish(self, subscription: int, sequence: int) -> wire.Publish | None:
        """A notification that did not arrive; None if the server has it no more."""
        request = ua.RepublishRequest()
        request.Parameters.SubscriptionId = subscription
        request.Parameters.RetransmitSequenceNumber = sequence
        with bus_errors(self.where, f"asking for notification {sequence} again"):
            try:
                data = await self._send(request, REQUEST_TIMEOUT_S)
            except ua.uaerrors.BadMessageNotAvailable:
                return None
            message = wire.decode_republish(data, decode_other, subscription)
        return message if message.sequence == sequence else None

    async def current_time_ms(self) -> int:
        """The server's clock; this gateway's where the server does not tell it."""
        value = (await self.read([ua.NodeId(_CURRENT_TIME)], ua.AttributeIds.Value))[0]
        return milliseconds(value) if isinstance(value, datetime) else self._clock.now_ms()

    async def read(self, nodes: Sequence[ua.NodeId], attribute: ua.AttributeIds) -> list[Any]:
        """One attribute of many nodes; None where the server gives a bad status."""
        values: list[Any] = []
        size = self.limits.read
        while len(values) < len(nodes):
            part = list(nodes[len(values) : len(values) + size])
            try:
                with bus_errors(self.where, "reading attributes"):
                    results = await self._client.uaclient.read_attributes(part, attribute)
            except PortError as error:
                if not _too_many(error) or size == 1:
                    raise
                size //= 2
                continue
            if len(results) != len(part):
                raise ReplyInvalid(
                    f"{len(results)} results for {len(part)} nodes",
                    where=self.where,
                    hint="look into the server's log",
                )
            values.extend(
                result.Value.Value if result.StatusCode.is_good() and result.Value else None
                for result in results
            )
        return values

    async def history(
        self, requests: Sequence[tuple[ua.NodeId, bytes | None]], start: datetime, end: datetime
    ) -> list[ua.HistoryReadResult]:
        """One call of raw history for several nodes, each with its continuation point.

        Raises DeviceRefused if the server refuses the call as such.
        """
        details = ua.ReadRawModifiedDetails()
        details.IsReadModified = False
        details.StartTime = start
        details.EndTime = end
        details.NumValuesPerNode = BATCH
        details.ReturnBounds = False
        parameters = ua.HistoryReadParameters()
        parameters.HistoryReadDetails = details
        parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
        parameters.ReleaseContinuationPoints = False
        for node, continuation in requests:
            value = ua.HistoryReadValueId()
            value.NodeId = node
            value.ContinuationPoint = continuation
            parameters.NodesToRead.append(value)
        with bus_errors(self.where, "reading history"):
            try:
                results: list[ua.HistoryReadResult] = await self._client.uaclient.history_read(
                    parameters
                )
            except ua.UaStatusCodeError as error:
                raise DeviceRefused(
                    f"history is refused: {status_name(error.code)}",
                    code=error.code,
                    where=self.where,
                    hint="check the user's right to read history at the server",
                ) from error
        return results

    def _new_client(self) -> Client:
        client = Client(self._url, timeout=REQUEST_TIMEOUT_S)
        client.name = client.description = "Tanshu gateway"
        client.application_uri = "urn:tanshu:gateway"
        client.product_uri = "urn:tanshu"
        client.session_timeout = max(SESSION_TIMEOUT_MS, 4 * self._bus.publish_ms)
        client.secure_channel_timeout = CHANNEL_LIFETIME_MS
        client.uaclient.pre_request_hook = None  # it waits for a reconnect that never comes here
        return client

    async def _secure(self) -> None:
        wanted = security.security_of(self._bus)
        if wanted is None:
            return
        now_ms = self._clock.now_ms()
        identity = security.load_identity(wanted, now_ms, self.where)
        with bus_errors(self.where, "asking for the server's endpoints"):
            endpoints = await self._client.connect_and_get_server_endpoints()
        policy = getattr(security_policies, f"SecurityPolicy{wanted.policy}")
        mode = ua.MessageSecurityMode[wanted.mode]
        offer = next(
            (
                endpoint
                for endpoint in endpoints
                if endpoint.SecurityMode == mode and endpoint.SecurityPolicyUri == policy.URI
            ),
            None,
        )
        if offer is None or not offer.ServerCertificate:
            raise PortError(
                f"the server does not offer {self._bus.security}",
                where=self.where,
                hint=f"it offers {_offers(endpoints)}",
            )
        self.certificate_end_ms = security.check_server(
            offer.ServerCertificate, wanted.trust, now_ms, self.where
        )
        self._client = self._new_client()
        if identity.application_uri:
            self._client.application_uri = identity.application_uri
        with bus_errors(self.where, "preparing the secure channel"):
            await self._client.set_security(
                policy,
                CertProperties(identity.certificate_der, "der"),
                CertProperties(identity.private_key_der, "der"),
                server_certificate=CertProperties(
                    security.first_certificate(offer.ServerCertificate), "der"
                ),
                mode=mode,
            )

    async def _learn(self) -> None:
        names = [_NAMESPACES, _MAXIMUM_PER_READ, _MAXIMUM_PER_HISTORY_READ, _MAXIMUM_PER_MONITOR]
        values = await self.read([ua.NodeId(name) for name in names], ua.AttributeIds.Value)
        if not isinstance(values[0], list):
            raise ReplyInvalid(
                "the server does not give its namespaces",
                where=self.where,
                hint="check the user's rights at the server",
            )
        self.namespaces = tuple(str(uri) for uri in values[0])
        self.limits = Limits(
            read=_limit(values[1], BATCH),
            history=_limit(values[2], HISTORY_BATCH),
            monitor=_limit(values[3], BATCH),
        )

    def _schedule_renewal(self) -> None:
        life_ms = int(self._client.secure_channel_timeout)
        self._renew_at_ns = self._clock.monotonic_ns() + life_ms * 750_000

    async def _call(self, request: Any, response_type: Any, doing: str) -> Any:
        with bus_errors(self.where, doing):
            data = await self._send(request, REQUEST_TIMEOUT_S)
            response = struct_from_binary(response_type, Buffer(data))
            response.ResponseHeader.ServiceResult.check()
        return response

    async def _send(self, request: Any, timeout_s: float | None) -> bytes:
        protocol = self._client.uaclient.protocol
        if protocol is None:
            raise ConnectionError("connection lost")
        async with asyncio.timeout(timeout_s):
            return bytes(await protocol.send_request(request, 0))


def endpoint_url(bus: sections.Bus) -> str:
    """The endpoint with its port; raises PortError if it is no opc.tcp address."""
    url = urlsplit(bus.endpoint or "")
    try:
        port = url.port or DEFAULT_PORT
    except ValueError:
        port = 0
    if url.scheme != "opc.tcp" or not url.hostname or not port or "@" in url.netloc:
        raise PortError(
            f"endpoint {bus.endpoint!r} is no OPC UA address",
            where=f"bus {bus.id}",
            hint='write endpoint = "opc.tcp://HOST:4840", and user and password_file apart from it',
        )
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return f"opc.tcp://{host}:{port}{url.path}"


def _item_request(item: Item) -> ua.MonitoredItemCreateRequest:
    request = ua.MonitoredItemCreateRequest()
    request.ItemToMonitor.NodeId = item.node
    request.ItemToMonitor.AttributeId = ua.AttributeIds.Value
    request.MonitoringMode = ua.MonitoringMode.Reporting
    request.RequestedParameters.ClientHandle = item.handle
    request.RequestedParameters.SamplingInterval = float(item.sampling_ms)
    request.RequestedParameters.QueueSize = item.queue
    request.RequestedParameters.DiscardOldest = True
    return request


def _too_many(error: PortError) -> bool:
    """True if the server takes fewer nodes in one call than it said, or said nothing."""
    return isinstance(error.__cause__, ua.uaerrors.BadTooManyOperations)


def _limit(value: Any, default: int) -> int:
    return min(default, value) if isinstance(value, int) and value > 0 else default


def _offers(endpoints: Sequence[ua.EndpointDescription]) -> str:
    offers = sorted(
        {
            f"{str(endpoint.SecurityPolicyUri).rpartition('#')[2]}/{endpoint.SecurityMode.name}"
            for endpoint in endpoints
        }
    )
    return ", ".join(offers) or "nothing"
