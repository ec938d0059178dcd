"""`tanshu status`: what a running gateway says of itself."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any

import click

from agent.cli.address import checked_url, page_address
from agent.cli.main import PROBLEMS
from agent.cli.options import find_site_file, json_option, site_option
from agent.core.errors import SyncError, UsageError

TIMEOUT_S = 5.0


@click.command()
@site_option
@click.option("--url", help="Address of the gateway's page instead of a site file.")
@json_option
def status(site_file: Path | None, url: str | None, as_json: bool) -> int:
    """Buses, devices, emissions and delivery of a running gateway."""
    report = fetch(_url_of(site_file) if url is None else checked_url(url))
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False))
    else:
        _print(report)
    healthy = report.get("alive", True) and not report.get("problems")
    return 0 if healthy else PROBLEMS


def _url_of(site_file: Path | None) -> str:
    from agent.daemon.service import load_config

    config, _ = load_config(find_site_file(site_file))
    if config.web.port == 0:
        raise UsageError(
            "the port of the page is chosen at the gateway's start",
            where=f"{config.path}: web.port",
            hint="give the address that the gateway logs with --url",
        )
    return page_address(config)


def fetch(url: str) -> dict[str, Any]:
    """The gateway's status document."""
    address = f"{url}/api/v1/status"
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT_S) as reply:  # noqa: S310
            document = json.load(reply)
    except (urllib.error.URLError, HTTPException, OSError, ValueError) as error:
        raise SyncError(
            f"no gateway answers: {error}",
            where=address,
            hint="is `tanshu run` running, and is its page enabled?",
        ) from error
    if not isinstance(document, dict) or not {"site", "buses", "targets"} <= set(document):
        raise SyncError(
            "what answers is no gateway", where=address, hint="check host and port of --url"
        )
    return document


def _print(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    site = report["site"]
    console.print(f"[bold]{site['name']}[/] · {site['gateway']} · Tanshu {site['version']}")
    buses = Table("bus", "state", "meters", "use", "timeouts", "last error")
    for bus in report["buses"]:
        error = bus.get("last_error") or {}
        use = bus.get("use_share")
        buses.add_row(
            bus["id"],
            bus["state"],
            f"{bus['meters_answering']}/{bus['meters_total']}",
            f"{use:.0%}" if use is not None else "–",
            str(bus["timeouts"]),
            error.get("what", ""),
        )
    console.print(buses)
    if report["targets"]:
        targets = Table("target", "state", "outbox", "receipted", "problem")
        for target in report["targets"]:
            problem = target.get("problem") or {}
            targets.add_row(
                target["id"],
                target["state"],
                str(target["outbox_depth"]),
                str(target["batches_receipted"]),
                problem.get("what", ""),
            )
        console.print(targets)
    for pack in report.get("factor_packs", ()):
        console.print(
            f"new factor pack of {escape(pack['issuer'])}, no. {pack['serial']}, waits for "
            f"approval: tanshu factors review {pack['hash'][:12]}"
        )
    for problem in report.get("problems", ()):
        console.print(f"[red]{problem['where']}: {problem['what']}[/] ({problem['hint']})")
