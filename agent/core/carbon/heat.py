"""CO2 of purchased and exported heat; heat of hot water and steam."""

from __future__ import annotations

from agent.core.carbon.basis import CarbonInputError, difference, require_amount

WATER_KJ_PER_KG_K = 4.1868
FEED_WATER_C = 20.0
CRITICAL_C = 373.946  # above it there is no water
HOTTEST_STEAM_KJ_PER_KG = 4200.0  # 800 °C, the end of IAPWS-IF97 region 2, carries 4160
FEED_WATER_KJ_PER_KG = 83.74  # enthalpy of water at 20 °C as the NDRC guides print it


def heat_emission_tco2(
    *, purchased_gj: float, exported_gj: float = 0.0, factor_tco2_per_gj: float
) -> float:
    """CO2 of net purchased heat in t; negative where more is exported than bought.

    ``E = (AD_purchased − AD_exported) · EF`` with the heats in GJ and ``EF`` in tCO2/GJ. A
    negative input raises ``CarbonInputError``.

    Source: NDRC 2013 guide for chemical producers, equation 14; GB/T 32151.10-2023.

    Example: 293.076 GJ at the default of 0.11 tCO2/GJ:

    >>> round(heat_emission_tco2(purchased_gj=293.076, factor_tco2_per_gj=0.11), 3)
    32.238
    """
    net_gj = difference(
        require_amount("purchased_gj", purchased_gj), require_amount("exported_gj", exported_gj)
    )
    return net_gj * require_amount("factor", factor_tco2_per_gj)


def hot_water_gj(*, mass_t: float, temperature_c: float) -> float:
    """Heat of hot water above 20 °C in GJ.

    ``Q = m · (T − 20) · 4.1868 · 10⁻³`` with ``m`` in t and ``T`` in °C. A negative mass, or water
    colder than 20 °C or above the critical point, raises ``CarbonInputError``.

    Source: NDRC 2013 guide for chemical producers, equation 15 (hot water).

    Example: 1000 t at 90 °C:

    >>> round(hot_water_gj(mass_t=1000.0, temperature_c=90.0), 3)
    293.076
    """
    if not temperature_c >= FEED_WATER_C:
        raise CarbonInputError(
            f"water at {temperature_c} °C carries no heat above {FEED_WATER_C:g} °C",
            where="temperature_c",
            hint=f"a temperature from {FEED_WATER_C:g} °C",
        )
    if temperature_c > CRITICAL_C:
        raise CarbonInputError(
            f"at {temperature_c} °C there is no water",
            where="temperature_c",
            hint="give it as steam",
        )
    mass = require_amount("mass_t", mass_t)
    return mass * difference(temperature_c, FEED_WATER_C) * WATER_KJ_PER_KG_K * 1e-3


def steam_gj(
    *, mass_t: float, enthalpy_kj_per_kg: float, feed_water_kj_per_kg: float = FEED_WATER_KJ_PER_KG
) -> float:
    """Heat of steam in GJ from its enthalpy.

    ``Q = m · (h − h_feed) · 10⁻³`` with ``m`` in t and the enthalpies in kJ/kg. The rule set
    says which ``h_feed`` holds: 83.74 in the NDRC 2013 family, 0 in GB/T 32151.34-2024
    (equation 13); the difference is about 3 %. A negative input, or steam with less enthalpy
    than the feed water or more than any steam has, raises ``CarbonInputError``.

    Source: NDRC 2013 guide for chemical producers, equation 15 (steam).

    Example: 100 t of saturated steam at 1.0 MPa, 2777.0 kJ/kg:

    >>> round(steam_gj(mass_t=100.0, enthalpy_kj_per_kg=2777.0), 3)
    269.326
    """
    require_amount("feed_water_kj_per_kg", feed_water_kj_per_kg)
    if require_amount("enthalpy_kj_per_kg", enthalpy_kj_per_kg) < feed_water_kj_per_kg:
        raise CarbonInputError(
            f"{enthalpy_kj_per_kg} kJ/kg is less than feed water ({feed_water_kj_per_kg} kJ/kg)",
            where="enthalpy_kj_per_kg",
            hint="the specific enthalpy of the steam from a steam table",
        )
    if enthalpy_kj_per_kg > HOTTEST_STEAM_KJ_PER_KG:
        raise CarbonInputError(
            f"{enthalpy_kj_per_kg} kJ/kg is more than steam of 800 °C carries",
            where="enthalpy_kj_per_kg",
            hint="kJ per kg of steam, not per t",
        )
    mass = require_amount("mass_t", mass_t)
    return mass * difference(enthalpy_kj_per_kg, feed_water_kj_per_kg) * 1e-3
