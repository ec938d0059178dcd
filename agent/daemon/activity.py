"""Entering activity data: read, compare with what is booked, then book all of it or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from agent.book.activity import Booked, Change, SqliteActivity, revise
from agent.book.database import Database
from agent.book.ports import Owner, Span
from agent.book.sqlite import SqliteBook
from agent.config.site import SiteConfig
from agent.core.activity import ActivityEntry, ActivityKey
from agent.core.activity_checks import Remark, check_beside
from agent.core.activity_history import StreamHistory
from agent.core.activity_period import period_text
from agent.core.activity_read import Desk, Read, read_entry
from agent.core.errors import StoreError
from agent.core.model import Event, Severity
from agent.store.evidence import EvidenceFolder
from agent.store.state import Audit
from agent.web.activity_view import (
    ActivityOutcome,
    ActivityQuery,
    ActivityRemark,
    ActivityResult,
    ActivitySubmission,
)

if TYPE_CHECKING:
    from sqlite3 import Connection

    from agent.daemon.service import Gateway

LEAST_TOKEN_CHARACTERS = 16
SLICE = 200  # entries read without a pause


@dataclass(frozen=True, slots=True, kw_only=True)
class _Good:
    index: int
    booked: Booked
    remarks: tuple[Remark, ...]


def places_of(config: SiteConfig) -> frozenset[str]:
    """The ids an entry may belong to: devices, units, areas and emission sources."""
    return frozenset(
        {
            *(device.id for device in config.devices),
            *(unit.id for unit in config.units),
            *(area.id for area in config.areas),
            *(source.id for source in config.source_sections),
        }
    )


def enter(
    database: Database,
    owner: Owner,
    config: SiteConfig,
    submission: ActivitySubmission,
    now_ms: int,
) -> ActivityOutcome:
    """Check a submission and book it in one transaction, as `ActivitySubmission` asks.

    Raises:
        StoreError: the database or the evidence cannot be written; nothing is booked.
    """
    desk = _desk(config, submission, now_ms)
    read = [read_entry(fields, desk) for fields in submission.entries]
    return _book(database, owner, submission, desk, read)


def _desk(config: SiteConfig, submission: ActivitySubmission, now_ms: int) -> Desk:
    return Desk(
        zone=ZoneInfo(config.site.timezone),
        now_ms=now_ms,
        origin=submission.origin,
        author=submission.author,
        places=places_of(config),
    )


def _book(
    database: Database,
    owner: Owner,
    submission: ActivitySubmission,
    desk: Desk,
    read: Sequence[Read],
) -> ActivityOutcome:
    folder = EvidenceFolder(Path(database.path))
    with database.transaction() as connection:
        checking = _Checking(SqliteActivity(connection), owner, folder, submission.files)
        for index, found in enumerate(read):
            checking.take(index, found.entry, found.remarks)
        allowed = not checking.errors or submission.keep_good
        store = allowed and not submission.dry_run and bool(checking.good)
        if store:
            _store(connection, owner, checking.good, submission, folder, desk)
    return ActivityOutcome(
        stored=store,
        entries=tuple(_result(good) for good in checking.good) if allowed else (),
        errors=tuple(checking.errors),
        warnings=tuple(
            _remark(good.index, remark) for good in checking.good for remark in good.remarks
        ),
    )


class _Checking:
    """Compares entries with the book and with those before them in the same submission."""

    def __init__(
        self,
        activity: SqliteActivity,
        owner: Owner,
        folder: EvidenceFolder,
        files: Collection[str],
    ) -> None:
        self._activity = activity
        self._owner = owner
        self._folder = folder
        self._files = files
        self._current: dict[str, StreamHistory] = {}
        self._seen: dict[ActivityKey, int] = {}
        self._kept: set[str] = set()
        self.good: list[_Good] = []
        self.errors: list[ActivityRemark] = []

    def take(self, index: int, entry: ActivityEntry | None, remarks: Sequence[Remark]) -> None:
        """Check one entry; it is good, or its faults are noted."""
        found = list(remarks)
        if entry is not None:
            former = self._activity.current_of(self._owner, entry)
            entry = _with_unit(entry, former)
            found += self._beside(entry, former)
        faults = [remark for remark in found if not remark.warning]
        self.errors += [_remark(index, fault) for fault in faults]
        repeats = None if entry is None else self._seen.get(entry.key)
        if repeats is not None:
            self.errors.append(_repetition(index, repeats))
        if entry is None or faults or repeats is not None:
            return
        booked = revise(former, entry)
        # what is already booked was remarked on when it was entered
        odd = () if booked.change is Change.UNCHANGED else tuple(found)
        self.good.append(_Good(index=index, booked=booked, remarks=odd))
        self._seen[entry.key] = index
        self._stream(entry.stream).put(entry)

    def _beside(self, entry: ActivityEntry, former: ActivityEntry | None) -> list[Remark]:
        remarks = check_beside(entry, self._stream(entry.stream).near(entry))
        if entry.amount is None and (former is None or former.amount is None):
            remarks.append(
                Remark(
                    field="amount",
                    what=f"there is no current entry of {entry.stream} to retire",
                    hint="`tanshu activity list` shows the entries and their periods",
                )
            )
        if entry.evidence is not None and not self._has_evidence(entry.evidence.sha256):
            remarks.append(
                Remark(
                    field="evidence_sha256",
                    what="no document with this SHA-256 is kept",
                    hint="send the file along",
                )
            )
        return remarks

    def _has_evidence(self, digest: str) -> bool:
        if digest not in self._kept and (digest in self._files or self._folder.holds(digest)):
            self._kept.add(digest)
        return digest in self._kept

    def _stream(self, stream: str) -> StreamHistory:
        if stream not in self._current:
            current = self._activity.stream_activity(self._owner, stream)
            self._current[stream] = StreamHistory(current)
        return self._current[stream]


def _with_unit(entry: ActivityEntry, former: ActivityEntry | None) -> ActivityEntry:
    """A retirement names no unit of its own: it takes that of what it retires."""
    if entry.unit or former is None:
        return entry
    return replace(entry, unit=former.unit)


def _store(
    connection: Connection,
    owner: Owner,
    good: Sequence[_Good],
    submission: ActivitySubmission,
    folder: EvidenceFolder,
    desk: Desk,
) -> None:
    for data in submission.files.values():
        folder.keep(data)
    changed = [one for one in good if one.booked.change is not Change.UNCHANGED]
    SqliteActivity(connection).add_activity(owner, [one.booked.entry for one in changed])
    SqliteBook(connection).add_events(
        owner,
        [
            Event(
                time_ms=desk.now_ms,
                code=remark.code,
                subject=one.booked.entry.stream,
                severity=Severity.WARNING,
                detail=f"{_when(one.booked.entry, desk.zone)}: {remark.field} {remark.what}",
            )
            for one in changed
            for remark in one.remarks
        ],
    )
    audit = Audit(connection)
    for one in changed:
        entry = one.booked.entry
        amount = "" if entry.amount is None else f" {entry.amount:g} {entry.unit}"
        audit.record(
            desk.now_ms,
            entry.author or entry.origin.value,
            f"activity.{one.booked.change}",
            entry.stream,
            f"{_when(entry, desk.zone)} revision {entry.revision}{amount}",
        )


def _when(entry: ActivityEntry, zone: ZoneInfo) -> str:
    if entry.start_ms is None or entry.end_ms is None:
        return entry.batch
    period = period_text(entry.start_ms, entry.end_ms, zone)
    return f"{entry.batch} {period}" if entry.batch else period


def _result(good: _Good) -> ActivityResult:
    entry, former = good.booked.entry, good.booked.former
    return ActivityResult(
        index=good.index,
        stream=entry.stream,
        revision=entry.revision,
        change=good.booked.change.value,
        amount=entry.amount,
        unit=entry.unit,
        former_amount=former.amount if former else None,
    )


def _repetition(index: int, other: int) -> ActivityRemark:
    return ActivityRemark(
        index=index,
        what="has the same stream and period (or batch) as an earlier entry",
        where="period",
        hint="add the two up, or tell them apart by batch or place",
        other=other,
    )


def _remark(index: int, remark: Remark) -> ActivityRemark:
    return ActivityRemark(index=index, what=remark.what, where=remark.field, hint=remark.hint)


class ActivityDesk:
    """Activity data of a running gateway, as the web asks for it."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._activity = SqliteActivity(gateway.database.connection)

    def current(self, query: ActivityQuery) -> Sequence[ActivityEntry]:
        """Current entries of a span."""
        span = Span(from_ms=query.from_ms, to_ms=query.to_ms)
        return self._activity.current_activity(
            self._gateway.owner, span, query.kind, limit=query.limit
        )

    async def add(self, submission: ActivitySubmission) -> ActivityOutcome:
        """Book a submission into the gateway's own file, letting polling go on between slices."""
        gateway = self._gateway
        if not gateway.recorder.trust.trusted:
            raise StoreError(
                "the clock cannot be trusted yet, so nothing can be dated",
                where="clock",
                hint="set the machine's clock, then enter it again",
            )
        desk = _desk(gateway.config, submission, gateway.clock.now_ms())
        read: list[Read] = []
        for first in range(0, len(submission.entries), SLICE):
            part = submission.entries[first : first + SLICE]
            read += [read_entry(fields, desk) for fields in part]
            await asyncio.sleep(0)
        return _book(gateway.database, gateway.owner, submission, desk, read)

    def token(self) -> str:
        """The token of the file that the configuration names; empty if it names none.

        Raises:
            StoreError: the file cannot be read, or what it holds is too short to protect.
        """
        name = self._gateway.config.web.token_file
        if name is None:
            return ""
        return read_token(self._gateway.config.path.parent / name)


def read_token(path: Path) -> str:
    """The token in a file.

    Raises:
        StoreError: the file cannot be read, or holds fewer than 16 characters.
    """
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(
            f"the token cannot be read: {error}",
            where=str(path),
            hint="web.token_file names a text file that only this service may read",
        ) from error
    if len(token) < LEAST_TOKEN_CHARACTERS:
        raise StoreError(
            f"the token has fewer than {LEAST_TOKEN_CHARACTERS} characters",
            where=str(path),
            hint="for instance: openssl rand -hex 32 > FILE",
        )
    return token
