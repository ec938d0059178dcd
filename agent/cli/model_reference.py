"""Reference measurements for a model: from a CSV file, or from the windows of a temporary meter."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from agent.config.faults import nearest
from agent.core.errors import UsageError
from agent.core.model import Provenance
from agent.core.timebase import HOUR_MS, iso_utc
from agent.core.virtual import Amount

if TYPE_CHECKING:
    from sqlite3 import Connection

    from agent.book.ports import Owner, Span
    from agent.config.site import DerivedPlan, SiteConfig

VALUE, HOURS = "value", "hours"
MOST_BYTES = 64 * 1024 * 1024
FIRM = frozenset({Provenance.MEASURED, Provenance.VERIFIED, Provenance.MANUAL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Rows to fit to: inputs as they enter the model, the amount per hour, where they are from."""

    inputs: npt.NDArray[np.float64]
    target: npt.NDArray[np.float64]
    source: str
    left_out: int  # rows with an empty cell, or windows that are not firmly measured


def from_csv(path: Path, plan: DerivedPlan) -> Reference:
    """Rows of a CSV file with the columns ``value``, one per input, and perhaps ``hours``.

    ``value`` and the columns of streams are amounts over the row's ``hours`` (1 without the
    column), those of points are means. Rows with an empty cell are left out; other columns are
    not read.

    Raises:
        UsageError: no such file or column, or a cell that is no number, with line and column.
    """
    rows = csv.reader(io.StringIO(_text(path)), strict=True)
    try:
        header = [name.strip() for name in next(rows, [])]
        places = _places(path, header, plan)
        found = list(_numbers(path, rows, places))
    except csv.Error as error:
        raise UsageError(
            f"is no CSV: {error}", where=f"{path}: line {rows.line_num}", hint="UTF-8, commas"
        ) from None
    whole = [row for row in found if None not in row.values()]
    hours = np.array([row.get(HOURS, 1.0) for row in whole], np.float64)
    columns = [
        np.array([row[name] for row in whole], np.float64)
        / (hours if name in plan.streams else 1.0)
        for name in plan.inputs
    ]
    return Reference(
        inputs=np.column_stack(columns),
        target=np.array([row[VALUE] for row in whole], np.float64) / hours,
        source=path.name,
        left_out=len(found) - len(whole),
    )


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot be read: {error.strerror}", where=str(path), hint="check the file name"
        ) from error
    if len(content) > MOST_BYTES:
        raise UsageError("is too large", where=str(path), hint=f"at most {MOST_BYTES >> 20} MB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"is not UTF-8 at byte {error.start}", where=str(path), hint="save it as UTF-8"
        ) from None


def _places(path: Path, header: Sequence[str], plan: DerivedPlan) -> dict[str, int]:
    """The column of every name that is needed."""
    where = f"{path}: line 1"
    if not any(header):
        raise UsageError("has no header", where=where, hint=", ".join((VALUE, *plan.inputs)))
    for name in header:
        if name and header.count(name) > 1:
            raise UsageError(f'column "{name}" stands twice', where=where, hint="keep one")
    for name in (VALUE, *plan.inputs):
        if name not in header:
            raise UsageError(f'no column "{name}"', where=where, hint=nearest(name, header))
    wanted = (VALUE, *plan.inputs, *([HOURS] if HOURS in header else []))
    return {name: header.index(name) for name in wanted}


def _numbers(
    path: Path, rows: Iterator[list[str]], places: Mapping[str, int]
) -> Iterator[dict[str, float | None]]:
    for line, row in enumerate(rows, start=2):
        if not any(cell.strip() for cell in row):
            continue
        yield {
            name: _number(path, line, place, row[place] if place < len(row) else "", name)
            for name, place in places.items()
        }


def _number(path: Path, line: int, place: int, text: str, name: str) -> float | None:
    if not text.strip():
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if math.isfinite(number) and not (name == HOURS and number <= 0):
        return number
    wanted = "a number above 0" if name == HOURS else "a number such as 12.5"
    raise UsageError(
        f'"{text.strip()[:40]}" is no {name}',
        where=f"{path}: line {line}, column {place + 1}",
        hint=wanted,
    )


def from_stream(
    connection: Connection,
    config: SiteConfig,
    owner: Owner,
    plan: DerivedPlan,
    stream: str,
    span: Span,
) -> Reference:
    """The windows of a stream that were firmly measured together with all inputs.

    Raises:
        UsageError: the site file has no such stream, or of another unit.
    """
    from agent.book.sqlite import SqliteBook
    from agent.pipeline.inputs import Inputs
    from agent.store.readings import Readings

    spec = config.streams.get(stream)
    if spec is None or spec.unit != plan.stream.unit:
        hint = nearest(stream, config.streams) if spec is None else f"in {plan.stream.unit}"
        what = "no such stream is booked" if spec is None else f"is in {spec.unit}"
        raise UsageError(what, where=stream, hint=hint)
    windows = {
        (window.start_ms, window.length_ms): window
        for window in SqliteBook(connection).current_windows(owner, span, stream)
    }
    inputs = Inputs(connection, config, owner, Readings(connection))
    rows, target = [], []
    for key, found in inputs.of(plan, windows):
        window, hours = windows[key], key[1] / HOUR_MS
        if window.value is None or {window.provenance, *_provenances(found)} - FIRM:
            continue
        rows.append(
            [
                (found[name].value or 0.0) / (hours if name in plan.streams else 1.0)
                for name in plan.inputs
            ]
        )
        target.append(window.value / hours)
    return Reference(
        inputs=np.array(rows, np.float64).reshape(len(rows), len(plan.inputs)),
        target=np.array(target, np.float64),
        source=f"{stream} {iso_utc(span.from_ms)}/{iso_utc(span.to_ms)}",
        left_out=len(windows) - len(rows),
    )


def _provenances(found: Mapping[str, Amount]) -> set[Provenance]:
    return {amount.provenance for amount in found.values()}
