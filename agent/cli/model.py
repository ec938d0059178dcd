"""`tanshu model`: fit what no meter counts to reference measurements, and show what was fitted."""

from __future__ import annotations

import datetime
import json
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from agent.cli.options import find_site_file, json_option, site_option
from agent.core.errors import StoreError, SyncError, UsageError

if TYPE_CHECKING:
    from agent.cli.model_reference import Reference
    from agent.config.site import DerivedPlan, SiteConfig
    from agent.core.indirect import Model
    from agent.web.computed_view import ModelRow, ModelSubmission

TIMEOUT_S = 60.0


@click.group()
def model() -> None:
    """Fit and show the models of streams that no meter counts."""


@model.command("fit")
@click.argument("name", metavar="ID")
@click.option("--from", "origin", help="A CSV file, or the stream of a temporary meter.")
@click.option("--since", help="Of a stream: from this day or time on (site's time).")
@click.option("--until", help="Of a stream: up to this day or time; default now.")
@click.option("--serves-from", "serves_from", help="First day or time it serves; default now.")
@click.option("--again", is_flag=True, help="Compute again what is booked since --serves-from.")
@click.option("--dry-run", is_flag=True, help="Fit and show, keep nothing.")
@click.option("--by", default="", help="Who fits it.")
@click.option("--url", help="Address of the running gateway's page.")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Token for a gateway on another machine.",
)
@site_option
@json_option
def fit_command(
    name: str,
    origin: str | None,
    since: str | None,
    until: str | None,
    serves_from: str | None,
    again: bool,
    dry_run: bool,
    by: str,
    url: str | None,
    token_file: Path | None,
    site_file: Path | None,
    as_json: bool,
) -> None:
    """Fit the model of the [[indirect]] ID and keep it as its next version.

    The reference is a CSV file with the columns `value` (amount of the device over the row), one
    per input, and perhaps `hours`; or the stream of a temporary meter, of which every measured
    window since --since is taken. It serves from now on, or from --serves-from; with --again what
    is booked since then gets a new revision. It goes through the running gateway; where none
    runs, into its file.
    """
    from agent.clock import SystemClock
    from agent.core.indirect import fit
    from agent.daemon.computed import fitted_plan
    from agent.daemon.report_worker import load_config
    from agent.web.computed_view import ModelSubmission

    config = load_config(find_site_file(site_file))
    plan = fitted_plan(config, name)
    zone = ZoneInfo(config.site.timezone)
    now_ms = SystemClock().now_ms()
    if again and serves_from is None:
        raise UsageError("needs a day", where="--again", hint="name it with --serves-from")
    start_ms = None if serves_from is None else _time_ms(serves_from, "--serves-from", zone)
    reference = _reference(config, plan, origin, (since, until), now_ms)
    made = fit(
        plan.inputs,
        [f"{plan.units[one]}/h" if one in plan.streams else plan.units[one] for one in plan.inputs],
        reference.inputs,
        reference.target,
        unit=plan.stream.unit,
        intercept=plan.intercept,
        reference=reference.source,
    )
    if dry_run:
        _print(plan.id, made, None, zone, as_json=as_json, left_out=reference.left_out)
        return
    submission = ModelSubmission(
        stream=plan.id, model=made, by=by or "cli", since_ms=start_ms, again=again
    )
    row = _keep(config, submission, now_ms, url, token_file)
    _print(plan.id, made, row, zone, as_json=as_json, left_out=reference.left_out)


@model.command("show")
@click.argument("name", metavar="ID", required=False)
@site_option
@json_option
def show_command(name: str | None, site_file: Path | None, as_json: bool) -> None:
    """Every version of the models: coefficients with standard errors, R², range, residuals."""
    from agent.daemon.computed import fitted_plan, model_row
    from agent.daemon.report_worker import load_config, read_only
    from agent.store.models import Models

    config = load_config(find_site_file(site_file))
    stream = None if name is None else fitted_plan(config, name).id
    with read_only(config) as connection:
        rows = [model_row(version) for version in Models(connection).versions(stream)]
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode({"models": rows}).decode())
        return
    if not rows:
        click.echo("no model is fitted yet: see `tanshu model fit --help`")
    for row in rows:
        _print(row.stream, row.model, row, ZoneInfo(config.site.timezone), as_json=False)


def _reference(
    config: SiteConfig,
    plan: DerivedPlan,
    origin: str | None,
    span: tuple[str | None, str | None],
    now_ms: int,
) -> Reference:
    from agent.book.ports import Span
    from agent.cli.model_reference import from_csv, from_stream
    from agent.daemon.report_worker import owner_of, read_only

    source = origin or plan.reference
    if source is None:
        hint = "--from FILE.csv, --from STREAM, or `reference` in the site file"
        raise UsageError("no reference", where=plan.id, hint=hint)
    since, until = span
    if source not in config.streams:
        if since or until:
            raise UsageError("is for streams", where="--since/--until", hint="cut the CSV file")
        return from_csv(Path(source), plan)
    zone = ZoneInfo(config.site.timezone)
    if since is None:
        raise UsageError("missing", where="--since", hint="the day the meter was installed")
    wanted = Span(
        from_ms=_time_ms(since, "--since", zone),
        to_ms=now_ms if until is None else _time_ms(until, "--until", zone),
    )
    with read_only(config) as connection:
        return from_stream(connection, config, owner_of(config), plan, source, wanted)


def _time_ms(text: str, where: str, zone: ZoneInfo) -> int:
    try:
        moment = datetime.datetime.fromisoformat(text)
        placed = moment if moment.tzinfo else moment.replace(tzinfo=zone)
        return round(placed.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise UsageError(
            f'"{text[:40]}" is no time', where=where, hint="2026-03-01 or 2026-03-01T08:00"
        ) from None


def _keep(
    config: SiteConfig,
    submission: ModelSubmission,
    now_ms: int,
    url: str | None,
    token_file: Path | None,
) -> ModelRow:
    """Hand the model to the running gateway, or to its file if none runs."""
    from agent.cli.activity_door import refuse_if_open, running_gateway
    from agent.cli.address import checked_url
    from agent.daemon.computed import keep_model
    from agent.daemon.report_worker import owner_of
    from agent.store.database import open_store

    address = running_gateway(config) if url is None else checked_url(url)
    if address is not None:
        return _post(address, config, submission, token_file)
    path = config.path.parent / config.store.path
    if not path.exists():
        raise StoreError(
            "there is no such database", where=str(path), hint="has the gateway run yet?"
        )
    refuse_if_open(path)
    database = open_store(path)
    try:
        return keep_model(database, owner_of(config), config, submission, now_ms)
    finally:
        database.close()


def _post(
    address: str, config: SiteConfig, submission: ModelSubmission, token_file: Path | None
) -> ModelRow:
    import msgspec

    from agent.cli.activity_door import token_of
    from agent.web.computed_view import ModelRow

    request = urllib.request.Request(  # noqa: S310
        f"{address}/api/v1/models",
        data=msgspec.json.encode(submission),
        headers={"content-type": "application/json"},
    )
    token = token_of(config, token_file)
    if token is not None:
        request.add_header("authorization", f"Bearer {token}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=TIMEOUT_S) as reply:
            return msgspec.json.decode(reply.read(), type=ModelRow)
    except urllib.error.HTTPError as error:
        answer = _answer(error)
        raise SyncError(
            f"the gateway refuses ({error.code}): {answer.get('what', error.reason)}",
            where=address,
            hint=str(answer.get("hint", "see `tanshu status`")),
        ) from error
    except (OSError, HTTPException, msgspec.MsgspecError) as error:
        raise SyncError(
            f"no gateway answers: {error}", where=address, hint="is `tanshu run` running?"
        ) from error


def _answer(error: urllib.error.HTTPError) -> dict[str, Any]:
    try:
        answer = json.load(error)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _print(
    stream: str,
    made: Model,
    row: ModelRow | None,
    zone: ZoneInfo,
    *,
    as_json: bool,
    left_out: int | None = None,
) -> None:
    import msgspec

    from agent.core.timebase import iso_local

    if as_json:
        content = {"stream": stream, "model": made} if row is None else msgspec.to_builtins(row)
        click.echo(msgspec.json.encode(content | {"left_out": left_out}).decode())
        return
    version = "not kept" if row is None else f"version {row.version}"
    served = "" if row is None else f", serves from {iso_local(row.since_ms, zone)}"
    click.echo(f"{stream}: {version}{served}")
    skipped = f", {left_out} left out" if left_out else ""
    click.echo(f"  fitted to {made.rows} rows of {made.reference}{skipped}; R² {made.r2:.4f}")
    click.echo(
        f"  90 % of residuals {made.residual_low:+.4g} to {made.residual_high:+.4g} {made.unit}/h"
    )
    _print_terms(made)


def _print_terms(made: Model) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("input", "coefficient", "± standard error", "valid from", "to", "unit")
    if made.intercept_error is not None:
        error = f"{made.intercept_error:.3g}"
        table.add_row("(constant)", f"{made.intercept:.6g}", error, "", "", f"{made.unit}/h")
    for part in made.coefficients:
        table.add_row(
            part.input,
            f"{part.value:.6g}",
            f"{part.standard_error:.3g}",
            f"{part.low:.6g}",
            f"{part.high:.6g}",
            part.unit,
        )
    Console(highlight=False).print(table)
