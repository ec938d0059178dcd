"""Listing activity entries from a gateway's database, read-only."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from zoneinfo import ZoneInfo

import click

from agent.book.activity import SqliteActivity
from agent.book.ports import Owner, Span
from agent.config.site import SiteConfig
from agent.core.activity import ActivityEntry, ActivityKind
from agent.core.activity_period import PERIOD_HINT, period_text, read_period
from agent.core.errors import StoreError, UsageError
from agent.core.timebase import iso_utc

WIDE = 400
EVER = Span(from_ms=-(2**53), to_ms=2**53)
COLUMNS = (
    "stream",
    "revision",
    "period",
    "batch",
    "kind",
    "item",
    "amount",
    "unit",
    "place",
    "carbon_content",
    "carbon_basis",
    "purity",
    "treatment",
    "distance_km",
    "mode",
    "price_cny",
    "origin",
    "author",
    "note",
    "evidence_name",
    "evidence_sha256",
    "entered",
)
_SHOWN = ("period", "batch", "kind", "item", "amount", "unit", "place", "revision", "note")


def read_entries(
    config: SiteConfig,
    period: str | None,
    kind: ActivityKind | None,
    stream: str | None,
    *,
    retired: bool,
) -> Sequence[ActivityEntry]:
    """Current entries of a period, or with ``stream`` every revision of one.

    Raises:
        StoreError: there is no database, or it was never opened by this version.
    """
    from agent.book.database import sqlite3

    path = config.path.parent / config.store.path
    if not path.exists():
        raise StoreError(
            "there is no such database", where=str(path), hint="nothing was stored yet"
        )
    owner = Owner(site=config.site.id, gateway=config.gateway.id)
    span = EVER if period is None else _span(period, ZoneInfo(config.site.timezone))
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        try:
            activity = SqliteActivity(connection)
            if stream is not None:
                return activity.stream_activity(owner, stream, history=True)
            found = activity.current_activity(owner, span, kind, retired=retired)
            alone = activity.unplaced_activity(owner, kind) if period is None else []
            return [*found, *alone]
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StoreError(
            f"cannot be read: {error}",
            where=str(path),
            hint="start the gateway once, so that its file takes this version's form",
        ) from error


def print_entries(
    entries: Sequence[ActivityEntry], timezone: str, *, as_csv: bool, as_json: bool
) -> None:
    """Print entries as JSON lines, CSV or a table."""
    zone = ZoneInfo(timezone)
    rows = [_row(entry, zone) for entry in entries]
    if as_json:
        for row in rows:
            click.echo(json.dumps(row, ensure_ascii=False))
    elif as_csv:
        writer = csv.DictWriter(sys.stdout, fieldnames=COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    else:
        from rich.console import Console
        from rich.table import Table

        table = Table(*_SHOWN)
        for row in rows:
            table.add_row(*("" if row[name] is None else _text(row[name]) for name in _SHOWN))
        # a pipe or file has no width: nothing is cut there
        Console(width=None if sys.stdout.isatty() else WIDE).print(table)


def _row(entry: ActivityEntry, zone: ZoneInfo) -> dict[str, object]:
    row = asdict(entry)
    evidence = entry.evidence
    row["period"] = (
        ""
        if entry.start_ms is None or entry.end_ms is None
        else period_text(entry.start_ms, entry.end_ms, zone)
    )
    row["evidence_name"] = evidence.name if evidence else None
    row["evidence_sha256"] = evidence.sha256 if evidence else None
    row["entered"] = iso_utc(entry.entered_ms)
    return {name: row[name] for name in COLUMNS}


def _text(value: object) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _span(text: str, zone: ZoneInfo) -> Span:
    try:
        from_ms, to_ms = read_period(text, zone)
    except (ValueError, OverflowError):
        raise UsageError(f'"{text}" is not a period', where="--period", hint=PERIOD_HINT) from None
    return Span(from_ms=from_ms, to_ms=to_ms)
