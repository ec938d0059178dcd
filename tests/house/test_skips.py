"""A test that needs an absent server is skipped by name, and in CI such a skip is a failure."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT

SAMPLE = """
import socket
import pytest

def test_absent(needs):
    needs("a-server-nobody-has")

def test_present(needs):
    assert needs("python:pytest")

def test_absent_node_package(needs):
    needs("node:a-package-nobody-has")

def test_other_hosts_are_out_of_reach():
    with pytest.raises(ConnectionRefusedError, match="this machine only"):
        socket.create_connection(("192.0.2.1", 9))
"""


def run_sample(folder: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(ROOT / "tests/conftest.py", folder / "conftest.py")
    (folder / "test_sample.py").write_text(SAMPLE)
    environment = {key: value for key, value in os.environ.items() if key != "CI"}
    environment.pop("TANSHU_NO_SKIP", None)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "."],
        cwd=folder,
        env={**environment, **extra},
        capture_output=True,
        text=True,
    )


def test_an_absent_server_is_skipped_by_name(tmp_path: Path) -> None:
    finished = run_sample(tmp_path)
    assert finished.returncode == 0, finished.stdout
    assert "needs a-server-nobody-has" in finished.stdout
    assert "needs node:a-package-nobody-has" in finished.stdout
    assert "2 passed, 2 skipped" in finished.stdout


@pytest.mark.parametrize("switch", [{"CI": "true"}, {"TANSHU_NO_SKIP": "1"}])
def test_in_ci_a_skip_is_a_failure(tmp_path: Path, switch: dict[str, str]) -> None:
    finished = run_sample(tmp_path, **switch)
    assert finished.returncode == 1
    assert "no test may be skipped" in finished.stdout
    assert "2 failed, 2 passed" in finished.stdout
