"""`tanshu factors pack|packs|check|review|approve|reject`: signed packs from issuer to gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.cli.options import find_site_file, json_option, site_option
from agent.core.errors import StoreError, UsageError

if TYPE_CHECKING:
    from agent.config.factor_pack import FactorPack
    from agent.config.site import SiteConfig
    from agent.store.factor_packs import FactorPacks

URL = click.option("--url", help="Address of the gateway's page, if it is not as configured.")
TOKEN = click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File with the token of a gateway on another machine.",
)


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--new-key", type=click.Path(path_type=Path, dir_okay=False), help="Make a key file.")
@click.option(
    "--key",
    "key_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The issuer's private key.",
)
@click.option("--issuer", help="Who issues the pack, as gateways show it.")
@click.option("--serial", type=click.IntRange(min=1), help="Higher than that of every earlier one.")
@click.option("--issued", type=click.DateTime(["%Y-%m-%d"]), help="Date of issue; default today.")
@click.option("--note", default="", help="What it is about, in one line.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("."),
    help="Folder to write the pack to.",
)
@json_option
def pack(
    files: tuple[Path, ...],
    new_key: Path | None,
    key_file: Path | None,
    issuer: str | None,
    serial: int | None,
    issued: datetime | None,
    note: str,
    out: Path,
    as_json: bool,
) -> None:
    """Sign factor FILES as one pack, which gateways that know the key take up once approved."""
    from agent.sync.keys import load_or_create_key

    if new_key is not None:
        if new_key.exists():
            raise UsageError("exists already", where=str(new_key), hint="name a new file")
        key = load_or_create_key(new_key)
        click.echo(json.dumps({"key": key.public.text}) if as_json else key.public.text)
        if not files:
            return
        key_file = key_file or new_key
    if not files or key_file is None or issuer is None or serial is None:
        raise UsageError(
            "a pack needs factor files, --key, --issuer and --serial",
            hint="`tanshu factors pack --new-key FILE` makes a key",
        )
    data = _signed(files, key_file, issuer, serial, issued or datetime.now().astimezone(), note)
    target = _write(out, data)
    if as_json:
        click.echo(json.dumps({"pack": str(target), "bytes": len(data)}, ensure_ascii=False))
    else:
        click.echo(f"{target}: {len(files)} factor files, serial {serial}")


def _signed(
    files: tuple[Path, ...], key_file: Path, issuer: str, serial: int, issued: datetime, note: str
) -> bytes:
    from agent.config.factor_pack import make_pack
    from agent.sync.keys import load_key

    try:
        key = load_key(key_file)
    except FileNotFoundError as error:
        raise StoreError(
            "there is no such key", where=str(key_file), hint="make one with --new-key"
        ) from error
    return make_pack(
        [file.read_bytes() for file in files],
        issuer=issuer,
        serial=serial,
        issued=issued.date(),
        key=key,
        note=note,
    )


def _write(folder: Path, data: bytes) -> Path:
    from agent.config.factor_pack import pack_name

    folder.mkdir(parents=True, exist_ok=True)
    target = folder / pack_name(data)
    draft = target.with_suffix(".new")
    draft.write_bytes(data)
    draft.replace(target)
    return target


@click.command()
@site_option
@json_option
def packs(site_file: Path | None, as_json: bool) -> None:
    """List the packs of this gateway: what waits, and what was decided by whom."""
    from agent.daemon.factor_desk import pack_view

    with _stored(_config(site_file)) as known:
        found = [pack_view(one) for one in known.all()]
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], ensure_ascii=False))
        return
    if not found:
        click.echo("no packs; `tanshu factors check` looks for some")
    for one in found:
        who = f" by {one.decided_by}" if one.decided_by else ""
        sets = ", ".join(f"{each.kind} {each.id}" for each in one.sets)
        click.echo(
            f"{one.hash[:12]}  {one.state}{who}  {one.issuer} no. {one.serial} of {one.issued}  "
            f"{sets}: {one.rows} rows differ  (from {one.origin})"
        )


@click.command()
@site_option
@URL
@TOKEN
@json_option
def check(site_file: Path | None, url: str | None, token_file: Path | None, as_json: bool) -> int:
    """Let the running gateway look for newer packs now, in all its sources."""
    from agent.cli.factor_door import post
    from agent.cli.main import PROBLEMS

    outcome = post(_config(site_file), "check", {}, url, token_file)
    if as_json:
        click.echo(json.dumps(outcome, ensure_ascii=False))
    else:
        for digest in outcome["staged"]:
            click.echo(f"{digest[:12]} waits for approval; see `tanshu factors review`")
        for trouble in outcome["troubles"]:
            click.echo(f"not taken: {trouble['subject']}: {trouble['reason']}")
        click.echo(f"{outcome['sources']} sources, {len(outcome['staged'])} new packs")
    return PROBLEMS if outcome["troubles"] else 0


@click.command()
@click.argument("digits", metavar="HASH")
@site_option
@json_option
def review(digits: str, site_file: Path | None, as_json: bool) -> None:
    """Show what a pack changes: every number, and every month of every booked source.

    HASH is that of the pack, or its first 8 or more digits.
    """
    from agent.cli import recalculation
    from agent.cli.factors import diff_document, print_diff
    from agent.daemon.factor_review import differences, foreseen_of

    config = _config(site_file)
    opened = _opened(config, digits)
    changes, months = differences(opened), foreseen_of(config.path, opened)
    if as_json:
        document: dict[str, Any] = {
            "hash": opened.hash,
            "issuer": opened.issuer,
            "serial": opened.serial,
            "issued": opened.issued,
            "note": opened.note,
            "sets": [diff_document(one) for one in changes],
            "recalculation": [asdict(month) for month in months],
        }
        click.echo(json.dumps(document, ensure_ascii=False))
        return
    click.echo(f"{opened.issuer} no. {opened.serial} of {opened.issued}, key {opened.key_id}")
    if opened.note:
        click.echo(opened.note)
    for one in changes:
        print_diff(one, as_json=False)
    recalculation.show(months)


@click.command()
@click.argument("digits", metavar="HASH")
@click.option("--by", required=True, help="Who approves.")
@click.option("--note", default="", help="Why, in one line.")
@site_option
@URL
@TOKEN
@json_option
def approve(
    digits: str,
    by: str,
    note: str,
    site_file: Path | None,
    url: str | None,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Approve a pack: it holds from now on, and booked emissions get their new revisions.

    HASH is that of the pack, or its first 8 or more digits.
    """
    body = {"decision": "approve", "by": by, "note": note}
    _decide(site_file, digits, body, url, token_file, as_json)


@click.command()
@click.argument("digits", metavar="HASH")
@click.option("--by", required=True, help="Who rejects.")
@click.option("--why", required=True, help="The reason, in one line.")
@site_option
@URL
@TOKEN
@json_option
def reject(
    digits: str,
    by: str,
    why: str,
    site_file: Path | None,
    url: str | None,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Reject a pack: it is never staged again.

    HASH is that of the pack, or its first 8 or more digits.
    """
    body = {"decision": "reject", "by": by, "note": why}
    _decide(site_file, digits, body, url, token_file, as_json)


def _decide(
    site_file: Path | None,
    digits: str,
    body: dict[str, str],
    url: str | None,
    token_file: Path | None,
    as_json: bool,
) -> None:
    from agent.cli.factor_door import decide

    done, place = decide(_config(site_file), digits, body, url, token_file)
    if as_json:
        click.echo(json.dumps(done, ensure_ascii=False))
        return
    click.echo(f"{done['hash'][:12]} is {done['state']} by {done['decided_by']} in {place}")
    if done["state"] == "approved":
        click.echo("booked emissions are revised beside polling; the events tell what changed")


def _config(site_file: Path | None) -> SiteConfig:
    from agent.daemon.service import load_config

    return load_config(find_site_file(site_file))[0]


@contextmanager
def _stored(config: SiteConfig) -> Iterator[FactorPacks]:
    """The packs in the gateway's database, only to be read."""
    from agent.daemon.report_worker import read_only
    from agent.store.factor_packs import FactorPacks

    with read_only(config) as connection:
        yield FactorPacks(connection)


def _opened(config: SiteConfig, digits: str) -> FactorPack:
    from agent.config.factor_pack import open_pack
    from agent.core.chain import PublicKey

    with _stored(config) as known:
        body = known.body(known.find(digits).hash)
    return open_pack(body, [PublicKey.from_text(text) for text in config.factors.keys])
