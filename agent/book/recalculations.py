"""Bulk recalculations in the book; the caller's transaction decides."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import TYPE_CHECKING

from agent.book.ports import Owner
from agent.book.revise import Revision, again, book_revision, booked_digest, named_emissions
from agent.book.sqlite import SqliteBook
from agent.core import strict_json
from agent.core.model import Emission
from agent.core.recalculation import (
    RECALCULATION_COLUMNS,
    BulkRecalculation,
    decode_recalculation,
    recalculation_values,
)
from agent.core.timebase import iso_utc

if TYPE_CHECKING:
    from sqlite3 import Connection

Booking = tuple[int, Emission | BulkRecalculation]

EMISSIONS_PER_PLACE = 4  # computing so many again takes a ledger as long as booking one record
RUNS_PER_PLACE = 5  # and so many runs are as long as one record


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """Why a recalculation was not booked."""

    code: str  # «incomplete» or «differs»
    detail: str


def add_recalculation(connection: Connection, owner: Owner, revision: Revision) -> int:
    """Book a recalculation with the emissions it makes; returns how many were not there yet."""
    number = _add_record(connection, owner, revision.record)
    return book_revision(connection, owner, revision, number)


def apply(connection: Connection, owner: Owner, record: BulkRecalculation) -> Disagreement | None:
    """Compute a recalculation again on this book, and book it if it comes to the same.

    What comes again, or after a restore, changes nothing.
    """
    booked = named_emissions(connection, owner, record)
    if len(booked) < record.count:
        return Disagreement(
            code="incomplete",
            detail=f"{name_of(record)} names {record.count} emissions, "
            f"{len(booked)} of them are booked here with their windows",
        )
    own = again(record, booked)
    ours, theirs = own.record, record
    if (ours.before, ours.after, ours.sha256) != (theirs.before, theirs.after, theirs.sha256):
        return Disagreement(
            code="differs",
            detail=f"{name_of(record)}: {record.count} emissions come to {ours.after.kgco2e!r} "
            f"kgCO2e here (before: {ours.before.kgco2e!r}) and to {theirs.after.kgco2e!r} "
            f"(before: {theirs.before.kgco2e!r}) at the gateway",
        )
    connection.execute("SAVEPOINT recalculation")
    added = add_recalculation(connection, owner, replace(own, record=record))
    if added < record.count and not is_booked(connection, owner, record):
        connection.execute("ROLLBACK TO recalculation")
        connection.execute("RELEASE recalculation")
        return Disagreement(
            code="differs",
            detail=f"{name_of(record)}: other figures are booked under "
            f"{record.count - added} of its {record.count} emissions",
        )
    connection.execute("RELEASE recalculation")
    return None


def is_booked(connection: Connection, owner: Owner, record: BulkRecalculation) -> bool:
    """Whether exactly the emissions that a record makes are booked."""
    return booked_digest(connection, owner, record) == (record.count, record.sha256)


def find_recalculation(
    connection: Connection, owner: Owner, record: BulkRecalculation
) -> int | None:
    """The booking number of a recalculation, if it is booked."""
    row = connection.execute(
        "SELECT id FROM recalculations WHERE series = ? AND record = ?",
        (SqliteBook(connection).number(owner, "source", record.source), _text(record)),
    ).fetchone()
    return None if row is None else int(row[0])


def recalculations_after(
    connection: Connection, owner: Owner, after: int
) -> Iterator[tuple[int, BulkRecalculation]]:
    """Recalculations in the order they were booked, from a booking number on."""
    rows = connection.execute(
        "SELECT recalculations.id, record FROM recalculations "
        "CROSS JOIN series ON series.id = recalculations.series WHERE recalculations.id > ? "
        "AND site = ? AND gateway = ? ORDER BY recalculations.id",
        (after, owner.site, owner.gateway),
    )
    for number, record in rows:
        yield number, decode_recalculation(json.loads(record))


def emissions_and_recalculations_after(
    connection: Connection, owner: Owner, after: int, room: int
) -> list[Booking]:
    """Both in the order they were booked: for sealing, as far as there is room.

    A recalculation takes the place of as many records as it costs its receiver; one that is
    larger than any room is taken when it comes first.
    """
    emissions: Iterable[Booking] = SqliteBook(connection).emissions_after(owner, after, room)
    recalculations: Iterable[Booking] = recalculations_after(connection, owner, after)
    taken: list[Booking] = []
    for row in heapq.merge(emissions, recalculations, key=itemgetter(0)):
        room -= _places(row[1])
        if room < 0 and taken:
            break
        taken.append(row)
    return taken


def _places(record: Emission | BulkRecalculation) -> int:
    if isinstance(record, Emission):
        return 1
    return max(-(-record.count // EMISSIONS_PER_PLACE), len(record.runs) // RUNS_PER_PLACE)


def _add_record(connection: Connection, owner: Owner, record: BulkRecalculation) -> int:
    """The booking number of a recalculation, given when it is first booked."""
    number = find_recalculation(connection, owner, record)
    if number is not None:
        return number
    book = SqliteBook(connection)
    number = book.next_id("emissions")
    connection.execute(
        "INSERT INTO recalculations (id, series, from_ms, to_ms, windows, before_kgco2e, "
        "after_kgco2e, record) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            number,
            book.series(owner, "source", record.source),
            record.start_ms,
            record.end_ms,
            record.count,
            record.before.kgco2e,
            record.after.kgco2e,
            _text(record),
        ),
    )
    return number


def _text(record: BulkRecalculation) -> str:
    values = dict(zip(RECALCULATION_COLUMNS, recalculation_values(record), strict=True))
    return strict_json.encode(values).decode()


def name_of(record: BulkRecalculation) -> str:
    """How messages name a recalculation: its source and span."""
    return (
        f"recalculation of {record.source} from {iso_utc(record.start_ms)} "
        f"to {iso_utc(record.end_ms)}"
    )
