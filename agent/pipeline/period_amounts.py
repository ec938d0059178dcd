"""What the feeds of a period source come to in one period: entered data and sums of windows."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.book.activity import SqliteActivity
from agent.book.filled_gaps import filled_gaps
from agent.book.ports import Owner, Span
from agent.book.report_rows import ReportRows
from agent.book.sqlite import SqliteBook
from agent.config.period_inventory import Part, Supply
from agent.config.site import Feed, PeriodSource, SiteConfig
from agent.config.source_feeds import WITH_CONTENT
from agent.core.activity import ActivityEntry, ActivityKind, slug
from agent.core.activity_sums import amounts, mean_contents, stock_changes
from agent.core.model import Provenance
from agent.core.report.model import NINETY_OF_NINETY_FIVE
from agent.core.report.sums import WindowRow, gap_half_width
from agent.core.timebase import HOUR_MS

if TYPE_CHECKING:
    from sqlite3 import Connection

Inputs = tuple[tuple[str, int], ...]


@dataclass(slots=True)
class Gathered:
    """The supplies of a period, what they were read from, and what is missing."""

    supplies: list[Supply] = field(default_factory=list)
    inputs: dict[str, int] = field(default_factory=dict)
    lacking: list[str] = field(default_factory=list)

    def used(self, stream: str, revision: int) -> None:
        """Note what was read of a stream or series.

        ``revision`` counts what was booked: Σ of the window revisions of a stream's period, and
        Σ (revision + 1) over the entries of a series, so that every later revision raises it.
        """
        self.inputs[stream] = max(self.inputs.get(stream, 0), revision)


class PeriodAmounts:
    """Reads the book for period sources."""

    def __init__(self, connection: Connection, config: SiteConfig, owner: Owner) -> None:
        self._connection = connection
        self._activity = SqliteActivity(connection)
        self._config = config
        self._owner = owner

    def of(self, plan: PeriodSource, span: Span) -> Gathered:
        """Every feed of a source in a period."""
        gathered = Gathered()
        for feed in plan.feeds:
            if feed.stream:
                self._add_stream(gathered, plan, feed, span)
            else:
                self._add_entries(gathered, plan, feed, span)
        return gathered

    def _add_stream(self, gathered: Gathered, plan: PeriodSource, feed: Feed, span: Span) -> None:
        """The sum of a stream's windows; time without a value leaves no sum."""
        values, guessed = array("d"), array("d")
        known_ms = revisions = 0
        for window in self._windows(feed.stream, span):  # a month may have half a million
            revisions += window.revision
            if window.value is None:
                continue
            known_ms += window.length_ms
            values.append(window.value)
            if window.provenance is Provenance.ESTIMATED:
                guessed.append(abs(window.value))
        gathered.used(feed.stream, revisions)
        missing_ms = span.to_ms - span.from_ms - known_ms
        if missing_ms > 0:
            gathered.lacking.append(f"{feed.stream} has no value for {missing_ms / HOUR_MS:.6g} h")
            return
        total, share = math.fsum(values), math.fsum(guessed)
        gross = math.fsum(map(abs, values))
        half_90 = self._gap_half_width(feed.stream, span) if guessed else 0.0
        gap_pct = half_90 / NINETY_OF_NINETY_FIVE / gross * 100 if gross else 0.0
        unit, meter = self._config.streams[feed.stream].unit, feed.stream.partition(".")[0]
        self._add(
            gathered,
            plan,
            span,
            feed,
            (Part(amount=total * feed.share, unit=unit),),
            estimated=share / gross if gross else 0.0,
            uncertainty_pct=math.hypot(plan.uncertainty_pct[feed.stream], gap_pct),
            group=meter if meter in self._config.meters else feed.stream,
        )

    def _gap_half_width(self, stream: str, span: Span) -> float:
        """Half of the 90 % interval that estimated gaps leave in the sum of a stream."""
        gaps = filled_gaps(self._connection, [self._owner], span)
        rows = self._windows(stream, span)
        return gap_half_width(
            (row for row in rows if row.provenance is Provenance.ESTIMATED),
            (span.from_ms, span.to_ms),
            gaps.get((self._owner.gateway, stream), ()),
        )

    def _windows(self, stream: str, span: Span) -> Iterator[WindowRow]:
        number = SqliteBook(self._connection).number(self._owner, "stream", stream)
        return iter(()) if number is None else ReportRows(self._connection).windows(number, span)

    def _add_entries(self, gathered: Gathered, plan: PeriodSource, feed: Feed, span: Span) -> None:
        """The entries of a series in the period, by composition."""
        parts: list[Part] = []
        total = allocated = 0.0
        if feed.activity:
            entries = self._activity.stream_activity(self._owner, feed.activity)
            touching = [entry for entry in entries if _touches(entry, span)]
            if not touching:
                loose = sum(entry.start_ms is None for entry in entries)
                more = f" ({loose} of batches without a period)" if loose else ""
                gathered.lacking.append(f"{feed.activity} has no entry{more}")
                return
            gathered.used(feed.activity, _revisions(touching))
            for composition in dict.fromkeys(map(_composition, touching)):
                same = [entry for entry in touching if _composition(entry) == composition]
                content, purity = composition
                for found in amounts(same, (span.from_ms, span.to_ms)):
                    total += abs(found.amount)
                    allocated += abs(found.allocated)
                    amount = found.amount * feed.share
                    parts.append(
                        Part(amount=amount, unit=found.unit, carbon_content=content, purity=purity)
                    )
        self._add(
            gathered,
            plan,
            span,
            feed,
            tuple(parts),
            estimated=allocated / total if total else 0.0,
        )

    def _add(
        self,
        gathered: Gathered,
        plan: PeriodSource,
        span: Span,
        feed: Feed,
        parts: tuple[Part, ...],
        *,
        estimated: float,
        uncertainty_pct: float | None = None,
        group: str | None = None,
    ) -> None:
        stock = self._stock(gathered, feed, span) if feed.stock else None
        if feed.stock and stock is None:
            return
        gathered.supplies.append(
            Supply(
                feed=feed,
                parts=parts,
                stock=stock,
                content=self._content(gathered, plan, feed, span),
                estimated=estimated,
                uncertainty_pct=uncertainty_pct,
                group=group,
            )
        )

    def _stock(self, gathered: Gathered, feed: Feed, span: Span) -> tuple[float, float, str] | None:
        entries = self._activity.stream_activity(self._owner, feed.stock)
        counted = [entry for entry in entries if entry.end_ms and entry.end_ms <= span.to_ms]
        for change in stock_changes(counted, (span.from_ms, span.to_ms)):
            if change.opening is not None and change.closing is not None:
                gathered.used(feed.stock, _revisions(counted))
                return change.opening * feed.share, change.closing * feed.share, change.unit
        gathered.lacking.append(f"{feed.stock} has no count at the start and the end")
        return None

    def _content(
        self, gathered: Gathered, plan: PeriodSource, feed: Feed, span: Span
    ) -> tuple[float, str] | None:
        """The laboratory's mean carbon content: of the named series, or of what is called so."""
        entries = self._activity.current_activity(self._owner, span, ActivityKind.CARBON_CONTENT)
        if feed.content:
            entries = [entry for entry in entries if entry.stream == feed.content]
        elif feed.material or plan.section.kind in WITH_CONTENT:
            entries = _called(entries, self._names(plan, feed), self._places(plan))
        else:
            return None
        for mean in mean_contents(entries, (span.from_ms, span.to_ms)):
            used = [entry for entry in entries if entry.stream == mean.stream]
            gathered.used(mean.stream, _revisions(used))
            return mean.value, mean.unit
        if feed.content:
            gathered.lacking.append(f"{feed.content} has no result")
        return None

    def _names(self, plan: PeriodSource, feed: Feed) -> set[str]:
        """What the material of a feed is called."""
        item = feed.activity.split(".")[2] if feed.activity else ""
        return {slug(name) for name in (feed.material, plan.section.fuel or "", item) if name}

    def _places(self, plan: PeriodSource) -> tuple[str, ...]:
        """Where a result that holds for the source can have been taken, the nearest first."""
        device = next(one for one in self._config.devices if one.id == plan.section.device)
        unit = next(one for one in self._config.units if one.id == device.unit)
        return plan.id, device.id, unit.id, unit.area, ""


def _called(
    entries: Sequence[ActivityEntry], names: set[str], places: Sequence[str]
) -> list[ActivityEntry]:
    """The results of one material, of the nearest place that has any."""
    named = [entry for entry in entries if slug(entry.item) in names]
    for place in places:
        if found := [entry for entry in named if entry.place == place]:
            return found
    return []


def _touches(entry: ActivityEntry, span: Span) -> bool:
    if entry.start_ms is None or entry.end_ms is None:
        return False
    return entry.start_ms < span.to_ms and entry.end_ms > span.from_ms


def _composition(entry: ActivityEntry) -> tuple[float | None, float | None]:
    return entry.carbon_content, entry.purity


def _revisions(entries: Iterable[ActivityEntry]) -> int:
    return sum(entry.revision + 1 for entry in entries)
