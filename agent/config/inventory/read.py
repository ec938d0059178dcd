"""From an inventory file to its tables, with all faults at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.config.faults import Faults, nearest
from agent.config.inventory.sections import KINDS, Allocation, Heading, Source
from agent.config.tables import bare, item_label, read_table, show
from agent.config.toml import read_toml

_TABLES = ("inventory", "source", "allocation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What an inventory file says."""

    heading: Heading
    sources: tuple[tuple[str, Source], ...]  # with the TOML path of each
    allocation: Allocation | None


def read_inventory(path: Path, faults: Faults) -> Inventory | None:
    """The inventory of a TOML file; None where a fault keeps it from being computed."""
    read = read_toml(path, faults)
    return None if read is None else inventory_of(read[1], faults)


def inventory_of(tables: Mapping[str, Any], faults: Faults) -> Inventory | None:
    """The inventory of parsed tables; None, with every fault noted, if any is wrong."""
    for key in tables:
        if key not in _TABLES:
            faults.add(bare(key), "unknown table", nearest(key, _TABLES))
    heading = read_table(Heading, tables.get("inventory"), "inventory", faults)
    sources = _sources(tables.get("source", []), faults)
    allocation = None
    if "allocation" in tables:
        allocation = read_table(Allocation, tables["allocation"], "allocation", faults)
    if faults.errors or heading is None:
        return None
    return Inventory(heading=heading, sources=sources, allocation=allocation)


def _sources(listed: object, faults: Faults) -> tuple[tuple[str, Source], ...]:
    if not isinstance(listed, list) or not listed:
        faults.add("source", "there is none", "write [[source]] with id and kind")
        return ()
    found: list[tuple[str, Source]] = []
    seen: set[str] = set()
    for place, table in enumerate(listed, start=1):
        path = f"source[{item_label(table, place)}]"
        kind = table.get("kind") if isinstance(table, Mapping) else None
        if not isinstance(kind, str) or kind not in KINDS:
            what = "missing" if kind is None else f"unknown kind {show(kind)}"
            faults.add(f"{path}.kind", what, nearest(str(kind), KINDS))
            continue
        source = read_table(KINDS[kind], table, path, faults)
        if source is None:
            continue
        if source.id in seen:
            faults.add(f"{path}.id", f"{show(source.id)} is used twice", "one id per source")
        seen.add(source.id)
        if source.factor == 0 and source.evidence is None:
            faults.add(
                f"{path}.factor",
                "0 needs evidence",
                'evidence = "…": the contract with settlement, certificates or own records',
            )
        found.append((path, source))
    return tuple(found)
