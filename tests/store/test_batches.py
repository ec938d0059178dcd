"""The outbox: cursors per target, never backwards, oldest first over epochs."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.book.database import Database
from agent.store.batches import Batches
from agent.store.database import open_store


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return open_store(tmp_path / "store.db")


def fill(database: Database, epoch: str, count: int) -> Batches:
    batches = Batches(database.connection)
    with database.transaction():
        batches.start_epoch(epoch, 1)
        for seq in range(1, count + 1):
            batches.add(
                epoch=epoch,
                seq=seq,
                batch_hash=f"{epoch}{seq}",
                count=1,
                span=(seq, seq + 1),
                created_ms=seq * 10,
                data=f"{epoch} {seq}".encode(),
            )
    return batches


def open_seqs(batches: Batches, target: str) -> list[tuple[str, int]]:
    return [(row.epoch, row.seq) for row in batches.unconfirmed(target, 0, 100)]


def test_through_and_held_both_count(database: Database) -> None:
    batches = fill(database, "a", 6)
    with database.transaction():
        batches.confirm("ledger", "a", 2, [(4, 5)], 99)
    assert open_seqs(batches, "ledger") == [("a", 3), ("a", 6)]
    assert batches.depth("ledger") == (2, 30)
    assert batches.confirmed_count("ledger") == 4
    newest_first = batches.latest(6)
    assert [batches.confirmed_ms("ledger", row) for row in newest_first[3:]] == [None, 99, 99]
    assert open_seqs(batches, "other") == [("a", seq) for seq in range(1, 7)]
    assert [batches.is_confirmed("ledger", row) for row in batches.latest(6)] == [
        False,
        True,
        True,
        False,
        True,
        True,
    ]


def test_a_cursor_never_moves_back_and_held_beyond_the_chain_is_ignored(
    database: Database,
) -> None:
    batches = fill(database, "a", 3)
    with database.transaction():
        batches.confirm("ledger", "a", 3, [(7, 9)], 99)
        batches.confirm("ledger", "a", 1, [], 100)
    assert open_seqs(batches, "ledger") == []
    assert batches.depth("ledger") == (0, None)
    assert batches.through("ledger", "a") == (3, 100)


def test_epochs_are_sent_in_the_order_they_began(database: Database) -> None:
    fill(database, "z", 2)
    batches = fill(database, "a", 2)
    assert open_seqs(batches, "ledger") == [("z", 1), ("z", 2), ("a", 1), ("a", 2)]
    after = batches.unconfirmed("ledger", 0, 2)[-1].position
    assert [row.epoch for row in batches.unconfirmed("ledger", after, 9)] == ["a", "a"]
    current = batches.current_epoch()
    assert current is not None
    assert (current.id, current.former) == ("a", "z")
    with database.transaction():
        batches.confirm("ledger", "z", 1, [], 5)
    assert batches.highest_through("z") == 1


def test_stored_bytes_are_the_sealed_bytes(database: Database) -> None:
    batches = fill(database, "a", 2)
    assert batches.data("a", 2) == b"a 2"
    assert batches.data("a", 3) is None
    assert batches.hash("a", 1) == "a1"
