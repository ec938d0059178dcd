"""`tanshu doctor`: what a technician would check first, each with the next step."""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from agent.cli.main import PROBLEMS
from agent.cli.options import find_site_file, json_option, site_option
from agent.config.site import SiteConfig
from agent.core.errors import UsageError

LEAST_FREE_MB = 512
CONNECT_TIMEOUT_S = 3.0
SYNCHRONISED = Path("/run/systemd/timesync/synchronized")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check: what was looked at, how it is, and what to do."""

    check: str
    state: str  # «ok», «warning», «problem»
    detail: str
    hint: str = ""


@click.command()
@site_option
@json_option
def doctor(site_file: Path | None, as_json: bool) -> int:
    """Check this machine and, with a site file, its ports, database and broker."""
    findings = list(_machine())
    try:
        path = find_site_file(site_file)
    except UsageError as error:
        if site_file is not None:
            raise
        findings.append(
            Finding(check="site file", state="warning", detail=str(error), hint=error.hint)
        )
    else:
        findings += _site(path)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False))
    else:
        mark = {"ok": "ok     ", "warning": "warning", "problem": "PROBLEM"}
        for finding in findings:
            hint = f" — {finding.hint}" if finding.hint else ""
            click.echo(f"{mark[finding.state]}  {finding.check}: {finding.detail}{hint}")
    return PROBLEMS if any(finding.state == "problem" for finding in findings) else 0


def _machine() -> Iterator[Finding]:
    from agent.book.database import has_wal_reset_fault, sqlite3
    from agent.clock import SystemClock
    from agent.core import kernels
    from agent.pipeline.clock_trust import is_plausible

    yield Finding(check="python", state="ok", detail=platform.python_version())
    yield Finding(
        check="kernels",
        state="ok" if kernels.MODE == "aot" else "warning",
        detail={"aot": "compiled", "python": "plain Python"}.get(kernels.MODE, kernels.MODE),
        hint=""
        if kernels.MODE == "aot"
        else "install a C compiler and run `python -m agent.core.kernels.build` for speed",
    )
    faulty = has_wal_reset_fault(sqlite3.sqlite_version_info)
    yield Finding(
        check="sqlite",
        state="warning" if faulty else "ok",
        detail=str(sqlite3.sqlite_version),
        hint="one connection only is used: this version has the WAL-reset fault" if faulty else "",
    )
    plausible = is_plausible(SystemClock().now_ms(), None)
    yield Finding(
        check="clock",
        state="ok" if plausible else "problem",
        detail="plausible" if plausible else "earlier than this release",
        hint="" if plausible else "set the clock or start a time service; windows wait for it",
    )
    if not SYNCHRONISED.exists():
        yield Finding(
            check="time service",
            state="warning",
            detail="systemd-timesyncd does not report synchronisation",
            hint="check `timedatectl`, unless chrony or a GPS clock keeps the time",
        )


def _site(path: Path) -> Iterator[Finding]:
    from agent.config.load import read_site

    config, faults = read_site(path, probe_ports=True)
    errors = [fault for fault in faults if not fault.warning]
    for fault in faults:
        yield Finding(
            check="site file",
            state="warning" if fault.warning else "problem",
            detail=f"{fault.path}: {fault.what}",
            hint=fault.hint,
        )
    if not errors:
        yield Finding(check="site file", state="ok", detail=str(path))
    if config is not None:
        yield from _database(config)
        yield from _endpoints(config)


def _database(config: SiteConfig) -> Iterator[Finding]:
    from agent.store.check import quick_check

    store = config.path.parent / config.store.path
    folder = store.parent
    if not os.access(folder, os.W_OK):
        yield Finding(
            check="store",
            state="problem",
            detail=f"{folder} cannot be written",
            hint="create the folder and give it to the user that runs the gateway",
        )
        return
    free_mb = shutil.disk_usage(folder).free // 1_000_000
    yield Finding(
        check="disk",
        state="ok" if free_mb >= LEAST_FREE_MB else "problem",
        detail=f"{free_mb} MB free in {folder}",
        hint="" if free_mb >= LEAST_FREE_MB else "free space or lower store.max_mb",
    )
    if not store.exists():
        yield Finding(check="store", state="ok", detail=f"{store} will be created")
        return
    verdict = quick_check(str(store))
    yield Finding(
        check="store",
        state="ok" if verdict == "ok" else "problem",
        detail=f"{store}: {verdict}",
        hint="" if verdict == "ok" else "stop the gateway and set the file aside; do not delete it",
    )


def _endpoints(config: SiteConfig) -> Iterator[Finding]:
    from urllib.parse import urlsplit

    places = [
        (f"target {target.id}", target.url, {"mqtt": 1883, "mqtts": 8883})
        for target in config.targets
    ]
    places += [
        (f"bus {bus.id}", bus.endpoint or f"tcp://{bus.host}:{bus.port or 502}", {"tcp": 502})
        for bus in config.buses
        if bus.endpoint or bus.host
    ]
    for check, url, ports in places:
        parts = urlsplit(url)
        port = parts.port or ports.get(parts.scheme, 4840)
        try:
            socket.create_connection((parts.hostname or "", port), CONNECT_TIMEOUT_S).close()
        except OSError as error:
            yield Finding(
                check=check,
                state="problem",
                detail=f"{parts.hostname}:{port} does not answer: {error}",
                hint="check the address, the cable and the firewall",
            )
        else:
            yield Finding(check=check, state="ok", detail=f"{parts.hostname}:{port} answers")
