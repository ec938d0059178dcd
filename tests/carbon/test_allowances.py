"""Trades of allowances add up exactly, whatever their order."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.carbon.basis import CarbonInputError
from agent.core.policy.allowances import Trade, sum_of_trades

TONNES = st.integers(1, 10**7)
FEN = st.integers(1, 10**12)
SOLD = st.booleans()


@st.composite
def trades(draw: st.DrawFn) -> Trade:
    sign = -1 if draw(SOLD) else 1
    return Trade(tonnes=Decimal(sign * draw(TONNES)), cny=Decimal(sign * draw(FEN)) / 100)


@given(st.lists(trades(), max_size=20))
def test_money_and_tonnes_are_exact_in_any_order(found: list[Trade]) -> None:
    total = sum_of_trades(found)
    assert total == sum_of_trades(reversed(found))
    assert total.tonnes == sum(int(trade.tonnes) for trade in found)
    assert total.cny * 100 == sum(int(trade.cny * 100) for trade in found)
    assert (total.mean_cny_per_t is None) == (total.tonnes == 0)


def test_what_was_sold_again_is_no_longer_held() -> None:
    bought = Trade(tonnes=Decimal(5000), cny=Decimal(300_000))
    sold = Trade(tonnes=Decimal(-5000), cny=Decimal(-310_000))
    assert sum_of_trades([bought]).mean_cny_per_t == 60
    assert sum_of_trades([bought, sold]).cny == -10_000
    assert sum_of_trades([bought, sold]).mean_cny_per_t is None


@pytest.mark.parametrize(("tonnes", "cny"), [("5", "-300"), ("-5", "300"), ("NaN", "1")])
def test_a_trade_that_cannot_be_is_refused(tonnes: str, cny: str) -> None:
    good = Trade(tonnes=Decimal(1), cny=Decimal(1))
    with pytest.raises(CarbonInputError) as refused:
        sum_of_trades([good, Trade(tonnes=Decimal(tonnes), cny=Decimal(cny))])
    assert refused.value.where == "trade[2]"
