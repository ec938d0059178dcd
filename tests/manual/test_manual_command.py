"""`tanshu manual`: sheets with faults by line and column, entries, lists and verifications."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from openpyxl import Workbook

from agent.cli.main import main
from tests.pipeline.site import ENERGY, SITE

MANUAL = """
[web]
enabled = false
[store]
path = "gw.db"
[[manual]]
id = "old"
quantity = "energy-import"
unit = "kWh"
every = "hour"
[[manual]]
id = "diesel"
quantity = "diesel"
unit = "kg"
form = "amount"
every = "day"
"""
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    (tmp_path / "site.toml").write_text(SITE.replace("@energy@", ENERGY) + MANUAL, encoding="utf-8")

    def call(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["manual", *words, "--config", str(tmp_path / "site.toml")])
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return call


def sheet(folder: Path, text: str, name: str = "readings.csv") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


HEAD = "meter,time,value,author\n"
GOOD = HEAD + "old,2026-03-05 08:00,1000,王工\nold,2026-03-05 09:00,1010.5,王工\n"


def test_a_sheet_is_imported_listed_and_may_be_imported_again(run: Run, tmp_path: Path) -> None:
    path = sheet(tmp_path, GOOD)
    code, out, err = run("import", path)
    assert (code, err) == (0, "")
    assert out.startswith("2 added (")
    assert run("import", path)[1].startswith("2 unchanged")
    code, out, _ = run("list", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert [(row["value"], row["revision"], row["author"]) for row in rows] == [
        (1000.0, 0, "王工"),
        (1010.5, 0, "王工"),
    ]
    assert [row["origin"] for row in rows] == ["import", "import"]
    assert "1010.5" in run("list", "--period", "2026-03-05")[1]
    assert run("list", "--period", "2026-04", "--json")[1] == ""


def test_chinese_headings_a_title_and_gbk_are_taken(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "抄表.csv"
    text = '三号厂房抄表\n仪表,抄表时间,读数,抄表人\nold,2026/3/5 8:00,"1,000",王工\n'
    path.write_bytes(text.encode("gb18030"))
    assert run("import", str(path))[0] == 0


def test_a_workbook_is_taken(run: Run, tmp_path: Path) -> None:
    from datetime import datetime

    book = Workbook()
    page = book.active
    assert page is not None
    page.append(["meter", "time", "value", "by"])
    page.append(["old", datetime(2026, 3, 5, 8, 0), 1000, "王工"])  # noqa: DTZ001 - a sheet has no zone
    page.append(["old", datetime(2026, 3, 5, 7, 0), "x", "王工"])  # noqa: DTZ001
    book.save(tmp_path / "readings.xlsx")
    code, _, err = run("import", str(tmp_path / "readings.xlsx"))
    assert code == 2
    assert "readings.xlsx!Sheet: line 3, column B (time): lies before that of line 2" in err


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("", ["line 1, column A"]),
        ("old,2026-03-05 08:00,1000\n", ["line 1, column A"]),
        (HEAD, ["line 2, column A"]),
        ("meter,value,author\nold,1,w\n", ["line 1: no column for time"]),
        ("meter,time,value,vlaue\nold,2026-03-05 08:00,1,2\n", ["line 1, column D: unknown"]),
        (HEAD + "old,2026-03-05 08:00,abc,w\n", ["line 2, column C (value)"]),
        (HEAD + "old,5 March,1,w\n", ["line 2, column B (time)"]),
        (HEAD + "odl,2026-03-05 08:00,1,w\n", ["line 2, column A (meter)"]),
        (HEAD + "old,2026-03-05 08:00,1,\n", ["line 2, column D (author)"]),
        (
            HEAD + "old,2026-03-05 08:00,1,w\nold,2026-03-05T09:00+08:00,2,w\n",
            ["line 3, column B (time): names its zone, unlike line 2"],
        ),
        (
            HEAD + "old,2026-03-05 08:00,1,w\nold,2026-03-05 08:00,1,w\n",
            ["line 3, column B (time): repeats that of line 2"],
        ),
        (
            HEAD + "old,2026-03-05 08:00,1,w\nold,2026-03-05 07:00,1,w\n",
            ["line 3, column B (time): lies before that of line 2"],
        ),
        (
            HEAD + "old,2026-03-05 08:00,9,w\nold,2026-03-05 09:00,1,w\n",
            ["line 3, column C (value): 1 is below 9"],
        ),
        (
            HEAD + "old,2026-03-05 08:00,x,w\n\nold,2026-13-05 09:00,1,w\n",
            ["line 2, column C (value)", "line 4, column B (time)"],
        ),
    ],
)
def test_a_bad_sheet_is_refused_by_line_and_column(
    run: Run, tmp_path: Path, text: str, places: list[str]
) -> None:
    code, _, err = run("import", sheet(tmp_path, text))
    assert code == 2, err
    assert [place for place in places if place not in err] == []
    assert "readings.csv" in err
    database = tmp_path / "gw.db"
    if database.exists():
        assert run("list", "--json")[1] == ""


def test_single_readings_are_entered_corrected_and_retired(run: Run) -> None:
    at = ("--at", "2026-03-05 08:00", "--by", "王工")
    assert run("add", "old", "1000", *at)[1].startswith("added manual.old revision 0")
    assert run("add", "old", "1001", *at)[1].startswith("revised manual.old revision 1")
    assert run("add", "old", "--retire", *at)[1].startswith("retired manual.old revision 2")
    code, out, err = run("add", "old", "-5", *at)
    assert (code, out) == (3, "nothing stored: 1 fault\n")
    assert err.startswith("value: -5 is negative")
    assert run("add", "old", *at)[0] == 2
    history = run("list", "--meter", "old", "--json")[1].splitlines()
    assert [json.loads(line)["value"] for line in history] == [1000.0, 1001.0, None]


def test_an_amount_of_a_day_is_kept_in_the_canonical_unit(run: Run) -> None:
    day = ("--at", "2026-03-05 24:00", "--by", "王工")
    assert run("add", "diesel", "850", *day)[0] == 0
    [row] = run("list", "--meter", "diesel", "--json")[1].splitlines()
    entry = json.loads(row)
    assert (entry["value"], entry["unit"]) == (0.85, "t")
    assert entry["time_ms"] - entry["start_ms"] == 86_400_000


def test_there_is_nothing_to_verify_at_first(run: Run) -> None:
    assert run("add", "old", "1", "--at", "2026-03-05 08:00", "--by", "w")[0] == 0
    assert run("verify", "list", "--json") == (0, "", "")
    assert run("verify", "list", "--settled", "--json") == (0, "", "")
    code, _, err = run("verify", "a.energy@2026-03-05T00:00:00Z", "--value", "3", "--by", "w")
    assert code == 2
    assert "nothing to verify" in err
