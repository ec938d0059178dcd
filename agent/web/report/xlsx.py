"""A report as a workbook: the same tables as in print, numbers as numbers.

openpyxl is imported when a workbook is written: it is heavy, and nothing else needs it.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from agent.config.language import Language
from agent.core.report.model import MonthReport
from agent.web.report.html import key_figures
from agent.web.report.table import Form, Table, Value
from agent.web.report.tables import tables_of
from agent.web.report.words import ReportWords

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

# Which tables each sheet holds, one below the other.
SHEETS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("report.sheet_summary", ("summary", "gases", "kinds", "products", "methods")),
    ("report.sheet_sources", ("sources", "compared")),
    ("report.sheet_places", ("stages", "areas", "units", "devices")),
    ("report.sheet_days", ("days",)),
    ("report.sheet_coal", ("coal",)),
    ("report.sheet_energy", ("energy",)),
    ("report.sheet_activity", ("entries",)),
    ("report.sheet_factors", ("factors", "composition")),
    ("report.sheet_findings", ("findings",)),
    ("report.sheet_reviews", ("reviews", "adjustments")),
    ("report.sheet_annex", ("annex",)),
)
NUMBER_FORMATS = {
    Form.COUNT: "#,##0",
    Form.TONNES: "#,##0.000",
    Form.AMOUNT: "#,##0.000",
    Form.SHORT: "0.0000",
    Form.PERCENT: "0.0%",
    Form.EXACT: "#,##0.000000",
    Form.FACTOR: "General",
}
WIDEST, NARROWEST = 60, 9
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def render_xlsx(report: MonthReport, language: Language) -> bytes:
    """The workbook's bytes."""
    from openpyxl import Workbook

    words = ReportWords.of(report, language)
    tables = tables_of(report, words)
    book = Workbook()
    made = datetime.fromtimestamp(report.made_ms / 1000, UTC).replace(tzinfo=None)
    book.properties.creator = "Tanshu"
    book.properties.title = _printable(
        f"{language('report.title')} {report.site.name} {report.month}"
    )
    book.properties.created = book.properties.modified = made
    for place, (title, keys) in enumerate(SHEETS):
        sheet = book.active if place == 0 else book.create_sheet()
        sheet.title = language(title)
        row = _head(sheet, report, words) if place == 0 else 1
        # what scrolls stays under its head: a title and the columns of the sheet's table
        sheet.freeze_panes = "A2" if place == 0 else "B3"
        for key in keys:
            if key in tables:
                row = _write_table(sheet, tables[key], row) + 2
        _set_widths(sheet)
        _set_page(sheet, report)
    written = io.BytesIO()
    book.save(written)
    return written.getvalue()


def _head(sheet: Worksheet, report: MonthReport, words: ReportWords) -> int:
    """Title, basis and key figures; returns the next free row."""
    t, site = words.t, report.site
    lines: list[tuple[str, ...]] = [
        (t("report.title"), site.name, words.month(report)),
        (t("report.status"), t(f"signoff.{report.sign_off}")),
        (t("report.period"), words.span(report.from_ms, report.until_ms), site.timezone),
        (t("report.gateways"), ", ".join(report.gateways)),
        (
            t("overview.rules"),
            site.rules,
            words.quoted(site.rules_name_zh, site.rules_name_en),
        ),
        (t("overview.gwp"), site.gwp, f"CH₄ {site.gwp_ch4:g}, N₂O {site.gwp_n2o:g}"),
        (t("report.made"), words.moment(report.made_ms)),
        (t("report.figures"), report.figures_hash),
        ("",),
        *((one.label, one.value, one.remark) for one in key_figures(report, words)),
        ("",),
    ]
    for number, line in enumerate(lines, start=1):
        for column, text in enumerate(line, start=1):
            _put(sheet, number, column, text, bold=column == 1 or number == 1)
    return len(lines) + 1


def _write_table(sheet: Worksheet, table: Table, row: int) -> int:
    """Write a table from a row on; returns the row after it."""
    _put(sheet, row, 1, table.title, bold=True)
    row += 1
    if not table.rows:
        _put(sheet, row, 1, table.empty)
        return row + 1
    for column, head in enumerate(table.columns, start=1):
        _put(sheet, row, column, head.title, bold=True, ruled=True)
    for place, values in enumerate(table.rows):
        row += 1
        for column, (head, value) in enumerate(zip(table.columns, values, strict=True), start=1):
            _put(
                sheet,
                row,
                column,
                value,
                number_format=_number_format(head.form, value, table.decimals_t),
                bold=place in table.sums,
                wrapped=head.form is Form.LONG,
            )
    for note in table.notes:
        row += 1
        _put(sheet, row, 1, note)
    return row + 1


def _number_format(form: Form, value: Value, decimals_t: int) -> str:
    if form is Form.AMOUNT and isinstance(value, float) and value.is_integer():
        return NUMBER_FORMATS[Form.COUNT]
    if form is Form.SUMMARY:
        return "#,##0" + ("." + "0" * decimals_t if decimals_t else "")
    return NUMBER_FORMATS.get(form, "General")


def _put(
    sheet: Worksheet,
    row: int,
    column: int,
    value: Value,
    *,
    number_format: str = "General",
    bold: bool = False,
    ruled: bool = False,
    wrapped: bool = False,
) -> None:
    from openpyxl.styles import Alignment, Border, Font, Side

    if value is None or value == "":
        return
    cell: Any = sheet.cell(row=row, column=column)
    if isinstance(value, str):
        cell.value = _printable(value)
        cell.data_type = "s"  # a name that begins with «=» is a name, not a formula
    elif math.isfinite(value):
        cell.value = value
        cell.number_format = number_format
    if bold:
        cell.font = Font(bold=True)
    if ruled:
        cell.border = Border(bottom=Side(style="thin"))
    if wrapped:
        cell.alignment = Alignment(wrap_text=True, vertical="top")


def _printable(text: str) -> str:
    """Text without the control characters that XML cannot hold."""
    return _UNPRINTABLE.sub(" ", text)


def _set_widths(sheet: Worksheet) -> None:
    from openpyxl.utils import get_column_letter

    for column in range(1, sheet.max_column + 1):
        cells: Iterable[Any] = (
            sheet.cell(row=row, column=column).value for row in range(1, sheet.max_row + 1)
        )
        longest = max((_width(str(value)) for value in cells if value is not None), default=0)
        # the first column carries titles and notes, which may run over
        most = 34 if column == 1 else WIDEST
        sheet.column_dimensions[get_column_letter(column)].width = min(
            most, max(NARROWEST, longest + 2)
        )


def _width(text: str) -> int:
    """Columns a text takes: a Chinese character takes two."""
    return sum(2 if ord(character) > 0x2E80 else 1 for character in text)


def _set_page(sheet: Worksheet, report: MonthReport) -> None:
    sheet.page_setup.orientation = "landscape"
    sheet.page_setup.paperSize = 9  # A4
    sheet.page_setup.fitToWidth = 1
    sheet.page_setup.fitToHeight = 0
    sheet.sheet_properties.pageSetUpPr.fitToPage = True
    sheet.oddHeader.left.text = str(report.month)
    sheet.oddFooter.right.text = "&P / &N"
