"""Computed streams in the pipeline: booked after their inputs, revised with them, restart-safe."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest

from agent.book.sqlite import SqliteBook
from agent.core.chain import SigningKey
from agent.core.indirect import Model, fit
from agent.core.model import Provenance, Window
from agent.core.payload import decode_records, parse_batch
from agent.daemon.buses import device_meters
from agent.ledger.database import open_ledger
from agent.ledger.intake import Delivery, Intake
from agent.ledger.storage import LedgerStorage
from agent.store.batches import Batches
from agent.store.corrections import Corrections, Signed
from agent.store.models import DerivedMarks, Models
from tests.fake_clock import FakeClock
from tests.pipeline.site import GRID_2023, Bench
from tests.virtual_points.computed_site import (
    EVERYTHING,
    START_MS,
    computed_bench,
    emissions,
    events,
    windows,
)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = computed_bench(tmp_path, FakeClock(START_MS), sealed=True)
    yield made
    made.close()


def run(bench: Bench, seconds: int, **how: object) -> None:
    bench.read(seconds, **how)  # type: ignore[arg-type]
    bench.pipeline.run_due(bench.clock.now_ms())


def shown(bench: Bench, stream: str) -> list[tuple[object, ...]]:
    return [
        (w.start_ms, w.value, w.provenance, w.method, w.lower, w.upper, w.coverage)
        for w in windows(bench, stream)
    ]


def booked_rows(bench: Bench) -> int:
    return int(bench.database.connection.execute("SELECT count(*) FROM windows").fetchone()[0])


def pump_model(low: float = 0.0, high: float = 100.0) -> Model:
    """Twice the power of b plus 3 kW per % of load, within some noise."""
    spread = np.linspace(0, 1, 40)
    inputs = np.column_stack([20 + 40 * spread, low + (high - low) * (1 - spread) ** 2])
    target = 2 * inputs[:, 0] + 3 * inputs[:, 1] + np.where(np.arange(40) % 2, 0.5, -0.5)
    return fit(
        ["b.energy", "a.load"],
        ["kWh/h", "%"],
        inputs,
        target,
        unit="kWh",
        intercept=True,
        reference="test",
    )


def keep(bench: Bench, model: Model, since_ms: int, again_from_ms: int | None = None) -> None:
    with bench.database.transaction() as connection:
        Models(connection).add("indirect.pump", model, since_ms=since_ms, fitted_ms=since_ms)
        DerivedMarks(connection).set_again_from_ms("indirect.pump", again_from_ms)


def test_a_difference_follows_its_meters_and_feeds_a_source(bench: Bench) -> None:
    run(bench, 600)
    whole, part = windows(bench, "a.energy"), windows(bench, "b.energy")
    net = windows(bench, "virtual.net")
    assert len(net) == len(whole) >= 8
    for a, b, window in zip(whole, part, net, strict=True):
        assert window.value == (a.value or 0) - (b.value or 0)
        assert window.provenance is Provenance.MEASURED
        assert window.lower == pytest.approx((window.value or 0) - 0.01 * 2**0.5)
    booked = emissions(bench, "snet")
    assert [item.kgco2e for item in booked] == pytest.approx(
        [(window.value or 0) * GRID_2023 for window in net]
    )
    assert booked[0].inputs == (("virtual.net", 0),)
    assert [w.value for w in windows(bench, "virtual.half")] == [(w.value or 0) / 2 for w in net]
    plan = bench.config.derived_plan("virtual.net")
    assert plan is not None
    assert {window.method for window in net} == {f"formula:{plan.formula_hash}"}


def test_a_mean_of_a_point_needs_no_stream(bench: Bench) -> None:
    run(bench, 300, load=90.0)
    run(bench, 300, load=40.0)
    heat = windows(bench, "virtual.heat")
    assert heat[1].value == pytest.approx(0.09)
    assert heat[-1].value == pytest.approx(0.04)
    assert heat[1].coverage == 1.0
    assert all(left.end_ms == right.start_ms for left, right in pairwise(heat))


def test_a_second_look_and_a_restart_book_nothing(bench: Bench, tmp_path: Path) -> None:
    run(bench, 400)
    rows = booked_rows(bench)
    bench.pipeline.run_due(bench.clock.now_ms())
    assert booked_rows(bench) == rows
    again = computed_bench(tmp_path, bench.clock)
    again.pipeline.run_due(bench.clock.now_ms())
    assert booked_rows(again) == rows
    again.close()


def test_a_revision_goes_through_two_levels_and_touches_nothing_else(bench: Bench) -> None:
    run(bench, 600)
    for _ in range(5):
        run(bench, 60, skip=("a",))
    guessed = [w for w in windows(bench, "a.energy") if w.provenance is Provenance.ESTIMATED]
    for stream in ("virtual.net", "virtual.half"):
        follow = [w for w in windows(bench, stream) if w.provenance is Provenance.ESTIMATED]
        assert [w.start_ms for w in follow] == [w.start_ms for w in guessed]
    share = [e for e in emissions(bench, "snet") if e.start_ms == guessed[0].start_ms]
    assert 0.85 < share[0].estimated_share < 1.0  # b, which is measured, is a tenth of it
    run(bench, 240)
    revised = {w.start_ms for w in windows(bench, "a.energy") if w.revision > 0}
    assert revised == {w.start_ms for w in guessed}
    for stream in ("virtual.net", "virtual.half"):
        current = windows(bench, stream)
        assert {w.start_ms for w in current if w.revision > 0} == revised
        assert all(w.provenance is not Provenance.ESTIMATED for w in current)
    kept = bench.database.connection.execute(
        "SELECT inputs FROM derived_windows WHERE stream = 'virtual.net' AND revision = 1"
    ).fetchall()
    assert {tuple(map(tuple, json.loads(row[0]))) for row in kept} == {
        (("a.energy", 1), ("b.energy", 0))
    }


def test_a_window_that_somebody_else_revises_is_followed(bench: Bench) -> None:
    run(bench, 300)
    first = windows(bench, "b.energy")[2]
    better = Window(
        stream="b.energy",
        start_ms=first.start_ms,
        length_ms=first.length_ms,
        revision=1,
        value=0.5,
        provenance=Provenance.VERIFIED,
        method="read-again",
        coverage=1.0,
        lower=0.5,
        upper=0.5,
    )
    with bench.database.transaction() as connection:
        SqliteBook(connection).add_windows(bench.owner, [better])
    bench.pipeline.run_due(bench.clock.now_ms())
    net = next(w for w in windows(bench, "virtual.net") if w.start_ms == first.start_ms)
    half = next(w for w in windows(bench, "virtual.half") if w.start_ms == first.start_ms)
    assert (net.revision, half.revision) == (1, 1)
    assert net.provenance is Provenance.VERIFIED
    assert net.value == pytest.approx(5.5, abs=0.011)
    assert half.value == (net.value or 0) / 2


@pytest.mark.parametrize("cuts", [(37, 200, 11, 100), (1, 1, 400), (333,)])
def test_restarts_anywhere_change_nothing(tmp_path: Path, cuts: tuple[int, ...]) -> None:
    folders = [tmp_path / "whole", tmp_path / "parts"]
    for folder in folders:
        folder.mkdir()
    whole = computed_bench(folders[0], FakeClock(START_MS))
    clock = FakeClock(START_MS)
    parts = computed_bench(folders[1], clock)
    for seconds in cuts:
        whole.read(seconds)
        run(parts, seconds)
        parts.close()
        parts = computed_bench(folders[1], clock)
        whole.read(90, skip=("a",))
        run(parts, 90, skip=("a",))
    for bench in (whole, parts):
        run(bench, 300)
    for stream in ("virtual.net", "virtual.half", "virtual.heat", "indirect.pump"):
        assert shown(whole, stream) == shown(parts, stream)
    whole.close()
    parts.close()


def test_without_a_model_the_stream_says_so(bench: Bench) -> None:
    run(bench, 300)
    found = windows(bench, "indirect.pump")
    assert len(found) >= 3
    assert {(w.value, w.provenance, w.method) for w in found} == {
        (None, Provenance.MISSING, "indirect-no-model")
    }
    assert all(item.kgco2e is None for item in emissions(bench, "spump"))


def test_a_model_estimates_with_an_interval_and_its_version(bench: Bench) -> None:
    keep(bench, pump_model(), START_MS - 1)
    run(bench, 600)
    found = windows(bench, "indirect.pump")
    assert {(w.provenance, w.method) for w in found} == {(Provenance.ESTIMATED, "indirect:1")}
    # b runs at 36 kW, the load is 90 %: 2·36 + 3·90 = 342 kW for a minute
    assert found[1].value == pytest.approx(342 / 60, rel=0.01)
    assert 0 < (found[1].upper or 0) - (found[1].lower or 0) < 0.1
    assert emissions(bench, "spump")[1].estimated_share == 1.0


def test_outside_its_range_a_model_gives_no_value_and_warns_once(bench: Bench) -> None:
    keep(bench, pump_model(low=80.0, high=95.0), START_MS - 1)
    run(bench, 300, load=90.0)
    run(bench, 120, load=30.0)
    run(bench, 120, load=30.0)
    run(bench, 240, load=90.0)
    run(bench, 180, load=30.0)
    found = windows(bench, "indirect.pump")
    outside = [w for w in found if w.method == "indirect-out-of-domain"]
    assert len(outside) >= 4
    assert all(w.value is None and w.provenance is Provenance.MISSING for w in outside)
    told = events(bench, "indirect.out_of_domain")
    assert len(told) == 2
    assert told[0].detail == "inputs=a.load"


def test_a_new_model_serves_from_now_on_or_again_from_a_date(bench: Bench) -> None:
    keep(bench, pump_model(), START_MS - 1)
    run(bench, 600)
    first = windows(bench, "indirect.pump")
    cut_ms = first[-1].end_ms
    keep(bench, pump_model(low=10.0), cut_ms)
    run(bench, 300)
    later = windows(bench, "indirect.pump")
    assert {w.method for w in later if w.start_ms < cut_ms} == {"indirect:1"}
    assert {w.method for w in later if w.start_ms >= cut_ms} == {"indirect:2"}
    since_ms = first[4].start_ms
    keep(bench, pump_model(low=20.0), since_ms, again_from_ms=since_ms)
    bench.pipeline.run_due(bench.clock.now_ms())
    last = windows(bench, "indirect.pump")
    assert [w.method for w in last] == [
        "indirect:3" if w.start_ms >= since_ms else "indirect:1" for w in last
    ]
    assert {w.revision for w in last if w.start_ms >= since_ms} == {1}


def test_batches_carry_every_computed_window(bench: Bench) -> None:
    keep(bench, pump_model(), START_MS - 1)
    run(bench, 300)
    run(bench, 300, skip=("a",))
    run(bench, 300)
    batches = Batches(bench.database.connection)
    carried: list[object] = []
    for row in reversed(batches.latest(100)):
        data = batches.data(row.epoch, row.seq)
        assert data is not None
        carried += decode_records(parse_batch(data))
    book = SqliteBook(bench.database.connection)
    booked = [w for _, w in book.windows_after(bench.owner, 0, 10**6)]
    assert [item for item in carried if isinstance(item, Window)] == booked
    assert {w.stream for w in booked} >= {"virtual.net", "virtual.half", "indirect.pump"}


def test_the_ledger_books_what_the_gateway_has(bench: Bench, tmp_path: Path) -> None:
    keep(bench, pump_model(), START_MS - 1)
    run(bench, 300)
    for _ in range(4):
        run(bench, 60, skip=("a",))
    run(bench, 240)
    ledger = open_ledger(tmp_path / "ledger.db")
    with ledger.transaction() as connection:
        key = SigningKey.from_seed(bytes(range(32))).public
        LedgerStorage(connection).enrol(bench.owner, key, 0)
    batches = Batches(bench.database.connection)
    bodies = [batches.data(row.epoch, row.seq) for row in reversed(batches.latest(100))]
    deliveries = [Delivery(owner=bench.owner, body=body, user={}) for body in bodies if body]
    assert Intake(ledger, bench.clock).take(deliveries).refusals == ()
    ours, theirs = SqliteBook(bench.database.connection), SqliteBook(ledger.connection)
    left, right = (book.current_windows(bench.owner, EVERYTHING) for book in (ours, theirs))
    assert left == right
    booked = theirs.current_emissions(bench.owner, EVERYTHING)
    assert booked == ours.current_emissions(bench.owner, EVERYTHING)
    assert {emission.source for emission in booked} == {"sa", "sb", "snet", "spump"}
    ledger.close()


def test_a_computed_device_is_as_well_as_the_meters_behind_it(bench: Bench) -> None:
    config = bench.config
    assert config.meters_behind("virtual.half") == ("a", "b")
    assert config.meters_behind("indirect.pump") == ("b", "a")
    assert config.meters_behind("a.energy") == ("a",)
    device = next(device for device in config.devices if device.id == "dnet")
    assert [meter.id for meter in device_meters(config, device, {}, bench.clock)] == ["a", "b"]


PUSHED = """
[[bus]]
id = "dcs"
driver = "opcua"
endpoint = "opc.tcp://127.0.0.1:4840"
security = "None"
[[meter]]
id = "dcs-1"
bus = "dcs"
points = [{ id = "valve", unit = "%", node = "nsu=urn:dcs;s=valve" }]
[[virtual]]
id = "flow"
formula = '"dcs-1.valve" * 0.01'
unit = "t"
"""


def test_a_pushed_point_holds_until_it_changes_also_over_a_restart(tmp_path: Path) -> None:
    clock = FakeClock(START_MS)
    bench = computed_bench(tmp_path, clock, more=PUSHED)
    bench.recorder.put([bench.sample("dcs-1.valve", 50.0)])
    for _ in range(4):
        run(bench, 300)
    bench.close()
    bench = computed_bench(tmp_path, clock, more=PUSHED)
    run(bench, 30)
    bench.recorder.put([bench.sample("dcs-1.valve", 80.0)])
    run(bench, 300)
    found = windows(bench, "virtual.flow")
    assert len(found) >= 23
    assert {w.value for w in found[:20]} == {0.5}
    assert {w.value for w in found[-3:]} == {0.8}
    assert all(w.coverage == 1.0 and w.provenance is Provenance.MEASURED for w in found)
    clock.advance(30 * 3600)  # silent for longer than a value holds
    bench.pipeline.run_due(clock.now_ms())
    last = windows(bench, "virtual.flow")[-1]
    assert (last.value, last.method) == (None, "formula-input-missing")
    bench.close()


def test_a_polled_point_that_falls_silent_covers_less_then_nothing(bench: Bench) -> None:
    run(bench, 280)
    run(bench, 200, skip=("a",))
    heat = windows(bench, "virtual.heat")
    silent = next(place for place, window in enumerate(heat) if window.coverage < 1)
    assert heat[silent].value == pytest.approx(0.09)
    assert 0 < heat[silent].coverage < 0.5
    assert heat[silent].provenance is Provenance.ESTIMATED
    assert (heat[silent].lower, heat[silent].upper) == (None, None)
    assert all(w.provenance is Provenance.MISSING for w in heat[silent + 1 :])


def test_what_is_revised_outside_the_range_is_not_told_again(bench: Bench) -> None:
    keep(bench, pump_model(low=80.0, high=95.0), START_MS - 1)
    run(bench, 300, load=30.0)
    first = windows(bench, "indirect.pump")[0]
    assert first.method == "indirect-out-of-domain"
    assert len(events(bench, "indirect.out_of_domain")) == 1
    keep(bench, pump_model(low=70.0, high=95.0), first.start_ms, again_from_ms=first.start_ms)
    meter = next(w for w in windows(bench, "b.energy") if w.start_ms == first.start_ms)
    with bench.database.transaction() as connection:
        again = replace(meter, revision=1, coverage=0.5, maintenance=True)
        SqliteBook(connection).add_windows(bench.owner, [again])
    bench.pipeline.run_due(bench.clock.now_ms())
    assert windows(bench, "indirect.pump")[0].revision == 1
    assert len(events(bench, "indirect.out_of_domain")) == 1


def test_a_repaired_point_changes_what_is_computed_from_its_mean(bench: Bench) -> None:
    run(bench, 600)
    former = windows(bench, "virtual.heat")
    wrong_ms = former[2].start_ms + 1000
    signed = Signed(author="Li Wei", note="", entered_ms=bench.clock.now_ms())
    with bench.database.transaction() as connection:
        for second in range(30):
            Corrections(connection).add_repair("a.load", wrong_ms + 1000 * second, 30.0, signed)
    run(bench, 60)
    now = windows(bench, "virtual.heat")
    changed = [w for w, old in zip(now, former, strict=False) if w.revision > old.revision]
    assert [w.start_ms for w in changed] == [former[2].start_ms]
    assert changed[0].value == pytest.approx(0.06, abs=0.002)


def test_a_stream_that_is_gone_is_not_awaited(bench: Bench) -> None:
    """Asked to be computed again, then taken out of the site file."""
    with bench.database.transaction() as connection:
        DerivedMarks(connection).compute_again("indirect.gone", START_MS)
    assert len(list(islice(bench.pipeline.pieces(bench.clock.now_ms()), 100))) < 100


def test_the_earliest_time_asked_for_is_computed_again(bench: Bench) -> None:
    with bench.database.transaction() as connection:
        marks = DerivedMarks(connection)
        for from_ms in (START_MS, START_MS - 1, START_MS + 1):
            marks.compute_again("indirect.pump", from_ms)
        assert marks.again_from_ms("indirect.pump") == START_MS - 1
