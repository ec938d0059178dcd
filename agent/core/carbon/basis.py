"""What every accounting function shares: the carbon ratio, input checks, combined uncertainty."""

from __future__ import annotations

import math

from agent.core.errors import TanshuError

CO2_PER_C = 44.0 / 12.0  # t CO2 per t C, molar masses as the standards round them


class CarbonInputError(TanshuError):
    """An input that no source can have: negative, not finite, or a share above 1."""


def require_amount(name: str, value: float) -> float:
    """``value`` if it is finite and not negative, else ``CarbonInputError``."""
    if not math.isfinite(value) or value < 0:
        raise CarbonInputError(
            f"{value} is not a possible amount",
            where=name,
            hint="a finite number from 0; exports and returns have inputs of their own",
        )
    return value


def require_share(name: str, value: float) -> float:
    """``value`` if it lies in 0…1, else ``CarbonInputError``."""
    if not 0.0 <= value <= 1.0:
        raise CarbonInputError(
            f"{value} is not a share",
            where=name,
            hint="a number from 0 to 1; 99 % is written 0.99",
        )
    return value


def combined_uncertainty_pct(*parts_pct: float) -> float:
    """Relative uncertainty of a product in %, from those of its factors.

    ``U = sqrt(Σ U_i²)`` for uncorrelated factors, each half of a 95 % interval in % of the value.

    Source: IPCC 2006, volume 1, chapter 3, equation 3.1 (approach 1).

    Example: activity data 5 %, factor 10 %:

    >>> round(combined_uncertainty_pct(5.0, 10.0), 2)
    11.18
    """
    return math.hypot(*parts_pct)
