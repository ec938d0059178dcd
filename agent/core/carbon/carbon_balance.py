"""Process CO2 from what carbon went in and what came out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from agent.core.carbon.basis import CarbonInputError, exact, require_amount, require_share

_CO2_PER_C = Fraction(44, 12)
_CLOSES = Fraction(1, 10**12)  # relative: what rounded amounts may leave of a balance that closes


@dataclass(frozen=True, slots=True, kw_only=True)
class CarbonFlow:
    """A material that crosses the boundary, with its stock inside the boundary.

    ``amount`` is what was bought or charged of an input, what was shipped or taken off of an
    output, in t or 10⁴ Nm3; the stocks are those at the start and the end of the period, in the
    same unit.
    """

    amount: float
    carbon_tc_per_unit: float
    purity: float = 1.0
    stock_start: float = 0.0
    stock_end: float = 0.0


def consumed_tc(flow: CarbonFlow) -> float:
    """Carbon that an input brought into the process, in tC.

    ``C = (amount + stock_start − stock_end) · purity · CC``. More stock at the end than there was
    raises ``CarbonInputError``.

    Source: GB/T 32151.10-2023, consumption = purchase + opening stock − closing stock.

    >>> round(consumed_tc(CarbonFlow(amount=100.0, carbon_tc_per_unit=0.856, purity=0.99,
    ...     stock_start=10.0, stock_end=20.0)), 6)
    76.2696
    """
    return float(_consumed(flow))


def produced_tc(flow: CarbonFlow) -> float:
    """Carbon that an output took out of the process, in tC.

    ``C = (amount + stock_end − stock_start) · purity · CC``. More opening stock than was shipped
    or kept raises ``CarbonInputError``.

    Source: GB/T 32151.10-2023, output = shipment + closing stock − opening stock.

    >>> produced_tc(CarbonFlow(amount=90.0, carbon_tc_per_unit=0.5, stock_end=10.0))
    50.0
    """
    return float(_produced(flow))


def stored_tc(flow: CarbonFlow) -> float:
    """Carbon by which the stock of an intermediate grew, in tC; negative where it shrank.

    ``C = (amount + stock_end − stock_start) · purity · CC`` with ``amount`` what was drawn off as
    such, usually 0.

    >>> stored_tc(CarbonFlow(amount=0.0, carbon_tc_per_unit=0.4, stock_start=30.0, stock_end=20.0))
    -4.0
    """
    return float(_stored(flow))


def carbon_balance_tco2(
    *,
    inputs: Iterable[CarbonFlow],
    products: Iterable[CarbonFlow],
    wastes: Iterable[CarbonFlow] = (),
    intermediates: Iterable[CarbonFlow] = (),
    recovered_tc: float = 0.0,
) -> float:
    """CO2 of a process from its carbon balance, in t.

    ``E = {Σ AD_r·CC_r − [Σ AD_p·CC_p + Σ AD_w·CC_w + ΔC_intermediates] − C_recovered} · 44/12``
    with amounts in t or 10⁴ Nm3 and carbon contents in tC per unit of the pure material. More
    carbon out than in raises ``CarbonInputError``.

    Source: NDRC 2013 guide for chemical producers, equation 8; recovered carbon as in feature B2
    (stock changes and intermediates follow from the definition of consumption and output).

    Example: 1000 t of ethylene (0.856) to 1400 t of ethylene oxide (0.545), 20 tC as waste,
    10 tC recovered:

    >>> round(carbon_balance_tco2(
    ...     inputs=[CarbonFlow(amount=1000.0, carbon_tc_per_unit=0.856)],
    ...     products=[CarbonFlow(amount=1400.0, carbon_tc_per_unit=0.545)],
    ...     wastes=[CarbonFlow(amount=20.0, carbon_tc_per_unit=1.0)],
    ...     recovered_tc=10.0), 6)
    231.0
    """
    entered = sum((_consumed(flow) for flow in inputs), Fraction())
    left = sum((_produced(flow) for flow in (*products, *wastes)), Fraction())
    left += sum((_stored(flow) for flow in intermediates), Fraction())
    left += exact(require_amount("recovered_c_t", recovered_tc))
    emitted = entered - left
    if emitted < -_CLOSES * (entered + abs(left)):
        raise CarbonInputError(
            f"{float(left):g} tC came out of {float(entered):g} tC",
            where="products",
            hint="check the amounts and carbon contents: carbon cannot come from nothing",
        )
    return float(max(emitted, Fraction()) * _CO2_PER_C)


def _consumed(flow: CarbonFlow) -> Fraction:
    _check(flow)
    there = exact(flow.amount) + exact(flow.stock_start)
    if exact(flow.stock_end) > there:
        raise CarbonInputError(
            f"stock of {flow.stock_end:g} at the end, but only {float(there):g} were there",
            where="stock_end",
            hint="closing stock cannot exceed opening stock and purchase",
        )
    return (there - exact(flow.stock_end)) * _carbon(flow)


def _produced(flow: CarbonFlow) -> Fraction:
    _check(flow)
    gone = exact(flow.amount) + exact(flow.stock_end)
    if exact(flow.stock_start) > gone:
        raise CarbonInputError(
            f"opening stock of {flow.stock_start:g}, but only {float(gone):g} were shipped or kept",
            where="stock_start",
            hint="production cannot be negative: check the stocks",
        )
    return (gone - exact(flow.stock_start)) * _carbon(flow)


def _stored(flow: CarbonFlow) -> Fraction:
    _check(flow)
    grown = exact(flow.amount) + exact(flow.stock_end) - exact(flow.stock_start)
    return grown * _carbon(flow)


def _carbon(flow: CarbonFlow) -> Fraction:
    return exact(flow.purity) * exact(flow.carbon_tc_per_unit)


def _check(flow: CarbonFlow) -> None:
    for name in ("amount", "stock_start", "stock_end"):
        require_amount(name, getattr(flow, name))
    require_amount("carbon_content", flow.carbon_tc_per_unit)
    require_share("purity", flow.purity)
