"""A file from before recalculations keeps every row; what they change is noticed."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from agent.book.database import BOOK_MIGRATIONS, Database, Migrations
from agent.book.sqlite import SqliteBook
from agent.core.model import Emission
from agent.store.database import STORE_MIGRATIONS, open_store
from tests.recalculation.recalculated_plant import (
    EVERYTHING,
    LENGTH_MS,
    SOURCE,
    START_MS,
    STREAM,
    Plant,
)
from tests.sync.harness import OWNER

FIGURES = "kgco2, kgch4, kgn2o, kgco2e, lower, upper, estimated_share"


def test_an_older_file_keeps_its_emissions_by_revision_and_number(tmp_path: Path) -> None:
    folder = tmp_path / "migrations"
    folder.mkdir()
    for file in BOOK_MIGRATIONS.folder.glob("000[123]_*.sql"):
        shutil.copy(file, folder)
    path = tmp_path / "gateway.db"
    old = Database(path, Migrations("book", folder), STORE_MIGRATIONS)
    plant = Plant()
    plant.book(range(5), 10.0)
    plant.book([2], None)
    book = SqliteBook(plant.store.connection)
    listed = book.emissions_after(OWNER, 0, 100)
    with old.transaction() as connection:
        SqliteBook(connection).add_windows(
            OWNER, [window for _, window in book.windows_after(OWNER, 0, 100)]
        )
        SqliteBook(connection).series(OWNER, "source", SOURCE)
        number = SqliteBook(connection).add_factor(plant.plan.factor)
        for row, emission in listed:
            connection.execute(
                "INSERT INTO emissions (id, series, start_ms, length_ms, revision, "
                f"{FIGURES}, factor, inputs) SELECT ?, id, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? "
                "FROM series WHERE kind = 'source'",
                (row, *values_of(emission), number, f'[["{STREAM}",{emission.inputs[0][1]}]]'),
            )
    old.close()
    plant.store.close()
    plant.store = open_store(path)
    book = SqliteBook(plant.store.connection)
    assert book.emissions_after(OWNER, 0, 100) == listed
    assert book.next_id("emissions") == len(listed) + 1
    plant.take_factor(2)
    plant.recalculate()
    assert {row[3] for row in plant.at_gateway()} == {0, 1, 2}
    plant.seal()
    plant.deliver(plant.batches())
    assert plant.at_ledger() == plant.at_gateway()
    plant.close()


def values_of(emission: Emission) -> tuple[object, ...]:
    return (
        emission.start_ms,
        emission.length_ms,
        emission.revision,
        *(getattr(emission, name) for name in FIGURES.split(", ")),
    )


def test_a_recalculation_is_a_change_of_its_span(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.book(range(8), 10.0)
    book = SqliteBook(plant.store.connection)
    seen = book.next_id("emissions") - 1
    assert book.emissions_changed_after(seen) == (seen, None, None)
    plant.take_factor(2, since=3)
    asyncio.run(plant.recalculation().run())
    newest, first_ms, last_ms = book.emissions_changed_after(seen)
    assert newest == book.next_id("emissions") - 1 > seen
    assert (first_ms, last_ms) == (START_MS + 3 * LENGTH_MS, START_MS + 8 * LENGTH_MS - 1)
    assert book.emissions_changed_after(newest) == (newest, None, None)
    assert [e.revision for e in book.current_emissions(OWNER, EVERYTHING)] == [0] * 3 + [1] * 5
    plant.close()
