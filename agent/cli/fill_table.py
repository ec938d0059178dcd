"""Reads the table that `tanshu fill` takes; every fault is one line with its line and column."""

from __future__ import annotations

import csv
import io
import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NoReturn
from zoneinfo import ZoneInfo

import numpy as np

from agent.cli.fill_texts import Texts
from agent.core.errors import UsageError
from agent.core.gaps.series import Series, codes_of
from agent.core.kernels.arrays import Floats, Integers

TIME, VALUE, REGISTER, LOAD, MAINTENANCE = "time", "value", "register", "load", "maintenance"
_MOSTLY: Final = 0.9  # a column with so many numbers is one of numbers
_CODES: Final = 12  # a column of so few whole numbers tells kinds apart, not amounts
_MOST_ROWS: Final = 20_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A series on a regular grid with its register, and the texts of its first two columns."""

    series: Series
    register: Floats | None
    times: Texts
    value_texts: Texts


@dataclass(frozen=True, slots=True)
class _Source:
    path: Path
    lines: array[int]  # of each row of the table, as in the file
    header: list[str]

    def fail(self, row: int, name: str, what: str, hint: str) -> NoReturn:
        fault(self.path, self.lines[row], self.header.index(name) + 1, what, hint)


def fault(path: Path, line: int, column: int, what: str, hint: str) -> NoReturn:
    """Every fault of a table in one form."""
    raise UsageError(what, where=f"{path}: line {line}, column {column}", hint=hint)


def read_table(path: Path, zone: ZoneInfo | None) -> Table:
    """Read a CSV file: `time` and `value`, and what else was known of each interval.

    Rows that lack altogether are put in as missing values. Clock times with an offset are kept as
    they are unless ``zone`` names the clock by which the plant works.
    """
    source, columns = _cells(path)
    header = source.header
    clock_ms, step_ms = _grid(source, columns[TIME], zone)
    places = (clock_ms - clock_ms[0]) // step_ms
    count = int(places[-1]) + 1
    if count > _MOST_ROWS:
        source.fail(len(places) - 1, TIME, "the times span too many intervals", "check the years")

    def spread(column: Floats) -> Floats:
        wide = np.full(count, math.nan)
        wide[places] = column
        return wide

    numbers: dict[str, Floats] = {}
    labels: dict[str, Integers] = {}
    for name in header:
        if name in (TIME, VALUE, REGISTER, MAINTENANCE):
            continue
        found = _numbers(source, columns[name], name, must=name == LOAD)
        if found is not None and (name == LOAD or not _are_codes(found)):
            numbers[name] = spread(found)
            continue
        once: dict[str, str] = {}
        texts = [""] * count
        for place, text in zip(places, columns[name], strict=True):
            texts[place] = once.setdefault(text, text)
        labels[name] = codes_of(texts)
    register = _optional(source, columns, REGISTER)
    stopped = _optional(source, columns, MAINTENANCE)
    values = _numbers(source, columns[VALUE], VALUE, must=True)
    assert values is not None
    return Table(
        series=Series(
            start_ms=int(clock_ms[0]),
            step_ms=step_ms,
            values=spread(values),
            numbers=numbers,
            labels=labels,
            load=LOAD if LOAD in numbers else None,
            stopped=None if stopped is None else np.nan_to_num(spread(stopped)) > 0.0,
        ),
        register=None if register is None else spread(register),
        times=_time_texts(columns[TIME], places, count, step_ms),
        value_texts=Texts(_spread_out(columns[VALUE], places, count)),
    )


def _cells(path: Path) -> tuple[_Source, dict[str, Texts]]:
    """The columns by name, and where they stand; what is no table at all is refused here."""
    rows = _rows(path)
    line, names = next(rows, (0, []))
    if not names:
        fault(path, 1, 1, "the file is empty", "give a header and at least two rows")
    header = [name.lower() for name in names]
    _check_header(path, line, header)
    columns = [Texts() for _ in header]
    lines = array("q")
    for line, cells in rows:
        if len(cells) != len(header):
            what = f"{len(cells)} cells where the header has {len(header)}"
            fault(path, line, min(len(cells), len(header)) + 1, what, "fill up or cut the row")
        lines.append(line)
        for column, cell in zip(columns, cells, strict=True):
            column.append(cell)
    if len(lines) < 2:
        fault(path, line, 1, "fewer than two rows", "give at least two rows below the header")
    return _Source(path, lines, header), dict(zip(header, columns, strict=True))


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of every row that is not empty."""
    raw = path.read_bytes()
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        fault(path, line, 1, "not UTF-8 text", "save the table as CSV in UTF-8")
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(raw), "utf-8-sig", newline=""), strict=True)
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield reader.line_num, cells
    except csv.Error as error:
        fault(path, reader.line_num, 1, f"not a CSV line: {error}", "check its quotes")


def _check_header(path: Path, line: int, header: list[str]) -> None:
    for name in (TIME, VALUE):
        if name not in header:
            hint = "the first line names the columns, among them time and value"
            fault(path, line, 1, f"no header with a column {name!r}", hint)
    for column, name in enumerate(header, 1):
        if not name or header.index(name) != column - 1:
            fault(path, line, column, f"column name {name!r} twice or empty", "rename it")


def _grid(source: _Source, texts: Texts, zone: ZoneInfo | None) -> tuple[Integers, int]:
    """The plant's clock at each row, ascending and on one grid, and the grid's step."""
    clock_ms = np.fromiter(_clock(source, texts, zone), np.int64, len(texts))
    steps = np.diff(clock_ms)
    for row in np.flatnonzero(steps <= 0)[:1]:
        what = "the same time twice" if steps[row] == 0 else "a time before the one above it"
        source.fail(int(row) + 1, TIME, what, "give each interval once, in time order")
    lengths, counts = np.unique(steps, return_counts=True)
    step_ms = int(lengths[counts.argmax()])
    for row in np.flatnonzero((clock_ms - clock_ms[0]) % step_ms)[:1]:
        what = f"a time off the grid of {step_ms / 1000:g} s that most rows keep"
        source.fail(int(row), TIME, what, "give intervals of one length")
    return clock_ms, step_ms


def _clock(source: _Source, texts: Texts, zone: ZoneInfo | None) -> Iterator[int]:
    offset: timedelta | None = None
    for row, text in enumerate(texts):
        try:
            time = datetime.fromisoformat(text)
        except ValueError:
            hint = "write ISO 8601, as 2026-03-01T00:15:00+08:00"
            source.fail(row, TIME, f"not a time: {text!r}", hint)
        if row == 0:
            offset = time.utcoffset()
        elif time.utcoffset() != offset:
            source.fail(row, TIME, f"another zone than above: {text!r}", "keep to one UTC offset")
        if zone is not None and time.tzinfo is not None:
            time = time.astimezone(zone)
        yield round((time.replace(tzinfo=UTC) - _EPOCH) / timedelta(milliseconds=1))


def _optional(source: _Source, columns: dict[str, Texts], name: str) -> Floats | None:
    return _numbers(source, columns[name], name, must=True) if name in columns else None


def _numbers(source: _Source, texts: Texts, name: str, *, must: bool) -> Floats | None:
    """A column as numbers, NaN where empty; None if it is one of words."""
    result = np.full(len(texts), math.nan)
    wrong: list[int] = []
    filled = 0
    for row, text in enumerate(texts):
        if not text:
            continue
        filled += 1
        try:
            result[row] = float(text)
        except ValueError:
            wrong.append(row)
            continue
        if not math.isfinite(result[row]):
            wrong.append(row)
    if wrong and (must or filled - len(wrong) >= _MOSTLY * filled):
        what = f"not a number in {name}: {texts[wrong[0]]!r}"
        source.fail(wrong[0], name, what, "write a number, or leave the cell empty")
    return None if wrong or not filled else result


def _are_codes(column: Floats) -> bool:
    known = np.unique(column[np.isfinite(column)])
    return len(known) <= _CODES and bool(np.all(known == np.round(known)))


def _spread_out(texts: Texts, places: Integers, count: int) -> Iterator[str]:
    """The text of every interval; of rows put in, none."""
    row = 0
    for place in range(count):
        there = row < len(places) and places[row] == place
        yield texts[row] if there else ""
        row += there


def _time_texts(texts: Texts, places: Integers, count: int, step_ms: int) -> Texts:
    """The time of every interval as it was written; of rows put in, in the same notation."""
    if len(texts) == count:
        return texts
    wide = Texts()
    last = datetime.fromisoformat(texts[0])
    for text in _spread_out(texts, places, count):
        last = datetime.fromisoformat(text) if text else last + timedelta(milliseconds=step_ms)
        wide.append(text or last.isoformat())
    return wide
