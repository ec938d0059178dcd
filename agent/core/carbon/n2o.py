"""N2O from nitric and adipic acid plants."""

from __future__ import annotations

from agent.core.carbon.basis import KG_PER_T, exact, require_amount, require_share


def acid_plant_tn2o(
    *, output_t: float, factor_kgn2o_per_t: float, removal: float = 0.0, utilisation: float = 1.0
) -> float:
    """N2O of a nitric or adipic acid plant in t.

    ``E = AD · EF · (1 − η·μ) · 10⁻³`` with ``AD`` the acid made (t, nitric acid as 100 % HNO3),
    ``EF`` in kg N2O/t by technology, ``η`` the removal of the abatement plant and ``μ`` the share
    of the time it ran. Impossible inputs raise ``CarbonInputError``.

    Source: NDRC 2013 guide for chemical producers, equations 10 (nitric) and 11 (adipic).

    Example: 10,000 t of nitric acid at high pressure, 13.9 kg/t, 85 % removed all the time:

    >>> round(acid_plant_tn2o(output_t=10_000.0, factor_kgn2o_per_t=13.9, removal=0.85), 6)
    20.85
    """
    require_amount("factor", factor_kgn2o_per_t)
    require_share("removal", removal)
    require_share("utilisation", utilisation)
    formed = require_amount("output_t", output_t) * factor_kgn2o_per_t
    return formed * float(1 - exact(removal) * exact(utilisation)) / KG_PER_T
