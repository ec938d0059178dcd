"""Energy in tonnes of coal equivalent (tce)."""

from __future__ import annotations

from agent.core.carbon.basis import require_amount

GJ_PER_TCE = 29.3076  # 7000 kcal/kg at 4.1868 kJ/kcal


def tce_of_heat(gj: float) -> float:
    """Coal equivalent of an energy by its calorific value, in tce: ``gj / 29.3076``.

    A negative energy is one that was exported.

    Source: GB/T 2589-2020, 1 kgce = 29,307.6 kJ.

    Example: 1 t of diesel, 42.705 GJ, is 1.4571 tce (GB/T 2589-2020 annex A):

    >>> round(tce_of_heat(42.705), 4)
    1.4571
    """
    return gj / GJ_PER_TCE


def tce_by_coefficient(*, amount: float, kgce_per_unit: float, units_per_amount: float) -> float:
    """Coal equivalent by a reference coefficient, in tce: ``AD · n · c · 10⁻³``.

    ``kgce_per_unit`` per kg, m3 or kWh; ``units_per_amount`` such units in one unit of ``amount``
    (1000 kg per t, 10,000 Nm3 per 10⁴ Nm3, 1000 kWh per MWh). ``amount`` may be negative where
    energy was exported.

    Source: GB/T 2589-2020, annexes A and B.

    Example: 10 MWh at the calorific value of electricity, 0.1229 kgce/kWh:

    >>> round(tce_by_coefficient(amount=10.0, kgce_per_unit=0.1229, units_per_amount=1000.0), 6)
    1.229
    """
    require_amount("kgce_per_unit", kgce_per_unit)
    return amount * units_per_amount * kgce_per_unit / 1000.0
