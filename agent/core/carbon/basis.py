"""What every accounting function shares: the carbon ratio, input checks, combined uncertainty."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from agent.core.errors import TanshuError

CO2_PER_C = 44.0 / 12.0  # t CO2 per t C, molar masses as the standards round them
MOLAR_VOLUME_NM3_PER_KMOL = 22.4  # ideal gas at 0 °C and 101.325 kPa, as the standards round it
KG_PER_T = 1000.0


class CarbonInputError(TanshuError):
    """An input that no source can have: negative, not finite, or a share above 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmingPotentials:
    """Global warming potentials over 100 years of one assessment report, kgCO2e per kg."""

    id: str
    ch4: float
    n2o: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Gases:
    """What a source emitted, in t of each gas; negative where it was exported or recovered."""

    tco2: float = 0.0
    tch4: float = 0.0
    tn2o: float = 0.0

    def tco2e(self, gwp: WarmingPotentials) -> float:
        """The sum in t CO2 equivalent: ``CO2 + CH4 · GWP_CH4 + N2O · GWP_N2O``.

        >>> Gases(tco2=1.0, tch4=2.0).tco2e(WarmingPotentials(id="AR5", ch4=28.0, n2o=265.0))
        57.0
        """
        return math.fsum((self.tco2, self.tch4 * gwp.ch4, self.tn2o * gwp.n2o))

    @property
    def kgco2(self) -> float:
        return self.tco2 * KG_PER_T

    @property
    def kgch4(self) -> float:
        return self.tch4 * KG_PER_T

    @property
    def kgn2o(self) -> float:
        return self.tn2o * KG_PER_T


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


def exact(value: float) -> Fraction:
    """The decimal number that was written for ``value``: its shortest decimal form.

    Differences are taken of these, so that 0.3 − 0.1 − 0.2 is 0 and a small remainder of large
    amounts keeps all its digits.

    >>> float(exact(0.3) - exact(0.1) - exact(0.2))
    0.0
    """
    return Fraction(repr(value))


def difference(minuend: float, subtrahend: float) -> float:
    """``minuend − subtrahend`` of the numbers as written, rounded once."""
    return float(exact(minuend) - exact(subtrahend))


def combined_uncertainty_pct(*parts_pct: float) -> float:
    """Relative uncertainty of a product in %, from those of its factors.

    ``U = sqrt(Σ U_i²)`` for uncorrelated factors, each half of a 95 % interval in % of the value.

    Source: IPCC 2006, volume 1, chapter 3, equation 3.1 (approach 1).

    Example: activity data 5 %, factor 10 %:

    >>> round(combined_uncertainty_pct(5.0, 10.0), 2)
    11.18
    """
    return math.hypot(*parts_pct)
