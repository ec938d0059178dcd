"""`tanshu factors`: the factor library, and what a new official table would change."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.cli import factor_packs
from agent.cli.options import WIDE, find_site_file, json_option, site_option
from agent.core.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from agent.config.factor_diff import PackDiff
    from agent.config.factor_rows import FactorSet, Named
    from agent.config.factors import Pack


@click.group()
def factors() -> None:
    """Show the factors that the accounts use, each with its source; import new tables."""


@factors.command("list")
@click.argument("kind", required=False)
@json_option
def list_sets(kind: str | None, as_json: bool) -> int:
    """List the factor sets: standard, edition, table, data year, validity, status."""
    from agent.config.factor_rows import ROWS
    from agent.config.factors import library

    if kind is not None and kind not in ROWS:
        raise UsageError(f'no factors of kind "{kind}"', hint="kinds: " + ", ".join(ROWS))
    packs = [pack for pack in library().packs if kind in (None, pack.set.kind)]
    if as_json:
        click.echo(json.dumps([_set_document(pack) for pack in packs], ensure_ascii=False))
        return 0
    _print_table(
        ("kind", "set", "standard", "edition", "table", "year", "from", "rows", "status"),
        [
            (
                pack.set.kind,
                pack.set.id,
                pack.set.standard,
                pack.set.edition,
                pack.set.table,
                str(pack.set.data_year or ""),
                str(pack.set.valid_from or ""),
                str(len(pack.rows)),
                pack.set.status,
            )
            for pack in packs
        ],
    )
    return 0


@factors.command()
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> int:
    """Show a set by its id, or every factor called NAME (柴油, diesel, 四川, CaCO3).

    NAME may also be the id of a factor as calc and reports print it.
    """
    from agent.config.factor_documents import row_of
    from agent.config.factors import FactorNotFound, library
    from agent.config.faults import nearest

    wanted = name.strip().casefold()
    packs = library().packs
    found = [
        (pack.set, row)
        for pack in packs
        for row in pack.rows
        if wanted == pack.set.id.casefold() or wanted in _names(row)
    ]
    factor, _, origin = name.strip().partition("@")
    for pack in packs if not found else ():
        row = row_of(pack.rows, factor) if pack.set.id == origin.partition("+")[0] else None
        found += [(pack.set, row)] if row is not None else []
    if not found:
        known = [pack.set.id for pack in packs]
        known += [row.id if name.isascii() else row.name_zh for pack in packs for row in pack.rows]
        raise FactorNotFound(
            f'nothing is called "{name}"',
            hint=nearest(name, known, otherwise="`tanshu factors list` shows the sets"),
        )
    if as_json:
        rows = [_row_document(factor_set, row) for factor_set, row in found]
        click.echo(json.dumps(rows, ensure_ascii=False))
        return 0
    for factor_set, row in found:
        _print_row(factor_set, row)
    return 0


@factors.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--against", help="Set to compare with; default the one that the file follows.")
@json_option
def diff(file: Path, against: str | None, as_json: bool) -> int:
    """Show what a factor FILE would change: rows added, removed, and every changed number."""
    _, changes = _read_and_compare(file, against)
    print_diff(changes, as_json)
    return 0


@factors.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the site's factor files; default $TANSHU_FACTORS or /etc/tanshu/factors.",
)
@click.option("--against", help="Set to compare with; default the one that the file follows.")
@click.option("--yes", is_flag=True, help="Import without asking.")
@click.option("--recalculate", is_flag=True, help="Also show what it does to booked emissions.")
@site_option
@json_option
def import_file(
    file: Path,
    folder: Path | None,
    against: str | None,
    yes: bool,
    recalculate: bool,
    site_file: Path | None,
    as_json: bool,
) -> int:
    """Add a factor FILE to the site's factors, after showing what it changes.

    A gateway takes it up at its next start or reload, and then books a new revision of every
    emission whose factor is another; the old revisions stay.
    """
    from agent.cli import recalculation
    from agent.config.factors import site_factors_dir

    pack, changes = _read_and_compare(file, against)
    months = []
    if recalculate:
        site = find_site_file(site_file)
        months = recalculation.foreseen(site, folder or site_factors_dir(), file, pack)
    if not as_json:
        print_diff(changes, as_json=False)
        if recalculate:
            recalculation.show(months)
        if not yes and not _confirmed():
            return 1
    elif not yes:
        raise UsageError("an import with --json needs --yes", hint="look at `factors diff` first")
    target = _install(file, pack, folder or site_factors_dir())
    if as_json:
        document = diff_document(changes) | {"imported_to": str(target)}
        if recalculate:
            document["recalculation"] = [asdict(month) for month in months]
        click.echo(json.dumps(document, ensure_ascii=False))
    else:
        click.echo(f"imported to {target}; a gateway takes it up when it is reloaded (SIGHUP)")
    return 0


for command in (
    factor_packs.pack,
    factor_packs.packs,
    factor_packs.check,
    factor_packs.review,
    factor_packs.approve,
    factor_packs.reject,
):
    factors.add_command(command)


def _confirmed() -> bool:
    try:
        if sys.stdin is not None:
            return click.confirm("Import this set?")
    except click.Abort as abort:
        # click reports the end of the input and Ctrl-C alike
        if isinstance(abort.__context__, KeyboardInterrupt):
            raise
        click.echo(err=True)
    click.echo("tanshu: not imported; use --yes where nobody can answer", err=True)
    return False


def _read_and_compare(file: Path, against: str | None) -> tuple[Pack, PackDiff]:
    from agent.config.factor_diff import compare
    from agent.config.factors import library, read_pack
    from agent.config.faults import Faults

    faults = Faults(str(file))
    pack = read_pack(file, faults)
    if pack is None or faults.errors:
        raise ConfigError(faults.errors)
    return pack, compare(pack, library(), against)


def _install(file: Path, pack: Pack, folder: Path) -> Path:
    """A copy under a name made of kind and set; what it replaces is kept under its version."""
    from agent.config.factor_install import FactorFile, install, prepare

    files = [FactorFile(kind=pack.set.kind, id=pack.set.id, content=file.read_bytes())]
    prepare(folder, files)
    return install(folder, files)[0]


def _names(row: Named) -> tuple[str, ...]:
    return tuple(name.casefold() for name in (row.id, row.name_zh, row.name_en, *row.aliases))


def _set_document(pack: Pack) -> dict[str, Any]:
    import msgspec

    return msgspec.to_builtins(pack.set) | {"rows": len(pack.rows)}  # type: ignore[no-any-return]


def _row_document(factor_set: FactorSet, row: Named) -> dict[str, Any]:
    import msgspec

    return {"set": msgspec.to_builtins(factor_set), **msgspec.to_builtins(row)}


def _print_row(factor_set: FactorSet, row: Named) -> None:
    from agent.config.factor_diff import values_of

    values = ", ".join(f"{field} {value}" for field, value in values_of(row).items())
    year = f", data year {factor_set.data_year}" if factor_set.data_year else ""
    valid = f", valid from {factor_set.valid_from}" if factor_set.valid_from else ""
    basis = getattr(row, "basis", "")
    click.echo(f"{factor_set.kind}/{row.id}{' ' + basis if basis else ''} ({row.name_zh})")
    click.echo(f"  {values}")
    click.echo(
        f"  {factor_set.standard} {factor_set.edition}, {factor_set.table}, "
        f"{row.row or row.name_zh}{year}{valid} [{factor_set.status}], "
        f"set {factor_set.id}, version {factor_set.version}"
    )
    click.echo(f"  source: {factor_set.source}")
    if row.note:
        click.echo(f"  note: {row.note}")


def print_diff(changes: PackDiff, as_json: bool) -> None:
    """What a factor file changes, value by value."""
    if as_json:
        click.echo(json.dumps(diff_document(changes), ensure_ascii=False))
        return
    base = "nothing" if changes.base is None else f"{changes.base.id} ({changes.base.version})"
    click.echo(f"{changes.set.kind} {changes.set.id} ({changes.set.version}) against {base}:")
    _print_table(
        ("row", "value", "old", "new", "change"),
        [
            (
                change.row,
                change.field,
                str(change.old),
                str(change.new),
                "" if change.change_pct is None else f"{change.change_pct:+.2f} %",
            )
            for change in changes.changed
        ],
    )
    for word, rows in (("added", changes.added), ("removed", changes.removed)):
        if rows:
            click.echo(f"{word}: {', '.join(rows)}")
    click.echo(
        f"{len({change.row for change in changes.changed})} rows changed, "
        f"{len(changes.added)} added, {len(changes.removed)} removed, "
        f"{changes.unchanged} unchanged"
    )


def diff_document(changes: PackDiff) -> dict[str, Any]:
    """What a factor file changes, for `--json`."""
    return {
        "kind": changes.set.kind,
        "set": changes.set.id,
        "version": changes.set.version,
        "base": None if changes.base is None else changes.base.id,
        "base_version": None if changes.base is None else changes.base.version,
        "added": list(changes.added),
        "removed": list(changes.removed),
        "changed": [
            {
                "row": change.row,
                "field": change.field,
                "old": change.old,
                "new": change.new,
                "change_pct": change.change_pct,
            }
            for change in changes.changed
        ],
        "unchanged": changes.unchanged,
    }


def _print_table(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    if not rows:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        # an id is copied from here, so it stays whole; a narrow terminal folds the rest
        table.add_column(heading, overflow="fold", no_wrap=heading == "set")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    Console(highlight=False, width=None if sys.stdout.isatty() else WIDE).print(table)
