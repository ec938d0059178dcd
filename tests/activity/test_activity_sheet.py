"""Sheets as people keep them: headings, encodings, cells that cannot be used, each named."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from datetime import date, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from openpyxl import Workbook, load_workbook

from agent.cli.activity_import import Defaults, collect
from agent.cli.activity_sheet import column_letter, read_sheet
from agent.cli.activity_template import write_template
from agent.cli.main import cli
from agent.core.activity_words import HEADINGS
from agent.core.errors import UsageError
from tests.activity.desk import Book, write_site

CHINESE = ("类别", "名称", "数量", "单位", "月份", "备注")
ENGLISH = ("kind", "item", "amount", "unit", "period", "note")
ROWS: list[Sequence[object]] = [
    ("原料", "石脑油", 12000, "t", "2026-03", "过磅"),
    ("产品", "乙烯", "3,500.5", "吨", "2026年3月", ""),
    ("废物", "废催化剂", 12, "t", "2026-03", ""),
]


def write_csv(
    path: Path, *rows: Sequence[object], encoding: str = "utf-8", delimiter: str = ","
) -> Path:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows)
    path.write_bytes(text.getvalue().encode(encoding))
    return path


def write_xlsx(path: Path, *rows: Sequence[object], title: str = "三月") -> Path:
    book = Workbook()
    book.active.title = title
    for row in rows:
        book.active.append(list(row))
    book.save(path)
    return path


Import = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Import:
    write_site(tmp_path)

    def call(*words: str) -> Result:
        site = ("--config", str(tmp_path / "site.toml"))
        return CliRunner().invoke(cli, ["activity", *words, *site], standalone_mode=False)

    return call


def booked(folder: Path) -> list[tuple[object, ...]]:
    book = Book(folder)
    rows = book.database.connection.execute(
        "SELECT kind, item, amount, unit, treatment, origin FROM activity ORDER BY id"
    ).fetchall()
    book.database.close()
    return rows


@pytest.mark.parametrize(
    ("encoding", "delimiter"),
    [("utf-8", ","), ("utf-8-sig", ";"), ("gb18030", ","), ("gb18030", "\t"), ("utf-16", "\t")],
)
def test_csv_as_spreadsheets_write_it(
    tmp_path: Path, run: Import, encoding: str, delimiter: str
) -> None:
    file = write_csv(tmp_path / "a.csv", CHINESE, *ROWS[:2], encoding=encoding, delimiter=delimiter)
    done = run("import", str(file))
    assert done.return_value == 0, done.output
    assert booked(tmp_path) == [
        ("raw-material", "石脑油", 12000.0, "t", "", "import"),
        ("product", "乙烯", 3500.5, "t", "", "import"),
    ]


def test_every_fault_is_named_by_its_cell_and_nothing_stored(tmp_path: Path, run: Import) -> None:
    file = write_xlsx(
        tmp_path / "a.xlsx",
        ("一号厂区活动数据",),
        CHINESE,
        ROWS[0],
        ("产品", "乙烯", -5, "km", "2026-03", ""),
        (),
        ("礼物", "", "十", "t", "2027-01", ""),
        ROWS[2],
        ("产品", "乙烯", 7, "t", "2026-04-31", ""),
        ROWS[0],
    )
    done = run("import", str(file))
    assert done.return_value == 3
    cells = [line.partition(": ")[0] for line in done.stderr.splitlines()]
    assert cells == [
        "三月!D4",
        "三月!C4",
        "三月!A6",
        "三月!B6",
        "三月!C6",
        "三月!7 treatment",
        "三月!E8",
        "三月!E9",
    ]
    assert "三月!E3" in done.stderr.splitlines()[-1]
    assert done.stdout.strip() == "nothing stored: 8 faults"
    assert not (tmp_path / "gateway.db").exists() or booked(tmp_path) == []
    kept = run("import", str(file), "--keep-good", "--json")
    assert kept.return_value == 3
    assert len(json.loads(kept.stdout)["errors"]) == 8
    assert booked(tmp_path) == [("raw-material", "石脑油", 12000.0, "t", "", "import")]


def test_a_dry_run_says_what_would_be(tmp_path: Path, run: Import) -> None:
    file = write_csv(tmp_path / "a.csv", ENGLISH, *ROWS[:2])
    done = run("import", str(file), "--dry-run")
    assert (done.return_value, done.stdout.strip()) == (0, "would be stored: 2 added")
    assert booked(tmp_path) == []
    assert run("import", str(file)).return_value == 0
    again = run("import", str(file))
    assert again.stdout.startswith("2 unchanged")
    assert len(booked(tmp_path)) == 2


def test_headings_that_cannot_be_are_named(tmp_path: Path, run: Import) -> None:
    file = write_csv(tmp_path / "a.csv", ("类别", "名称", "数量", "数 量", "颜色", "序号"), ROWS[0])
    done = run("import", str(file))
    assert done.return_value == 3
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == [
        "a.csv!D1",
        "a.csv!E1",
        "a.csv!1",
        "a.csv!1",
    ]
    with pytest.raises(UsageError, match="no row of headings"):
        read_sheet(write_csv(tmp_path / "b.csv", ("a", "b"), (1, 2)))


def test_cells_without_a_value_are_not_taken_for_empty(tmp_path: Path) -> None:
    file = write_xlsx(
        tmp_path / "a.xlsx",
        ENGLISH,
        ("product", "x", "=B1*2", "t", "2026-03", None),
        ("product", "x", "#REF!", "t", "2026-03", None),
    )
    book = load_workbook(file)
    book.active["C3"].data_type = "e"
    book.save(file)
    sheet = read_sheet(file)
    assert [fault.cell for fault in sheet.faults] == ["三月!C2", "三月!C3"]
    assert sheet.rows == []


def test_dates_are_days_or_months_as_they_are_shown(tmp_path: Path) -> None:
    book = Workbook()
    sheet = book.active
    sheet.append(list(ENGLISH))
    formats = ["yyyy-mm-dd", "yyyy-mm", 'yyyy"年"m"月"', 'yyyy"年"m"月"d"日"', "mmm-yy"]
    for number, shown in enumerate(formats, start=2):
        sheet.append(["product", "x", number, "t", datetime(2026, 3, 1), date(2026, 3, 1)])  # noqa: DTZ001
        sheet.cell(number, 5).number_format = shown
    book.save(tmp_path / "a.xlsx")
    rows = read_sheet(tmp_path / "a.xlsx").rows
    assert [row.fields["period"] for row in rows] == [
        "2026-03-01", "2026-03", "2026-03", "2026-03-01", "2026-03",
    ]  # fmt: skip


def test_per_cent_cells_mean_what_they_show(tmp_path: Path) -> None:
    book = Workbook()
    sheet = book.active
    sheet.append([*ENGLISH, "purity"])
    sheet.append(["carbon-content", "coal", 0.857, "%", "2026-03", None, 0.99])
    sheet.append(["carbon-content", "coal", 85.7, "%", "2026-04", None, None])
    sheet["C2"].number_format = "0.0%"
    book.save(tmp_path / "a.xlsx")
    amounts = [row.fields["amount"] for row in read_sheet(tmp_path / "a.xlsx").rows]
    assert amounts == [pytest.approx(85.7), 85.7]


def test_evidence_lies_beside_the_sheet(tmp_path: Path, run: Import) -> None:
    (tmp_path / "bill.pdf").write_bytes(b"bill")
    headings = (*ENGLISH, "凭证文件")
    rows = [(*ROWS[0], "bill.pdf"), (*ROWS[1], "gone.pdf")]
    file = write_csv(tmp_path / "a.csv", headings, *rows)
    done = run("import", str(file))
    assert done.return_value == 3
    assert done.stderr.startswith("a.csv!G3: cannot be read")
    assert run("import", str(write_csv(tmp_path / "b.csv", headings, rows[0]))).return_value == 0
    (kept,) = (tmp_path / "evidence").iterdir()
    assert kept.read_bytes() == b"bill"
    (entry,) = map(json.loads, run("list", "--json").stdout.splitlines())
    assert (entry["evidence_name"], entry["evidence_sha256"]) == ("bill.pdf", kept.name)


@pytest.mark.parametrize("language", ["zh-CN", "en"])
@pytest.mark.parametrize("suffix", [".xlsx", ".csv"])
def test_a_filled_template_imports(tmp_path: Path, run: Import, language: str, suffix: str) -> None:
    file = tmp_path / f"template{suffix}"
    assert run_template(file, language) == 0
    values = {
        "kind": "原料" if language == "zh-CN" else "raw-material",
        "item": "石脑油",
        "amount": "12000",
        "unit": "t",
        "period": "2026-03",
        "place": "f103",
    }
    row = [values.get(name, "") for name in HEADINGS]
    if suffix == ".csv":
        with file.open("a", encoding="utf-8", newline="") as sheet:
            csv.writer(sheet).writerow(row)
    else:
        book = load_workbook(file)
        for number, value in enumerate(row, start=1):
            book.worksheets[0].cell(2, number).value = value
        book.save(file)
    done = run("import", str(file))
    assert done.return_value == 0, done.output
    assert booked(tmp_path)[0][:3] == ("raw-material", "石脑油", 12000.0)
    with pytest.raises(UsageError):
        write_template(file, language)


def run_template(file: Path, language: str) -> int:
    words = ["activity", "template", str(file), "--language", language]
    result = CliRunner().invoke(cli, words, standalone_mode=False)
    assert result.exception is None
    return result.exit_code


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"PK\x03\x04 broken", b"\x80\x81\xff"])
@pytest.mark.parametrize("suffix", [".xlsx", ".csv", ".pdf"])
def test_what_is_no_sheet_is_refused_in_one_line(
    tmp_path: Path, content: bytes, suffix: str
) -> None:
    file = tmp_path / f"a{suffix}"
    file.write_bytes(content)
    with pytest.raises(UsageError) as refusal:
        read_sheet(file)
    assert refusal.value.hint
    with pytest.raises(UsageError):
        read_sheet(tmp_path / f"missing{suffix}")


def test_columns_have_the_letters_of_a_spreadsheet() -> None:
    assert [column_letter(n) for n in (0, 25, 26, 701, 702)] == ["A", "Z", "AA", "ZZ", "AAA"]


def test_defaults_fill_what_rows_leave_open(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "a.csv", ENGLISH[1:], ROWS[0][1:])
    sheet = read_sheet(file, given=("kind",))
    rows, _ = collect(sheet, Defaults(kind="product", author="王工"), tmp_path)
    assert (rows[0].fields["kind"], rows[0].fields["author"]) == ("product", "王工")
