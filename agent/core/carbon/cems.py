"""A gas measured in a stack."""

from __future__ import annotations

from agent.core.carbon.basis import MOLAR_VOLUME_NM3_PER_KMOL, require_amount, require_share

_MG_PER_T = 1e9
_KG_PER_KMOL = {"co2": 44.0, "ch4": 16.0, "n2o": 44.0}


def stack_gas_t(
    *, concentration_mg_per_nm3: float, dry_flow_nm3_per_h: float, hours: float
) -> float:
    """Mass of a gas measured in a stack, in t: ``E = c · V̇ · T · 10⁻⁹``.

    ``concentration_mg_per_nm3`` in dry gas at 0 °C and 101.325 kPa (mg/Nm3), the dry flow in
    Nm3/h, the time in h. Negative inputs raise ``CarbonInputError``.

    Source: Regulation (EU) No 601/2012, annex IV section 16 (N2O by continuous measurement):
    Σ mg/Nm3 · Nm3/h · 10⁻⁹.

    Example: 1000 mg/Nm3 in 100,000 Nm3/h over 8000 h:

    >>> round(stack_gas_t(concentration_mg_per_nm3=1000.0, dry_flow_nm3_per_h=1e5,
    ...     hours=8000.0), 6)
    800.0
    """
    concentration = require_amount("concentration_mg_nm3", concentration_mg_per_nm3)
    flow = require_amount("dry_flow_nm3_h", dry_flow_nm3_per_h)
    return concentration * flow * require_amount("hours", hours) / _MG_PER_T


def concentration_mg_per_nm3(*, volume_share: float, gas: str = "co2") -> float:
    """Mass concentration of a gas in mg/Nm3 from its volume share (0…1) in dry gas.

    ``c = φ · M / 22.4 · 10⁶`` with the molar mass ``M`` in kg/kmol (CO2 44, CH4 16, N2O 44).
    A share outside 0…1 raises ``CarbonInputError``.

    Source: ideal gas at 0 °C and 101.325 kPa, 22.4 Nm3/kmol as in the standards.

    Example: 11.2 % CO2:

    >>> round(concentration_mg_per_nm3(volume_share=0.112), 6)
    220000.0
    """
    share = require_share("concentration_pct", volume_share)
    return share * _KG_PER_KMOL[gas] / MOLAR_VOLUME_NM3_PER_KMOL * 1e6


def deviation_pct(*, measured_t: float, computed_t: float) -> float:
    """By how much a stack measurement differs from the computed mass, in % of the computed one.

    >>> round(deviation_pct(measured_t=105.0, computed_t=100.0), 6)
    5.0
    """
    return (measured_t - computed_t) / computed_t * 100.0
