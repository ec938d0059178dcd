"""Readings that people took, on SQLite: appended, never changed, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from agent.book.activity import Change
from agent.book.ports import Owner, Span
from agent.book.sqlite import SqliteBook
from agent.core.activity import Evidence, Origin
from agent.core.manual import Form, ManualEntry, same_reading

if TYPE_CHECKING:
    from sqlite3 import Connection

COLUMNS = (
    "time_ms, revision, start_ms, form, value, unit, old_end, new_start, running_h, origin, "
    "author, note, warning, evidence_name, evidence_sha256, entered_ms"
)
_PLACES = ", ".join("?" * (COLUMNS.count(",") + 2))
_FROM = "FROM manual_entries AS m JOIN series ON series.id = m.series"
_SELECTED = "series.name, " + ", ".join(f"m.{name}" for name in COLUMNS.split(", "))
_OWNED = "series.site = ? AND series.gateway = ? AND series.kind = 'stream'"
_CURRENT = (
    "NOT EXISTS (SELECT 1 FROM manual_entries AS later WHERE later.series = m.series "
    "AND later.time_ms = m.time_ms AND later.revision > m.revision)"
)
_VALID = f"{_OWNED} AND series.name = ? AND {_CURRENT} AND m.value IS NOT NULL"


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedReading:
    """An entry as it stands in the book, what became of it, and what it replaced."""

    entry: ManualEntry
    change: Change
    former: ManualEntry | None = None


def revise(former: ManualEntry | None, entry: ManualEntry) -> BookedReading:
    """What an entry becomes after the current one of its key: first, next revision, or neither."""
    if former is None:
        return BookedReading(entry=replace(entry, revision=0), change=Change.ADDED)
    if same_reading(former, entry):
        return BookedReading(entry=former, change=Change.UNCHANGED, former=former)
    return BookedReading(
        entry=replace(entry, revision=former.revision + 1),
        change=Change.RETIRED if entry.value is None else Change.REVISED,
        former=former,
    )


class SqliteManual:
    """Manual entries of one or many gateways in one file."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._book = SqliteBook(connection)

    def add_entries(self, owner: Owner, entries: Iterable[ManualEntry]) -> int:
        """Insert entries with the revisions they carry; existing keys stay. Returns rows added."""
        rows = [
            (self._book.series(owner, "stream", entry.stream), *_row(entry)) for entry in entries
        ]
        if not rows:
            return 0
        before = self._connection.total_changes
        self._connection.executemany(
            f"INSERT INTO manual_entries (series, {COLUMNS}) VALUES ({_PLACES}) "
            "ON CONFLICT DO NOTHING",
            rows,
        )
        return self._connection.total_changes - before

    def current_of(self, owner: Owner, stream: str, time_ms: int) -> ManualEntry | None:
        """The current revision of a stream and time, retired or not."""
        found = self._select(
            f"{_OWNED} AND series.name = ? AND m.time_ms = ? ORDER BY m.revision DESC LIMIT 1",
            (owner.site, owner.gateway, stream, time_ms),
        )
        return found[0] if found else None

    def find(self, owner: Owner, entry: ManualEntry) -> tuple[int, ManualEntry] | None:
        """Row number and content booked under the key and revision of an entry."""
        row = self._connection.execute(
            f"SELECT m.id, {_SELECTED} {_FROM} WHERE {_OWNED} AND series.name = ? "
            "AND m.time_ms = ? AND m.revision = ?",
            (owner.site, owner.gateway, entry.stream, entry.time_ms, entry.revision),
        ).fetchone()
        return None if row is None else (int(row[0]), entry_of(row[1:]))

    def between(self, owner: Owner, stream: str, from_ms: int, to_ms: int) -> list[ManualEntry]:
        """The valid entries of a stream in [from_ms, to_ms], in order of time."""
        return self._select(
            f"{_VALID} AND m.time_ms BETWEEN ? AND ? ORDER BY m.time_ms",
            (owner.site, owner.gateway, stream, from_ms, to_ms),
        )

    def before(self, owner: Owner, stream: str, time_ms: int, count: int = 1) -> list[ManualEntry]:
        """The last valid entries of a stream before a time, in order of time."""
        found = self._select(
            f"{_VALID} AND m.time_ms < ? ORDER BY m.time_ms DESC LIMIT ?",
            (owner.site, owner.gateway, stream, time_ms, count),
        )
        return found[::-1]

    def after(self, owner: Owner, stream: str, time_ms: int) -> ManualEntry | None:
        """The first valid entry of a stream after a time."""
        found = self._select(
            f"{_VALID} AND m.time_ms > ? ORDER BY m.time_ms LIMIT 1",
            (owner.site, owner.gateway, stream, time_ms),
        )
        return found[0] if found else None

    def current_entries(
        self,
        owner: Owner,
        span: Span,
        stream: str | None = None,
        *,
        retired: bool = False,
        limit: int | None = None,
    ) -> Sequence[ManualEntry]:
        """Current entries of a span, by time and stream."""
        where = f"{_OWNED} AND m.time_ms >= ? AND m.time_ms < ? AND {_CURRENT}"
        parameters: tuple[object, ...] = (owner.site, owner.gateway, span.from_ms, span.to_ms)
        if stream is not None:
            where, parameters = f"{where} AND series.name = ?", (*parameters, stream)
        if not retired:
            where += " AND m.value IS NOT NULL"
        most = -1 if limit is None else limit
        return self._select(f"{where} ORDER BY m.time_ms, series.name LIMIT ?", (*parameters, most))

    def history(self, owner: Owner, stream: str) -> Sequence[ManualEntry]:
        """Every revision of every entry of a stream, by time."""
        return self._select(
            f"{_OWNED} AND series.name = ? ORDER BY m.time_ms, m.revision",
            (owner.site, owner.gateway, stream),
        )

    def entered_after(
        self, owner: Owner, after: int, limit: int = -1, stream: str | None = None
    ) -> list[tuple[int, ManualEntry]]:
        """All revisions in the order they were booked, from a row number on."""
        where = f"m.id > ? AND {_OWNED}"
        parameters: tuple[object, ...] = (after, owner.site, owner.gateway)
        if stream is not None:
            where, parameters = f"{where} AND series.name = ?", (*parameters, stream)
        # found by the booking number, so what was taken before is not read
        of = _FROM.replace("JOIN", "CROSS JOIN")
        rows = self._connection.execute(
            f"SELECT m.id, {_SELECTED} {of} WHERE {where} ORDER BY m.id LIMIT ?",
            (*parameters, limit),
        )
        return [(int(row[0]), entry_of(row[1:])) for row in rows]

    def newest(self) -> int:
        """The row number of what was entered last."""
        row = self._connection.execute("SELECT max(id) FROM manual_entries").fetchone()
        return row[0] or 0

    def begins_ms(self, owner: Owner, entry: ManualEntry) -> int:
        """Where the earliest revision of an entry begins: its period may have been another."""
        (begin_ms,) = self._connection.execute(
            f"SELECT min(coalesce(m.start_ms, m.time_ms)) {_FROM} "
            f"WHERE {_OWNED} AND series.name = ? AND m.time_ms = ?",
            (owner.site, owner.gateway, entry.stream, entry.time_ms),
        ).fetchone()
        return int(begin_ms)

    def _select(self, where: str, parameters: Sequence[object]) -> list[ManualEntry]:
        rows = self._connection.execute(f"SELECT {_SELECTED} {_FROM} WHERE {where}", parameters)
        return [entry_of(row) for row in rows]


def entry_of(row: Sequence[Any]) -> ManualEntry:
    """An entry from (name, *COLUMNS)."""
    name, time_ms, revision, start_ms, form, value, unit, old_end, new_start, running_h = row[:10]
    origin, author, note, warning, evidence_name, digest, entered_ms = row[10:]
    return ManualEntry(
        stream=name,
        time_ms=time_ms,
        start_ms=start_ms,
        form=Form(form),
        value=value,
        unit=unit,
        revision=revision,
        old_end=old_end,
        new_start=new_start,
        running_h=running_h,
        origin=Origin(origin),
        author=author,
        note=note,
        warning=warning,
        evidence=None if digest is None else Evidence(name=evidence_name, sha256=digest),
        entered_ms=entered_ms,
    )


def _row(entry: ManualEntry) -> tuple[object, ...]:
    evidence = entry.evidence
    return (
        entry.time_ms,
        entry.revision,
        entry.start_ms,
        entry.form.value,
        entry.value,
        entry.unit,
        entry.old_end,
        entry.new_start,
        entry.running_h,
        entry.origin.value,
        entry.author,
        entry.note,
        entry.warning,
        evidence.name if evidence else None,
        evidence.sha256 if evidence else None,
        entry.entered_ms,
    )
