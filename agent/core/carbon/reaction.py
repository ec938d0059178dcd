"""Gases formed by a reaction, from its equation."""

from __future__ import annotations

from agent.core.carbon.basis import Gases, require_amount, require_share
from agent.core.carbon.formula import Masses, molar_mass_g_per_mol, read_equation, species_named

_COUNTED = ("CO2", "CH4", "N2O")


def reaction_factors_t_per_t(
    *, equation: str, feed: str, masses: Masses = "rounded"
) -> dict[str, float]:
    """CO2, CH4 and N2O formed per t of a completely converted feed, in t/t.

    ``EF_g = ν_g · M_g / (ν_feed · M_feed)`` with ``ν_g`` the net moles of gas ``g`` on the right
    side of the balanced equation, never below 0: taking up CO2 is a recovery, which is reported
    as such. An equation that does not balance, or a feed that is not in it, raises
    ``FormulaError``.

    Source: stoichiometry; masses rounded as in 44/12 of the accounting standards unless
    ``masses = "standard"``.

    Example: methane burnt completely (NPTEL 112104033, example 8.2):

    >>> reaction_factors_t_per_t(equation="CH4 + 2 O2 -> CO2 + 2 H2O", feed="CH4")["CO2"]
    2.75
    """
    read = read_equation(equation)
    species = species_named(read, feed)
    feed_mass = float(read.left[species]) * molar_mass_g_per_mol(species, masses)
    factors = {}
    for gas in _COUNTED:
        formed = read.right.get(gas, 0) - read.left.get(gas, 0)
        factors[gas] = max(float(formed), 0.0) * molar_mass_g_per_mol(gas, masses) / feed_mass
    return factors


def reaction_gases(
    *,
    equation: str,
    feed: str,
    amount_t: float,
    conversion: float = 1.0,
    purity: float = 1.0,
    masses: Masses = "rounded",
) -> Gases:
    """Gases formed by a reaction, in t: ``E_g = AD · purity · conversion · EF_g``.

    ``amount_t`` is the mass of the feed in t, ``purity`` its share of the reacting species and
    ``conversion`` the share of that which reacts (0…1). Impossible inputs raise
    ``CarbonInputError`` or ``FormulaError``.

    Source: stoichiometry, factors of ``reaction_factors_t_per_t``.

    Example: 100 t of limestone, 95 % CaCO3, 98 % of it burnt:

    >>> round(reaction_gases(equation="CaCO3 -> CaO + CO2", feed="CaCO3", amount_t=100.0,
    ...     purity=0.95, conversion=0.98).tco2, 6)
    40.932073
    """
    reacted = (
        require_amount("amount", amount_t)
        * require_share("purity", purity)
        * require_share("conversion", conversion)
    )
    factors = reaction_factors_t_per_t(equation=equation, feed=feed, masses=masses)
    return Gases(
        tco2=reacted * factors["CO2"], tch4=reacted * factors["CH4"], tn2o=reacted * factors["N2O"]
    )
