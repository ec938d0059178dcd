"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from agent.core.errors import UsageError

Command = TypeVar("Command", bound=Callable[..., Any])

WIDE = 400  # of a table in a pipe or file, which have no width: nothing is cut there
SYSTEM_SITE_FILE = Path("/etc/tanshu/site.toml")


def json_option(command: Command) -> Command:
    """--json: one JSON document instead of text."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def site_option(command: Command) -> Command:
    """--config: the site file."""
    return click.option(
        "--config",
        "-c",
        "site_file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Site file; default $TANSHU_CONFIG, ./site.toml or /etc/tanshu/site.toml.",
    )(command)


def find_site_file(given: Path | None) -> Path:
    """The site file that was named, or the first of the usual places."""
    if given is not None:
        if not given.exists():
            raise UsageError("there is no such site file", where=str(given), hint="check --config")
        return given
    named = os.environ.get("TANSHU_CONFIG")
    places = [Path(named)] if named else [Path("site.toml"), SYSTEM_SITE_FILE]
    for place in places:
        if place.exists():
            return place
    raise UsageError(
        "no site file found",
        where=", ".join(str(place) for place in places),
        hint="name one with --config; config/site.example.toml shows the form",
    )
