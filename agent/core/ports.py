"""The interfaces that the core owns and the shell implements."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from agent.core.model import Sample


class Clock(Protocol):
    """Wall and monotonic time; injected everywhere, never called directly."""

    def now_ms(self) -> int:
        """UTC milliseconds since 1970."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds since an arbitrary instant of this boot; never steps."""
        ...

    async def sleep_until(self, monotonic_ns: int) -> None:
        """Return at or just after the given monotonic instant."""
        ...


class BusStatistics(Protocol):
    """Counters that a driver keeps for the page and for `doctor`."""

    exchanges: int
    timeouts: int
    invalid: int
    refused: int
    busy_ns: int


class PolledDriver(Protocol):
    """A bus whose meters are asked one after the other.

    One driver owns one port or endpoint. ``read`` asks one meter for all its points and returns
    one sample per point, or raises a ``BusError`` for that meter; it never returns a value that
    might belong to another request. After any error the driver leaves the bus fit for the next
    request.
    """

    @property
    def statistics(self) -> BusStatistics: ...

    async def open(self) -> None: ...

    async def read(self, meter: str) -> Sequence[Sample]: ...

    async def close(self) -> None: ...


class SubscribedDriver(Protocol):
    """A server that pushes changes; ``batches`` ends with a ``BusError`` when it is lost."""

    @property
    def statistics(self) -> BusStatistics: ...

    async def open(self) -> None: ...

    def batches(self) -> AsyncIterator[Sequence[Sample]]: ...

    async def close(self) -> None: ...
