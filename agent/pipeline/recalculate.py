"""Emissions booked with a factor that no longer holds for their time get a new revision.

It runs beside polling, at most a month of a source at a time and less where windows are short,
so that the store and the event loop are held for some tenths of a second at most. Old revisions
stay; what changed is told with each piece, and travels as a record that the ledger computes again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import structlog

from agent.book.database import Database
from agent.book.ports import Owner, Span
from agent.book.recalculations import add_recalculation
from agent.book.revise import Revision, pieces_of, revisions, streams_of
from agent.book.sqlite import SqliteBook
from agent.config.factors import usable_library
from agent.config.site import SiteConfig, SourcePlan
from agent.core.adjustment import Reason
from agent.core.carbon.recompute import BookedEmissions, era_of, recompute
from agent.core.errors import StoreError
from agent.core.model import Event, GasRates, Severity
from agent.core.ports import Clock
from agent.core.recalculation import FactorEra, Terms
from agent.core.report.month import Month
from agent.core.timebase import local_date, local_month
from agent.pipeline.adjust import Cause, SignedMonths
from agent.pipeline.read_ahead import Wanted, is_unchanged, read, read_ahead
from agent.store.state import Audit, FactorMarks

if TYPE_CHECKING:
    from sqlite3 import Connection

SAME_GAS = 1e-9  # of the kgCO2e
MOST_ROWS = 15_000  # booked at once: a month of windows of 5 s are half a million
READ_AHEAD_SLICES = 24  # fewer are read before a process for it has started


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthChange:
    """What another factor does to one source in one month of the site's calendar."""

    source: str
    month: str  # «2026-07»
    windows: int
    before_kgco2e: float
    after_kgco2e: float
    factors: tuple[str, ...]  # ids of the factors that now hold

    @property
    def difference_kgco2e(self) -> float:
        return self.after_kgco2e - self.before_kgco2e


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One source in a piece of one month that may be booked with another factor."""

    source: SourcePlan
    wanted: Wanted
    month: str


def preview(config: SiteConfig, owner: Owner, connection: Connection) -> list[MonthChange]:
    """What a recalculation would change; nothing is written."""
    changes = []
    for source in config.sources.values():
        for part in _slices(connection, owner, config, source):
            booked = read(connection, owner, part.wanted)
            found = _revised(connection, owner, part, booked, "")
            changes += [_change(part, revised) for revised in found]
    return _by_month(changes)


class Recalculation:
    """Finds and revises what was booked with another factor than the one that holds."""

    def __init__(self, config: SiteConfig, database: Database, owner: Owner, clock: Clock) -> None:
        self._config = config
        self._database = database
        self._owner = owner
        self._clock = clock
        self._signed = SignedMonths(config, owner)
        self._log = structlog.get_logger("recalculate")

    async def run(self, progressed: Callable[[], None] = lambda: None) -> list[MonthChange]:
        """Book the new revisions, one transaction per piece; returns them month by month."""
        changes = []
        library = usable_library()[0].version
        async with aclosing(self._reads(progressed)) as reads:
            async for part, booked in reads:
                found = _revised(self._database.connection, self._owner, part, booked, library)
                changes += [self._book(part, revised) for revised in found]
                progressed()
                await asyncio.sleep(0)
        with self._database.transaction() as connection:
            FactorMarks(connection).save(self._marks())
        if changes:
            self._log.info(
                "emissions.recalculated",
                windows=sum(change.windows for change in changes),
                difference_kgco2e=sum(change.difference_kgco2e for change in changes),
            )
        return _by_month(changes)

    async def _reads(
        self, progressed: Callable[[], None]
    ) -> AsyncGenerator[tuple[Slice, BookedEmissions]]:
        """Each piece with what is booked now; much of it is read ahead."""
        connection, slices = self._database.connection, list[Slice]()
        for source in self._config.sources.values():
            for part in _slices(connection, self._owner, self._config, source):
                slices.append(part)
                progressed()
                await asyncio.sleep(0)
        wanted = [part.wanted for part in slices]
        done = 0
        if len(slices) >= READ_AHEAD_SLICES and not self._database.single_connection:
            async with aclosing(read_ahead(self._database.path, self._owner, wanted)) as ahead:
                async for one in ahead:
                    part, done = slices[done], done + 1
                    if is_unchanged(connection, self._owner, part.wanted, one.number):
                        yield part, one.booked
                    else:
                        yield part, read(connection, self._owner, part.wanted)
        for part in slices[done:]:
            yield part, read(connection, self._owner, part.wanted)

    def _book(self, part: Slice, revised: Sequence[Revision]) -> MonthChange:
        change = _change(part, revised)
        with self._database.transaction() as connection:
            before = self._signed.sum_of(connection, change.source, Month.parse(change.month))
            for revision in revised:
                added = add_recalculation(connection, self._owner, revision)
                if added < revision.record.count:  # the record would say more than is booked
                    raise StoreError(
                        f"{revision.record.count - added} revisions are booked already",
                        where=f"{change.source} {change.month}",
                        hint="check the database with `tanshu doctor`",
                    )
            now_ms = self._clock.now_ms()
            self._tell(connection, change, now_ms)
            cause = Cause(reason=Reason.FACTOR, author=self._owner.gateway, now_ms=now_ms)
            self._signed.adjusted(connection, before, cause)
        self._log.debug("month.recalculated", source=change.source, month=change.month)
        return change

    def is_due(self) -> bool:
        """Whether a source's factors are others than when its emissions were last looked at."""
        known = FactorMarks(self._database.connection).load()
        return any(known.get(name) != mark for name, mark in self._marks().items())

    def _marks(self) -> dict[str, str]:
        return {
            source.id: repr((source.factor, source.gases, source.former))
            for source in self._config.sources.values()
        }

    def _tell(self, connection: Connection, change: MonthChange, now_ms: int) -> None:
        detail = json.dumps(
            {
                "month": change.month,
                "windows": change.windows,
                "before_kgco2e": change.before_kgco2e,
                "after_kgco2e": change.after_kgco2e,
                "difference_kgco2e": change.difference_kgco2e,
                "factors": change.factors,
            },
            ensure_ascii=False,
        )
        Audit(connection).record(now_ms, "factors", "recalculate", change.source, detail)
        SqliteBook(connection).add_events(
            self._owner,
            [
                Event(
                    time_ms=now_ms,
                    code="emissions.recalculated",
                    subject=change.source,
                    severity=Severity.INFO,
                    detail=detail,
                )
            ],
        )


def _slices(
    connection: Connection, owner: Owner, config: SiteConfig, source: SourcePlan
) -> Iterator[Slice]:
    """The pieces of every month in which a source may be booked with another factor."""
    several = bool(source.former) or source.gases is not None
    span = SqliteBook(connection).booked_otherwise(owner, source.id, source.factor, several)
    if span is None or not source.section.stream:
        return
    zone = ZoneInfo(config.site.timezone)
    day = local_date(span.from_ms, zone)
    year, month = day.year, day.month
    while (bounds := local_month(year, month, zone))[0] < span.to_ms:
        whole = Span(from_ms=bounds[0], to_ms=bounds[1])
        for piece in pieces_of(connection, owner, source.id, whole, MOST_ROWS):
            wanted = Wanted(
                source=source.id,
                stream=source.section.stream,
                from_ms=piece.from_ms,
                to_ms=piece.to_ms,
            )
            yield Slice(source=source, wanted=wanted, month=f"{year}-{month:02}")
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)


def _revised(
    connection: Connection, owner: Owner, part: Slice, booked: BookedEmissions, library: str
) -> Iterator[list[Revision]]:
    """The new revisions of a piece, by the stream they were booked from."""
    wanted, terms = part.wanted, _terms(part.source)
    found = {wanted.stream: booked}
    if (booked.window_revision < 0).any():
        span = Span(from_ms=wanted.from_ms, to_ms=wanted.to_ms)
        for stream in streams_of(connection, owner, wanted.source, span):
            if stream not in found:
                found[stream] = read(connection, owner, replace(wanted, stream=stream))
    for stream, rows in found.items():
        known = rows.only(rows.window_revision >= 0)
        chosen = known.only(_is_stale(connection, known, terms))
        if revised := list(revisions(wanted.source, stream, chosen, terms, library)):
            yield revised


def _terms(source: SourcePlan) -> Terms:
    eras = [(former.until_ms, former.factor, former.gases) for former in source.former]
    return Terms(
        eras=tuple(
            FactorEra(until_ms=until_ms, factor=factor, gases=gases or GasRates(kgco2=factor.value))
            for until_ms, factor, gases in (*eras, (None, source.factor, source.gases))
        ),
        share=source.section.share,
        uncertainty_activity_pct=source.section.uncertainty_activity_pct or 0.0,
    )


def _is_stale(
    connection: Connection, booked: BookedEmissions, terms: Terms
) -> npt.NDArray[np.bool_]:
    """Which emissions were booked with another factor, or another split of it by gas."""
    book = SqliteBook(connection)
    numbers = [book.factor_number(era.factor) or -1 for era in terms.eras]
    expected = np.array(numbers, np.int64)[era_of(booked.start_ms, terms)]
    stale: npt.NDArray[np.bool_] = expected != booked.factor
    if not stale.all():
        figures = recompute(booked, terms)
        for name in ("kgco2", "kgch4", "kgn2o"):
            apart = np.abs(getattr(figures, name) - getattr(booked, name))
            stale |= apart > SAME_GAS * np.abs(booked.kgco2e)
    return stale


def _change(part: Slice, found: Sequence[Revision]) -> MonthChange:
    records = [revision.record for revision in found]
    factors = {era.factor: None for record in records for era in record.terms.eras}
    return MonthChange(
        source=part.source.id,
        month=part.month,
        windows=sum(record.count for record in records),
        before_kgco2e=sum(record.before.kgco2e for record in records),
        after_kgco2e=sum(record.after.kgco2e for record in records),
        factors=tuple(f"{factor.id} {factor.version}" for factor in factors),
    )


def _by_month(changes: Iterable[MonthChange]) -> list[MonthChange]:
    """The changes of each source and month together."""
    months: dict[tuple[str, str], list[MonthChange]] = {}
    for change in changes:
        months.setdefault((change.source, change.month), []).append(change)
    return [
        MonthChange(
            source=source,
            month=month,
            windows=sum(part.windows for part in parts),
            before_kgco2e=sum(part.before_kgco2e for part in parts),
            after_kgco2e=sum(part.after_kgco2e for part in parts),
            factors=tuple(dict.fromkeys(name for part in parts for name in part.factors)),
        )
        for (source, month), parts in months.items()
    ]
