"""Emissions read beside their windows, and revised, in bulk; the caller's transaction decides."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np

from agent.book.ports import Owner, Span
from agent.book.sqlite import SqliteBook
from agent.core.carbon.recompute import (
    BookedEmissions,
    Figures,
    Floats,
    Integers,
    digest,
    era_of,
    recompute,
    runs_of,
    totals,
)
from agent.core.recalculation import MOST_EMISSIONS, MOST_RUNS, BulkRecalculation, Key, Run, Terms

if TYPE_CHECKING:
    from sqlite3 import Connection

# an array of numbers has no null: 9e999 is infinity, which no booked figure can be
BOOKED = (
    "SELECT e.start_ms, e.length_ms, e.revision, e.factor, ifnull(w.revision, -1), "
    "ifnull(e.kgco2, 9e999), ifnull(e.kgch4, 9e999), ifnull(e.kgn2o, 9e999), "
    "ifnull(e.kgco2e, 9e999), ifnull(e.lower, 9e999), ifnull(e.upper, 9e999), e.estimated_share, "
    "ifnull(w.value, 9e999), ifnull(w.lower, 9e999), ifnull(w.upper, 9e999) "
    # the window revision that the emission names, not the newest one
    "FROM emissions AS e LEFT JOIN windows AS w ON w.series = :stream AND w.start_ms = e.start_ms "
    "AND w.length_ms = e.length_ms AND w.revision = substr(e.inputs, :skipped) + 0 "
    "AND e.inputs = :prefix || w.revision || ']]' "
    "WHERE e.series = :source AND e.start_ms >= :from_ms AND e.start_ms < :to_ms "
    "ORDER BY e.start_ms, e.length_ms, e.revision"
)
WHOLE = ("start_ms", "length_ms", "revision", "factor", "window_revision")
FIGURES = ("kgco2", "kgch4", "kgn2o", "kgco2e", "lower", "upper")
WINDOW_FIGURES = ("value", "window_lower", "window_upper")
ROW = [
    *((name, "i8") for name in WHOLE),
    *((name, "f8") for name in (*FIGURES, "estimated_share", *WINDOW_FIGURES)),
]
REVISED = (
    "INSERT INTO emissions (recalculation, series, start_ms, length_ms, revision, kgco2, kgch4, "
    "kgn2o, kgco2e, lower, upper, estimated_share, factor, inputs) "
    "VALUES ({recalculation}, {series}, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """Emissions with their new figures, and the record that says the same to others."""

    record: BulkRecalculation
    booked: BookedEmissions
    figures: Figures


def booked_emissions(
    connection: Connection, owner: Owner, source: str, stream: str, span: Span
) -> BookedEmissions:
    """All revisions of a source's emissions in a span, by start, length and revision.

    Those of another stream, or whose window is not booked, have no window beside them.
    """
    book, prefix = SqliteBook(connection), f"[[{json.dumps(stream)},"
    rows = connection.execute(
        BOOKED,
        {
            "stream": book.number(owner, "stream", stream),
            "source": book.number(owner, "source", source),
            "from_ms": span.from_ms,
            "to_ms": span.to_ms,
            "prefix": prefix,
            "skipped": len(prefix) + 1,
        },
    )
    table = np.fromiter(rows, dtype=ROW)
    columns = {name: np.ascontiguousarray(table[name]) for name, _ in ROW}
    for name in (*FIGURES, *WINDOW_FIGURES):
        columns[name][np.isinf(columns[name])] = np.nan
    return BookedEmissions(**columns, factor_value=_factor_values(connection, columns["factor"]))


def current(booked: BookedEmissions) -> BookedEmissions:
    """The highest revision of each."""
    same = (booked.start_ms[1:] == booked.start_ms[:-1]) & (
        booked.length_ms[1:] == booked.length_ms[:-1]
    )
    return booked.only(np.append(~same, True)) if len(booked) else booked


def named(booked: BookedEmissions, keys: Iterable[Key]) -> BookedEmissions:
    """The emissions under these keys, in their order; those that are not there are left out."""
    columns = (booked.start_ms.tolist(), booked.length_ms.tolist(), booked.revision.tolist())
    places = {key: place for place, key in enumerate(zip(*columns, strict=True))}
    found = (places.pop(key, None) for key in keys)
    return booked.only(np.array([place for place in found if place is not None], np.intp))


def streams_of(connection: Connection, owner: Owner, source: str, span: Span) -> list[str]:
    """The streams that a source's emissions in a span were booked from, one each."""
    rows = connection.execute(
        "SELECT DISTINCT json_extract(inputs, '$[0][0]') FROM emissions WHERE series = ? "
        "AND start_ms >= ? AND start_ms < ? AND json_array_length(inputs) = 1",
        (SqliteBook(connection).number(owner, "source", source), span.from_ms, span.to_ms),
    )
    return [row[0] for row in rows]


def revisions(
    source: str, stream: str, booked: BookedEmissions, terms: Terms, library: str
) -> Iterator[Revision]:
    """The emissions computed again, cut into as many records as their size asks for."""
    runs: list[Run] = []
    first = end = 0
    for part, run in runs_of(booked):
        if runs and (len(runs) == MOST_RUNS or part.stop - first > MOST_EMISSIONS):
            yield _revision(source, stream, booked.only(slice(first, end)), runs, terms, library)
            runs, first = [], part.start
        runs.append(run)
        end = part.stop
    if runs:
        yield _revision(source, stream, booked.only(slice(first, end)), runs, terms, library)


def _revision(
    source: str,
    stream: str,
    booked: BookedEmissions,
    runs: list[Run],
    terms: Terms,
    library: str,
) -> Revision:
    terms = _terms_of(booked, terms)
    figures = recompute(booked, terms)
    record = BulkRecalculation(
        source=source,
        stream=stream,
        start_ms=min(run.start_ms for run in runs),
        end_ms=max(run.end_ms for run in runs),
        runs=tuple(runs),
        terms=terms,
        library=library,
        count=len(booked),
        before=totals(booked),
        after=totals(figures),
        sha256=digest(_next(booked), figures, figures.era),
    )
    return Revision(record=record, booked=booked, figures=figures)


def named_emissions(
    connection: Connection, owner: Owner, record: BulkRecalculation
) -> BookedEmissions:
    """The emissions that a record replaces, as far as they are booked with their windows."""
    booked = _named_by(connection, owner, record, record.replaced())
    return booked.only(booked.window_revision >= 0)


def again(record: BulkRecalculation, booked: BookedEmissions) -> Revision:
    """What a record comes to for the emissions that it names."""
    return _revision(
        record.source, record.stream, booked, list(record.runs), record.terms, record.library
    )


def booked_digest(
    connection: Connection, owner: Owner, record: BulkRecalculation
) -> tuple[int, str]:
    """How many of the emissions that a record makes are booked, and the hash over them."""
    keys = (
        (start_ms, length_ms, revision + 1) for start_ms, length_ms, revision in record.replaced()
    )
    rows = _named_by(connection, owner, record, keys)
    era = era_of(rows.start_ms, record.terms)
    book = SqliteBook(connection)
    numbers = [book.factor_number(one.factor) or 0 for one in record.terms.eras]
    by_these = np.array(numbers, np.int64)[era] == rows.factor
    return len(rows), digest(rows, rows, np.where(by_these, era, -1))


def book_revision(
    connection: Connection, owner: Owner, revision: Revision, recalculation: int
) -> int:
    """Book the new revisions as made by a recalculation; returns how many were not there."""
    book, record = SqliteBook(connection), revision.record
    booked, figures = revision.booked, revision.figures
    numbers = np.array([book.add_factor(one.factor) for one in record.terms.eras], np.int64)
    before = connection.total_changes
    connection.executemany(
        REVISED.format(
            recalculation=recalculation, series=book.series(owner, "source", record.source)
        ),
        zip(
            booked.start_ms.tolist(),
            booked.length_ms.tolist(),
            (booked.revision + 1).tolist(),
            # SQLite takes NaN for null
            figures.kgco2.tolist(),
            figures.kgch4.tolist(),
            figures.kgn2o.tolist(),
            figures.kgco2e.tolist(),
            figures.lower.tolist(),
            figures.upper.tolist(),
            booked.estimated_share.tolist(),
            numbers[figures.era].tolist(),
            _inputs(record.stream, booked.window_revision),
            strict=False,
        ),
    )
    return connection.total_changes - before


def _named_by(
    connection: Connection, owner: Owner, record: BulkRecalculation, keys: Iterable[Key]
) -> BookedEmissions:
    span = Span(from_ms=record.start_ms, to_ms=record.end_ms)
    return named(booked_emissions(connection, owner, record.source, record.stream, span), keys)


def _inputs(stream: str, window_revision: Integers) -> Iterable[str]:
    texts = {
        revision: json.dumps([[stream, revision]], separators=(",", ":"))
        for revision in np.unique(window_revision).tolist()
    }
    if len(texts) == 1:
        return repeat(*texts.values())
    return map(texts.__getitem__, window_revision.tolist())


def _factor_values(connection: Connection, numbers: Integers) -> Floats:
    known = dict(connection.execute("SELECT id, value FROM factors").fetchall())
    unique, places = np.unique(numbers, return_inverse=True)
    return np.array([known[number] for number in unique.tolist()], np.float64)[places]


def _terms_of(booked: BookedEmissions, terms: Terms) -> Terms:
    """The terms with the factors that these emissions need."""
    era = era_of(booked.start_ms, terms)
    *eras, last = terms.eras[int(era.min()) : int(era.max()) + 1]
    return replace(terms, eras=(*eras, replace(last, until_ms=None)))


def _next(booked: BookedEmissions) -> BookedEmissions:
    return replace(booked, revision=booked.revision + 1)
