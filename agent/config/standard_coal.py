"""Coal equivalents of energy carriers: GB/T 2589, or the fuel's own calorific value."""

from __future__ import annotations

from dataclasses import replace

from agent.config import sections
from agent.config.factor_rows import FactorSet, Fuel, StandardCoal
from agent.config.factors import FactorNotFound, Library
from agent.config.rules import Rules
from agent.config.site import PeriodSource, SiteConfig, SourcePlan
from agent.core.carbon.amounts import convert_amount
from agent.core.carbon.standard_coal import tce_by_coefficient, tce_of_heat
from agent.core.report.energy import CoalEquivalent
from agent.core.units import UnitError

KG_PER_T = 1000.0
OWN_VALUE = "user"  # instead of a document: a calorific value that the site measured
_UNITS_PER_AMOUNT = {"kg": 1000.0, "m3": 10_000.0, "kWh": 1000.0, "MJ": 1000.0}
_AMOUNT_OF = {"electricity": ("kWh", "kWh"), "heat": ("GJ", "MJ")}  # unit of stream and of row


def fuel_coal(known: Library, row: Fuel, ncv_gj_per_unit: float | None) -> tuple[float, str]:
    """tce of one t or 10⁴ Nm3 of a fuel, and where it is from.

    A measured calorific value goes first, then the coefficient of GB/T 2589, then the calorific
    value of the fuel's own row.
    """
    if ncv_gj_per_unit is not None:
        return tce_of_heat(ncv_gj_per_unit), OWN_VALUE
    try:
        coal, origin = known.row(StandardCoal, row.id, "standard coal coefficient")
    except FactorNotFound:
        return tce_of_heat(row.ncv_gj_per_unit), ""
    if coal.kgce_per_unit is None:
        return tce_of_heat(row.ncv_gj_per_unit), ""
    tce = tce_by_coefficient(
        amount=1.0,
        kgce_per_unit=coal.kgce_per_unit,
        units_per_amount=_UNITS_PER_AMOUNT[coal.unit],
    )
    return tce, document_of(origin)


def document_of(origin: FactorSet) -> str:
    """Standard, edition and table; words of one language are put in where it is printed."""
    return f"{origin.standard}-{origin.edition} · {origin.table}"


def stream_coal(
    owner: SiteConfig, plan: SourcePlan, unit: str, rules: Rules, known: Library
) -> CoalEquivalent | None:
    """The coal equivalent of one unit of a source's stream; None where it carries no energy."""
    if plan.heat_gj is not None:
        return _scaled(_coal(owner, plan.section, "GJ", rules, known), plan.heat_gj)
    return _coal(owner, plan.section, unit, rules, known)


def period_coal(
    owner: SiteConfig, plan: PeriodSource, rules: Rules, known: Library
) -> CoalEquivalent | None:
    """The coal equivalent of one unit of a period source, as its emissions name the unit.

    None for electricity with a power plant of the site's own: its fuel is not in the amount.
    """
    section = plan.section
    if "own_plant" in plan.table:
        return None
    unit = {"electricity": "MWh", "heat": "GJ"}.get(section.kind, "")
    if section.kind == "fuel" and section.fuel is not None:
        unit = known.fuel(section.fuel, rules)[0].unit
    return _coal(owner, section, unit, rules, known) if unit else None


def _scaled(coal: CoalEquivalent | None, by: float) -> CoalEquivalent | None:
    if coal is None:
        return None
    equivalent = coal.equivalent_kgce
    return replace(
        coal,
        calorific_kgce=coal.calorific_kgce * by,
        equivalent_kgce=None if equivalent is None else equivalent * by,
    )


def _coal(
    owner: SiteConfig, section: sections.Source, unit: str, rules: Rules, known: Library
) -> CoalEquivalent | None:
    """The coal equivalent of one unit of a fuel, of electricity or heat.

    The equivalent value of electricity follows the coal that power supply took in the year; the
    site gives it. A fuel and heat count with their calorific value there, too.
    """
    try:
        if section.kind == "fuel" and section.fuel is not None:
            row, origin = known.fuel(section.fuel, rules)
            tce, document = fuel_coal(known, row, section.ncv)
            kgce = tce * KG_PER_T * convert_amount(1.0, unit, row.unit)
            return CoalEquivalent(
                calorific_kgce=kgce,
                equivalent_kgce=kgce,
                document=document or document_of(origin),
            )
        if section.kind not in _AMOUNT_OF:
            return None
        stream_unit, row_unit = _AMOUNT_OF[section.kind]
        coal, origin = known.row(StandardCoal, section.kind, "standard coal coefficient")
        kgce = (coal.kgce_per_unit or 0.0) * (KG_PER_T if row_unit == "MJ" else 1.0)
        scale = convert_amount(1.0, unit, stream_unit)
    except (FactorNotFound, UnitError):
        return None
    equivalent: float | None = kgce
    if section.kind == "electricity":
        equivalent = owner.site.equivalent_kgce_per_kwh
    return CoalEquivalent(
        calorific_kgce=kgce * scale,
        equivalent_kgce=None if equivalent is None else equivalent * scale,
        document=document_of(origin),
    )
