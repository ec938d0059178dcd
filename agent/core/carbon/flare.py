"""CO2 from flares, in normal operation and in upsets."""

from __future__ import annotations

import math
from collections.abc import Mapping

from agent.core.carbon.basis import (
    CO2_PER_C,
    MOLAR_VOLUME_NM3_PER_KMOL,
    CarbonInputError,
    require_amount,
    require_share,
)
from agent.core.carbon.formula import atoms

_T_PER_1E4NM3 = 10.0 / MOLAR_VOLUME_NM3_PER_KMOL  # t per (kg/kmol) in 10⁴ Nm3 of ideal gas
_M_C, _M_CO2 = 12.0, 44.0
_WHOLE = 1e-9


def gas_carbon_tc_per_1e4nm3(composition: Mapping[str, float]) -> float:
    """Carbon of a gas that is not CO2 already, in tC per 10⁴ Nm3, from its composition.

    ``CC = Σ 12 · φ_i · n_i · 10 / 22.4`` with ``φ_i`` the volume share and ``n_i`` the carbon
    atoms of component ``i`` except CO2. Shares that do not sum to 1 raise ``CarbonInputError``.

    Source: NDRC guide for petrochemical producers, flare gas.

    Example: 90 % methane, 10 % CO2:

    >>> round(gas_carbon_tc_per_1e4nm3({"CH4": 0.9, "CO2": 0.1}), 6)
    4.821429
    """
    total = math.fsum(
        require_share(f"composition.{name}", share) for name, share in composition.items()
    )
    if abs(total - 1.0) > _WHOLE:
        raise CarbonInputError(
            f"the shares sum to {total:g}, not to 1",
            where="composition",
            hint="volume shares of all components, inert ones such as N2 too",
        )
    return math.fsum(
        _M_C * share * atoms(formula).get("C", 0) * _T_PER_1E4NM3
        for formula, share in composition.items()
        if formula != "CO2"
    )


def flare_tco2(
    *,
    volume_1e4nm3: float,
    carbon_tc_per_1e4nm3: float,
    co2_fraction: float,
    oxidation: float,
    co2_density_t_per_1e4nm3: float,
) -> float:
    """CO2 of a flare in normal operation, in t.

    ``E = Q · (CC · OF · 44/12 + φ_CO2 · 19.7)`` with ``Q`` in 10⁴ Nm3, ``CC`` the carbon that is
    not CO2 (tC/10⁴Nm3), ``OF`` the oxidised share, ``φ_CO2`` the volume share of CO2 in the gas.
    Impossible inputs raise ``CarbonInputError``.

    Source: NDRC guide for petrochemical producers, flare, normal operation; GB/T 32151.15-2023.

    Example: 10·10⁴ Nm3 with 5 tC/10⁴Nm3 and 10 % CO2, 98 % oxidised:

    >>> round(flare_tco2(volume_1e4nm3=10.0, carbon_tc_per_1e4nm3=5.0, co2_fraction=0.1,
    ...     oxidation=0.98, co2_density_t_per_1e4nm3=19.7), 6)
    199.366667
    """
    require_amount("carbon", carbon_tc_per_1e4nm3)
    require_share("co2_fraction", co2_fraction)
    require_share("oxidation", oxidation)
    burnt = carbon_tc_per_1e4nm3 * oxidation * CO2_PER_C
    carried = co2_fraction * require_amount("density", co2_density_t_per_1e4nm3)
    return require_amount("volume_1e4nm3", volume_1e4nm3) * (burnt + carried)


def flare_upset_tco2(
    *, rate_1e4nm3_per_h: float, hours: float, carbon_number: float, oxidation: float
) -> float:
    """CO2 of a flare in an upset, in t.

    ``E = GF · T · n_C · OF · 44/22.4 · 10`` with ``GF`` the mean flow (10⁴ Nm3/h), ``T`` the
    duration (h), ``n_C`` the mean carbon atoms per molecule (5 in refining, 3 in petrochemical
    plants if unknown) and ``OF`` the oxidised share. Impossible inputs raise ``CarbonInputError``.

    Source: NDRC guide for petrochemical producers, flare, upset; GB/T 32151.15-2023.

    Example: 2·10⁴ Nm3/h for 3 h, 3 carbon atoms, 98 % oxidised:

    >>> round(flare_upset_tco2(rate_1e4nm3_per_h=2.0, hours=3.0, carbon_number=3.0,
    ...     oxidation=0.98), 6)
    346.5
    """
    require_amount("carbon_number", carbon_number)
    require_share("oxidation", oxidation)
    volume_1e4nm3 = require_amount("rate_1e4nm3_h", rate_1e4nm3_per_h) * require_amount(
        "hours", hours
    )
    return volume_1e4nm3 * carbon_number * oxidation * _M_CO2 * _T_PER_1E4NM3
