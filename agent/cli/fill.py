"""`tanshu fill`: the gap filler on a table, without meters."""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.cli.options import json_option
from agent.core.errors import UsageError

if TYPE_CHECKING:
    from agent.cli.fill_table import Table
    from agent.core.gaps.conservative import SubstitutionRule
    from agent.core.gaps.filled import FilledGap, Rules

_UNITS_H = {"s": 1 / 3600, "m": 1 / 60, "min": 1 / 60, "h": 1.0, "d": 24.0}
RATE = "rate"


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--out",
    "-o",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the filled table goes.",
)
@click.option(
    "--kind",
    type=click.Choice(["amount", RATE]),
    default="amount",
    show_default=True,
    help="What a value is: an amount per interval, or a mean rate per hour.",
)
@click.option(
    "--short",
    default="2h",
    show_default=True,
    help="Up to which length a gap is filled from its neighbours by rule.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the pseudo-gaps drawn.")
@click.option("--zone", help="Clock by which the plant works, as Asia/Shanghai.")
@click.option(
    "--substitute",
    metavar="RULE",
    help="Conservative rule for gaps that no method may fill, as eu-mrr-45; default: none.",
)
@json_option
def fill(
    file: Path,
    out: Path,
    kind: str,
    short: str,
    seed: int,
    zone: str | None,
    substitute: str | None,
    as_json: bool,
) -> int:
    """Fill the gaps of FILE.csv, and say of every value how it was obtained and how sure it is.

    Columns: time (ISO 8601), value (empty = missing), optional register (cumulative), load,
    maintenance (1 = stopped); any other column is an operating condition.
    """
    from agent.cli.fill_table import read_table
    from agent.core.gaps.filled import Rules

    if not file.is_file():
        raise UsageError("there is no such file", where=str(file), hint="check the path")
    if seed < 0:
        raise UsageError(f"not a seed: {seed}", where="--seed", hint="give 0 or more")
    table = read_table(file, _zone(zone))
    rules = Rules(
        short_h=_hours(short),
        seed=seed,
        substitute=_rule(substitute),
    )
    hours = table.series.step_ms / 3_600_000 if kind == RATE else 1.0
    results = fill_table(table, rules, hours)
    _write(out, table, results)
    document = _document(table, results, hours)
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False))
    else:
        _print(document)
    return 0


def fill_table(table: Table, rules: Rules, hours: float) -> list[FilledGap]:
    """All gaps of a table in time order; ``hours`` turns a value into an amount."""
    from agent.core.gaps.fill import Filler
    from agent.core.gaps.filled import Gap
    from agent.core.gaps.register import at_bounds, find_gaps, resolution_of

    values, register = table.series.values, table.register
    if register is None or not math.isfinite(float(register[_first_known(register)])):
        gaps = find_gaps(values, None, 0.0)
    else:
        bounds = at_bounds(values * hours, register) / hours
        gaps = find_gaps(values, bounds, resolution_of(register) / hours)
    filler = Filler(table.series, rules)
    classes: dict[tuple[int, bool], list[int]] = {}
    for gap in gaps:
        classes.setdefault(_class_of(gap), []).append(len(gap))

    def like(gap: Gap) -> int:
        lengths = sorted(classes[_class_of(gap)])
        return lengths[len(lengths) // 2]

    return [filler.fill(gap, like=like(gap)) for gap in gaps]


def _first_known(register: Any) -> int:
    import numpy as np

    return int(np.isfinite(register).argmax())


def _class_of(gap: Any) -> tuple[int, bool]:
    """Gaps within a factor of three share what is learned."""
    return round(math.log(len(gap), 3)), gap.total is not None


def _hours(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d)", text.strip())
    if match is None:
        raise UsageError(f"not a duration: {text!r}", where="--short", hint="write 2h or 90min")
    return float(match[1]) * _UNITS_H[match[2]]


def _rule(name: str | None) -> SubstitutionRule | None:
    from agent.config.substitution import SubstitutionNotFound, substitution_named

    try:
        return None if name is None else substitution_named(name)
    except SubstitutionNotFound as error:
        raise UsageError(error.what, where="--substitute", hint=error.hint) from error


def _zone(name: str | None) -> Any:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return None if name is None else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        hint = "give a name as Asia/Shanghai"
        raise UsageError(f"no such time zone: {name!r}", where="--zone", hint=hint) from error


def _number(value: float) -> str:
    if math.isnan(value):
        return ""
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _write(out: Path, table: Table, results: list[FilledGap]) -> None:
    filled = {}
    for result in results:
        quality = "missing" if result.total is None else "suspect"
        if result.method == "register":
            quality = "good"
        for offset, value in enumerate(result.values):
            filled[result.gap.first + offset] = (
                _number(float(value)),
                quality,
                str(result.provenance),
                result.method,
                _number(float(result.lower[offset])),
                _number(float(result.upper[offset])),
            )
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("time", "value", "quality", "provenance", "method", "lower", "upper"))
        for row, (time, text) in enumerate(zip(table.times, table.value_texts, strict=True)):
            measured = (text, "good", "measured", "reading", text, text)
            writer.writerow((time, *filled.get(row, measured)))


def _document(table: Table, results: list[FilledGap], hours: float) -> dict[str, Any]:
    def bound(index: int) -> str | None:
        """Time at which an interval begins, as written; of the end of the table none."""
        return table.times[index] if index < len(table.times) else None

    def amount(value: float | None) -> float | None:
        return None if value is None else round(value * hours, 6)

    gaps = [
        {
            "start": bound(result.gap.first),
            "end": bound(result.gap.end),
            "intervals": len(result.gap),
            "total": amount(result.total),
            "total_known": result.gap.total is not None,
            "total_lower": amount(result.total_lower),
            "total_upper": amount(result.total_upper),
            "provenance": str(result.provenance),
            "method": result.method,
            "backtest_score": result.score_pct,
            "calibration_size": result.calibration,
            "matched": [
                {"start": bound(first), "end": bound(end)} for first, end in result.matched
            ],
            "provisional": result.provisional,
            "reason": result.reason,
        }
        for result in results
    ]
    missing = sum(len(result.gap) for result in results if result.total is None)
    lacking = sum(len(result.gap) for result in results)
    return {
        "rows": len(table.times),
        "interval_s": table.series.step_ms / 1000,
        "measured": len(table.times) - lacking,
        "filled": lacking - missing,
        "missing": missing,
        "interval_level": 0.9,
        "gaps": gaps,
    }


def _print(document: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table as Rich

    click.echo(
        f"{document['rows']} intervals: {document['measured']} measured, "
        f"{document['filled']} filled, {document['missing']} left empty"
    )
    if not document["gaps"]:
        return
    sheet = Rich(box=None)
    for name in ("start", "intervals", "total", "90 %", "method", "back-test"):
        sheet.add_column(name)
    for gap in document["gaps"]:
        known = " (register)" if gap["total_known"] else ""
        sheet.add_row(
            gap["start"],
            str(gap["intervals"]),
            "-" if gap["total"] is None else f"{gap['total']:g}{known}",
            ""
            if gap["total_lower"] is None
            else f"{gap['total_lower']:.4g} to {gap['total_upper']:.4g}",
            gap["method"] if gap["total"] is not None else gap["reason"],
            "" if gap["backtest_score"] is None else f"{gap['backtest_score']:.1f} %",
        )
    Console(width=160).print(sheet)
