"""`tanshu calc`: the accounting engine on an inventory file, without meters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.cli.main import USAGE
from agent.cli.options import json_option

if TYPE_CHECKING:
    from rich.table import Table

    from agent.config.inventory.evaluate import InventoryResult
    from agent.core.carbon.inventory import SourceResult
    from agent.core.errors import Fault


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
def calc(file: Path, as_json: bool) -> int:
    """Compute the emissions of an inventory FILE.toml, line by line with every factor."""
    from agent.config.factors import library
    from agent.config.faults import Faults
    from agent.config.inventory.evaluate import evaluate
    from agent.config.inventory.read import read_inventory

    faults = Faults(str(file))
    inventory = read_inventory(file, faults)
    result = None if inventory is None else evaluate(inventory, library(), faults)
    if result is None:
        _print_faults(faults.errors, as_json)
        return USAGE
    if as_json:
        click.echo(json.dumps(as_document(result), ensure_ascii=False))
    else:
        _print_tables(result)
    return 0


def _print_faults(faults: tuple[Fault, ...], as_json: bool) -> None:
    """One line per fault on stderr; with --json one document on stdout instead."""
    if not as_json:
        for fault in faults:
            click.echo(str(fault), err=True)
    else:
        listed = [
            {"file": fault.file, "path": fault.path, "what": fault.what, "hint": fault.hint}
            for fault in faults
        ]
        error = {"what": f"{len(listed)} faults in the inventory", "faults": listed}
        click.echo(json.dumps({"error": error}, ensure_ascii=False))


def as_document(result: InventoryResult) -> dict[str, Any]:
    """The result as `tanshu calc --json` prints it: full precision, nothing rounded."""
    totals = result.totals
    document: dict[str, Any] = {
        "inventory": result.name,
        "rules": result.rules.id,
        "gwp": result.gwp.id,
        "total_tco2e": totals.tco2e,
        "total_without_energy_tco2e": totals.tco2e_without_energy,
        "uncertainty_pct": totals.uncertainty_pct,
        "interval_tco2e": [totals.lower_tco2e, totals.upper_tco2e],
        "estimated_share": totals.estimated_share,
        "tco2": totals.gases.tco2,
        "tch4": totals.gases.tch4,
        "tn2o": totals.gases.tn2o,
        "biogenic_tco2": totals.biogenic_tco2,
        "energy_tce": totals.tce,
        "subtotals": totals.subtotals,
        "subtotal_intervals": {
            kind: list(ends) for kind, ends in totals.subtotal_intervals.items()
        },
        "sources": [_source_document(source, result) for source in result.sources],
    }
    if result.allocation is not None:
        shared = result.allocation
        document["allocation"] = {
            "method": shared.method,
            "sources": list(shared.sources),
            "total_tco2e": shared.tco2e,
            "products": [
                {
                    "id": part.id,
                    "basis": part.basis,
                    "share": part.share,
                    "tco2e": part.part,
                }
                for part in shared.products
            ],
        }
    return document


def _source_document(source: SourceResult, result: InventoryResult) -> dict[str, Any]:
    return {
        "id": source.id,
        "kind": source.kind,
        "tco2e": source.gases.tco2e(result.gwp),
        "tco2": source.gases.tco2,
        "tch4": source.gases.tch4,
        "tn2o": source.gases.tn2o,
        "activity": source.activity,
        "activity_unit": source.activity_unit,
        "factors": [
            {"id": used.id, "value": used.value, "unit": used.unit, "source": used.source}
            for used in source.factors
        ],
        "uncertainty_pct": source.uncertainty_pct,
        "tce": source.tce,
        "biogenic_tco2": source.biogenic_tco2,
        "warnings": list(source.warnings),
    }


def _print_tables(result: InventoryResult) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    totals = result.totals
    title = escape(result.name or "Inventory")
    console.print(f"[bold]{title}[/]  {result.rules.id}, {result.gwp.id}")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading, justify in _COLUMNS:
        table.add_column(heading, justify=justify)
    for source in result.sources:
        tco2e = source.gases.tco2e(result.gwp)
        share = tco2e / totals.tco2e * 100 if totals.tco2e else 0.0
        table.add_row(
            escape(source.id),
            source.kind,
            f"{source.activity:,.6g} {escape(source.activity_unit)}",
            f"{tco2e:,.3f}",
            f"{share:.1f}",
            f"{source.uncertainty_pct:.1f}",
        )
    console.print(table)
    console.print(_totals_table(result, Table(box=box.SIMPLE_HEAD, pad_edge=False)))
    console.print(_factors_table(result, Table(box=box.SIMPLE_HEAD, pad_edge=False)))
    for source in result.sources:
        for text in source.warnings:
            words = escape(f"{source.id}: {text}")
            console.print(f"[yellow]warning[/] {words}", soft_wrap=True)


_COLUMNS: tuple[tuple[str, Any], ...] = (
    ("source", "left"),
    ("kind", "left"),
    ("activity", "right"),
    ("tCO2e", "right"),
    ("%", "right"),
    ("± %", "right"),
)


def _factors_table(result: InventoryResult, table: Table) -> Table:
    """Every number that was used, line by line, with its source."""
    from rich.markup import escape

    for heading in ("source", "factor", "value", "unit", "from"):
        justify: Any = "right" if heading == "value" else "left"
        table.add_column(heading, justify=justify, overflow="fold")
    for source in result.sources:
        for used in source.factors:
            unit = "" if used.unit == "1" else used.unit
            cells = (source.id, used.id, f"{used.value:.8g}", unit, used.source)
            table.add_row(*(escape(cell) for cell in cells))
    return table


def _totals_table(result: InventoryResult, table: Table) -> Table:
    from rich.markup import escape

    totals = result.totals
    table.add_column("total")
    table.add_column("", justify="right")
    table.add_column("95 % range", justify="right")
    for kind, value in totals.subtotals.items():
        lower, upper = totals.subtotal_intervals[kind]
        table.add_row(kind, f"{value:,.3f} tCO2e", f"{lower:,.3f} … {upper:,.3f}")
    table.add_row(
        "[bold]total[/]",
        f"[bold]{totals.tco2e:,.3f} tCO2e[/]",
        f"{totals.lower_tco2e:,.3f} … {totals.upper_tco2e:,.3f}",
    )
    if result.rules.rounding == "whole-tonnes":
        # each source and the total are rounded once, as the report form asks
        table.add_row("in the report", f"{round(totals.tco2e):,} t")
    table.add_row("without electricity and heat", f"{totals.tco2e_without_energy:,.3f} tCO2e")
    table.add_row("energy", f"{totals.tce:,.3f} tce")
    if totals.biogenic_tco2:
        table.add_row("biogenic CO2, not in the total", f"{totals.biogenic_tco2:,.3f} t")
    if totals.estimated_share:
        table.add_row("estimated", f"{totals.estimated_share * 100:.1f} %")
    for part in result.allocation.products if result.allocation is not None else ():
        name = escape(part.id)
        table.add_row(f"{name} ({part.share * 100:.4g} %)", f"{part.part:,.3f} tCO2e")
    return table
