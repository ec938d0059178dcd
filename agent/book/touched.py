"""Which windows were booked since a look, so that what is computed from them can follow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from agent.book.ports import Owner, Span
from agent.book.sqlite import SqliteBook

if TYPE_CHECKING:
    from sqlite3 import Connection


def touched_after(connection: Connection, owner: Owner, after: int) -> list[tuple[str, int, int]]:
    """Stream, start and length of every window booked after a booking number."""
    rows = connection.execute(
        "SELECT DISTINCT name, start_ms, length_ms FROM windows "
        "CROSS JOIN series ON series.id = windows.series "
        "WHERE windows.id > ? AND site = ? AND gateway = ?",
        (after, owner.site, owner.gateway),
    )
    return [(row[0], row[1], row[2]) for row in rows]


def number_before(
    connection: Connection, owner: Owner, streams: Iterable[str], from_ms: int
) -> int:
    """A booking number before every window of these streams that starts at or after a time."""
    book = SqliteBook(connection)
    found = [
        connection.execute(
            "SELECT min(id) FROM windows WHERE series = ? AND start_ms >= ?",
            (book.number(owner, "stream", stream), from_ms),
        ).fetchone()[0]
        for stream in streams
    ]
    return min((int(number) for number in found if number is not None), default=1) - 1


def window_keys(
    connection: Connection, owner: Owner, stream: str, from_ms: int, limit: int
) -> list[tuple[int, int]]:
    """Start and length of the windows of a stream from a time on, by time."""
    rows = connection.execute(
        "SELECT DISTINCT start_ms, length_ms FROM windows WHERE series = ? AND start_ms >= ? "
        "ORDER BY start_ms, length_ms LIMIT ?",
        (SqliteBook(connection).number(owner, "stream", stream), from_ms, limit),
    )
    return [(row[0], row[1]) for row in rows]


def methods_after(
    connection: Connection, owner: Owner, after: int, methods: Sequence[str]
) -> dict[str, int]:
    """The earliest start of windows booked by these methods after a booking number, by stream."""
    rows = connection.execute(
        "SELECT name, min(start_ms) FROM windows CROSS JOIN series ON series.id = windows.series "
        f"WHERE windows.id > ? AND method IN ({', '.join('?' * len(methods))}) "
        "AND site = ? AND gateway = ? GROUP BY name",
        (after, *methods, owner.site, owner.gateway),
    )
    return {row[0]: row[1] for row in rows}


def read_times(connection: Connection, owner: Owner, stream: str, span: Span) -> dict[int, int]:
    """By window boundary in a span, both ends included, when the register was read last before."""
    rows = connection.execute(
        "SELECT boundary_ms, time_ms FROM endpoints WHERE series = ? "
        "AND boundary_ms >= ? AND boundary_ms <= ? ORDER BY id",
        (SqliteBook(connection).number(owner, "stream", stream), span.from_ms, span.to_ms),
    )
    return {row[0]: row[1] for row in rows}  # the one booked last holds
