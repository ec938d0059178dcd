"""Sealing: what was booked since the last batch becomes the next one, in booking order."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from agent.book.activity import SqliteActivity
from agent.book.manual import SqliteManual
from agent.book.ports import Owner
from agent.book.recalculations import emissions_and_recalculations_after
from agent.book.reviews import reviews_after
from agent.book.sqlite import SqliteBook
from agent.core.chain import SigningKey
from agent.core.payload import Link, seal
from agent.core.record import Record
from agent.store.batches import Batches, Epoch

if TYPE_CHECKING:
    from sqlite3 import Connection

MOST_RECORDS = 2000
MOST_BATCHES = 20

NewEpochId = Callable[[], str]


class Sealer:
    """Seals booked records into signed batches; without a target it is not called."""

    def __init__(self, owner: Owner, key: SigningKey, new_epoch_id: NewEpochId) -> None:
        self._owner = owner
        self._key = key
        self._new_epoch_id = new_epoch_id

    def seal(self, connection: Connection, now_ms: int, most: int = MOST_BATCHES) -> int:
        """Seal what is not yet in a batch; returns the number of new batches.

        At most ``most`` at once, so that a backlog does not hold the store: call again if it
        returns as many.
        """
        sealed = 0
        while sealed < most and (records := self._take(connection)):
            self._seal(connection, records, now_ms)
            sealed += 1
        return sealed

    def _take(self, connection: Connection) -> list[Record]:
        """The next records in the order of their booking, kinds in a fixed order."""
        book, batches = SqliteBook(connection), Batches(connection)
        records: list[Record] = []
        for kind, fetch in (
            ("window", book.windows_after),
            ("emission", partial(emissions_and_recalculations_after, connection)),
            ("endpoint", book.endpoints_after),
            ("event", book.events_after),
            ("activity", SqliteActivity(connection).activity_after),
            ("review", partial(reviews_after, connection)),
            ("manual", SqliteManual(connection).entered_after),
        ):
            room = MOST_RECORDS - len(records)
            rows = fetch(self._owner, batches.seal_mark(kind), room) if room else []
            if rows:
                records.extend(record for _, record in rows)
                batches.set_seal_mark(kind, rows[-1][0])
        return records

    def _seal(self, connection: Connection, records: list[Record], now_ms: int) -> None:
        batches = Batches(connection)
        epoch = batches.current_epoch() or batches.start_epoch(self._new_epoch_id(), now_ms)
        last = batches.last(epoch.id)
        previous = Link(epoch=epoch.id, seq=last.seq, hash=last.hash) if last else None
        sealed = seal(
            records,
            site=self._owner.site,
            gateway=self._owner.gateway,
            epoch=epoch.id,
            previous=previous,
            key=self._key,
            former=None if previous else self._former(batches, epoch),
        )
        batches.add(
            epoch=epoch.id,
            seq=sealed.link.seq,
            batch_hash=sealed.link.hash,
            count=sealed.count,
            # a batch without windows (events, entries) stands at the time of its sealing
            span=(
                now_ms if sealed.window_from_ms is None else sealed.window_from_ms,
                now_ms if sealed.window_to_ms is None else sealed.window_to_ms,
            ),
            created_ms=now_ms,
            data=sealed.data,
        )

    def _former(self, batches: Batches, epoch: Epoch) -> Link | None:
        """The last batch of the epoch before, as far as any target has confirmed it."""
        if epoch.former is None:
            return None
        seq = batches.highest_through(epoch.former)
        batch_hash = batches.hash(epoch.former, seq)
        if batch_hash is None:
            return None
        return Link(epoch=epoch.former, seq=seq, hash=batch_hash)
