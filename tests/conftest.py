"""What every test shares: servers a test may need, the ban on skips in CI, the loopback fence."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

Needs = Callable[[str], str]

_POSTGRESQL = sorted(str(path) for path in Path("/usr/lib/postgresql").glob("*/bin/postgres"))

# The programs each named server may be found under, in the order tried.
_PROGRAMS: dict[str, tuple[str, ...]] = {
    "mosquitto": ("mosquitto", "/usr/sbin/mosquitto"),
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    "postgresql": ("postgres", *_POSTGRESQL),
    "c-compiler": ("cc", "gcc", "clang"),
    "node": ("node",),
    "mbpoll": ("mbpoll",),
    "systemd-analyze": ("systemd-analyze",),
    "git": ("git",),
}

# Factors that this machine's own gateway imported are no part of what is tested.
os.environ["TANSHU_FACTORS"] = str(Path(__file__).with_name("no-imported-factors"))

settings.register_profile("tanshu", deadline=None, print_blob=True)
settings.load_profile("tanshu")


def find_program(name: str) -> str | None:
    """Path of the first program that serves `name`, or None."""
    found = (shutil.which(candidate) for candidate in _PROGRAMS.get(name, (name,)))
    return next((path for path in found if path), None)


def find_node_module(name: str) -> str | None:
    """Folder of an npm package under TANSHU_NODE_MODULES, or None."""
    prefix = os.environ.get("TANSHU_NODE_MODULES")
    if not prefix or find_program("node") is None:
        return None
    for folder in (Path(prefix) / name, Path(prefix) / "node_modules" / name):
        if (folder / "package.json").is_file():
            return str(folder)
    return None


def need(name: str) -> str:
    """Path of the server `name`; skips the calling test by name where it is absent.

    `node:PACKAGE` asks for an npm package, `python:MODULE` for an importable module.
    """
    kind, _, rest = name.partition(":")
    path: str | None
    if kind == "node" and rest:
        path = find_node_module(rest)
    elif kind == "python" and rest:
        path = rest if importlib.util.find_spec(rest) else None
    else:
        path = find_program(name)
    if path is None:
        pytest.skip(f"needs {name}")
    return path


@pytest.fixture(scope="session")
def needs() -> Needs:
    """`needs("mosquitto")` gives the program's path, or skips the test by name."""
    return need


def _skips_are_failures() -> bool:
    values = (os.environ.get("CI", ""), os.environ.get("TANSHU_NO_SKIP", ""))
    return any(value.lower() in {"1", "true", "yes"} for value in values)


def _forbid_skip(report: Any) -> None:
    if report.skipped and _skips_are_failures():
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{reason} (no test may be skipped in CI or under TANSHU_NO_SKIP=1)"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    report = yield
    _forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    report = yield
    _forbid_skip(report)
    return report


def _is_loopback(host: str) -> bool:
    if host in {"localhost", ""}:
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _refuse_other_hosts(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "socket.connect":
        return
    address = arguments[1]
    if isinstance(address, tuple) and address and not _is_loopback(str(address[0])):
        raise ConnectionRefusedError(f"tests talk to this machine only, not to {address[0]}")


def pytest_configure() -> None:
    sys.addaudithook(_refuse_other_hosts)
