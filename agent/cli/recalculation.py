"""What a factor file would do to booked emissions, before it is imported."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.core.errors import StoreError

if TYPE_CHECKING:
    from agent.config.factors import Pack
    from agent.pipeline.recalculate import MonthChange


def foreseen(site: Path, folder: Path, file: Path, pack: Pack) -> list[MonthChange]:
    """Differences per source and month, computed on the gateway's file without writing to it."""
    from agent.book.database import sqlite3
    from agent.book.ports import Owner
    from agent.config.factor_install import file_name
    from agent.daemon.service import load_config
    from agent.pipeline.recalculate import preview

    with _candidate(folder, file, file_name(pack.set.kind, pack.set.id)):
        config, _ = load_config(site)
    store = config.path.parent / config.store.path
    if not store.exists():
        raise StoreError(
            "there is no database yet", where=str(store), hint="import without --recalculate"
        )
    connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    try:
        owner = Owner(site=config.site.id, gateway=config.gateway.id)
        return preview(config, owner, connection)
    finally:
        connection.close()


@contextmanager
def _candidate(folder: Path, file: Path, name: str) -> Iterator[None]:
    """The library as it would be with the file imported."""
    from agent.config.factors import SITE_FACTORS

    before = os.environ.get(SITE_FACTORS)
    with tempfile.TemporaryDirectory() as copy:
        for known in folder.glob("*.toml"):
            shutil.copy(known, copy)
        shutil.copy(file, Path(copy) / name)
        os.environ[SITE_FACTORS] = copy
        try:
            yield
        finally:
            del os.environ[SITE_FACTORS]
            if before is not None:
                os.environ[SITE_FACTORS] = before


def show(months: Sequence[MonthChange]) -> None:
    """A line per source and month, and the sum."""
    if not months:
        click.echo("no booked emission changes")
        return
    for month in months:
        click.echo(
            f"{month.month}  {month.source:24} {month.windows:7} windows  "
            f"{month.before_kgco2e:14,.3f} -> {month.after_kgco2e:14,.3f} kgCO2e  "
            f"{month.difference_kgco2e:+12,.3f}"
        )
    total = sum(month.difference_kgco2e for month in months)
    click.echo(f"difference in all: {total:+,.3f} kgCO2e")
