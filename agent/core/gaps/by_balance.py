"""A gap of unknown total, estimated from the meters above and beside it in the meter tree."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from agent.core.balance import balance_estimate, balance_of, metered, usual_share
from agent.core.gaps.filled import FilledGap, Gap, finished
from agent.core.gaps.plan import scaled
from agent.core.gaps.series import Span
from agent.core.model import Window

METHOD = "meter-balance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A master stream, the streams below it, their accuracy classes, and their windows by start.

    ``days`` are earlier local days [from, to) in ms, from which the usual unmetered share comes.
    """

    master: str
    parts: tuple[str, ...]
    class_pct: Mapping[str, float]
    windows: Mapping[str, Sequence[Window]]
    days: tuple[tuple[int, int], ...]


def by_balance(tree: Tree, stream: str, gap: Gap, span: Span, starts_ms: range) -> FilledGap | None:
    """The gap as what the master counted less what the others did and what is usually unmetered.

    ``starts_ms`` are the starts of its windows. The 90 % interval is that of all meters and of the
    varying share together. None where any window of another meter is itself an estimate, or fewer
    than three earlier days tell of the share.

    Example: a master of 1000 kWh, 600 and 250 beside the gap, 5 ± 1 % usually unmetered: 100 kWh.
    """
    step_ms = starts_ms.step
    starts = {name: [one.start_ms for one in windows] for name, windows in tree.windows.items()}

    def within(from_ms: int, to_ms: int) -> dict[str, Sequence[Window]]:
        return {
            name: windows[bisect_left(starts[name], from_ms) : bisect_left(starts[name], to_ms)]
            for name, windows in tree.windows.items()
        }

    others = [name for name in tree.parts if name != stream]
    whole_days = [
        balance_of(
            tree.master,
            tree.parts,
            within(from_ms, to_ms),
            tree.class_pct,
            unmetered_pct=0.0,
            span_ms=to_ms - from_ms,
        )
        for from_ms, to_ms in tree.days
    ]
    usual = usual_share([one for one in whole_days if one.lower is not None])
    if usual is None:
        return None

    def estimate(from_ms: int, to_ms: int) -> tuple[float, float] | None:
        windows = within(from_ms, to_ms)
        top, *beside = (
            metered(name, windows[name], tree.class_pct[name], span_ms=to_ms - from_ms)
            for name in (tree.master, *others)
        )
        found = balance_estimate(top, beside, unmetered_share=usual[0], share_half_90=usual[1])
        return None if found is None else (found.value, (found.upper - found.lower) / 2)

    parts = [estimate(start, start + step_ms) for start in starts_ms]
    total = estimate(starts_ms[0], starts_ms[-1] + step_ms)
    known = [part for part in parts if part is not None]
    if total is None or len(known) < len(parts):
        return None
    result = finished(
        gap,
        span,
        scaled(np.array([value for value, _ in known]), total[0]),
        half=np.array([half for _, half in known]),
        total_half=total[1],
        method=METHOD,
        lowest=0.0,
    )
    return replace(result, calibration=sum(one.lower is not None for one in whole_days))


def surer(one: FilledGap | None, other: FilledGap) -> FilledGap:
    """The estimate with the narrower interval of its total; one without a value loses."""
    if one is None or one.total is None:
        return other
    return one if other.total is None or _width(one) <= _width(other) else other


def _width(filled: FilledGap) -> float:
    if filled.total_lower is None or filled.total_upper is None:
        return float("inf")
    return filled.total_upper - filled.total_lower
