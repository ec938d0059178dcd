"""The live stream and the server under it, over a real socket."""

from __future__ import annotations

import asyncio
import http.client
import json
import signal
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest
from conftest import Site
from starlette.applications import Starlette
from web_plant import NOW_MS, RICH, FakeView

from agent.core.errors import TanshuError
from agent.web.app import LIVE_CONNECTIONS, create_app
from agent.web.server import serve


class Stream:
    """Reads server-sent events."""

    def __init__(self, port: int, address: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.connection.request("GET", address)
        self.answer = self.connection.getresponse()

    def events(self) -> Iterator[tuple[str, str]]:
        name = ""
        while line := self.answer.readline():
            key, _, value = line.decode().rstrip("\n").partition(": ")
            if key == "event":
                name = value
            elif key == "data":
                yield name, value

    def close(self) -> None:
        self.answer.close()
        self.connection.close()


def test_first_all_values_then_only_what_changed(site: Site) -> None:
    stream = Stream(site.port, "/api/v1/live?lang=en")
    assert stream.answer.headers["content-type"].startswith("text/event-stream")
    assert "content-encoding" not in stream.answer.headers
    events = stream.events()
    assert next(events)[0] == "structure"
    kind, data = next(events)
    first = json.loads(data)
    assert kind == "values"
    assert first["device.f103.value"] == "3\u00a0143"
    assert first["site.now"] == "15.69"
    later = replace(RICH.site, now_ms=NOW_MS + 1000)
    site.view.current = replace(RICH, site=later)
    kind, data = next(events)
    assert (kind, json.loads(data)) == ("values", {"clock": "14:32:09"})
    site.view.current = replace(RICH, site=later, devices=RICH.devices[1:])
    assert next(events)[0] == "structure"
    stream.close()


def test_a_device_stream_has_its_points(site: Site) -> None:
    stream = Stream(site.port, "/api/v1/live?scope=device&device=f103")
    events = stream.events()
    next(events)
    texts = json.loads(next(events)[1])
    assert texts["point.dcs-f103.feed-grade.value"] == "石脑油 A"
    assert texts["point.gas-f103.volume.value"] == "8\u00a0123\u00a0456.7"
    stream.close()


def test_a_failing_store_ends_the_stream_with_a_word(site: Site) -> None:
    stream = Stream(site.port, "/api/v1/live")
    events = stream.events()
    next(events)
    site.view.broken = True
    last = list(events)[-1]
    assert last[0] == "failure"
    assert json.loads(last[1])["hint"] == "check the disk"
    stream.close()


def test_many_watchers_cost_one_question(site: Site) -> None:
    streams = [Stream(site.port, "/api/v1/live") for _ in range(20)]
    for stream in streams:
        next(stream.events())
    before = len(site.view.asked)
    for stream in streams:
        stream.close()
    assert before <= 5


def test_the_page_holds_the_structure_that_the_stream_sends(site: Site) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
    for page, scope in (
        ("/", "overview"),
        ("/buses", "buses"),
        ("/delivery", "delivery"),
        ("/events", "events"),
        ("/devices/f103", "device&device=f103"),
    ):
        connection.request("GET", page)
        text = connection.getresponse().read().decode()
        stream = Stream(site.port, f"/api/v1/live?scope={scope}")
        kind, data = next(stream.events())
        stream.close()
        assert kind == "structure"
        assert f'data-structure="{data}"' in text
    connection.close()


async def test_stop_ends_open_streams_and_frees_the_port(app: Starlette) -> None:
    stop = asyncio.Event()
    ports: list[int] = []
    listening = asyncio.Event()

    def bound(port: int) -> None:
        ports.append(port)
        listening.set()

    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(serve(app, "127.0.0.1", 0, stop, bound=bound))
        await listening.wait()
        reader, writer = await asyncio.open_connection("127.0.0.1", ports[0])
        writer.write(b"GET /api/v1/live HTTP/1.1\r\nhost: gateway\r\n\r\n")
        await reader.readuntil(b"event: values")
        assert handlers == [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
        stop.set()
        await reader.read()
        writer.close()
        await writer.wait_closed()
    with socket.create_server(("127.0.0.1", ports[0])):
        pass


async def test_a_cancelled_server_leaves_nothing_open(app: Starlette) -> None:
    listening = asyncio.Event()
    ports: list[int] = []

    def bound(port: int) -> None:
        ports.append(port)
        listening.set()

    async with asyncio.timeout(30):
        task = asyncio.create_task(serve(app, "127.0.0.1", 0, asyncio.Event(), bound=bound))
        await listening.wait()
        reader, writer = await asyncio.open_connection("127.0.0.1", ports[0])
        writer.write(b"GET /api/v1/live HTTP/1.1\r\nhost: gateway\r\n\r\n")
        await reader.readuntil(b"event: values")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await reader.read()
        writer.close()
        await writer.wait_closed()
    with socket.create_server(("127.0.0.1", ports[0])):
        pass


async def test_a_taken_port_is_an_error_with_a_hint(app: Starlette) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(TanshuError, match=f"cannot listen on 127.0.0.1 port {port}") as caught:
            await serve(app, "127.0.0.1", port, asyncio.Event())
    assert caught.value.where == "web.port"
    assert caught.value.hint


async def test_too_many_watchers_are_refused() -> None:
    app = create_app(FakeView(), language="en")
    stop = asyncio.Event()
    ports: list[int] = []
    listening = asyncio.Event()

    def bound(port: int) -> None:
        ports.append(port)
        listening.set()

    ask = b"GET /api/v1/live HTTP/1.1\r\nhost: gateway\r\n\r\n"
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(serve(app, "127.0.0.1", 0, stop, bound=bound))
        await listening.wait()
        writers = []
        for _ in range(LIVE_CONNECTIONS):
            reader, writer = await asyncio.open_connection("127.0.0.1", ports[0])
            writer.write(ask)
            await reader.readuntil(b"retry")
            writers.append(writer)
        reader, writer = await asyncio.open_connection("127.0.0.1", ports[0])
        writer.write(ask)
        assert b" 503 " in await reader.readline()
        stop.set()
        for each in (*writers, writer):
            each.close()
