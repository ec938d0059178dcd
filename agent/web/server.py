"""Serving the application in the caller's event loop, until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Generator

import uvicorn
from starlette.applications import Starlette

from agent.core.errors import TanshuError

CONNECTIONS = 256
KEEP_ALIVE_S = 15
GRACE_S = 3


class WebError(TanshuError):
    """The page cannot be served."""


class _Server(uvicorn.Server):
    """A server that leaves the process's signals to the daemon."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


async def serve(
    app: Starlette,
    host: str,
    port: int,
    stop: asyncio.Event,
    *,
    bound: Callable[[int], None] | None = None,
) -> None:
    """Serve ``app`` until ``stop`` is set or the call is cancelled; live streams end at once.

    ``bound`` is told the port that is listened on (of interest with port 0) before the first
    request is taken. Raises WebError if the address cannot be listened on.
    """
    listener = _listen(host, port)
    ended = asyncio.Event()  # ends the live streams, also when this call is cancelled
    app.state.stop = ended
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            http="h11",
            ws="none",
            lifespan="off",
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=GRACE_S,
        )
    )

    async def watch() -> None:
        await stop.wait()
        ended.set()
        server.should_exit = True

    with contextlib.closing(listener):
        if bound is not None:
            bound(listener.getsockname()[1])
        async with asyncio.TaskGroup() as group:
            watcher = group.create_task(watch(), name="web stop")
            try:
                await server.serve(sockets=[listener])
            finally:
                watcher.cancel()
                ended.set()
                if server.server_state.tasks:  # live streams end by themselves, without a trace
                    await asyncio.wait(server.server_state.tasks, timeout=GRACE_S)
                _close(server)


def _close(server: uvicorn.Server) -> None:
    """Leave no listener and no connection behind; a cancelled server has not shut down itself."""
    for listener in getattr(server, "servers", ()):
        listener.close()
    for task in list(server.server_state.tasks):
        task.cancel()
    for connection in list(server.server_state.connections):
        transport: asyncio.Transport | None = getattr(connection, "transport", None)
        if transport is not None:
            transport.close()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=128)
    except (OSError, OverflowError) as error:
        raise WebError(
            f"cannot listen on {host} port {port}: {error}",
            where="web.port",
            hint="choose a free port of this machine, or stop what uses it",
        ) from error
