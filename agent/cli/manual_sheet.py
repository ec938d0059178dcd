"""Sheets of readings that people took: CSV and XLSX to entries, each fault by line and column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from zoneinfo import ZoneInfo

from agent.cli.activity_door import evidence_of
from agent.cli.activity_sheet import (
    HEADING_ROWS,
    MOST_ROWS,
    Cell,
    column_letter,
    is_empty,
    read_grid,
)
from agent.core.activity import Origin
from agent.core.activity_words import heading_key, is_ignored_heading
from agent.core.errors import UsageError
from agent.core.field_reader import shortened
from agent.core.manual_read import TIME_HINT, has_zone, read_time

# The Chinese heading of each field first, then the English one.
HEADINGS: Mapping[str, tuple[str, ...]] = {
    "meter": ("仪表", "meter", "表计", "计量点", "表号"),
    "time": ("时间", "time", "抄表时间", "读数时间"),
    "value": ("读数", "value", "数值", "用量", "示数", "reading", "register", "amount"),
    "unit": ("计量单位", "unit", "单位"),
    "old_end": ("旧表止码", "old_end"),
    "new_start": ("新表起码", "new_start"),
    "running_h": ("运行小时", "running_h", "运行时间"),
    "author": ("抄表人", "author", "by", "录入人", "记录人"),
    "note": ("备注", "note", "说明"),
    "evidence": ("凭证文件", "evidence", "附件", "照片"),
}
_FIELDS = {heading_key(word): name for name, words in HEADINGS.items() for word in words}
_TEXTS = ("meter", "time", "author", "note", "unit", "evidence")
LEAST_HEADINGS = 2


@dataclass(slots=True, kw_only=True)
class ReadingSheet:
    """The entries of a sheet, the line of each, the column of each field, and all faults."""

    name: str
    columns: dict[str, str] = field(default_factory=dict)
    lines: list[int] = field(default_factory=list)
    entries: list[dict[str, object]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def fault(self, line: int, name: str, what: str, hint: str) -> None:
        """Note a fault of one field of a line, or of the whole line."""
        self.faults.append(f"{self.place(line, name)}: {what} ({hint})")

    def place(self, line: int, name: str) -> str:
        """Where a field of a line stands, in words."""
        column = self.columns.get({"evidence_sha256": "evidence"}.get(name, name))
        shown = f"column {column} ({name})" if column else name
        return f"{self.name}: line {line}{f', {shown}' if shown else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What lines take where they say nothing themselves."""

    meter: str = ""
    author: str = ""


def read_readings(
    path: Path, wanted: str | None, zone: ZoneInfo, defaults: Defaults
) -> ReadingSheet:
    """The readings of a CSV file, or of one sheet of an XLSX file (the first unless named).

    The times of a file either all name their zone or are all the site's, and those of a meter
    ascend.

    Raises:
        UsageError: the file cannot be read, has no row of headings or no readings.
    """
    name, grid = read_grid(path, wanted)
    sheet = ReadingSheet(name=name if name == path.name else f"{path.name}!{name}")
    reader: _Lines | None = None
    for line, cells in grid:
        if reader is None:
            if is_heading(cells):
                columns = _columns(sheet, line, cells, defaults)
                reader = _Lines(sheet, columns, path.parent, zone, defaults)
            elif line >= HEADING_ROWS:
                break
        elif line > MOST_ROWS:
            sheet.fault(line, "", f"more than {MOST_ROWS} lines", "split the file")
            break
        elif reader.columns and any(not is_empty(cell) for cell in cells):
            reader.read(line, cells)
    if reader is None:
        raise UsageError(
            "no row of headings found",
            where=f"{sheet.name}: line 1, column A",
            hint="name the columns meter, time, value; or 仪表、时间、读数",
        )
    if not sheet.entries and not sheet.faults:
        where = f"{sheet.name}: line 2, column A"
        raise UsageError("there are no readings", where=where, hint="one line for each reading")
    return sheet


def is_heading(cells: Sequence[Cell]) -> bool:
    """Whether a row names columns."""
    named = {_FIELDS.get(heading_key(str(cell.value))) for cell in cells if not is_empty(cell)}
    return len(named - {None}) >= LEAST_HEADINGS


def _columns(
    sheet: ReadingSheet, line: int, cells: Sequence[Cell], defaults: Defaults
) -> dict[int, str]:
    """The field of each column; none of them where the headings are faulty."""
    columns: dict[int, str] = {}
    for index, cell in enumerate(cells):
        text = str(cell.value)
        if is_empty(cell) or is_ignored_heading(text):
            continue
        name, letter = _FIELDS.get(heading_key(text)), f"column {column_letter(index)}"
        if name is None:
            known = [word for words in HEADINGS.values() for word in words[:2]]
            close = get_close_matches(text, known, n=1, cutoff=0.5)
            hint = f'did you mean "{close[0]}"?' if close else "rename or delete the column"
            sheet.fault(line, letter, f'unknown heading "{shortened(text)}"', hint)
        elif name in sheet.columns:
            what = f'"{shortened(text)}" repeats column {sheet.columns[name]}'
            sheet.fault(line, letter, what, "keep one of them")
        else:
            columns[index] = name
            sheet.columns[name] = column_letter(index)
    for name in ("meter", "time", "value"):
        if name not in sheet.columns and not (name == "meter" and defaults.meter):
            chinese, english = HEADINGS[name][:2]
            hint = f'add one headed "{chinese}" or "{english}"'
            sheet.fault(line, "", f"no column for {name}", hint)
    return {} if sheet.faults else columns


class _Lines:
    """Reads the lines under the headings."""

    def __init__(
        self,
        sheet: ReadingSheet,
        columns: Mapping[int, str],
        folder: Path,
        zone: ZoneInfo,
        defaults: Defaults,
    ) -> None:
        self.columns = columns
        self._sheet = sheet
        self._folder = folder
        self._zone = zone
        self._defaults = defaults
        self._zoned: tuple[bool, int] | None = None  # whether times name a zone, and which line
        self._last: dict[str, tuple[int, int]] = {}  # time and line of a meter's last reading

    def read(self, line: int, cells: Sequence[Cell]) -> None:
        """One line; it becomes an entry, or its faults are noted."""
        before = len(self._sheet.faults)
        fields: dict[str, object] = {"origin": Origin.IMPORT.value}
        for name in ("meter", "author"):
            if given := getattr(self._defaults, name):
                fields[name] = given
        for index, name in self.columns.items():
            cell = cells[index] if index < len(cells) else Cell(value=None)
            if cell.problem:
                self._sheet.fault(line, name, cell.problem, "compute and save the workbook")
            elif not is_empty(cell):
                fields[name] = _value(name, cell.value)
        self._check_time(line, str(fields.get("meter", "")), str(fields.get("time", "")))
        self._take_document(line, fields)
        if len(self._sheet.faults) == before:
            self._sheet.lines.append(line)
            self._sheet.entries.append(fields)

    def _check_time(self, line: int, meter: str, text: str) -> None:
        zoned = has_zone(text)
        if zoned is None:
            what = f'"{shortened(text)}" is not a time' if text else "missing"
            self._sheet.fault(line, "time", what, TIME_HINT)
            return
        try:
            time_ms = read_time(text, self._zone)
        except ValueError:
            self._sheet.fault(line, "time", f'"{shortened(text)}" is not a time', TIME_HINT)
            return
        first, first_line = self._zoned = self._zoned or (zoned, line)
        if zoned != first:
            what = f"{'names' if zoned else 'does not name'} its zone, unlike line {first_line}"
            self._sheet.fault(line, "time", what, "write all times alike")
        last_ms, last_line = self._last.get(meter, (time_ms - 1, 0))
        if time_ms <= last_ms:
            what = f"{'repeats' if time_ms == last_ms else 'lies before'} that of line {last_line}"
            hint = "one line for each time of a meter, in order of time"
            self._sheet.fault(line, "time", what, hint)
        else:
            self._last[meter] = (time_ms, line)

    def _take_document(self, line: int, fields: dict[str, object]) -> None:
        named = fields.pop("evidence", None)
        if named is None:
            return
        path = self._folder / str(named)
        try:
            digest, data = evidence_of(path)
        except UsageError as error:
            self._sheet.fault(line, "evidence", error.what, error.hint)
            return
        self._sheet.files[digest] = data
        fields |= {"evidence_name": path.name, "evidence_sha256": digest}


def _value(name: str, value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, float) and value.is_integer() and name in _TEXTS:
        return str(int(value))
    return value
