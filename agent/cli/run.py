"""`tanshu run`: the gateway."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import click

from agent.cli.options import find_site_file, site_option


@click.command()
@site_option
@click.option("--port-file", type=click.Path(path_type=Path), help="Write the page's port here.")
@click.option(
    "--drain-s",
    default=0.0,
    help="When stopped, end polling and wait so long for receipts of what is sealed.",
)
def run(site_file: Path | None, port_file: Path | None, drain_s: float) -> None:
    """Run the gateway of one site file until SIGTERM; SIGHUP reads the file again."""
    # structlog loads Rich where it is installed: 4.6 MB that a resident gateway never uses
    sys.modules.setdefault("rich", None)  # type: ignore[arg-type]
    from agent.daemon.service import load_config
    from agent.logs import configure_logs
    from agent.store.lock import lock_store

    path = find_site_file(site_file)
    config, _ = load_config(path)
    configure_logs(config.log.format, config.log.level)
    store = config.path.parent / config.store.path
    store.parent.mkdir(parents=True, exist_ok=True)
    lock = lock_store(store)
    build_schema(store)
    asyncio.run(_run(path, port_file, drain_s))
    lock.close()
    sys.stdout.flush()


def build_schema(store: Path) -> None:
    """Let another process build the schema; if it cannot, opening the file says why."""
    from agent.store.database import is_current

    if not is_current(store):
        command = [sys.executable, "-m", "agent.store.migrate", str(store)]
        subprocess.run(command, check=False, stderr=subprocess.DEVNULL)  # noqa: S603


async def _run(path: Path, port_file: Path | None, drain_s: float) -> None:
    from agent.clock import SystemClock, boot_id
    from agent.daemon.assemble import assemble
    from agent.daemon.service import Gateway

    gateway = Gateway(path, SystemClock(), boot_id())
    stop = asyncio.Event()
    reload = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, reload.set)

    def announce(port: int) -> None:
        if port_file is not None:
            temporary = port_file.with_suffix(f".{os.getpid()}")
            temporary.write_text(str(port), encoding="ascii")
            temporary.replace(port_file)

    assemble(gateway, announce, reload)
    await gateway.run(stop, drain_s)
