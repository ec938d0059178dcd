"""The process that fills gaps, as the gateway speaks with it: started for the first job only."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from agent.core.errors import TanshuError
from agent.pipeline.fill_job import FillAnswer, FillJob, answer_of, job_bytes

LONGEST_S: Final = 900.0  # that the gaps of one stream may take
LINE_BYTES: Final = 64 * 1024 * 1024


class FillError(TanshuError):
    """A job that was not answered."""


class FillProcess:
    """Answers jobs one by one; after a failed one the next gets a new process."""

    def __init__(self) -> None:
        self._process: Process | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._end()

    async def ask(self, job: FillJob) -> FillAnswer:
        """The answer to a job.

        Raises:
            FillError: the process ended, or took too long.
        """
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "agent.pipeline.fill_worker"),
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                cwd=Path(__file__).parents[2],
                limit=LINE_BYTES,
            )
        process = self._process
        assert process.stdin is not None and process.stdout is not None  # noqa: PT018
        line = b""
        try:
            async with asyncio.timeout(LONGEST_S):
                process.stdin.write(job_bytes(job) + b"\n")
                await process.stdin.drain()
                line = await process.stdout.readline()
        except (TimeoutError, OSError, ValueError):
            line = b""
        if not line.endswith(b"\n"):
            raise FillError(
                f"not answered: {await self._end() or f'not within {LONGEST_S:g} s'}",
                where=job.stream,
                hint="its gaps stay as they are and are tried again in an hour",
            )
        return answer_of(line)

    async def _end(self) -> str:
        """End the process; returns what it complained of last."""
        process, self._process = self._process, None
        if process is None:
            return ""
        if process.returncode is None:
            process.kill()
        _, errors = await process.communicate()
        return errors.decode("utf-8", "replace").strip()[-500:]
