"""`tanshu db`: the technician's look into a gateway's database, never writing."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from agent.cli.options import WIDE, find_site_file, json_option, site_option
from agent.core.errors import StoreError, UsageError


def database_option(command: Any) -> Any:
    """--db: a database file instead of the one of a site file."""
    return click.option(
        "--db", "file", type=click.Path(path_type=Path, dir_okay=False), help="Database file."
    )(command)


@click.group()
def db() -> None:
    """Query and export a gateway's or ledger's database, read-only."""


@db.command(short_help="Run one SELECT.")
@click.argument("sql")
@site_option
@database_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@json_option
def query(sql: str, site_file: Path | None, file: Path | None, as_csv: bool, as_json: bool) -> None:
    """Run one SELECT, e.g. `tanshu db query 'SELECT * FROM windows LIMIT 5'`."""
    _print(_rows(_database_file(site_file, file), sql), as_csv=as_csv, as_json=as_json)


@db.command(short_help="Print a table as CSV or JSON.")
@click.argument("table", required=False)
@site_option
@database_option
@json_option
def export(table: str | None, site_file: Path | None, file: Path | None, as_json: bool) -> None:
    """Print a whole table as CSV (or JSON); without a name, list the tables and their rows."""
    path = _database_file(site_file, file)
    with _opened(path) as database:
        names = database.table_names()
        if table is None:
            rows = ({"table": name, "rows": database[name].count} for name in sorted(names))
            _print(rows, as_csv=False, as_json=as_json)
            return
        if table not in names:
            raise UsageError(
                f"there is no table {table}",
                where=str(path),
                hint="one of " + ", ".join(sorted(names)),
            )
        _print(database[table].rows, as_csv=True, as_json=as_json)


def _database_file(site_file: Path | None, file: Path | None) -> Path:
    if file is not None:
        return file
    from agent.daemon.service import load_config

    config, _ = load_config(find_site_file(site_file))
    return config.path.parent / config.store.path


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file, for reading only; what SQLite says against the file is a StoreError."""
    from sqlite_utils import Database

    from agent.book.database import sqlite3

    if not path.exists():
        raise StoreError(
            "there is no such database", where=str(path), hint="check --db or --config"
        )
    connection = None
    try:
        # as_uri quotes what would end the name in a URI: ? and #
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        connection.execute("PRAGMA query_only=ON")
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        yield Database(connection, execute_plugins=False, recursive_triggers=False)
    except sqlite3.Error as error:
        raise StoreError(
            f"cannot be read: {error}",
            where=str(path),
            hint="is it a database of a gateway or ledger? check --db or --config",
        ) from error
    finally:
        if connection is not None:
            connection.close()


def _rows(path: Path, sql: str) -> Iterable[dict[str, Any]]:
    from agent.book.database import sqlite3

    hint = "`tanshu db export` lists the tables; only reading is allowed"
    if not sql.strip():
        raise UsageError("the query is empty", where="SQL", hint=hint)
    with _opened(path) as database:
        try:
            yield from database.query(sql)
        # older Pythons report a second statement as a Warning, which is no Error
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            raise UsageError(
                f"the query failed: {str(error).rstrip('.')}", where=str(path), hint=hint
            ) from error


def _print(rows: Iterable[dict[str, Any]], *, as_csv: bool, as_json: bool) -> None:
    if as_json:
        for row in rows:
            values = {name: _json_value(value) for name, value in row.items()}
            click.echo(json.dumps(values, ensure_ascii=False, allow_nan=False))
        return
    if as_csv:
        writer: Any = None
        for row in rows:
            if writer is None:
                writer = csv.DictWriter(sys.stdout, fieldnames=list(row))
                writer.writeheader()
            writer.writerow({key: _text(value) for key, value in row.items()})
        return
    from rich.console import Console
    from rich.table import Table

    table: Table | None = None
    for row in rows:
        if table is None:
            table = Table(*row)
        table.add_row(*("" if value is None else str(_text(value)) for value in row.values()))
    if table is not None:
        Console(width=None if sys.stdout.isatty() else WIDE).print(table)


def _text(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def _json_value(value: Any) -> Any:
    """JSON knows neither bytes nor infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return _text(value)
