"""The factor of a source on a stream, from `tanshu calc`'s own rules at one unit of the stream."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from agent.config import sections
from agent.config.accounting import Accounting
from agent.config.draft import Draft, Item
from agent.config.factors import FactorNotFound, Library
from agent.config.faults import Faults
from agent.config.inventory.evaluate import source_result
from agent.config.inventory.sections import KINDS
from agent.config.rules import Rules
from agent.config.site import FormerFactor
from agent.config.source_amounts import (
    MAIN,
    PERIOD_KEYS,
    Path,
    calc_table,
    main_path,
    with_amount,
)
from agent.config.source_eras import Era, source_eras
from agent.config.source_factor import USER, SourceFactor
from agent.config.tables import read_table
from agent.core.carbon.basis import KG_PER_T, WarmingPotentials
from agent.core.carbon.inventory import SourceResult, UsedFactor
from agent.core.model import FactorRef, GasRates
from agent.core.timebase import local_day
from agent.core.units import UnitError

_TAKEN_OUT = ("co2_recovery",)  # its emission is negative; a factor never is
_PROPORTIONAL = 1e-12  # relative: what two units may differ from twice one unit


def stream_factor(
    draft: Draft,
    item: Item[sections.Source],
    stream_unit: str,
    basis: Accounting,
) -> SourceFactor | None:
    """What one unit of the stream emits by gas, over time; None if the source is left out.

    The source is computed as an inventory of one unit of the stream, and once more with two, so
    that nothing which is not proportional to the stream is booked from it.
    """
    source = item.section
    table = calc_table(source.kind, item.table)
    path = main_path(source.kind, table, stream_unit)
    if path is None:
        hint = 'leave out stream and write inputs = [{ material = "…", stream = "meter.point" }]'
        draft.reject(item, "stream", f"{source.kind} is no share of one stream", hint)
        return None
    if _has_amount_of_its_own(draft, item, table, path):
        return None
    try:
        eras = source_eras(table, source.changes, basis.rules, basis.library)
    except FactorNotFound as error:
        draft.reject(item, "region", error.what, error.hint)
        return None
    factors: list[tuple[Era, FactorRef, GasRates]] = []
    uncertainty_pct, taken_out = 0.0, source.kind in _TAKEN_OUT
    heat_gj: float | None = None
    for era in eras:
        found = _one_unit(draft, item, era, table, path, stream_unit, basis.library)
        if found is None:
            return None
        ref, gases = _rates(found, stream_unit, basis.gwp, -1.0 if taken_out else 1.0)
        if not factors or factors[-1][1:] != (ref, gases):
            factors.append((era, ref, gases))
        uncertainty_pct = found.uncertainty_factor_pct
        heat_gj = found.activity if source.kind == "heat" else None
    former = tuple(
        FormerFactor(until_ms=local_day(later.since, basis.zone)[0], factor=ref, gases=gases)
        for (_, ref, gases), (later, _, _) in pairwise(factors)
        if later.since is not None
    )
    _, ref, gases = factors[-1]
    return SourceFactor(
        ref=ref,
        stream_unit=stream_unit,
        uncertainty_pct=uncertainty_pct,
        former=former,
        gases=gases,
        heat_gj=heat_gj,
        taken_out=taken_out,
    )


def _has_amount_of_its_own(
    draft: Draft, item: Item[sections.Source], table: Mapping[str, Any], path: Path
) -> bool:
    """Whether an amount of a period is written beside the stream that brings the amount."""
    kind = item.section.kind
    single = {str(MAIN[kind][0])} | ({str(path[0])} if len(path) == 1 else set())
    keys = {*single, *PERIOD_KEYS.get(kind, ())}
    if kind != "factor":
        keys.add("unit")
    written = [key for key in item.table if key in keys]
    for key in written:
        draft.reject(
            item,
            key,
            "holds for a period, the stream brings an amount per window",
            "remove it; or leave out stream and feed each amount: "
            f'{key} = {{ stream = "meter.point" }}',
        )
    return bool(written)


def _one_unit(
    draft: Draft,
    item: Item[sections.Source],
    era: Era,
    table: Mapping[str, Any],
    path: Path,
    unit: str,
    library: Library,
) -> SourceResult | None:
    try:
        one = with_amount(era.applied(table), path, 1.0, unit)
        two = with_amount(era.applied(table), path, 2.0, unit)
    except UnitError as error:
        hint = f"a point of the right dimension; {error.hint}"
        draft.reject(item, "stream", f"{item.section.stream}: {error.what}", hint)
        return None
    faults = Faults(draft.faults.file)
    found = evaluated(item.path, one, era.rules, library, faults)
    double = None if found is None else evaluated(item.path, two, era.rules, library, faults)
    if found is None or double is None:
        refuse(draft, item, faults)
        return None
    pairs = (
        (found.gases.tco2, double.gases.tco2),
        (found.gases.tch4, double.gases.tch4),
        (found.gases.tn2o, double.gases.tn2o),
    )
    if not all(math.isclose(2 * once, twice, rel_tol=_PROPORTIONAL) for once, twice in pairs):
        hint = "leave out stream and feed its amounts per period"
        draft.reject(item, "stream", f"{item.section.kind} is not proportional to it", hint)
        return None
    return found


def evaluated(
    path: str, table: Mapping[str, Any], rules: Rules, library: Library, faults: Faults
) -> SourceResult | None:
    """The result of one source's table; None with its faults, under the paths of the site file."""
    read = read_table(KINDS[str(table["kind"])], table, path, faults)
    return None if read is None else source_result(path, read, library, rules, faults)


def refuse(draft: Draft, item: Item[sections.Source], faults: Faults) -> None:
    """Take over the faults of the accounting engine as faults of the site file's source.

    A unit that does not fit is that of the stream or entry which feeds the amount.
    """
    for fault in faults.errors:
        key = fault.path.removeprefix(item.path).lstrip(".")
        if key.endswith("unit") and "unit" not in item.table:
            fed = next((name for name in ("stream", "activity") if name in item.table), "")
            key = (key.removesuffix("unit") + fed).rstrip(".")
        draft.reject(item, key, fault.what, fault.hint)


def factor_ref(factors: tuple[UsedFactor, ...], kind: str, value: float, unit: str) -> FactorRef:
    """The factor that names a source's figures: the first it was computed with.

    «+user» says that a value of the site's own took part.
    """
    if not factors:
        return FactorRef(id=f"{kind}@{USER}", version=USER, value=value, unit=unit)
    main = factors[0]
    own = any(used.id.endswith(f"@{USER}") for used in factors[1:])
    marked = own and not main.id.endswith(USER)
    return FactorRef(
        id=f"{main.id}+{USER}" if marked else main.id,
        version=main.version or USER,
        value=value,
        unit=unit,
    )


def _rates(
    found: SourceResult, unit: str, gwp: WarmingPotentials, sign: float
) -> tuple[FactorRef, GasRates]:
    gases = found.gases
    value = GasRates(kgco2=sign * gases.kgco2, kgch4=sign * gases.kgch4, kgn2o=sign * gases.kgn2o)
    total = sign * gases.tco2e(gwp) * KG_PER_T
    return factor_ref(found.factors, found.kind, total, f"kgCO2e/{unit}"), value
