"""The ledger's own tables. Nothing here commits: the caller's transaction decides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import zstandard

from agent.book.ports import Owner
from agent.core.chain import PublicKey
from agent.core.model import Receipt
from agent.core.payload import Batch, Header, Link
from agent.core.receipt import spans_of
from agent.sync.wire import Part

if TYPE_CHECKING:
    from sqlite3 import Connection

PLACE = "site = ? AND gateway = ?"
CHAIN = f"{PLACE} AND epoch = ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBatch:
    """A row of the batches table; ``data`` are the bytes that were signed."""

    owner: Owner
    link: Link
    prev: str | None
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """One epoch of one gateway and how far its chain is unbroken."""

    owner: Owner
    epoch: str
    former: Link | None
    through: int
    hash: str
    started_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """Batches that became part of the unbroken chain, and one that names another before it."""

    linked: range
    broken: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A contradiction that a gateway signed."""

    time_ms: int
    code: str
    owner: Owner
    epoch: str
    seq: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """The last birth or status message of a gateway."""

    owner: Owner
    topic: str
    received_ms: int
    payload: bytes


class LedgerStorage:
    """Keys, batches, chains, parts, alarms and notices."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def enrol(self, owner: Owner, key: PublicKey, now_ms: int) -> bool:
        """Register a key; False if it was registered already."""
        cursor = self._connection.execute(
            "INSERT INTO keys (site, gateway, key_id, public_key, enrolled_ms) "
            "VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (owner.site, owner.gateway, key.id, key.text, now_ms),
        )
        return cursor.rowcount == 1

    def keys(self, owner: Owner) -> dict[str, PublicKey]:
        """The registered keys of a gateway by key id."""
        rows = self._connection.execute(
            f"SELECT key_id, public_key FROM keys WHERE {PLACE}", (owner.site, owner.gateway)
        )
        return {row[0]: PublicKey.from_text(row[1]) for row in rows}

    def enrolled(self) -> list[tuple[Owner, PublicKey]]:
        """Every registered key."""
        rows = self._connection.execute(
            "SELECT site, gateway, public_key FROM keys ORDER BY site, gateway, enrolled_ms"
        )
        return [(Owner(site=row[0], gateway=row[1]), PublicKey.from_text(row[2])) for row in rows]

    def hash_of(self, owner: Owner, epoch: str, seq: int) -> str | None:
        """The hash of a stored batch."""
        row = self._connection.execute(
            f"SELECT hash FROM batches WHERE {CHAIN} AND seq = ?",
            (owner.site, owner.gateway, epoch, seq),
        ).fetchone()
        return None if row is None else str(row[0])

    def add_batch(self, batch: Batch, data: bytes, now_ms: int) -> bool:
        """Store a verified batch; False if its place in the chain is taken."""
        header = batch.header
        self._start_chain(header, now_ms)
        cursor = self._connection.execute(
            "INSERT INTO batches (site, gateway, epoch, seq, hash, prev, key_id, count, "
            "window_from, window_to, received_ms, body) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (site, gateway, epoch, seq) DO NOTHING",
            (
                header.site,
                header.gateway,
                header.epoch,
                header.seq,
                batch.hash,
                header.prev,
                batch.key_id,
                header.count,
                header.window_from_ms,
                header.window_to_ms,
                now_ms,
                zstandard.ZstdCompressor(level=6).compress(data),
            ),
        )
        return cursor.rowcount == 1

    def advance(self, owner: Owner, epoch: str) -> Advance:
        """Move the chain's head over every batch that follows it."""
        place = (owner.site, owner.gateway, epoch)
        through, head = self._connection.execute(
            f"SELECT through, hash FROM epochs WHERE {CHAIN}", place
        ).fetchone()
        start, broken = through, None
        rows = self._connection.execute(
            f"SELECT seq, hash, prev FROM batches WHERE {CHAIN} AND seq > ? ORDER BY seq",
            (*place, through),
        )
        for seq, batch_hash, prev in rows:
            if seq != through + 1:
                break
            if (prev or "") != head:
                broken = int(seq)
                break
            through, head = seq, batch_hash
        if through != start:
            self._connection.execute(
                f"UPDATE epochs SET through = ?, hash = ? WHERE {CHAIN}", (through, head, *place)
            )
        return Advance(linked=range(start + 1, through + 1), broken=broken)

    def data(self, owner: Owner, epoch: str, seq: int) -> bytes:
        """The bytes of a stored batch, as they were signed."""
        row = self._connection.execute(
            f"SELECT body FROM batches WHERE {CHAIN} AND seq = ?",
            (owner.site, owner.gateway, epoch, seq),
        ).fetchone()
        return zstandard.ZstdDecompressor().decompress(row[0])

    def receipt(self, owner: Owner, epoch: str) -> Receipt:
        """What is committed of an epoch; nothing at all gives ``through`` 0."""
        place = (owner.site, owner.gateway, epoch)
        row = self._connection.execute(
            f"SELECT through, hash FROM epochs WHERE {CHAIN}", place
        ).fetchone()
        through, head = row or (0, "")
        held = self._connection.execute(
            f"SELECT seq FROM batches WHERE {CHAIN} AND seq > ? ORDER BY seq", (*place, through)
        )
        return Receipt(
            site=owner.site,
            gateway=owner.gateway,
            epoch=epoch,
            through=through,
            hash=head,
            held=spans_of([seq for (seq,) in held]),
        )

    def chains(self) -> list[Chain]:
        """Every chain, gateway by gateway in the order they began."""
        rows = self._connection.execute(
            "SELECT site, gateway, epoch, former_epoch, former_seq, former_hash, through, hash, "
            "started_ms FROM epochs ORDER BY site, gateway, started_ms, epoch"
        )
        return [
            Chain(
                owner=Owner(site=row[0], gateway=row[1]),
                epoch=row[2],
                former=Link(epoch=row[3], seq=row[4], hash=row[5]) if row[3] else None,
                through=row[6],
                hash=row[7],
                started_ms=row[8],
            )
            for row in rows
        ]

    def batches(self, owner: Owner, epoch: str) -> Iterator[StoredBatch]:
        """The stored batches of a chain in their order."""
        rows = self._connection.execute(
            f"SELECT seq, hash, prev, body FROM batches WHERE {CHAIN} ORDER BY seq",
            (owner.site, owner.gateway, epoch),
        )
        for seq, batch_hash, prev, body in rows:
            yield StoredBatch(
                owner=owner,
                link=Link(epoch=epoch, seq=seq, hash=batch_hash),
                prev=prev,
                data=zstandard.ZstdDecompressor().decompress(body),
            )

    def add_part(self, owner: Owner, part: Part, body: bytes, now_ms: int) -> list[bytes] | None:
        """Keep a part; all parts in order once the last one is there."""
        key = (owner.site, owner.gateway, part.batch, part.parts, part.size)
        same = f"{PLACE} AND batch = ? AND parts = ? AND size = ?"
        self._connection.execute(
            "INSERT INTO parts (site, gateway, batch, parts, size, part, received_ms, body) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET body = excluded.body, received_ms = excluded.received_ms",
            (*key, part.number, now_ms, body),
        )
        count = self._connection.execute(
            f"SELECT count(*) FROM parts WHERE {same}", key
        ).fetchone()[0]
        if count < part.parts:
            return None
        rows = self._connection.execute(f"SELECT body FROM parts WHERE {same} ORDER BY part", key)
        pieces = [row[0] for row in rows]
        self._connection.execute(f"DELETE FROM parts WHERE {same}", key)
        return pieces

    def part_bytes(self, owner: Owner) -> int:
        """How much room the unfinished parts of a gateway take."""
        row = self._connection.execute(
            f"SELECT coalesce(sum(length(body)), 0) FROM parts WHERE {PLACE}",
            (owner.site, owner.gateway),
        ).fetchone()
        return int(row[0])

    def forget_parts(self, before_ms: int) -> int:
        """Drop unfinished parts that came before a time; their batch is sent again anyway."""
        cursor = self._connection.execute("DELETE FROM parts WHERE received_ms < ?", (before_ms,))
        return cursor.rowcount

    def add_alarm(self, alarm: Alarm) -> bool:
        """Record a contradiction; False if this one is known."""
        cursor = self._connection.execute(
            "INSERT INTO alarms (time_ms, code, site, gateway, epoch, seq, detail) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                alarm.time_ms,
                alarm.code,
                alarm.owner.site,
                alarm.owner.gateway,
                alarm.epoch,
                alarm.seq,
                alarm.detail,
            ),
        )
        return cursor.rowcount == 1

    def alarms(self, limit: int = 100) -> list[Alarm]:
        """The latest contradictions, newest first."""
        rows = self._connection.execute(
            "SELECT time_ms, code, site, gateway, epoch, seq, detail FROM alarms "
            "ORDER BY id DESC LIMIT ?",
            (limit,),
        )
        return [
            Alarm(
                time_ms=row[0],
                code=row[1],
                owner=Owner(site=row[2], gateway=row[3]),
                epoch=row[4],
                seq=row[5],
                detail=row[6],
            )
            for row in rows
        ]

    def keep_notice(self, notice: Notice) -> None:
        """Replace the last birth or status message of a gateway."""
        self._connection.execute(
            "INSERT INTO notices (site, gateway, topic, received_ms, payload) "
            "VALUES (?, ?, ?, ?, ?) ON CONFLICT (site, gateway, topic) DO UPDATE SET "
            "received_ms = excluded.received_ms, payload = excluded.payload",
            (
                notice.owner.site,
                notice.owner.gateway,
                notice.topic,
                notice.received_ms,
                notice.payload,
            ),
        )

    def notices(self, topic: str) -> list[Notice]:
        """The last messages of every gateway under ``birth`` or ``status``."""
        rows = self._connection.execute(
            "SELECT site, gateway, topic, received_ms, payload FROM notices WHERE topic = ? "
            "ORDER BY site, gateway",
            (topic,),
        )
        return [
            Notice(
                owner=Owner(site=row[0], gateway=row[1]),
                topic=row[2],
                received_ms=row[3],
                payload=row[4],
            )
            for row in rows
        ]

    def _start_chain(self, header: Header, now_ms: int) -> None:
        former = header.former
        self._connection.execute(
            "INSERT INTO epochs (site, gateway, epoch, former_epoch, former_seq, former_hash, "
            "through, hash, started_ms) VALUES (?, ?, ?, ?, ?, ?, 0, '', ?) "
            "ON CONFLICT (site, gateway, epoch) DO UPDATE SET "
            "former_epoch = coalesce(former_epoch, excluded.former_epoch), "
            "former_seq = coalesce(former_seq, excluded.former_seq), "
            "former_hash = coalesce(former_hash, excluded.former_hash)",
            (
                header.site,
                header.gateway,
                header.epoch,
                former.epoch if former else None,
                former.seq if former else None,
                former.hash if former else None,
                now_ms,
            ),
        )
