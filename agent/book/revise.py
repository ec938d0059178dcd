"""Emissions read and revised in bulk, as arrays; the caller's transaction decides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
EMISSIONS = (
    "SELECT start_ms, length_ms, revision, ifnull(kgco2e, 9e999), estimated_share, factor "
    "FROM emissions WHERE series = ? AND start_ms >= ? AND start_ms < ? "
    "ORDER BY start_ms, length_ms, revision"
)
WINDOWS = (
    "SELECT start_ms, length_ms, revision, ifnull(value, 9e999), ifnull(lower, 9e999), "
    "ifnull(upper, 9e999) FROM windows WHERE series = ? AND start_ms >= ? AND start_ms < ? "
    "ORDER BY start_ms, length_ms, revision"
)
EMISSION_ROW = [
    ("start", "i8"),
    ("length", "i8"),
    ("revision", "i8"),
    ("kgco2e", "f8"),
    ("share", "f8"),
    ("factor", "i8"),
]
WINDOW_ROW = [
    ("start", "i8"),
    ("length", "i8"),
    ("revision", "i8"),
    ("value", "f8"),
    ("lower", "f8"),
    ("upper", "f8"),
]


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
    between = (span.from_ms, span.to_ms)
    emissions = _current(
        connection, EMISSIONS, (book.number(owner, "source", source), *between), EMISSION_ROW
    )
    windows = _current(
        connection, WINDOWS, (book.number(owner, "stream", stream), *between), WINDOW_ROW
    )
    _, ours, theirs = np.intersect1d(
        emissions["start"], windows["start"], assume_unique=True, return_indices=True
    )
    emissions, windows = emissions[ours], windows[theirs]
    return EmissionArrays(
        start_ms=np.ascontiguousarray(emissions["start"]),
        length_ms=np.ascontiguousarray(emissions["length"]),
        revision=np.ascontiguousarray(emissions["revision"]),
        kgco2e=_known(emissions["kgco2e"]),
        share=np.ascontiguousarray(emissions["share"]),
        factor=np.ascontiguousarray(emissions["factor"]),
        window_revision=np.ascontiguousarray(windows["revision"]),
        value=_known(windows["value"]),
        lower=_known(windows["lower"]),
        upper=_known(windows["upper"]),
    )


def _current(
    connection: Connection,
    query: str,
    parameters: tuple[object, ...],
    row: list[tuple[str, str]],
) -> npt.NDArray[Any]:
    """The rows of a query by start, length and revision: the last revision of each."""
    table = np.fromiter(connection.execute(query, parameters), dtype=row)
    if not len(table):
        return table
    same = (table["start"][1:] == table["start"][:-1]) & (
        table["length"][1:] == table["length"][:-1]
    )
    newest: npt.NDArray[Any] = table[np.append(~same, True)]
    return newest


def _known(values: Floats) -> Floats:
    return np.where(np.isinf(values), np.nan, values)


def revise(
    connection: Connection, owner: Owner, source: str, stream: str, revised: RevisedEmissions
) -> int:
    """Book the new revisions; returns how many."""
    book = SqliteBook(connection)
    series = book.series(owner, "source", source)
    numbers = [book.add_factor(factor) for factor in revised.factors]
    arrays = revised.arrays
    kgco2e = _nulls(revised.kgco2e)
    zeros = [None if value is None else 0.0 for value in kgco2e]
    connection.executemany(
        "INSERT INTO emissions (series, start_ms, length_ms, revision, kgco2, kgch4, kgn2o, "
        "kgco2e, lower, upper, estimated_share, factor, inputs) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        zip(
            [series] * len(kgco2e),
            arrays.start_ms.tolist(),
            arrays.length_ms.tolist(),
            (arrays.revision + 1).tolist(),
            kgco2e,
            zeros,
            zeros,
            kgco2e,
            _nulls(revised.lower),
            _nulls(revised.upper),
            arrays.share.tolist(),
            [numbers[index] for index in revised.which.tolist()],
            [f'[["{stream}",{revision}]]' for revision in arrays.window_revision.tolist()],
            strict=True,
        ),
    )
    return len(kgco2e)


def _nulls(values: Floats) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]
