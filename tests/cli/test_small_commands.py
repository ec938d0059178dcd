"""`tanshu plant`, `factors`, `db --help` and `activity add`, called wrongly or in a pipe."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.config.factors import library

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "config" / "site.example.toml"
Tanshu = Callable[..., Any]


@pytest.mark.parametrize("option", ["--write-site", "--books"])
def test_plant_needs_its_folders_before_the_start(
    option: str, tmp_path: Path, tanshu: Tanshu
) -> None:
    done = tanshu("plant", option, tmp_path / "none" / "file")
    assert (done.code, done.err.count("\n"), done.out) == (2, 1, "")
    assert option in done.err


@pytest.mark.parametrize("seconds", ["0", "4", "3601"])
def test_plant_refuses_a_window_no_site_may_have(seconds: str, tanshu: Tanshu) -> None:
    done = tanshu("plant", "--window-s", seconds)
    assert done.code == 2
    assert "5<=x<=3600" in done.err


def test_list_of_sets_is_whole_in_a_pipe(tanshu: Tanshu, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    lines = tanshu("factors", "list").out.splitlines()
    for pack in library().packs:
        assert any(pack.set.id in line and pack.set.table in line for line in lines)


@pytest.mark.parametrize("end", ["< /dev/null", "<&-"])
def test_import_that_nobody_can_confirm(end: str, tmp_path: Path) -> None:
    file = next((ROOT / "config" / "factors").rglob("*.toml"))
    command = f'"{sys.executable}" -m agent.cli.main factors import "{file}" --to "{tmp_path}"'
    done = subprocess.run(
        ["/bin/sh", "-c", f"{command} {end}"],
        cwd=ROOT,
        env=os.environ | {"TANSHU_FACTORS": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "not imported; use --yes" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_help_of_db_is_not_cut(tanshu: Tanshu) -> None:
    _, commands = tanshu("db", "--help").out.split("Commands:")
    assert "query" in commands
    assert "..." not in commands


def _site(folder: Path) -> Path:
    file = folder / "site.toml"
    text = SITE.read_text(encoding="utf-8").replace("port = 8600", "port = 0")
    file.write_text(text, encoding="utf-8")
    return file


def test_a_negative_amount_is_no_option(tmp_path: Path, tanshu: Tanshu) -> None:
    words = ("activity", "add", "raw-material", "coal", "-1", "t", "--period", "2026-03")
    done = tanshu(*words, "--dry-run", "-c", _site(tmp_path))
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "-1 is negative" in done.err


@pytest.mark.parametrize("word", ["--priod", "-x"])
def test_an_unknown_option_is_no_amount(word: str, tmp_path: Path, tanshu: Tanshu) -> None:
    done = tanshu("activity", "add", "raw-material", "coal", word, "-c", _site(tmp_path))
    assert done.code == 2
    assert word in done.err
