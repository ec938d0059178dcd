"""`tanshu ledger`: the central subscriber that verifies, books and receipts."""

from __future__ import annotations

import asyncio
import json
import random
import signal
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.main import PROBLEMS
from agent.cli.options import json_option
from agent.core.errors import StoreError

if TYPE_CHECKING:
    from agent.book.database import Database
    from agent.core.chain import SigningKey

DATABASE = click.option(
    "--db",
    "database",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("ledger.db"),
    show_default=True,
    help="The ledger's database file.",
)
KEY_FILE = click.option(
    "--key-file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("ledger.key"),
    show_default=True,
    help="The ledger's private key; made at the first start.",
)


@click.group()
def ledger() -> None:
    """Run the ledger, enrol gateways, verify and export its chains."""


@ledger.command()
@DATABASE
@KEY_FILE
@click.option("--broker", "url", required=True, help="mqtt://host:1883 or mqtts://host:8883")
@click.option("--ca", help="Authority of the broker's certificate.")
@click.option("--certificate", help="This ledger's certificate.")
@click.option("--private-key", help="Its private key.")
@click.option("--user", help="User name at the broker.")
@click.option("--password-file", help="File with the password in its first line.")
@click.option("--group", default="ledger", show_default=True, help="Shared subscription.")
@click.option("--log-format", type=click.Choice(["console", "json"]), default="console")
def run(
    database: Path,
    key_file: Path,
    url: str,
    ca: str | None,
    certificate: str | None,
    private_key: str | None,
    user: str | None,
    password_file: str | None,
    group: str,
    log_format: str,
) -> None:
    """Run one worker until SIGTERM; prints the key that gateways pin as `ledger_key`."""
    from agent.clock import SystemClock
    from agent.ledger.service import BrokerAccess, LedgerOptions, LedgerWorker, run_ledger
    from agent.logs import configure_logs

    configure_logs(log_format, "info")
    options = LedgerOptions(
        database=database,
        key_file=key_file,
        access=BrokerAccess(
            url=url,
            ca=ca,
            certificate=certificate,
            private_key=private_key,
            user=user,
            password_file=password_file,
        ),
        group=group,
    )

    def started(worker: LedgerWorker) -> None:
        click.echo(json.dumps({"ledger_key": worker.state.ledger_key}))

    async def serve() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await run_ledger(
            options, clock=SystemClock(), random=random.random, stop=stop, started=started
        )

    asyncio.run(serve())


@ledger.command()
@DATABASE
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
def enrol(database: Path, file: Path, as_json: bool) -> None:
    """Register the key of a gateway from its enrolment.json."""
    from agent.clock import SystemClock
    from agent.ledger import enrolment
    from agent.ledger.database import open_ledger

    enrolment.read_enrolment(file)  # a faulty file must not leave a new ledger behind
    made_ledger = not database.exists()
    opened = open_ledger(database)
    try:
        found, new = enrolment.enrol(opened, file, now_ms=SystemClock().now_ms())
    finally:
        opened.close()
    owner = found.owner
    if as_json:
        report = {"site": owner.site, "gateway": owner.gateway, "key": found.key.text, "new": new}
        click.echo(json.dumps(report | {"ledger": str(database), "made_ledger": made_ledger}))
    else:
        if made_ledger:
            click.echo(f"made a new ledger: {database}")
        word = "enrolled" if new else "was enrolled before"
        click.echo(f"{owner.site}/{owner.gateway} {word}: {found.key.text}")


@ledger.command()
@DATABASE
@json_option
def verify(database: Path, as_json: bool) -> int:
    """Verify every chain from its stored bytes and compare it with what is booked."""
    from agent.ledger.verify import verify as verify_ledger

    opened = _open_existing(database)
    try:
        report = verify_ledger(opened)
    finally:
        opened.close()
    if as_json:
        click.echo(json.dumps({**asdict(report), "ok": report.ok}, ensure_ascii=False))
    else:
        for chain in report.chains:
            click.echo(
                f"{chain.site}/{chain.gateway} epoch {chain.epoch[:8]}: {chain.batches} batches, "
                f"unbroken through {chain.through}, {chain.held} held above"
            )
        for finding in report.findings:
            click.echo(
                f"PROBLEM {finding.site}/{finding.gateway} batch {finding.epoch[:8]}/"
                f"{finding.seq}: {finding.what}"
            )
        click.echo(
            f"{report.batches} batches, {report.records} records, {len(report.findings)} findings"
        )
    return 0 if report.ok else PROBLEMS


@ledger.command()
@DATABASE
@KEY_FILE
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@json_option
def export(database: Path, key_file: Path, folder: Path, as_json: bool) -> None:
    """Write batches, receipts and keys as files, for scripts/verify_batches.py or anyone."""
    from agent.clock import SystemClock
    from agent.ledger import export as exporting

    opened = _open_existing(database)
    try:
        key = _ledger_key(key_file)
        _refuse_foreign(folder, key)
        done = exporting.export(opened, folder, key=key, now_ms=SystemClock().now_ms())
    finally:
        opened.close()
    if as_json:
        click.echo(json.dumps({"batches": done.batches, "files": [str(f) for f in done.files]}))
    else:
        click.echo(f"{done.batches} batches in {len(done.files)} files in {done.folder}")


@ledger.command("publish-factors")
@DATABASE
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--issuer-key", help='Public key of its issuer ("ed25519:…"), to check it by.')
@json_option
def publish_factors(database: Path, file: Path, issuer_key: str | None, as_json: bool) -> None:
    """Send a factor pack FILE to every enrolled gateway, now and whenever one comes up.

    A gateway takes it up only if it knows the issuer's key, and somebody there approves it.
    """
    from agent.clock import SystemClock
    from agent.core.chain import PublicKey
    from agent.ledger.factor_packs import publish

    key = None if issuer_key is None else PublicKey.from_text(issuer_key)
    data = file.read_bytes()
    opened = _open_existing(database)
    try:
        pack, new = publish(opened, data, key, SystemClock().now_ms())
    finally:
        opened.close()
    if as_json:
        report = {"hash": pack.hash, "issuer": pack.issuer, "serial": pack.serial, "new": new}
        click.echo(json.dumps(report | {"key": pack.key_id}, ensure_ascii=False))
    else:
        word = "is published" if new else "was published before"
        click.echo(f"{pack.hash[:12]} of {pack.issuer}, no. {pack.serial}, {word}")


def _open_existing(path: Path) -> Database:
    """A ledger that is there: looking at one never makes one."""
    from agent.ledger.database import open_ledger

    if not path.is_file():
        raise StoreError("there is no such ledger", where=str(path), hint="name it with --db")
    return open_ledger(path)


def _ledger_key(path: Path) -> SigningKey:
    from agent.sync.keys import load_key

    try:
        return load_key(path)
    except FileNotFoundError as error:
        raise StoreError(
            "there is no such key",
            where=str(path),
            hint="name the ledger's private key with --key-file; `tanshu ledger run` made it",
        ) from error


def _refuse_foreign(folder: Path, key: SigningKey) -> None:
    """Only an empty folder or an earlier export of this ledger is written to.

    Files of another ledger between those of this one would be taken for its evidence.
    """
    if not folder.is_dir() or next(folder.iterdir(), None) is None:
        return
    try:
        former = (folder / "ledger-key.txt").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        former = ""
    if former != key.public.text:
        raise StoreError(
            "the folder is not empty and holds no earlier export of this ledger",
            where=str(folder),
            hint="name a new or empty folder",
        )
