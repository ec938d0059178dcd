"""From the window of a stream to the emission of a source."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from agent.core import kernels
from agent.core.carbon.basis import CarbonInputError, combined_uncertainty_pct, require_amount
from agent.core.model import Emission, FactorRef, GasRates, Provenance, Window

Floats = npt.NDArray[np.float64]
F = TypeVar("F", float, Floats)

# Half widths of a normal distribution: 90 % intervals travel with windows, uncertainties are 95 %.
_NINETY_OF_NINETY_FIVE = 1.6448536269514722 / 1.959963984540054

_ESTIMATED = frozenset({Provenance.ESTIMATED, Provenance.MISSING})


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedWindow:
    """One window of a source's stream, with what the source books it with."""

    source: str
    window: Window
    factor: FactorRef
    gases: GasRates
    share: float = 1.0
    uncertainty_activity_pct: float = 0.0


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
    spread = _spread(abs(value), uncertainty_pct)
    ends = [value if end is None else end * scale for end in (lower, upper)]
    below, above = value - min(*ends, value), max(*ends, value) - value
    return (
        value - math.sqrt(below * below + spread * spread),
        value + math.sqrt(above * above + spread * spread),
    )


def emissions_of(booked: Sequence[BookedWindow]) -> list[Emission]:
    """`emission_of` of many windows of many sources at once, the same to the last bit."""
    if not booked:
        return []
    windows = [one.window for one in booked]
    amounts = _floats(window.value for window in windows)
    kgco2e_scale = _floats(one.share * one.factor.value for one in booked)
    kgco2 = _products(amounts, _floats(one.share * one.gases.kgco2 for one in booked))
    kgch4 = _products(amounts, _floats(one.share * one.gases.kgch4 for one in booked))
    kgn2o = _products(amounts, _floats(one.share * one.gases.kgn2o for one in booked))
    lower, upper = intervals_of(
        amounts,
        _floats(window.lower for window in windows),
        _floats(window.upper for window in windows),
        kgco2e_scale,
        _floats(one.uncertainty_activity_pct for one in booked),
    )
    columns = (kgco2, kgch4, kgn2o, _products(amounts, kgco2e_scale), lower, upper)
    return [
        Emission(
            source=one.source,
            start_ms=one.window.start_ms,
            length_ms=one.window.length_ms,
            revision=0,
            kgco2=co2,
            kgch4=ch4,
            kgn2o=n2o,
            kgco2e=co2e,
            lower=low,
            upper=high,
            estimated_share=1.0 if one.window.provenance in _ESTIMATED else 0.0,
            factor=one.factor,
            inputs=((one.window.stream, one.window.revision),),
        )
        for one, co2, ch4, n2o, co2e, low, high in zip(booked, *map(_known, columns), strict=True)
    ]


def intervals_of(
    amounts: Floats, lower: Floats, upper: Floats, scales: Floats, uncertainty_pct: Floats
) -> tuple[Floats, Floats]:
    """`interval_of` over arrays, the same to the last bit; NaN stands for «no value»."""
    values, one_end, other_end = amounts * scales, lower * scales, upper * scales
    swapped = other_end < one_end
    low = np.where(swapped, other_end, one_end)
    high = np.where(swapped, one_end, other_end)
    widened = uncertainty_pct != 0
    unknown = np.isnan(values) | (~widened & (np.isnan(lower) | np.isnan(upper)))
    spread = _spread(np.abs(values), uncertainty_pct)
    below = values - np.fmin(np.fmin(one_end, other_end), values)
    above = np.fmax(np.fmax(one_end, other_end), values) - values
    low = np.where(widened, values - np.sqrt(below * below + spread * spread), low)
    high = np.where(widened, values + np.sqrt(above * above + spread * spread), high)
    return np.where(unknown, np.nan, low), np.where(unknown, np.nan, high)


def _spread(size: F, uncertainty_pct: F) -> F:
    return size * uncertainty_pct / 100 * _NINETY_OF_NINETY_FIVE


def _products(amounts: Floats, scales: Floats) -> Floats:
    result = np.empty(len(amounts), np.float64)
    kernels.run("emissions", amounts, scales, result)
    return result


def _floats(values: Iterable[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _known(values: Floats) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]
