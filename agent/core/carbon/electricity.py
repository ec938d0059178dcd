"""CO2 of purchased and exported electricity, and of electricity from a plant's own power plant."""

from __future__ import annotations

from agent.core.carbon.basis import (
    CO2_PER_C,
    CarbonInputError,
    difference,
    require_amount,
    require_share,
)

GJ_PER_MWH = 3.6


def electricity_emission_tco2(
    *, purchased_mwh: float, exported_mwh: float = 0.0, factor_tco2_per_mwh: float
) -> float:
    """CO2 of net purchased electricity in t; negative where more is exported than bought.

    ``E = (AD_purchased − AD_exported) · EF`` with the energies in MWh and ``EF`` in tCO2/MWh
    (the same number as kgCO2/kWh). A negative input raises ``CarbonInputError``.

    Source: NDRC 2013 guide for chemical producers, equation 13; GB/T 32151.10-2023.

    Example: 1000 MWh bought at the national average of data year 2023, 0.5306 tCO2/MWh:

    >>> round(electricity_emission_tco2(purchased_mwh=1000.0, factor_tco2_per_mwh=0.5306), 6)
    530.6
    """
    net_mwh = difference(
        require_amount("purchased_mwh", purchased_mwh), require_amount("exported_mwh", exported_mwh)
    )
    return net_mwh * require_amount("factor", factor_tco2_per_mwh)


def own_plant_fuel_gj(*, generated_mwh: float, efficiency: float) -> float:
    """Heat of the fuel that an own power plant burns for its electricity, in GJ.

    ``Q = W · 3.6 / η`` with ``W`` the generated electricity (MWh) and ``η`` the share of the
    fuel's net calorific value that becomes electricity. A negative ``W`` or an efficiency outside
    0…1 (0 excluded) raises ``CarbonInputError``.

    Source: definition of generation efficiency; 1 MWh = 3.6 GJ.

    Example: 1000 MWh at 36 %:

    >>> own_plant_fuel_gj(generated_mwh=1000.0, efficiency=0.36)
    10000.0
    """
    if require_share("efficiency", efficiency) == 0:
        raise CarbonInputError(
            "0 makes no electricity", where="efficiency", hint="a number above 0, up to 1"
        )
    return require_amount("generated_mwh", generated_mwh) * GJ_PER_MWH / efficiency


def own_plant_factor_tco2_per_mwh(
    *, carbon_content_tc_per_gj: float, oxidation: float, efficiency: float
) -> float:
    """CO2 per MWh that an own power plant generates, from its fuel and efficiency.

    ``EF = 3.6 / η · CC · OF · 44/12`` with ``CC`` carbon per unit of heat of the fuel (tC/GJ) and
    ``OF`` its oxidised share. Electricity from the plant has no grid factor: either this factor
    counts it or the fuel does, never both. Impossible inputs raise ``CarbonInputError``.

    Source: combustion formula (GB/T 32151.10-2023) with the fuel of ``own_plant_fuel_gj``.

    Example: natural gas, 15.3·10⁻³ tC/GJ, 99 % oxidised, 45 % efficient:

    >>> round(own_plant_factor_tco2_per_mwh(
    ...     carbon_content_tc_per_gj=0.0153, oxidation=0.99, efficiency=0.45), 6)
    0.444312
    """
    require_amount("carbon_content", carbon_content_tc_per_gj)
    require_share("oxidation", oxidation)
    heat_gj = own_plant_fuel_gj(generated_mwh=1.0, efficiency=efficiency)
    return heat_gj * carbon_content_tc_per_gj * oxidation * CO2_PER_C
