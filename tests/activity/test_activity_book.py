"""Entries in the book: revisions by appending, all or nothing, warnings kept, evidence kept."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.book.activity import SqliteActivity
from agent.book.ports import Span
from agent.core.activity import ActivityKind
from agent.core.errors import StoreError
from agent.store.evidence import EvidenceFolder
from tests.activity.desk import NOW_MS, OWNER, Book, month, naphtha

EVER = Span(from_ms=0, to_ms=NOW_MS * 2)

steps = st.lists(
    st.tuples(st.sampled_from(["2026-01", "2026-02", "B-1"]), st.sampled_from([None, 1, 2, 3])),
    max_size=12,
)


@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(steps)
def test_the_book_is_what_was_said_last_and_forgets_nothing(
    tmp_path_factory: pytest.TempPathFactory, said: list[tuple[str, int | None]]
) -> None:
    book = Book(tmp_path_factory.mktemp("book"))
    model: dict[str, list[int | None]] = {}
    for when, amount in said:
        history = model.setdefault(when, [])
        where = {"batch": when, "period": ...} if when == "B-1" else {"period": when}
        outcome = book.enter(naphtha(amount=amount, **where))
        retires_nothing = amount is None and (not history or history[-1] is None)
        assert bool(outcome.errors) == retires_nothing
        if not retires_nothing and (not history or history[-1] != amount):
            history.append(amount)
    stream = "activity.raw-material.石脑油"
    booked: dict[str, list[tuple[int, float | None]]] = {}
    for entry in book.activity.stream_activity(OWNER, stream, history=True):
        name = entry.batch or ("2026-01" if entry.start_ms == month(1)[0] else "2026-02")
        booked.setdefault(name, []).append((entry.revision, entry.amount))
    assert {name: sorted(rows) for name, rows in booked.items()} == {
        name: list(enumerate(history)) for name, history in model.items() if history
    }
    current = [
        *book.activity.current_activity(OWNER, EVER),
        *book.activity.unplaced_activity(OWNER),
    ]
    assert sorted(entry.amount or 0 for entry in current) == sorted(
        history[-1] for history in model.values() if history and history[-1] is not None
    )
    book.database.close()


def test_nothing_is_stored_unless_all_is_good(book: Book) -> None:
    good, bad = naphtha(), naphtha(period="2026-04", amount=-1)
    outcome = book.enter(good, bad, naphtha(period="2026-05", unit="km"))
    assert (outcome.stored, book.rows()) == (False, 0)
    assert [(error.index, error.where) for error in outcome.errors] == [(1, "amount"), (2, "unit")]
    kept = book.enter(good, bad, keep_good=True)
    assert (kept.stored, book.rows(), len(kept.errors)) == (True, 1, 1)


def test_a_dry_run_writes_nothing(book: Book) -> None:
    outcome = book.enter(naphtha(), dry_run=True, files={sha256(b"x").hexdigest(): b"x"})
    assert [entry.change for entry in outcome.entries] == ["added"]
    assert (outcome.stored, book.rows()) == (False, 0)
    assert not EvidenceFolder(Path(book.database.path)).path.exists()
    series = book.database.connection.execute("SELECT count(*) FROM series").fetchone()[0]
    assert series == 0


def test_an_import_may_be_repeated(book: Book) -> None:
    rows = [naphtha(period=f"2026-0{number}") for number in range(1, 7)]
    assert {entry.change for entry in book.enter(*rows).entries} == {"added"}
    again = book.enter(*rows)
    assert {entry.change for entry in again.entries} == {"unchanged"}
    assert again.warnings == ()
    assert book.rows() == 6


def test_one_submission_says_each_thing_once(book: Book) -> None:
    outcome = book.enter(naphtha(), naphtha(period="2026-04"), naphtha(amount=1300))
    (error,) = outcome.errors
    assert (error.index, error.other, error.where) == (2, 0, "period")


def test_overlap_and_deviation_are_warned_of_and_kept(book: Book) -> None:
    first = [naphtha(period=f"2026-0{number}") for number in (1, 2, 3)]
    assert book.enter(*first).warnings == ()
    outcome = book.enter(naphtha(period="2026-03-10", amount=1200))
    assert outcome.stored
    assert [warning.where for warning in outcome.warnings] == ["period", "amount"]
    events = book.database.connection.execute(
        "SELECT code, subject, severity FROM events ORDER BY id"
    ).fetchall()
    assert events == [
        ("activity.overlap", "activity.raw-material.石脑油", "warning"),
        ("activity.implausible", "activity.raw-material.石脑油", "warning"),
    ]
    assert book.enter(naphtha(period="2026-04", amount=1500)).warnings == ()  # +25 %


def test_months_are_compared_by_the_day(book: Book) -> None:
    book.enter(naphtha(period="2026-01", amount=3100), naphtha(period="2026-02", amount=2800))
    assert book.enter(naphtha(period="2026-03-01", amount=100)).warnings == ()


def test_a_stream_keeps_one_unit(book: Book) -> None:
    book.enter(naphtha(unit="t"))
    (error,) = book.enter(naphtha(period="2026-04", unit="m3")).errors
    assert error.where == "unit"
    book.enter(naphtha(amount=None))
    assert book.enter(naphtha(period="2026-04", unit="m3")).stored


def test_evidence_is_kept_whole_under_its_hash(book: Book) -> None:
    data = b"weighing list"
    digest = sha256(data).hexdigest()
    entry = naphtha(evidence_name="list.pdf", evidence_sha256=digest)
    (error,) = book.enter(entry).errors
    assert error.where == "evidence_sha256"
    assert book.enter(entry, files={digest: data}).stored
    folder = EvidenceFolder(Path(book.database.path))
    assert folder.read(digest) == data
    assert book.enter(naphtha(period="2026-04", evidence_sha256=digest)).stored
    (folder.path / digest).write_bytes(b"another list")
    assert not folder.holds(digest)
    assert book.enter(naphtha(period="2026-05", evidence_sha256=digest)).errors
    assert folder.read("../gateway.db") is None


def test_evidence_that_cannot_be_kept_leaves_nothing_behind(book: Book) -> None:
    digest = sha256(b"x").hexdigest()
    EvidenceFolder(Path(book.database.path)).path.write_text("a file where the folder should be")
    with pytest.raises(StoreError):
        book.enter(naphtha(evidence_sha256=digest), files={digest: b"x"})
    assert book.rows() == 0


def test_what_touches_a_span_is_found_by_kind(book: Book) -> None:
    book.enter(
        naphtha(period="2026-Q1"),
        naphtha(kind="product", item="乙烯", period="2026-03"),
        naphtha(kind="product", item="丙烯", period="2026-05"),
    )
    span = Span(from_ms=month(3)[0], to_ms=month(3)[1])
    items = [entry.item for entry in book.activity.current_activity(OWNER, span)]
    assert items == ["石脑油", "乙烯"]
    products = book.activity.current_activity(OWNER, span, ActivityKind.PRODUCT)
    assert [entry.item for entry in products] == ["乙烯"]


def test_what_was_entered_is_audited(book: Book) -> None:
    book.enter(naphtha(author="王工"), naphtha(period="2026-04"))
    book.enter(naphtha(amount=1250, author="王工"))
    rows = book.database.connection.execute("SELECT actor, action, detail FROM audit").fetchall()
    assert [(row[0], row[1]) for row in rows] == [
        ("王工", "activity.added"),
        ("api", "activity.added"),
        ("王工", "activity.revised"),
    ]
    assert rows[2][2] == "2026-03 revision 1 1250 t"


def test_existing_revisions_are_never_replaced(book: Book) -> None:
    book.enter(naphtha())
    (entry,) = book.activity.current_activity(OWNER, EVER)
    with book.database.transaction() as connection:
        assert SqliteActivity(connection).add_activity(OWNER, [entry]) == 0
    assert book.rows() == 1
