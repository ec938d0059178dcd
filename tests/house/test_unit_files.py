"""The systemd units: accepted by systemd itself, with as little exposure as a gateway can have."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from repository import ROOT

from agent.cli.main import cli

Needs = Callable[[str], str]

UNITS = {"tanshu.service": 12, "tanshu-ledger.service": 10}  # exposure in tenths


def lines_of(unit: str) -> list[str]:
    return (ROOT / "systemd" / unit).read_text("utf-8").splitlines()


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_accepts_the_unit(unit: str, needs: Needs, tmp_path: Path) -> None:
    analyze = needs("systemd-analyze")
    # The program is not installed where the unit expects it; any program stands in for it.
    text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/sh", "\n".join(lines_of(unit)), flags=re.M)
    text = re.sub(r"^AssertPathExists=.*\n", "", text, flags=re.M)
    copy = tmp_path / unit
    copy.write_text(text + "\n")
    finished = subprocess.run(
        [analyze, "verify", "--man=no", str(copy)], capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr
    complaints = [line for line in finished.stderr.splitlines() if unit in line]
    assert complaints == []


@pytest.mark.parametrize(("unit", "tenths"), UNITS.items())
def test_exposure_stays_below_its_bar(unit: str, tenths: int, needs: Needs) -> None:
    analyze = needs("systemd-analyze")
    finished = subprocess.run(
        [
            *(analyze, "security", "--no-pager", "--offline=true", f"--threshold={tenths}"),
            str(ROOT / "systemd" / unit),
        ],
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stdout[-2000:]


@pytest.mark.parametrize("unit", UNITS)
def test_what_the_score_alone_would_let_slip(unit: str) -> None:
    settings = {line for line in lines_of(unit) if "=" in line and not line.startswith("#")}
    assert {"Restart=always", "DynamicUser=yes", "MemoryDenyWriteExecute=yes"} <= settings
    assert any(line.startswith("StateDirectory=") for line in settings)
    assert any(line.startswith("#LoadCredential=") for line in lines_of(unit))


def test_systemd_notices_a_gateway_that_hangs_and_can_tell_it_to_read_its_file_again() -> None:
    settings = set(lines_of("tanshu.service"))
    assert {"Type=notify", "WatchdogSec=30", "ExecReload=/bin/kill -HUP $MAINPID"} <= settings


def test_the_gateway_may_open_serial_ports_and_the_ledger_no_device() -> None:
    assert "SupplementaryGroups=dialout" in lines_of("tanshu.service")
    assert "DeviceAllow=char-ttyUSB rw" in lines_of("tanshu.service")
    assert "PrivateDevices=yes" in lines_of("tanshu-ledger.service")


def test_the_gateway_can_tell_one_boot_from_the_next() -> None:
    # ProcSubset=pid would hide the kernel's boot id, which ties monotonic times together.
    assert "ProcSubset=pid" not in lines_of("tanshu.service")


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_calls_a_command_that_exists_with_options_it_has(unit: str) -> None:
    start = next(line for line in lines_of(unit) if line.startswith("ExecStart="))
    program, *words = start.partition("/bin/")[2].split()
    assert program == "tanshu"
    command: click.Command | None = cli
    while isinstance(command, click.Group):
        command = command.get_command(click.Context(command), words.pop(0))
    assert command is not None
    known = {name for parameter in command.params for name in parameter.opts}
    assert {word for word in words if word.startswith("-")} <= known
