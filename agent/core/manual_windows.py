"""From readings that people took to the windows of their stream.

Between two readings the amount is known and its shape is not: it is spread by load where the load
is known, else evenly. Parts are rounded to 6 decimals at the window boundaries, counted from the
start of their segment, so that they add up to its amount and do not depend on what lies outside.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from agent.core.cut import DECIMALS
from agent.core.gaps.allocate import spread
from agent.core.gaps.load import LoadSeries
from agent.core.manual import Form, ManualEntry, ManualSpec
from agent.core.model import Provenance, Window
from agent.core.timebase import HOUR_MS, boundaries, floor_boundary

METHODS = {Form.REGISTER: "manual-register", Form.AMOUNT: "manual-amount"}
ABSENT = "manual-absent"  # nobody wrote down what the window came to


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """What one reading says of the time before it; the amount is ``None`` if it says nothing."""

    start_ms: int
    end_ms: int
    amount: float | None

    @property
    def hours(self) -> float:
        return (self.end_ms - self.start_ms) / HOUR_MS


def segments_of(spec: ManualSpec, entries: Sequence[ManualEntry]) -> list[Segment]:
    """What current entries, in order of time, say of the time between them.

    Of registers the first entry only begins to count. Of overlapping amounts (periods that were
    changed in the site file) the later one holds from its start on.
    """
    if spec.form is Form.AMOUNT:
        return _periods(entries)
    readings = [one for one in entries if one.form is Form.REGISTER and one.value is not None]
    return [
        Segment(start_ms=before.time_ms, end_ms=entry.time_ms, amount=step(spec, before, entry))
        for before, entry in pairwise(readings)
    ]


def _periods(entries: Sequence[ManualEntry]) -> list[Segment]:
    segments: list[Segment] = []
    for entry in entries:
        if entry.value is None or entry.start_ms is None:
            continue
        while segments and segments[-1].end_ms > entry.start_ms:
            segments.pop()
        segments.append(Segment(start_ms=entry.start_ms, end_ms=entry.time_ms, amount=entry.value))
    return segments


def step(spec: ManualSpec, before: ManualEntry, entry: ManualEntry) -> float | None:
    """The amount between two readings of a register; ``None`` if they contradict each other.

    A register that was replaced counts to its last reading and on from the first of the new one.
    One that went back has wrapped if it has a modulus and the amount is physically possible:
    within the largest rate, or half the modulus where no largest rate is known.

    Example: 999 900 kWh, then 150 kWh on a six-digit meter: 250 kWh.
    """
    if entry.value is None or before.value is None:
        return None
    if entry.new_start is not None:
        old_end = before.value if entry.old_end is None else entry.old_end
        parts = (old_end - before.value, entry.value - entry.new_start)
        return None if min(parts) < 0 else sum(parts)
    amount = entry.value - before.value
    modulus = spec.stream.modulus
    if amount >= 0 or modulus is None:
        return None if amount < 0 else amount
    amount += modulus
    return amount if amount <= most_between(spec, before.time_ms, entry.time_ms) else None


def most_between(spec: ManualSpec, start_ms: int, end_ms: int) -> float:
    """The largest amount that is physically possible between two times."""
    if spec.stream.max_rate_per_h is not None:
        return spec.stream.max_rate_per_h * (end_ms - start_ms) / HOUR_MS
    return math.inf if spec.stream.modulus is None else spec.stream.modulus / 2


def manual_windows(
    spec: ManualSpec,
    entries: Sequence[ManualEntry],
    *,
    from_ms: int,
    to_ms: int,
    length_ms: int,
    loads: LoadSeries | None = None,
) -> list[Window]:
    """Every window that starts in [from_ms, to_ms), as the current entries have it.

    ``entries`` are in order of time and reach one beyond the span on each side; ``from_ms`` is a
    window boundary. A window that they do not cover wholly has no value; its coverage is the
    share of its time that they do cover. All carry revision 0; who books them numbers them.

    Example: a register of 100 t at 8:00 and 108 t at 16:00 with windows of an hour: eight
    windows of 1 t each, «manual-register», coverage 1.
    """
    parts: dict[int, list[tuple[int, float | None]]] = {}
    for segment in segments_of(spec, entries):
        if segment.start_ms < to_ms + length_ms and segment.end_ms > from_ms:
            for start_ms, covered_ms, amount in _parts(spec, segment, length_ms, loads):
                parts.setdefault(start_ms, []).append((covered_ms, amount))
    return [
        _window(spec, start_ms, length_ms, parts.get(start_ms, []), loads)
        for start_ms in range(from_ms, to_ms, length_ms)
    ]


def _parts(
    spec: ManualSpec, segment: Segment, length_ms: int, loads: LoadSeries | None
) -> Iterator[tuple[int, int, float | None]]:
    """Window start, covered time and amount of each part of a segment."""
    inner = boundaries(segment.start_ms + 1, segment.end_ms - 1, length_ms)
    edges = [segment.start_ms, *inner, segment.end_ms]
    amounts: list[float | None] = [None] * (len(edges) - 1)
    if segment.amount is not None:
        shares = spread(
            segment.amount, np.array(edges, np.int64), loads, spec.stream.max_rate_per_h
        )
        running = [0.0, *np.cumsum(shares)[:-1].tolist(), segment.amount]
        placed = [round(min(one, segment.amount), DECIMALS) for one in running]
        amounts = [after - before for before, after in pairwise(placed)]
    for (start_ms, end_ms), amount in zip(pairwise(edges), amounts, strict=True):
        yield floor_boundary(start_ms, length_ms), end_ms - start_ms, amount


def _window(
    spec: ManualSpec,
    start_ms: int,
    length_ms: int,
    parts: Sequence[tuple[int, float | None]],
    loads: LoadSeries | None,
) -> Window:
    covered_ms = sum(covered for covered, amount in parts if amount is not None)
    known = [amount for _, amount in parts if amount is not None]
    whole = covered_ms == length_ms
    return Window(
        stream=spec.id,
        start_ms=start_ms,
        length_ms=length_ms,
        revision=0,
        value=round(math.fsum(known), DECIMALS) if whole else None,
        provenance=Provenance.MANUAL if whole else Provenance.MISSING,
        method=METHODS[spec.form] if whole else ABSENT,
        coverage=covered_ms / length_ms,
        load=None if loads is None else loads.mean(start_ms, start_ms + length_ms),
    )
