"""Uncertainty of a total: IPCC approach 1, with shared errors added before they are squared."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class UncertainTerm:
    """One source in a sum: its value and half of its 95 % intervals in % of it.

    Terms with the same ``factor_group`` use the same factor, terms with the same
    ``activity_group`` the same meter: those errors are common to them. None means its own.
    """

    value: float
    activity_pct: float
    factor_pct: float
    activity_group: str | None = None
    factor_group: str | None = None


def half_width(terms: Iterable[UncertainTerm]) -> float:
    """Half of the 95 % interval of the sum of ``terms``, in their unit.

    ``U = sqrt(Σ_g (Σ_{i∈g} U_i·x_i)²)``: within a group the errors are fully correlated and add
    with their signs, between groups they are independent and add in quadrature.

    Source: IPCC 2006 volume 1 chapter 3, equation 3.2 (approach 1), with correlated inputs
    aggregated first as section 3.2.3 asks.

    Example: two boilers of 100 t each with the same factor (10 %) and their own meters (5 %):

    >>> boilers = [UncertainTerm(value=100.0, activity_pct=5.0, factor_pct=10.0,
    ...     factor_group="coal") for _ in range(2)]
    >>> round(half_width(boilers), 4)
    21.2132
    """
    shared: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    own: list[float] = []
    for term in terms:
        for kind, group, pct in (
            ("activity", term.activity_group, term.activity_pct),
            ("factor", term.factor_group, term.factor_pct),
        ):
            error = term.value * pct / 100.0
            if group is None:
                own.append(error)
            else:
                shared[kind, group].append(error)
    # sorted: the order of the sources must not change a digit
    errors = sorted((*own, *(math.fsum(group) for group in shared.values())))
    return math.hypot(*errors)


def spread_of_difference(taken_in: Iterable[float], taken_out: Iterable[float]) -> float:
    """How many times less sure a difference is than each of the amounts it is made of.

    ``sqrt(Σ x²) / |Σ x_in − Σ x_out|`` for amounts of the same relative error, all independent;
    1 where the difference is 0 and a relative error says nothing.

    Source: IPCC 2006 volume 1 chapter 3, equation 3.2.

    Example: 10 t of carbon in, 8 t out: 2 % of each is 12.8 % of the 2 t between them.

    >>> round(2.0 * spread_of_difference([10.0], [8.0]), 1)
    12.8
    """
    terms = [*taken_in, *(-amount for amount in taken_out)]
    net = math.fsum(terms)
    return math.hypot(*terms) / abs(net) if net else 1.0


def relative_pct(half: float, total: float) -> float | None:
    """``half`` in % of the absolute total; None where the total is 0 but its error is not."""
    if half == 0:
        return 0.0
    return half / abs(total) * 100.0 if total != 0 else None


def accuracy_class_uncertainty_pct(class_pct: float) -> float:
    """Half of the 95 % interval of a meter from its accuracy class, in %.

    A class allows ±a anywhere: a rectangular distribution with ``u = a/√3``, expanded with
    ``k = 2``: ``U = 2·a/√3``.

    Source: GUM (JCGM 100:2008) 4.3.7; accuracy classes as in GB 17167.

    Example: a class 0.5S electricity meter:

    >>> round(accuracy_class_uncertainty_pct(0.5), 4)
    0.5774
    """
    return 2.0 * class_pct / math.sqrt(3.0)
