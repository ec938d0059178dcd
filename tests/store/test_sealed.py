"""Sealed hours give every reading back to the bit, and show any change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from agent.book.database import BOOK_MIGRATIONS, Database
from agent.core.errors import ProofError
from agent.core.model import Quality, Sample
from agent.core.timebase import HOUR_MS
from agent.store.database import STORE_MIGRATIONS
from agent.store.history import History
from agent.store.readings import Readings
from agent.store.sealed import SealedArchive, decode, encode

HOUR = 1_700_000_400_000 // HOUR_MS * HOUR_MS


def same(left: npt.NDArray[np.float64], right: npt.NDArray[np.float64]) -> bool:
    return left.tobytes() == right.tobytes()


@settings(max_examples=200, deadline=None)
@given(
    values=hnp.arrays(
        np.float64,
        st.integers(1, 60),
        elements=st.one_of(
            st.floats(allow_nan=True, allow_infinity=True),
            st.integers(-(10**9), 10**9).map(lambda count: count / 100),
        ),
    ),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_block_round_trips_to_the_bit(values: npt.NDArray[np.float64], seed: int) -> None:
    generator = np.random.default_rng(seed)
    times = np.sort(generator.choice(HOUR_MS, len(values), replace=False)).astype(np.int64) + HOUR
    qualities = generator.integers(0, 3, len(values)).astype(np.uint8)
    back_times, back_values, back_qualities = decode(encode(times, values, qualities))
    assert np.array_equal(back_times, times)
    assert same(back_values, values)
    assert np.array_equal(back_qualities, qualities)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "store.db", BOOK_MIGRATIONS, STORE_MIGRATIONS)


def fill(database: Database, readings: Readings) -> None:
    samples = [
        Sample(
            point="m.energy",
            time_ms=HOUR + second * 1000,
            monotonic_ns=second,
            value=None if second % 100 == 7 else 1000 + second * 0.1,
            quality=Quality.MISSING if second % 100 == 7 else Quality.GOOD,
        )
        for second in range(3600)
    ]
    with database.transaction():
        readings.register_points(["m.energy"])
        readings.append(samples)


def test_an_hour_is_sealed_small_and_read_back(database: Database) -> None:
    readings = Readings(database.connection)
    fill(database, readings)
    archive = SealedArchive(database.connection)
    with database.transaction():
        assert archive.seal_hour(HOUR) == 3600
        assert archive.seal_hour(HOUR) == 3600  # a second time changes nothing
        assert archive.is_sealed(HOUR)
    block = archive.read(1, HOUR)
    assert block is not None
    times, values, qualities = block
    assert times[0] == HOUR
    assert len(times) == 3600
    assert np.isnan(values[7])
    assert qualities[7] == 2
    assert values[8] == 1000 + 8 * 0.1
    size = database.connection.execute("SELECT sum(length(body)) FROM sealed_hours").fetchone()[0]
    assert size / 3600 < 4
    assert archive.sealed_through_ms(HOUR + 5) == HOUR + HOUR_MS
    assert archive.sealed_through_ms(HOUR + HOUR_MS) == HOUR + HOUR_MS


def test_a_changed_block_is_refused(database: Database) -> None:
    readings = Readings(database.connection)
    fill(database, readings)
    archive = SealedArchive(database.connection)
    with database.transaction() as connection:
        archive.seal_hour(HOUR)
        body = bytearray(connection.execute("SELECT body FROM sealed_hours").fetchone()[0])
        body[len(body) // 2] ^= 1
        connection.execute("UPDATE sealed_hours SET body = ?", (bytes(body),))
    with pytest.raises(ProofError, match="does not match its hash"):
        archive.read(1, HOUR)
    assert archive.read(1, HOUR + HOUR_MS) is None


def test_history_is_the_same_before_and_after_sealing_and_row_deletion(database: Database) -> None:
    readings = Readings(database.connection)
    fill(database, readings)
    history = History(database.connection, readings)
    span = (["m.energy", "m.unknown"], HOUR + 1500, HOUR + HOUR_MS + 7_200_000)
    before = history.good(*span)
    assert len(before["m.energy"].times_ms) == 3600 - 2 - 36 + 0
    with database.transaction():
        SealedArchive(database.connection).seal_hour(HOUR)
        assert readings.delete_before(HOUR + HOUR_MS) == 3600
    after = history.good(*span)
    assert np.array_equal(before["m.energy"].times_ms, after["m.energy"].times_ms)
    assert same(before["m.energy"].values, after["m.energy"].values)
    assert after["m.unknown"].times_ms.size == 0


def test_a_late_reading_joins_its_sealed_hour(database: Database) -> None:
    readings = Readings(database.connection)
    fill(database, readings)
    archive = SealedArchive(database.connection)
    late = Sample(point="m.energy", time_ms=HOUR + 500, monotonic_ns=1, value=1000.05)
    with database.transaction():
        archive.seal_hour(HOUR)
        readings.delete_before(HOUR + HOUR_MS)
        readings.append([late])
        archive.seal_hour(HOUR)
    found = History(database.connection, readings).good(["m.energy"], HOUR, HOUR + 1001)
    assert found["m.energy"].times_ms.tolist() == [HOUR, HOUR + 500, HOUR + 1000]
