"""Sharing an emission among co-products, to the last bit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from agent.core.carbon.basis import CarbonInputError, require_amount

Method = Literal["mass", "energy", "price", "carbon"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoProduct:
    """One product of a joint process; ``per_unit`` is GJ, price or tC per unit of amount."""

    id: str
    amount: float
    per_unit: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocated:
    """What one product bears, with the basis that decided it."""

    id: str
    basis: float
    share: float
    part: float


def allocate(
    total: float, products: tuple[CoProduct, ...], method: Method
) -> tuple[Allocated, ...]:
    """Share ``total`` among products by mass, energy, price or carbon.

    ``share_i = amount_i · p_i / Σ amount · p`` with ``p`` 1, GJ, price or tC per unit. The shares
    sum to exactly 1 and the parts to exactly ``total`` in binary arithmetic, in any order: both
    are divided in units of their last binary digit by the largest remainder, ties to the first
    product. No product, or a basis that is 0 in all, raises ``CarbonInputError``.

    Source: ISO 14044:2006, 4.3.4.2 (allocation by a physical relationship, else by value).

    Example: ethylene and propylene at a 6:4 basis (mass allocation, 700 kg and 300 kg, is 70 %
    and 30 %: Klöpffer and Grahl, p. 94):

    >>> parts = allocate(1000.0, (CoProduct(id="ethylene", amount=6.0),
    ...     CoProduct(id="propylene", amount=4.0)), "mass")
    >>> [(part.share, part.part) for part in parts]
    [(0.6, 600.0), (0.4, 400.0)]
    """
    if not math.isfinite(total):
        raise CarbonInputError(f"{total} cannot be shared", where="total", hint="a finite number")
    weights = [
        Fraction(require_amount(f"product[{product.id}].amount", product.amount))
        * (1 if method == "mass" else Fraction(require_amount(method, product.per_unit)))
        for product in products
    ]
    if sum(weights) == 0:
        raise CarbonInputError(
            f"there is nothing to share by {method}",
            where="product",
            hint="at least one product with an amount above 0",
        )
    shares = divided(1.0, weights)
    parts = divided(total, weights)
    return tuple(
        Allocated(id=product.id, basis=float(weight), share=share, part=part)
        for product, weight, share, part in zip(products, weights, shares, parts, strict=True)
    )


def divided(total: float, weights: list[Fraction]) -> list[float]:
    """``total`` in parts by weight; the parts sum to exactly ``total``.

    A finite float is ``m · 2^e`` with ``|m| ≤ 2^53``. Parts that are whole multiples of ``2^e``
    and sum to ``m`` are floats too, and so is every partial sum.
    """
    mantissa, exponent = math.frexp(abs(total))
    units = int(mantissa * 2**53)
    step = exponent - 53
    if units == 2**52 and step > -1074:  # a power of 2 can be counted in half digits
        units, step = 2**53, step - 1
    if step < -1074:  # subnormal: fewer digits
        units >>= -1074 - step
        step = -1074
    whole = sum(weights)
    exact = [units * weight / whole for weight in weights]
    counts = [int(part) for part in exact]
    order = sorted(range(len(exact)), key=lambda place: counts[place] - exact[place])
    for place in order[: units - sum(counts)]:
        counts[place] += 1
    return [math.copysign(math.ldexp(count, step), total) for count in counts]


def shares_sum_to_one(shares: Mapping[str, float]) -> None:
    """``CarbonInputError`` unless given shares lie in 0…1 and sum to 1 (within 10⁻⁹)."""
    for name, share in shares.items():
        if not 0.0 <= share <= 1.0:
            raise CarbonInputError(f"{share} is not a share", where=name, hint="from 0 to 1")
    total = math.fsum(shares.values())
    if abs(total - 1.0) > 1e-9:
        raise CarbonInputError(
            f"the shares sum to {total:g}, not to 1", where="product", hint="correct the shares"
        )
