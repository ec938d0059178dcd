"""`tanshu gaps`: what became of the gaps of a gateway's meters."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from agent.cli.options import WIDE, find_site_file, json_option, site_option
from agent.core.timebase import DAY_MS, iso_utc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.core.gaps.booked import GapFill

MOST_TOLD = 3  # analogue periods in the table; --json has all
EVER_MS = 2**53


@click.group()
def gaps() -> None:
    """Gaps of the meters: what they come to, by which method, and how sure that is."""


@gaps.command("list")
@click.option("--days", type=click.IntRange(1, 4000), default=31, show_default=True)
@click.option("--stream", help="Only this stream, «meter.point».")
@site_option
@json_option
def list_command(days: int, stream: str | None, site_file: Path | None, as_json: bool) -> None:
    """The gaps of the last days that were looked at, from the gateway's file.

    A total is measured where the register went on counting; else it is estimated, with its 90 %
    interval. The score is the method's error on pseudo-gaps, in per cent.
    """
    from agent.clock import SystemClock
    from agent.daemon.report_worker import load_config, read_only
    from agent.store.gaps import GapFills

    config = load_config(find_site_file(site_file))
    now_ms = SystemClock().now_ms()
    with read_only(config) as connection:
        found = GapFills(connection).between(now_ms - days * DAY_MS, EVER_MS)
    chosen = [fill for fill in found if stream in (None, fill.stream)]
    if as_json:
        click.echo(json.dumps({"gaps": [_document(fill) for fill in chosen]}, ensure_ascii=False))
    elif not chosen:
        click.echo(f"no gap of the last {days} days has been looked at")
    else:
        _print(chosen, ZoneInfo(config.site.timezone))


def _document(fill: GapFill) -> dict[str, object]:
    return {
        **fill.as_record(),
        "start": iso_utc(fill.start_ms),
        "end": iso_utc(fill.end_ms),
        "matched": [
            {"start": iso_utc(first), "end": iso_utc(last)} for first, last in fill.matched
        ],
    }


def _print(fills: Sequence[GapFill], zone: ZoneInfo) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "stream", "from", "to", "total", "90 %", "by", "score", "tried on", "like the times from"
    )
    for fill in fills:
        table.add_row(
            fill.stream,
            _local(fill.start_ms, zone),
            _local(fill.end_ms, zone) + (" (still open)" if fill.provisional else ""),
            _total(fill),
            _interval(fill),
            fill.reason or fill.method,
            "" if fill.score_pct is None else f"{fill.score_pct:.1f} %",
            str(fill.calibration or ""),
            ", ".join(_local(first, zone) for first, _ in fill.matched[:MOST_TOLD]),
        )
    # a pipe or file has no width: nothing is cut there
    Console(width=None if sys.stdout.isatty() else WIDE).print(table)


def _total(fill: GapFill) -> str:
    if fill.total is None:
        return "none"
    return f"{fill.total:.8g} {fill.unit}" + (" (register)" if fill.total_known else "")


def _interval(fill: GapFill) -> str:
    if fill.total_known or fill.lower is None or fill.upper is None:
        return ""
    return f"{fill.lower:.6g} to {fill.upper:.6g}"


def _local(time_ms: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(time_ms / 1000, zone).strftime("%Y-%m-%d %H:%M")
