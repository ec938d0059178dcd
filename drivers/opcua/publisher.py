"""The publish loop: always one request waiting at the server, every notification accounted for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from agent.core.errors import BusError, PortError, ReplyTimeout
from drivers.opcua.wire import Publish, WireError

SEQUENCE_MODULUS = 2**32


class PublishingSession(Protocol):
    """What the loop needs of a session."""

    @property
    def where(self) -> str: ...

    async def publish(self, subscription: int, acknowledge: int | None) -> Publish: ...

    async def republish(self, subscription: int, sequence: int) -> Publish | None: ...


class Publisher:
    """Notifications of one subscription in order; ``lost`` counts what the server cannot repeat.

    A request is already waiting while the caller works on the last response, and there is never
    more than one response undelivered: a slow reader slows the server, whose queues are bounded
    and report their overflow, instead of filling this process.
    """

    def __init__(
        self,
        session: PublishingSession,
        subscription: int,
        patience_s: float,
        status_name: Callable[[int], str],
    ) -> None:
        self._session = session
        self._subscription = subscription
        self._patience_s = patience_s
        self._status_name = status_name
        self._waiting: asyncio.Task[Publish] | None = None
        self._acknowledge: int | None = None
        self._sequence: int | None = None
        self.lost = 0

    @property
    def ready(self) -> bool:
        """True if `next` returns at once."""
        return self._waiting is not None and self._waiting.done()

    def start(self) -> None:
        """Send the next publish request unless one is waiting."""
        if self._waiting is None:
            self._waiting = asyncio.create_task(
                self._session.publish(self._subscription, self._acknowledge)
            )
            self._acknowledge = None

    async def next(self) -> list[Publish]:
        """The next notifications, those sent again first; raises BusError when there are none."""
        self.start()
        waiting = self._waiting
        assert waiting is not None
        await asyncio.wait({waiting}, timeout=self._patience_s)
        if not waiting.done():
            raise ReplyTimeout(
                f"no publish response for {self._patience_s:g} s",
                where=self._session.where,
                hint="the server dropped the subscription or the network is cut",
            )
        self._waiting = None
        message = waiting.result()
        messages: list[Publish] = []
        if message.subscription == self._subscription:
            messages = [*await self._missed(message), message]
            if not message.keep_alive:
                self._acknowledge = message.sequence
        if message.ended is not None:
            raise PortError(
                f"the server ended the subscription: {self._status_name(message.ended)}",
                where=self._session.where,
                hint="look into the server's log",
            )
        self.start()
        return messages

    async def stop(self) -> None:
        """Withdraw the waiting request."""
        if self._waiting is not None:
            self._waiting.cancel()
            with suppress(asyncio.CancelledError, BusError, WireError):
                await self._waiting
            self._waiting = None

    async def _missed(self, message: Publish) -> list[Publish]:
        """Fetch the notifications between the last one and this; a keep-alive names the next."""
        expected = self._sequence
        self._sequence = message.sequence if message.keep_alive else following(message.sequence)
        if expected is None:
            return []
        messages: list[Publish] = []
        gap = (message.sequence - expected) % SEQUENCE_MODULUS
        if gap >= SEQUENCE_MODULUS // 2:
            return []  # counted anew by the server: nothing is missing in front
        sequence = expected
        while sequence != message.sequence:
            again = await self._session.republish(self._subscription, sequence)
            if again is None:
                self.lost += (message.sequence - sequence) % SEQUENCE_MODULUS
                break
            messages.append(again)
            sequence = following(sequence)
        return messages


def following(sequence: int) -> int:
    """The sequence number after this one; 0 is skipped (OPC 10000-4 §5.14.1.1)."""
    return sequence % (SEQUENCE_MODULUS - 1) + 1
