"""What a master meter counts against what the meters below it count."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from agent.core.model import Provenance, Window

COVERAGE_FACTOR = 1.6448536269514722  # 90 % of a normal distribution, both sides
_GUESSED = frozenset({Provenance.ESTIMATED, Provenance.MISSING})


class Verdict(StrEnum):
    """What a balance says."""

    CLOSED = "closed"  # within the uncertainty of the meters
    UNMETERED = "unmetered"  # more goes in than is counted below and known to be unmetered
    OVERCOUNTED = "overcounted"  # more is counted below than goes in
    UNDECIDED = "undecided"  # something is estimated or missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered:
    """What one stream counted in a period.

    ``half_90`` is half the 90 % interval of the value. ``whole`` says that every window of the
    period is there and none is estimated or missing; without it ``value`` is what is known.
    """

    stream: str
    value: float
    half_90: float
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """A master stream against the streams below it in one period, in the master's unit.

    ``lower`` and ``upper`` are the 90 % interval of ``unmetered``; the share is of the master. In
    a balance that is undecided they bound what is known (``lower`` None: the meters below are not
    all known, so the unmetered part may be anything down to 0).
    """

    master: Metered
    parts: tuple[Metered, ...]
    unmetered: float | None
    unmetered_share: float | None
    lower: float | None
    upper: float | None
    verdict: Verdict

    @property
    def below(self) -> float:
        """The sum of what is known to be counted below the master."""
        return math.fsum(part.value for part in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceEstimate:
    """One stream's amount from the rest of its balance, with the 90 % interval."""

    value: float
    lower: float
    upper: float


def metered(stream: str, windows: Sequence[Window], class_pct: float, *, span_ms: int) -> Metered:
    """The sum of a stream's windows in a period of ``span_ms``, with its uncertainty.

    ``class_pct`` is the meter's accuracy class: the largest error allowed, in % of the reading,
    taken as a rectangular distribution, ``u = class/100·value/√3`` (GUM, JCGM 100:2008, 4.3.7).
    It is common to all windows, so it grows with the sum. Neighbouring measured windows share the
    register reading between them, so their own intervals count once, with the widest; those of
    allocated and manual windows add up. A measured value whose interval is not known adds none.
    """
    known = [window for window in windows if window.value is not None]
    value = math.fsum(window.value for window in known if window.value is not None)
    widths = [
        ((window.upper - window.lower) / 2, window.provenance is Provenance.MEASURED)
        for window in known
        if window.lower is not None and window.upper is not None
    ]
    own = max((half for half, is_read in widths if is_read), default=0.0) + math.fsum(
        half for half, is_read in widths if not is_read
    )
    of_class = COVERAGE_FACTOR * abs(value) * class_pct / 100 / math.sqrt(3)
    covered_ms = sum(window.length_ms for window in windows)
    guessed = any(window.provenance in _GUESSED for window in windows)
    return Metered(
        stream=stream,
        value=value,
        half_90=math.hypot(of_class, own),
        whole=not guessed and covered_ms == span_ms,
    )


def balance(master: Metered, parts: Sequence[Metered], *, unmetered_pct: float = 0.0) -> Balance:
    """Compare a master with what is below it.

    ``unmetered = master − Σ parts`` has the half width of all meters in quadrature. It is a
    finding beyond that: below 0 the meters below count more than goes in; above, more is unmetered
    or lost than ``unmetered_pct`` of the master, which the site knows of. What is estimated or
    missing decides nothing, except that parts which already exceed the master do.

    Example: 1000 kWh with 600 and 350 below, all of class 1: 50 kWh (5 %) are unmetered, ± 11.6,
    which is a finding unless the site knows of 4 % or more.
    """
    below = math.fsum(part.value for part in parts)
    half = math.sqrt(math.fsum(one.half_90**2 for one in (master, *parts)))
    if not master.whole:
        return _undecided(master, parts, None)
    rest = master.value - below
    if rest < -half:
        verdict = Verdict.OVERCOUNTED
    elif not all(part.whole for part in parts):
        return _undecided(master, parts, rest + half)
    elif rest > half + unmetered_pct / 100 * master.value:
        verdict = Verdict.UNMETERED
    else:
        verdict = Verdict.CLOSED
    return Balance(
        master=master,
        parts=tuple(parts),
        unmetered=rest,
        unmetered_share=rest / master.value if master.value else None,
        lower=rest - half,
        upper=rest + half,
        verdict=verdict,
    )


def _undecided(master: Metered, parts: Sequence[Metered], upper: float | None) -> Balance:
    """Nothing is said, but what is known below leaves at most so much unmetered."""
    return Balance(
        master=master,
        parts=tuple(parts),
        unmetered=None,
        unmetered_share=None,
        lower=None,
        upper=upper,
        verdict=Verdict.UNDECIDED,
    )


def balance_estimate(
    master: Metered,
    others: Sequence[Metered],
    *,
    unmetered_share: float = 0.0,
    share_half_90: float = 0.0,
) -> BalanceEstimate | None:
    """The amount of the one stream that is unknown below a master.

    ``value = master·(1 − unmetered_share) − Σ others``, never below 0. ``unmetered_share`` is the
    usual share of the master that nothing below it counts, ``share_half_90`` half its 90 %
    interval; both come from periods in which the balance was whole. Half widths add in quadrature.

    None if the master or another stream is not whole.

    Example: 1000 of class 0.5 less 600 and 250, with 5 ± 1 % usually unmetered: 100 ± 11.5.
    """
    if not master.whole or not all(other.whole for other in others):
        return None
    value = master.value * (1 - unmetered_share) - math.fsum(other.value for other in others)
    halves = [one.half_90 for one in (master, *others)] + [master.value * share_half_90]
    half = math.sqrt(math.fsum(part**2 for part in halves))
    return BalanceEstimate(
        value=max(0.0, value), lower=max(0.0, value - half), upper=max(0.0, value + half)
    )


def usual_share(balances: Sequence[Balance]) -> tuple[float, float] | None:
    """Mean unmetered share of whole balances, and half the 90 % range of a single one.

    None with fewer than three, which say nothing of how much it varies.
    """
    shares = [one.unmetered_share for one in balances if one.unmetered_share is not None]
    if len(shares) < 3:
        return None
    mean = math.fsum(shares) / len(shares)
    variance = math.fsum((share - mean) ** 2 for share in shares) / (len(shares) - 1)
    return mean, COVERAGE_FACTOR * math.sqrt(variance * (1 + 1 / len(shares)))


def balance_of(
    master: str,
    parts: Sequence[str],
    windows: Mapping[str, Sequence[Window]],
    class_pct: Mapping[str, float],
    *,
    unmetered_pct: float,
    span_ms: int,
) -> Balance:
    """The balance of one period from the windows of every stream in it."""
    top, *below = (
        metered(name, windows.get(name, ()), class_pct[name], span_ms=span_ms)
        for name in (master, *parts)
    )
    return balance(top, below, unmetered_pct=unmetered_pct)
