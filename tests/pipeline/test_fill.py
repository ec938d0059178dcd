"""The ladder of gap filling in the pipeline: what becomes of booked gaps, and what does not."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.core.model import Provenance
from agent.pipeline.fill_worker import answer
from agent.store.gaps import GapMarks
from tests.pipeline.gap_plant import HISTORY_H, HOUR_MS, GapPlant, load_at, truth
from tests.pipeline.site import GRID_2023


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three weeks that were read throughout, ending on a Sunday midnight."""
    folder = tmp_path_factory.mktemp("history")
    plant = GapPlant(folder)
    plant.run(HISTORY_H)
    assert plant.fill() == 0
    plant.close()
    return folder


@pytest.fixture
def plant(history: Path, tmp_path: Path) -> Iterator[GapPlant]:
    for file in history.glob("gw.db*"):
        shutil.copy(file, tmp_path / file.name)
    made = GapPlant(tmp_path, hours=HISTORY_H)
    yield made
    made.close()


def total(plant: GapPlant, first: int, end: int) -> float:
    windows = plant.windows()
    return math.fsum(windows[hour].value or 0.0 for hour in range(first, end))


def silence(plant: GapPlant, lead_h: float, gap_h: float, *, reset: bool, **how: float) -> None:
    """A gap that begins some hours after the history, and four hours after it."""
    plant.run(lead_h)
    plant.run(gap_h, silent=True, **how)
    if reset:
        plant.offset = plant.register(plant.hours) - 3.0
    plant.run(4)


def test_a_register_that_kept_counting_keeps_its_total_and_takes_the_better_shape(
    plant: GapPlant,
) -> None:
    """Six hours over the end of the night: the load changes at six."""
    silence(plant, 3, 6.25, reset=False)
    first, end = HISTORY_H + 3, HISTORY_H + 10
    before, cut = plant.windows(), total(plant, first, end)
    inside = [hour for hour in range(first, end) if before[hour].coverage == 0.0]
    assert len(inside) >= 5
    assert {before[hour].method for hour in inside} == {"register-allocated"}
    assert plant.fill() == len(inside)
    windows = plant.windows()
    assert total(plant, first, end) == pytest.approx(cut, abs=1e-6)
    assert cut == pytest.approx(sum(truth(first, end).values()), abs=0.02)
    for hour in inside:
        assert windows[hour].provenance is Provenance.ALLOCATED
        assert windows[hour].method.startswith("register:")
        assert windows[hour].revision == before[hour].revision + 1
        assert windows[hour].value == pytest.approx(truth(hour, hour + 1)[hour], abs=4.0)
    for hour in set(windows) - set(inside):
        assert windows[hour] == before[hour]
    (fill,) = plant.fills()
    assert fill.total_known
    assert fill.calibration >= 12
    assert plant.fill() == 0


def test_a_gap_of_unknown_total_is_estimated_with_an_interval_that_emissions_carry(
    plant: GapPlant,
) -> None:
    """Thirty hours, and the register was reset meanwhile."""
    silence(plant, 5, 30, reset=True)
    first, end = HISTORY_H + 5, HISTORY_H + 35
    assert {plant.windows()[hour].value for hour in range(first + 1, end)} == {None}
    plant.fill_apart()
    windows, emissions, real = plant.windows(), plant.emissions(), truth(first, end)
    assert total(plant, first, end) == pytest.approx(sum(real.values()), rel=0.05)
    for hour in range(first + 1, end):
        window, emission = windows[hour], emissions[hour]
        assert window.provenance is Provenance.ESTIMATED
        assert window.method.startswith("filled:")
        assert window.value is not None
        assert window.lower is not None
        assert window.upper is not None
        assert window.lower <= window.value <= window.upper
        assert emission.inputs == (("a.energy", window.revision),)
        assert emission.kgco2e == pytest.approx(window.value * GRID_2023)
        assert emission.lower is not None
        assert emission.upper is not None
        assert emission.lower <= window.lower * GRID_2023 + 1e-9  # wider by the meter's own share
        assert emission.upper >= window.upper * GRID_2023 - 1e-9
        assert emission.estimated_share == 1.0
    (fill,) = plant.fills()
    assert not fill.total_known
    assert fill.lower is not None
    assert fill.upper is not None
    assert fill.lower <= sum(real.values()) <= fill.upper
    told = json.loads(plant.events("gap.filled")[0].detail)
    assert told["total"] == fill.total
    assert told["unit"] == "kWh"


def test_a_condition_never_seen_leaves_the_gap_open_and_says_why(plant: GapPlant) -> None:
    silence(plant, 5, 30, reset=True, grade=7.0)
    assert plant.fill() > 0
    windows = plant.windows()
    inside = range(HISTORY_H + 6, HISTORY_H + 35)
    assert {windows[hour].value for hour in inside} == {None}
    assert {windows[hour].provenance for hour in inside} == {Provenance.MISSING}
    assert {windows[hour].method for hour in inside} == {"refused:condition never seen: c.grade"}
    assert plant.events("gap.refused")
    assert plant.fill() == 0


def test_an_open_gap_is_provisional_until_it_ends(plant: GapPlant) -> None:
    plant.run(5)
    plant.run(20, silent=True)
    assert plant.fill() > 0
    rows = plant.rows()
    assert plant.fill() == 0  # not within the hour
    open_hours = range(HISTORY_H + 6, HISTORY_H + 24)
    methods = {plant.windows()[hour].method.partition(":")[0] for hour in open_hours}
    assert methods == {"provisional"}
    plant.run(10, silent=True)
    assert plant.fill() == 10  # only those that have no value yet
    assert plant.rows() == rows + 30  # of both meters by the cut, and these
    assert plant.fills()[0].provisional
    plant.offset = plant.register(plant.hours) - 3.0
    plant.run(1)
    assert plant.fill() == 0  # what follows it is not known yet
    plant.run(3)
    assert plant.fill() >= 29
    windows = plant.windows()
    inside = range(HISTORY_H + 6, HISTORY_H + 35)
    assert {windows[hour].method.partition(":")[0] for hour in inside} == {"filled"}
    assert [fill.provisional for fill in plant.fills()] == [False]
    assert plant.fill() == 0


def test_a_register_that_went_on_replaces_what_was_provisional(plant: GapPlant) -> None:
    plant.run(5)
    plant.run(20, silent=True)
    assert plant.fill() > 0
    plant.run(4)
    first, end = HISTORY_H + 5, HISTORY_H + 26
    assert total(plant, first, end) == pytest.approx(sum(truth(first, end).values()), abs=0.02)
    assert plant.fill() > 0
    assert total(plant, first, end) == pytest.approx(sum(truth(first, end).values()), abs=0.02)
    kinds = {plant.windows()[hour].provenance for hour in range(first + 1, end - 2)}
    assert kinds == {Provenance.ALLOCATED}
    assert [fill.provisional for fill in plant.fills()] == [False]


def test_a_restart_and_a_crash_before_booking_change_nothing(
    plant: GapPlant, tmp_path: Path
) -> None:
    silence(plant, 5, 30, reset=True)
    rows = plant.rows()
    (job,) = plant.filling.due(plant.clock.now_ms())
    found = answer(job)  # and the gateway ends before it is booked
    assert plant.rows() == rows
    again = GapPlant(tmp_path, hours=plant.hours)
    assert again.fill() >= 29
    windows = again.windows()
    assert again.fill() == 0
    assert GapMarks(again.database.connection).waiting() == {}
    assert answer(job).gaps[0].revisions != found.gaps[0].revisions
    assert again.filling.book(job, found, again.clock.now_ms()).windows == 0  # too late
    assert again.windows() == windows
    again.close()


def test_filling_is_the_same_whatever_else_is_measured(plant: GapPlant, tmp_path: Path) -> None:
    """A job names its stream and its conditions, and reads nothing else."""
    silence(plant, 5, 30, reset=True)
    (job,) = plant.filling.due(plant.clock.now_ms())
    found = answer(job)
    with plant.database.transaction() as connection:
        connection.execute(
            "UPDATE windows SET value = value * 3 WHERE series = "
            "(SELECT id FROM series WHERE name = 'b.energy')"
        )
    assert answer(job) == found


def test_a_short_gap_gets_its_interval(plant: GapPlant) -> None:
    """Two silent hours around a reset: between the edge windows, and how sure that is."""
    silence(plant, 9.75, 1.75, reset=True)
    hour = HISTORY_H + 10
    assert plant.windows()[hour].method == "short-gap"
    assert plant.windows()[hour].lower is None
    assert plant.fill() == 1
    window = plant.windows()[hour]
    assert window.provenance is Provenance.ESTIMATED
    assert window.value == pytest.approx(truth(hour, hour + 1)[hour], abs=5.0)
    assert window.lower is not None
    assert window.upper is not None
    assert load_at(hour) > 50.0
    assert window.length_ms == HOUR_MS
