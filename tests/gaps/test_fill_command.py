"""`tanshu fill` on tables: what it writes, what it says, and what it refuses."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plants import PER_DAY, truth

from agent.cli.main import USAGE, main

Rows = list[list[str]]
Fill = Callable[..., tuple[dict[str, Any], list[dict[str, str]]]]
CHINA = timezone(timedelta(hours=8))


def times(count: int, minutes: int = 15) -> list[str]:
    start = datetime(2026, 3, 2, tzinfo=CHINA)
    return [(start + timedelta(minutes=minutes * row)).isoformat() for row in range(count)]


def plant_rows(days: int, gaps: list[tuple[int, int]]) -> tuple[Rows, Any]:
    energy, load = truth(days, 2)
    energy = np.round(energy, 3)
    texts = [f"{value:g}" for value in energy]
    for first, end in gaps:
        texts[first:end] = [""] * (end - first)
    rows = [
        [time, value, f"{at:g}"]
        for time, value, at in zip(times(len(energy)), texts, load, strict=True)
    ]
    return rows, energy


@pytest.fixture
def fill(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Fill:
    """Writes a table, fills it, and reads the summary and what was written."""

    def run(header: list[str], rows: Rows, *options: str) -> tuple[dict[str, Any], Any]:
        source, out = tmp_path / "in.csv", tmp_path / "out.csv"
        with source.open("w", newline="") as file:
            csv.writer(file).writerows([header, *rows])
        with pytest.raises(SystemExit) as ended:
            main(["fill", str(source), "--out", str(out), "--json", *options])
        assert ended.value.code == 0
        with out.open(newline="") as file:
            return json.loads(capsys.readouterr().out), list(csv.DictReader(file))

    return run


def test_155_kwh_between_150_and_160_with_an_interval(fill: Fill) -> None:
    rows = [[t, v, "90"] for t, v in zip(times(3, 60), ["150", "", "160"], strict=True)]
    summary, written = fill(["time", "value", "load"], rows)
    assert [row["value"] for row in written] == ["150", "155", "160"]
    assert list(written[1]) == [
        "time", "value", "quality", "provenance", "method", "lower", "upper",
    ]  # fmt: skip
    assert written[1]["provenance"] == "estimated"
    assert float(written[1]["lower"]) < 155 < float(written[1]["upper"])
    assert written[0]["provenance"] == "measured"
    (gap,) = summary["gaps"]
    assert (gap["start"], gap["end"]) == (rows[1][0], rows[2][0])
    assert (gap["total"], gap["total_known"], gap["method"]) == (155.0, False, "line-by-load")


def test_a_register_makes_the_total_known(fill: Fill) -> None:
    gap = (12 * PER_DAY + 30, 12 * PER_DAY + 78)
    rows, energy = plant_rows(14, [gap])
    register = np.floor(np.cumsum(energy) * 10) / 10
    for row, read in zip(rows, register, strict=True):
        row.append("" if row[1] == "" else f"{read:.1f}")
    rows[gap[1] - 1][3] = f"{register[gap[1] - 1]:.1f}"
    summary, written = fill(["time", "value", "load", "register"], rows)
    (found,) = summary["gaps"]
    counted = round(float(register[gap[1] - 1] - register[gap[0] - 1]), 1)
    assert found["total_known"]
    assert found["total"] == pytest.approx(counted, abs=1e-6)
    filled = written[gap[0] : gap[1]]
    assert {row["provenance"] for row in filled} == {"allocated"}
    assert sum(float(row["value"]) for row in filled) == pytest.approx(counted, abs=1e-5)


def test_a_register_read_at_the_start_of_intervals_is_recognised(fill: Fill) -> None:
    gap = (12 * PER_DAY + 30, 12 * PER_DAY + 40)
    rows, energy = plant_rows(14, [gap])
    register = np.concatenate(([0.0], np.cumsum(energy)))[:-1]
    for index, (row, read) in enumerate(zip(rows, register, strict=True)):
        row.append(f"{read:.3f}" if not gap[0] < index < gap[1] else "")
    summary, _ = fill(["time", "value", "load", "register"], rows)
    (found,) = summary["gaps"]
    assert found["total"] == pytest.approx(float(energy[gap[0] : gap[1]].sum()), abs=0.01)


def test_a_register_read_within_the_gap_divides_it(fill: Fill) -> None:
    gap = (12 * PER_DAY, 12 * PER_DAY + 20)
    rows, energy = plant_rows(14, [gap])
    register = np.cumsum(energy)
    for index, (row, read) in enumerate(zip(rows, register, strict=True)):
        keep = row[1] != "" or index in (gap[0], gap[0] + 9, gap[1] - 1)
        row.append(f"{read:.3f}" if keep else "")
    summary, written = fill(["time", "value", "load", "register"], rows)
    assert [found["intervals"] for found in summary["gaps"]] == [1, 9, 10]
    assert written[gap[0]]["provenance"] == "measured"
    assert float(written[gap[0]]["value"]) == pytest.approx(energy[gap[0]], abs=0.002)


def test_rates_give_their_total_in_amounts(fill: Fill) -> None:
    rows = [[t, v] for t, v in zip(times(5), ["10", "10", "", "10", "10"], strict=True)]
    summary, _ = fill(["time", "value"], rows, "--kind", "rate")
    assert summary["gaps"][0]["total"] == 2.5


def test_a_long_gap_names_the_periods_it_leans_on(fill: Fill) -> None:
    gap = (21 * PER_DAY, 22 * PER_DAY + 48)
    rows, energy = plant_rows(28, [gap])
    summary, _ = fill(["time", "value", "load"], rows, "--seed", "3")
    (found,) = summary["gaps"]
    assert found["total"] == pytest.approx(float(energy[gap[0] : gap[1]].sum()), rel=0.1)
    assert found["calibration_size"] >= 12
    assert found["backtest_score"] > 0
    assert all(period["end"] <= found["start"] for period in found["matched"])


def test_rows_that_lack_are_put_in_and_an_open_gap_is_provisional(fill: Fill) -> None:
    rows, _ = plant_rows(10, [(10 * PER_DAY - 4, 10 * PER_DAY)])
    del rows[500:502]
    summary, written = fill(["time", "value", "load"], rows)
    assert len(written) == 10 * PER_DAY
    assert [row["time"] for row in written] == times(10 * PER_DAY)
    assert [gap["provisional"] for gap in summary["gaps"]] == [False, True]
    assert [gap["intervals"] for gap in summary["gaps"]] == [2, 4]


def test_a_gap_beyond_all_limits_stays_empty_as_a_whole(fill: Fill) -> None:
    gap = (3 * PER_DAY, 6 * PER_DAY)
    rows, _ = plant_rows(9, [gap])
    summary, written = fill(["time", "value", "load"], rows)
    assert {row["value"] for row in written[gap[0] : gap[1]]} == {""}
    assert {row["provenance"] for row in written[gap[0] : gap[1]]} == {"missing"}
    assert summary["gaps"][0]["reason"]
    assert summary["missing"] == 3 * PER_DAY


def test_text_and_codes_are_conditions(fill: Fill) -> None:
    gap = (12 * PER_DAY, 12 * PER_DAY + 30)
    rows, _ = plant_rows(14, [gap])
    for index, row in enumerate(rows):
        row.append("B" if gap[0] <= index < gap[1] else "A")
    summary, _ = fill(["time", "value", "load", "material"], rows)
    assert summary["gaps"][0]["reason"] == "condition never seen: material"


T = times(4)
GOOD = f"time,value\n{T[0]},1\n{T[1]},2\n"
BAD = {
    "empty": ("", 1, 1, "the file is empty"),
    "no header": (f"{T[0]},1\n{T[1]},2\n", 1, 1, "no header"),
    "one row": (f"time,value\n{T[0]},1\n", 2, 1, "fewer than two rows"),
    "mixed zones": (f"{GOOD}2026-03-02T00:30:00,3\n", 4, 1, "another zone"),
    "duplicate time": (f"{GOOD}{T[1]},3\n", 4, 1, "the same time twice"),
    "unordered": (f"time,value\n{T[1]},1\n{T[2]},2\n{T[0]},2\n", 4, 1, "before the one above"),
    "off the grid": (f"{GOOD}{T[2]},3\n2026-03-02T00:47:00+08:00,1\n", 5, 1, "off the grid"),
    "text in numbers": (f"{GOOD}{T[2]},a lot\n", 4, 2, "not a number in value: 'a lot'"),
    "infinite": (f"{GOOD}{T[2]},inf\n", 4, 2, "not a number in value: 'inf'"),
    "text in load": (
        f"time,load,value\n{T[0]},90,1\n{T[1]},high,2\n", 3, 2, "not a number in load"
    ),
    "no time": ("time,value\nyesterday,1\ntoday,2\n", 2, 1, "not a time"),
    "short row": (f"{GOOD}{T[2]}\n", 4, 2, "1 cells where the header has 2"),
    "column twice": (f"time,value,value\n{T[0]},1,1\n{T[1]},2,2\n", 1, 3, "twice"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_table_is_refused_with_line_and_column(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, line, column, what = BAD[name]
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text(text)
    with pytest.raises(SystemExit) as ended:
        main(["fill", str(source), "--out", str(out)])
    assert ended.value.code == USAGE
    message = capsys.readouterr().err
    assert message.startswith(f"tanshu: {source}: line {line}, column {column}: ")
    assert what in message
    assert len(message.splitlines()) == 1
    assert not out.exists()


@pytest.mark.parametrize(
    "options",
    [["--short", "soon"], ["--seed", "-1"], ["--zone", "Mars/Base"], ["--substitute", "none-such"]],
)
def test_options_that_mean_nothing_are_refused(options: list[str], tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text(GOOD)
    with pytest.raises(SystemExit) as ended:
        main(["fill", str(source), "--out", str(tmp_path / "out.csv"), *options])
    assert ended.value.code == USAGE


def test_the_table_for_people_says_what_became_of_each_gap(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in.csv"
    source.write_text(f"time,value\n{T[0]},150\n{T[1]},\n{T[2]},160\n")
    with pytest.raises(SystemExit):
        main(["fill", str(source), "--out", str(tmp_path / "out.csv")])
    printed = capsys.readouterr().out
    assert "3 intervals: 2 measured, 1 filled, 0 left empty" in printed
    assert "155" in printed
