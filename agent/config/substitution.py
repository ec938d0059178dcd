"""The rules of conservative substitution that come with the product."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import asdict

from agent.config.faults import Faults, nearest
from agent.config.resources import resource_dir
from agent.config.tables import read_table
from agent.config.toml import read_toml
from agent.core.errors import ConfigError, Fault, TanshuError
from agent.core.gaps.conservative import Basis, SubstitutionRule, Tier


class TierTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ``[[substitution.tiers]]``."""

    basis: Basis
    least_availability_pct: Annotated[float, Meta(ge=0, le=100)] = 0.0
    longest_gap_h: Annotated[float, Meta(gt=0)] | None = None
    percentile: Annotated[float, Meta(gt=0, le=100)] | None = None
    sigmas: Annotated[float, Meta(ge=0)] | None = None


class SubstitutionTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The ``[substitution]`` of a file."""

    id: str
    name_zh: str
    name_en: str
    look_back_h: Annotated[int, Meta(ge=1)]
    tiers: Annotated[tuple[TierTable, ...], Meta(min_length=1)]
    source: str
    status: Literal["seen", "secondary", "user"]


class SubstitutionNotFound(TanshuError):
    """No rule of that name."""


def load_substitutions(directory: Path) -> tuple[SubstitutionRule, ...]:
    """Read every rule of a directory; ``ConfigError`` with all faults if any is wrong."""
    read: list[SubstitutionRule] = []
    found: list[Fault] = []
    for path in sorted(directory.glob("*.toml")):
        faults = Faults(path.name)
        tables = read_toml(path, faults)
        table = (
            read_table(SubstitutionTable, tables[1].get("substitution"), "substitution", faults)
            if tables
            else None
        )
        if table is not None:
            found += _tier_faults(path.name, table)
            tiers = tuple(Tier(**asdict(tier)) for tier in table.tiers)
            read.append(SubstitutionRule(**{**asdict(table), "tiers": tiers}))
        found += faults.found
    if found:
        raise ConfigError(tuple(found))
    return tuple(read)


def _tier_faults(file: str, table: SubstitutionTable) -> list[Fault]:
    needs = {Basis.PERCENTILE: "percentile", Basis.MEAN_PLUS_SIGMAS: "sigmas"}
    return [
        Fault(
            file=file,
            path=f"substitution.tiers[{index}].{needs[tier.basis]}",
            what="missing",
            hint=f'basis = "{tier.basis}" needs it',
        )
        for index, tier in enumerate(table.tiers)
        if tier.basis in needs and getattr(tier, needs[tier.basis]) is None
    ]


@lru_cache(maxsize=1)
def all_substitutions() -> tuple[SubstitutionRule, ...]:
    """The rules that come with the product."""
    return load_substitutions(resource_dir() / "substitution")


def substitution_named(name: str) -> SubstitutionRule:
    """The rule of that id; ``SubstitutionNotFound`` names the closest one."""
    for rule in all_substitutions():
        if rule.id == name:
            return rule
    ids = [rule.id for rule in all_substitutions()]
    raise SubstitutionNotFound(f'unknown substitution rule "{name}"', hint=nearest(name, ids))
