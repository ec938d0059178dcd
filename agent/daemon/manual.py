"""Entering readings that people take: read, compare with what is booked, book all or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from agent.book.activity import Change
from agent.book.database import Database
from agent.book.manual import BookedReading, SqliteManual, revise
from agent.book.ports import Owner, Span
from agent.book.sqlite import SqliteBook
from agent.book.verifications import booked_and_verified
from agent.config.site import SiteConfig
from agent.core.activity_checks import Remark
from agent.core.errors import StoreError
from agent.core.manual import ManualEntry, ManualSpec
from agent.core.manual_checks import check_beside, segment_before
from agent.core.manual_peers import check_peers
from agent.core.manual_read import ManualDesk, read_reading
from agent.core.model import Event, Severity
from agent.core.timebase import iso_local
from agent.daemon.manual_tasks import (
    overdue_readings,
    settle,
    tasks_of_gateway,
    verification_tasks,
)
from agent.daemon.manual_usage import Usages
from agent.store.evidence import EvidenceFolder
from agent.store.state import Audit
from agent.web.activity_view import ActivityRemark
from agent.web.manual_view import (
    ManualCounts,
    ManualOutcome,
    ManualQuery,
    ManualResult,
    ManualSubmission,
    ManualTasks,
    VerifyOutcome,
    VerifySubmission,
)

if TYPE_CHECKING:
    from sqlite3 import Connection

    from agent.daemon.service import Gateway


COUNT_AGAIN_MS = 30_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Good:
    index: int
    booked: BookedReading
    remarks: tuple[Remark, ...]


def enter_readings(
    database: Database,
    owner: Owner,
    config: SiteConfig,
    submission: ManualSubmission,
    now_ms: int,
) -> ManualOutcome:
    """Check a submission and book it in one transaction, as `ManualSubmission` asks.

    Each entry is compared with those before it in the same submission too. Its windows follow
    with the next closing.

    Raises:
        StoreError: the database or the evidence cannot be written; nothing is booked.
    """
    desk = ManualDesk(
        zone=ZoneInfo(config.site.timezone),
        now_ms=now_ms,
        specs=config.manual,
        origin=submission.origin,
        author=submission.author,
    )
    folder = EvidenceFolder(Path(database.path))
    with database.transaction() as connection:
        connection.execute("SAVEPOINT manual")
        entering = _Entering(connection, owner, desk, submission, folder)
        for index in range(len(submission.entries)):
            entering.take(index)
        store = not entering.errors and not submission.dry_run and bool(entering.good)
        if store:
            for data in submission.files.values():
                folder.keep(data)
            _tell(connection, owner, entering.good, desk)
        else:
            connection.execute("ROLLBACK TO manual")
        connection.execute("RELEASE manual")
    return ManualOutcome(
        stored=store,
        entries=tuple(_result(good) for good in entering.good) if not entering.errors else (),
        errors=tuple(entering.errors),
        warnings=tuple(
            _remark(good.index, remark) for good in entering.good for remark in good.remarks
        ),
    )


class _Entering:
    """Books entries one by one; the caller takes it all back if one is faulty."""

    def __init__(
        self,
        connection: Connection,
        owner: Owner,
        desk: ManualDesk,
        submission: ManualSubmission,
        folder: EvidenceFolder,
    ) -> None:
        self._manual = SqliteManual(connection)
        self._usages = Usages(connection, owner)
        self._owner = owner
        self._desk = desk
        self._submission = submission
        self._folder = folder
        self._seen: dict[tuple[str, int], int] = {}
        self.good: list[_Good] = []
        self.errors: list[ActivityRemark] = []

    def take(self, index: int) -> None:
        """Check and book one entry; it is good, or its faults are noted."""
        read = read_reading(self._submission.entries[index], self._desk)
        found, entry = list(read.remarks), read.entry
        former = None
        if entry is not None:
            former = self._manual.current_of(self._owner, entry.stream, entry.time_ms)
            found += self._check(entry, former)
        faults = [remark for remark in found if not remark.warning]
        self.errors += [_remark(index, fault) for fault in faults]
        if entry is None or faults:
            return
        repeats = self._seen.setdefault(entry.key, index)
        if repeats != index:
            self.errors.append(_repetition(index, repeats))
            return
        warning = "; ".join(f"{remark.field} {remark.what}" for remark in found)
        booked = revise(former, replace(entry, warning=warning))
        if booked.change is Change.UNCHANGED:
            found = []  # what is already booked was remarked on when it was entered
        else:
            self._manual.add_entries(self._owner, [booked.entry])
        self.good.append(_Good(index=index, booked=booked, remarks=tuple(found)))

    def _check(self, entry: ManualEntry, former: ManualEntry | None) -> list[Remark]:
        spec = self._desk.specs[entry.stream]
        found = self._check_document(entry)
        if entry.value is None:
            if former is None or former.value is None:
                what = "there is no current entry of this meter and time to retire"
                hint = "`tanshu manual list` shows the entries"
                found.append(Remark(field="value", what=what, hint=hint))
            return found
        before = self._manual.before(self._owner, entry.stream, entry.time_ms)
        after = self._manual.after(self._owner, entry.stream, entry.time_ms)
        last = before[0] if before else None
        found += check_beside(spec, entry, last, after)
        if all(remark.warning for remark in found):
            found += self._check_peers(spec, entry, last)
        return found

    def _check_peers(
        self, spec: ManualSpec, entry: ManualEntry, before: ManualEntry | None
    ) -> list[Remark]:
        segment = segment_before(spec, entry, before)
        if segment is None or segment.amount is None:
            return []
        remark = check_peers(
            self._usages.own(spec, entry, segment),
            self._usages.peers(spec, segment),
            self._usages.past(spec, entry),
            share=spec.peer_share,
        )
        return [] if remark is None else [remark]

    def _check_document(self, entry: ManualEntry) -> list[Remark]:
        evidence = entry.evidence
        if evidence is None or evidence.sha256 in self._submission.files:
            return []
        if self._folder.holds(evidence.sha256):
            return []
        what = "no document with this SHA-256 is kept"
        return [Remark(field="evidence_sha256", what=what, hint="send the file along")]


def _tell(connection: Connection, owner: Owner, good: Sequence[_Good], desk: ManualDesk) -> None:
    """Events of what is odd, and the audit of what was entered."""
    changed = [one for one in good if one.booked.change is not Change.UNCHANGED]
    SqliteBook(connection).add_events(
        owner,
        [
            Event(
                time_ms=desk.now_ms,
                code=remark.code,
                subject=one.booked.entry.stream,
                severity=Severity.WARNING,
                detail=f"{iso_local(one.booked.entry.time_ms, desk.zone)}: "
                f"{remark.field} {remark.what}",
            )
            for one in changed
            for remark in one.remarks
        ],
    )
    audit = Audit(connection)
    for one in changed:
        entry = one.booked.entry
        value = "" if entry.value is None else f" {entry.value:.12g} {entry.unit}"
        audit.record(
            desk.now_ms,
            entry.author,
            f"manual.{one.booked.change}",
            entry.stream,
            f"{iso_local(entry.time_ms, desk.zone)} revision {entry.revision}{value}",
        )


def _result(good: _Good) -> ManualResult:
    entry, former = good.booked.entry, good.booked.former
    return ManualResult(
        index=good.index,
        stream=entry.stream,
        time_ms=entry.time_ms,
        revision=entry.revision,
        change=good.booked.change.value,
        value=entry.value,
        unit=entry.unit,
        former_value=former.value if former else None,
    )


def _repetition(index: int, other: int) -> ActivityRemark:
    return ActivityRemark(
        index=index,
        what="has the same meter and time as an earlier entry",
        where="time",
        hint="keep the right one of the two",
        other=other,
    )


def _remark(index: int, remark: Remark) -> ActivityRemark:
    return ActivityRemark(index=index, what=remark.what, where=remark.field, hint=remark.hint)


class ManualEntryDesk:
    """Readings that people take, of a running gateway: `agent.web.manual_view.ManualView`."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._counted: tuple[int, ManualCounts] | None = None  # when, and what came of it
        self._to_verify: tuple[object, int] | None = None  # as of what is booked

    def counts(self, now_ms: int) -> ManualCounts:
        """How much people have to do, as of half a minute ago at most."""
        if self._counted is None or not 0 <= now_ms - self._counted[0] < COUNT_AGAIN_MS:
            gateway = self._gateway
            connection = gateway.database.connection
            overdue = overdue_readings(connection, gateway.owner, gateway.config, now_ms)
            counts = ManualCounts(
                overdue=len(overdue),
                names=tuple(dict.fromkeys(one.name for one in overdue)),
                to_verify=self._count_to_verify(connection),
            )
            self._counted = (now_ms, counts)
        return self._counted[1]

    def _count_to_verify(self, connection: Connection) -> int:
        """Counted again only when windows were booked or verified since: there may be many."""
        gateway = self._gateway
        booked = (gateway.config.hash, booked_and_verified(connection))
        if self._to_verify is None or self._to_verify[0] != booked:
            tasks = verification_tasks(connection, gateway.owner, gateway.config)
            self._to_verify = (booked, sum(1 for _ in tasks))
        return self._to_verify[1]

    async def current(self, query: ManualQuery) -> Sequence[ManualEntry]:
        """Current entries of a span."""
        span = Span(from_ms=query.from_ms, to_ms=query.to_ms)
        manual = SqliteManual(self._gateway.database.connection)
        return manual.current_entries(self._gateway.owner, span, query.stream, limit=query.limit)

    async def add(self, submission: ManualSubmission) -> ManualOutcome:
        """Book a submission into the gateway's own file; its windows are cut at once."""
        gateway = self._gateway
        outcome = enter_readings(
            gateway.database, gateway.owner, gateway.config, submission, self._now_ms()
        )
        if outcome.stored:
            gateway.wake.ring()
            self._counted = None
        return outcome

    async def tasks(self) -> ManualTasks:
        """What people have to do."""
        gateway = self._gateway
        return tasks_of_gateway(
            gateway.database.connection, gateway.owner, gateway.config, gateway.clock.now_ms()
        )

    async def verify(self, submission: VerifySubmission) -> VerifyOutcome:
        """Settle a verification task."""
        gateway = self._gateway
        outcome = settle(
            gateway.database, gateway.owner, gateway.config, submission, self._now_ms()
        )
        gateway.wake.ring()
        self._counted = None
        return outcome

    def _now_ms(self) -> int:
        if not self._gateway.recorder.trust.trusted:
            raise StoreError(
                "the clock cannot be trusted yet, so nothing can be dated",
                where="clock",
                hint="set the machine's clock, then enter it again",
            )
        return self._gateway.clock.now_ms()
