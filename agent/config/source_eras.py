"""Which rules and own factors hold for a source, and from which day on."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from agent.config.factors import Library
from agent.config.rules import Rules
from agent.config.sections import FactorChange

# The kinds of factor set that a kind of source takes from the rules.
_SETS_OF_KIND = {
    "fuel": ("fuel",),
    "heat": ("heat",),
    "carbonate": ("carbonate",),
    "nitric_acid": ("n2o",),
    "adipic_acid": ("n2o",),
    "carbon_balance": ("material", "fuel"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Era:
    """What a source is computed with from a local day on; the first has always held."""

    since: datetime.date | None
    rules: Rules
    keys: Mapping[str, Any] = field(default_factory=dict)  # of the source's table, replaced

    def applied(self, table: Mapping[str, Any]) -> dict[str, Any]:
        """The source's table as it holds in this era."""
        return {**table, **self.keys}


def source_eras(
    table: Mapping[str, Any], changes: Iterable[FactorChange], rules: Rules, library: Library
) -> tuple[Era, ...]:
    """The eras of a source, oldest first.

    A factor of its own is followed by its `changes`; electricity without `year` follows the data
    years of the grid; everything else the sets that supersede those of the rules.
    """
    kind = str(table["kind"])
    first = Era(since=None, rules=rules)
    if table.get("factor") is not None:
        own = [Era(since=one.since, rules=rules, keys={"factor": one.factor}) for one in changes]
        return (first, *own)
    if kind == "electricity" and table.get("year") is None:
        region = table.get("region") or rules.grid_region
        years = library.grid_years(region, table.get("basis") or rules.grid_basis)
        return tuple(
            Era(
                since=datetime.date(year, 1, 1) if place else None,
                rules=rules,
                keys={"year": year},
            )
            for place, year in enumerate(years)
        )
    return (first, *_following_rules(_SETS_OF_KIND.get(kind, ()), rules, library))


def _following_rules(kinds: Iterable[str], rules: Rules, library: Library) -> list[Era]:
    """The rules with each set replaced by its successor from the day it holds."""
    steps = sorted(
        (
            (successor.valid_from, kind, base, successor.id)
            for kind in kinds
            for base in _bases(kind, rules)
            for successor in library.successors(kind, base)
            if successor.valid_from is not None
        ),
        key=lambda step: step[0],
    )
    eras = []
    current = {(kind, base): base for _, kind, base, _ in steps}
    for since, kind, base, successor in steps:
        rules = _replaced(rules, kind, current[kind, base], successor)
        current[kind, base] = successor
        eras.append(Era(since=since, rules=rules))
    return eras


def _bases(kind: str, rules: Rules) -> tuple[str, ...]:
    return rules.material_sets if kind == "material" else (str(getattr(rules, f"{kind}_set")),)


def _replaced(rules: Rules, kind: str, former: str, successor: str) -> Rules:
    if kind == "material":
        sets = tuple(successor if name == former else name for name in rules.material_sets)
        return msgspec.structs.replace(rules, material_sets=sets)
    return msgspec.structs.replace(rules, **{f"{kind}_set": successor})
