"""Fuel, electricity and heat: factors from the library, energy in coal equivalent."""

from __future__ import annotations

from agent.config.factor_rows import FactorSet, StandardCoal, SteamSaturated, SteamSuperheated
from agent.config.factor_rows import Fuel as FuelRow
from agent.config.factors import FactorNotFound, GridChoice
from agent.config.inventory.sections import Electricity, Fuel, Heat, HotWater, OwnPlant, Steam
from agent.config.inventory.work import (
    Outcome,
    SourceFault,
    Work,
    citation,
    missing,
    refuse_other_path,
)
from agent.config.standard_coal import fuel_coal
from agent.core.carbon.amounts import convert_amount
from agent.core.carbon.basis import CarbonInputError, Gases
from agent.core.carbon.electricity import (
    electricity_emission_tco2,
    own_plant_factor_tco2_per_mwh,
    own_plant_fuel_gj,
)
from agent.core.carbon.fuel import (
    carbon_factor_tco2_per_unit,
    fuel_emission_tco2,
    fuel_factor_tco2_per_unit,
)
from agent.core.carbon.heat import heat_emission_tco2, hot_water_gj, steam_gj
from agent.core.carbon.standard_coal import tce_by_coefficient, tce_of_heat
from agent.core.carbon.uncertainty import spread_of_difference
from agent.core.units import UnitError

_UNITS_PER_AMOUNT = {"kWh": 1000.0, "MJ": 1000.0}


def fuel_outcome(source: Fuel, work: Work) -> Outcome:
    """Burnt fuel: by calorific value and carbon, by carbon per unit, or by a factor."""
    work.key = "fuel"
    row, factor_set = work.library.fuel(source.fuel, work.rules)
    if not work.library.has_fuel(row, work.rules):
        work.warnings.append(
            f"the fuel table of {work.rules.id} has no {row.name_en.lower()}: "
            f"that of {factor_set.id} is used"
        )
    amount = _fuel_amount(source, row, work)
    factor = _fuel_factor(source, row, factor_set, work)
    burnt = fuel_emission_tco2(amount=amount, factor_tco2_per_unit=factor)
    biogenic = burnt * source.biogenic_share
    return Outcome(
        gases=Gases(tco2=burnt - biogenic),
        activity=amount,
        activity_unit=row.unit,
        uncertainty="fuel",
        tce=_fuel_tce(source, row, amount, work),
        biogenic_tco2=biogenic,
    )


def _fuel_amount(source: Fuel, row: FuelRow, work: Work) -> float:
    """The amount in the unit of the table; an amount of energy is divided by the NCV."""
    if source.unit is None:
        return source.amount
    work.key = "unit"
    try:
        return convert_amount(source.amount, source.unit, row.unit)
    except UnitError as error:
        try:
            gj = convert_amount(source.amount, source.unit, "GJ")
        except UnitError:
            raise error from None
        return gj / (source.ncv or row.ncv_gj_per_unit)


def _fuel_factor(source: Fuel, row: FuelRow, factor_set: FactorSet, work: Work) -> float:
    name, unit_text = f"fuel/{row.id}", f"tCO2/{row.unit}"
    refuse_other_path(source, "carbon_per_unit", "ncv", "carbon_content", "oxidation")
    if source.factor is not None:
        return work.own(name, source.factor, unit_text)
    if source.carbon_per_unit is not None:
        for key in ("ncv", "carbon_content"):
            if getattr(source, key) is not None:
                raise SourceFault(
                    "stands beside carbon_per_unit",
                    where=key,
                    hint="one path only: ncv and carbon_content, or carbon_per_unit",
                )
    oxidation = row.oxidation if source.oxidation is None else source.oxidation
    if source.carbon_per_unit is not None:
        factor = carbon_factor_tco2_per_unit(
            carbon_tc_per_unit=source.carbon_per_unit, oxidation=oxidation
        )
    else:
        factor = fuel_factor_tco2_per_unit(
            ncv_gj_per_unit=source.ncv or row.ncv_gj_per_unit,
            carbon_content_tc_per_gj=source.carbon_content or row.carbon_content_tc_per_gj,
            oxidation=oxidation,
        )
    parts = _fuel_parts(source, row)
    origin = factor_set.id + ("+user" if any(own for *_, own in parts) else "")
    how = "NCV · CC · OF" if source.carbon_per_unit is None else "C · OF"
    work.derived(
        f"{name}@{origin}",
        factor,
        unit_text,
        f"{how} · 44/12 by {citation(row, factor_set)}",
        factor_set.version,
    )
    for part, value, part_unit, is_own in parts:
        if is_own:
            work.own(f"{name}/{part}", value, part_unit)
        else:
            work.cite(f"{name}/{part}", value, part_unit, row, factor_set)
    return factor


def _fuel_parts(source: Fuel, row: FuelRow) -> list[tuple[str, float, str, bool]]:
    oxidation = row.oxidation if source.oxidation is None else source.oxidation
    parts = [("oxidation", oxidation, "1", source.oxidation is not None)]
    if source.carbon_per_unit is not None:
        return [("carbon-per-unit", source.carbon_per_unit, f"tC/{row.unit}", True), *parts]
    ncv = source.ncv or row.ncv_gj_per_unit
    carbon = source.carbon_content or row.carbon_content_tc_per_gj
    return [
        ("ncv", ncv, f"GJ/{row.unit}", source.ncv is not None),
        ("carbon-content", carbon, "tC/GJ", source.carbon_content is not None),
        *parts,
    ]


def _fuel_tce(source: Fuel, row: FuelRow, amount: float, work: Work) -> float:
    tce_per_unit, _ = fuel_coal(work.library, row, source.ncv)
    return amount * tce_per_unit


def electricity_outcome(source: Electricity, work: Work) -> Outcome:
    """Net purchased electricity, and that of an own power plant by its fuel."""
    if source.purchased_mwh is None and source.exported_mwh is None and source.own_plant is None:
        raise missing("purchased_mwh", "MWh bought; exported_mwh for what was handed on")
    purchased, exported = source.purchased_mwh or 0.0, source.exported_mwh or 0.0
    factor = _grid_factor(source, work)
    tco2 = electricity_emission_tco2(
        purchased_mwh=purchased, exported_mwh=exported, factor_tco2_per_mwh=factor
    )
    tce = _electricity_tce(source, purchased - exported, work)
    plant_tco2 = plant_tce = 0.0
    if source.own_plant is not None:
        plant_tco2, plant_tce = _own_plant(source.own_plant, work)
    return Outcome(
        gases=Gases(tco2=tco2 + plant_tco2),
        direct_tco2=plant_tco2,
        activity=purchased - exported,
        activity_unit="MWh",
        activity_spread=spread_of_difference([purchased * factor, plant_tco2], [exported * factor]),
        uncertainty="electricity",
        tce=tce + plant_tce,
    )


def _grid_factor(source: Electricity, work: Work) -> float:
    if source.factor is not None:
        if any(given is not None for given in (source.region, source.year, source.basis)):
            work.warnings.append("factor is used; region, year and basis are not")
        return work.own("grid", source.factor, "tCO2/MWh")
    region, basis = source.region or work.rules.grid_region, source.basis or work.rules.grid_basis
    choice = _grid(region, source, basis, work)
    if source.year is not None and choice.data_year < source.year:
        work.warnings.append(
            f"no factor is published for {source.year}, that of {choice.data_year} is used"
        )
    return work.cite(
        choice.id.removesuffix(f"@{choice.set.id}"),
        choice.row.kgco2_per_kwh,
        "tCO2/MWh",
        choice.row,
        choice.set,
    )


def _grid(region: str, source: Electricity, basis: str, work: Work) -> GridChoice:
    work.key = "region"
    try:
        return work.library.grid(region, source.year, source.basis or work.rules.grid_basis)
    except FactorNotFound as error:
        if "earlier" in error.what:
            work.key = "year"
        elif f"no {basis} factor" in error.what:
            work.key = "basis"
        raise


def _electricity_tce(source: Electricity, net_mwh: float, work: Work) -> float:
    if source.equivalent_kgce_per_kwh is not None:
        kgce = source.equivalent_kgce_per_kwh
    else:
        coal, _ = work.library.row(StandardCoal, "electricity", "standard coal coefficient")
        kgce = coal.kgce_per_unit or 0.0
    return tce_by_coefficient(
        amount=net_mwh, kgce_per_unit=kgce, units_per_amount=_UNITS_PER_AMOUNT["kWh"]
    )


def _own_plant(plant: OwnPlant, work: Work) -> tuple[float, float]:
    """CO2 and coal equivalent of the plant's fuel, 0 where a fuel source counts it already."""
    work.key = "own_plant.fuel"
    row, factor_set = work.library.fuel(plant.fuel, work.rules)
    carbon = plant.carbon_content or row.carbon_content_tc_per_gj
    oxidation = row.oxidation if plant.oxidation is None else plant.oxidation
    factor = own_plant_factor_tco2_per_mwh(
        carbon_content_tc_per_gj=carbon, oxidation=oxidation, efficiency=plant.efficiency
    )
    own = plant.carbon_content is not None or plant.oxidation is not None
    origin = factor_set.id + ("+user" if own else "")
    work.derived(
        f"own-plant/{row.id}@{origin}",
        factor,
        "tCO2/MWh",
        f"3.6 / efficiency · CC · OF · 44/12 by {citation(row, factor_set)}",
    )
    work.own("own-plant/efficiency", plant.efficiency, "1")
    if plant.fuel_source is not None:
        work.warnings.append(
            f"the own plant's {plant.generated_mwh:g} MWh are counted by the fuel of "
            f'source "{plant.fuel_source}", not again here'
        )
        return 0.0, 0.0
    fuel_gj = own_plant_fuel_gj(generated_mwh=plant.generated_mwh, efficiency=plant.efficiency)
    return plant.generated_mwh * factor, tce_of_heat(fuel_gj)


def heat_outcome(source: Heat, work: Work) -> Outcome:
    """Net purchased heat: in GJ, as steam and as hot water."""
    given = (source.purchased_gj, source.exported_gj, source.steam, source.hot_water)
    if all(one is None for one in (*given, source.exported_steam, source.exported_hot_water)):
        raise missing("purchased_gj", "GJ bought, or [source.steam], [source.hot_water]")
    purchased = source.purchased_gj or 0.0
    purchased += _carried_gj(source.steam, source.hot_water, "", work)
    exported = source.exported_gj or 0.0
    exported += _carried_gj(source.exported_steam, source.exported_hot_water, "exported_", work)
    if source.factor is not None:
        factor = work.own("heat", source.factor, "tCO2/GJ")
    else:
        row, factor_set = work.library.heat(work.rules)
        factor = work.cite(f"heat/{row.id}", row.tco2_per_gj, "tCO2/GJ", row, factor_set)
    coal, _ = work.library.row(StandardCoal, "heat", "standard coal coefficient")
    # the factor that decides the uncertainty comes first, enthalpies after it
    work.factors.insert(0, work.factors.pop())
    return Outcome(
        gases=Gases(
            tco2=heat_emission_tco2(
                purchased_gj=purchased, exported_gj=exported, factor_tco2_per_gj=factor
            )
        ),
        activity=purchased - exported,
        activity_unit="GJ",
        activity_spread=spread_of_difference([purchased], [exported]),
        uncertainty="heat",
        tce=tce_by_coefficient(
            amount=purchased - exported,
            kgce_per_unit=coal.kgce_per_unit or 0.0,
            units_per_amount=_UNITS_PER_AMOUNT["MJ"],
        ),
    )


def _carried_gj(steam: Steam | None, water: HotWater | None, prefix: str, work: Work) -> float:
    gj = 0.0
    try:
        if steam is not None:
            work.key = f"{prefix}steam"
            enthalpy = _enthalpy(steam, prefix, work)
            feed = work.rules.steam_feed_water_kj_per_kg
            if feed:
                work.derived(f"{prefix}steam/feed-water", feed, "kJ/kg", f"by {work.rules.id}")
            gj += steam_gj(
                mass_t=steam.mass_t, enthalpy_kj_per_kg=enthalpy, feed_water_kj_per_kg=feed
            )
        if water is not None:
            work.key = f"{prefix}hot_water"
            gj += hot_water_gj(mass_t=water.mass_t, temperature_c=water.temperature_c)
    except CarbonInputError as error:
        raise SourceFault(error.what, where=f"{work.key}.{error.where}", hint=error.hint) from None
    return gj


def _enthalpy(steam: Steam, prefix: str, work: Work) -> float:
    """The enthalpy of steam in kJ/kg by table, with the cross-check by IAPWS-IF97."""
    from agent.core.carbon import iapws
    from agent.core.carbon.steam import (
        Isotherm,
        SaturatedPoint,
        saturated_state,
        superheated_state,
    )

    if steam.enthalpy_kj_per_kg is not None:
        return work.own(f"{prefix}steam/enthalpy", steam.enthalpy_kj_per_kg, "kJ/kg")
    rows, saturated_set = work.library.table(SteamSaturated)
    points = [
        SaturatedPoint(
            pressure_mpa=row.pressure_mpa,
            temperature_c=row.temperature_c,
            enthalpy_kj_per_kg=row.enthalpy_kj_per_kg,
            printed_mpa=row.printed_mpa,
        )
        for row in rows
    ]
    if steam.saturated:
        state = saturated_state(
            points,
            pressure_mpa=steam.pressure_mpa,
            temperature_c=steam.temperature_c,
            physics=iapws.saturated_physics(),
        )
        origin = saturated_set.id
    else:
        if steam.pressure_mpa is None or steam.temperature_c is None:
            key = "pressure_mpa" if steam.pressure_mpa is None else "temperature_c"
            raise missing(key, "MPa absolute and °C, or saturated = true, or enthalpy_kj_per_kg")
        table, table_set = work.library.table(SteamSuperheated)
        state = superheated_state(
            [
                Isotherm(
                    temperature_c=row.temperature_c,
                    pressures_mpa=row.pressures_mpa,
                    enthalpies_kj_per_kg=row.enthalpies_kj_per_kg,
                )
                for row in table
            ],
            points,
            pressure_mpa=steam.pressure_mpa,
            temperature_c=steam.temperature_c,
            physics=iapws.superheated_physics(),
        )
        origin = table_set.id if state.from_table else "IAPWS-IF97"
    work.warnings += state.warnings
    return work.derived(
        f"{prefix}steam/enthalpy@{origin}",
        state.enthalpy_kj_per_kg,
        "kJ/kg",
        f"{origin} [{'secondary' if state.from_table else 'computed'}]",
    )
