"""Emissions of moving goods."""

from __future__ import annotations

from agent.core.carbon.basis import KG_PER_T, require_amount


def transport_tco2e(*, mass_t: float, distance_km: float, factor_kgco2e_per_tkm: float) -> float:
    """Emissions of one kind of transport in tCO2e: ``E = m · s · EF · 10⁻³``.

    ``mass_t`` in t, ``distance_km`` in km, the factor in kgCO2e per tonne-kilometre. Negative
    inputs raise ``CarbonInputError``.

    Source: GB/T 51366-2019, equation and table E.0.1 for transport.

    Example: 100 t over 500 km in a diesel lorry of 30 t, 0.078 kgCO2e/(t·km):

    >>> round(transport_tco2e(mass_t=100.0, distance_km=500.0, factor_kgco2e_per_tkm=0.078), 6)
    3.9
    """
    tonne_km = require_amount("mass_t", mass_t) * require_amount("distance_km", distance_km)
    return tonne_km * require_amount("factor", factor_kgco2e_per_tkm) / KG_PER_T
