"""A virtual plant that runs beside the test, in a thread with its own event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from drivers.virtual.plant import Plant

START_MS = 1_795_000_000_000.0  # 2026-11-18, a weekday


class HandClock:
    """UTC milliseconds that move only when the test says so."""

    def __init__(self, now_ms: float = START_MS) -> None:
        self.now_ms = now_ms

    def __call__(self) -> float:
        return self.now_ms

    def forward(self, seconds: float) -> None:
        self.now_ms += seconds * 1000.0


@contextmanager
def running(**options: Any) -> Iterator[Plant]:
    """Run a plant in a thread until the block ends."""
    ready = threading.Event()
    begun: list[Plant] = []
    faults: list[BaseException] = []
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def live() -> None:
        stop = asyncio.Event()
        async with Plant(**options) as plant:
            begun.append(plant)
            loops.append((asyncio.get_running_loop(), stop))
            ready.set()
            await stop.wait()

    def run() -> None:
        try:
            asyncio.run(live())
        except BaseException as fault:
            faults.append(fault)
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="plant-under-test")
    thread.start()
    assert ready.wait(60)
    try:
        if begun:
            yield begun[0]
    finally:
        for loop, stop in loops:
            loop.call_soon_threadsafe(stop.set)
        thread.join(60)
    if faults:
        raise faults[0]


@pytest.fixture
def hand_clock() -> HandClock:
    return HandClock()


@pytest.fixture
def run_plant() -> Callable[..., AbstractContextManager[Plant]]:
    """Run a plant with the options given, for as long as a with block."""
    return running


@pytest.fixture
def plant(hand_clock: HandClock) -> Iterator[Plant]:
    """A plant without OPC UA whose time stands still unless the test moves it."""
    with running(clock=hand_clock, opcua=False) as alive:
        yield alive
