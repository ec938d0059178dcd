"""The application over a fake view: called directly, or served on a real socket in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from starlette.applications import Starlette
from web_plant import FakeView

from agent.web.app import create_app
from agent.web.server import serve


@dataclass(frozen=True)
class Site:
    """A served application: its address and the view behind it."""

    url: str
    port: int
    view: FakeView


@contextmanager
def serving(view: FakeView, *, live_period_s: float = 0.1) -> Iterator[Site]:
    ready = threading.Event()
    loops: list[asyncio.AbstractEventLoop] = []
    ports: list[int] = []
    stop = asyncio.Event()

    async def main() -> None:
        loops.append(asyncio.get_running_loop())

        def bound(port: int) -> None:
            ports.append(port)
            ready.set()

        app = create_app(view, language="zh-CN", live_period_s=live_period_s)
        await serve(app, "127.0.0.1", 0, stop, bound=bound)

    thread = threading.Thread(target=lambda: asyncio.run(main()), name="web")
    thread.start()
    assert ready.wait(30)
    try:
        yield Site(url=f"http://127.0.0.1:{ports[0]}", port=ports[0], view=view)
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(FakeView()) as served:
        yield served


@pytest.fixture
def view() -> FakeView:
    return FakeView()


@pytest.fixture
def app(view: FakeView) -> Starlette:
    return create_app(view, language="zh-CN", live_period_s=0.02)


@pytest.fixture
def serve_view() -> Callable[[FakeView], object]:
    return serving
