"""Sheets of activity data: CSV and XLSX to rows of fields, each knowing its cell."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from agent.core.activity_words import (
    HEADINGS,
    heading_field,
    is_ignored_heading,
    known_headings,
    unit_symbol,
)
from agent.core.errors import UsageError

HEADING_ROWS = 10  # a title may stand above the headings
LEAST_HEADINGS = 3
MOST_ROWS = 5_000
MOST_COLUMNS = 100
_NEEDED = ("kind", "item", "amount", "unit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What stands in a cell; ``problem`` where it cannot be read."""

    value: object
    number_format: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellFault:
    """A fault with its place in the sheet; ``column`` is empty where a whole row is meant."""

    sheet: str
    row: int
    column: str
    what: str
    hint: str

    @property
    def cell(self) -> str:
        return f"{self.sheet}!{self.column}{self.row}"

    def __str__(self) -> str:
        return f"{self.cell}: {self.what} ({self.hint})"


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetRow:
    """One entry as written, and the row it stands in (from 1)."""

    number: int
    fields: Mapping[str, object]


@dataclass(slots=True, kw_only=True)
class Sheet:
    """The readable rows of a sheet, the column of each field, and what cannot be read."""

    name: str
    columns: dict[str, str] = field(default_factory=dict)
    rows: list[SheetRow] = field(default_factory=list)
    faults: list[CellFault] = field(default_factory=list)

    def fault(self, row: int, column: str, what: str, hint: str) -> None:
        self.faults.append(CellFault(sheet=self.name, row=row, column=column, what=what, hint=hint))


def read_sheet(path: Path, wanted: str | None = None, given: Sequence[str] = ()) -> Sheet:
    """The rows of a CSV file, or of one sheet of an XLSX file (the first unless named).

    ``given`` are fields that the caller supplies for every row, so that no column need do so.

    Raises:
        UsageError: the file is neither, cannot be read, or has no such sheet.
    """
    name, grid = read_grid(path, wanted)
    sheet = Sheet(name=name)
    rows = iter(grid)
    found = _find_headings(sheet, rows)
    if found is None:
        raise UsageError(
            "no row of headings found",
            where=f"{path.name}: {name}",
            hint="name the columns " + ", ".join(_NEEDED) + ", period; see "
            "`tanshu activity template`",
        )
    heading_row, columns = found
    _check_needed(sheet, heading_row, given)
    if sheet.faults:
        return sheet  # rows read under wrong headings would only repeat it
    for number, cells in rows:
        if number > heading_row + MOST_ROWS:
            sheet.fault(number, "", f"more than {MOST_ROWS} rows", "split the file")
            break
        if any(not is_empty(cell) for cell in cells):
            _read_row(sheet, number, cells, columns)
    return sheet


def column_letter(index: int) -> str:
    """The letters of a column counted from 0: A, B, … Z, AA."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


Grid = Iterator[tuple[int, list[Cell]]]


def read_grid(path: Path, wanted: str | None) -> tuple[str, Grid]:
    """The name and the numbered rows of a CSV file, or of one sheet of an XLSX file."""
    suffix = path.suffix.lower()
    if suffix == ".xlsx":
        return _read_xlsx(path, wanted)
    if suffix in (".csv", ".tsv", ".txt"):
        if wanted is not None:
            raise UsageError("a CSV file has no sheets", where=str(path), hint="leave out --sheet")
        return path.name, _read_csv(path)
    raise UsageError(
        f"{suffix or 'no suffix'} is not a kind of sheet",
        where=str(path),
        hint="save it as .xlsx or .csv",
    )


def _read_csv(path: Path) -> Grid:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot be read: {error.strerror}", where=str(path), hint="check the file name"
        ) from error
    text = _decode(data, path)
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=first.count)
    try:
        for number, row in enumerate(csv.reader(io.StringIO(text), delimiter=delimiter), start=1):
            yield number, [Cell(value=value) for value in row[:MOST_COLUMNS]]
    except csv.Error as error:
        raise UsageError(f"is not CSV: {error}", where=str(path), hint="save it again") from error


def _decode(data: bytes, path: Path) -> str:
    """Text as UTF-8, or as the encoding in which a Chinese spreadsheet writes CSV."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings: tuple[str, ...] = ("utf-16",)
    else:
        encodings = ("utf-8-sig", "gb18030")
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise UsageError("is not text", where=str(path), hint="save it as CSV UTF-8")


def _read_xlsx(path: Path, wanted: str | None) -> tuple[str, Grid]:
    from zipfile import BadZipFile

    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        written = load_workbook(path, read_only=True, data_only=False)
        computed = load_workbook(path, read_only=True, data_only=True)
    except (OSError, BadZipFile, InvalidFileException, KeyError, ValueError) as error:
        raise UsageError(
            f"cannot be read: {error}", where=str(path), hint="is it an .xlsx workbook?"
        ) from error
    name = wanted or written.sheetnames[0]
    if name not in written.sheetnames:
        raise UsageError(
            f'there is no sheet "{name}"',
            where=str(path),
            hint="one of " + ", ".join(written.sheetnames),
        )

    def rows() -> Grid:
        pairs = zip(written[name].iter_rows(), computed[name].iter_rows(), strict=True)
        for number, (formulas, values) in enumerate(pairs, start=1):
            cells = zip(formulas[:MOST_COLUMNS], values[:MOST_COLUMNS], strict=True)
            yield number, [_xlsx_cell(formula, value) for formula, value in cells]
        written.close()
        computed.close()

    return name, rows()


def _xlsx_cell(formula: Any, value: Any) -> Cell:
    if value.data_type == "e":
        return Cell(value=value.value, problem=f"holds the error {value.value}")
    if formula.data_type == "f" and value.value is None:
        return Cell(value=formula.value, problem="holds a formula that was never computed")
    return Cell(value=value.value, number_format=str(value.number_format or ""))


def _find_headings(sheet: Sheet, rows: Grid) -> tuple[int, dict[int, str]] | None:
    for number, cells in rows:
        named = [heading_field(str(cell.value)) for cell in cells if not is_empty(cell)]
        if len({name for name in named if name}) >= LEAST_HEADINGS:
            return number, _columns(sheet, number, cells)
        if number >= HEADING_ROWS:
            return None
    return None


def _columns(sheet: Sheet, row: int, cells: Sequence[Cell]) -> dict[int, str]:
    columns: dict[int, str] = {}
    for index, cell in enumerate(cells):
        if is_empty(cell) or is_ignored_heading(str(cell.value)):
            continue
        letter, name = column_letter(index), heading_field(str(cell.value))
        if name is None:
            close = get_close_matches(str(cell.value), list(known_headings()), n=1, cutoff=0.5)
            hint = f'did you mean "{close[0]}"?' if close else "rename or delete the column"
            sheet.fault(row, letter, f'unknown heading "{cell.value}"', hint)
        elif name in sheet.columns:
            sheet.fault(
                row, letter, f'"{cell.value}" repeats column {sheet.columns[name]}', "keep one"
            )
        else:
            columns[index] = name
            sheet.columns[name] = letter
    return columns


def _check_needed(sheet: Sheet, row: int, given: Sequence[str]) -> None:
    present = {*sheet.columns, *given}
    missing = [name for name in _NEEDED if name not in present]
    if not present & {"period", "batch"}:
        missing.append("period")
    for name in missing:
        chinese, english = HEADINGS[name][:2]
        sheet.fault(row, "", f"no column for {name}", f'add one headed "{chinese}" or "{english}"')


def _read_row(sheet: Sheet, number: int, cells: Sequence[Cell], columns: Mapping[int, str]) -> None:
    fields: dict[str, object] = {}
    before = len(sheet.faults)
    for index, name in columns.items():
        cell = cells[index] if index < len(cells) else Cell(value=None)
        if cell.problem:
            hint = "compute and save the workbook, or paste the value"
            sheet.fault(number, column_letter(index), cell.problem, hint)
        elif not is_empty(cell):
            fields[name] = _value(name, cell)
    if len(sheet.faults) > before or not fields:
        return
    amount = next((index for index, name in columns.items() if name == "amount"), None)
    if amount is not None and amount < len(cells):
        _unpercent(fields, cells[amount])
    sheet.rows.append(SheetRow(number=number, fields=fields))


def _unpercent(fields: dict[str, object], amount: Cell) -> None:
    """A cell shown as 85.7 % holds 0.857; with the unit % its amount is 85.7."""
    value = fields.get("amount")
    shown_as_percent = "%" in amount.number_format and isinstance(value, int | float)
    if shown_as_percent and unit_symbol(str(fields.get("unit", ""))) == "%":
        assert isinstance(value, int | float)
        fields["amount"] = value * 100


def _value(name: str, cell: Cell) -> object:
    value = cell.value
    if isinstance(value, datetime | date):
        if name != "period":
            return value.isoformat()
        return f"{value:%Y-%m-%d}" if _shows_days(cell.number_format) else f"{value:%Y-%m}"
    if isinstance(value, float) and value.is_integer() and name in _TEXTS:
        return int(value)
    return value


_TEXTS = ("item", "period", "batch", "place", "mode", "author", "note")


def _shows_days(number_format: str) -> bool:
    """Whether a date is shown with its day: a cell shown as 2026-03 means the month."""
    shown, quoted = "", False
    for character in number_format:
        if character == '"':
            quoted = not quoted
        elif not quoted:
            shown += character
    return "d" in shown.lower().replace("[red]", "")


def is_empty(cell: Cell) -> bool:
    return not cell.problem and (cell.value is None or not str(cell.value).strip())
