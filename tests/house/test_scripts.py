"""The scripts of the house: executable, clean shell, plain words about what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from repository import ROOT, tracked_files

Needs = Callable[[str], str]


def shell_scripts() -> list[str]:
    names = [name for name in tracked_files() if name.startswith(("scripts/", ".ci/"))]
    return [name for name in names if (ROOT / name).read_bytes().startswith(b"#!/bin/sh")]


def test_the_verbs_are_there() -> None:
    verbs = {"setup", "demo", "test", "check", "bench", "lock"}
    assert {f"scripts/{verb}" for verb in verbs} | {".ci/run"} <= set(shell_scripts())


@pytest.mark.parametrize("name", shell_scripts())
def test_a_script_is_executable_and_parses(name: str) -> None:
    assert os.access(ROOT / name, os.X_OK)
    subprocess.run(["sh", "-n", name], cwd=ROOT, check=True)


def test_shell_is_clean(needs: Needs) -> None:
    checker = needs("shellcheck")
    finished = subprocess.run([checker, *shell_scripts()], cwd=ROOT, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stdout


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The files that setting up reads, in a folder whose name has a space."""
    folder = tmp_path / "a clone"
    (folder / "scripts").mkdir(parents=True)
    for name in ("pyproject.toml", *(path.name for path in ROOT.glob("requirements*.txt"))):
        shutil.copy(ROOT / name, folder / name)
    shutil.copy(ROOT / "scripts/setup", folder / "scripts/setup")
    return folder


# Answers every question with yes; a virtual environment holds a copy of it; kernels leave a mark.
WORKING_PYTHON = """
if [ "$2" = venv ]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; fi
if [ "$2" = agent.core.kernels.build ]; then echo once >>built; fi
exit 0
"""


def fake_python(folder: Path, script: str) -> str:
    folder.mkdir(exist_ok=True)
    path = folder / "python3"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def run_setup(clone: Path, *arguments: str, path: str | None = None, **extra: str) -> str:
    """Output of a setup that is expected to fail, in one line."""
    keep = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment = {**keep, **extra}
    if path is not None:
        environment["PATH"] = path
    finished = subprocess.run(
        [str(clone / "scripts/setup"), *arguments],
        cwd="/",
        env=environment,
        capture_output=True,
        text=True,
    )
    assert finished.returncode != 0
    return finished.stderr.strip()


def tools_only(folder: Path) -> str:
    """A PATH that holds the ordinary tools but no Python."""
    folder.mkdir()
    for tool in ("sh", "cat", "cut", "dirname", "sha256sum", "rm", "tail", "grep", "pwd"):
        found = shutil.which(tool)
        if found:
            (folder / tool).symlink_to(found)
    return str(folder)


def test_setup_without_a_python_says_so_in_one_line(clone: Path, tmp_path: Path) -> None:
    tools = tools_only(tmp_path / "tools")
    message = run_setup(clone, path=tools)
    assert message.startswith("setup: no Python 3.11 or newer")
    assert "\n" not in message
    fake_python(tmp_path / "tools", "exit 1")  # one that is too old, or a shim without a version
    assert run_setup(clone, path=tools) == message


def test_setup_without_the_venv_module_says_so_in_one_line(clone: Path, tmp_path: Path) -> None:
    python = fake_python(tmp_path / "py", 'case "$2" in *venv*) exit 1 ;; esac')
    message = run_setup(clone, TANSHU_PYTHON=python)
    assert "no venv module" in message
    assert "\n" not in message


def test_setup_without_a_network_says_so(clone: Path, tmp_path: Path) -> None:
    python = fake_python(
        tmp_path / "py",
        'if [ "$2" = venv ]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; exit 0; fi\n'
        'if [ "$2" = pip ]; then echo "NewConnectionError: refused" >&2; exit 1; fi',
    )
    message = run_setup(clone, TANSHU_PYTHON=python)
    assert "the package index cannot be reached" in message
    assert not list((clone / ".venv").glob(".tanshu-*"))


def test_setup_does_nothing_but_compare_once_it_is_done(clone: Path, tmp_path: Path) -> None:
    ready = fake_python(tmp_path / "py", WORKING_PYTHON)
    command = [str(clone / "scripts/setup"), "test"]
    environment = {**os.environ, "TANSHU_PYTHON": ready}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    (clone / ".venv/bin/python").unlink()  # nothing may call it from now on
    for smaller in ("test", "demo", "runtime"):
        again = subprocess.run(
            [command[0], smaller], env=environment, check=True, capture_output=True, text=True
        )
        assert again.stdout + again.stderr == ""


def test_a_changed_lock_is_set_up_again(clone: Path, tmp_path: Path) -> None:
    ready = fake_python(tmp_path / "py", WORKING_PYTHON)
    environment = {**os.environ, "TANSHU_PYTHON": ready}
    command = [str(clone / "scripts/setup")]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    before = list((clone / ".venv").glob(".tanshu-runtime-*"))
    with (clone / "requirements.txt").open("a") as lock:
        lock.write("# changed\n")
    subprocess.run(command, env=environment, check=True, capture_output=True)
    after = list((clone / ".venv").glob(".tanshu-runtime-*"))
    assert len(before) == len(after) == 1
    assert before != after


def test_kernels_are_compiled_again_only_when_there_is_a_reason(
    clone: Path, tmp_path: Path
) -> None:
    kernels = clone / "agent/core/kernels"
    kernels.mkdir(parents=True)
    (kernels / "build.py").write_text("")
    ready = fake_python(tmp_path / "py", WORKING_PYTHON)
    environment = {**os.environ, "TANSHU_PYTHON": ready}

    def builds() -> int:
        subprocess.run([str(clone / "scripts/setup")], env=environment, check=True)
        return (clone / "built").read_text().count("once")

    assert [builds(), builds()] == [1, 1]
    (kernels / "build.py").write_text("# changed\n")
    assert [builds(), builds()] == [2, 2]
    (kernels / "_compiled.so").write_text("")  # one that another run has made
    assert [builds(), builds()] == [3, 3]


def test_an_unknown_set_is_a_usage_error(clone: Path) -> None:
    assert "unknown set 'everything'" in run_setup(clone, "everything")
