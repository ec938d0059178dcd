"""Reading ahead in another process changes nothing but the time it takes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent.pipeline import read_ahead, recalculate
from tests.recalculation.recalculated_plant import OTHER_STREAM, Plant
from tests.recalculation.test_travel import MONTH, assert_same


def history(plant: Plant) -> Plant:
    """Three months with a late window, one without a value and one of another meter."""
    plant.book(range(3 * MONTH), 10.0)
    plant.book([5, MONTH + 1], 11.0)
    plant.book([7], None)
    plant.configure(stream=OTHER_STREAM)
    plant.book(range(3 * MONTH, 3 * MONTH + 9), 20.0)
    plant.take_factor(2)
    return plant


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Everything is read ahead; counts what came from the other process."""
    counts: list[int] = []
    unpacked = read_ahead._unpacked

    def counted(data: bytes) -> read_ahead.BookedEmissions:
        counts.append(1)
        return unpacked(data)

    monkeypatch.setattr(recalculate, "READ_AHEAD_SLICES", 1)
    monkeypatch.setattr(read_ahead, "_unpacked", counted)
    return counts


def test_it_comes_to_the_same(tmp_path: Path, ahead: list[int]) -> None:
    one, other = history(Plant(tmp_path)), history(Plant())
    assert one.recalculate() == other.recalculate()
    assert sum(ahead) == 3  # a store in memory cannot be read by another process
    assert one.at_gateway() == other.at_gateway()
    one.seal()
    one.deliver(one.batches())
    assert_same(one)
    one.close()
    other.close()


def test_what_is_booked_meanwhile_is_read_again(tmp_path: Path, ahead: list[int]) -> None:
    plant = history(Plant(tmp_path))
    late = iter((2, MONTH + 2, 2 * MONTH + 2))

    def book() -> None:
        if ahead and (place := next(late, None)) is not None:
            plant.book([place, place + MONTH], 30.0)

    asyncio.run(plant.recalculation().run(book))
    assert sum(ahead) == 3
    assert {emission.factor.version for emission in plant.current()} == {"2"}
    plant.seal()
    plant.deliver(plant.batches())
    assert_same(plant)
    plant.close()


def test_without_the_other_process_it_is_read_here(
    tmp_path: Path, ahead: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_ahead, "_uri", lambda _path: "file:/nowhere/else.db?mode=ro")
    plant = history(Plant(tmp_path))
    assert sum(change.windows for change in plant.recalculate()) == 3 * MONTH + 9
    assert ahead == []
    plant.close()
