"""Emissions read and revised in bulk, as arrays; the caller's transaction decides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from agent.book.ports import Owner, Span
from agent.book.sqlite import SqliteBook
from agent.core.model import FactorRef

if TYPE_CHECKING:
    from sqlite3 import Connection

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

COLUMNS = (
    "start_ms",
    "length_ms",
    "revision",
    "kgco2e",
    "share",
    "factor",
    "window_revision",
    "value",
    "lower",
    "upper",
)
# an array of numbers has no null: 9e999 is infinity, which no booked figure can be
BOOKED = (
    "SELECT e.start_ms, e.length_ms, e.revision, ifnull(e.kgco2e, 9e999), e.estimated_share, "
    "e.factor, w.revision, ifnull(w.value, 9e999), ifnull(w.lower, 9e999), ifnull(w.upper, 9e999) "
    "FROM emissions AS e JOIN windows AS w ON w.series = :stream AND w.start_ms = e.start_ms "
    "AND w.length_ms = e.length_ms WHERE e.series = :source AND e.start_ms >= :from_ms "
    "AND e.start_ms < :to_ms AND substr(e.inputs, 1, length(:prefix)) = :prefix "
    "ORDER BY e.start_ms, e.length_ms, e.revision, w.revision"
)
ROW = list(zip(COLUMNS, ("i8", "i8", "i8", "f8", "f8", "i8", "i8", "f8", "f8", "f8"), strict=True))
REVISED = (
    "INSERT INTO emissions (id, series, start_ms, length_ms, revision, kgco2, kgch4, kgn2o, "
    "kgco2e, lower, upper, estimated_share, factor, inputs) VALUES (?10, {series}, ?1, ?2, ?3, ?4, "
    "iif(?4 IS NULL, NULL, 0.0), iif(?4 IS NULL, NULL, 0.0), ?4, ?5, ?6, ?7, ?8, "
    "'[[\"{stream}\",' || ?9 || ']]')"
)


@dataclass(frozen=True, slots=True)
class EmissionArrays:
    """Current emissions of one source beside the current windows they come from.

    NaN stands for «no value»; ``factor`` is the book's number of the factor.
    """

    start_ms: Integers
    length_ms: Integers
    revision: Integers
    kgco2e: Floats
    share: Floats
    factor: Integers
    window_revision: Integers
    value: Floats
    lower: Floats
    upper: Floats

    def only(self, mask: npt.NDArray[np.bool_]) -> EmissionArrays:
        """The rows that are chosen."""
        return EmissionArrays(*(getattr(self, name)[mask] for name in COLUMNS))

    def windows(self) -> Iterator[tuple[float | None, float | None, float | None]]:
        """Value, lower and upper end of each window."""
        columns = (self.value.tolist(), self.lower.tolist(), self.upper.tolist())
        for row in zip(*columns, strict=True):
            value, lower, upper = (None if number != number else number for number in row)
            yield value, lower, upper


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisedEmissions:
    """New figures for the emissions in ``arrays``; ``which`` says by which of the factors."""

    arrays: EmissionArrays
    factors: tuple[FactorRef, ...]
    which: Integers
    kgco2e: Floats
    lower: Floats
    upper: Floats


def current_arrays(
    connection: Connection, owner: Owner, source: str, stream: str, span: Span
) -> EmissionArrays:
    """The current emissions of a source in a span, with the windows under them."""
    book = SqliteBook(connection)
    rows = connection.execute(
        BOOKED,
        {
            "stream": book.number(owner, "stream", stream),
            "source": book.number(owner, "source", source),
            "from_ms": span.from_ms,
            "to_ms": span.to_ms,
            "prefix": f'[["{stream}",',
        },
    )
    table = np.fromiter(rows, dtype=ROW)
    if len(table):
        same = (table["start_ms"][1:] == table["start_ms"][:-1]) & (
            table["length_ms"][1:] == table["length_ms"][:-1]
        )
        table = table[np.append(~same, True)]
    columns = {name: np.ascontiguousarray(table[name]) for name in COLUMNS}
    return EmissionArrays(
        **columns | {name: _known(columns[name]) for name in ("kgco2e", "value", "lower", "upper")}
    )


def _known(values: Floats) -> Floats:
    return np.where(np.isinf(values), np.nan, values)


def booked_streams(
    connection: Connection, owner: Owner, source: str, expected: str, span: Span
) -> list[str]:
    """The streams that a source's emissions in a span were booked from, the expected one first."""
    others = connection.execute(
        "SELECT DISTINCT json_extract(inputs, '$[0][0]') FROM emissions WHERE series = ? "
        "AND start_ms >= ? AND start_ms < ? AND substr(inputs, 1, length(?4)) <> ?4",
        (
            SqliteBook(connection).number(owner, "source", source),
            span.from_ms,
            span.to_ms,
            f'[["{expected}",',
        ),
    )
    return [expected, *(row[0] for row in others)]


def factor_values(connection: Connection) -> dict[int, float]:
    """The value of every factor by its number."""
    return dict(connection.execute("SELECT id, value FROM factors").fetchall())


def revise(
    connection: Connection, owner: Owner, source: str, stream: str, revised: RevisedEmissions
) -> int:
    """Book the new revisions; returns how many."""
    book = SqliteBook(connection)
    series = book.series(owner, "source", source)
    numbers = [book.add_factor(factor) for factor in revised.factors]
    arrays = revised.arrays
    first = book.next_id("emissions")
    kgco2e = _nulls(revised.kgco2e)
    connection.executemany(
        REVISED.format(series=series, stream=stream),
        zip(
            arrays.start_ms.tolist(),
            arrays.length_ms.tolist(),
            (arrays.revision + 1).tolist(),
            kgco2e,
            _nulls(revised.lower),
            _nulls(revised.upper),
            arrays.share.tolist(),
            np.array(numbers)[revised.which].tolist(),
            arrays.window_revision.tolist(),
            range(first, first + len(kgco2e)),
            strict=True,
        ),
    )
    return len(kgco2e)


def _nulls(values: Floats) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]
