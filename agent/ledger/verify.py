"""The whole ledger verified again from the stored bytes, and compared with what is booked."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.book.database import Database
from agent.book.ports import Owner
from agent.book.recalculations import find_recalculation, is_booked, name_of
from agent.book.reviews import find_review
from agent.core.activity import ActivityEntry
from agent.core.errors import ProofError
from agent.core.manual import ManualEntry
from agent.core.model import Emission, Endpoint, Event, Window
from agent.core.payload import (
    Batch,
    Link,
    check_follows,
    decode_records,
    parse_batch,
    verify_batch,
)
from agent.core.recalculation import BulkRecalculation
from agent.core.record import Unknown
from agent.core.report.review_record import SignedReview
from agent.ledger.booked import Booked
from agent.ledger.storage import Chain, LedgerStorage, StoredBatch

Signed = Window | Emission | Endpoint | Event | ActivityEntry | SignedReview | ManualEntry | Unknown

MOST_FINDINGS = 1000
TABLES = {
    Window: "windows",
    Emission: "emissions",
    Endpoint: "endpoints",
    ActivityEntry: "activity",
    ManualEntry: "manual_entries",
}


SEEN_BY_NUMBER = "seen.kind = :table AND seen.id = booked.id"
SEEN = {
    "emissions": "seen.kind = iif(booked.id IS NULL, 'recalculations', :table) "
    "AND seen.id = ifnull(booked.id, booked.recalculation)"
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something in the ledger that does not hold."""

    code: str
    site: str
    gateway: str
    epoch: str
    seq: int
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainReport:
    """What was verified of one epoch; ``held`` counts batches above the unbroken chain."""

    site: str
    gateway: str
    epoch: str
    batches: int
    through: int
    held: int
    hash: str


@dataclass(slots=True, kw_only=True)
class Report:
    """The result of a verification; empty ``findings`` mean that everything holds."""

    chains: list[ChainReport] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    batches: int = 0
    records: int = 0

    @property
    def ok(self) -> bool:
        return not self.findings


def verify(database: Database) -> Report:
    """Verify every chain of every gateway and compare each record with the book."""
    report = Report()
    with database.transaction() as connection:
        connection.execute(
            "CREATE TEMP TABLE IF NOT EXISTS seen (kind TEXT, id INTEGER, PRIMARY KEY (kind, id)) "
            "WITHOUT ROWID"
        )
        connection.execute("DELETE FROM seen")
        verifier = _Verifier(database, report)
        for chain in LedgerStorage(connection).chains():
            verifier.chain(chain)
        verifier.book_without_batch()
        connection.execute("DROP TABLE seen")
    return report


class _Verifier:
    def __init__(self, database: Database, report: Report) -> None:
        self._connection = database.connection
        self._storage = LedgerStorage(database.connection)
        self._booked = Booked(database.connection)
        self._report = report
        self._events: dict[tuple[Owner, Event], int] = {}

    def chain(self, chain: Chain) -> None:
        """Every batch of one epoch: bytes, signature, link, records; then the stored head."""
        previous: Link | None = None
        unbroken, count = True, 0
        for stored in self._storage.batches(chain.owner, chain.epoch):
            count += 1
            batch = self._batch(stored, is_linked=stored.link.seq <= chain.through)
            if batch is None:
                unbroken = False
                continue
            if unbroken:
                unbroken, previous = self._link(stored, batch, previous)
        self._report.batches += count
        head = previous or Link(epoch=chain.epoch, seq=0, hash="")
        if (chain.through, chain.hash) != (head.seq, head.hash):
            self._find(
                "head",
                chain.owner,
                chain.epoch,
                chain.through,
                f"receipted through {chain.through}, but the stored chain is whole up to "
                f"{head.seq} only"
                if chain.through > head.seq
                else f"the recorded head {chain.through} is not that of the stored chain",
            )
        self._report.chains.append(
            ChainReport(
                site=chain.owner.site,
                gateway=chain.owner.gateway,
                epoch=chain.epoch,
                batches=count,
                through=head.seq,
                held=count - head.seq,
                hash=head.hash,
            )
        )

    def _batch(self, stored: StoredBatch, *, is_linked: bool) -> Batch | None:
        link = stored.link
        try:
            batch = parse_batch(stored.data)
            header = batch.header
            if (header.site, header.gateway) != (stored.owner.site, stored.owner.gateway):
                raise ProofError("stored under another gateway than it names")
            if batch.link != link or header.prev != stored.prev:
                raise ProofError("stored under another epoch, number, hash or predecessor")
            key = self._storage.keys(stored.owner).get(batch.key_id)
            if key is None:
                raise ProofError(f"signed by key {batch.key_id}, which is not registered")
            verify_batch(batch, key)
            records = decode_records(batch)
        except ProofError as fault:
            self._find("batch", stored.owner, link.epoch, link.seq, fault.what)
            return None
        self._report.records += len(records)
        for record in records:
            if not isinstance(record, BulkRecalculation):
                self._record(stored, record)
            elif is_linked:  # what is held is applied when it is linked
                self._recalculation(stored, record)
        return batch

    def _link(
        self, stored: StoredBatch, batch: Batch, previous: Link | None
    ) -> tuple[bool, Link | None]:
        expected = 1 if previous is None else previous.seq + 1
        if stored.link.seq != expected:
            return False, previous  # batches above a gap are held, which is no fault
        try:
            check_follows(batch, previous)
        except ProofError as fault:
            self._find("link", stored.owner, stored.link.epoch, stored.link.seq, fault.what)
            return False, previous
        return True, batch.link

    def _record(self, stored: StoredBatch, record: Signed) -> None:
        if isinstance(record, Unknown):
            return
        if isinstance(record, Event):
            key = (stored.owner, record)
            self._events[key] = self._events.get(key, 0) + 1
            return
        if isinstance(record, SignedReview):
            self._review(stored, record)
            return
        found = self._booked.find(stored.owner, record)
        if found is None:
            self._find_record("missing", stored, f"not booked: {record}")
            return
        number, booked = found
        if number is not None:
            self._see(TABLES[type(record)], number)
        if booked != record:
            self._find_record("differs", stored, f"booked is {booked}, signed is {record}")

    def _review(self, stored: StoredBatch, record: SignedReview) -> None:
        number = find_review(self._connection, stored.owner, record)
        if number is None:
            self._find_record("missing", stored, f"not booked: {record.review}")
            return
        self._see("reviews", number)

    def _recalculation(self, stored: StoredBatch, record: BulkRecalculation) -> None:
        number = find_recalculation(self._connection, stored.owner, record)
        if number is None:
            self._find_record("recalculation", stored, f"not applied: {name_of(record)}")
            return
        self._see("recalculations", number)
        if not is_booked(self._connection, stored.owner, record):
            self._find_record("differs", stored, f"booked otherwise: {name_of(record)}")

    def _see(self, table: str, number: int) -> None:
        self._connection.execute(
            "INSERT INTO seen (kind, id) VALUES (?, ?) ON CONFLICT DO NOTHING", (table, number)
        )

    def book_without_batch(self) -> None:
        """What is booked for a gateway although no batch of it says so."""
        tables = (*TABLES.values(), "recalculations")
        owned = dict.fromkeys(tables, "JOIN series AS owner ON owner.id = booked.series")
        owned["reviews"] = "JOIN reviews AS owner ON owner.id = booked.id"
        for table, owner_of in owned.items():
            rows = self._connection.execute(
                f"SELECT owner.site, owner.gateway, count(*) FROM {table} AS booked {owner_of} "
                f"WHERE NOT EXISTS (SELECT 1 FROM seen WHERE {SEEN.get(table, SEEN_BY_NUMBER)}) "
                "AND EXISTS (SELECT 1 FROM keys WHERE keys.site = owner.site "
                "AND keys.gateway = owner.gateway) GROUP BY owner.site, owner.gateway",
                {"table": table},
            ).fetchall()
            for site, gateway, count in rows:
                owner = Owner(site=site, gateway=gateway)
                self._find(
                    "unsigned", owner, "", 0, f"{count} rows of {table} are booked in no batch"
                )
        self._compare_events()

    def _compare_events(self) -> None:
        for (owner, event), count in self._events.items():
            booked = self._connection.execute(
                "SELECT count(*) FROM events WHERE site = ? AND gateway = ? AND time_ms = ? "
                "AND code = ? AND subject = ? AND severity = ? AND detail = ?",
                (
                    owner.site,
                    owner.gateway,
                    event.time_ms,
                    event.code,
                    event.subject,
                    event.severity.value,
                    event.detail,
                ),
            ).fetchone()[0]
            if booked != count:
                self._find(
                    "event", owner, "", 0, f"{event} is booked {booked} times, signed {count}"
                )

    def _find_record(self, code: str, stored: StoredBatch, what: str) -> None:
        self._find(code, stored.owner, stored.link.epoch, stored.link.seq, what)

    def _find(self, code: str, owner: Owner, epoch: str, seq: int, what: str) -> None:
        if len(self._report.findings) < MOST_FINDINGS:
            self._report.findings.append(
                Finding(
                    code=code,
                    site=owner.site,
                    gateway=owner.gateway,
                    epoch=epoch,
                    seq=seq,
                    what=what,
                )
            )
