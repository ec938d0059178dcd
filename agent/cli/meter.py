"""`tanshu meter`: what is known of a meter only by people: replaced, or misread."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any

import click

from agent.cli.options import Command, find_site_file, json_option, site_option
from agent.config.site import SiteConfig
from agent.core.errors import StoreError, SyncError, UsageError

TIMEOUT_S = 60.0


def _shared_options(command: Command) -> Command:
    for option in (
        json_option,
        click.option("--token-file", type=click.Path(path_type=Path, dir_okay=False)),
        click.option("--url", help="Address of the running gateway's page."),
        site_option,
        click.option("--note", default="", help="Why, and where it is written down."),
        click.option("--by", required=True, help="Who declares it."),
        click.option("--at", required=True, help="ISO 8601; without offset the site's time."),
    ):
        command = option(command)
    return command


@click.group()
def meter() -> None:
    """Declare a replaced meter, repair a reading; closed windows follow as new revisions."""


@meter.command()
@click.argument("point")
@click.option("--old-end", type=float, help="Last register of the old meter, in the point's unit.")
@click.option("--new-start", type=float, help="First register of the new meter.")
@click.option("--void", is_flag=True, help="Take the declaration for this time back.")
@_shared_options
def replaced(
    point: str, old_end: float | None, new_start: float | None, void: bool, **shared: Any
) -> int:
    """The meter of POINT («meter.point») was replaced at a time.

    Example: tanshu meter replaced em-1.energy --at 2026-11-22T10:30 --old-end 51234.5
    --new-start 0.2 --by 李伟
    """
    fields: dict[str, object] = {
        "kind": "replaced",
        "old_end": old_end,
        "new_start": new_start,
        "void": void,
    }
    return _declare(point, fields, **shared)


@meter.command()
@click.argument("point")
@click.option("--value", type=float, help="What holds in its place, in the point's unit.")
@click.option("--void", is_flag=True, help="It is no good reading; nothing is known in its place.")
@_shared_options
def repair(point: str, value: float | None, void: bool, **shared: Any) -> int:
    """The reading of POINT at a time is wrong; what was read is kept beside the repair."""
    return _declare(point, {"kind": "repaired", "value": value, "void": void}, **shared)


@meter.command("list")
@site_option
@json_option
def listed(site_file: Path | None, as_json: bool) -> int:
    """Declared replacements and repairs, from the store's file."""
    from agent.config.load import load_site
    from agent.core.timebase import iso_utc

    config = load_site(find_site_file(site_file))
    rows = _rows(config.path.parent / config.store.path)
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False))
        return 0
    for row in rows:
        click.echo(
            f"{iso_utc(row['at_ms'])}  {row['point']}  {row['what']}  {row['by']}  {row['note']}"
        )
    return 0


def _rows(path: Path) -> list[dict[str, Any]]:
    from agent.book.database import sqlite3

    if not path.exists():
        return []
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    try:
        found = connection.execute(
            "SELECT at_ms, stream, CASE WHEN old_end IS NULL THEN 'replacement void' ELSE "
            "printf('replaced: %.15g, then %.15g', old_end, new_start) END, author, note, "
            "entered_ms FROM replacements UNION ALL SELECT time_ms, point, CASE WHEN value IS NULL "
            "THEN 'not good' ELSE printf('repaired: %.15g', value) END, author, note, entered_ms "
            "FROM repairs ORDER BY 6"
        ).fetchall()
    except sqlite3.Error as error:
        raise StoreError(
            f"cannot be read: {error}", where=str(path), hint="is it a gateway's database?"
        ) from error
    finally:
        connection.close()
    names = ("at_ms", "point", "what", "by", "note", "entered_ms")
    return [dict(zip(names, row, strict=True)) for row in found]


def _declare(
    point: str,
    fields: dict[str, object],
    *,
    at: str,
    by: str,
    note: str,
    site_file: Path | None,
    url: str | None,
    token_file: Path | None,
    as_json: bool,
) -> int:
    from agent.cli.activity_door import running_gateway, token_of
    from agent.cli.address import checked_url
    from agent.config.load import load_site

    config = load_site(find_site_file(site_file))
    body = {name: value for name, value in fields.items() if value not in (None, False)}
    body |= {"point": point, "at": at, "by": by, "note": note}
    address = running_gateway(config) if url is None else checked_url(url)
    if address is None:
        detail = _into_file(config, body)
    else:
        detail = _post(address, body, token_of(config, token_file))
    if as_json:
        click.echo(json.dumps({"point": point, "detail": detail}, ensure_ascii=False))
    else:
        click.echo(f"{point}: {detail}")
    return 0


def _into_file(config: SiteConfig, body: dict[str, object]) -> str:
    from agent.book.ports import Owner
    from agent.cli.activity_door import refuse_if_open
    from agent.clock import SystemClock
    from agent.daemon.corrections import correct
    from agent.store.database import open_store

    path = config.path.parent / config.store.path
    refuse_if_open(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    database = open_store(path)
    try:
        owner = Owner(site=config.site.id, gateway=config.gateway.id)
        return correct(database, owner, config, body, SystemClock().now_ms())
    finally:
        database.close()


def _post(address: str, body: dict[str, object], token: str | None) -> str:
    request = urllib.request.Request(  # noqa: S310
        f"{address}/api/v1/corrections",
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    if token is not None:
        request.add_header("authorization", f"Bearer {token}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=TIMEOUT_S) as reply:
            return str(json.load(reply)["detail"])
    except urllib.error.HTTPError as error:
        raise _refusal(address, error) from error
    except (OSError, HTTPException, ValueError, KeyError) as error:
        raise SyncError(
            f"no gateway answers: {error}", where=address, hint="is `tanshu run` running?"
        ) from error


def _refusal(address: str, error: urllib.error.HTTPError) -> UsageError | SyncError:
    try:
        answer = json.load(error)
        words = {name: str(answer[name]) for name in ("what", "where", "hint")}
    except (ValueError, KeyError, TypeError):
        return SyncError(f"the gateway refuses ({error.code})", where=address)
    if error.code == 400:
        return UsageError(words["what"], where=words["where"], hint=words["hint"])
    return SyncError(
        f"the gateway refuses ({error.code}): {words['what']}", where=address, hint=words["hint"]
    )
