"""From the window of a stream to the emission of a source."""

from __future__ import annotations

import math

from agent.core.carbon.basis import CarbonInputError, combined_uncertainty_pct, require_amount
from agent.core.model import Emission, FactorRef, GasRates, Provenance, Window

# Half widths of a normal distribution: 90 % intervals travel with windows, uncertainties are 95 %.
_NINETY_OF_NINETY_FIVE = 1.6448536269514722 / 1.959963984540054

_ESTIMATED = frozenset({Provenance.ESTIMATED, Provenance.MISSING})


def emission_of(
    source_id: str,
    window: Window,
    factor: FactorRef,
    *,
    gases: GasRates | None = None,
    share: float = 1.0,
    revision: int = 0,
    uncertainty_activity_pct: float = 0.0,
    uncertainty_factor_pct: float = 0.0,
) -> Emission:
    """What one source emitted in one window, in kg.

    ``kgCO2e = value · share · factor`` with the window's value in the stream's unit, ``share`` the
    signed part of the stream that the source owns (below 0: exported or returned) and
    ``factor.value`` in kgCO2e per that unit. ``gases`` splits it: without it all is CO2, as in the
    fuel and energy sources of GB/T 32151.10-2023. A window without a value gives an emission
    without one.

    ``lower`` and ``upper`` are the window's 90 % interval scaled in the same way. The two
    uncertainties (half of a 95 % interval, in %) widen it in quadrature; errors of a factor are
    common to all windows and must not be added here if windows are summed as independent.

    ``estimated_share`` is 1 where the whole amount is an estimate, else 0. An *allocated* window
    counts as measured: the register counted its total, only the shape was estimated.

    A factor or uncertainty that is negative or not finite raises ``CarbonInputError``.

    Example: 120 Nm3 of natural gas at 2.1621888 kgCO2/Nm3 is 259.46 kgCO2.
    """
    require_amount("factor", factor.value)
    require_amount("uncertainty_activity_pct", uncertainty_activity_pct)
    require_amount("uncertainty_factor_pct", uncertainty_factor_pct)
    if not math.isfinite(share):
        raise CarbonInputError(f"{share} is not a share", where=source_id, hint="a finite number")
    scale = share * factor.value
    gases = gases or GasRates(kgco2=factor.value)

    def emitted(rate_kg_per_unit: float) -> float | None:
        return None if window.value is None else window.value * (share * rate_kg_per_unit)

    lower, upper = interval_of(
        window.value,
        window.lower,
        window.upper,
        scale,
        combined_uncertainty_pct(uncertainty_activity_pct, uncertainty_factor_pct),
    )
    return Emission(
        source=source_id,
        start_ms=window.start_ms,
        length_ms=window.length_ms,
        revision=revision,
        kgco2=emitted(gases.kgco2),
        kgch4=emitted(gases.kgch4),
        kgn2o=emitted(gases.kgn2o),
        kgco2e=emitted(factor.value),
        lower=lower,
        upper=upper,
        estimated_share=1.0 if window.provenance in _ESTIMATED else 0.0,
        factor=factor,
        inputs=((window.stream, window.revision),),
    )


def interval_of(
    amount: float | None,
    lower: float | None,
    upper: float | None,
    scale: float,
    uncertainty_pct: float,
) -> tuple[float | None, float | None]:
    """The 90 % interval of an emission: the window's own, widened by a relative uncertainty.

    ``amount``, ``lower`` and ``upper`` are the window's, ``scale`` is kgCO2e per unit of it.
    """
    if amount is None:
        return None, None
    value = amount * scale
    if uncertainty_pct == 0:
        if lower is None or upper is None:
            return None, None
        low, high = sorted((lower * scale, upper * scale))
        return low, high
    spread = abs(value) * uncertainty_pct / 100 * _NINETY_OF_NINETY_FIVE
    ends = [value if end is None else end * scale for end in (lower, upper)]
    low, high = min(*ends, value), max(*ends, value)
    return value - math.hypot(value - low, spread), value + math.hypot(high - value, spread)
