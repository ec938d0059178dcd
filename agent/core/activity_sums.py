"""Sums of activity entries over a period: amounts add up, stocks differ, contents average.

An entry counts whole where its period lies inside. Where a boundary cuts its period, the part
inside is taken by time, and the sum says how much of it was so allocated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from agent.core.activity import KIND_RULES, ActivityEntry, ActivityKind

Span = tuple[int, int]  # from, to (exclusive) in UTC milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivitySum:
    """What one stream comes to in a period; ``allocated`` is the part split off by time."""

    stream: str
    kind: ActivityKind
    item: str
    place: str
    unit: str
    amount: float
    allocated: float
    entries: tuple[tuple[str, int], ...]  # period or batch of each entry used, and its revision


@dataclass(frozen=True, slots=True, kw_only=True)
class StockChange:
    """Stock of a stream at both ends of a period; ``None`` where no count reaches that end."""

    stream: str
    item: str
    place: str
    unit: str
    opening: float | None
    closing: float | None

    @property
    def change(self) -> float | None:
        """Growth of the stock over the period."""
        if self.opening is None or self.closing is None:
            return None
        return self.closing - self.opening


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanContent:
    """Mean carbon content of a stream over a period, weighted by the time each result covers."""

    stream: str
    item: str
    place: str
    unit: str
    value: float
    results: int


def current_only(entries: Iterable[ActivityEntry]) -> list[ActivityEntry]:
    """The highest revision of each key, in any order given; retired ones are left out."""
    highest: dict[object, ActivityEntry] = {}
    for entry in entries:
        held = highest.get(entry.key)
        if held is None or entry.revision > held.revision:
            highest[entry.key] = entry
    return [entry for entry in highest.values() if entry.amount is not None]


def amounts(
    entries: Iterable[ActivityEntry], span: Span, batches: Mapping[str, Span] | None = None
) -> tuple[ActivitySum, ...]:
    """Sums per stream and unit of what was used, made or moved in a span, by stream.

    Stocks and carbon contents are states and do not add up: see `stock_changes` and
    `mean_contents`. A transport is summed in t·km: mass times distance. ``batches`` gives the
    time of batches whose entries have no period; without it they are left out (`unplaced`).

    Example: 310 t of January and February, asked for January (31 of 59 days):

    >>> day = 86_400_000
    >>> entry = ActivityEntry(
    ...     stream="activity.product.ammonia", kind=ActivityKind.PRODUCT, item="ammonia",
    ...     amount=590.0, unit="t", start_ms=0, end_ms=59 * day)
    >>> [(found.amount, found.allocated) for found in amounts([entry], (0, 31 * day))]
    [(310.0, 310.0)]
    """
    sums: dict[tuple[str, str], ActivitySum] = {}
    for entry in _placed(current_only(entries), batches or {}):
        if KIND_RULES[entry.kind].level:
            continue
        unit, whole = _work(entry)
        part = _part(entry, span)
        if part == 0.0:
            continue
        amount = whole * part if part < 1.0 else whole
        held = sums.get((entry.stream, unit))
        if held is None:
            held = ActivitySum(
                stream=entry.stream,
                kind=entry.kind,
                item=entry.item,
                place=entry.place,
                unit=unit,
                amount=0.0,
                allocated=0.0,
                entries=(),
            )
        sums[entry.stream, unit] = replace(
            held,
            amount=held.amount + amount,
            allocated=held.allocated + (amount if part < 1.0 else 0.0),
            entries=(*held.entries, (entry.batch or str(entry.start_ms), entry.revision)),
        )
    return tuple(sums[key] for key in sorted(sums))


def amounts_by_period(
    entries: Sequence[ActivityEntry],
    periods: Iterable[Span],
    batches: Mapping[str, Span] | None = None,
) -> dict[Span, tuple[ActivitySum, ...]]:
    """`amounts` of each of several periods; those that adjoin add up to the whole."""
    return {period: amounts(entries, period, batches) for period in periods}


def unplaced(
    entries: Iterable[ActivityEntry], batches: Mapping[str, Span] | None = None
) -> list[ActivityEntry]:
    """Current entries that no period holds: of a batch whose time is not known."""
    known = batches or {}
    return [
        entry
        for entry in current_only(entries)
        if entry.start_ms is None and entry.batch not in known
    ]


def stock_changes(entries: Iterable[ActivityEntry], span: Span) -> tuple[StockChange, ...]:
    """Opening and closing stock per stream: the last counts at or before each end of the span.

    A stock is what lay there at the end of the entry's period.
    """
    from_ms, to_ms = span
    counts: dict[tuple[str, str], list[ActivityEntry]] = {}
    for entry in current_only(entries):
        if entry.kind is ActivityKind.INTERMEDIATE_STOCK and entry.end_ms is not None:
            counts.setdefault((entry.stream, entry.unit), []).append(entry)
    return tuple(
        StockChange(
            stream=stream,
            item=found[0].item,
            place=found[0].place,
            unit=unit,
            opening=_last_count(found, from_ms),
            closing=_last_count(found, to_ms),
        )
        for (stream, unit), found in sorted(counts.items())
    )


def mean_contents(entries: Iterable[ActivityEntry], span: Span) -> tuple[MeanContent, ...]:
    """Mean of the laboratory's carbon contents per stream over the span, weighted by time."""
    from_ms, to_ms = span
    results: dict[tuple[str, str], list[tuple[float, ActivityEntry]]] = {}
    for entry in current_only(entries):
        if entry.kind is not ActivityKind.CARBON_CONTENT:
            continue
        if entry.start_ms is None or entry.end_ms is None:
            continue
        weight = min(entry.end_ms, to_ms) - max(entry.start_ms, from_ms)
        if weight > 0:
            results.setdefault((entry.stream, entry.unit), []).append((weight, entry))
    return tuple(
        MeanContent(
            stream=stream,
            item=found[0][1].item,
            place=found[0][1].place,
            unit=unit,
            value=sum(weight * (entry.amount or 0.0) for weight, entry in found)
            / sum(weight for weight, _ in found),
            results=len(found),
        )
        for (stream, unit), found in sorted(results.items())
    )


def _placed(
    entries: Iterable[ActivityEntry], batches: Mapping[str, Span]
) -> Iterable[ActivityEntry]:
    for entry in entries:
        if entry.start_ms is None and entry.batch in batches:
            start_ms, end_ms = batches[entry.batch]
            yield replace(entry, start_ms=start_ms, end_ms=end_ms)
        else:
            yield entry


def _work(entry: ActivityEntry) -> tuple[str, float]:
    amount = entry.amount or 0.0
    if entry.kind is ActivityKind.TRANSPORT and entry.distance_km is not None and entry.unit == "t":
        return "t·km", amount * entry.distance_km
    return entry.unit, amount


def _part(entry: ActivityEntry, span: Span) -> float:
    """The share of an entry's period that lies in a span; 1 exactly where all of it does."""
    if entry.start_ms is None or entry.end_ms is None:
        return 0.0
    from_ms, to_ms = max(span[0], entry.start_ms), min(span[1], entry.end_ms)
    if to_ms <= from_ms:
        return 0.0
    return (to_ms - from_ms) / (entry.end_ms - entry.start_ms)


def _last_count(counts: Iterable[ActivityEntry], at_ms: int) -> float | None:
    before = [entry for entry in counts if entry.end_ms is not None and entry.end_ms <= at_ms]
    if not before:
        return None
    return max(before, key=lambda entry: entry.end_ms or 0).amount
