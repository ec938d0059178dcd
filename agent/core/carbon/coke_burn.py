"""CO2 from burning coke off a catalyst."""

from __future__ import annotations

from agent.core.carbon.basis import CO2_PER_C, require_amount, require_share


def coke_burn_tco2(*, burned_t: float, carbon_content_tc_per_t: float, oxidation: float) -> float:
    """CO2 from regenerating a cracking catalyst, in t.

    ``E = MC · CF · OF · 44/12`` with ``MC`` the burnt coke in t, ``CF`` its carbon content
    (tC/t, 0…1) and ``OF`` the oxidised share. Impossible inputs raise ``CarbonInputError``.

    Source: NDRC guide for petrochemical producers, catalytic cracking; GB/T 32151.15-2023.

    Example: 1000 t of coke, 95 % carbon, 98 % oxidised:

    >>> round(coke_burn_tco2(burned_t=1000.0, carbon_content_tc_per_t=0.95, oxidation=0.98), 6)
    3413.666667
    """
    require_share("carbon_content", carbon_content_tc_per_t)
    require_share("oxidation", oxidation)
    return require_amount("amount", burned_t) * carbon_content_tc_per_t * oxidation * CO2_PER_C
