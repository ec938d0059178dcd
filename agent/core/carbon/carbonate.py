"""CO2 from decomposing carbonates."""

from __future__ import annotations

from agent.core.carbon.basis import require_amount, require_share
from agent.core.carbon.formula import atoms, molar_mass_g_per_mol


def carbonate_tco2(
    *, amount_t: float, factor_tco2_per_t: float, purity: float = 1.0, conversion: float = 1.0
) -> float:
    """CO2 of a used carbonate in t: ``E = AD · EF · PUR`` times the converted share.

    ``amount_t`` in t of material, ``factor_tco2_per_t`` in tCO2 per t of the pure carbonate,
    ``purity`` the share of the carbonate in the material (0…1). Impossible inputs raise
    ``CarbonInputError``.

    Source: NDRC 2013 guide for chemical producers, equation 9; GB/T 32151.10-2023.

    Example: 1000 t of limestone with 97 % CaCO3 at 0.4397 tCO2/t:

    >>> round(carbonate_tco2(amount_t=1000.0, factor_tco2_per_t=0.4397, purity=0.97), 3)
    426.509
    """
    require_amount("factor", factor_tco2_per_t)
    require_share("purity", purity)
    require_share("conversion", conversion)
    return require_amount("amount", amount_t) * factor_tco2_per_t * purity * conversion


def stoichiometric_factor_tco2_per_t(formula: str) -> float:
    """CO2 per t of a pure carbonate if all of its carbon becomes CO2, by its formula.

    ``EF = n_C · M_CO2 / M`` with standard atomic weights.

    >>> round(stoichiometric_factor_tco2_per_t("CaCO3"), 4)
    0.4397
    """
    carbon = atoms(formula).get("C", 0)
    return carbon * molar_mass_g_per_mol("CO2") / molar_mass_g_per_mol(formula)
