"""Flares, waste, transport, stack measurements and plain factors."""

from __future__ import annotations

import math

from agent.config.factor_rows import Incineration as IncinerationRow
from agent.config.factor_rows import Landfill as LandfillRow
from agent.config.factor_rows import Transport as TransportRow
from agent.config.factor_rows import Wastewater as WastewaterRow
from agent.config.inventory.sections import (
    Cems,
    Factor,
    Flare,
    Incineration,
    Landfill,
    Transport,
    Wastewater,
)
from agent.config.inventory.work import Outcome, SourceFault, Work, missing, refuse_other_path
from agent.core.carbon.basis import Gases
from agent.core.carbon.cems import concentration_mg_per_nm3, stack_gas_t
from agent.core.carbon.flare import flare_tco2, flare_upset_tco2, gas_carbon_tc_per_1e4nm3
from agent.core.carbon.transport import transport_tco2e
from agent.core.carbon.waste import (
    incineration_factor_tco2_per_t,
    incineration_tco2,
    landfill_decay_tch4,
    landfill_potential_tch4_per_t,
    landfill_tch4,
    wastewater_tch4,
)

_GAS_UNIT = "10^4Nm3"
_UPSET_KEYS = ("rate_1e4nm3_h", "hours", "carbon_number")


def flare_outcome(source: Flare, work: Work) -> Outcome:
    """A flare in normal operation by its volume, in an upset by rate and duration."""
    upset = [key for key in _UPSET_KEYS if getattr(source, key) is not None]
    if upset and source.volume_1e4nm3 is not None:
        raise SourceFault(
            "stands beside volume_1e4nm3",
            where=upset[0],
            hint="normal operation: volume_1e4nm3; an upset: a source of its own",
        )
    if upset:
        return _flare_upset(source, work)
    if source.volume_1e4nm3 is None:
        raise missing("volume_1e4nm3", "or rate_1e4nm3_h and hours for an upset")
    refuse_other_path(source, "carbon", "composition", "co2_fraction", "oxidation")
    if source.factor is not None:
        factor = work.own("flare", source.factor, f"tCO2/{_GAS_UNIT}")
        emitted = source.volume_1e4nm3 * factor
    else:
        emitted = _flare_normal(source, source.volume_1e4nm3, work)
    return _flared(emitted, source.volume_1e4nm3)


def _flare_normal(source: Flare, volume_1e4nm3: float, work: Work) -> float:
    carbon, co2 = _flare_gas(source, work)
    oxidation = work.chosen("oxidation", source.oxidation, "flare-oxidation", source)
    density, density_set = work.library.parameter("co2-density")
    if co2:
        work.cite("co2-density", density.value, density.unit, density, density_set)
    return flare_tco2(
        volume_1e4nm3=volume_1e4nm3,
        carbon_tc_per_1e4nm3=carbon,
        co2_fraction=co2,
        oxidation=oxidation,
        co2_density_t_per_1e4nm3=density.value,
    )


def _flare_gas(source: Flare, work: Work) -> tuple[float, float]:
    """Carbon that is not CO2 (tC/10⁴Nm3), and the volume share of CO2."""
    if source.composition is not None:
        for key in ("carbon", "co2_fraction"):
            if getattr(source, key) is not None:
                raise SourceFault("stands beside composition", where=key, hint="one of them")
        work.key = "composition"
        carbon = gas_carbon_tc_per_1e4nm3(source.composition)
        how = "composition of the gas [computed]"
        work.derived("flare/carbon@composition", carbon, f"tC/{_GAS_UNIT}", how)
        return carbon, source.composition.get("CO2", 0.0)
    if source.carbon is None:
        raise missing("carbon", "tC per 10^4Nm3, without that of CO2; or composition")
    work.own("flare/carbon", source.carbon, f"tC/{_GAS_UNIT}")
    return source.carbon, source.co2_fraction or 0.0


def _flare_upset(source: Flare, work: Work) -> Outcome:
    if source.rate_1e4nm3_h is None or source.hours is None:
        key = "hours" if source.hours is None else "rate_1e4nm3_h"
        raise missing(key, "an upset needs rate_1e4nm3_h and hours")
    for key in ("carbon", "composition", "co2_fraction"):
        if getattr(source, key) is not None:
            raise SourceFault(
                "has no meaning in an upset", where=key, hint="carbon_number, or volume_1e4nm3"
            )
    volume = source.rate_1e4nm3_h * source.hours
    if source.factor is not None:
        return _flared(volume * work.own("flare", source.factor, f"tCO2/{_GAS_UNIT}"), volume)
    if source.carbon_number is None:
        number = work.rules.flare_carbon_number
        work.warnings.append(
            f"carbon_number is not given: {number:g} carbon atoms per molecule by "
            f"{work.rules.id} (5 in refineries, 3 in petrochemical plants)"
        )
        work.derived("flare/carbon-number", number, "1", f"{work.rules.id} [secondary]")
    else:
        number = work.own("flare/carbon-number", source.carbon_number, "1")
    oxidation = work.chosen("oxidation", source.oxidation, "flare-oxidation", source)
    emitted = flare_upset_tco2(
        rate_1e4nm3_per_h=source.rate_1e4nm3_h,
        hours=source.hours,
        carbon_number=number,
        oxidation=oxidation,
    )
    return _flared(emitted, volume)


def _flared(tco2: float, volume_1e4nm3: float) -> Outcome:
    return Outcome(
        gases=Gases(tco2=tco2),
        activity=volume_1e4nm3,
        activity_unit=_GAS_UNIT,
        uncertainty="process",
    )


def wastewater_outcome(source: Wastewater, work: Work) -> Outcome:
    """CH4 of a waste-water treatment."""
    refuse_other_path(source, "b0", "mcf", "treatment")
    if source.factor is not None:
        factor = work.own("wastewater", source.factor, "kgCH4/kgCOD")
    else:
        b0 = work.chosen("b0", source.b0, "b0-cod", source)
        factor = b0 * _wastewater_mcf(source, work)
    emitted = wastewater_tch4(
        volume_m3=source.volume_m3,
        cod_in_kg_per_m3=source.cod_in,
        cod_out_kg_per_m3=source.cod_out,
        factor_kgch4_per_kgcod=factor,
        sludge_cod_kg=source.sludge_cod_kg,
        recovered_tch4=source.recovered_ch4_t,
    )
    return Outcome(
        gases=Gases(tch4=emitted),
        activity=source.volume_m3 * (source.cod_in - source.cod_out),
        activity_unit="kgCOD",
        uncertainty="waste",
    )


def _wastewater_mcf(source: Wastewater, work: Work) -> float:
    if source.mcf is not None:
        return work.own("wastewater/mcf", source.mcf, "1")
    if source.treatment is None:
        raise missing("mcf", 'or treatment, such as "anaerobic-reactor"')
    work.key = "treatment"
    row, factor_set = work.library.row(WastewaterRow, source.treatment, "treatment")
    return work.cite(f"wastewater/{row.id}", row.mcf, "1", row, factor_set)


def incineration_outcome(source: Incineration, work: Work) -> Outcome:
    """Fossil CO2 of burnt waste."""
    amount = work.amount_in("t", source.amount, source.unit)
    refuse_other_path(source, "carbon_fraction", "fossil_fraction", "efficiency")
    if source.factor is not None:
        name = f"incineration/{source.waste}" if source.waste else "incineration"
        factor = work.own(name, source.factor, "tCO2/t")
    else:
        factor = _incineration_factor(source, work)
    return Outcome(
        gases=Gases(tco2=incineration_tco2(amount_t=amount, factor_tco2_per_t=factor)),
        activity=amount,
        activity_unit="t",
        uncertainty="waste",
    )


def _incineration_factor(source: Incineration, work: Work) -> float:
    keys = ("carbon_fraction", "fossil_fraction", "efficiency")
    values = {key: getattr(source, key) for key in keys}
    row = None
    if source.waste is not None:
        work.key = "waste"
        row, factor_set = work.library.row(IncinerationRow, source.waste, "kind of waste")
    for key in keys:
        if values[key] is not None:
            work.own(f"incineration/{key}", values[key], "1")
        elif row is not None:
            values[key] = work.cite(
                f"incineration/{row.id}/{key}", getattr(row, key), "1", row, factor_set
            )
        else:
            raise missing(key, 'or waste, such as "hazardous", or factor in tCO2/t')
    return incineration_factor_tco2_per_t(**values)


def landfill_outcome(source: Landfill, work: Work) -> Outcome:
    """CH4 of landfilled waste: by a factor, or by decay over the years."""
    if (source.amount is None) == (not source.deposits):
        raise missing("amount", "t of the year, or deposits = [t of each year, oldest first]")
    if source.deposits and source.age_years is not None:
        raise SourceFault("stands beside deposits", where="age_years", hint="one of them")
    refuse_other_path(source, "doc", "doc_f", "mcf", "site", "methane_fraction")
    factor = _landfill_factor(source, work)
    oxidation = work.chosen("oxidation", source.oxidation, "landfill-oxidation", source)
    written = source.deposits
    if source.age_years is not None:
        written = (source.amount or 0.0, *[0.0] * source.age_years)
    if written:
        if source.k is None:
            raise missing("k", "decay in 1/year, IPCC 2006 volume 5 table 3.3")
        deposits = [work.amount_in("t", mass, source.unit) for mass in written]
        amount = math.fsum(deposits)
        emitted = landfill_decay_tch4(
            deposits_t=deposits,
            factor_tch4_per_t=factor,
            decay_per_year=work.own("landfill/k", source.k, "1/a"),
            oxidation=oxidation,
            recovered_tch4=source.recovered_ch4_t,
        )
    else:
        if source.k is not None:
            raise SourceFault(
                "decay needs to know when the waste was deposited",
                where="k",
                hint="age_years, or deposits = [t of each year, oldest first, the reported last]",
            )
        amount = work.amount_in("t", source.amount or 0.0, source.unit)
        emitted = landfill_tch4(
            amount_t=amount,
            factor_tch4_per_t=factor,
            oxidation=oxidation,
            recovered_tch4=source.recovered_ch4_t,
        )
    return Outcome(
        gases=Gases(tch4=emitted), activity=amount, activity_unit="t", uncertainty="waste"
    )


def _landfill_factor(source: Landfill, work: Work) -> float:
    if source.factor is not None:
        return work.own("landfill", source.factor, "tCH4/t")
    if source.doc is None:
        raise missing("doc", "degradable carbon in tC/t, or factor in tCH4/t")
    work.own("landfill/doc", source.doc, "tC/t")
    if source.mcf is not None:
        mcf = work.own("landfill/mcf", source.mcf, "1")
    elif source.site is not None:
        work.key = "site"
        row, factor_set = work.library.row(LandfillRow, source.site, "kind of landfill")
        mcf = work.cite(f"landfill/{row.id}", row.mcf, "1", row, factor_set)
    else:
        raise missing("mcf", 'or site, such as "managed-anaerobic"')
    fraction = work.chosen(
        "methane-fraction", source.methane_fraction, "landfill-methane-fraction", source
    )
    return landfill_potential_tch4_per_t(
        doc=source.doc,
        doc_f=work.chosen("doc-f", source.doc_f, "landfill-doc-f", source),
        mcf=mcf,
        methane_fraction=fraction,
    )


def transport_outcome(source: Transport, work: Work) -> Outcome:
    """Goods moved over a distance."""
    if source.factor is not None:
        name = f"transport/{source.mode}" if source.mode else "transport"
        factor = work.own(name, source.factor, "kgCO2e/(t·km)")
    elif source.mode is None:
        raise missing("mode", 'such as "heavy-diesel-truck-30t", or factor in kgCO2e/(t·km)')
    else:
        work.key = "mode"
        row, factor_set = work.library.row(TransportRow, source.mode, "mode of transport")
        factor = work.cite(
            f"transport/{row.id}", row.kgco2e_per_tkm, "kgCO2e/(t·km)", row, factor_set
        )
    emitted = transport_tco2e(
        mass_t=source.mass_t, distance_km=source.distance_km, factor_kgco2e_per_tkm=factor
    )
    return Outcome(
        gases=Gases(tco2=emitted),
        activity=source.mass_t * source.distance_km,
        activity_unit="t·km",
        uncertainty="transport",
    )


def cems_outcome(source: Cems, work: Work) -> Outcome:
    """A gas measured in a stack, by concentration and flow or by its mass."""
    if source.mass_t is not None:
        return _cems_mass(source, source.mass_t)
    if source.dry_flow_nm3_h is None or source.hours is None:
        key = "hours" if source.hours is None else "dry_flow_nm3_h"
        raise missing(key, "concentration, dry_flow_nm3_h and hours; or mass_t")
    volume_1e4nm3 = source.dry_flow_nm3_h * source.hours / 1e4
    refuse_other_path(source, "concentration_mg_nm3", "concentration_pct")
    if source.factor is not None:
        unit = f"t{source.gas.upper()}/{_GAS_UNIT}"
        emitted = volume_1e4nm3 * work.own(f"cems/{source.gas}", source.factor, unit)
    else:
        if (source.concentration_mg_nm3 is None) == (source.concentration_pct is None):
            raise missing("concentration_mg_nm3", "one of it and concentration_pct, in dry gas")
        concentration = (
            source.concentration_mg_nm3
            if source.concentration_mg_nm3 is not None
            else concentration_mg_per_nm3(
                volume_share=(source.concentration_pct or 0.0) / 100, gas=source.gas
            )
        )
        work.derived(f"cems/{source.gas}@measured", concentration, "mg/Nm3", "measured")
        emitted = stack_gas_t(
            concentration_mg_per_nm3=concentration,
            dry_flow_nm3_per_h=source.dry_flow_nm3_h,
            hours=source.hours,
        )
    return Outcome(
        gases=gas_of(source.gas, emitted),
        activity=volume_1e4nm3,
        activity_unit=_GAS_UNIT,
        uncertainty="measured",
    )


def _cems_mass(source: Cems, mass_t: float) -> Outcome:
    for key in ("concentration_mg_nm3", "concentration_pct", "dry_flow_nm3_h", "hours", "factor"):
        if getattr(source, key) is not None:
            raise SourceFault("stands beside mass_t", where=key, hint="one of them")
    return Outcome(
        gases=gas_of(source.gas, mass_t),
        activity=mass_t,
        activity_unit=f"t{source.gas.upper()}",
        uncertainty="measured",
    )


def factor_outcome(source: Factor, work: Work) -> Outcome:
    """An amount times the file's own factor."""
    label = "CO2e" if source.gas == "co2e" else source.gas.upper()
    factor = work.own("factor", source.factor, f"t{label}/{source.unit}")
    return Outcome(
        gases=gas_of(source.gas, source.amount * factor),
        activity=source.amount,
        activity_unit=source.unit,
        uncertainty="user",
    )


def gas_of(gas: str, tonnes: float) -> Gases:
    """Tonnes of one gas; a CO2 equivalent whose gases are not known counts as CO2."""
    if gas == "ch4":
        return Gases(tch4=tonnes)
    return Gases(tn2o=tonnes) if gas == "n2o" else Gases(tco2=tonnes)
