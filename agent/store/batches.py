"""Sealed batches and how far each target has confirmed them: the outbox.

A batch is stored once, as the bytes that are sent, and never changes. A target's cursor is the
pair of `through` (everything up to there is confirmed) and single batches held above it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import zstandard

if TYPE_CHECKING:
    from sqlite3 import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One unbroken chain of batches; a restored or cloned gateway starts another."""

    id: str
    number: int
    started_ms: int
    former: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRow:
    """What is known of a stored batch without opening it."""

    position: int  # grows in the order of sealing, over all epochs
    epoch: str
    seq: int
    hash: str
    count: int
    size: int
    window_from_ms: int
    window_to_ms: int
    created_ms: int


ROW_COLUMNS = "rowid, epoch, seq, hash, count, length(body), window_from, window_to, created_ms"


class Batches:
    """The sealed batches of one gateway; callers own the transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def current_epoch(self) -> Epoch | None:
        """The epoch that new batches join."""
        row = self._connection.execute(
            "SELECT id, number, started_ms, former FROM epochs ORDER BY number DESC LIMIT 1"
        ).fetchone()
        if row is None:
            return None
        return Epoch(id=row[0], number=row[1], started_ms=row[2], former=row[3])

    def start_epoch(self, epoch: str, now_ms: int) -> Epoch:
        """Begin a new chain that names the one before it."""
        former = self.current_epoch()
        number = former.number + 1 if former else 1
        self._connection.execute(
            "INSERT INTO epochs (id, number, started_ms, former) VALUES (?, ?, ?, ?)",
            (epoch, number, now_ms, former.id if former else None),
        )
        return Epoch(
            id=epoch, number=number, started_ms=now_ms, former=former.id if former else None
        )

    def last(self, epoch: str) -> BatchRow | None:
        """The newest batch of an epoch."""
        rows = self._rows("epoch = ? ORDER BY seq DESC LIMIT 1", (epoch,))
        return rows[0] if rows else None

    def add(
        self,
        *,
        epoch: str,
        seq: int,
        batch_hash: str,
        count: int,
        span: tuple[int, int],
        created_ms: int,
        data: bytes,
    ) -> None:
        """Store a sealed batch."""
        body = zstandard.ZstdCompressor(level=6).compress(data)
        self._connection.execute(
            "INSERT INTO batches "
            "(epoch, seq, hash, count, window_from, window_to, created_ms, body) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (epoch, seq, batch_hash, count, span[0], span[1], created_ms, body),
        )

    def data(self, epoch: str, seq: int) -> bytes | None:
        """The exact bytes of a batch."""
        row = self._connection.execute(
            "SELECT body FROM batches WHERE epoch = ? AND seq = ?", (epoch, seq)
        ).fetchone()
        return None if row is None else zstandard.ZstdDecompressor().decompress(row[0])

    def hash(self, epoch: str, seq: int) -> str | None:
        """The hash of a batch."""
        row = self._connection.execute(
            "SELECT hash FROM batches WHERE epoch = ? AND seq = ?", (epoch, seq)
        ).fetchone()
        return None if row is None else str(row[0])

    def unconfirmed(self, target: str, after: int, limit: int) -> list[BatchRow]:
        """What a target has not confirmed above a position, oldest first."""
        rows: list[BatchRow] = []
        for epoch, through in self._cursors(target):
            rows += self._rows(
                "epoch = ? AND seq > ? AND rowid > ? AND NOT EXISTS (SELECT 1 FROM target_held "
                "AS held WHERE held.target = ? AND held.epoch = batches.epoch "
                "AND held.seq = batches.seq) ORDER BY seq LIMIT ?",
                (epoch, through, after, target, limit - len(rows)),
            )
            if len(rows) >= limit:
                break
        return rows

    def depth(self, target: str) -> tuple[int, int | None]:
        """How many batches a target has not confirmed, and when the oldest was sealed."""
        oldest = self.unconfirmed(target, 0, 1)
        count = 0
        for epoch, through in self._cursors(target):
            count += self._connection.execute(
                "SELECT (SELECT count(*) FROM batches WHERE epoch = ? AND seq > ?) - "
                "(SELECT count(*) FROM target_held WHERE target = ? AND epoch = ? AND seq > ?)",
                (epoch, through, target, epoch, through),
            ).fetchone()[0]
        return count, oldest[0].created_ms if oldest else None

    def _cursors(self, target: str) -> list[tuple[str, int]]:
        """Each epoch, oldest first, with the batch up to which a target has confirmed it."""
        rows = self._connection.execute(
            "SELECT id, coalesce((SELECT through FROM target_marks WHERE target = ? "
            "AND epoch = id), 0) FROM epochs ORDER BY number",
            (target,),
        )
        return [(row[0], int(row[1])) for row in rows]

    def confirm(
        self, target: str, epoch: str, through: int, held: list[tuple[int, int]], now_ms: int
    ) -> None:
        """Move a target's cursor; it never moves back."""
        self._connection.execute(
            "INSERT INTO target_marks (target, epoch, through, confirmed_ms) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (target, epoch) DO UPDATE SET "
            "through = max(through, excluded.through), confirmed_ms = excluded.confirmed_ms",
            (target, epoch, through, now_ms),
        )
        self._connection.execute(
            "INSERT INTO target_receipts (target, epoch, through, confirmed_ms) "
            "VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (target, epoch, through, now_ms),
        )
        for first, last in held:
            self._connection.execute(
                "INSERT INTO target_held (target, epoch, seq) "
                "SELECT ?, epoch, seq FROM batches WHERE epoch = ? AND seq BETWEEN ? AND ? "
                "ON CONFLICT DO NOTHING",
                (target, epoch, first, last),
            )
        self._connection.execute(
            "DELETE FROM target_held WHERE target = ? AND epoch = ? AND seq <= "
            "(SELECT through FROM target_marks WHERE target = ? AND epoch = ?)",
            (target, epoch, target, epoch),
        )

    def through(self, target: str, epoch: str) -> tuple[int, int | None]:
        """A target's cursor in an epoch and when it last moved."""
        row = self._connection.execute(
            "SELECT through, confirmed_ms FROM target_marks WHERE target = ? AND epoch = ?",
            (target, epoch),
        ).fetchone()
        return (0, None) if row is None else (int(row[0]), int(row[1]))

    def confirmed_ms(self, target: str, row: BatchRow) -> int | None:
        """When a target confirmed this batch with all before it."""
        found = self._connection.execute(
            "SELECT confirmed_ms FROM target_receipts WHERE target = ? AND epoch = ? "
            "AND through >= ? ORDER BY through LIMIT 1",
            (target, row.epoch, row.seq),
        ).fetchone()
        return None if found is None else int(found[0])

    def highest_through(self, epoch: str) -> int:
        """The last batch of an epoch that any target has confirmed with all before it."""
        row = self._connection.execute(
            "SELECT max(through) FROM target_marks WHERE epoch = ?", (epoch,)
        ).fetchone()
        return int(row[0] or 0)

    def confirmed_count(self, target: str) -> int:
        """How many stored batches a target has confirmed."""
        total = self._connection.execute("SELECT count(*) FROM batches").fetchone()[0]
        return int(total) - self.depth(target)[0]

    def latest(self, limit: int) -> list[BatchRow]:
        """The newest batches."""
        return self._rows("1 ORDER BY rowid DESC LIMIT ?", (limit,))

    def is_confirmed(self, target: str, row: BatchRow) -> bool:
        """Whether a target has confirmed this batch."""
        if row.seq <= self.through(target, row.epoch)[0]:
            return True
        held = self._connection.execute(
            "SELECT 1 FROM target_held WHERE target = ? AND epoch = ? AND seq = ?",
            (target, row.epoch, row.seq),
        ).fetchone()
        return held is not None

    def seal_mark(self, kind: str) -> int:
        """The last row of a kind of record that is in a sealed batch."""
        row = self._connection.execute(
            "SELECT last_id FROM seal_marks WHERE kind = ?", (kind,)
        ).fetchone()
        return 0 if row is None else int(row[0])

    def set_seal_mark(self, kind: str, last_id: int) -> None:
        """Remember how far a kind of record is sealed."""
        self._connection.execute(
            "INSERT INTO seal_marks (kind, last_id) VALUES (?, ?) "
            "ON CONFLICT (kind) DO UPDATE SET last_id = excluded.last_id",
            (kind, last_id),
        )

    def _rows(self, where: str, parameters: object) -> list[BatchRow]:
        rows = self._connection.execute(
            f"SELECT {ROW_COLUMNS} FROM batches WHERE {where}",
            parameters,  # type: ignore[arg-type]
        )
        return [
            BatchRow(
                position=row[0],
                epoch=row[1],
                seq=row[2],
                hash=row[3],
                count=row[4],
                size=row[5],
                window_from_ms=row[6],
                window_to_ms=row[7],
                created_ms=row[8],
            )
            for row in rows
        ]
