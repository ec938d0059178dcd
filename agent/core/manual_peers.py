"""Comparing a reading that a person took with what its peers used meanwhile, or with its own past.

What is compared is the amount per load and running hour where the load of both is known, else per
running hour. A deviation is a warning that stays with the entry; it never keeps it out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from agent.core.activity_checks import Remark

LEAST_FOR_MEDIAN = 3
MOST_HISTORY = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a stream came to in a span, how long its device ran, and its load over that time.

    ``load_h`` is the sum of load times hours, ``None`` where the load is not known.
    """

    amount: float
    running_h: float
    load_h: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What is usual, by how many it is known, and how far off the value is (as a share of it)."""

    usual: float
    count: int
    basis: str  # «peers» or «its own history»
    per: str  # «load» or «running hour»
    value: float

    @property
    def deviation(self) -> float:
        return (self.value - self.usual) / self.usual if self.usual else float("inf")


def compare(own: Usage, peers: Sequence[Usage], history: Sequence[Usage]) -> Comparison | None:
    """A usage beside its peers: the median of at least three of them, else the mean of what
    there is, else the median of its own history; ``None`` where nothing can be compared.

    Example: 130 kWh in one hour beside peers with 100, 101 and 400 kWh: usual is 101 kWh/h, the
    deviation is +29 %.
    """
    for basis, others in (("peers", peers), ("its own history", history[-MOST_HISTORY:])):
        for per in ("load", "running hour"):
            value = _intensity(own, per)
            known = [rate for one in others if (rate := _intensity(one, per)) is not None]
            if value is None or not known:
                continue
            robust = len(known) >= LEAST_FOR_MEDIAN or basis != "peers"
            return Comparison(
                usual=median(known) if robust else fmean(known),
                count=len(known),
                basis=basis,
                per=per,
                value=value,
            )
    return None


def check_peers(
    own: Usage, peers: Sequence[Usage], history: Sequence[Usage], *, share: float
) -> Remark | None:
    """A warning where the usage is more than ``share`` off what is usual."""
    found = compare(own, peers, history)
    if found is None or abs(found.value - found.usual) <= share * abs(found.usual):
        return None
    off = f"{found.deviation:+.0%} off" if found.usual else "not 0 as"
    middle = "median" if found.count >= LEAST_FOR_MEDIAN or found.basis != "peers" else "mean"
    return Remark(
        field="value",
        what=f"is {off} the {middle} of {found.basis} per {found.per} "
        f"({found.value:.4g} beside {found.usual:.4g}, {found.count} compared)",
        hint="read it again; if it is right, say why in the note",
        warning=True,
        code="manual.implausible",
    )


def _intensity(usage: Usage, per: str) -> float | None:
    by = usage.load_h if per == "load" else usage.running_h
    return None if by is None or by <= 0 else usage.amount / by
