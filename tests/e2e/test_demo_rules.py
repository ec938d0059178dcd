"""What the demo may touch, how it is told to end, and what it says when it ended too soon."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Needs
from tests.e2e.plant_site import ROOT

SCRIPTS = ROOT / "scripts"
sys.path.insert(0, str(SCRIPTS))

import demo_run  # noqa: E402
from demo_folder import MARK, MARKER, FolderRefusedError, claim  # noqa: E402
from demo_summary import NOTHING, faults_of, nothing_yet  # noqa: E402

LIMIT_S = 60


def start_demo(*words: str, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, str(SCRIPTS / "demo_run.py"), *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, **options)  # type: ignore[call-overload, no-any-return]


def until(holds: Callable[[], bool]) -> None:
    limit = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.02)


def processes_of(folder: Path) -> list[int]:
    """The processes that have the folder in their command line, apart from the demo itself."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:  # ended meanwhile
                continue
            if os.fsencode(f"{folder}/") in words:
                found.append(int(entry.name))
    return found


def test_a_new_folder_is_claimed_and_emptied_at_the_next_claim(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "demo"
    claim(folder, earlier=False).close()
    (folder / "evidence").mkdir()
    (folder / "evidence" / "frame").write_text("x")
    kept = tmp_path / "kept"
    kept.write_text("kept")
    (folder / "link").symlink_to(kept)
    claim(folder, earlier=False).close()
    assert [path.name for path in folder.iterdir()] == [MARKER]
    assert f"pid {os.getpid()}\n" in (folder / MARKER).read_text()
    assert kept.read_text() == "kept"


@pytest.mark.parametrize("marker", [None, "", "somebody else's\n"])
@pytest.mark.parametrize("name", ["thesis.odt", "site.toml"])
def test_foreign_files_stay(tmp_path: Path, marker: str | None, name: str) -> None:
    (tmp_path / name).write_text("precious")
    if marker is not None:
        (tmp_path / MARKER).write_text(marker)
    with pytest.raises(FolderRefusedError, match="holds files that no demo made"):
        claim(tmp_path, earlier=True)
    assert (tmp_path / name).read_text() == "precious"
    assert (tmp_path / MARKER).exists() == (marker is not None)


def test_a_marker_that_is_a_link_is_no_marker(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text(MARK)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / MARKER).symlink_to(target)
    with pytest.raises(FolderRefusedError, match="cannot be used"):
        claim(folder, earlier=False)
    assert target.read_text() == MARK


@pytest.mark.parametrize("earlier", [True, False])
def test_only_the_usual_folder_may_be_an_earlier_version_s(tmp_path: Path, earlier: bool) -> None:
    for name in ("broker.toml", "site.toml", "gateway.db", "gateway.db-wal", "gateway.log"):
        (tmp_path / name).touch()
    if earlier:
        claim(tmp_path, earlier=True).close()
        assert [path.name for path in tmp_path.iterdir()] == [MARKER]
    else:
        with pytest.raises(FolderRefusedError):
            claim(tmp_path, earlier=False)


def test_a_second_demo_in_the_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    with claim(tmp_path, earlier=False):
        (tmp_path / "gateway.db").write_text("in use")
        second = start_demo("--folder", str(tmp_path))
        output, problem = second.communicate(timeout=LIMIT_S)
    assert second.returncode == 2
    assert output == ""
    assert problem.count("\n") == 1
    assert f"a demo runs here (pid {os.getpid()})" in problem
    assert (tmp_path / "gateway.db").read_text() == "in use"


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FolderRefusedError, match="cannot be used"):
        claim(tmp_path / "file", earlier=False)


@pytest.mark.parametrize("text", ["0", "-5", "nan", "inf", "soon"])
def test_a_run_takes_time(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        demo_run.parse([f"--seconds={text}"])
    assert ended.value.code == 2
    assert "is not a number of seconds above 0" in capsys.readouterr().err


def test_help_tells_what_becomes_of_the_folder(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        demo_run.parse(["--help"])
    assert "EMPTIED" in capsys.readouterr().out


def test_the_page_gets_a_real_port() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        assert demo_run.page_port(taken) not in {0, taken}
    free = demo_run.free_port()
    assert demo_run.page_port(free) == free


def test_without_a_window_there_is_one_fault() -> None:
    early = nothing_yet(None)
    assert early["faults"] == [NOTHING]
    assert not early["ok"]
    assert faults_of(early | {"batches_sent": 3}, chain_holds=True, seconds=30, window_s=5) == [
        NOTHING
    ]


def test_devices_without_a_window_are_one_fault() -> None:
    nothing = dict.fromkeys(
        ("gateway_kgco2e", "ledger_kgco2e", "truth_kgco2e", "bound_kgco2e"), 0.0
    )
    counted = {"gateway_kgco2e": 9.5, "ledger_kgco2e": 9.5, "truth_kgco2e": 9.4}
    summary = nothing_yet(None) | {"windows": 1, "good_share": 1.0}
    devices = {"f103": counted | {"bound_kgco2e": 0.2}, "b1": nothing, "air": nothing}
    faults = faults_of(summary | {"devices": devices}, True, None, 5)
    assert faults == ["no window booked yet for b1, air"]
    devices = {"f103": counted | {"bound_kgco2e": 0.05}}
    faults = faults_of(summary | {"devices": devices}, True, None, 5)
    assert faults == ["f103 is 0.1000 kg from the truth"]


@pytest.fixture
def started(tmp_path: Path, needs: Needs) -> Iterator[subprocess.Popen[str]]:
    """A demo whose broker and plant run, started as a shell starts a job in the background."""
    needs("python:iotcore")

    def as_background_job() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

    demo = start_demo("--folder", str(tmp_path / "demo"), preexec_fn=as_background_job)
    try:
        until(lambda: (tmp_path / "demo" / "plant.log").exists() or demo.poll() is not None)
        yield demo
    finally:
        demo.kill()
        demo.communicate(timeout=LIMIT_S)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_all_of_it(
    started: subprocess.Popen[str], number: signal.Signals, tmp_path: Path
) -> None:
    started.send_signal(number)
    output, problem = started.communicate(timeout=LIMIT_S)
    assert started.returncode == 1, problem
    assert "stopping (up to " in problem
    assert output.splitlines()[-1] == f"NOT ok: {NOTHING}"
    assert "Traceback" not in problem
    assert processes_of(tmp_path / "demo") == []


def test_nothing_outlives_a_killed_demo(started: subprocess.Popen[str], tmp_path: Path) -> None:
    until(lambda: len(processes_of(tmp_path / "demo")) >= 2)
    started.kill()
    started.wait(LIMIT_S)
    until(lambda: processes_of(tmp_path / "demo") == [])
