"""Children under the supervisor: restarted, shown, watched; a critical one ends the service."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from agent.core.errors import PortError
from agent.supervise import Heartbeats, Supervisor, feed_watchdog, notify_service_manager
from tests.fake_clock import FakeClock


async def test_a_child_that_fails_is_restarted_and_its_siblings_go_on() -> None:
    supervisor = Supervisor(FakeClock())
    lives: list[int] = []
    ticks: list[int] = []

    async def fragile() -> None:
        lives.append(1)
        if len(lives) < 4:
            raise PortError("gone", hint="plug it in")
        await asyncio.sleep(3600)

    async def steady() -> None:
        while True:
            ticks.append(1)
            await asyncio.sleep(0)

    supervisor.add("fragile", fragile)
    supervisor.add("steady", steady)
    task = asyncio.create_task(supervisor.run())
    while len(lives) < 4:
        await asyncio.sleep(0)
    child = supervisor.children["fragile"]
    assert (child.restarts, child.last_error, child.last_hint) == (3, "gone", "plug it in")
    assert len(ticks) > 3
    supervisor.stop()
    await task


async def test_an_unknown_error_is_contained_too() -> None:
    supervisor = Supervisor(FakeClock())
    lives: list[int] = []

    async def broken() -> None:
        lives.append(1)
        raise ZeroDivisionError

    supervisor.add("broken", broken)
    task = asyncio.create_task(supervisor.run())
    while len(lives) < 3:
        await asyncio.sleep(0)
    assert "ZeroDivisionError" in supervisor.children["broken"].last_error
    supervisor.stop()
    await task


async def test_a_critical_child_ends_the_service() -> None:
    supervisor = Supervisor(FakeClock())

    async def store() -> None:
        raise OSError("disk gone")

    supervisor.add("store", store, critical=True)
    with pytest.raises(ExceptionGroup) as caught:
        await supervisor.run()
    assert caught.group_contains(OSError, match="disk gone")


async def test_children_can_be_added_and_removed_while_it_runs() -> None:
    supervisor = Supervisor(FakeClock())
    task = asyncio.create_task(supervisor.run())
    await asyncio.sleep(0)
    ended = asyncio.Event()

    async def late() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    supervisor.add("late", late)
    await asyncio.sleep(0)
    await supervisor.remove("late")
    assert ended.is_set()
    assert "late" not in supervisor.children
    supervisor.stop()
    await task


def test_a_loop_that_stands_still_is_named() -> None:
    clock = FakeClock()
    heartbeats = Heartbeats(clock)
    heartbeats.expect("record", 10)
    heartbeats.expect("pipeline", 60)
    clock.advance(30)
    assert heartbeats.silent() == ["record"]
    heartbeats.beat("record")
    assert heartbeats.silent() == []


async def test_the_watchdog_is_fed_only_while_all_loops_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = str(tmp_path / "notify")
    clock = FakeClock()
    heartbeats = Heartbeats(clock)
    heartbeats.expect("record", 8)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.setblocking(False)
        monkeypatch.setitem(os.environ, "NOTIFY_SOCKET", address)
        notify_service_manager("READY=1")
        assert manager.recv(100) == b"READY=1"
        task = asyncio.create_task(feed_watchdog(heartbeats, clock, interval_s=5))
        received: list[bytes] = []
        for _ in range(50):
            await asyncio.sleep(0)
            try:
                received.append(manager.recv(100))
            except BlockingIOError:
                continue
        task.cancel()
        await asyncio.wait([task])
    # the clock ran on by itself without a beat: it was fed at 0 and 5 s, then no more
    assert received == [b"WATCHDOG=1"] * 2
