"""The ladder of gap filling in the pipeline: what becomes of booked gaps, and what does not."""

from __future__ import annotations

import asyncio
import json
import math
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from agent.book.sqlite import SqliteBook
from agent.core.chain import SigningKey
from agent.core.model import Provenance, Window
from agent.daemon.manual_tasks import settle, verification_tasks
from agent.daemon.service import Gateway
from agent.ledger.database import open_ledger
from agent.ledger.intake import Delivery, Intake
from agent.ledger.storage import LedgerStorage
from agent.pipeline.fill_job import Balanced
from agent.pipeline.fill_process import FillError, FillProcess
from agent.pipeline.fill_worker import answer
from agent.store.batches import Batches
from agent.store.corrections import Corrections, Signed
from agent.store.gaps import GapMarks
from agent.web.manual_view import VerifySubmission
from tests.pipeline.gap_plant import (
    EVERYTHING,
    HISTORY_H,
    HOUR_MS,
    MONDAY_MS,
    STEP_S,
    GapPlant,
    load_at,
    truth,
)
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
    twice = plant.windows("virtual.twice")
    for hour in range(first, end):
        assert twice[hour].value == pytest.approx(2 * (windows[hour].value or 0.0))
        assert twice[hour].provenance is Provenance.ESTIMATED
    (fill,) = plant.fills()
    assert not fill.total_known
    assert fill.lower is not None
    assert fill.upper is not None
    assert fill.lower < (fill.total or 0.0) < fill.upper
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
    assert plant.rows() == rows + 20  # by the cut, and these
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
    (job,) = plant.filling.due()
    found = answer(job)  # and the gateway ends before it is booked
    assert plant.rows() == rows
    again = GapPlant(tmp_path, hours=plant.hours)
    assert again.fill() >= 29
    windows = again.windows()
    assert again.fill() == 0
    assert GapMarks(again.database.connection).waiting() == {}
    assert answer(job).gaps[0].revisions != found.gaps[0].revisions
    assert again.filling.book(job, found).windows == 0  # too late
    assert again.windows() == windows
    again.close()


def test_filling_is_the_same_whatever_else_is_measured(plant: GapPlant, tmp_path: Path) -> None:
    """A job names its stream and its conditions, and reads nothing else."""
    silence(plant, 5, 30, reset=True)
    (job,) = plant.filling.due()
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


def test_what_was_filled_can_be_verified_and_is_measured_then(plant: GapPlant) -> None:
    silence(plant, 5, 30, reset=True)
    plant.fill()
    connection, config = plant.database.connection, plant.config
    (task,) = verification_tasks(connection, plant.owner, config)
    assert task.estimate == pytest.approx(plant.fills()[0].total, abs=1e-5)
    assert {method.partition(":")[0] for method in task.methods} == {"filled"}
    said = VerifySubmission(task=task.id, value=1234.5, author="Li Wei")
    settle(plant.database, plant.owner, config, said, plant.clock.now_ms())
    plant.close_due()
    first = (task.start_ms - MONDAY_MS) // HOUR_MS
    end = (task.end_ms - MONDAY_MS) // HOUR_MS
    assert total(plant, first, end) == pytest.approx(1234.5, abs=1e-6)
    assert {plant.windows()[hour].provenance for hour in range(first, end)} == {Provenance.VERIFIED}
    assert plant.fill() == 0
    assert verification_tasks(connection, plant.owner, config) == []


def test_a_late_reading_beside_a_reshaped_gap_leaves_its_shape(plant: GapPlant) -> None:
    silence(plant, 3, 6.25, reset=False)
    plant.fill()
    before = plant.windows()
    wrong_ms = MONDAY_MS + (HISTORY_H + 11) * HOUR_MS + 2 * STEP_S * 1000
    with plant.database.transaction() as connection:
        value = round(plant.register((wrong_ms - MONDAY_MS) / HOUR_MS) + 0.5, 2)
        Corrections(connection).add_repair(
            "a.energy", wrong_ms, value, Signed(author="Li Wei", note="", entered_ms=wrong_ms)
        )
    plant.close_due()
    plant.fill()
    after = plant.windows()
    assert {hour for hour in before if after[hour] != before[hour]} <= {HISTORY_H + 11}


def test_the_ledger_has_what_the_gateway_filled(plant: GapPlant, tmp_path: Path) -> None:
    """Provisional, refilled and emissions: every revision travels, and both books agree."""
    plant.run(5)
    plant.run(20, silent=True)
    plant.fill()
    plant.run(10, silent=True)
    plant.offset = plant.register(plant.hours) - 3.0
    plant.run(4)
    plant.fill()
    ledger = open_ledger(tmp_path / "ledger.db")
    key = SigningKey.from_seed(bytes(range(32)))
    with ledger.transaction() as connection:
        LedgerStorage(connection).enrol(plant.owner, key.public, 0)
    batches = Batches(plant.database.connection)
    bodies = [batches.data(row.epoch, row.seq) for row in reversed(batches.latest(10_000))]
    deliveries = [Delivery(owner=plant.owner, body=body, user={}) for body in bodies if body]
    assert Intake(ledger, plant.clock).take(deliveries).refusals == ()
    ours, theirs = SqliteBook(plant.database.connection), SqliteBook(ledger.connection)
    assert ours.current_windows(plant.owner, EVERYTHING) == theirs.current_windows(
        plant.owner, EVERYTHING
    )
    assert ours.current_emissions(plant.owner, EVERYTHING) == theirs.current_emissions(
        plant.owner, EVERYTHING
    )
    told = theirs.events(plant.owner, EVERYTHING, codes=("gap.filled",))
    assert [event.detail for event in told] == [
        event.detail for event in plant.events("gap.filled")
    ]
    ledger.close()


def test_the_meter_tree_fills_what_the_ladder_refuses(plant: GapPlant) -> None:
    """The master went on counting: what it counted, less the other meter, less the usual loss."""
    silence(plant, 5, 30, reset=True, grade=7.0)
    real = truth(0, HISTORY_H + 39)
    beside = plant.windows("b.energy")
    with plant.database.transaction() as connection:
        SqliteBook(connection).add_windows(
            plant.owner,
            [
                Window(
                    stream="m.energy",
                    start_ms=window.start_ms,
                    length_ms=HOUR_MS,
                    revision=0,
                    value=(real[hour] + (window.value or 0.0)) / (0.98 + 0.002 * (hour // 24 % 3)),
                    provenance=Provenance.MEASURED,
                    method="register",
                    coverage=1.0,
                )
                for hour, window in beside.items()
                if hour in real
            ],
        )
    (job,) = plant.filling.due()
    classes = {"m.energy": 0.5, "a.energy": 1.0, "b.energy": 1.0}
    tree = Balanced(master="m.energy", parts=("a.energy", "b.energy"), class_pct=classes)
    (found,) = answer(replace(job, balance=tree)).gaps
    assert found.fill.method == "meter-balance"
    assert found.fill.calibration >= 18
    assert {draft.method for draft in found.drafts} == {"filled:meter-balance"}
    first = (found.fill.start_ms - MONDAY_MS) // HOUR_MS
    end = (found.fill.end_ms - MONDAY_MS) // HOUR_MS
    expected = math.fsum(real[hour] for hour in range(first, end))
    assert found.fill.lower is not None
    assert found.fill.upper is not None
    assert found.fill.lower < expected < found.fill.upper
    assert math.fsum(draft.value or 0.0 for draft in found.drafts) == pytest.approx(
        found.fill.total, abs=1e-5
    )


async def test_a_process_that_fails_is_told_of_and_replaced(plant: GapPlant) -> None:
    silence(plant, 3, 6.25, reset=False)
    (job,) = plant.filling.due()
    async with FillProcess() as process:
        with pytest.raises(FillError, match="no such database"):
            await process.ask(replace(job, database=job.database + ".gone"))
        assert (await process.ask(job)).gaps == answer(job).gaps


async def test_the_gateway_fills_beside_its_other_work(
    plant: GapPlant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own loop finds the gap, has it filled by another process, and wakes the pipeline."""
    silence(plant, 5, 30, reset=True)
    plant.close()
    monkeypatch.chdir(tmp_path)  # the other process runs in another folder
    gateway = Gateway(Path("site.toml"), plant.clock, "boot-2")
    told: list[str] = []
    gateway.recorder.listeners.append(lambda event: told.append(event.code))
    loop = asyncio.create_task(gateway.fill_gaps())
    async with asyncio.timeout(60):
        await gateway.wake.wait()
    loop.cancel()
    with suppress(asyncio.CancelledError):
        await loop
    assert told == ["gap.filled"]
    rows = gateway.database.connection.execute(
        "SELECT count(*) FROM windows WHERE method LIKE 'filled:%'"
    ).fetchone()
    assert rows[0] >= 29
    gateway.database.close()
