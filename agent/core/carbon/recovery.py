"""CO2 that was recovered and handed on, which is taken off the total."""

from __future__ import annotations

from agent.core.carbon.basis import require_amount, require_share


def recovered_tco2(*, volume_1e4nm3: float, purity: float, density_tco2_per_1e4nm3: float) -> float:
    """Recovered CO2 in t (positive; the balance subtracts it): ``R = Q · PUR · ρ``.

    ``volume_1e4nm3`` in 10⁴ Nm3, ``purity`` the volume share of CO2 (0…1) and the density in t
    CO2 per 10⁴ Nm3 (19.7 in the guides; 44/22.4 · 10 would be 19.643). Impossible inputs raise
    ``CarbonInputError``.

    Source: NDRC 2013 guide for chemical producers, equation 12.

    Example: 50·10⁴ Nm3 at 99 %:

    >>> round(recovered_tco2(volume_1e4nm3=50.0, purity=0.99, density_tco2_per_1e4nm3=19.7), 6)
    975.15
    """
    require_share("purity", purity)
    require_amount("factor", density_tco2_per_1e4nm3)
    return require_amount("volume_1e4nm3", volume_1e4nm3) * purity * density_tco2_per_1e4nm3
