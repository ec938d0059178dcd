"""Trades of emission allowances, and what they come to: tonnes, money and the mean price."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from agent.core.carbon.basis import CarbonInputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """Allowances bought for money, or sold: then both are below 0. Exact to the fen."""

    tonnes: Decimal
    cny: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeSum:
    """The balance of trades; ``mean_cny_per_t`` is None where the tonnes cancel out."""

    tonnes: Decimal
    cny: Decimal
    mean_cny_per_t: Decimal | None


def sum_of_trades(trades: Iterable[Trade]) -> TradeSum:
    """Tonnes and money of trades of allowances, and the mean price paid for what is held.

    Money is decimal: sums of it are exact. A trade whose tonnes and money differ in sign, or that
    is not finite, raises ``CarbonInputError``.

    Example, two block trades of one day in the national market:

    >>> block = [Trade(tonnes=Decimal(160500), cny=Decimal("13065750.00")),
    ...          Trade(tonnes=Decimal(400000), cny=Decimal("32500000.00"))]
    >>> total = sum_of_trades(block)
    >>> str(total.tonnes), str(total.cny), str(round(total.mean_cny_per_t, 2))
    ('560500', '45565750.00', '81.29')
    """
    tonnes, cny = Decimal(0), Decimal(0)
    for number, trade in enumerate(trades, start=1):
        if not (trade.tonnes.is_finite() and trade.cny.is_finite()):
            raise CarbonInputError("not a number", where=f"trade[{number}]", hint="tonnes and CNY")
        if trade.tonnes * trade.cny < 0:
            raise CarbonInputError(
                f"{trade.tonnes} t for {trade.cny} CNY",
                where=f"trade[{number}]",
                hint="both above 0 for what is bought, both below 0 for what is sold",
            )
        tonnes += trade.tonnes
        cny += trade.cny
    mean = cny / tonnes if tonnes else None
    return TradeSum(tonnes=tonnes, cny=cny, mean_cny_per_t=mean)
