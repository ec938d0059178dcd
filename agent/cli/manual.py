"""`tanshu manual`: readings that people take, and the estimates that they verify."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from agent.cli.main import PROBLEMS, USAGE
from agent.cli.options import Command, find_site_file, json_option, site_option
from agent.config.site import SiteConfig
from agent.core.activity import Origin
from agent.core.errors import UsageError
from agent.web.manual_view import ManualOutcome, ManualSubmission, ManualTasks, VerifySubmission


def door_options(command: Command) -> Command:
    """--url and --token-file: where entries go."""
    command = click.option("--url", help="Address of the running gateway's page.")(command)
    return click.option(
        "--token-file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Token for a gateway on another machine.",
    )(command)


dry_run_option = click.option("--dry-run", is_flag=True, help="Check only; store nothing.")


@click.group()
def manual() -> None:
    """Enter, import and list readings that people take; verify estimates.

    The meters stand as [[manual]] tables in the site file. The same meter and time again is a
    correction: a new revision, the old one stays.
    """


@manual.command(context_settings={"ignore_unknown_options": True})  # -1 is a value
@click.argument("meter")
@click.argument("value", required=False)
@click.option("--at", "time", required=True, help="When it was read: 2026-03-05 08:00.")
@click.option("--by", "reader", default="", help="Who read it.")
@click.option("--unit", default="", help="Other than the meter's own.")
@click.option("--old-end", default="", help="Last reading of a meter that was replaced since.")
@click.option("--new-start", default="", help="First reading of the new one.")
@click.option("--running-hours", default="", help="How long the device ran since the last reading.")
@click.option("--note", default="", help="Anything an auditor should know.")
@click.option("--retire", is_flag=True, help="Withdraw the entry of this meter and time.")
@click.option(
    "--evidence",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Photo or document behind it; it is copied to the store.",
)
@dry_run_option
@site_option
@door_options
@json_option
def add(
    meter: str,
    value: str | None,
    time: str,
    reader: str,
    unit: str,
    old_end: str,
    new_start: str,
    running_hours: str,
    note: str,
    retire: bool,
    evidence: Path | None,
    site_file: Path | None,
    dry_run: bool,
    token_file: Path | None,
    url: str | None,
    as_json: bool,
) -> int:
    """Enter one reading: METER VALUE --at TIME --by NAME.

    Example: tanshu manual add steam-old 18452.5 --at "2026-03-05 08:00" --by 王工
    """
    from agent.cli.activity_door import evidence_of

    if value is not None and value.startswith("-") and value[1:2] not in tuple("0123456789."):
        raise click.NoSuchOption(value)
    if retire == (value is not None):
        raise UsageError("a value, or --retire", where="VALUE", hint="give one of them")
    fields: dict[str, object] = {
        name: text
        for name, text in (
            ("author", reader),
            ("unit", unit),
            ("old_end", old_end),
            ("new_start", new_start),
            ("running_h", running_hours),
            ("note", note),
        )
        if text
    }
    fields |= {"meter": meter, "time": time, "value": None if retire else value}
    fields["origin"] = Origin.MANUAL.value
    files = {}
    if evidence is not None:
        digest, data = evidence_of(evidence)
        files[digest] = data
        fields |= {"evidence_name": evidence.name, "evidence_sha256": digest}
    submission = ManualSubmission(entries=(fields,), files=files, dry_run=dry_run)
    outcome, where = _submit(_config(site_file), submission, url, token_file)
    _report(outcome, where, lambda _, field: field, as_json=as_json, dry_run=dry_run)
    return PROBLEMS if outcome.errors else 0


@manual.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--sheet", help="Name of the sheet; default the first.")
@click.option("--meter", default="", help="Meter of all lines without one.")
@click.option("--by", "reader", default="", help="Who read what names nobody.")
@dry_run_option
@site_option
@door_options
@json_option
def import_(
    file: Path,
    sheet: str | None,
    meter: str,
    reader: str,
    site_file: Path | None,
    dry_run: bool,
    token_file: Path | None,
    url: str | None,
    as_json: bool,
) -> int:
    """Import a CSV or XLSX sheet with the headings meter, time, value (仪表、时间、读数).

    All faults are named at once by line and column, and nothing is stored unless every line is
    good; then the exit code is 2.
    """
    from zoneinfo import ZoneInfo

    from agent.cli.manual_sheet import Defaults, read_readings

    config = _config(site_file)
    defaults = Defaults(meter=meter, author=reader)
    read = read_readings(file, sheet, ZoneInfo(config.site.timezone), defaults)
    outcome, where = ManualOutcome(stored=False, entries=(), errors=(), warnings=()), ""
    if read.entries:
        submission = ManualSubmission(
            entries=tuple(read.entries), files=read.files, dry_run=dry_run or bool(read.faults)
        )
        outcome, where = _submit(config, submission, url, token_file)
    _report(
        outcome,
        where,
        lambda index, field: read.place(read.lines[index], field),
        faults=read.faults,
        as_json=as_json,
        dry_run=dry_run,
    )
    return USAGE if read.faults or outcome.errors else 0


@manual.command("list")
@click.option("--period", help="Only this day, month or span, e.g. 2026-03.")
@click.option("--meter", default="", help="Every revision of one meter.")
@click.option("--overdue", is_flag=True, help="Readings that should be there and are not.")
@site_option
@json_option
def list_(
    period: str | None, meter: str, overdue: bool, site_file: Path | None, as_json: bool
) -> None:
    """List current entries, the history of one meter, or what is overdue."""
    from agent.cli.manual_door import read_tasks
    from agent.cli.manual_list import listed_entries, print_entries, print_overdue

    config = _config(site_file)
    if overdue:
        print_overdue(read_tasks(config).overdue, config.site.timezone, as_json=as_json)
    else:
        entries = listed_entries(config, period, meter)
        print_entries(entries, config.site.timezone, as_json=as_json)


@manual.command(context_settings={"ignore_unknown_options": True})  # -1 is a value
@click.argument("task")
@click.option("--value", type=float, help="Amount from the task's start to its end.")
@click.option("--unit", default="", help="Other than the stream's own.")
@click.option("--accept", is_flag=True, help="The estimate stands.")
@click.option("--by", "reader", default="", help="Who vouches for it.")
@click.option("--note", default="", help="What it is taken from.")
@click.option("--settled", is_flag=True, help="With `list`: what was settled, and by whom.")
@site_option
@door_options
@json_option
def verify(
    task: str,
    value: float | None,
    unit: str,
    accept: bool,
    reader: str,
    note: str,
    settled: bool,
    token_file: Path | None,
    url: str | None,
    site_file: Path | None,
    as_json: bool,
) -> None:
    """List what is to be verified (`verify list`), or settle a task: TASK --value X --by NAME.

    Each estimate that stood for a silent meter is a task once the meter answers again. A value
    replaces it by new revisions that add up to it; --accept lets it stand.
    """
    from agent.cli.manual_door import read_settled, read_tasks
    from agent.cli.manual_door import verify as settle
    from agent.cli.manual_list import print_settled, print_tasks

    config = _config(site_file)
    if task == "list" and settled:
        print_settled(read_settled(config), config.site.timezone, as_json=as_json)
        return
    if task == "list":
        tasks: ManualTasks = read_tasks(config)
        print_tasks(tasks.to_verify, config.site.timezone, as_json=as_json)
        return
    submission = VerifySubmission(
        task=task, author=reader, value=value, unit=unit, accept=accept, note=note
    )
    outcome = settle(config, submission, url, token_file)
    if as_json:
        click.echo(json.dumps(asdict(outcome), ensure_ascii=False))
        return
    before = "no value" if outcome.before is None else f"{outcome.before:.10g} {outcome.unit}"
    if outcome.decision == "accepted":
        click.echo(f"{outcome.task}: {before} accepted")
        return
    after = f"{outcome.after:.10g} {outcome.unit}"
    click.echo(f"{outcome.task}: {before} → {after}, {outcome.windows} windows revised")
    for month in outcome.adjusted:
        click.echo(f"{month} was signed already: its figures were adjusted")


def _config(site_file: Path | None) -> SiteConfig:
    from agent.daemon.service import load_config

    return load_config(find_site_file(site_file))[0]


def _submit(
    config: SiteConfig, submission: ManualSubmission, url: str | None, token_file: Path | None
) -> tuple[ManualOutcome, str]:
    from agent.cli.manual_door import submit

    return submit(config, submission, url, token_file)


def _report(
    outcome: ManualOutcome,
    where: str,
    place: Callable[[int, str], str],
    *,
    as_json: bool,
    dry_run: bool,
    faults: Sequence[str] = (),
) -> None:
    """Say what came of it: faults and warnings on stderr, the result on stdout."""
    errors = [
        *faults,
        *(
            f"{place(error.index, error.where)}: {error.what}"
            f"{'' if error.other is None else f', {place(error.other, error.where)}'} "
            f"({error.hint})"
            for error in outcome.errors
        ),
    ]
    warnings = [
        f"{place(one.index, one.where)}: {one.what} ({one.hint})" for one in outcome.warnings
    ]
    if as_json:
        document = {
            "stored": outcome.stored,
            "store": where,
            "entries": [asdict(entry) for entry in outcome.entries],
            "errors": errors,
            "warnings": warnings,
        }
        click.echo(json.dumps(document, ensure_ascii=False))
        return
    for error in errors:
        click.echo(error, err=True)
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(_summary(outcome, where, len(errors), dry_run=dry_run))


def _summary(outcome: ManualOutcome, where: str, faults: int, *, dry_run: bool) -> str:
    if faults:
        return f"nothing stored: {faults} fault{'s' if faults > 1 else ''}"
    counts: dict[str, int] = {}
    for entry in outcome.entries:
        counts[entry.change] = counts.get(entry.change, 0) + 1
    words = ", ".join(f"{count} {change}" for change, count in counts.items())
    if dry_run:
        return f"would be stored: {words}"
    if len(outcome.entries) == 1:
        only = outcome.entries[0]
        words = f"{only.change} {only.stream} revision {only.revision}"
    return f"{words} ({where})"
