"""What a factor file would do to booked emissions, before it is imported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from agent.config.factors import Pack
    from agent.pipeline.recalculate import MonthChange


def foreseen(site: Path, folder: Path, file: Path, pack: Pack) -> list[MonthChange]:
    """Differences per source and month, computed on the gateway's file without writing to it."""
    from agent.config.factor_install import file_name
    from agent.daemon import factor_review

    name = file_name(pack.set.kind, pack.set.id)
    return factor_review.foreseen(site, folder, {name: file.read_bytes()})


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
