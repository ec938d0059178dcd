"""A period source as an inventory of one source: its table with the amounts of one period."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from agent.config.accounting import Accounting
from agent.config.faults import Faults
from agent.config.site import Feed, PeriodSource
from agent.config.source_amounts import put
from agent.config.source_eras import Era, source_eras
from agent.config.source_feeds import FLOWS
from agent.config.source_rate import evaluated
from agent.core.carbon.amounts import convert_amount
from agent.core.carbon.inventory import SourceResult
from agent.core.carbon.uncertainty import UncertainTerm
from agent.core.timebase import local_day
from agent.core.units import UnitError

_OWN_CARBON = ("ncv", "carbon_content", "carbon_per_unit", "factor")
_OUTPUTS = ("products", "wastes", "intermediates", "recovered_c_t", "recovered_ch4_t")
_EXPORTS = ("exported_mwh", "exported_gj", "exported_steam", "exported_hot_water")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of an amount that has one composition; without it, that of the site file holds."""

    amount: float
    unit: str
    carbon_content: float | None = None  # tC per t or per 10⁴ Nm3
    purity: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """What one feed brought in a period.

    ``stock`` is what lay there at the start and the end, ``content`` the laboratory's mean carbon
    content, each with its unit. ``estimated`` and ``uncertainty_pct`` (half of a 95 % interval)
    are in shares and % of the amount; ``group`` names the meter whose error it shares.
    """

    feed: Feed
    parts: tuple[Part, ...]
    stock: tuple[float, float, str] | None = None
    content: tuple[float, str] | None = None
    estimated: float = 0.0
    uncertainty_pct: float | None = None  # None: that of the source
    group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodResult:
    """What a source emitted in a period, and how much of it each feed is."""

    result: SourceResult
    terms: tuple[UncertainTerm, ...]  # tCO2, signed; of the amounts, not of the factors
    estimated_share: float


def era_at(plan: PeriodSource, start_ms: int, basis: Accounting) -> Era:
    """The rules and own factor that hold for a period that starts at this time."""
    eras = source_eras(plan.table, plan.section.changes, basis.rules, basis.library)
    begun = [
        era for era in eras if era.since is None or local_day(era.since, basis.zone)[0] <= start_ms
    ]
    return begun[-1]


def computed(
    plan: PeriodSource, supplies: Sequence[Supply], start_ms: int, basis: Accounting, faults: Faults
) -> PeriodResult | None:
    """The result of a period; None, with the faults noted, where the amounts cannot be right.

    Which part of the figure a feed is, is found by computing the source with that feed alone.
    """
    era = era_at(plan, start_ms, basis)
    result = _evaluated(plan, supplies, era, basis, faults)
    if result is None:
        return None
    weights = [_weight(plan, supplies, place, era, basis, result) for place in range(len(supplies))]
    gross = math.fsum(abs(weight) for weight in weights)
    estimated = math.fsum(
        abs(weight) * supply.estimated for weight, supply in zip(weights, supplies, strict=True)
    )
    terms = tuple(
        UncertainTerm(
            value=weight,
            activity_pct=result.uncertainty_activity_pct
            if supply.uncertainty_pct is None or plan.section.uncertainty_activity_pct is not None
            else supply.uncertainty_pct,
            factor_pct=0.0,
            activity_group=supply.group,
        )
        for weight, supply in zip(weights, supplies, strict=True)
    )
    return PeriodResult(
        result=result,
        terms=terms,
        estimated_share=min(1.0, estimated / gross) if gross else 0.0,
    )


def filled(table: Mapping[str, Any], supplies: Sequence[Supply]) -> dict[str, Any]:
    """The table of a source as `tanshu calc` computes it, with the amounts of its feeds.

    Raises:
        UnitError: an amount or content is of another dimension than its key.
    """
    copy = deepcopy(dict(table))
    for supply in supplies:
        if supply.feed.path[0] in FLOWS:
            _fill_flow(copy, supply)
        else:
            _fill_amount(copy, supply)
    return copy


def _evaluated(
    plan: PeriodSource, supplies: Sequence[Supply], era: Era, basis: Accounting, faults: Faults
) -> SourceResult | None:
    path = f"source[{plan.id}]"
    try:
        table = filled(era.applied(plan.table), supplies)
    except UnitError as error:
        faults.add(path, error.what, error.hint)
        return None
    return evaluated(path, table, era.rules, basis.library, faults)


def _weight(
    plan: PeriodSource,
    supplies: Sequence[Supply],
    place: int,
    era: Era,
    basis: Accounting,
    whole: SourceResult,
) -> float:
    """The emission that one feed stands for, in tCO2e, negative where it takes carbon out."""
    if len(supplies) == 1:
        return whole.gases.tco2e(basis.gwp)
    supply = supplies[place]
    first = str(supply.feed.path[0])
    table = era.applied(plan.table)
    if plan.section.kind == "carbon_balance":
        table, supply = _as_only_input(table, supply)
        alone = [supply]
    else:
        alone = [one if one is supply else _nothing(one) for one in supplies]
    faults = Faults("")
    try:
        result = evaluated("source", filled(table, alone), era.rules, basis.library, faults)
    except UnitError:
        result = None
    if result is None:
        return whole.gases.tco2e(basis.gwp)
    emitted = result.gases.tco2e(basis.gwp)
    return -abs(emitted) if first in _OUTPUTS + _EXPORTS else emitted


def _nothing(supply: Supply) -> Supply:
    """A feed that brought nothing, in its own unit."""
    parts = tuple(Part(amount=0.0, unit=part.unit) for part in supply.parts)
    return Supply(feed=supply.feed, parts=parts)


def _as_only_input(table: Mapping[str, Any], supply: Supply) -> tuple[dict[str, Any], Supply]:
    """A carbon balance into which nothing but the carbon of one feed goes."""
    key, *rest = supply.feed.path
    flow: dict[str, Any] = {"material": "carbon", "carbon_content": 1.0}
    if key in FLOWS and isinstance(rest[0], int):
        flow = dict(table[str(key)][rest[0]])
    alone = {name: value for name, value in table.items() if name in ("id", "kind")}
    feed = Feed(path=("inputs", 0, "amount"), material=supply.feed.material)
    amounts = supply.parts
    if supply.stock is not None:
        opening, closing, unit = supply.stock
        grown = opening - closing if key == "inputs" else closing - opening
        total = math.fsum(convert_amount(part.amount, part.unit, unit) for part in amounts) + grown
        amounts = (Part(amount=abs(total), unit=unit),)
    moved = Supply(feed=feed, parts=amounts, content=supply.content)
    return {**alone, "inputs": [flow]}, moved


def _fill_flow(table: dict[str, Any], supply: Supply) -> None:
    """A flow of a carbon balance; parts of other composition become flows of their own."""
    key, place = str(supply.feed.path[0]), int(supply.feed.path[1])
    written = dict(table[key][place])
    parts = supply.parts or (Part(amount=0.0, unit=supply.stock[2] if supply.stock else "t"),)
    for number, part in enumerate(parts):
        at = place if number == 0 else len(table[key])
        if number == 0:
            table[key][at] = dict(written)
        else:
            table[key] = [*table[key], dict(written)]
        put(table, (key, at, "amount"), part.amount, part.unit)
        _compose(table[key][at], part, supply.content)
        if number == 0 and supply.stock is not None:
            opening, closing, unit = supply.stock
            put(table, (key, at, "stock_start"), opening, unit)
            put(table, (key, at, "stock_end"), closing, unit)


def _compose(flow: dict[str, Any], part: Part, content: tuple[float, str] | None) -> None:
    """Carbon and purity of a flow: of the site file, else the laboratory's, else the entry's."""
    if "carbon_content" not in flow:
        base = "t" if _is_mass(flow["unit"]) else "10^4Nm3"
        if content is not None:
            flow["carbon_content"] = _carbon_per(content, base)
        elif part.carbon_content is not None:
            flow["carbon_content"] = part.carbon_content
    if "purity" not in flow and part.purity is not None:
        flow["purity"] = part.purity


def _is_mass(unit: str) -> bool:
    try:
        convert_amount(1.0, unit, "t")
    except UnitError:
        return False
    return True


def _carbon_per(content: tuple[float, str], base: str) -> float:
    value, unit = content
    if unit == "%" and base == "t":
        return value / 100.0
    return convert_amount(value, unit, f"tC/{base}")


def _fill_amount(table: dict[str, Any], supply: Supply) -> None:
    """The one amount of a kind: what came in, less what the stock grew."""
    unit = supply.parts[0].unit
    total = math.fsum(convert_amount(part.amount, part.unit, unit) for part in supply.parts)
    if supply.stock is not None:
        opening, closing, stock_unit = supply.stock
        total += convert_amount(opening - closing, stock_unit, unit)
    put(table, supply.feed.path, total, unit)
    if supply.feed.path != ("amount",) or any(key in table for key in _OWN_CARBON):
        return
    if table["kind"] == "coke_burn" and supply.content is not None:
        table["carbon_content"] = _carbon_per(supply.content, "t")
    elif table["kind"] == "fuel":
        _set_fuel_carbon(table, supply, unit)


def _set_fuel_carbon(table: dict[str, Any], supply: Supply, unit: str) -> None:
    """Carbon of a fuel as the laboratory found it, or as all its entries say."""
    base = "t" if _is_mass(unit) else "10^4Nm3"
    if supply.content is not None:
        value, symbol = supply.content
        if symbol == "tC/GJ":
            table["carbon_content"] = value
        else:
            table["carbon_per_unit"] = _carbon_per(supply.content, base)
        return
    contents = [part.carbon_content for part in supply.parts]
    if all(content is not None for content in contents):
        weights = [part.amount for part in supply.parts]
        if math.fsum(weights) > 0:
            table["carbon_per_unit"] = math.fsum(
                part.amount * (part.carbon_content or 0.0) * (part.purity or 1.0)
                for part in supply.parts
            ) / math.fsum(weights)
