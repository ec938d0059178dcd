"""What the entry point does when the system refuses, and with text a terminal lacks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIST = [sys.executable, "-m", "agent.cli.main", "factors", "show", "柴油"]
Tanshu = Callable[..., Any]


MISSING = [*LIST[:3], "db", "export", "--db", "/nonexistent.db", "--json"]


@pytest.mark.parametrize("words", [LIST, MISSING])
def test_a_full_disk_is_one_line(words: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(words, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, timeout=60)
    said = done.stderr.decode()
    assert (done.returncode, said.count("\n")) == (1, 1), said
    assert "No space left" in said


def test_a_reader_that_leaves_is_no_error() -> None:
    for words in ([*LIST[:3], "factors", "list"], LIST):
        reading, writing = os.pipe()
        os.close(reading)
        try:
            done = subprocess.run(
                words, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, timeout=60
            )
        finally:
            os.close(writing)
        assert (done.returncode, done.stderr) == (1, b"")


def test_a_terminal_without_chinese() -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(LIST, cwd=ROOT, env=environment, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"diesel" in done.stdout


def test_a_refusal_of_the_system_is_one_line(tmp_path: Path, tanshu: Tanshu) -> None:
    done = tanshu("activity", "template", tmp_path / "none" / "sheet.csv")
    assert done.code in (1, 2)
    assert done.err.count("\n") == 1
