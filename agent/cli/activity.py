"""`tanshu activity`: what no meter reads: materials, products, stocks, waste, transport, bills."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from agent.cli.main import PROBLEMS
from agent.cli.options import Command, find_site_file, json_option, site_option
from agent.config.site import SiteConfig
from agent.core.activity import ActivityKind, Origin
from agent.core.errors import UsageError
from agent.web.activity_view import ActivityOutcome, ActivityRemark, ActivitySubmission


def door_options(command: Command) -> Command:
    """--url, --token-file, --dry-run: where entries go, and whether they do."""
    for option in (
        click.option("--dry-run", is_flag=True, help="Check only; store nothing."),
        click.option(
            "--token-file",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Token for a gateway on another machine.",
        ),
        click.option("--url", help="Address of the running gateway's page."),
        click.option("--author", default="", help="Who enters this."),
    ):
        command = option(command)
    return command


@click.group()
def activity() -> None:
    """Enter, import and list what no meter reads.

    Raw materials, products, intermediate stock, carbon contents, waste, transport and bills; per
    day, month or batch. The same period again is a correction: a new revision, the old one stays.
    """


_FIELD_OPTIONS: tuple[tuple[str, str], ...] = (
    ("--period", "2026-03-05, 2026-03, 2026-Q1, 2026 or 2026-03-01..2026-03-15."),
    ("--batch", "Number of a production batch, waybill or invoice."),
    ("--place", "Id of the device, unit, area or source it belongs to."),
    ("--carbon-content", "tC/t (gases: tC/10^4Nm3), or per cent as 85.7%."),
    ("--carbon-basis", "as-received, air-dried or dry."),
    ("--purity", "Fraction 0..1, or per cent as 99%."),
    ("--treatment", "Of waste: landfill, incineration, recycling, …"),
    ("--distance-km", "Of a transport."),
    ("--mode", "Vehicle of a transport."),
    ("--price-cny", "Price of the whole amount."),
    ("--origin", "manual, import, bill, laboratory or api."),
    ("--note", "Anything an auditor should know."),
)


def field_options(command: Command) -> Command:
    """One option per field of an entry beyond kind, item, amount and unit."""
    for name, text in reversed(_FIELD_OPTIONS):
        command = click.option(name, default="", help=text)(command)
    return command


@activity.command(context_settings={"ignore_unknown_options": True})  # -1 is an amount
@click.argument("kind")
@click.argument("item")
@click.argument("amount", required=False)
@click.argument("unit", required=False)
@field_options
@click.option("--retire", is_flag=True, help="Withdraw the entry of this item and period.")
@click.option(
    "--evidence",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Document behind it; it is copied to the store.",
)
@site_option
@door_options
@json_option
def add(
    kind: str,
    item: str,
    amount: str | None,
    unit: str | None,
    retire: bool,
    evidence: Path | None,
    site_file: Path | None,
    dry_run: bool,
    token_file: Path | None,
    url: str | None,
    author: str,
    as_json: bool,
    **details: str,
) -> int:
    """Enter one amount: KIND ITEM AMOUNT UNIT.

    Example: tanshu activity add raw-material 石脑油 12000 t --period 2026-03
    """
    from agent.cli.activity_door import evidence_of

    _refuse_unknown_options(kind, item, amount, unit)
    _refuse_negative(amount)
    if retire and amount is not None:
        raise UsageError("an amount and --retire", where="AMOUNT", hint="give one of them")
    fields: dict[str, object] = {name: text for name, text in details.items() if text}
    fields |= {"kind": kind, "item": item}
    if unit:
        fields["unit"] = unit
    if retire or amount is not None:
        fields["amount"] = None if retire else amount
    fields.setdefault("origin", Origin.MANUAL.value)
    if author:
        fields["author"] = author
    files = {}
    if evidence is not None:
        digest, data = evidence_of(evidence)
        files[digest] = data
        fields |= {"evidence_name": evidence.name, "evidence_sha256": digest}
    submission = ActivitySubmission(entries=(fields,), files=files, dry_run=dry_run)
    outcome, where = _submit(_config(site_file), submission, url, token_file)
    return _report(outcome, where, lambda _, field: field, as_json=as_json, dry_run=dry_run)


def _refuse_unknown_options(*words: str | None) -> None:
    for word in words:
        if word and word.startswith("-") and word[1:2] not in tuple("0123456789."):
            raise click.NoSuchOption(word)


def _refuse_negative(amount: str | None) -> None:
    if amount is not None and amount.startswith("-"):
        raise UsageError(
            f"{amount} is negative",
            where="AMOUNT",
            hint="enter what was used or made as a positive number; "
            "correct an earlier entry by a new revision of it",
        )


@activity.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--sheet", help="Name of the sheet; default the first.")
@click.option("--kind", default="", help="Kind of all rows without one.")
@click.option("--keep-good", is_flag=True, help="Store the good rows although others are faulty.")
@click.option(
    "--evidence",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Document behind all rows that name none.",
)
@site_option
@door_options
@json_option
def import_(
    file: Path,
    sheet: str | None,
    kind: str,
    keep_good: bool,
    evidence: Path | None,
    site_file: Path | None,
    dry_run: bool,
    token_file: Path | None,
    url: str | None,
    author: str,
    as_json: bool,
) -> int:
    """Import a CSV or XLSX sheet with a row of English or Chinese headings.

    All faults are named at once by their cell, and nothing is stored unless every row is good.
    """
    from agent.cli.activity_import import Defaults, collect, find_cell
    from agent.cli.activity_sheet import read_sheet

    config = _config(site_file)
    read = read_sheet(file, sheet, given=("kind",) if kind else ())
    defaults = Defaults(kind=kind, author=author, evidence=evidence)
    entries, files = collect(read, defaults, file.parent)
    held_back = bool(read.faults) and not keep_good
    outcome, where = ActivityOutcome(stored=False, entries=(), errors=(), warnings=()), ""
    if entries:
        submission = ActivitySubmission(
            entries=tuple(row.fields for row in entries),
            files=files,
            keep_good=keep_good,
            dry_run=dry_run or held_back,
        )
        outcome, where = _submit(config, submission, url, token_file)
    return _report(
        outcome,
        where,
        lambda index, field: find_cell(read, entries[index].number, field),
        cell_faults=[(fault.cell, fault.what, fault.hint) for fault in read.faults],
        as_json=as_json,
        dry_run=dry_run,
    )


@activity.command("list")
@click.option("--period", help="Only what touches this period, e.g. 2026-03.")
@click.option("--kind", type=click.Choice([kind.value for kind in ActivityKind]))
@click.option("--stream", help="Every revision of one stream.")
@click.option("--retired", is_flag=True, help="Show withdrawn entries too.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@site_option
@json_option
def list_(
    period: str | None,
    kind: str | None,
    stream: str | None,
    retired: bool,
    as_csv: bool,
    site_file: Path | None,
    as_json: bool,
) -> None:
    """List current entries, or the history of one stream."""
    from agent.cli.activity_list import print_entries, read_entries

    config = _config(site_file)
    chosen = None if kind is None else ActivityKind(kind)
    entries = read_entries(config, period, chosen, stream, retired=retired)
    print_entries(entries, config.site.timezone, as_csv=as_csv, as_json=as_json)


@activity.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--language", type=click.Choice(["zh-CN", "en"]), default="zh-CN")
def template(file: Path, language: str) -> None:
    """Write an empty sheet (XLSX or CSV) to fill in and import."""
    from agent.cli.activity_template import write_template

    write_template(file, language)
    click.echo(str(file))


def _config(site_file: Path | None) -> SiteConfig:
    from agent.daemon.service import load_config

    return load_config(find_site_file(site_file))[0]


def _submit(
    config: SiteConfig, submission: ActivitySubmission, url: str | None, token_file: Path | None
) -> tuple[ActivityOutcome, str]:
    from agent.cli.activity_door import submit

    return submit(config, submission, url, token_file)


def _report(
    outcome: ActivityOutcome,
    where: str,
    find: Callable[[int, str], str],
    *,
    as_json: bool,
    dry_run: bool,
    cell_faults: Sequence[tuple[str, str, str]] = (),
) -> int:
    """Say what came of it; 3 if anything was faulty."""
    errors = [
        *cell_faults,
        *(
            (find(error.index, error.where), _what(error, find), error.hint)
            for error in outcome.errors
        ),
    ]
    warnings = [
        (find(warning.index, warning.where), warning.what, warning.hint)
        for warning in outcome.warnings
    ]
    if as_json:
        click.echo(json.dumps(_document(outcome, where, errors, warnings), ensure_ascii=False))
    else:
        for place, what, hint in errors:
            click.echo(f"{place}: {what} ({hint})", err=True)
        for place, what, hint in warnings:
            click.echo(f"warning: {place}: {what} ({hint})", err=True)
        click.echo(_summary(outcome, where, len(errors), dry_run=dry_run))
    return PROBLEMS if errors else 0


def _what(error: ActivityRemark, find: Callable[[int, str], str]) -> str:
    if error.other is None:
        return error.what
    return f"{error.what}, {find(error.other, error.where)}"


def _document(
    outcome: ActivityOutcome,
    where: str,
    errors: Sequence[tuple[str, str, str]],
    warnings: Sequence[tuple[str, str, str]],
) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "stored": outcome.stored,
        "store": where,
        "entries": [asdict(entry) for entry in outcome.entries],
        "errors": [dict(zip(("where", "what", "hint"), error, strict=True)) for error in errors],
        "warnings": [
            dict(zip(("where", "what", "hint"), warning, strict=True)) for warning in warnings
        ],
    }


def _summary(outcome: ActivityOutcome, where: str, faults: int, *, dry_run: bool) -> str:
    counts: dict[str, int] = {}
    for entry in outcome.entries:
        counts[entry.change] = counts.get(entry.change, 0) + 1
    words = ", ".join(f"{count} {change}" for change, count in counts.items())
    if faults and not outcome.stored:
        return f"nothing stored: {faults} fault{'s' if faults > 1 else ''}"
    if dry_run:
        return f"would be stored: {words or 'nothing'}"
    if len(outcome.entries) == 1:
        only = outcome.entries[0]
        words = f"{only.change} {only.stream} revision {only.revision}"
    faulty = f"; {faults} faulty" if faults else ""
    return f"{words or 'nothing to store'}{faulty} ({where})"
