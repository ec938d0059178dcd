"""From a person's entry through a signed batch to the ledger's book, and verified there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.book.activity import SqliteActivity
from agent.book.ports import Span
from agent.core.activity import ActivityEntry, ActivityKind, Evidence, Origin
from agent.core.errors import ProofError
from agent.core.payload import Link, seal
from agent.core.record import COLUMNS, decode_record, encode_record
from agent.ledger.intake import Delivery, Intake
from agent.ledger.storage import LedgerStorage
from agent.ledger.verify import verify
from agent.pipeline.seal import Sealer
from agent.store.batches import Batches
from tests.activity.desk import NOW_MS, Book, naphtha
from tests.sync.harness import EPOCH, GATEWAY, GATEWAY_KEY, OWNER, SITE, SystemClock, new_ledger

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
number = st.none() | st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.builds(
        ActivityEntry,
        stream=text,
        kind=st.sampled_from(ActivityKind),
        item=text,
        amount=number,
        unit=text,
        start_ms=st.integers(-(2**40), 2**42),
        end_ms=st.integers(2**42 + 1, 2**43),
        batch=text,
        revision=st.integers(0, 99),
        place=text,
        carbon_content=number,
        carbon_basis=text,
        purity=number,
        treatment=text,
        distance_km=number,
        mode=text,
        price_cny=number,
        origin=st.sampled_from(Origin),
        author=text,
        note=text,
        evidence=st.none() | st.builds(Evidence, name=text, sha256=text),
        entered_ms=st.integers(0, 2**42),
    ),
    st.booleans(),
)
def test_a_line_holds_all_of_an_entry(entry: ActivityEntry, alone: bool) -> None:
    if alone:
        entry = replace(entry, start_ms=None, end_ms=None, batch="B-1")
    assert decode_record(encode_record(entry), COLUMNS) == entry


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"1767225600000,2678400000", b"null,null"),
        (b"1767225600000,2678400000", b"1767225600000,null"),
        (b"1767225600000,2678400000", b"1767225600000,0"),
        (b'"raw-material","', b'"gift","'),
        (b'"manual"', b'"guess"'),
        (b"0.857", b'"0.857"'),
    ],
)
def test_a_line_that_says_something_else_is_refused(old: bytes, new: bytes) -> None:
    entry = ActivityEntry(
        stream="activity.raw-material.x",
        kind=ActivityKind.RAW_MATERIAL,
        item="x",
        amount=1.0,
        unit="t",
        start_ms=1_767_225_600_000,
        end_ms=1_767_225_600_000 + 2_678_400_000,
        carbon_content=0.857,
    )
    line = encode_record(entry)
    assert old in line
    with pytest.raises(ProofError):
        decode_record(line.replace(old, new), COLUMNS)


def test_entries_travel_to_the_ledger_and_hold_there(book: Book, tmp_path: Path) -> None:
    ledger = new_ledger(tmp_path / "ledger.db")
    sealer = Sealer(OWNER, GATEWAY_KEY, lambda: EPOCH)
    book.enter(naphtha(), naphtha(period="2026-04", amount=9000), naphtha(period=..., batch="B/1"))
    sealed = []
    for _ in range(2):
        with book.database.transaction() as connection:
            assert sealer.seal(connection, NOW_MS) == 1
            assert sealer.seal(connection, NOW_MS) == 0
            batches = Batches(connection)
            last = batches.last(EPOCH)
            assert last is not None
            assert (last.window_from_ms, last.window_to_ms) == (NOW_MS, NOW_MS)
            sealed.append(batches.data(EPOCH, last.seq) or b"")
        book.enter(naphtha(amount=1250))
    outcome = Intake(ledger, SystemClock()).take(
        [Delivery(owner=OWNER, body=data, user={}) for data in sealed]
    )
    assert (outcome.committed, outcome.refusals) == (2, ())
    span = Span(from_ms=0, to_ms=2 * NOW_MS)
    here = [*book.activity.current_activity(OWNER, span), *book.activity.unplaced_activity(OWNER)]
    central = SqliteActivity(ledger.connection)
    there = [*central.current_activity(OWNER, span), *central.unplaced_activity(OWNER)]
    assert there == here
    assert [(entry.amount, entry.revision) for entry in there] == [
        (1250.0, 1),
        (9000.0, 0),
        (1200.0, 0),
    ]
    report = verify(ledger)
    assert (report.findings, report.batches) == ([], 2)
    codes = [row[0] for row in ledger.connection.execute("SELECT code FROM events")]
    assert codes == ["activity.implausible"] * 2  # April beside March, and March beside April
    ledger.close()


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("UPDATE activity SET amount = 1 WHERE id = 1", "differs"),
        ("UPDATE activity SET place = 'f104' WHERE id = 1", "differs"),
        ("UPDATE activity SET evidence_sha256 = 'x', evidence_name = 'y'", "differs"),
        ("DELETE FROM activity WHERE id = 1", "missing"),
        (
            "INSERT INTO activity SELECT 99, series, kind, item, start_ms, length_ms, batch, 5, "
            "amount, unit, place, carbon_content, carbon_basis, purity, treatment, distance_km, "
            "mode, price_cny, origin, author, note, evidence_name, evidence_sha256, entered_ms "
            "FROM activity WHERE id = 1",
            "unsigned",
        ),
    ],
)
def test_verification_sees_what_was_changed(book: Book, statement: str, code: str) -> None:
    ledger = new_ledger(Path(":memory:"))
    deliver(book, ledger_entries=[naphtha()], intake=Intake(ledger, SystemClock()))
    assert verify(ledger).ok
    with ledger.transaction() as connection:
        connection.execute(statement)
    assert {finding.code for finding in verify(ledger).findings} == {code}
    ledger.close()


def test_another_content_under_the_same_revision_is_an_alarm(book: Book) -> None:
    ledger = new_ledger(Path(":memory:"))
    intake = Intake(ledger, SystemClock())
    link = deliver(book, ledger_entries=[naphtha()], intake=intake)
    (entry,) = book.activity.stream_activity(OWNER, "activity.raw-material.石脑油")
    other = seal(
        [replace(entry, amount=1.0)],
        site=SITE,
        gateway=GATEWAY,
        epoch=EPOCH,
        previous=link,
        key=GATEWAY_KEY,
    )
    intake.take([Delivery(owner=OWNER, body=other.data, user={})])
    assert [alarm.code for alarm in LedgerStorage(ledger.connection).alarms()] == [
        "ledger.conflict"
    ]
    ledger.close()


def deliver(book: Book, *, ledger_entries: list[dict[str, object]], intake: Intake) -> Link:
    book.enter(*ledger_entries)
    with book.database.transaction() as connection:
        Sealer(OWNER, GATEWAY_KEY, lambda: EPOCH).seal(connection, NOW_MS)
        last = Batches(connection).last(EPOCH)
        assert last is not None
        data = Batches(connection).data(EPOCH, last.seq)
    assert data is not None
    assert intake.take([Delivery(owner=OWNER, body=data, user={})]).committed == 1
    return Link(epoch=EPOCH, seq=last.seq, hash=last.hash)
