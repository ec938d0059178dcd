"""The rules of the house that no linter knows, and that they really find what they forbid."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from repository import ROOT, tracked_files

sys.path.insert(0, str(ROOT / "scripts"))

import check_house


def test_the_tree_keeps_its_rules() -> None:
    finished = subprocess.run(
        [sys.executable, "scripts/check_house.py"], cwd=ROOT, capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize(
    ("name", "line", "what"),
    [
        ("agent/a.py", "x = 1  # TO" + "DO later", "unfinished mark"),
        ("agent/a.py", "raise NotImplemented" + "Error", "unfinished mark"),
        ("scripts/run", "# FIX" + "ME", "unfinished mark"),
        ("tests/test_a.py", "@pytest.mark.sk" + "ip", "let the test say"),
        ("tests/test_a.py", "    assert Tr" + "ue", "let the test say"),
        ("docs/a.md", "see /wo" + "rk/main", "path of one machine"),
        ("agent/a.py", 'open("/home/some' + 'one/x")', "path of one machine"),
        ("docs/a.md", "get it at https://py" + "pi.org/project/x", "package index"),
        ("requirements-x.txt", "-i https" + "://mirror.example/simple", "locked file"),
        ("requirements.txt", "--index" + "-url somewhere", "locked file"),
        ("tests/opcua/package-lock.json", '"resolved": "https' + '://r.example"', "locked file"),
    ],
)
def test_what_is_forbidden_is_found(name: str, line: str, what: str) -> None:
    faults = list(check_house.faults_in(name, f"first\n{line}\n"))
    assert len(faults) == 1
    assert faults[0].startswith(f"{name}:2:")
    assert what in faults[0]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("docs/a.md", "the TO" + "DO of a Markdown page is prose"),
        ("agent/a.py", 'port = "/dev/ttyUSB0"'),
        ("agent/a.py", 'url = "https://example.org/work/item"'),
        ("systemd/a.service", "StateDirectory=/var/lib/tanshu"),
        ("pyproject.toml", 'Homepage = "https://example.org"'),
    ],
)
def test_what_is_allowed_stays_quiet(name: str, line: str) -> None:
    assert list(check_house.faults_in(name, line)) == []


def test_a_file_that_outgrew_one_sitting_is_refused() -> None:
    assert list(check_house.length_faults("agent/a.py", 600)) == []
    assert len(list(check_house.length_faults("agent/a.py", 601))) == 1
    assert list(check_house.length_faults("tests/test_a.py", 800)) == []
    assert len(list(check_house.length_faults("tests/test_a.py", 801))) == 1
    assert list(check_house.length_faults("docs/a.md", 9000)) == []


def test_no_two_modules_of_the_tests_share_a_name() -> None:
    # Test folders are not packages, so a second module of the same name would hide the first.
    names = [Path(name).name for name in tracked_files() if name.startswith("tests/")]
    modules = Counter(name for name in names if name.endswith(".py") and name != "conftest.py")
    assert [name for name, count in modules.items() if count > 1] == []
