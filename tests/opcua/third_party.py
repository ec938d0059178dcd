"""The third-party server of `node_server.js` as a child process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

URI = "urn:third-party"
SCRIPT = Path(__file__).with_name("node_server.js")


class ThirdParty:
    """A running server; `ask` returns its own count of what it did."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port

    async def ask(self, line: str = "count") -> dict[str, Any]:
        """Changes made, rounds of changes and open sessions; "stop" ends the changes first."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        await self.process.stdin.drain()
        return await _answer(self.process)


@asynccontextmanager
async def third_party(
    package: str, count: int, period_ms: int, port: int = 0
) -> AsyncIterator[ThirdParty]:
    """``count`` doubles that change every ``period_ms``; ended by its own standard input."""
    process = await asyncio.create_subprocess_exec(
        "node",
        str(SCRIPT),
        package,
        str(count),
        str(period_ms),
        str(port),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield ThirdParty(process, (await _answer(process))["port"])
    finally:
        assert process.stdin is not None
        process.stdin.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(10):
                await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _answer(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """The next line of JSON; the server's libraries print lines of their own in between."""
    assert process.stdout is not None
    while line := await process.stdout.readline():
        if line.startswith(b"{"):
            answer: dict[str, Any] = json.loads(line)
            return answer
    raise RuntimeError("the third-party server ended")
