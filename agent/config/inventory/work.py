"""What the resolvers of the kinds share: looking up, citing, warning."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.config.factor_rows import FactorSet, Named
from agent.config.factors import Library
from agent.config.inventory.sections import Source
from agent.config.rules import Rules
from agent.core.carbon.amounts import convert_amount
from agent.core.carbon.basis import CarbonInputError, Gases
from agent.core.carbon.inventory import UsedFactor

USER = "user"
SUSPICIOUS = 0.005  # relative difference of table and chemical formula that a warning shows


class SourceFault(CarbonInputError):
    """A source that cannot be computed; ``where`` is the key below the source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a resolver found for its source."""

    gases: Gases
    activity: float
    activity_unit: str
    uncertainty: str  # which default of the rules holds for the factor
    tce: float | None = None
    biogenic_tco2: float = 0.0
    direct_tco2: float = 0.0  # of purchased energy: the part that the site's own plant burns
    activity_spread: float = 1.0  # activity error of the result per error of what it is made of


@dataclass(slots=True, kw_only=True)
class Work:
    """One source on its way from the file to its result."""

    library: Library
    rules: Rules
    origin: str = USER  # of what the file itself states, with its evidence
    key: str = ""  # the key whose lookup is under way, for errors that name none
    factors: list[UsedFactor] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def cite(
        self, factor_id: str, value: float, unit: str, row: Named, factor_set: FactorSet
    ) -> float:
        """Note a library value as used; returns it."""
        self.factors.append(
            UsedFactor(
                id=f"{factor_id}@{factor_set.id}",
                value=value,
                unit=unit,
                source=citation(row, factor_set),
                version=factor_set.version,
                row=row.id,
            )
        )
        return value

    def own(self, factor_id: str, value: float, unit: str) -> float:
        """Note a value of the file as used; returns it."""
        return self.derived(f"{factor_id}@{USER}", value, unit, self.origin)

    def derived(
        self, factor_id: str, value: float, unit: str, how: str, version: str = ""
    ) -> float:
        """Note a value computed from others as used; returns it."""
        self.factors.append(
            UsedFactor(id=factor_id, value=value, unit=unit, source=how, version=version)
        )
        return value

    def chosen(self, key: str, given: float | None, parameter: str, source: Source) -> float:
        """The value of the file, or else the parameter of a guide."""
        if given is not None:
            return self.own(f"{source.kind}/{key}", given, "1")
        row, factor_set = self.library.parameter(parameter)
        return self.cite(f"{source.kind}/{key}", row.value, row.unit, row, factor_set)

    def amount_in(self, target: str, amount: float, unit: str | None) -> float:
        """An amount of the file in the unit that the factor needs."""
        if unit is None:
            return amount
        self.key = "unit"
        return convert_amount(amount, unit, target)


def citation(row: Named, factor_set: FactorSet) -> str:
    """Standard, edition, table and row of a factor, with its status."""
    place = f"{factor_set.standard} {factor_set.edition}, {factor_set.table}"
    return f"{place}, {row.row or row.name_zh} [{factor_set.status}]"


def refuse_other_path(source: Source, *keys: str) -> None:
    """``SourceFault`` if ``factor`` stands beside keys that it replaces."""
    if source.factor is None:
        return
    for key in keys:
        if getattr(source, key) not in (None, (), 0.0):
            raise SourceFault(
                "stands beside factor",
                where=key,
                hint=f"one path only: factor, or {', '.join(keys)}",
            )


def missing(key: str, hint: str) -> SourceFault:
    return SourceFault("missing", where=key, hint=hint)
