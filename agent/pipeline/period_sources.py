"""Sources that are computed once per local day or month, and again when their data change.

What is due is computed from the book: every source has a mark that says up to which window and
entry it has seen, so a change that was booked while the gateway was off is found too. Computing
again what has not changed books nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from agent.book.activity import SqliteActivity
from agent.book.database import Database
from agent.book.ports import Owner, Span
from agent.book.sqlite import SqliteBook
from agent.config.accounting import Accounting, accounting
from agent.config.factors import usable_library
from agent.config.faults import Faults
from agent.config.period_inventory import PeriodResult, computed
from agent.config.rules import rules_named
from agent.config.site import PeriodSource, SiteConfig
from agent.config.source_rate import factor_ref
from agent.core.activity import ActivityKind
from agent.core.adjustment import Reason
from agent.core.carbon.basis import KG_PER_T
from agent.core.carbon.uncertainty import half_width
from agent.core.model import Emission, Event, FactorRef, Severity
from agent.core.report.model import NINETY_OF_NINETY_FIVE
from agent.core.report.month import Month
from agent.core.timebase import local_date, local_day, local_month
from agent.pipeline.adjust import Cause, SignedMonths
from agent.pipeline.period_amounts import Gathered, PeriodAmounts
from agent.store.state import FactorMarks

if TYPE_CHECKING:
    from sqlite3 import Connection

NO_VALUE = "source.no_period_value"
MOST_UNSAVED = 10_000  # windows that a start has to look through again


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How far a source has seen its data; ``seen_ms`` is when it was first looked at."""

    plan: str
    windows: int
    entries: int
    until_ms: int
    seen_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The emission of a period as its data are now, and why it has no value if it has none."""

    emission: Emission
    reasons: tuple[str, ...]


class PeriodSources:
    """Books period sources of one gateway."""

    def __init__(self, config: SiteConfig, owner: Owner) -> None:
        self._config = config
        self._owner = owner
        self._zone = ZoneInfo(config.site.timezone)
        self._signed = SignedMonths(config, owner)
        self._marks: dict[str, Mark] | None = None
        self._saved: dict[str, int] = {}  # the window that each mark in the file stands at
        self._signatures: dict[str, str] = {}
        self._held: Accounting | None = None

    def pieces(self, database: Database, until_ms: int, now_ms: int) -> Iterator[Sequence[Event]]:
        """Compute what is due of the periods that ended by ``until_ms``, one per transaction.

        Yields the events of each period that was booked.
        """
        if self._config.period_sources and self._marks is None:
            self._marks = _read_marks(database.connection)
            self._saved = {source: mark.windows for source, mark in self._marks.items()}
        for plan in self._config.period_sources.values():
            mark = (self._marks or {}).get(plan.id)
            latest = self._latest(database.connection, plan, mark, until_ms, now_ms)
            if latest == mark:
                continue
            due = self._due(database.connection, plan, mark, latest)
            afresh = mark is not None and mark.plan != latest.plan
            reason = Reason.FACTOR if afresh else Reason.PERIOD
            for period in due:
                seen = period.to_ms > latest.seen_ms
                with database.transaction() as connection:
                    events = self._book(connection, plan, period, now_ms, reason, even_missing=seen)
                if events is not None:
                    yield events
            # else it is enough to know it until the next start
            if due or mark is None or latest.windows >= self._saved[plan.id] + MOST_UNSAVED:
                self._save(database, plan, latest)
            if self._marks is not None:
                self._marks[plan.id] = latest

    def _save(self, database: Database, plan: PeriodSource, mark: Mark) -> None:
        words = json.dumps(asdict(mark), separators=(",", ":"))
        with database.transaction() as connection:
            FactorMarks(connection).save({plan.id: words})
        self._saved[plan.id] = mark.windows

    def draft(self, connection: Connection, plan: PeriodSource, period: Span) -> Draft:
        """What a period comes to by the data that are booked now; nothing is written."""
        gathered = PeriodAmounts(connection, self._config, self._owner).of(plan, period)
        found: PeriodResult | None = None
        reasons = list(gathered.lacking)
        if not reasons:
            faults = Faults("")
            found = computed(plan, gathered.supplies, period.from_ms, self.basis, faults)
            reasons = [f"{fault.path}: {fault.what}" for fault in faults.errors]
        emission = (
            _without_value(plan, period, gathered)
            if found is None
            else self._emission(plan, period, gathered, found)
        )
        return Draft(emission=emission, reasons=tuple(reasons))

    def booked_periods(self, connection: Connection, plan: PeriodSource) -> list[Span]:
        """The periods of which something is booked, oldest first."""
        everything = Span(from_ms=0, to_ms=1 << 60)
        current = SqliteBook(connection).current_emissions(self._owner, everything, plan.id)
        periods = {self.period_at(plan, one.start_ms).from_ms for one in current}
        return [self.period_at(plan, start_ms) for start_ms in sorted(periods)]

    def period_at(self, plan: PeriodSource, time_ms: int) -> Span:
        """The local day or month of a source that a time lies in."""
        day = local_date(time_ms, self._zone)
        start_ms, end_ms = (
            local_day(day, self._zone)
            if plan.section.period == "day"
            else local_month(day.year, day.month, self._zone)
        )
        return Span(from_ms=start_ms, to_ms=end_ms)

    def label(self, plan: PeriodSource, period: Span) -> str:
        """The day «2026-07-01» or month «2026-07» of a period."""
        day = local_date(period.from_ms, self._zone)
        return day.isoformat() if plan.section.period == "day" else f"{day:%Y-%m}"

    @property
    def basis(self) -> Accounting:
        """Rules and factors, read when the first period is computed."""
        if self._held is None:
            rules = rules_named(self._config.site.rules)
            self._held = accounting(self._config.site, rules, usable_library()[0], self._zone)
        return self._held

    def _latest(
        self,
        connection: Connection,
        plan: PeriodSource,
        mark: Mark | None,
        until_ms: int,
        now_ms: int,
    ) -> Mark:
        """The mark as it will be when everything that is booked now has been seen."""
        ended_ms = self.period_at(plan, until_ms).from_ms
        return Mark(
            plan=self._signature(plan),
            windows=SqliteBook(connection).next_id("windows") - 1 if plan.streams else 0,
            entries=SqliteBook(connection).next_id("activity") - 1,
            until_ms=ended_ms if mark is None else max(ended_ms, mark.until_ms),
            seen_ms=now_ms if mark is None else mark.seen_ms,
        )

    def _signature(self, plan: PeriodSource) -> str:
        """What the figures of a source depend on besides its data."""
        if plan.id not in self._signatures:
            site = self._config.site
            version = self.basis.library.version
            told = (plan.section, plan.table, plan.feeds, site.rules, site.gwp, version)
            self._signatures[plan.id] = hashlib.sha256(repr(told).encode()).hexdigest()
        return self._signatures[plan.id]

    def _due(
        self, connection: Connection, plan: PeriodSource, mark: Mark | None, latest: Mark
    ) -> list[Span]:
        """The ended periods whose data may have changed, oldest first."""
        afresh = mark is None or mark.plan != latest.plan
        since = Mark(
            plan="", windows=0, entries=0, until_ms=latest.until_ms, seen_ms=latest.seen_ms
        )
        if mark is not None and not afresh:
            since = mark
        spans = [Span(from_ms=since.until_ms, to_ms=latest.until_ms)]
        spans += _changed_windows(connection, self._owner, plan, since.windows)
        spans += _changed_entries(connection, self._owner, plan, since.entries, latest.until_ms)
        if afresh:
            spans += self.booked_periods(connection, plan)
        starts: set[int] = set()
        for span in spans:
            at_ms = span.from_ms
            while at_ms < min(span.to_ms, latest.until_ms):
                period = self.period_at(plan, at_ms)
                starts.add(period.from_ms)
                at_ms = period.to_ms
        return [self.period_at(plan, start_ms) for start_ms in sorted(starts)]

    def _book(
        self,
        connection: Connection,
        plan: PeriodSource,
        period: Span,
        now_ms: int,
        reason: Reason,
        *,
        even_missing: bool,
    ) -> Sequence[Event] | None:
        """Book a period if it is another than before; None if nothing changed."""
        book = SqliteBook(connection)
        draft = self.draft(connection, plan, period)
        current = book.current_emissions(self._owner, period, plan.id)
        same = [one for one in current if one.length_ms == draft.emission.length_ms]
        before = same[0] if same else None
        if before is None and draft.emission.kgco2e is None and not even_missing:
            return None
        retired = [_retired(one) for one in current if one not in same and one.kgco2e is not None]
        changed = before is None or replace(draft.emission, revision=before.revision) != before
        if not changed and not retired:
            return None
        signed = self._signed.sum_of(connection, plan.id, Month.of(period.from_ms, self._zone))
        drafts = [*retired, *([draft.emission] if changed else [])]
        keys = [(one.source, one.start_ms, one.length_ms) for one in drafts]
        revisions = book.next_revisions(self._owner, "source", keys)
        book.add_emissions(
            self._owner,
            [replace(one, revision=revisions[key]) for one, key in zip(drafts, keys, strict=True)],
        )
        events = self._events(plan, draft, now_ms) if changed else []
        book.add_events(self._owner, events)
        cause = Cause(reason=reason, author=self._owner.gateway, now_ms=now_ms)
        return events + self._signed.adjusted(connection, signed, cause)

    def _events(self, plan: PeriodSource, draft: Draft, now_ms: int) -> list[Event]:
        if not draft.reasons:
            return []
        start_ms = draft.emission.start_ms
        label = self.label(plan, Span(from_ms=start_ms, to_ms=draft.emission.end_ms))
        return [
            Event(
                time_ms=now_ms,
                code=NO_VALUE,
                subject=plan.id,
                severity=Severity.WARNING,
                detail=f"{label}: {'; '.join(draft.reasons)}",
            )
        ]

    def _emission(
        self, plan: PeriodSource, period: Span, gathered: Gathered, found: PeriodResult
    ) -> Emission:
        result, gwp = found.result, self.basis.gwp
        share = plan.section.share
        total = result.gases.tco2e(gwp) * KG_PER_T
        half = half_width(found.terms) * KG_PER_T * abs(share) * NINETY_OF_NINETY_FIVE
        per_unit = total / result.activity if result.activity else 0.0
        return Emission(
            source=plan.id,
            start_ms=period.from_ms,
            length_ms=period.to_ms - period.from_ms,
            revision=0,
            kgco2=result.gases.kgco2 * share,
            kgch4=result.gases.kgch4 * share,
            kgn2o=result.gases.kgn2o * share,
            kgco2e=total * share,
            lower=total * share - half,
            upper=total * share + half,
            estimated_share=found.estimated_share,
            factor=factor_ref(
                result.factors, result.kind, per_unit, f"kgCO2e/{result.activity_unit}"
            ),
            inputs=tuple(sorted(gathered.inputs.items())),
        )


def _without_value(plan: PeriodSource, period: Span, gathered: Gathered) -> Emission:
    return Emission(
        source=plan.id,
        start_ms=period.from_ms,
        length_ms=period.to_ms - period.from_ms,
        revision=0,
        kgco2=None,
        kgch4=None,
        kgn2o=None,
        kgco2e=None,
        lower=None,
        upper=None,
        estimated_share=0.0,
        factor=FactorRef(id=f"{plan.section.kind}@none", version="none", value=0.0, unit="kgCO2e"),
        inputs=tuple(sorted(gathered.inputs.items())),
    )


def _retired(former: Emission) -> Emission:
    """What a record of another period becomes when the source is computed by this one."""
    return replace(
        former,
        kgco2=None,
        kgch4=None,
        kgn2o=None,
        kgco2e=None,
        lower=None,
        upper=None,
        estimated_share=0.0,
    )


def _read_marks(connection: Connection) -> dict[str, Mark]:
    marks = {}
    for source, text in FactorMarks(connection).load().items():
        if text.startswith('{"plan":'):
            marks[source] = Mark(**json.loads(text))
    return marks


def _changed_windows(
    connection: Connection, owner: Owner, plan: PeriodSource, after: int
) -> list[Span]:
    """The span of each stream's windows that were booked after a row number."""
    book = SqliteBook(connection)
    spans = []
    for stream in plan.streams:
        # few rows are new: found by their number; else all of the stream by its key
        series = "+series" if after else "series"
        row = connection.execute(
            f"SELECT min(start_ms), max(start_ms) FROM windows WHERE {series} = ? AND id > ?",
            (book.number(owner, "stream", stream), after),
        ).fetchone()
        if row[0] is not None:
            spans.append(Span(from_ms=row[0], to_ms=row[1] + 1))
    return spans


def _changed_entries(
    connection: Connection, owner: Owner, plan: PeriodSource, after: int, until_ms: int
) -> list[Span]:
    """The spans that entries booked after a row number can change.

    A stock is the opening stock of every later period until the next count.
    """
    spans = []
    for _, entry in SqliteActivity(connection).activity_after(owner, after, -1):
        if entry.start_ms is None or entry.end_ms is None:
            continue
        if entry.kind is ActivityKind.INTERMEDIATE_STOCK and entry.stream in plan.entered:
            spans.append(Span(from_ms=entry.start_ms, to_ms=until_ms))
        elif entry.stream in plan.entered or entry.kind is ActivityKind.CARBON_CONTENT:
            spans.append(Span(from_ms=entry.start_ms, to_ms=entry.end_ms))
    return spans
