"""Listing readings that people took, what is overdue, and what is to be verified."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from zoneinfo import ZoneInfo

import click

from agent.book.verifications import Verification
from agent.cli.manual_door import read_entries
from agent.cli.options import WIDE
from agent.config.site import SiteConfig
from agent.core.activity_period import PERIOD_HINT, read_period
from agent.core.errors import UsageError
from agent.core.manual import PREFIX, ManualEntry
from agent.core.timebase import iso_utc
from agent.web.manual_view import OverdueReading, TaskView

EVER_MS = 2**53


def listed_entries(config: SiteConfig, period: str | None, meter: str) -> Sequence[ManualEntry]:
    """Current entries of a period (all without one), or every revision of one meter."""
    from_ms, to_ms = -EVER_MS, EVER_MS
    if period is not None:
        try:
            from_ms, to_ms = read_period(period, ZoneInfo(config.site.timezone))
        except (ValueError, OverflowError):
            raise UsageError(
                f'"{period}" is not a period', where="--period", hint=PERIOD_HINT
            ) from None
    stream = PREFIX + meter.removeprefix(PREFIX) if meter else None
    return read_entries(config, from_ms, to_ms, stream, history=period is None)


def print_entries(entries: Sequence[ManualEntry], timezone: str, *, as_json: bool) -> None:
    """Print entries as JSON lines or a table."""
    zone = ZoneInfo(timezone)
    if as_json:
        for entry in entries:
            row = asdict(entry) | {"time": iso_utc(entry.time_ms)}
            click.echo(json.dumps(row, ensure_ascii=False))
        return
    _table(
        ("meter", "time", "value", "unit", "revision", "by", "note", "warning"),
        [
            (
                entry.stream.removeprefix(PREFIX),
                _local(entry.time_ms, zone),
                "retired" if entry.value is None else f"{entry.value:.10g}",
                entry.unit,
                str(entry.revision),
                entry.author,
                entry.note,
                entry.warning,
            )
            for entry in entries
        ],
    )


def print_overdue(readings: Sequence[OverdueReading], timezone: str, *, as_json: bool) -> None:
    """Print overdue readings as JSON lines or a table."""
    zone = ZoneInfo(timezone)
    if as_json:
        for reading in readings:
            click.echo(json.dumps(asdict(reading), ensure_ascii=False))
        return
    _table(
        ("meter", "name", "due"),
        [(one.stream.removeprefix(PREFIX), one.name, _local(one.due_ms, zone)) for one in readings],
    )


def print_tasks(tasks: Sequence[TaskView], timezone: str, *, as_json: bool) -> None:
    """Print verification tasks as JSON lines or a table."""
    zone = ZoneInfo(timezone)
    if as_json:
        for task in tasks:
            click.echo(json.dumps(asdict(task), ensure_ascii=False))
        return
    _table(
        ("task", "from", "to", "estimate", "unit", "windows", "without value", "method"),
        [
            (
                task.id,
                _local(task.start_ms, zone),
                _local(task.end_ms, zone),
                "" if task.estimate is None else f"{task.estimate:.10g}",
                task.unit,
                str(task.windows),
                str(task.missing),
                ", ".join(task.methods),
            )
            for task in tasks
        ],
    )


def print_settled(settled: Sequence[Verification], timezone: str, *, as_json: bool) -> None:
    """Print settled tasks as JSON lines or a table."""
    zone = ZoneInfo(timezone)
    if as_json:
        for one in settled:
            click.echo(json.dumps(asdict(one), ensure_ascii=False))
        return
    _table(
        ("stream", "from", "to", "decision", "before", "after", "unit", "by", "at", "note"),
        [
            (
                one.stream,
                _local(one.start_ms, zone),
                _local(one.end_ms, zone),
                one.decision.value,
                "" if one.before is None else f"{one.before:.10g}",
                "" if one.after is None else f"{one.after:.10g}",
                one.unit,
                one.author,
                _local(one.verified_ms, zone),
                one.note,
            )
            for one in settled
        ],
    )


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*headings)
    for row in rows:
        table.add_row(*row)
    # a pipe or file has no width: nothing is cut there
    Console(width=None if sys.stdout.isatty() else WIDE).print(table)


def _local(time_ms: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(time_ms / 1000, zone).strftime("%Y-%m-%d %H:%M:%S")
