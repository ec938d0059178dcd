"""A month of short windows is revised piece by piece, and comes to the same as in one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agent.book.ports import Span
from agent.book.recalculations import recalculations_after
from agent.book.revise import pieces_of
from agent.pipeline import recalculate
from tests.recalculation.recalculated_plant import LENGTH_MS, SOURCE, START_MS, Plant
from tests.recalculation.test_travel import MONTH, assert_same
from tests.sync.harness import OWNER


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Iterator[Plant]:
    monkeypatch.setattr(recalculate, "MOST_ROWS", 50)
    made = Plant()
    made.book(range(MONTH), 10.0)
    made.book([7, 8, 60], 11.0)
    made.take_factor(2)
    yield made
    made.close()


def test_pieces_cover_the_span_once_and_keep_the_revisions_of_a_start_together(
    plant: Plant,
) -> None:
    span = Span(from_ms=START_MS - LENGTH_MS, to_ms=START_MS + MONTH * LENGTH_MS)
    for most in (1, 2, 3, 50, MONTH + 3, MONTH + 4):
        pieces = list(pieces_of(plant.store.connection, OWNER, SOURCE, span, most))
        assert (pieces[0].from_ms, pieces[-1].to_ms) == (span.from_ms, span.to_ms)
        assert [one.to_ms for one in pieces[:-1]] == [one.from_ms for one in pieces[1:]]
        assert (len(pieces) == 1) == (most >= MONTH + 3)
        if most >= 2:  # of three starts there are two revisions
            counted = "SELECT count(*) FROM emissions WHERE start_ms >= ? AND start_ms < ?"
            rows = [
                plant.store.connection.execute(counted, (one.from_ms, one.to_ms)).fetchone()[0]
                for one in pieces
            ]
            assert sum(rows) == MONTH + 3
            assert max(rows) <= most


def test_a_month_in_pieces_is_told_as_one_and_the_same_at_the_ledger(plant: Plant) -> None:
    before = plant.current()
    (change,) = plant.recalculate()
    assert (change.month, change.windows) == ("2026-02", MONTH)
    assert change.before_kgco2e == pytest.approx(sum(one.kgco2e or 0 for one in before))
    assert change.after_kgco2e == pytest.approx(sum(one.kgco2e or 0 for one in plant.current()))
    records = [record for _, record in recalculations_after(plant.store.connection, OWNER, 0)]
    assert len(records) == 3
    assert sum(record.count for record in records) == MONTH
    assert {emission.factor.version for emission in plant.current()} == {"2"}
    assert plant.recalculate() == []
    plant.seal()
    plant.deliver(plant.batches())
    assert_same(plant)
