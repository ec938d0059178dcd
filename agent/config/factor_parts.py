"""What a source's factor is composed of: one unit of it, computed as `tanshu calc` does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from agent.config.accounting import Accounting, accounting
from agent.config.check_periods import put_trial
from agent.config.factor_documents import COMPUTED, factor_document
from agent.config.factors import Library
from agent.config.faults import Faults
from agent.config.rules import rules_named
from agent.config.site import PeriodSource, SiteConfig, SourcePlan
from agent.config.source_amounts import KEY_UNITS, main_path, with_amount
from agent.config.source_eras import Era, source_eras
from agent.config.source_factor import USER
from agent.config.source_rate import evaluated
from agent.core.carbon.basis import KG_PER_T
from agent.core.carbon.inventory import SourceResult, UsedFactor
from agent.core.model import FactorRef
from agent.core.report.model import FactorDocument, FactorPart, SourcePlace
from agent.core.timebase import local_day
from agent.core.units import UnitError

# Numbers of a source that are amounts, or say how sure they are or of which year.
_NO_PART = frozenset(
    {
        *KEY_UNITS,
        "amount",
        "stock_start",
        "stock_end",
        "hours",
        "year",
        "meter_class",
        "uncertainty_activity_pct",
        "uncertainty_factor_pct",
        "estimated_share",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    """A source with one unit of its amount: its table, and what that comes to."""

    table: Mapping[str, Any]
    result: SourceResult


@dataclass(slots=True)
class FactorParts:
    """The factors that the site files hold now, and what they are composed of."""

    configs: Sequence[SiteConfig]
    library: Library
    _trials: dict[tuple[str, str, int], _Trial | None] = field(default_factory=dict)

    def factor_at(self, place: SourcePlace, start_ms: int) -> FactorRef | None:
        """The factor by which a source on a stream is to be booked; None of any other source."""
        _, plan = self._plan(place)
        return plan.factor_at(start_ms) if isinstance(plan, SourcePlan) else None

    def parts(self, place: SourcePlace, ref: FactorRef, start_ms: int) -> tuple[FactorPart, ...]:
        """The numbers behind a factor that was booked from this time on.

        Nothing where the factor is one number of a document, or none that holds now.
        """
        now = self.factor_at(place, start_ms)
        config, plan = self._plan(place)
        if config is None or plan is None or (now is not None and now != ref):
            return ()
        trial = self._trial(config, plan, start_ms)
        if trial is None:
            return ()
        used = trial.result.factors
        found = (
            *(self._part(one) for one in used),
            *_own_parts(trial.table, plan.section.kind, used),
            *self._potentials(config, trial.result),
        )
        return () if len(found) == 1 and found[0].id == ref.id else found

    def grid_kg_per_mwh(self, place: SourcePlace, start_ms: int) -> float | None:
        """What purchased electricity emits, of a source that a power plant's fuel is part of."""
        config, plan = self._plan(place)
        if config is None or not isinstance(plan, PeriodSource) or "own_plant" not in plan.table:
            return None
        trial = self._trial(config, plan, start_ms)
        if trial is None or not trial.result.direct_tco2:
            return None
        return trial.result.factors[0].value * KG_PER_T

    def _plan(
        self, place: SourcePlace
    ) -> tuple[SiteConfig | None, SourcePlan | PeriodSource | None]:
        name = place.id.removeprefix(f"{place.gateway}/")
        own = [one for one in self.configs if one.gateway.id == place.gateway]
        for config in own or self.configs:
            plan = config.sources.get(name) or config.period_sources.get(name)
            if plan is not None:
                return config, plan
        return None, None

    def _trial(
        self, config: SiteConfig, plan: SourcePlan | PeriodSource, start_ms: int
    ) -> _Trial | None:
        zone = ZoneInfo(config.site.timezone)
        basis = accounting(config.site, rules_named(config.site.rules), self.library, zone)
        eras = source_eras(plan.table, plan.section.changes, basis.rules, basis.library)
        place = max(
            place
            for place, era in enumerate(eras)
            if era.since is None or local_day(era.since, zone)[0] <= start_ms
        )
        key = (config.gateway.id, plan.id, place)
        if key not in self._trials:
            self._trials[key] = _tried(config, plan, eras[place], basis)
        return self._trials[key]

    def _part(self, used: UsedFactor) -> FactorPart:
        ref = FactorRef(id=used.id, version=used.version, value=used.value, unit=used.unit)
        document = factor_document(self.library, ref, used.row)
        if not used.version and not used.id.endswith(f"@{USER}"):
            document = FactorDocument(status=COMPUTED, source=used.source)
        return FactorPart(
            id=used.id, version=used.version, value=used.value, unit=used.unit, document=document
        )

    def _potentials(self, config: SiteConfig, result: SourceResult) -> Iterator[FactorPart]:
        row, origin = self.library.gwp(config.site.gwp)
        gases = (("CH4", row.ch4, result.gases.tch4), ("N2O", row.n2o, result.gases.tn2o))
        for gas, value, emitted in gases:
            if emitted:
                ref = FactorRef(
                    id=f"gwp/{row.id}/{gas}@{origin.id}",
                    version=origin.version,
                    value=value,
                    unit=f"kgCO2e/kg{gas}",
                )
                yield FactorPart(
                    id=ref.id,
                    version=ref.version,
                    value=ref.value,
                    unit=ref.unit,
                    document=factor_document(self.library, ref, row.id),
                )


def _tried(
    config: SiteConfig, plan: SourcePlan | PeriodSource, era: Era, basis: Accounting
) -> _Trial | None:
    table = deepcopy(era.applied(plan.table))
    try:
        if isinstance(plan, SourcePlan):
            unit = config.streams[plan.section.stream].unit
            path = main_path(plan.section.kind, table, unit)
            if path is None:
                return None
            table = with_amount(table, path, 1.0, unit)
        else:
            for feed in plan.feeds:
                put_trial(table, feed, config.streams.get(feed.stream), basis)
    except UnitError:
        return None
    result = evaluated(plan.id, table, era.rules, basis.library, Faults(""))
    return None if result is None else _Trial(table=table, result=result)


def _own_parts(
    table: Mapping[str, Any], kind: str, used: Sequence[UsedFactor]
) -> Iterator[FactorPart]:
    """The numbers that the site file states for a source, besides those that were noted as used."""
    noted = [
        (one.id.removesuffix(f"@{USER}").rpartition("/")[2].replace("-", "_"), one.value)
        for one in used
        if one.id.endswith(f"@{USER}")
    ]
    for path, value in _numbers(table, kind):
        key = path.rpartition("/")[2]
        if key == "factor" or any(key.startswith(name) and value == one for name, one in noted):
            continue
        yield FactorPart(
            id=f"{path}@{USER}",
            version="",
            value=value,
            unit="",
            document=FactorDocument(status=USER),
        )


def _numbers(value: Any, path: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for key, held in value.items():
            if key not in _NO_PART:
                yield from _numbers(held, f"{path}/{key}")
    elif isinstance(value, (list, tuple)):
        for place, held in enumerate(value, start=1):
            yield from _numbers(held, f"{path}[{place}]")
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield path, float(value)
