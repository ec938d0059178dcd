"""Factors by their number in a book, each read when it is first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.core.model import FactorRef

if TYPE_CHECKING:
    from sqlite3 import Connection


class Factors(dict[int, FactorRef]):
    """A period source adds a factor to the table with every period, so they are not all read."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __missing__(self, number: int) -> FactorRef:
        name, version, value, unit = self._connection.execute(
            "SELECT name, version, value, unit FROM factors WHERE id = ?", (number,)
        ).fetchone()
        self[number] = FactorRef(id=name, version=version, value=value, unit=unit)
        return self[number]
