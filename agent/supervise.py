"""Named children under one TaskGroup: restarted with backoff, shown, and watched.

A plain TaskGroup cancels every sibling when one child fails. Here each child runs in its own
guard: whatever it raises is kept for the status page and it is started again, later each time.
A critical child (the store's writer) is not: its error ends the service and the service manager
starts it afresh.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog

from agent.core.ports import Clock

FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 60.0
HEALTHY_AFTER_S = 60.0

Factory = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Child:
    """A supervised loop and what is known of it."""

    name: str
    factory: Factory
    critical: bool
    state: str = "starting"
    restarts: int = 0
    last_error: str = ""
    last_hint: str = ""
    task: asyncio.Task[None] | None = None


class Supervisor:
    """Starts, restarts and stops named children."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._group: asyncio.TaskGroup | None = None
        self._children: dict[str, Child] = {}
        self._stop = asyncio.Event()
        self._log = structlog.get_logger("supervise")

    @property
    def children(self) -> Mapping[str, Child]:
        return self._children

    def add(self, name: str, factory: Factory, *, critical: bool = False) -> None:
        """Register a child; it starts at once if the supervisor runs."""
        child = Child(name, factory, critical)
        self._children[name] = child
        if self._group is not None:
            child.task = self._group.create_task(self._guard(child), name=name)

    async def remove(self, name: str) -> None:
        """Stop a child and forget it."""
        child = self._children.pop(name, None)
        if child is None or child.task is None:
            return
        child.task.cancel()
        await asyncio.wait([child.task])

    def stop(self) -> None:
        """Let `run` end: children are cancelled in the reverse order of their start."""
        self._stop.set()

    async def run(self) -> None:
        """Run all children until `stop`; raises what a critical child raised."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for child in self._children.values():
                child.task = group.create_task(self._guard(child), name=child.name)
            await self._stop.wait()
            self._group = None
            for name in reversed(list(self._children)):
                await self.remove(name)

    async def _guard(self, child: Child) -> None:
        backoff_s = FIRST_BACKOFF_S
        while True:
            started_ns = self._clock.monotonic_ns()
            child.state = "running"
            try:
                await child.factory()
                child.state = "ended"
                return
            except Exception as error:
                if child.critical:
                    self._log.critical("child.failed", child=child.name, error=str(error))
                    raise
                child.restarts += 1
                child.last_error = getattr(error, "what", "") or repr(error)
                child.last_hint = getattr(error, "hint", "")
                child.state = "failed"
                lived_s = (self._clock.monotonic_ns() - started_ns) / 1e9
                if lived_s > HEALTHY_AFTER_S:
                    backoff_s = FIRST_BACKOFF_S
                self._log.warning(
                    "child.restarts",
                    child=child.name,
                    error=str(error) or repr(error),
                    again_in_s=backoff_s,
                )
            await self._clock.sleep_until(self._clock.monotonic_ns() + int(backoff_s * 1e9))
            backoff_s = min(backoff_s * 2, LONGEST_BACKOFF_S)


class Heartbeats:
    """Signs of life of the loops that must progress; all fresh = the service manager is told."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last_ns: dict[str, int] = {}
        self._limit_ns: dict[str, int] = {}

    def expect(self, name: str, limit_s: float) -> None:
        """From now on this loop must beat at least every ``limit_s`` seconds."""
        self._limit_ns[name] = int(limit_s * 1e9)
        self.beat(name)

    def beat(self, name: str) -> None:
        self._last_ns[name] = self._clock.monotonic_ns()

    def silent(self) -> list[str]:
        """The loops that are overdue."""
        now_ns = self._clock.monotonic_ns()
        return [
            name
            for name, limit_ns in self._limit_ns.items()
            if now_ns - self._last_ns[name] > limit_ns
        ]


def notify_service_manager(message: str) -> None:
    """Send one line to systemd (READY=1, WATCHDOG=1, STOPPING=1), if it listens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
        connection.connect(address)
        connection.sendall(message.encode())


async def feed_watchdog(heartbeats: Heartbeats, clock: Clock, interval_s: float = 5.0) -> None:
    """Tell the service manager that all loops progress, and stay silent when one does not."""
    log = structlog.get_logger("supervise")
    while True:
        silent = heartbeats.silent()
        if silent:
            log.error("watchdog.withheld", silent=silent)
        else:
            notify_service_manager("WATCHDOG=1")
        await clock.sleep_until(clock.monotonic_ns() + int(interval_s * 1e9))
