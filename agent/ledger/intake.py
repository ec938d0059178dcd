"""From a message to committed rows: verify first, then insert, all of a round in one commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from agent.book.activity import SqliteActivity
from agent.book.database import Database
from agent.book.manual import SqliteManual
from agent.book.ports import Owner
from agent.book.recalculations import apply
from agent.book.reviews import receive_reviews
from agent.book.sqlite import SqliteBook
from agent.core.activity import ActivityEntry
from agent.core.errors import ProofError
from agent.core.manual import ManualEntry
from agent.core.model import Emission, Endpoint, Event, Receipt, Window
from agent.core.payload import (
    Batch,
    decode_records,
    name,
    parse_batch,
    verify_batch,
)
from agent.core.ports import Clock
from agent.core.recalculation import BulkRecalculation
from agent.core.record import Record, Unknown
from agent.core.report.review_record import SignedReview
from agent.ledger.booked import Booked, Keyed
from agent.ledger.storage import Alarm, LedgerStorage
from agent.sync.wire import decode_body, join, part_of

log = structlog.get_logger(__name__)

MOST_PART_BYTES = 64 * 1024 * 1024  # unfinished parts of one gateway
PART_LIFE_MS = 15 * 60 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message on a batch topic."""

    owner: Owner
    body: bytes
    user: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A delivery that was not accepted, and why."""

    owner: Owner
    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one round of deliveries came to, after its commit."""

    receipts: tuple[Receipt, ...]
    refusals: tuple[Refusal, ...]
    committed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verified:
    owner: Owner
    batch: Batch
    data: bytes
    records: tuple[Record | Unknown, ...]


class Intake:
    """Takes deliveries into the database; nothing unverified is ever booked."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._storage = LedgerStorage(database.connection)
        self._book = SqliteBook(database.connection)

    def take(self, deliveries: Sequence[Delivery]) -> Outcome:
        """Verify and commit a round of deliveries, and read the receipts they deserve.

        A receipt is owed for every genuine batch, new or known: one that comes again comes
        because the last receipt did not arrive.

        Raises:
            StoreError: the commit failed; nothing of the round is in the database.
        """
        now_ms = self._clock.now_ms()
        refusals: list[Refusal] = []
        touched: dict[tuple[str, str, str], Owner] = {}
        committed = 0
        with self._database.transaction():
            self._storage.forget_parts(now_ms - PART_LIFE_MS)
            for delivery in deliveries:
                try:
                    verified = self._verify(delivery, now_ms)
                except ProofError as fault:
                    code = "ledger.refused"
                    if not self._storage.keys(delivery.owner):
                        code = "ledger.unknown_gateway"
                    refusals.append(Refusal(owner=delivery.owner, code=code, detail=str(fault)))
                    continue
                if verified is not None:
                    committed += self._store(verified, now_ms)
                    owner, epoch = verified.owner, verified.batch.header.epoch
                    touched[owner.site, owner.gateway, epoch] = owner
        # Read after the commit: a receipt never says more than the disk does.
        receipts = tuple(
            self._storage.receipt(owner, epoch) for (_, _, epoch), owner in touched.items()
        )
        return Outcome(receipts=receipts, refusals=tuple(refusals), committed=committed)

    def _verify(self, delivery: Delivery, now_ms: int) -> _Verified | None:
        """The verified batch of a delivery, or ``None`` while parts are missing."""
        owner = delivery.owner
        keys = self._storage.keys(owner)
        if not keys:
            raise ProofError(
                f"no key is registered for {owner.site}/{owner.gateway}",
                hint="register it with `tanshu ledger enrol FILE`",
            )
        body = delivery.body
        part = part_of(delivery.user)
        if part is not None:
            if self._storage.part_bytes(owner) + len(body) > MOST_PART_BYTES:
                raise ProofError("too many unfinished parts")
            pieces = self._storage.add_part(owner, part, body, now_ms)
            if pieces is None:
                return None
            body = join(part, pieces)
        data = decode_body(body, delivery.user)
        batch = parse_batch(data)
        if (batch.header.site, batch.header.gateway) != (owner.site, owner.gateway):
            raise ProofError(f"{name(batch.header)} came on the topic of another gateway")
        if batch.key_id not in keys:
            raise ProofError(f"{name(batch.header)} is signed by unknown key {batch.key_id}")
        verify_batch(batch, keys[batch.key_id])
        return _Verified(owner=owner, batch=batch, data=data, records=decode_records(batch))

    def _store(self, verified: _Verified, now_ms: int) -> int:
        owner, batch = verified.owner, verified.batch
        header = batch.header
        if not self._storage.add_batch(batch, verified.data, now_ms):
            known = self._storage.hash_of(owner, header.epoch, header.seq)
            if known != batch.hash:
                self._alarm(
                    "ledger.fork",
                    verified,
                    now_ms,
                    f"hash {batch.hash} comes where {known} is stored; it is not booked",
                )
            return 0
        self._check_former(verified, now_ms)
        self._write_book(verified, now_ms)
        advance = self._storage.advance(owner, header.epoch)
        for seq in advance.linked:
            self._recalculate(verified, seq, now_ms)
        if advance.broken is not None:
            self._alarm(
                "ledger.broken_chain",
                verified,
                now_ms,
                f"batch {advance.broken} names another batch before it than is stored",
                seq=advance.broken,
            )
        return 1

    def _recalculate(self, verified: _Verified, seq: int, now_ms: int) -> None:
        """Apply the recalculations of a batch now that all batches before it are booked."""
        owner, header = verified.owner, verified.batch.header
        details: dict[str, list[str]] = {}
        records = verified.records
        if seq != header.seq:  # it was held until now
            held = parse_batch(self._storage.data(owner, header.epoch, seq))
            try:
                records = decode_records(held) if "recalculation" in held.header.columns else ()
            except ProofError as fault:  # it was stored by a version that did not know the kind
                details["unreadable"] = [fault.what]
                records = ()
        for record in records:
            if isinstance(record, BulkRecalculation):
                refused = apply(self._database.connection, owner, record)
                if refused is not None:
                    details.setdefault(refused.code, []).append(refused.detail)
        for code, listed in details.items():
            self._alarm(
                f"ledger.recalculation_{code}", verified, now_ms, "; ".join(listed), seq=seq
            )

    def _check_former(self, verified: _Verified, now_ms: int) -> None:
        former = verified.batch.header.former
        if former is None:
            return
        known = self._storage.hash_of(verified.owner, former.epoch, former.seq)
        if known != former.hash:
            self._alarm(
                "ledger.former_differs",
                verified,
                now_ms,
                f"follows {former.epoch}/{former.seq} with hash {former.hash}, "
                f"stored is {known or 'nothing'}",
            )

    def _write_book(self, verified: _Verified, now_ms: int) -> None:
        owner, records = verified.owner, verified.records
        windows = [record for record in records if isinstance(record, Window)]
        emissions = [record for record in records if isinstance(record, Emission)]
        endpoints = [record for record in records if isinstance(record, Endpoint)]
        activity = [record for record in records if isinstance(record, ActivityEntry)]
        manual = [record for record in records if isinstance(record, ManualEntry)]
        added = self._book.add_windows(owner, windows)
        added += self._book.add_emissions(owner, emissions)
        added += self._book.add_endpoints(owner, endpoints)
        added += SqliteActivity(self._database.connection).add_activity(owner, activity)
        added += SqliteManual(self._database.connection).add_entries(owner, manual)
        receive_reviews(
            self._database.connection,
            owner,
            (record for record in records if isinstance(record, SignedReview)),
        )
        self._book.add_events(owner, [record for record in records if isinstance(record, Event)])
        keyed: list[Keyed] = [*windows, *emissions, *endpoints, *activity, *manual]
        if added == len(keyed):
            return
        booked = Booked(self._database.connection)  # of this transaction: numbers may be taken back
        for record in keyed:
            found = booked.find(owner, record)
            if found is None or found[1] != record:
                self._alarm(
                    "ledger.conflict",
                    verified,
                    now_ms,
                    f"another content is booked under the key of {record}",
                )
                return

    def _alarm(
        self,
        code: str,
        verified: _Verified,
        now_ms: int,
        detail: str,
        *,
        seq: int | None = None,
    ) -> None:
        header = verified.batch.header
        number = header.seq if seq is None else seq
        new = self._storage.add_alarm(
            Alarm(
                time_ms=now_ms,
                code=code,
                owner=verified.owner,
                epoch=header.epoch,
                seq=number,
                detail=detail,
            )
        )
        if new:
            log.error(
                code,
                site=header.site,
                gateway=header.gateway,
                epoch=header.epoch,
                seq=number,
                detail=detail,
            )
