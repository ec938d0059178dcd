"""Rule sets as data: which factors and conventions a report uses."""

from __future__ import annotations

import datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from agent.config.faults import Faults, nearest
from agent.config.resources import resource_dir
from agent.config.tables import read_table
from agent.config.toml import read_toml
from agent.core.errors import ConfigError, Fault, TanshuError

Percent = Annotated[float, Meta(ge=0, le=100)]


class RulesNotFound(TanshuError):
    """No rule set of that name."""


class Uncertainty(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Half of the 95 % interval of a default factor, in % of it, by group of kinds."""

    fuel: Percent
    electricity: Percent
    heat: Percent
    process: Percent = 5.0
    n2o: Percent = 10.0
    waste: Percent = 30.0
    transport: Percent = 20.0
    measured: Percent = 5.0
    user: Percent = 10.0
    activity: Percent = 2.0  # activity data without a stated accuracy


class Rules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule set: the factor sets it names and the conventions that differ between rules."""

    id: str
    name_zh: str
    name_en: str
    aliases: tuple[str, ...] = ()
    fuel_set: str
    heat_set: str
    grid_region: str
    grid_basis: Literal["average", "residual", "fossil"] = "average"
    gwp: Literal["SAR", "AR4", "AR5", "AR6"]
    material_sets: tuple[str, ...] = ("IPCC-2006-V3-3.10", "NDRC-2013-materials", "formula")
    carbonate_set: str = "GB/T-32151.10-2015"
    n2o_set: str = "NDRC-2013-N2O"
    flare_carbon_number: Annotated[float, Meta(gt=0)] = 3.0
    steam_feed_water_kj_per_kg: Annotated[float, Meta(ge=0)]
    kinds: tuple[str, ...] = ()  # kinds of source the text covers; empty: all
    rounding: Literal["whole-tonnes", "none"] = "none"  # of a report's totals, never inside
    missing_data_zh: str = ""
    missing_data_en: str = ""
    substitution: str = ""  # rule of conservative substitution for long gaps; empty: none
    uncertainty_pct: Uncertainty
    status: Literal["seen", "secondary", "computed", "user"]
    source: str
    note_zh: str = ""
    note_en: str = ""
    valid_from: datetime.date | None = None


def load_rules(directory: Path) -> tuple[Rules, ...]:
    """Read every rule set of a directory; ``ConfigError`` with all faults if any is wrong."""
    read: list[Rules] = []
    found: list[Fault] = []
    for path in sorted(directory.glob("*.toml")):
        faults = Faults(path.name)
        tables = read_toml(path, faults)
        rules = read_table(Rules, tables[1].get("rules"), "rules", faults) if tables else None
        found += faults.found
        if rules is not None:
            read.append(rules)
    if found:
        raise ConfigError(tuple(found))
    return tuple(read)


@lru_cache(maxsize=1)
def all_rules() -> tuple[Rules, ...]:
    """The rule sets that come with the product."""
    return load_rules(resource_dir() / "rules")


def rules_named(name: str) -> Rules:
    """The rule set of that id or alias; ``RulesNotFound`` names the closest one."""
    wanted = name.strip().casefold()
    for rules in all_rules():
        if wanted in (known.casefold() for known in (rules.id, *rules.aliases)):
            return rules
    ids = [rules.id for rules in all_rules()]
    editions = [known for known in ids if known.casefold().startswith(wanted)]
    raise RulesNotFound(f'unknown rule set "{name}"', hint=nearest(name, editions or ids))
