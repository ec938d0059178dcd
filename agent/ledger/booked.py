"""Single records of the book by their whole key, to compare with what a batch says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.book.activity import SqliteActivity
from agent.book.factors import Factors
from agent.book.manual import SqliteManual
from agent.book.ports import Owner
from agent.book.sqlite import EMISSION_COLUMNS, WINDOW_COLUMNS, emission_of, window_of
from agent.core.activity import ActivityEntry
from agent.core.manual import ManualEntry
from agent.core.model import Emission, Endpoint, Window

if TYPE_CHECKING:
    from sqlite3 import Connection

Keyed = Window | Emission | Endpoint | ActivityEntry | ManualEntry

SERIES = "series.site = ? AND series.gateway = ? AND series.kind = ? AND series.name = ?"
KEY = f"{SERIES} AND start_ms = ? AND length_ms = ? AND revision = ?"


class Booked:
    """Looks up what is booked under the key of a record."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._factors = Factors(connection)

    def find(self, owner: Owner, record: Keyed) -> tuple[int | None, Keyed] | None:
        """Row number and content booked under the record's key.

        An emission that a recalculation made has no number of its own.
        """
        match record:
            case Window():
                return self._window(owner, record)
            case Emission():
                return self._emission(owner, record)
            case Endpoint():
                return self._endpoint(owner, record)
            case ActivityEntry():
                return SqliteActivity(self._connection).find(owner, record)
            case ManualEntry():
                return SqliteManual(self._connection).find(owner, record)

    def _window(self, owner: Owner, record: Window) -> tuple[int, Window] | None:
        row = self._connection.execute(
            f"SELECT windows.id, name, {WINDOW_COLUMNS} FROM windows "
            f"JOIN series ON series.id = windows.series WHERE {KEY}",
            (*_series(owner, "stream", record.stream), *_key(record)),
        ).fetchone()
        return None if row is None else (row[0], window_of(row[1:]))

    def _emission(self, owner: Owner, record: Emission) -> tuple[int | None, Emission] | None:
        row = self._connection.execute(
            f"SELECT emissions.id, series.name, {EMISSION_COLUMNS} FROM emissions "
            f"JOIN series ON series.id = emissions.series WHERE {KEY}",
            (*_series(owner, "source", record.source), *_key(record)),
        ).fetchone()
        return None if row is None else (row[0], emission_of(row[1:], self._factors))

    def _endpoint(self, owner: Owner, record: Endpoint) -> tuple[int, Endpoint] | None:
        row = self._connection.execute(
            "SELECT endpoints.id, register, accumulated FROM endpoints "
            f"JOIN series ON series.id = endpoints.series WHERE {SERIES} "
            "AND boundary_ms = ? AND time_ms = ?",
            (*_series(owner, "stream", record.stream), record.boundary_ms, record.time_ms),
        ).fetchone()
        if row is None:
            return None
        return row[0], Endpoint(
            stream=record.stream,
            boundary_ms=record.boundary_ms,
            time_ms=record.time_ms,
            register=row[1],
            accumulated=row[2],
        )


def _series(owner: Owner, kind: str, name: str) -> tuple[str, str, str, str]:
    return owner.site, owner.gateway, kind, name


def _key(record: Window | Emission) -> tuple[int, int, int]:
    return record.start_ms, record.length_ms, record.revision
