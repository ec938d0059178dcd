"""CO2 of purchased and exported electricity."""

from __future__ import annotations

from agent.core.carbon.basis import require_amount


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
    net_mwh = require_amount("purchased_mwh", purchased_mwh) - require_amount(
        "exported_mwh", exported_mwh
    )
    return net_mwh * require_amount("factor", factor_tco2_per_mwh)
