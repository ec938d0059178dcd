"""A bulk recalculation reaches the ledger as one record and comes to the same there."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.book.recalculations import EMISSIONS_PER_PLACE, recalculations_after
from agent.book.revise import again, named_emissions
from agent.core import record as record_module
from agent.core.payload import Link, decode_records, parse_batch, seal
from agent.core.recalculation import BulkRecalculation, FactorEra
from agent.core.record import Record
from agent.pipeline.seal import MOST_RECORDS
from tests.proof.evidence import ROOT, load_script
from tests.recalculation.recalculated_plant import (
    LENGTH_MS,
    OTHER_STREAM,
    SOURCE,
    START_MS,
    STREAM,
    Plant,
    factor,
    gases,
)
from tests.sync.harness import EPOCH, GATEWAY, GATEWAY_KEY, OWNER, SITE

MONTH = 28 * 4  # windows of February
verifier = load_script(ROOT / "scripts" / "verify_batches.py")


@pytest.fixture
def plant() -> Iterator[Plant]:
    made = Plant()
    yield made
    made.close()


def records(plant: Plant) -> list[BulkRecalculation]:
    return [record for _, record in recalculations_after(plant.store.connection, OWNER, 0)]


def assert_same(plant: Plant) -> None:
    assert plant.at_ledger() == plant.at_gateway()
    assert plant.alarms() == []
    assert plant.verify().findings == []


def test_a_recalculated_month_is_one_record(plant: Plant) -> None:
    plant.book(range(MONTH), 10.0)
    before = plant.current()
    plant.take_factor(2)
    changes = plant.recalculate()
    plant.seal()
    (record,) = records(plant)
    sealed = [line for data in plant.batches() for line in parse_batch(data).lines]
    assert sum(line.startswith(b'["recalculation"') for line in sealed) == 1
    assert sum(line.startswith(b'["emission"') for line in sealed) == len(before)
    assert (record.source, record.stream, record.count) == (SOURCE, STREAM, MONTH)
    assert len(record.runs) == 1
    assert (changes[0].windows, changes[0].month) == (MONTH, "2026-02")
    assert record.before.kgco2e == pytest.approx(sum(e.kgco2e or 0 for e in before))
    assert record.after.kgch4 == pytest.approx(sum(e.kgch4 or 0 for e in plant.current()))
    plant.deliver(plant.batches())
    assert_same(plant)
    assert plant.current_at_ledger() == plant.current() != before


def test_late_revisions_before_between_and_after_keep_their_place(plant: Plant) -> None:
    plant.book(range(20), 10.0)
    plant.book([3, 4], 11.0)  # late, before
    plant.take_factor(2)
    plant.recalculate()
    plant.book([4, 5], 12.0)  # between
    plant.take_factor(3, since=6)
    plant.recalculate()
    plant.book([5, 9], None)  # after
    plant.seal()
    plant.deliver(plant.batches())
    assert_same(plant)
    assert [len(record.runs) for record in records(plant)] == [3, 1]
    by_start = {emission.start_ms: emission.revision for emission in plant.current()}
    assert sorted(by_start.values()) == [1] * 3 + [2] * 14 + [3] * 3


def test_a_newer_window_at_the_ledger_does_not_change_what_was_computed(plant: Plant) -> None:
    plant.book(range(4), 10.0)
    plant.take_factor(2)
    plant.recalculate()
    # sealed together: the second window revision goes ahead of the recalculation
    plant.book([1], 99.0)
    plant.seal()
    (data,) = plant.batches()
    kinds = [json.loads(line)[0] for line in parse_batch(data).lines]
    assert kinds.index("recalculation") > max(i for i, kind in enumerate(kinds) if kind == "window")
    assert kinds[kinds.index("recalculation") + 1] == "emission"
    plant.deliver([data])
    assert_same(plant)


def sealed_one_by_one(plant: Plant) -> list[bytes]:
    """A history with a batch after every step."""
    for step in (
        lambda: plant.book(range(30), 10.0),
        lambda: plant.take_factor(2),
        plant.recalculate,
        lambda: plant.book([7, 8], 12.5),
        lambda: plant.take_factor(3),
        plant.recalculate,
        lambda: plant.book([8], None),
    ):
        step()
        plant.seal()
    return plant.batches()


@pytest.mark.parametrize("order", ["02134", "43210", "40123", "12340"])
def test_a_held_batch_is_applied_when_it_is_linked(plant: Plant, order: str) -> None:
    batches = sealed_one_by_one(plant)
    assert len(batches) == 5
    for place in order:
        plant.deliver([batches[int(place)]])
        assert plant.verify().findings == []
    assert_same(plant)
    plant.deliver(batches)  # all of them once more
    assert_same(plant)


def test_nothing_is_applied_while_a_batch_is_missing(plant: Plant) -> None:
    batches = sealed_one_by_one(plant)
    plant.deliver([batches[0], *batches[2:]])
    assert plant.ledger.connection.execute("SELECT count(*) FROM recalculations").fetchone() == (0,)
    assert plant.alarms() == []
    plant.deliver([batches[1]])
    assert_same(plant)


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from agent.book.recalculations import recalculations_after
from tests.recalculation.recalculated_plant import OWNER, Plant

def progressed():
    if list(recalculations_after(plant.store.connection, OWNER, 0)):  # after the first month
        os.kill(os.getpid(), signal.SIGKILL)

plant = Plant(Path(sys.argv[1]))
plant.take_factor(2)
asyncio.run(plant.recalculation().run(progressed))
"""


def test_a_run_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.book(range(3 * MONTH), 10.0)
    plant.close()
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    plant = Plant(tmp_path)
    plant.take_factor(2)
    plant.seal()
    assert len(records(plant)) == 1
    assert plant.recalculation().is_due()
    assert [change.month for change in plant.recalculate()] == ["2026-03", "2026-04"]
    assert plant.recalculate() == []
    plant.seal()
    plant.deliver(plant.batches())
    assert_same(plant)
    assert {emission.factor.version for emission in plant.current_at_ledger()} == {"2"}
    plant.close()


def resealed(batches: list[bytes], change: dict[str, object]) -> list[bytes]:
    """The same chain, signed by the same key, with another content of its recalculations."""
    made: list[bytes] = []
    previous: Link | None = None
    for data in batches:
        changed: list[Record] = []
        for record in decode_records(parse_batch(data)):
            if isinstance(record, BulkRecalculation):
                record = replace(record, **change)  # type: ignore[arg-type]
            changed.append(record)  # type: ignore[arg-type]
        sealed = seal(
            changed, site=SITE, gateway=GATEWAY, epoch=EPOCH, previous=previous, key=GATEWAY_KEY
        )
        previous = sealed.link
        made.append(sealed.data)
    return made


def test_factors_that_none_of_the_emissions_needs_do_no_harm(plant: Plant) -> None:
    plant.book(range(8), 10.0)
    plant.take_factor(2)
    plant.recalculate()
    plant.seal()
    record = records(plant)[0]
    ended = FactorEra(until_ms=START_MS, factor=factor(5), gases=gases(5))
    record = replace(record, terms=replace(record.terms, eras=(ended, *record.terms.eras)))
    booked = named_emissions(plant.store.connection, OWNER, record)
    other = again(record, booked).record
    assert other.after == record.after
    assert other.sha256 != record.sha256  # the factor is another one of the list
    plant.deliver(resealed(plant.batches(), {"terms": other.terms, "sha256": other.sha256}))
    assert_same(plant)


@pytest.mark.parametrize("wrong", ["before", "after", "sha256"])
def test_another_result_is_an_alarm_and_nothing_of_it_is_booked(plant: Plant, wrong: str) -> None:
    plant.book(range(8), 10.0)
    plant.take_factor(2)
    plant.recalculate()
    plant.book([2], 5.0)
    plant.seal()
    record = records(plant)[0]
    other = {
        "before": replace(record.before, kgco2=record.before.kgco2 + 1e-6),
        "after": replace(record.after, kgco2e=record.after.kgco2e * 2),
        "sha256": "0" * 64,
    }
    plant.deliver(resealed(plant.batches(), {wrong: other[wrong]}))
    ((code, detail),) = plant.alarms()
    assert code == "ledger.recalculation_differs"
    assert SOURCE in detail
    assert "8 emissions" in detail
    revisions = [row[3] for row in plant.at_ledger()]
    assert sorted(revisions) == [0] * 8 + [2]  # the ordinary revision is booked all the same
    report = plant.verify()
    assert [finding.code for finding in report.findings] == ["recalculation"]
    assert report.chains[0].held == 0


def test_a_ledger_that_lacks_emissions_says_which_and_how_many(plant: Plant) -> None:
    plant.book(range(5), 10.0)
    plant.seal()
    plant.book(range(5, 9), 10.0)
    plant.take_factor(2)
    plant.recalculate()
    plant.seal()
    plant.deliver(plant.batches()[:1])
    with plant.ledger.transaction() as connection:
        connection.execute("DELETE FROM emissions WHERE id IN (1, 2)")
    plant.deliver(plant.batches()[1:])
    ((code, detail),) = plant.alarms()
    assert code == "ledger.recalculation_incomplete"
    assert detail.startswith(f"recalculation of {SOURCE} from 2026-01-31T16:00:00.000Z")
    assert "names 9 emissions, 7 of them are booked here" in detail
    assert [row[3] for row in plant.at_ledger()] == [0] * 7


def test_verification_sees_a_changed_figure_of_a_recalculation(plant: Plant) -> None:
    plant.book(range(4), 10.0)
    plant.take_factor(2)
    plant.recalculate()
    plant.seal()
    plant.deliver(plant.batches())
    for statement, code in (
        ("UPDATE emissions SET lower = lower - 1e-9 WHERE recalculation > 0", "differs"),
        ("DELETE FROM emissions WHERE recalculation > 0", "differs"),
        ("DELETE FROM recalculations", "recalculation"),
    ):
        with plant.ledger.transaction() as connection:
            connection.execute(statement)
        assert code in [finding.code for finding in plant.verify().findings]


def test_emissions_of_a_recalculation_that_no_batch_names_are_found(plant: Plant) -> None:
    plant.book(range(4), 10.0)
    plant.seal()
    plant.deliver(plant.batches())
    for version in (2, 3):
        plant.take_factor(version)
        plant.recalculate()
    forged = (
        "INSERT INTO recalculations SELECT 99, 2, 0, 1, 4, 0, 0, 'x'",
        "INSERT INTO emissions (recalculation, series, start_ms, length_ms, revision, "
        "estimated_share, factor, inputs) SELECT 99, series, start_ms, length_ms, 1, 0, factor, "
        "inputs FROM emissions",
    )
    with plant.ledger.transaction() as connection:
        for statement in forged:
            connection.execute(statement)
    found = [finding.what for finding in plant.verify().findings]
    assert found == [
        "4 rows of emissions are booked in no batch",
        "1 rows of recalculations are booked in no batch",
    ]


def test_the_independent_verifier_accepts_the_batches(plant: Plant) -> None:
    batches = sealed_one_by_one(plant)
    enrolled = [{"site": SITE, "gateway": GATEWAY, "key": GATEWAY_KEY.public.text}]
    assert set(verifier.verify([b"".join(batches)], enrolled)) == {(SITE, GATEWAY, EPOCH)}


def test_what_was_booked_from_another_stream_stays_with_it(plant: Plant) -> None:
    plant.book(range(6), 10.0)
    plant.configure(stream=OTHER_STREAM)
    plant.book(range(6, 10), 20.0)
    plant.take_factor(2)
    plant.recalculate()
    plant.seal()
    plant.deliver(plant.batches())
    assert_same(plant)
    assert {record.stream: record.count for record in records(plant)} == {
        STREAM: 6,
        OTHER_STREAM: 4,
    }
    assert {emission.factor.version for emission in plant.current_at_ledger()} == {"2"}


def test_another_split_by_gas_is_a_reason_to_recalculate(plant: Plant) -> None:
    plant.book(range(6), 10.0)
    assert plant.recalculate() == []
    plan = plant.plan
    assert plan.gases is not None
    plant.plan = replace(plan, gases=replace(plan.gases, kgn2o=plan.gases.kgn2o * 2))
    assert plant.recalculation().is_due()
    plant.recalculate()
    plant.seal()
    plant.deliver(plant.batches())
    assert_same(plant)
    assert {e.kgn2o for e in plant.current_at_ledger()} == {10.0 * (plan.gases.kgn2o * 2)}


Step = Callable[[Plant], object]


def take_factor(plant: Plant, version: int, since: int | None) -> None:
    ended = max((former.until_ms for former in plant.plan.former), default=0)
    if since is None or START_MS + since * LENGTH_MS > ended:
        plant.take_factor(version, since=since)


places = st.lists(st.integers(0, 2 * MONTH), min_size=1, max_size=6)
values = st.none() | st.floats(-50, 1e6)
steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(lambda at, value: lambda plant: plant.book(at, value), places, values),
    st.builds(
        lambda version, since: lambda plant: take_factor(plant, version, since),
        st.integers(1, 5),
        st.none() | st.integers(0, MONTH),
    ),
    st.sampled_from([1.0, 0.25, -0.5]).map(
        lambda share: lambda plant: plant.configure(share=share)
    ),
    st.sampled_from([0.0, 2.0]).map(
        lambda pct: lambda plant: plant.configure(uncertainty_activity_pct=pct)
    ),
    st.sampled_from([STREAM, OTHER_STREAM]).map(
        lambda stream: lambda plant: plant.configure(stream=stream)
    ),
    st.just(Plant.recalculate),
    st.just(Plant.seal),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(steps, min_size=3, max_size=14), st.randoms(use_true_random=False))
def test_whatever_happens_the_ledger_has_the_emissions_of_the_gateway(
    history: list[Step], random: Random
) -> None:
    plant = Plant()
    plant.book(range(0, MONTH, 3), 7.0)
    for step in history:
        step(plant)
    plant.recalculate()
    plant.seal()
    batches = plant.batches()
    random.shuffle(batches)
    plant.deliver(batches)
    assert_same(plant)
    plant.close()


def test_a_large_backlog_is_sealed_in_batches_that_a_ledger_can_take(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.book(range(8 * MONTH), 1.0)
    for version in range(2, 14):
        plant.take_factor(version)
        plant.recalculate()
    plant.seal()
    counts = [
        sum(
            record.count
            for record in decode_records(parse_batch(data))
            if isinstance(record, BulkRecalculation)
        )
        for data in plant.batches()
    ]
    assert sum(counts) == 12 * 8 * MONTH
    assert max(counts) <= MOST_RECORDS * EMISSIONS_PER_PLACE
    plant.deliver(plant.batches())
    assert_same(plant)
    plant.close()


def test_a_held_batch_that_cannot_be_read_any_more_stops_nothing(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older version took the record for one of a kind that it does not know."""
    first, second, *_ = sealed_one_by_one(plant)
    with monkeypatch.context() as older:
        older.setattr(record_module, "_DECODERS", {})
        older.setattr("agent.ledger.intake.verify_batch", lambda _batch, _key: None)
        plant.deliver([second.replace(b'"runs"', b'"ruin"', 1)])
    plant.deliver([first])
    assert [code for code, _ in plant.alarms()] == ["ledger.recalculation_unreadable"]
