"""Revisions of windows that were booked long ago: what they change in signed months is told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from agent.book.adjustments import signed_months
from agent.book.ports import Owner, Span
from agent.book.report_rows import ReportRows
from agent.book.sqlite import SqliteBook
from agent.config.site import SiteConfig
from agent.core.adjustment import Adjustment, Reason
from agent.core.model import Event, Window
from agent.core.report.month import Month
from agent.pipeline.booking import Booking

if TYPE_CHECKING:
    from sqlite3 import Connection

Sums = dict[tuple[Month, str], float]  # kgCO2e by signed month and source


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why something is revised, who entered it, and when."""

    reason: Reason
    author: str
    now_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Revised:
    """What one revision booked."""

    windows: int
    emissions: int
    events: tuple[Event, ...]


class Revising:
    """Books later values of windows, with their emissions and what they change in signed months."""

    def __init__(self, config: SiteConfig, owner: Owner) -> None:
        self._owner = owner
        self._signed = SignedMonths(config, owner)
        self._booking = Booking(owner, config.sources.values())

    def book(self, connection: Connection, drafts: Sequence[Window], cause: Cause) -> Revised:
        """Book draft windows as the next revisions, in the caller's transaction."""
        before = self._signed.sums(connection, drafts)
        windows, emissions = self._booking.add(SqliteBook(connection), drafts)
        events = self._signed.adjusted(connection, before, cause)
        return Revised(windows=len(windows), emissions=len(emissions), events=tuple(events))


class SignedMonths:
    """What sources come to in months that were signed, before and after."""

    def __init__(self, config: SiteConfig, owner: Owner) -> None:
        self._config = config
        self._owner = owner
        self._zone = ZoneInfo(config.site.timezone)

    def sums(self, connection: Connection, windows: Iterable[Window]) -> Sums:
        """The sums of all sources of these windows in the signed months that they lie in."""
        if not (signed := signed_months(connection, self._owner)):
            return {}
        streams: dict[Month, set[str]] = {}
        for window in windows:
            month = Month.of(window.start_ms, self._zone)
            if month in signed:
                streams.setdefault(month, set()).add(window.stream)
        touched = [
            (month, source.id)
            for month, names in streams.items()
            for source in self._config.sources.values()
            if source.section.stream in names
        ]
        return self._sums(connection, touched)

    def sum_of(self, connection: Connection, source: str, month: Month) -> Sums:
        """The sum of one source in a month, if it is signed."""
        is_signed = month in signed_months(connection, self._owner)
        return self._sums(connection, [(month, source)] if is_signed else [])

    def adjusted(self, connection: Connection, before: Sums, cause: Cause) -> list[Event]:
        """Book and return an adjustment for every sum that is another one now."""
        if not before:
            return []
        signed = signed_months(connection, self._owner)
        after = self._sums(connection, before)
        events = [
            Adjustment(
                month=month,
                source=source,
                before_kgco2e=before[month, source],
                after_kgco2e=total,
                reason=cause.reason,
                author=cause.author,
                figures=signed[month],
                adjusted_ms=cause.now_ms,
            ).event()
            for (month, source), total in sorted(after.items())
            if total != before[month, source]
        ]
        SqliteBook(connection).add_events(self._owner, events)
        return events

    def _sums(self, connection: Connection, touched: Iterable[tuple[Month, str]]) -> Sums:
        rows = ReportRows(connection)
        numbers = rows.series(self._owner, "source")
        sums = {}
        for month, source in touched:
            from_ms, to_ms = month.span(self._zone)
            number = numbers.get(source)
            span = Span(from_ms=from_ms, to_ms=to_ms)
            booked = None if number is None else rows.booked(number, span)
            sums[month, source] = booked.kgco2e if booked else 0.0
        return sums
