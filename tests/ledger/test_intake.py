"""What the ledger commits, refuses, holds and contradicts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.book.database import Database
from agent.core.chain import SigningKey
from agent.core.model import Receipt, Window
from agent.core.payload import Link, SealedBatch, seal
from agent.ledger.database import open_ledger
from agent.ledger.enrolment import enrol
from agent.ledger.export import export
from agent.ledger.intake import Delivery, Intake
from agent.ledger.storage import LedgerStorage
from agent.ledger.verify import verify
from agent.sync.enrolment import enrolment_text
from agent.sync.wire import packets
from tests.proof.evidence import ROOT, load_script
from tests.sync.harness import (
    EPOCH,
    GATEWAY,
    GATEWAY_KEY,
    LEDGER_KEY,
    OWNER,
    SITE,
    SystemClock,
    chain,
    new_ledger,
    records_of,
)

verifier = load_script(ROOT / "scripts" / "verify_batches.py")
BATCHES = chain(8)
TOPIC = f"tanshu/v1/{SITE}/{GATEWAY}/batch"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = new_ledger(tmp_path / "ledger.db")
    yield made
    made.close()


def give(database: Database, *batches: SealedBatch) -> tuple[Receipt, ...]:
    deliveries = [Delivery(owner=OWNER, body=batch.data, user={}) for batch in batches]
    outcome = Intake(database, SystemClock()).take(deliveries)
    assert outcome.refusals == ()
    return outcome.receipts


def codes(database: Database) -> list[str]:
    return [alarm.code for alarm in LedgerStorage(database.connection).alarms()]


def count(database: Database, table: str) -> int:
    number: int = database.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    return number


def reseal(batch: int, value: float, *, previous: Link | None, revision: int = 0) -> SealedBatch:
    window = records_of(batch)[0]
    assert isinstance(window, Window)
    return seal(
        [replace(window, value=value, revision=revision)],
        site=SITE,
        gateway=GATEWAY,
        epoch=EPOCH,
        previous=previous,
        key=GATEWAY_KEY,
    )


@settings(
    max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    st.permutations(range(8)),
    st.lists(st.integers(0, 7), max_size=6),
    st.integers(1, 4),
)
def test_any_order_any_repetition_the_same_ledger(
    order: list[int], repeated: list[int], rounds: int
) -> None:
    database = new_ledger(Path(":memory:"))
    sequence = [*order, *repeated]
    step = -(-len(sequence) // rounds)
    stored: set[int] = set()
    for start in range(0, len(sequence), step):
        part = sequence[start : start + step]
        receipts = give(database, *(BATCHES[number] for number in part))
        stored.update(number + 1 for number in part)
        through = next(n for n in range(9) if n + 1 not in stored)
        assert [receipt.through for receipt in receipts] == [through]
        held = {n for first, last in receipts[0].held for n in range(first, last + 1)}
        assert held == {n for n in stored if n > through}
    report = verify(database)
    assert report.findings == []
    assert [(c.through, c.held, c.hash) for c in report.chains] == [(8, 0, BATCHES[7].link.hash)]
    assert {table: count(database, table) for table in ("windows", "emissions", "events")} == {
        "windows": 8,
        "emissions": 8,
        "events": 8,
    }
    assert codes(database) == []
    database.close()


def test_the_same_number_with_another_hash_is_an_alarm_and_not_booked(
    database: Database,
) -> None:
    give(database, *BATCHES[:3])
    fork = reseal(9, 99.0, previous=BATCHES[1].link)
    receipts = give(database, fork)
    assert receipts[0].hash == BATCHES[2].link.hash
    give(database, fork)
    assert codes(database) == ["ledger.fork"]
    assert count(database, "windows") == 3
    assert verify(database).ok


def test_a_batch_that_follows_another_past_is_kept_but_not_linked(database: Database) -> None:
    give(database, *BATCHES[:3])
    other = replace(BATCHES[2].link, hash="0" * 64)
    receipts = give(database, reseal(9, 1.0, previous=other))
    assert (receipts[0].through, receipts[0].held) == (3, ((4, 4),))
    assert codes(database) == ["ledger.broken_chain"]
    assert [finding.code for finding in verify(database).findings] == ["link"]


def test_another_content_under_the_same_key_is_an_alarm(database: Database) -> None:
    give(database, *BATCHES[:2])
    give(database, reseal(1, 99.0, previous=BATCHES[1].link))
    assert codes(database) == ["ledger.conflict"]
    assert [finding.code for finding in verify(database).findings] == ["differs"]


def test_a_revision_is_booked_beside_the_old_value(database: Database) -> None:
    give(database, *BATCHES[:2], reseal(1, 99.0, previous=BATCHES[1].link, revision=1))
    assert codes(database) == []
    assert count(database, "windows") == 3
    assert verify(database).ok


def test_a_new_epoch_names_the_one_before(database: Database) -> None:
    give(database, *BATCHES)
    good = chain(2, epoch="ab" * 16, former=BATCHES[7].link)
    receipts = give(database, *good)
    assert [(receipt.epoch, receipt.through) for receipt in receipts] == [("ab" * 16, 2)]
    assert codes(database) == []
    lost = replace(BATCHES[7].link, seq=9)
    give(database, *chain(1, epoch="cd" * 16, former=lost))
    assert codes(database) == ["ledger.former_differs"]
    assert verify(database).ok


def test_parts_are_joined_by_whichever_worker_gets_the_last(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    batch = chain(1, sizes={1: 50_000})[0]
    first, second = new_ledger(path), open_ledger(path)
    made = packets(batch.data, link=batch.link, topic=TOPIC, compress=True, limit=4000)
    assert len(made) > 5
    workers = [Intake(first, SystemClock()), Intake(second, SystemClock())]
    outcomes = [
        workers[number % 2].take(
            [Delivery(owner=OWNER, body=packet.payload, user=dict(packet.user))]
        )
        for number, packet in enumerate([*made[3:], made[3], *made[:3]])
    ]
    assert [outcome.committed for outcome in outcomes] == [0] * len(made) + [1]
    assert outcomes[-1].receipts[0].through == 1
    assert count(first, "parts") == 0
    second.close()
    first.close()


def test_a_forged_part_costs_one_more_try(database: Database) -> None:
    batch = chain(1, sizes={1: 20_000})[0]
    made = packets(batch.data, link=batch.link, topic=TOPIC, compress=True, limit=4000)
    deliveries = [
        Delivery(owner=OWNER, body=packet.payload, user=dict(packet.user)) for packet in made
    ]
    forged = replace(deliveries[0], body=bytes(len(deliveries[0].body)))
    intake = Intake(database, SystemClock())
    outcome = intake.take([forged, *deliveries[1:]])
    assert (outcome.committed, len(outcome.refusals)) == (0, 1)
    assert intake.take(deliveries).committed == 1


def test_only_registered_keys_are_accepted(tmp_path: Path) -> None:
    database = new_ledger(tmp_path / "ledger.db", enrolled=False)
    delivery = Delivery(owner=OWNER, body=BATCHES[0].data, user={})
    intake = Intake(database, SystemClock())
    assert [r.code for r in intake.take([delivery]).refusals] == ["ledger.unknown_gateway"]
    file = tmp_path / "gw-01.json"
    file.write_text(enrolment_text(SITE, GATEWAY, GATEWAY_KEY.public))
    enrolment, new = enrol(database, file, now_ms=1)
    assert (enrolment.owner, new) == (OWNER, True)
    assert enrol(database, file, now_ms=2)[1] is False
    assert intake.take([delivery]).committed == 1
    other = chain(2, key=SigningKey.generate())[1]
    outcome = intake.take([replace(delivery, body=other.data)])
    assert [r.code for r in outcome.refusals] == ["ledger.refused"]
    database.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE windows SET value = value + 0.001 WHERE id = 3",
        "UPDATE emissions SET kgco2e = 0 WHERE id = 3",
        "DELETE FROM windows WHERE id = 3",
        "DELETE FROM events WHERE id = 3",
        "INSERT INTO events SELECT NULL, site, gateway, time_ms, code, subject, severity, detail "
        "FROM events WHERE id = 3",
        "INSERT INTO windows "
        "(id, series, start_ms, length_ms, revision, provenance, method, coverage) "
        "VALUES (99999, 1, 0, 5000, 7, 'measured', 'x', 1.0)",
        "DELETE FROM batches WHERE seq = 8",
        "DELETE FROM batches WHERE seq = 4",
        "DELETE FROM batches WHERE seq = 1",
        "UPDATE batches SET body = (SELECT body FROM batches WHERE seq = 5) WHERE seq = 4",
        "UPDATE batches SET seq = 99 WHERE seq = 8",
        "UPDATE epochs SET through = 7",
        "UPDATE keys SET key_id = '0000000000000000'",
    ],
)
def test_verification_sees_what_was_changed(database: Database, statement: str) -> None:
    give(database, *BATCHES)
    assert verify(database).ok
    with database.transaction() as connection:
        connection.execute(statement)
    assert not verify(database).ok


def test_the_export_holds_for_the_independent_verifier(database: Database, tmp_path: Path) -> None:
    give(database, *BATCHES)
    made = export(database, tmp_path / "out", key=LEDGER_KEY, now_ms=5)
    assert made.batches == 8
    receipt = next(file for file in made.files if file.suffix == ".receipt")
    batches = next(file for file in made.files if file.suffix == ".batches")
    arguments = [
        *("--keys", str(tmp_path / "out" / "keys.json")),
        *("--ledger-key", (tmp_path / "out" / "ledger-key.txt").read_text().strip()),
        *("--receipt", str(receipt)),
        str(batches),
    ]
    assert verifier.main(arguments) == 0
    batches.write_bytes(b"".join(batch.data for batch in BATCHES[:7]))
    assert verifier.main(arguments) == 3
