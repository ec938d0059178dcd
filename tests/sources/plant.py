"""A gateway's book that a test fills with windows and entries, and the period sources on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

from agent.book.activity import SqliteActivity
from agent.book.ports import Owner, Span
from agent.book.reports import month_report
from agent.book.sqlite import SqliteBook
from agent.config.report_site import report_reference
from agent.config.site import SiteConfig
from agent.core.activity import ActivityEntry, ActivityKind, stream_of
from agent.core.model import Emission, Event, Provenance, Window
from agent.core.report.model import MonthReport
from agent.core.report.month import Month
from agent.core.timebase import local_month
from agent.pipeline.booking import Booking
from agent.pipeline.period_sources import PeriodSources
from agent.store.database import open_store

ZONE = ZoneInfo("Asia/Shanghai")
OWNER = Owner(site="plant", gateway="gw")
EVERYTHING = Span(from_ms=0, to_ms=1 << 60)
DAY_MS = 86_400_000


def month(number: int, year: int = 2026) -> tuple[int, int]:
    return local_month(year, number, ZONE)


class Plant:
    """The book of a gateway; the config may be replaced, as at a reload."""

    def __init__(self, folder: Path, config: SiteConfig, *, seen_ms: int) -> None:
        self.database = open_store(folder / "gw.db")
        self.configure(config)
        self.run(seen_ms)

    def configure(self, config: SiteConfig) -> None:
        self.config = config
        self.periods = PeriodSources(config, OWNER)

    def run(self, now_ms: int) -> list[Event]:
        """A pass of the pipeline; returns what it told."""
        found = self.periods.pieces(self.database, now_ms, now_ms)
        return [event for events in found for event in events]

    def enter(
        self,
        kind: ActivityKind,
        item: str,
        amount: float | None,
        span: tuple[int, int],
        unit: str = "t",
        **details: object,
    ) -> ActivityEntry:
        words = {name: str(value) for name, value in details.items() if name in _NAMING}
        entry = ActivityEntry(
            stream=stream_of(kind, item, **words),
            kind=kind,
            item=item,
            amount=amount,
            unit=unit,
            start_ms=span[0],
            end_ms=span[1],
            **details,  # type: ignore[arg-type]
        )
        with self.database.transaction() as connection:
            return SqliteActivity(connection).enter(OWNER, entry).entry

    def windows(
        self,
        stream: str,
        span: tuple[int, int],
        total: float | None,
        *,
        length_ms: int = 3_600_000,
        provenance: Provenance = Provenance.MEASURED,
    ) -> None:
        """Book even windows over a span, with the emissions of the sources on the stream."""
        starts = range(span[0], span[1], length_ms)
        drafts = [
            Window(
                stream=stream,
                start_ms=start_ms,
                length_ms=length_ms,
                revision=0,
                value=None if total is None else total / len(starts),
                provenance=Provenance.MISSING if total is None else provenance,
                method="",
                coverage=1.0,
            )
            for start_ms in starts
        ]
        with self.database.transaction() as connection:
            booking = Booking(OWNER, self.config.sources.values())
            booking.add(SqliteBook(connection), drafts)

    def emissions(self, source: str) -> Sequence[Emission]:
        book = SqliteBook(self.database.connection)
        return book.current_emissions(OWNER, EVERYTHING, source)

    def all_revisions(self, source: str) -> list[Emission]:
        book = SqliteBook(self.database.connection)
        rows: Iterable[tuple[int, Emission]] = book.emissions_after(OWNER, 0, 10**6)
        return [emission for _, emission in rows if emission.source == source]

    def report(self, year: int, number: int, now_ms: int) -> MonthReport:
        return month_report(
            self.database.connection,
            report_reference(self.config),
            [OWNER],
            Month(year, number),
            now_ms,
        )

    def events(self) -> Sequence[Event]:
        return SqliteBook(self.database.connection).events(OWNER, EVERYTHING, 1000)

    def close(self) -> None:
        self.database.close()


_NAMING = ("place", "treatment", "mode")
