"""`tanshu config check`: every fault of a site file at once, each with its TOML path."""

from __future__ import annotations

import json
from pathlib import Path

import click

from agent.cli.main import PROBLEMS
from agent.cli.options import find_site_file, json_option, site_option


@click.group()
def config() -> None:
    """Check a site file before it runs."""


@config.command()
@site_option
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--probe-ports", is_flag=True, help="Also open each serial port.")
@json_option
def check(site_file: Path | None, file: Path | None, probe_ports: bool, as_json: bool) -> int:
    """Print all faults, one line each: file, TOML path, what is wrong, what would be right."""
    from agent.config.load import read_site

    path = find_site_file(file or site_file)
    site, faults = read_site(path, probe_ports=probe_ports)
    errors = [fault for fault in faults if not fault.warning]
    if as_json:
        report = {
            "file": str(path),
            "ok": not errors,
            "runs": site is not None,
            "faults": [
                {
                    "path": fault.path,
                    "what": fault.what,
                    "hint": fault.hint,
                    "warning": fault.warning,
                    "fatal": fault.fatal,
                }
                for fault in faults
            ],
        }
        click.echo(json.dumps(report, ensure_ascii=False))
    else:
        for fault in faults:
            click.echo(f"warning: {fault}" if fault.warning else str(fault))
        if site is not None:
            click.echo(
                f"{path}: {len(site.buses)} buses, {len(site.meters)} meters, "
                f"{len(site.streams)} streams, {len(site.source_sections)} sources; "
                f"{len(errors)} faults"
            )
    return PROBLEMS if errors else 0
