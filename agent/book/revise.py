"""Emissions read beside their windows, and revised, in bulk; the caller's transaction decides."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import repeat
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

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

Places: TypeAlias = npt.NDArray[np.intp]

BOOKED = (
    "SELECT {columns} "
    # the window revision that the emission names, not the newest one
    "FROM emissions AS e LEFT JOIN windows AS w ON w.series = :stream AND w.start_ms = e.start_ms "
    "AND w.length_ms = e.length_ms AND w.revision = CASE e.inputs WHEN :first THEN 0 "
    "WHEN :prefix || (substr(e.inputs, :skipped) + 0) || ']]' THEN substr(e.inputs, :skipped) + 0 "
    "END "
    "WHERE e.series = :source AND e.start_ms >= :from_ms AND e.start_ms < :to_ms "
    "ORDER BY e.start_ms, e.length_ms, e.revision"
)
# an array of numbers has no null: 9e999 is infinity, which no booked figure can be
WHOLE = {
    "start_ms": "e.start_ms",
    "length_ms": "e.length_ms",
    "revision": "e.revision",
    "factor": "e.factor",
    "window_revision": "ifnull(w.revision, -1)",
}
NUMBERS = {
    "kgco2e": "ifnull(e.kgco2e, 9e999)",
    "estimated_share": "e.estimated_share",
    "value": "ifnull(w.value, 9e999)",
    "window_lower": "ifnull(w.lower, 9e999)",
    "window_upper": "ifnull(w.upper, 9e999)",
}
SPLIT = {  # each column costs a tenth of the reading, and few sources emit more than CO2
    "is_split": "ifnull(e.kgco2 <> e.kgco2e OR e.kgch4 <> 0 OR e.kgn2o <> 0, 0)"
}
GASES = {name: f"ifnull(e.{name}, 9e999)" for name in ("kgco2", "kgch4", "kgn2o")}
INTERVAL = {name: f"ifnull(e.{name}, 9e999)" for name in ("lower", "upper")}


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
    columns = _columns(connection, owner, source, stream, span, {**NUMBERS, **SPLIT})
    if columns.pop("is_split").any():
        columns = _columns(connection, owner, source, stream, span, {**NUMBERS, **GASES})
    else:
        none = columns["kgco2e"] * 0.0
        columns |= {"kgco2": columns["kgco2e"], "kgch4": none, "kgn2o": none}
    return BookedEmissions(**columns)


def _columns(
    connection: Connection,
    owner: Owner,
    source: str,
    stream: str,
    span: Span,
    numbers: Mapping[str, str],
) -> dict[str, Any]:
    book, prefix = SqliteBook(connection), f"[[{json.dumps(stream)},"
    chosen = {**WHOLE, **numbers}
    rows = connection.execute(
        BOOKED.format(columns=", ".join(chosen.values())),
        {
            "stream": book.number(owner, "stream", stream),
            "source": book.number(owner, "source", source),
            "from_ms": span.from_ms,
            "to_ms": span.to_ms,
            "first": f"{prefix}0]]",
            "prefix": prefix,
            "skipped": len(prefix) + 1,
        },
    )
    table = np.fromiter(rows, [(name, "i8" if name in WHOLE else "f8") for name in chosen])
    columns = {name: np.ascontiguousarray(table[name]) for name in chosen}
    for name in numbers:
        columns[name][np.isinf(columns[name])] = np.nan
    return columns | {"factor_value": _factor_values(connection, columns["factor"])}


def current(booked: BookedEmissions) -> BookedEmissions:
    """The highest revision of each."""
    same = (booked.start_ms[1:] == booked.start_ms[:-1]) & (
        booked.length_ms[1:] == booked.length_ms[:-1]
    )
    return booked.only(np.append(~same, True)) if len(booked) else booked


def named(booked: BookedEmissions, keys: Iterable[Key]) -> Places:
    """Where the emissions under these keys are, in their order, as far as they are there."""
    columns = (booked.start_ms.tolist(), booked.length_ms.tolist(), booked.revision.tolist())
    places = {key: place for place, key in enumerate(zip(*columns, strict=True))}
    found = (places.pop(key, None) for key in keys)
    return np.array([place for place in found if place is not None], np.intp)


def pieces_of(
    connection: Connection, owner: Owner, source: str, span: Span, most_rows: int
) -> Iterator[Span]:
    """A span cut so that no piece holds more booked emissions of a source, with all revisions."""
    series, from_ms = SqliteBook(connection).number(owner, "source", source), span.from_ms
    while row := connection.execute(
        "SELECT start_ms FROM emissions WHERE series = ? AND start_ms >= ? AND start_ms < ? "
        "ORDER BY start_ms LIMIT 1 OFFSET ?",
        (series, from_ms, span.to_ms, most_rows),
    ).fetchone():
        cut_ms = max(row[0], from_ms + 1)  # the revisions of one start stay together
        yield Span(from_ms=from_ms, to_ms=cut_ms)
        from_ms = cut_ms
    yield Span(from_ms=from_ms, to_ms=span.to_ms)


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

    def made() -> Revision:
        part = booked.only(slice(first, end))
        return _revision(source, stream, part, runs, _terms_of(part, terms), library)

    for part, run in runs_of(booked):
        if runs and (len(runs) == MOST_RUNS or part.stop - first > MOST_EMISSIONS):
            yield made()
            runs, first = [], part.start
        runs.append(run)
        end = part.stop
    if runs:
        yield made()


def _revision(
    source: str,
    stream: str,
    booked: BookedEmissions,
    runs: list[Run],
    terms: Terms,
    library: str,
) -> Revision:
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
        sha256=digest(_next(booked), figures),
    )
    return Revision(record=record, booked=booked, figures=figures)


def named_emissions(
    connection: Connection, owner: Owner, record: BulkRecalculation
) -> BookedEmissions:
    """The emissions that a record replaces, as far as they are booked with their windows."""
    span = Span(from_ms=record.start_ms, to_ms=record.end_ms)
    every = booked_emissions(connection, owner, record.source, record.stream, span)
    booked = every.only(named(every, record.replaced()))
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
    span = Span(from_ms=record.start_ms, to_ms=record.end_ms)
    columns = _columns(
        connection, owner, record.source, record.stream, span, {**NUMBERS, **GASES, **INTERVAL}
    )
    interval = {name: columns.pop(name) for name in INTERVAL}
    keys = (
        (start_ms, length_ms, revision + 1) for start_ms, length_ms, revision in record.replaced()
    )
    every = BookedEmissions(**columns)
    places = named(every, keys)
    rows, book = every.only(places), SqliteBook(connection)
    era = era_of(rows.start_ms, record.terms)
    numbers = [book.factor_number(one.factor) or 0 for one in record.terms.eras]
    by_these = np.array(numbers, np.int64)[era] == rows.factor
    figures = Figures(
        era=np.where(by_these, era, -1),
        **{name: getattr(rows, name) for name in (*GASES, "kgco2e")},
        **{name: values[places] for name, values in interval.items()},
    )
    return len(rows), digest(rows, figures)


def book_revision(
    connection: Connection, owner: Owner, revision: Revision, recalculation: int
) -> int:
    """Book the new revisions as made by a recalculation; returns how many were not there."""
    book, record = SqliteBook(connection), revision.record
    booked, figures = revision.booked, revision.figures
    numbers = np.array([book.add_factor(one.factor) for one in record.terms.eras], np.int64)
    values: dict[str, Floats | Integers] = {
        "length_ms": booked.length_ms,
        "revision": booked.revision + 1,
        "kgco2": figures.kgco2,
        "kgch4": figures.kgch4,
        "kgn2o": figures.kgn2o,
        "kgco2e": figures.kgco2e,
        "lower": figures.lower,
        "upper": figures.upper,
        "estimated_share": booked.estimated_share,
        "factor": numbers[figures.era],
    }
    constants = {
        "recalculation": str(recalculation),
        "series": str(book.series(owner, "source", record.source)),
    }
    bound: dict[str, Iterable[object]] = {"start_ms": booked.start_ms.tolist()}
    for name, column in values.items():
        if (constant := _constant(column)) is not None:
            constants[name] = constant
        else:
            bound[name] = column.tolist()  # SQLite takes NaN for null
    bound["inputs"] = _inputs(record.stream, booked.window_revision)
    before = connection.total_changes
    connection.executemany(
        f"INSERT INTO emissions ({', '.join([*constants, *bound])}) "
        f"VALUES ({', '.join([*constants.values(), *('?' for _ in bound)])}) "
        "ON CONFLICT DO NOTHING",
        zip(*bound.values(), strict=False),
    )
    return connection.total_changes - before


def _constant(column: Floats | Integers) -> str | None:
    """What all rows have in common, if SQL can say it exactly: binding it is time lost."""
    first = column[0].item()
    if (column == first).all() and abs(first) < 2**53 and first == int(first):
        return repr(first)
    return None


def _inputs(stream: str, window_revision: Integers) -> Iterable[str]:
    texts = {
        revision: json.dumps([[stream, revision]], separators=(",", ":"))
        for revision in np.unique(window_revision).tolist()
    }
    if len(texts) == 1:
        return repeat(*texts.values())
    return map(texts.__getitem__, window_revision.tolist())


def _factor_values(connection: Connection, numbers: Integers) -> Floats:
    if len(numbers) and (numbers == numbers[0]).all():
        row = connection.execute("SELECT value FROM factors WHERE id = ?", (int(numbers[0]),))
        return np.full(len(numbers), row.fetchone()[0])
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
