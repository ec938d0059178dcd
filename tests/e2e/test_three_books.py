"""The comparison of the three books can see: every kind of damage to a whole site is found."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.outages import Outages
from tests.e2e.plant_site import PlantSite, tanshu
from tests.e2e.three_books import (
    assert_books_agree,
    assert_evidence_holds,
    differences,
    emission_runs,
    holes,
    repeated,
    run_verifier,
    windows_of,
)

Damage = Callable[[sqlite3.Connection], object]
EDGE = "SELECT id FROM {} ORDER BY id LIMIT 1 OFFSET 20"


@pytest.fixture
def copy(outages: Outages, tmp_path: Path) -> PlantSite:
    """A copy of a site that was found whole, to be damaged."""
    folder = tmp_path / "copy"
    shutil.copytree(outages.site.folder, folder)
    made = PlantSite(folder, "mosquitto")
    assert_books_agree(made)
    return made


def damage(database: Path, statement: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        assert connection.execute(statement).rowcount > 0, statement


@pytest.mark.parametrize("table", ["windows", "emissions", "endpoints", "events"])
def test_a_deleted_record_is_seen(copy: PlantSite, table: str) -> None:
    damage(copy.ledger_db, f"DELETE FROM {table} WHERE id IN (SELECT min(id) FROM {table})")
    assert len(differences(copy.gateway_db, copy.ledger_db)) == 1
    assert tanshu("ledger", "verify", "--db", str(copy.ledger_db)).returncode == 3


@pytest.mark.parametrize(
    ("table", "column"), [("windows", "value"), ("emissions", "kgco2e"), ("endpoints", "register")]
)
def test_a_changed_digit_is_seen(copy: PlantSite, table: str, column: str) -> None:
    row = EDGE.format(table)
    damage(copy.ledger_db, f"UPDATE {table} SET {column} = {column} + 1e-6 WHERE id IN ({row})")
    assert len(differences(copy.gateway_db, copy.ledger_db)) == 2
    assert tanshu("ledger", "verify", "--db", str(copy.ledger_db)).returncode == 3


def test_an_event_booked_twice_is_seen(copy: PlantSite) -> None:
    damage(
        copy.ledger_db,
        "INSERT INTO events (site, gateway, time_ms, code, subject, severity, detail) "
        "SELECT site, gateway, time_ms, code, subject, severity, detail FROM events LIMIT 1",
    )
    assert len(differences(copy.gateway_db, copy.ledger_db)) == 1


def test_a_window_booked_under_another_stream_is_seen(copy: PlantSite) -> None:
    other = "(SELECT max(series) FROM windows)"
    damage(copy.gateway_db, f"UPDATE windows SET series = {other}, revision = 9 WHERE id = 1")
    assert len(differences(copy.gateway_db, copy.ledger_db)) == 2


def test_a_missing_window_leaves_a_hole(copy: PlantSite) -> None:
    stream, windows = next(iter(windows_of(copy.gateway_db).items()))
    middle = windows[len(windows) // 2].start_ms
    damage(copy.gateway_db, f"DELETE FROM windows WHERE start_ms = {middle}")
    assert len(holes(windows_of(copy.gateway_db)[stream])) == 1
    assert repeated(copy.gateway_db) == []


def test_a_register_that_missed_something_is_apart_from_the_truth(copy: PlantSite) -> None:
    """One window of one source taken away on both sides: the books agree, the truth does not."""
    for database in (copy.gateway_db, copy.ledger_db):
        damage(
            database,
            "UPDATE emissions SET kgco2e = 0 WHERE start_ms = (SELECT max(start_ms) FROM "
            "emissions) AND series = (SELECT id FROM series WHERE name = 'f103-gas')",
        )
    (run,) = emission_runs(copy.gateway_db, copy.ledger_db)["f103-gas"]
    assert run.gateway == run.ledger
    assert not run.within


def test_an_exported_batch_with_another_digit_is_refused(copy: PlantSite) -> None:
    folder = copy.folder / "again"
    assert_evidence_holds(copy, folder)
    file = next(folder.glob("*.batches"))
    data = file.read_bytes()
    place = data.index(b"measured")
    digit = max(place_ for place_ in range(place) if data[place_ : place_ + 1].isdigit())
    changed = b"1" if data[digit : digit + 1] != b"1" else b"2"
    file.write_bytes(data[:digit] + changed + data[digit + 1 :])
    assert run_verifier(folder).returncode == 3


def test_a_cut_off_chain_is_refused(copy: PlantSite) -> None:
    folder = copy.folder / "again"
    assert_evidence_holds(copy, folder)
    file = next(folder.glob("*.batches"))
    data = file.read_bytes()
    last = data.rindex(b'{"schema"')
    file.write_bytes(data[:last])
    assert run_verifier(folder).returncode == 3
