"""`tanshu plant`: the virtual plant, for trying out, teaching and testing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import click

from agent.core.errors import UsageError


@click.command()
@click.option(
    "--write-site",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a ready site file here.",
)
@click.option(
    "--window-s",
    type=click.IntRange(5, 3600),
    default=900,
    show_default=True,
    help="Window length for that file.",
)
@click.option(
    "--append",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="TOML to append to it.",
)
@click.option(
    "--books",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the plant's own books here.",
)
@click.option("--fault", "faults", multiple=True, help="kind:target[=value]@from+for, in seconds.")
@click.option("--seed", default=1, show_default=True, help="Seed of the load profile.")
@click.option("--no-opcua", is_flag=True, help="Leave the OPC UA server out.")
def plant(
    write_site: Path | None,
    window_s: int,
    append: Path | None,
    books: Path | None,
    faults: tuple[str, ...],
    seed: int,
    no_opcua: bool,
) -> None:
    """Run meters on two serial buses, Modbus TCP and OPC UA until SIGTERM.

    On the way out it writes what was really consumed and emitted (--books), computed
    without any code of the gateway.
    """
    _check_folder(write_site, "--write-site")
    _check_folder(books, "--books")
    extra = append.read_text(encoding="utf-8") if append else ""
    asyncio.run(_run(write_site, window_s, extra, books, faults, seed, opcua=not no_opcua))


def _check_folder(file: Path | None, option: str) -> None:
    """Said before the start: the books are written only at the end of a run."""
    if file is not None and not file.parent.is_dir():
        raise UsageError(
            "there is no such folder", where=f"{option} {file}", hint=f"make {file.parent} first"
        )


async def _run(
    write_site: Path | None,
    window_s: int,
    extra: str,
    books: Path | None,
    faults: tuple[str, ...],
    seed: int,
    *,
    opcua: bool,
) -> None:
    from drivers.virtual.errors import PlantError
    from drivers.virtual.faults import parse_fault
    from drivers.virtual.plant import Plant, fill_site

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        scheduled = [parse_fault(text) for text in faults]
        async with Plant(seed=seed, opcua=opcua) as site:
            for fault in scheduled:
                site.faults.add(fault)
            if write_site is not None:
                write_whole(write_site, fill_site(site, window_s, extra))
            click.echo(json.dumps({"endpoints": site.endpoints, "seed": seed}))
            await stop.wait()
            if books is not None:
                now_ms = int(site.clock.start_ms + site.clock.elapsed_s() * 1000)
                site.books.write(books, int(site.clock.start_ms), now_ms, window_s)
    except PlantError as error:
        raise UsageError(str(error), where="plant") from error


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader sees all of it or none."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
