"""CO2 from burning fuel."""

from __future__ import annotations

from agent.core.carbon.basis import CO2_PER_C, require_amount, require_share


def fuel_factor_tco2_per_unit(
    *, ncv_gj_per_unit: float, carbon_content_tc_per_gj: float, oxidation: float
) -> float:
    """CO2 per unit of fuel from its calorific value and carbon content, in tCO2/unit.

    ``EF = NCV · CC · OF · 44/12`` with ``NCV`` net calorific value (GJ per unit; the unit is t,
    or 10⁴ Nm3 for gases), ``CC`` carbon per unit of heat (tC/GJ) and ``OF`` the oxidised share.
    A negative value or an oxidation outside 0…1 raises ``CarbonInputError``.

    Source: GB/T 32151.10-2023, fuel combustion (equation 2 of the NDRC 2013 guide for chemical
    producers has the same form).

    Example: natural gas, GB/T 32151.34-2024 table C.1, 389.31 GJ/10⁴Nm3, 15.3·10⁻³ tC/GJ, 99 %:

    >>> round(fuel_factor_tco2_per_unit(
    ...     ncv_gj_per_unit=389.31, carbon_content_tc_per_gj=0.0153, oxidation=0.99), 6)
    21.621888
    """
    require_amount("ncv", ncv_gj_per_unit)
    require_amount("carbon_content", carbon_content_tc_per_gj)
    require_share("oxidation", oxidation)
    return ncv_gj_per_unit * carbon_content_tc_per_gj * oxidation * CO2_PER_C


def carbon_factor_tco2_per_unit(*, carbon_tc_per_unit: float, oxidation: float) -> float:
    """CO2 per unit of fuel from its carbon per unit, in tCO2/unit.

    ``EF = C · OF · 44/12`` with ``C`` in tC per unit (t, or 10⁴ Nm3 for gases). A negative value
    or an oxidation outside 0…1 raises ``CarbonInputError``.

    Source: GB/T 32151.34-2024, equations 1 to 5, path by measured carbon content.

    Example: one short ton (2000 lb) of coal with 1 % carbon, 99 % oxidised, in lb CO2 (AP-42,
    bituminous coal combustion):

    >>> round(carbon_factor_tco2_per_unit(carbon_tc_per_unit=2000 * 0.01, oxidation=0.99), 1)
    72.6
    """
    require_amount("carbon_per_unit", carbon_tc_per_unit)
    require_share("oxidation", oxidation)
    return carbon_tc_per_unit * oxidation * CO2_PER_C


def fuel_emission_tco2(*, amount: float, factor_tco2_per_unit: float) -> float:
    """CO2 of burnt fuel in t: ``E = FC · EF``.

    ``amount`` is the fuel burnt in the factor's unit (t, or 10⁴ Nm3 for gases). Negative inputs
    raise ``CarbonInputError``.

    Source: GB/T 32151.10-2023, fuel combustion.

    Example: 500 t of coal at a user's 2.6 tCO2/t:

    >>> fuel_emission_tco2(amount=500.0, factor_tco2_per_unit=2.6)
    1300.0
    """
    return require_amount("amount", amount) * require_amount("factor", factor_tco2_per_unit)
