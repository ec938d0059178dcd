"""Windows that still have to be verified, and what people said of those that were."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.book.ports import Owner, Span
from agent.book.sqlite import WINDOW_COLUMNS, SqliteBook, window_of
from agent.core.model import Window
from agent.core.verification import Decision, VerificationTask, tasks_of

if TYPE_CHECKING:
    from sqlite3 import Connection

# the words of the index windows_unmeasured, so that SQLite finds the few through it
_UNMEASURED = "w.provenance IN ('estimated', 'missing')"
_SELECTED = ", ".join(f"w.{name}" for name in WINDOW_COLUMNS.split(", "))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """One task that was settled, by whom, and the total before and after."""

    stream: str
    start_ms: int
    end_ms: int
    decision: Decision
    before: float | None
    after: float | None
    unit: str
    author: str
    note: str
    verified_ms: int


def open_tasks(
    connection: Connection, owner: Owner, stream: str, unit: str, until_ms: int
) -> Iterator[VerificationTask]:
    """The tasks of a stream whose windows end by a time, earliest first.

    What was accepted is no task any more, unless it was booked anew since.
    """
    windows = _unmeasured(connection, owner, stream, Span(from_ms=0, to_ms=until_ms))
    return tasks_of(stream, unit, windows)


def windows_of_task(connection: Connection, owner: Owner, task: VerificationTask) -> list[Window]:
    """The windows that a task is about, in order of time."""
    span = Span(from_ms=task.start_ms, to_ms=task.end_ms)
    return list(_unmeasured(connection, owner, task.stream, span))


def _unmeasured(connection: Connection, owner: Owner, stream: str, span: Span) -> Iterator[Window]:
    series = SqliteBook(connection).number(owner, "stream", stream)
    if series is None:
        return
    rows = connection.execute(
        f"SELECT ?, {_SELECTED} FROM windows AS w INDEXED BY windows_unmeasured "
        f"WHERE w.series = ? AND {_UNMEASURED} AND w.start_ms >= ? "
        "AND w.start_ms + w.length_ms <= ? AND NOT EXISTS (SELECT 1 FROM windows AS later "
        "WHERE later.series = w.series AND later.start_ms = w.start_ms "
        "AND later.length_ms = w.length_ms AND later.revision > w.revision) "
        "AND NOT EXISTS (SELECT 1 FROM verifications AS v WHERE v.series = w.series "
        "AND v.decision = 'accepted' AND v.start_ms <= w.start_ms "
        "AND v.end_ms >= w.start_ms + w.length_ms AND v.window_id >= w.id) "
        "ORDER BY w.start_ms, w.length_ms",
        (stream, series, span.from_ms, span.to_ms),
    )
    yield from map(window_of, rows)


def booked_and_verified(connection: Connection) -> tuple[int, int]:
    """Numbers that grow with every window and every verification."""
    (verified,) = connection.execute("SELECT coalesce(max(id), 0) FROM verifications").fetchone()
    return SqliteBook(connection).next_id("windows"), verified


def add_verification(connection: Connection, owner: Owner, verification: Verification) -> None:
    """Note how a task was settled, in the caller's transaction; before its windows are booked."""
    book = SqliteBook(connection)
    connection.execute(
        "INSERT INTO verifications (series, start_ms, end_ms, decision, before, after, unit, "
        "author, note, window_id, verified_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            book.series(owner, "stream", verification.stream),
            verification.start_ms,
            verification.end_ms,
            verification.decision.value,
            verification.before,
            verification.after,
            verification.unit,
            verification.author,
            verification.note,
            book.next_id("windows") - 1,
            verification.verified_ms,
        ),
    )


def verifications_of(connection: Connection, owner: Owner) -> list[Verification]:
    """Every settled task of a gateway, in the order it was settled."""
    rows = connection.execute(
        "SELECT name, start_ms, end_ms, decision, before, after, unit, author, note, verified_ms "
        "FROM verifications AS v JOIN series ON series.id = v.series "
        "WHERE site = ? AND gateway = ? ORDER BY v.id",
        (owner.site, owner.gateway),
    )
    return [
        Verification(
            stream=row[0],
            start_ms=row[1],
            end_ms=row[2],
            decision=Decision(row[3]),
            before=row[4],
            after=row[5],
            unit=row[6],
            author=row[7],
            note=row[8],
            verified_ms=row[9],
        )
        for row in rows
    ]
