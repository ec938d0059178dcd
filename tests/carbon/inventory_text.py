"""Computing an inventory that a test writes as TOML."""

from __future__ import annotations

import textwrap
import tomllib
from typing import Any

from agent.cli.calc import as_document
from agent.config.factors import library
from agent.config.faults import Faults
from agent.config.inventory.evaluate import evaluate
from agent.config.inventory.read import inventory_of
from agent.core.errors import ConfigError, Fault

RULES = "GB/T 32151.10-2023"


def calculate(sources: str, *, rules: str = RULES, gwp: str | None = None) -> dict[str, Any]:
    """The JSON document of an inventory; ``ConfigError`` with its faults if it has any."""
    document, faults = _run(sources, rules, gwp)
    if document is None:
        raise ConfigError(faults)
    return document


def refused(sources: str, *, rules: str = RULES) -> list[Fault]:
    """The faults of an inventory that must not be computed."""
    document, faults = _run(sources, rules, None)
    assert document is None, "the inventory was computed"
    assert faults
    return list(faults)


def _run(
    sources: str, rules: str, gwp: str | None
) -> tuple[dict[str, Any] | None, tuple[Fault, ...]]:
    heading = f'[inventory]\nname = "t"\nrules = "{rules}"\n'
    heading += f'gwp = "{gwp}"\n' if gwp else ""
    faults = Faults("inventory.toml")
    tables = tomllib.loads(heading + textwrap.dedent(sources))
    inventory = inventory_of(tables, faults)
    result = None if inventory is None else evaluate(inventory, library(), faults)
    return (None if result is None else as_document(result)), faults.errors
