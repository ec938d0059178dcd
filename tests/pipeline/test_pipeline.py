"""From readings to windows, emissions and batches, restart-safe, on a real file."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.book.ports import Span
from agent.book.sqlite import SqliteBook
from agent.core.errors import StoreError
from agent.core.model import Emission, Event, Provenance, Quality, Sample, Severity, Window
from agent.core.payload import check_follows, decode_records, parse_batch
from agent.core.quality.screen import Doubt, Reason
from agent.pipeline.calendar import CalendarJob, due_periods, run_each
from agent.pipeline.clock_trust import EARLIEST_PLAUSIBLE_MS, ClockTrust, is_plausible
from agent.pipeline.seal import MOST_BATCHES, MOST_RECORDS
from agent.store.batches import Batches
from agent.store.history import History
from agent.store.sealed import SealedArchive
from tests.fake_clock import FakeClock
from tests.pipeline.site import ENERGY, GRID_2023, SITE, Bench

EVERYTHING = Span(from_ms=0, to_ms=1 << 60)
START_MS = 1_795_000_000_000


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, FakeClock(START_MS), sealed=True)
    yield made
    made.close()


def windows(bench: Bench, stream: str) -> list[Window]:
    return list(
        SqliteBook(bench.database.connection).current_windows(bench.owner, EVERYTHING, stream)
    )


def emissions(bench: Bench) -> list[Emission]:
    return list(SqliteBook(bench.database.connection).current_emissions(bench.owner, EVERYTHING))


def test_windows_add_up_to_the_register_and_emissions_follow(bench: Bench) -> None:
    bench.read(600)
    bench.pipeline.run_due(bench.clock.now_ms())
    found = windows(bench, "a.energy")
    assert len(found) >= 8
    assert [window.start_ms % 60_000 for window in found] == [0] * len(found)
    assert all(window.provenance is Provenance.MEASURED for window in found)
    assert all(window.load == pytest.approx(90) for window in found)
    assert sum(window.value or 0 for window in found) == pytest.approx(6.0 * len(found), abs=0.011)
    booked = [item for item in emissions(bench) if item.source == "sa"]
    assert len(booked) == len(found)
    for window, emission in zip(found, booked, strict=True):
        assert emission.kgco2e == pytest.approx((window.value or 0) * GRID_2023, rel=1e-12)
        assert emission.inputs == (("a.energy", window.revision),)
        assert emission.factor.unit == "kgCO2e/kWh"


def test_a_second_pass_books_nothing(bench: Bench) -> None:
    bench.read(300)
    bench.pipeline.run_due(bench.clock.now_ms())
    before = bench.database.connection.execute("SELECT count(*) FROM windows").fetchone()
    assert bench.pipeline.run_due(bench.clock.now_ms()) == 0
    assert bench.database.connection.execute("SELECT count(*) FROM windows").fetchone() == before


def test_a_silent_meter_is_estimated_then_replaced_by_what_its_register_says(bench: Bench) -> None:
    bench.read(600)
    bench.pipeline.run_due(bench.clock.now_ms())
    for _ in range(5):
        bench.read(60, skip=("a",))
        bench.pipeline.run_due(bench.clock.now_ms())
    provisional = [w for w in windows(bench, "a.energy") if w.provenance is Provenance.ESTIMATED]
    assert len(provisional) >= 3
    assert provisional[-1].value == pytest.approx(6.0, rel=0.05)
    assert [e.estimated_share for e in emissions(bench) if e.source == "sa"][-1] == 1.0
    bench.read(180)
    bench.pipeline.run_due(bench.clock.now_ms())
    current = windows(bench, "a.energy")
    replaced = [w for w in current if w.start_ms in {old.start_ms for old in provisional}]
    assert all(w.revision >= 1 for w in replaced)
    assert all(w.provenance is not Provenance.ESTIMATED for w in current)
    assert sum(w.value or 0 for w in current) == pytest.approx(6.0 * len(current), abs=0.011)
    events = SqliteBook(bench.database.connection).events(bench.owner, EVERYTHING)
    assert {event.code for event in events} >= {"gap.opened", "gap.closed"}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cuts=st.lists(st.integers(1, 400), min_size=1, max_size=6), gap=st.integers(0, 240))
def test_restarts_anywhere_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], gap: int
) -> None:
    """Closing at any instants and restarting in between ends in the same current windows."""
    whole = Bench(tmp_path_factory.mktemp("whole"), FakeClock(START_MS))
    parts_folder, parts_clock = tmp_path_factory.mktemp("parts"), FakeClock(START_MS)
    parts = Bench(parts_folder, parts_clock)
    for seconds in cuts:
        whole.read(seconds)
        whole.recorder.flush()
        parts.read(seconds)
        parts.pipeline.run_due(parts_clock.now_ms())
        parts.close()
        parts = Bench(parts_folder, parts_clock)
        whole.read(gap, skip=("a", "b"))
        parts.read(gap, skip=("a", "b"))
    for bench in (whole, parts):
        bench.read(300)
        bench.pipeline.run_due(bench.clock.now_ms())
    for stream in ("a.energy", "b.energy"):
        left, right = windows(whole, stream), windows(parts, stream)
        assert [(w.start_ms, w.value, w.provenance) for w in left] == [
            (w.start_ms, w.value, w.provenance) for w in right
        ]
    whole.close()
    parts.close()


@pytest.mark.parametrize("lengths", [(60, 300), (300, 60), (60, 90), (120, 180)])
@pytest.mark.parametrize("first_s", [610, 900, 1111])
def test_another_window_length_leaves_no_hole_and_no_overlap(
    tmp_path: Path, lengths: tuple[int, int], first_s: int
) -> None:
    clock = FakeClock(START_MS)
    for window_s, seconds in zip(lengths, (first_s, 2000), strict=True):
        bench = Bench(tmp_path, clock, window_s=window_s)
        for _ in range(0, seconds, 50):
            bench.read(50)
            bench.pipeline.run_due(clock.now_ms())
        found = windows(bench, "a.energy")
        bench.close()
    assert {window.length_ms for window in found} == {length * 1000 for length in lengths}
    assert all(left.end_ms == right.start_ms for left, right in pairwise(found))
    hours = (found[-1].end_ms - found[0].start_ms) / 3_600_000
    assert sum(window.value or 0 for window in found) == pytest.approx(360 * hours, abs=0.011)


def test_batches_hold_every_record_once_and_chain(bench: Bench) -> None:
    for _ in range(6):
        bench.read(100)
        bench.pipeline.run_due(bench.clock.now_ms())
    batches = Batches(bench.database.connection)
    rows = list(reversed(batches.latest(100)))
    assert len(rows) >= 4
    previous = None
    carried: list[object] = []
    for row in rows:
        data = batches.data(row.epoch, row.seq)
        assert data is not None
        batch = parse_batch(data)
        check_follows(batch, previous)
        previous = batch.link
        carried += decode_records(batch)
    book = SqliteBook(bench.database.connection)
    booked = [w for _, w in book.windows_after(bench.owner, 0, 10**6)]
    booked_emissions = [e for _, e in book.emissions_after(bench.owner, 0, 10**6)]
    assert [item for item in carried if isinstance(item, Window)] == booked
    assert [item for item in carried if isinstance(item, Emission)] == booked_emissions


def test_without_a_target_nothing_is_sealed_and_later_all_of_it(tmp_path: Path) -> None:
    clock = FakeClock(START_MS)
    alone = Bench(tmp_path, clock)
    alone.read(600)
    assert alone.pipeline.run_due(clock.now_ms()) == 0
    first = windows(alone, "a.energy")[0]
    assert Batches(alone.database.connection).latest(1) == []
    alone.close()
    served = Bench(tmp_path, clock, sealed=True)
    served.read(120)
    assert served.pipeline.run_due(clock.now_ms()) > 0
    batches = Batches(served.database.connection)
    oldest = batches.data("ab" * 16, 1)
    assert oldest is not None
    assert first in decode_records(parse_batch(oldest))
    served.close()


def test_a_box_off_over_midnight_makes_up_each_period_exactly_once(tmp_path: Path) -> None:
    clock = FakeClock(START_MS)
    bench = Bench(tmp_path, clock)
    bench.read(120)
    bench.pipeline.run_due(clock.now_ms())
    bench.close()
    clock.advance(3 * 86_400)
    for _ in range(2):  # restarted twice: the second start finds nothing to do
        bench = Bench(tmp_path, clock)
        bench.read(60)
        bench.pipeline.run_due(clock.now_ms())
        bench.close()
    bench = Bench(tmp_path, clock)
    runs = bench.database.connection.execute(
        "SELECT job, count(*), count(DISTINCT period_ms) FROM job_runs GROUP BY job ORDER BY job"
    ).fetchall()
    assert runs == [
        ("daily-balance", 4, 4),
        ("daily-check", 4, 4),
        ("daily-substitution", 4, 4),
        ("hour-agreement", 73, 73),
        ("hour-seal", 73, 73),
    ]
    checked = [
        event
        for event in SqliteBook(bench.database.connection).events(bench.owner, EVERYTHING, 1000)
        if event.code == "store.checked"
    ]
    assert len(checked) == 3
    assert SealedArchive(bench.database.connection).is_sealed(START_MS // 3_600_000 * 3_600_000)
    bench.close()


def done(job: CalendarJob, bench: Bench) -> int:
    """How many periods of a job were due and done."""
    return len(list(run_each(job, bench.database, bench.clock.now_ms())))


def test_work_that_fails_is_not_marked_as_done(bench: Bench) -> None:
    job = bench.pipeline.jobs[1]
    done(job, bench)
    bench.clock.advance(86_400)

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    broken = type(job)(name=job.name, start_of=job.start_of, next_start=job.next_start, work=fail)
    with pytest.raises(ZeroDivisionError):
        done(broken, bench)
    assert done(job, bench) == 1
    assert done(job, bench) == 0


def test_periods_are_those_between_the_last_done_and_now(bench: Bench) -> None:
    hour = bench.pipeline.jobs[0]
    assert due_periods(hour, None, START_MS) == []
    last = START_MS // 3_600_000 * 3_600_000
    assert due_periods(hour, last, last + 3 * 3_600_000 + 5) == [
        last + 3_600_000,
        last + 2 * 3_600_000,
    ]
    assert due_periods(hour, last, last - 86_400_000) == []


def test_a_failed_write_keeps_the_readings_and_says_so(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.read(3)
    transaction = bench.database.transaction

    def full() -> object:
        raise StoreError("database or disk is full", where="gw.db")

    monkeypatch.setattr(bench.database, "transaction", full)
    assert bench.recorder.flush() == 0
    assert bench.recorder.volatile == 9
    monkeypatch.setattr(bench.database, "transaction", transaction)
    bench.read(1)
    assert bench.recorder.flush() == 12
    assert bench.recorder.volatile == 0


def test_readings_under_a_wrong_clock_wait_and_are_placed_when_it_is_right(tmp_path: Path) -> None:
    clock = FakeClock(1000)  # 1970
    bench = Bench(tmp_path, clock)
    for second in range(100):
        clock.advance(1)
        bench.recorder.put([bench.sample("a.energy", 1000 + second * 0.1)])
    bench.pipeline.run_due(clock.now_ms())
    assert not bench.recorder.trust.trusted
    assert bench.readings.count(0, 1 << 46) == 0
    clock.wall_ms = float(START_MS)
    clock.advance(1)
    bench.recorder.put([bench.sample("a.energy", 1010.0)])
    bench.recorder.flush()
    assert bench.recorder.trust.trusted
    series = bench.readings.good(["a.energy"], 0, 1 << 46)["a.energy"]
    assert len(series.times_ms) == 101
    assert series.times_ms[-1] - series.times_ms[0] == 100_000
    assert series.times_ms[-1] == START_MS + 1000
    bench.close()


def test_a_clock_step_is_an_event(bench: Bench) -> None:
    bench.read(5)
    bench.recorder.flush()
    bench.clock.wall_ms += 3_600_000
    bench.read(1)
    bench.recorder.flush()
    codes = [e.code for e in SqliteBook(bench.database.connection).events(bench.owner, EVERYTHING)]
    assert codes == ["clock.stepped"]


def test_when_a_clock_can_be_right() -> None:
    assert not is_plausible(0, None)
    assert is_plausible(EARLIEST_PLAUSIBLE_MS, None)
    assert not is_plausible(START_MS, START_MS + 86_400_000)
    trust = ClockTrust(None)
    assert trust.observe(START_MS, 0) == "trusted"
    assert trust.observe(START_MS + 1000, 1_000_000_000) is None
    assert trust.observe(1000, 2_000_000_000) == "untrusted"


def test_only_good_readings_count_from_the_first_good_one(bench: Bench) -> None:
    def missing() -> Sample:
        return Sample(
            point="a.energy",
            time_ms=bench.clock.now_ms(),
            monotonic_ns=0,
            value=None,
            quality=Quality.MISSING,
        )

    bench.recorder.put([missing()])
    bench.recorder.put([bench.sample("a.energy", 1.0), missing()])
    assert (bench.recorder.tally.good, bench.recorder.tally.missing) == (1, 1)


def test_a_meter_that_never_answers_is_missing_and_says_so(bench: Bench) -> None:
    bench.read(600, skip=("b",))
    bench.pipeline.run_due(bench.clock.now_ms())
    silent = windows(bench, "b.energy")
    assert {window.start_ms for window in silent} >= {
        w.start_ms for w in windows(bench, "a.energy")
    }
    assert {window.provenance for window in silent} == {Provenance.MISSING}
    assert {emission.kgco2e for emission in emissions(bench) if emission.source == "sb"} == {None}
    book = SqliteBook(bench.database.connection)
    told = [
        e.subject for e in book.events(bench.owner, EVERYTHING) if e.code == "stream.never_read"
    ]
    assert told == ["b.energy"]
    bench.read(300)
    bench.pipeline.run_due(bench.clock.now_ms())
    found = windows(bench, "b.energy")
    assert all(left.end_ms == right.start_ms for left, right in pairwise(found))
    assert {window.revision for window in found} == {0}
    assert [window.provenance for window in found[-3:]] == [Provenance.MEASURED] * 3


def test_a_backlog_is_sealed_a_bounded_number_of_batches_at_once(tmp_path: Path) -> None:
    clock = FakeClock(START_MS)
    alone = Bench(tmp_path, clock)
    with alone.database.transaction() as connection:
        SqliteBook(connection).add_events(
            alone.owner,
            [
                Event(time_ms=n, code="x", subject="y", severity=Severity.INFO)
                for n in range(MOST_RECORDS * (MOST_BATCHES + 2))
            ],
        )
    alone.close()
    served = Bench(tmp_path, clock, sealed=True)
    assert [served.pipeline.seal(START_MS) for _ in range(3)] == [MOST_BATCHES, 2, 0]
    served.close()


def test_a_damaged_sealed_hour_is_told_and_stops_nothing(tmp_path: Path) -> None:
    clock = FakeClock(START_MS)
    bench = Bench(tmp_path, clock)
    for _ in range(70):
        bench.read(60)
        bench.pipeline.run_due(clock.now_ms())
    with bench.database.transaction() as connection:
        assert connection.execute("UPDATE sealed_hours SET body = x'00'").rowcount > 0
    bench.close()
    bench = Bench(tmp_path, clock)
    bench.read(120)
    bench.pipeline.run_due(clock.now_ms())
    with bench.database.transaction() as connection:
        hour_ms = START_MS // 3_600_000 * 3_600_000
        SealedArchive(connection).seal_hour(hour_ms)
        aside = connection.execute("SELECT count(*) FROM damaged_hours").fetchone()[0]
    assert aside == 3
    found = windows(bench, "a.energy")
    assert all(left.end_ms == right.start_ms for left, right in pairwise(found))
    assert found[-1].end_ms > clock.now_ms() - 130_000
    bench.close()


def test_a_first_start_in_1970_books_nothing_of_the_years_between(tmp_path: Path) -> None:
    clock = FakeClock(36_000)
    bench = Bench(tmp_path, clock)
    bench.recorder.put([bench.sample("a.energy", 1000.0)])
    bench.recorder.flush()
    clock.advance(10)
    bench.recorder.put([bench.sample("a.energy", 1001.0)])
    clock.wall_ms = float(START_MS)
    bench.recorder.put([bench.sample("a.energy", 1001.1)])
    bench.pipeline.run_due(clock.now_ms())
    bench.read(300)
    bench.pipeline.run_due(clock.now_ms())
    found = windows(bench, "a.energy") + windows(bench, "b.energy")
    assert found
    assert min(window.start_ms for window in found) >= START_MS - 60_000
    assert bench.readings.good(["a.energy"], 0, START_MS - 3_600_000)["a.energy"].times_ms.size == 0
    bench.close()


def test_a_leap_of_the_clock_is_doubted_and_its_return_loses_nothing(bench: Bench) -> None:
    bench.read(300)
    bench.pipeline.run_due(bench.clock.now_ms())
    bench.clock.wall_ms += 30 * 86_400_000
    for _ in range(60):
        bench.read(1)
        bench.recorder.flush()
    assert not bench.recorder.trust.trusted
    bench.clock.wall_ms -= 30 * 86_400_000
    bench.read(300)
    bench.pipeline.run_due(bench.clock.now_ms())
    assert bench.recorder.trust.trusted
    found = windows(bench, "b.energy")
    assert found[-1].end_ms <= bench.clock.now_ms()
    assert all(left.end_ms == right.start_ms for left, right in pairwise(found))
    assert bench.readings.count(bench.clock.now_ms() + 1, 1 << 46) == 0


async def test_a_store_that_cannot_be_written_does_not_end_the_pipeline(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.read(120)
    calls: list[int] = []

    async def wait() -> None:
        calls.append(1)
        if len(calls) == 3:
            monkeypatch.undo()
        if len(calls) == 5:
            raise asyncio.CancelledError

    def full() -> object:
        raise StoreError("database or disk is full", where="gw.db")

    monkeypatch.setattr(bench.database, "transaction", full)
    with pytest.raises(asyncio.CancelledError):
        await bench.pipeline.run(wait, lambda _: None, lambda: None)
    assert windows(bench, "a.energy")
    assert bench.recorder.volatile == 0


def test_a_doubt_reaches_an_hour_that_is_sealed(bench: Bench) -> None:
    """Of a reading that was sealed as good, and of one that comes late and is odd at once."""
    bench.read(60)
    bench.pipeline.run_due(bench.clock.now_ms())
    sealed_ms = bench.clock.now_ms()
    bench.clock.advance(3_600)
    bench.read(1)
    bench.pipeline.run_due(bench.clock.now_ms())
    assert SealedArchive(bench.database.connection).is_sealed(sealed_ms // 3_600_000 * 3_600_000)
    late = Sample(point="a.load", time_ms=sealed_ms + 5_000, monotonic_ns=0, value=900.0)
    bench.recorder.put([late])
    bench.recorder.doubt(
        [
            Doubt(point="a.load", time_ms=time_ms, value=900.0, reason=Reason.RANGE)
            for time_ms in (late.time_ms, sealed_ms)
        ]
    )
    bench.recorder.flush()
    history = History(bench.database.connection, bench.readings)
    good = history.good(["a.load"], sealed_ms - 2_000, sealed_ms + 6_000)["a.load"]
    assert good.times_ms.tolist() == [sealed_ms - 2_000, sealed_ms - 1_000]


def test_a_register_that_becomes_a_rate_goes_on_where_it_was_closed(tmp_path: Path) -> None:
    clock = FakeClock(START_MS)
    bench = Bench(tmp_path, clock)
    bench.read(300)
    bench.pipeline.run_due(clock.now_ms())
    before = windows(bench, "a.energy")
    bench.close()
    power = '"kW", role = "rate", quantity = "power"'
    energy = ENERGY.replace('"kWh", role = "counter", quantity = "energy-import"', power)
    bench = Bench(tmp_path, clock, text=SITE.replace("@energy@", energy))
    bench.read(300)
    bench.pipeline.run_due(clock.now_ms())
    found = windows(bench, "a.energy")
    assert found[: len(before)] == before
    assert {window.method for window in found[len(before) :]} == {"integral"}
    assert all(left.end_ms == right.start_ms for left, right in pairwise(found))
    bench.close()
