"""Emissions read by a process of its own while this one books: ``… DATABASE``.

Reading a year of emissions takes as long as booking their revisions; both at once leaves the event
loop free in between. What is wanted comes as JSON lines on standard input, what was read goes out
as bytes in the same order. If this process ends early, the other one reads the rest itself.
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
from collections.abc import AsyncGenerator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from agent.book.database import sqlite3
from agent.book.ports import Owner, Span
from agent.book.revise import WHOLE, booked_emissions, current
from agent.book.sqlite import SqliteBook
from agent.core.carbon.recompute import BookedEmissions

HEAD = struct.Struct("<qq")  # the last booking number then, how many emissions
BUFFER_BYTES = 1024 * 1024

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The current emissions of a source in a span, beside the windows of a stream."""

    source: str
    stream: str
    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What was read, and the last booking number that it takes in."""

    number: int
    booked: BookedEmissions


async def read_ahead(path: str, owner: Owner, wanted: Sequence[Wanted]) -> AsyncGenerator[Read]:
    """What is wanted, in that order, as far as the reading process gets."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, _uri(path), owner.site, owner.gateway),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=Path(__file__).parents[2],
        limit=BUFFER_BYTES,
    )
    assert process.stdin is not None and process.stdout is not None  # noqa: PT018
    try:
        process.stdin.write(b"".join(json.dumps(asdict(one)).encode() + b"\n" for one in wanted))
        process.stdin.write_eof()
        for _ in wanted:
            number, count = HEAD.unpack(await process.stdout.readexactly(HEAD.size))
            size = count * 8 * len(fields(BookedEmissions))
            yield Read(number=number, booked=_unpacked(await process.stdout.readexactly(size)))
    except (asyncio.IncompleteReadError, OSError) as error:
        _log.warning("recalculate.reader_ended", error=str(error))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def is_unchanged(connection: Any, owner: Owner, one: Wanted, number: int) -> bool:
    """Whether nothing was booked for the source and span after a booking number."""
    row = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM emissions WHERE id > :number AND +series = :series "
        "AND start_ms >= :from_ms AND start_ms < :to_ms) OR EXISTS (SELECT 1 FROM recalculations "
        "WHERE id > :number AND series = :series AND from_ms < :to_ms AND to_ms > :from_ms)",
        {
            "number": number,
            "series": SqliteBook(connection).number(owner, "source", one.source),
            "from_ms": one.from_ms,
            "to_ms": one.to_ms,
        },
    ).fetchone()
    return not row[0]


def read(connection: Any, owner: Owner, one: Wanted) -> BookedEmissions:
    """The current emissions that are wanted."""
    span = Span(from_ms=one.from_ms, to_ms=one.to_ms)
    return current(booked_emissions(connection, owner, one.source, one.stream, span))


def _uri(path: str) -> str:
    return f"{Path(path).resolve().as_uri()}?mode=ro"


def _packed(booked: BookedEmissions) -> bytes:
    return b"".join(getattr(booked, field.name).tobytes() for field in fields(booked))


def _unpacked(data: bytes) -> BookedEmissions:
    names = [field.name for field in fields(BookedEmissions)]
    table = np.frombuffer(data, np.int64).reshape(len(names), -1)
    columns: dict[str, Any] = {
        name: column if name in WHOLE else column.view(np.float64)
        for name, column in zip(names, table, strict=True)
    }
    return BookedEmissions(**columns)


def main(arguments: Sequence[str]) -> int:
    """Read what standard input wants, each in a transaction of its own."""
    uri, site, gateway = arguments
    owner = Owner(site=site, gateway=gateway)
    connection = sqlite3.connect(uri, uri=True, isolation_level=None)
    for line in sys.stdin.buffer:
        one = Wanted(**json.loads(line))
        connection.execute("BEGIN")
        number = SqliteBook(connection).next_id("emissions") - 1
        booked = read(connection, owner, one)
        connection.execute("COMMIT")
        sys.stdout.buffer.write(HEAD.pack(number, len(booked)) + _packed(booked))
        sys.stdout.buffer.flush()
    connection.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
