"""CH4 from waste water and landfills, CO2 from incineration."""

from __future__ import annotations

import math
from collections.abc import Sequence

from agent.core.carbon.basis import (
    CO2_PER_C,
    KG_PER_T,
    CarbonInputError,
    difference,
    require_amount,
    require_share,
)

CH4_PER_C = 16.0 / 12.0


def wastewater_tch4(
    *,
    volume_m3: float,
    cod_in_kg_per_m3: float,
    cod_out_kg_per_m3: float,
    factor_kgch4_per_kgcod: float,
    sludge_cod_kg: float = 0.0,
    recovered_tch4: float = 0.0,
) -> float:
    """CH4 of a waste-water treatment in t.

    ``E = (TOW − S) · B0 · MCF · 10⁻³ − R`` with ``TOW = V · (COD_in − COD_out)`` in kg COD, ``S``
    what left with the sludge (kg COD), ``B0 · MCF`` the factor (kg CH4/kg COD) and ``R`` the
    recovered CH4 in t. More out than in, or more recovered than formed, raises
    ``CarbonInputError``.

    Source: IPCC 2006 volume 5 equation 6.4; GB/T 32151 for other industries.

    Example: 1 m3 with 0.5 kg COD, B0 0.25, MCF 0.9 is 0.1125 kg, 0.00315 tCO2e at a GWP of 28
    (provincial inventory guide 2025):

    >>> round(28 * wastewater_tch4(volume_m3=1.0, cod_in_kg_per_m3=0.5, cod_out_kg_per_m3=0.0,
    ...     factor_kgch4_per_kgcod=0.25 * 0.9), 6)
    0.00315
    """
    volume = require_amount("volume_m3", volume_m3)
    entering = require_amount("cod_in", cod_in_kg_per_m3)
    if require_amount("cod_out", cod_out_kg_per_m3) > entering:
        raise CarbonInputError(
            f"{cod_out_kg_per_m3} kg/m3 is more than cod_in ({cod_in_kg_per_m3} kg/m3)",
            where="cod_out",
            hint="kg COD per m3, before and after treatment",
        )
    removed_kg = volume * difference(entering, cod_out_kg_per_m3)
    if require_amount("sludge_cod_kg", sludge_cod_kg) > removed_kg:
        raise CarbonInputError(
            f"{sludge_cod_kg} kg is more than the {removed_kg:g} kg that were removed",
            where="sludge_cod_kg",
            hint="kg COD that left with the sludge",
        )
    factor = require_amount("factor", factor_kgch4_per_kgcod)
    formed_t = difference(removed_kg, sludge_cod_kg) * factor / KG_PER_T
    return _less_recovered(formed_t, recovered_tch4)


def incineration_factor_tco2_per_t(
    *, carbon_fraction: float, fossil_fraction: float, efficiency: float
) -> float:
    """Fossil CO2 per t of burnt waste, in tCO2/t.

    ``EF = CCW · FCF · CE · 44/12`` with ``CCW`` the carbon in the waste, ``FCF`` the fossil share
    of that carbon and ``CE`` the burnt share, each 0…1. Impossible inputs raise
    ``CarbonInputError``.

    Source: provincial inventory guide 2025 (same form as IPCC 2006 volume 5 equation 5.1).

    Example: hazardous waste, 0.5, 0.9 and 0.995:

    >>> round(incineration_factor_tco2_per_t(
    ...     carbon_fraction=0.5, fossil_fraction=0.9, efficiency=0.995), 6)
    1.64175
    """
    require_share("carbon_fraction", carbon_fraction)
    require_share("fossil_fraction", fossil_fraction)
    require_share("efficiency", efficiency)
    return carbon_fraction * fossil_fraction * efficiency * CO2_PER_C


def incineration_tco2(*, amount_t: float, factor_tco2_per_t: float) -> float:
    """Fossil CO2 of burnt waste in t: ``E = AD · EF``. Negative inputs raise ``CarbonInputError``.

    Source: provincial inventory guide 2025.

    Example: 100 t of hazardous waste at a user's 3.2 tCO2/t:

    >>> incineration_tco2(amount_t=100.0, factor_tco2_per_t=3.2)
    320.0
    """
    return require_amount("amount", amount_t) * require_amount("factor", factor_tco2_per_t)


def landfill_potential_tch4_per_t(
    *, doc: float, doc_f: float, mcf: float, methane_fraction: float
) -> float:
    """CH4 that one t of landfilled waste forms in all, in tCH4/t.

    ``L0 = DOC · DOC_f · MCF · F · 16/12`` with ``DOC`` the degradable carbon (tC/t), ``DOC_f``
    the share of it that decomposes, ``MCF`` the share that does so without air, ``F`` the volume
    share of CH4 in the gas, each 0…1. Impossible inputs raise ``CarbonInputError``.

    Source: IPCC 2006 volume 5 equations 3.2 and 3.3.

    Example: industrial waste, DOC 0.15, half of it decomposing, managed, half CH4:

    >>> round(landfill_potential_tch4_per_t(
    ...     doc=0.15, doc_f=0.5, mcf=1.0, methane_fraction=0.5), 6)
    0.05
    """
    for name, share in (
        ("doc", doc),
        ("doc_f", doc_f),
        ("mcf", mcf),
        ("methane_fraction", methane_fraction),
    ):
        require_share(name, share)
    return doc * doc_f * mcf * methane_fraction * CH4_PER_C


def landfill_tch4(
    *,
    amount_t: float,
    factor_tch4_per_t: float,
    oxidation: float = 0.0,
    recovered_tch4: float = 0.0,
) -> float:
    """CH4 of landfilled waste in t, all of it in the year of disposal.

    ``E = (AD · L0 − R) · (1 − OX)`` with ``L0`` in tCH4/t, ``R`` the recovered CH4 in t and
    ``OX`` what the cover oxidises. Impossible inputs raise ``CarbonInputError``.

    Source: provincial inventory guide, mass balance method (IPCC 1996 default method).

    Example: 100 t at 0.05 tCH4/t, 10 % oxidised:

    >>> landfill_tch4(amount_t=100.0, factor_tch4_per_t=0.05, oxidation=0.1)
    4.5
    """
    formed = require_amount("amount", amount_t) * require_amount("factor", factor_tch4_per_t)
    return _less_recovered(formed, recovered_tch4) * (1.0 - require_share("oxidation", oxidation))


def landfill_decay_tch4(
    *,
    deposits_t: Sequence[float],
    factor_tch4_per_t: float,
    decay_per_year: float,
    oxidation: float = 0.0,
    recovered_tch4: float = 0.0,
) -> float:
    """CH4 that a landfill forms in the last year of a row of yearly deposits, in t.

    First-order decay: waste deposited ``n`` years before forms
    ``AD · L0 · e^(−k·(n−1)) · (1 − e^(−k))`` in the year, nothing in the year of deposit itself;
    then ``E = (Σ − R) · (1 − OX)``. ``deposits_t`` are the masses of successive years, oldest
    first, the last one that of the reported year; ``decay_per_year`` is ``k`` in 1/year.
    Impossible inputs raise ``CarbonInputError``.

    Source: IPCC 2006 volume 5 equations 3.1, 3.4 to 3.6, decay from 1 January of the next year.

    Example: 100 t in the year before, 0.05 tCH4/t, k = 0.05:

    >>> round(landfill_decay_tch4(deposits_t=[100.0, 0.0], factor_tch4_per_t=0.05,
    ...     decay_per_year=0.05), 6)
    0.243853
    """
    k = require_amount("k", decay_per_year)
    potential = require_amount("factor", factor_tch4_per_t)
    yearly = -math.expm1(-k)
    formed = math.fsum(
        require_amount("deposits", mass) * potential * math.exp(-k * (age - 1)) * yearly
        for age, mass in zip(range(len(deposits_t) - 1, -1, -1), deposits_t, strict=True)
        if age > 0
    )
    return _less_recovered(formed, recovered_tch4) * (1.0 - require_share("oxidation", oxidation))


def _less_recovered(formed_t: float, recovered_t: float) -> float:
    if require_amount("recovered_ch4_t", recovered_t) > formed_t * (1 + 1e-12):
        raise CarbonInputError(
            f"{recovered_t} t is more than the {formed_t:g} t that were formed",
            where="recovered_ch4_t",
            hint="t of CH4 that was caught and burnt or used",
        )
    return max(difference(formed_t, recovered_t), 0.0)
