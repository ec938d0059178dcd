"""An empty sheet for activity data, with the words that its columns take."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.core.activity import KIND_RULES, ActivityKind
from agent.core.activity_words import BASIS_WORDS, HEADINGS, KIND_WORDS, TREATMENT_WORDS
from agent.core.errors import UsageError
from agent.core.units import UNITS

MOST_ROWS = 1000
_CHINESE, _ENGLISH = 0, 1

_EXPLANATIONS = {
    "zh-CN": (
        ("核算期间", "一天 2026-03-05、一月 2026-03、2026-Q1、2026，或 2026-03-01..2026-03-15"),
        ("批次号", "生产批次、运单或发票的编号；同一期间有多笔时用它区分"),
        ("归属", "设备、装置、车间或排放源的编号，见厂区配置；全厂的留空"),
        ("数量", "不得为负；填“作废”则撤销已入账的一笔；再次导入同一期间即为更正"),
        ("含碳量", "tC/t；气体为 tC/10^4Nm3；可写 85.7%"),
        ("运输", "数量以 t 计并填运距，或直接以 t·km 计；运输方式必填"),
        ("凭证文件", "相对本表的文件名，最大 8 MB"),
    ),
    "en": (
        ("period", "a day 2026-03-05, a month 2026-03, 2026-Q1, 2026, or 2026-03-01..2026-03-15"),
        ("batch", "number of a production batch, waybill or invoice; tells entries apart"),
        ("place", "id of a device, unit, area or source of the site file; empty: the whole site"),
        ("amount", "never negative; «retire» withdraws an entry; the same period again corrects"),
        ("carbon_content", "tC/t; for gases tC/10^4Nm3; 85.7% is taken too"),
        ("transport", "amount in t with distance_km, or in t·km; mode is needed"),
        ("evidence", "file name relative to this sheet, at most 8 MB"),
    ),
}


def write_template(path: Path, language: str) -> None:
    """Write an empty sheet as XLSX or CSV; an existing file is not touched.

    Raises:
        UsageError: the file exists, cannot be written, or is of another kind.
    """
    if path.exists():
        raise UsageError("exists already", where=str(path), hint="choose another name")
    index = _CHINESE if language == "zh-CN" else _ENGLISH
    headings = [words[index] for words in HEADINGS.values()]
    try:
        if path.suffix.lower() == ".csv":
            with path.open("x", encoding="utf-8-sig", newline="") as file:
                csv.writer(file).writerow(headings)
        elif path.suffix.lower() == ".xlsx":
            _write_xlsx(path, headings, language)
        else:
            raise UsageError("is not .xlsx or .csv", where=str(path), hint="name it so")
    except OSError as error:
        raise UsageError(
            f"cannot be written: {error.strerror}", where=str(path), hint="check the folder"
        ) from error


def _write_xlsx(path: Path, headings: Sequence[str], language: str) -> None:
    from openpyxl import Workbook
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    book = Workbook()
    sheet = book.active
    sheet.title = "活动数据" if language == "zh-CN" else "activity"
    sheet.append(list(headings))
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    for number, heading in enumerate(headings, start=1):
        sheet.column_dimensions[get_column_letter(number)].width = max(12, 2 * len(heading))
    sheet.freeze_panes = "A2"
    fields = list(HEADINGS)
    for name, words in _choices(language).items():
        letter = get_column_letter(fields.index(name) + 1)
        listed = DataValidation(type="list", formula1=f'"{",".join(words)}"', allow_blank=True)
        listed.add(f"{letter}2:{letter}{MOST_ROWS}")
        sheet.add_data_validation(listed)
    period = get_column_letter(fields.index("period") + 1)
    for row in range(2, MOST_ROWS + 1):
        sheet[f"{period}{row}"].number_format = "@"  # text: 2026-03 stays a month
    _explain(book.create_sheet("说明" if language == "zh-CN" else "notes"), language)
    book.save(path)


def _choices(language: str) -> dict[str, list[str]]:
    if language == "zh-CN":
        return {
            "kind": _first_chinese(KIND_WORDS),
            "carbon_basis": _first_chinese(BASIS_WORDS),
            "treatment": _first_chinese(TREATMENT_WORDS),
        }
    return {
        "kind": [kind.value for kind in ActivityKind],
        "carbon_basis": list(dict.fromkeys(BASIS_WORDS.values())),
        "treatment": list(dict.fromkeys(TREATMENT_WORDS.values())),
    }


def _first_chinese(words: Any) -> list[str]:
    """The first Chinese word of each meaning."""
    first: dict[object, str] = {}
    for word, meaning in words.items():
        if not word.isascii():
            first.setdefault(meaning, word)
    return list(first.values())


def _explain(sheet: Any, language: str) -> None:
    for heading, text in _EXPLANATIONS[language]:
        sheet.append([heading, text])
    sheet.append([])
    for kind, label in zip(ActivityKind, _choices(language)["kind"], strict=True):
        dimensions = KIND_RULES[kind].dimensions
        symbols = [symbol for symbol, unit in UNITS.items() if unit.dimension in dimensions]
        sheet.append([label, ", ".join(symbols)])
    sheet.column_dimensions["A"].width = 22
    sheet.column_dimensions["B"].width = 90
