"""The book: append-only, revisions, one transaction decides."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agent.book.activity import SqliteActivity
from agent.book.database import (
    BOOK_MIGRATIONS,
    Database,
    has_wal_reset_fault,
    schema_text,
    split_statements,
)
from agent.book.manual import SqliteManual
from agent.book.ports import Owner, Span
from agent.book.read_only import read_only
from agent.book.recalculations import emissions_and_recalculations_after
from agent.book.report_rows import ReportRows
from agent.book.reviews import reviews_after
from agent.book.sqlite import SqliteBook
from agent.core.errors import StoreError
from agent.core.model import Emission, Endpoint, Event, FactorRef, Provenance, Severity, Window
from agent.store.check import quick_check

OWNER = Owner(site="plant-1", gateway="gw-01")
OTHER = Owner(site="plant-1", gateway="gw-02")
ALL = Span(from_ms=0, to_ms=10**15)
FACTOR = FactorRef(id="grid/national", version="abc", value=0.5306, unit="kgCO2e/kWh")


def window(start_ms: int = 0, revision: int = 0, value: float | None = 1.25) -> Window:
    return Window(
        stream="em-1.energy",
        start_ms=start_ms,
        length_ms=5000,
        revision=revision,
        value=value,
        provenance=Provenance.MEASURED,
        method="register",
        coverage=1.0,
        lower=1.24,
        upper=1.26,
        load=90.0,
        maintenance=True,
    )


def emission(start_ms: int = 0, revision: int = 0, kgco2e: float | None = 0.5) -> Emission:
    return Emission(
        source="em-1-electricity",
        start_ms=start_ms,
        length_ms=5000,
        revision=revision,
        kgco2=kgco2e,
        kgch4=0.0,
        kgn2o=0.0,
        kgco2e=kgco2e,
        lower=None,
        upper=None,
        estimated_share=0.0,
        factor=FACTOR,
        inputs=(("em-1.energy", revision),),
    )


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "book.db", BOOK_MIGRATIONS)


def test_records_come_back_as_they_were_booked(database: Database) -> None:
    book = SqliteBook(database.connection)
    endpoint = Endpoint(
        stream="em-1.energy", boundary_ms=5000, time_ms=4990, register=100.1, accumulated=0.3
    )
    event = Event(
        time_ms=7, code="counter.reset", subject="em-1", severity=Severity.WARNING, detail="100→0"
    )
    with database.transaction():
        assert book.add_windows(OWNER, [window()]) == 1
        assert book.add_emissions(OWNER, [emission()]) == 1
        assert book.add_endpoints(OWNER, [endpoint]) == 1
        assert book.add_events(OWNER, [event]) == 1
    assert book.current_windows(OWNER, ALL) == [window()]
    assert book.current_emissions(OWNER, ALL, "em-1-electricity") == [emission()]
    assert book.events(OWNER, ALL) == [event]
    assert book.windows_after(OWNER, 0, 10) == [(1, window())]
    assert book.emissions_after(OWNER, 0, 10) == [(1, emission())]
    assert book.endpoints_after(OWNER, 0, 10) == [(1, endpoint)]
    assert book.events_after(OWNER, 0, 10) == [(1, event)]


def test_highest_revision_is_current_and_null_retires(database: Database) -> None:
    book = SqliteBook(database.connection)
    with database.transaction():
        book.add_windows(OWNER, [window(), window(5000)])
        book.add_windows(OWNER, [window(revision=1, value=None)])
    current = book.current_windows(OWNER, ALL)
    assert [(item.start_ms, item.revision, item.value) for item in current] == [
        (0, 1, None),
        (5000, 0, 1.25),
    ]
    keys = [("em-1.energy", 0, 5000), ("em-1.energy", 5000, 5000), ("em-1.energy", 9000, 5000)]
    assert list(book.next_revisions(OWNER, "stream", keys).values()) == [2, 1, 0]


def test_a_key_is_never_overwritten(database: Database) -> None:
    book = SqliteBook(database.connection)
    with database.transaction():
        assert book.add_windows(OWNER, [window()]) == 1
        assert book.add_windows(OWNER, [window(value=99.0)]) == 0
    assert book.current_windows(OWNER, ALL)[0].value == 1.25


def test_gateways_do_not_mix(database: Database) -> None:
    book = SqliteBook(database.connection)
    with database.transaction():
        book.add_windows(OWNER, [window()])
        book.add_windows(OTHER, [window(value=7.0)])
    assert book.current_windows(OTHER, ALL)[0].value == 7.0
    assert book.owners() == [OWNER, OTHER]


def test_a_failed_transaction_leaves_nothing_and_the_book_goes_on(database: Database) -> None:
    book = SqliteBook(database.connection)
    with pytest.raises(ZeroDivisionError), database.transaction():
        book.add_windows(OWNER, [window()])
        raise ZeroDivisionError
    assert book.current_windows(OWNER, ALL) == []
    with database.transaction():
        assert book.add_windows(OWNER, [window()]) == 1
    assert book.current_windows(OWNER, ALL) == [window()]


def test_opening_again_applies_no_migration_twice(tmp_path: Path) -> None:
    first = Database(tmp_path / "book.db", BOOK_MIGRATIONS)
    text = schema_text(first)
    first.close()
    second = Database(tmp_path / "book.db", BOOK_MIGRATIONS)
    assert schema_text(second) == text
    assert second.connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert second.quick_check() == "ok"


def test_a_path_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot open the database") as caught:
        Database(tmp_path / "no" / "folder" / "book.db", BOOK_MIGRATIONS)
    assert "folder" in caught.value.hint


def test_statements_are_split_whole() -> None:
    text = "-- note\nCREATE TABLE a (b TEXT);\nINSERT INTO a\nVALUES (';');\n"
    assert split_statements(text) == ["CREATE TABLE a (b TEXT);", "INSERT INTO a\nVALUES (';');"]
    with pytest.raises(StoreError, match="whole statement"):
        split_statements("CREATE TABLE a (")


def test_versions_with_the_wal_fault_are_known() -> None:
    assert has_wal_reset_fault((3, 40, 1))
    assert has_wal_reset_fault((3, 51, 2))
    assert not has_wal_reset_fault((3, 51, 3))
    assert not has_wal_reset_fault((3, 50, 7))
    assert not has_wal_reset_fault((3, 53, 4))


def test_sums_follow_the_current_revision_and_local_hours(database: Database) -> None:
    book = SqliteBook(database.connection)
    hour_ms = 3_600_000
    with database.transaction():
        book.add_emissions(OWNER, [emission(), emission(5000), emission(hour_ms)])
        book.add_emissions(OWNER, [replace(emission(revision=1, kgco2e=2.0), estimated_share=1.0)])
        book.add_emissions(OWNER, [emission(2 * hour_ms, kgco2e=None)])
        book.add_emissions(OTHER, [emission(kgco2e=50.0)])
    sums = book.emission_sums(OWNER, ALL, hour_ms)
    assert [
        (item.start_ms, item.kgco2e, item.estimated_kgco2e, item.windows, item.missing)
        for item in sums
    ] == [
        (0, 2.5, 2.0, 2, 0),
        (hour_ms, 0.5, 0.0, 1, 0),
        (2 * hour_ms, 0.0, 0.0, 1, 1),
    ]
    half = book.emission_sums(OWNER, Span(from_ms=0, to_ms=hour_ms), hour_ms, hour_ms // 2)
    assert [item.start_ms for item in half] == [-hour_ms // 2]
    newest, first_ms, last_ms = book.emissions_changed_after(0)
    assert (first_ms, last_ms) == (0, 2 * hour_ms + emission().length_ms - 1)
    assert book.emissions_changed_after(newest) == (newest, None, None)


def test_a_record_longer_than_the_buckets_counts_in_each_by_time(database: Database) -> None:
    book, hour_ms = SqliteBook(database.connection), 3_600_000
    day = Span(from_ms=24 * hour_ms, to_ms=48 * hour_ms)
    long = replace(emission(kgco2e=72.1), start_ms=0, length_ms=72 * hour_ms, source="month")
    with database.transaction():
        book.add_emissions(OWNER, [long, emission(25 * hour_ms)])
    sums = book.emission_sums(OWNER, day, hour_ms, periodic=["month"])
    parts = [one for one in sums if one.source == "month"]
    assert [one.start_ms for one in parts] == list(range(day.from_ms, day.to_ms, hour_ms))
    assert all(one.spread_kgco2e == one.kgco2e for one in parts)
    assert {round(one.kgco2e, 9) for one in parts} == {round(72.1 / 72, 9)}
    assert [one.spread_kgco2e for one in sums if one.source != "month"] == [0.0]
    everything = book.emission_sums(OWNER, ALL, 7 * hour_ms, 1000, ["month"])
    total = sum(one.kgco2e for one in everything if one.source == "month")
    assert total == pytest.approx(72.1, rel=1e-14)
    whole = book.emission_sums(OWNER, ALL, 100 * hour_ms, periodic=["month"])
    assert [one.kgco2e for one in whole if one.source == "month"] == [72.1]
    assert [one.spread_kgco2e for one in whole if one.source == "month"] == [0.0]


def test_what_is_sealed_is_not_read_again(tmp_path: Path) -> None:
    database = Database(tmp_path / "book.db", BOOK_MIGRATIONS)
    plans: list[str] = []

    class Explained:
        """The connection, which notes how each query is answered."""

        def execute(self, query: str, parameters: object = ()) -> object:
            rows = database.connection.execute(f"EXPLAIN QUERY PLAN {query}", parameters)  # type: ignore[arg-type]
            plans.extend(row[3] for row in rows)
            return database.connection.execute(query, parameters)  # type: ignore[arg-type]

    connection: Any = Explained()
    book = SqliteBook(connection)
    for after in (
        book.windows_after,
        book.emissions_after,
        book.endpoints_after,
        book.events_after,
        SqliteActivity(connection).activity_after,
        SqliteManual(connection).entered_after,
        partial(reviews_after, connection),
        partial(emissions_and_recalculations_after, connection),
    ):
        plans.clear()
        assert after(OWNER, 0, 10) == []
        assert "id>?" in plans[0], plans
        assert not any("TEMP B-TREE" in step for step in plans), plans
    database.close()


def test_a_folder_may_bear_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "plant #1? 50%25"
    folder.mkdir()
    Database(folder / "book.db", BOOK_MIGRATIONS).close()
    with read_only(folder / "book.db", "hint") as connection:
        assert ReportRows(connection).series(OWNER, "source") == {}
    assert quick_check(str(folder / "book.db")) == "ok"
    assert [file.name for file in tmp_path.iterdir()] == [folder.name]
