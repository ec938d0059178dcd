"""Activity entries in the book, on SQLite: appended, never changed, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from agent.book.ports import Owner, Span
from agent.book.sqlite import SqliteBook
from agent.core.activity import (
    ActivityEntry,
    ActivityKind,
    Evidence,
    Origin,
    same_content,
)

if TYPE_CHECKING:
    from sqlite3 import Connection

COLUMNS = (
    "kind, item, start_ms, length_ms, batch, revision, amount, unit, place, carbon_content, "
    "carbon_basis, purity, treatment, distance_km, mode, price_cny, origin, author, note, "
    "evidence_name, evidence_sha256, entered_ms"
)
# Qualified, since the series that every row joins has a kind as well.
_SELECTED = "series.name, " + ", ".join(f"activity.{name}" for name in COLUMNS.split(", "))
_PLACES = ", ".join("?" * (COLUMNS.count(",") + 2))
_FROM = "FROM activity JOIN series ON series.id = activity.series"
_OWNED = "series.site = ? AND series.gateway = ? AND series.kind = 'stream'"
# The same words as in the index activity_by_key, so that SQLite finds a key through it.
_START = "CASE WHEN {0}.batch = '' THEN {0}.start_ms ELSE 0 END"
_LENGTH = "CASE WHEN {0}.batch = '' THEN {0}.length_ms ELSE 0 END"
_CURRENT = (
    "NOT EXISTS (SELECT 1 FROM activity AS later WHERE later.series = activity.series "
    "AND later.batch = activity.batch AND "
    f"{_START.format('later')} = {_START.format('activity')} AND "
    f"{_LENGTH.format('later')} = {_LENGTH.format('activity')} "
    "AND later.revision > activity.revision)"
)
_ORDER = "ORDER BY coalesce(start_ms, entered_ms), name, batch, revision"


class Change(StrEnum):
    """What an entry came to."""

    ADDED = "added"
    REVISED = "revised"
    RETIRED = "retired"
    UNCHANGED = "unchanged"  # it says what is already booked; nothing was written


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """An entry as it stands in the book, what became of it, and what it replaced."""

    entry: ActivityEntry
    change: Change
    former: ActivityEntry | None = None


def revise(former: ActivityEntry | None, entry: ActivityEntry) -> Booked:
    """What an entry becomes after the current one of its key: first, next revision, or neither."""
    if former is None:
        return Booked(entry=replace(entry, revision=0), change=Change.ADDED)
    if same_content(former, entry):
        return Booked(entry=former, change=Change.UNCHANGED, former=former)
    return Booked(
        entry=replace(entry, revision=former.revision + 1),
        change=Change.RETIRED if entry.amount is None else Change.REVISED,
        former=former,
    )


class SqliteActivity:
    """Activity entries of one or many gateways in one file."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._book = SqliteBook(connection)

    def add_activity(self, owner: Owner, entries: Iterable[ActivityEntry]) -> int:
        """Insert entries with the revisions they carry; existing keys stay. Returns rows added."""
        rows = [
            (self._book.series(owner, "stream", entry.stream), *_row(entry)) for entry in entries
        ]
        if not rows:
            return 0
        before = self._connection.total_changes
        self._connection.executemany(
            f"INSERT INTO activity (series, {COLUMNS}) VALUES ({_PLACES}) ON CONFLICT DO NOTHING",
            rows,
        )
        return self._connection.total_changes - before

    def enter(self, owner: Owner, entry: ActivityEntry) -> Booked:
        """Append an entry under the next revision of its key; the owner of the stream calls this.

        An entry that says what is already booked is not written again, so that an import may be
        repeated.
        """
        booked = revise(self.current_of(owner, entry), entry)
        if booked.change is not Change.UNCHANGED:
            self.add_activity(owner, [booked.entry])
        return booked

    def current_of(self, owner: Owner, entry: ActivityEntry) -> ActivityEntry | None:
        """The current revision under the key of an entry, retired or not."""
        where, parameters = _key(owner, entry)
        rows = self._select(f"{where} ORDER BY revision DESC LIMIT 1", parameters)
        return rows[0] if rows else None

    def find(self, owner: Owner, entry: ActivityEntry) -> tuple[int, ActivityEntry] | None:
        """Row number and content booked under the key and revision of an entry."""
        where, parameters = _key(owner, entry)
        row = self._connection.execute(
            f"SELECT activity.id, {_SELECTED} {_FROM} WHERE {where} AND revision = ?",
            (*parameters, entry.revision),
        ).fetchone()
        return None if row is None else (int(row[0]), entry_of(row[1:]))

    def current_activity(
        self,
        owner: Owner,
        span: Span,
        kind: ActivityKind | None = None,
        *,
        retired: bool = False,
        limit: int | None = None,
    ) -> Sequence[ActivityEntry]:
        """Current entries whose period touches the span, by start and stream.

        Entries of batches without a period are in no span: see `unplaced_activity`.
        """
        where = f"{_OWNED} AND start_ms < ? AND start_ms + length_ms > ? AND {_CURRENT}"
        parameters: tuple[object, ...] = (owner.site, owner.gateway, span.to_ms, span.from_ms)
        if kind is not None:
            where, parameters = f"{where} AND activity.kind = ?", (*parameters, kind.value)
        if not retired:
            where += " AND amount IS NOT NULL"
        return self._select(
            f"{where} {_ORDER} LIMIT ?", (*parameters, -1 if limit is None else limit)
        )

    def unplaced_activity(
        self, owner: Owner, kind: ActivityKind | None = None
    ) -> Sequence[ActivityEntry]:
        """Current entries of batches that carry no period of their own."""
        where = f"{_OWNED} AND start_ms IS NULL AND amount IS NOT NULL AND {_CURRENT}"
        parameters: tuple[object, ...] = (owner.site, owner.gateway)
        if kind is not None:
            where, parameters = f"{where} AND activity.kind = ?", (*parameters, kind.value)
        return self._select(f"{where} {_ORDER}", parameters)

    def stream_activity(
        self, owner: Owner, stream: str, *, history: bool = False
    ) -> Sequence[ActivityEntry]:
        """The current entries of a stream, or with ``history`` every revision ever booked."""
        where = f"{_OWNED} AND series.name = ?"
        if not history:
            where += f" AND amount IS NOT NULL AND {_CURRENT}"
        return self._select(f"{where} {_ORDER}", (owner.site, owner.gateway, stream))

    def activity_after(
        self, owner: Owner, after: int, limit: int
    ) -> list[tuple[int, ActivityEntry]]:
        """All revisions in the order they were booked, from a row number on: for sealing."""
        # CROSS: the outer loop is that of the booking numbers, so what is sealed is not read
        rows = self._connection.execute(
            f"SELECT activity.id, {_SELECTED} FROM activity "
            f"CROSS JOIN series ON series.id = activity.series WHERE activity.id > ? AND {_OWNED} "
            "ORDER BY activity.id LIMIT ?",
            (after, owner.site, owner.gateway, limit),
        )
        return [(int(row[0]), entry_of(row[1:])) for row in rows]

    def _select(self, where: str, parameters: Sequence[object]) -> list[ActivityEntry]:
        rows = self._connection.execute(
            f"SELECT {_SELECTED} {_FROM} WHERE {where}",
            tuple(parameters),
        )
        return [entry_of(row) for row in rows]


def entry_of(row: Sequence[Any]) -> ActivityEntry:
    """An entry from (name, *COLUMNS)."""
    name, kind, item, start_ms, length_ms, batch, revision, amount, unit, place, *rest = row[:23]
    content, basis, purity, treatment, distance_km, mode, price_cny, origin, author, note = rest[
        :10
    ]
    evidence_name, digest, entered_ms = rest[10:]
    return ActivityEntry(
        stream=name,
        kind=ActivityKind(kind),
        item=item,
        amount=amount,
        unit=unit,
        start_ms=start_ms,
        end_ms=None if start_ms is None else start_ms + length_ms,
        batch=batch,
        revision=revision,
        place=place,
        carbon_content=content,
        carbon_basis=basis,
        purity=purity,
        treatment=treatment,
        distance_km=distance_km,
        mode=mode,
        price_cny=price_cny,
        origin=Origin(origin),
        author=author,
        note=note,
        evidence=None if digest is None else Evidence(name=evidence_name, sha256=digest),
        entered_ms=entered_ms,
    )


def _row(entry: ActivityEntry) -> tuple[object, ...]:
    evidence = entry.evidence
    return (
        entry.kind.value,
        entry.item,
        entry.start_ms,
        entry.length_ms,
        entry.batch,
        entry.revision,
        entry.amount,
        entry.unit,
        entry.place,
        entry.carbon_content,
        entry.carbon_basis,
        entry.purity,
        entry.treatment,
        entry.distance_km,
        entry.mode,
        entry.price_cny,
        entry.origin.value,
        entry.author,
        entry.note,
        evidence.name if evidence else None,
        evidence.sha256 if evidence else None,
        entry.entered_ms,
    )


def _key(owner: Owner, entry: ActivityEntry) -> tuple[str, tuple[object, ...]]:
    _, start_ms, length_ms, batch = entry.key
    where = (
        f"{_OWNED} AND series.name = ? AND activity.batch = ? "
        f"AND {_START.format('activity')} = ? AND {_LENGTH.format('activity')} = ?"
    )
    key = (entry.stream, batch, start_ms or 0, length_ms or 0)
    return where, (owner.site, owner.gateway, *key)
