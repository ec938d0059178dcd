"""What every source of a site is computed with: rules, factors, warming potentials, calendar."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from agent.config import sections
from agent.config.factors import Library
from agent.config.rules import Rules
from agent.core.carbon.basis import WarmingPotentials


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounting:
    """The rules of one site with the library that they take factors from."""

    rules: Rules
    library: Library
    gwp: WarmingPotentials
    zone: ZoneInfo


def accounting(site: sections.Site, rules: Rules, library: Library, zone: ZoneInfo) -> Accounting:
    """The accounting of a site under its rules and warming potentials."""
    row, _ = library.gwp(site.gwp)
    return Accounting(
        rules=rules,
        library=library,
        gwp=WarmingPotentials(id=row.id, ch4=row.ch4, n2o=row.n2o),
        zone=zone,
    )
