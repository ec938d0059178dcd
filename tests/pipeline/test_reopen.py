"""Late, repaired and declared: closed windows are cut again, and only those that it touches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.book.ports import Span
from agent.book.sqlite import SqliteBook
from agent.core.model import Emission, Event, Provenance, Replacement, Sample, Window
from agent.store.corrections import Corrections, Signed
from tests.fake_clock import FakeClock
from tests.pipeline import site
from tests.pipeline.site import GRID_2023, Bench

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MIDNIGHT_MS = 1_794_960_000_000  # 2026-11-18T00:00:00Z
EVERYTHING = Span(from_ms=0, to_ms=1 << 60)
SIGNED = Signed(author="Li Wei", note="portable meter", entered_ms=MIDNIGHT_MS)
STEP_S = 300
KWH_PER_H = 100.0


class Slow(Bench):
    """Meters that are read every five minutes into hours; the tests move whole days."""

    def __init__(self, folder: Path, clock: FakeClock, *, step_s: int = STEP_S) -> None:
        text = site.SITE.replace('bus = "tcp"\nunit =', f'bus = "tcp"\nperiod_s = {step_s}\nunit =')
        super().__init__(folder, clock, sealed=True, window_s=3600, text=text)
        self.step_s = step_s

    def run(self, hours: float, register: Callable[[float], float | None]) -> None:
        """Read meter a for some hours; ``register`` gives its number by hours since midnight."""
        for _ in range(round(hours * 3600 / self.step_s)):
            self.clock.advance(self.step_s)
            value = register(hours_since(self.clock.now_ms()))
            if value is not None:
                self.put(self.clock.now_ms(), value)
            if self.clock.now_ms() % (HOUR_MS if self.step_s == STEP_S else DAY_MS) == 0:
                self.close_due()

    def put(self, time_ms: int, value: float) -> None:
        sample = Sample(point="a.energy", time_ms=time_ms, monotonic_ns=0, value=round(value, 2))
        self.recorder.put([sample])

    def close_due(self) -> None:
        self.pipeline.run_due(self.clock.now_ms())

    def current(self) -> dict[int, Window]:
        book = SqliteBook(self.database.connection)
        found = book.current_windows(self.owner, EVERYTHING, "a.energy")
        return {round(hours_since(window.start_ms)): window for window in found}

    def emissions(self) -> dict[int, Emission]:
        found = SqliteBook(self.database.connection).current_emissions(self.owner, EVERYTHING, "sa")
        return {round(hours_since(emission.start_ms)): emission for emission in found}

    def events(self, code: str) -> list[Event]:
        found = SqliteBook(self.database.connection).events(self.owner, EVERYTHING, 1000)
        return [event for event in found if event.code == code]

    def endpoints(self) -> dict[int, tuple[int, float]]:
        """Time of the reading and amount at each boundary, as booked last."""
        found = self.database.connection.execute(
            "SELECT boundary_ms, time_ms, accumulated FROM endpoints ORDER BY endpoints.id"
        )
        return {round(hours_since(row[0])): (row[1], row[2]) for row in found}

    def rows(self) -> list[tuple[object, ...]]:
        return self.database.connection.execute(
            "SELECT series, start_ms, revision, value, provenance FROM windows "
            "ORDER BY series, start_ms, revision"
        ).fetchall()


def hours_since(time_ms: int) -> float:
    return (time_ms - MIDNIGHT_MS) / HOUR_MS


def steady(hours: float) -> float:
    return 50_000 + KWH_PER_H * hours


def total(bench: Slow, first: int, last: int) -> float:
    return sum(
        window.value or 0.0 for hour, window in bench.current().items() if first <= hour < last
    )


@pytest.fixture
def bench(tmp_path: Path) -> Slow:
    return Slow(tmp_path, FakeClock(MIDNIGHT_MS - HOUR_MS))


def test_a_reading_repaired_a_month_later_changes_only_what_it_touches(tmp_path: Path) -> None:
    """One misread register on the third day; it looked possible and was booked."""
    bench = Slow(tmp_path, FakeClock(MIDNIGHT_MS - HOUR_MS), step_s=900)
    wrong_h = 50.0
    bench.run(31 * 24, lambda hours: steady(hours) + (60 if abs(hours - wrong_h) < 0.01 else 0))
    bench.close_due()
    before, former = bench.rows(), bench.current()
    assert before
    with bench.database.transaction() as connection:
        Corrections(connection).add_repair(
            "a.energy", MIDNIGHT_MS + round(wrong_h * HOUR_MS), steady(wrong_h), SIGNED
        )
    bench.close_due()
    after, now = bench.rows(), bench.current()
    added = [row for row in after if row not in before]
    assert [row for row in before if row not in after] == []
    changed = {hour for hour in former if now[hour].revision != former[hour].revision}
    assert changed == {49, 50}
    assert len(added) == len(changed)
    assert all(now[hour].value == pytest.approx(100.0, abs=1e-6) for hour in range(29 * 24))
    assert all(now[hour].provenance is Provenance.MEASURED for hour in now)
    emissions = bench.emissions()
    assert all(
        emissions[hour].kgco2e == pytest.approx(100 * GRID_2023, abs=1e-6) for hour in changed
    )
    assert {emissions[hour].inputs[0][1] for hour in changed} == {1}
    (event,) = bench.events("windows.revised")
    assert f"windows={len(changed)}" in event.detail
    bench.close_due()
    assert bench.rows() == after


def test_a_meter_replaced_at_900000_declared_afterwards(bench: Slow) -> None:
    """2,400 kWh on the day; undeclared the two hours between were estimated at best."""
    gone, back = 12.0, 15.5

    def register(hours: float) -> float | None:
        if hours <= gone:
            return steady(hours)
        return None if hours < back else 900_000 + KWH_PER_H * (hours - 14)

    bench.run(26, register)
    assert [event.code for event in bench.events("counter.replaced_perhaps")]
    assert total(bench, 0, 24) < 2_400 - 100
    with bench.database.transaction() as connection:
        Corrections(connection).add_replacement(
            "a.energy",
            Replacement(at_ms=MIDNIGHT_MS + 14 * HOUR_MS, old_end=steady(14), new_start=900_000),
            SIGNED,
        )
    bench.close_due()
    assert total(bench, 0, 24) == pytest.approx(2_400, abs=0.02)
    kinds = {hour: window.provenance for hour, window in bench.current().items()}
    assert {hour for hour in range(24) if kinds[hour] is Provenance.ALLOCATED} == {12, 13, 14, 15}
    with bench.database.transaction() as connection:
        Corrections(connection).void_replacement("a.energy", MIDNIGHT_MS + 14 * HOUR_MS, SIGNED)
    bench.close_due()
    assert total(bench, 0, 24) < 2_400 - 100


def test_a_meter_replaced_as_declared_before(bench: Slow) -> None:
    with bench.database.transaction() as connection:
        Corrections(connection).add_replacement(
            "a.energy",
            Replacement(
                at_ms=MIDNIGHT_MS + 12 * HOUR_MS + 1, old_end=steady(12), new_start=900_000
            ),
            SIGNED,
        )
    bench.run(
        26, lambda hours: steady(hours) if hours <= 12 else 900_000 + KWH_PER_H * (hours - 12)
    )
    assert total(bench, 0, 24) == pytest.approx(2_400, abs=1e-6)
    assert {window.provenance for window in bench.current().values()} == {Provenance.MEASURED}
    assert bench.events("counter.jump") == []


def test_readings_of_a_gap_that_come_a_day_late(bench: Slow) -> None:
    """A server hands over its history: the allocated hours become measured, the rest stays."""
    bench.run(
        30, lambda hours: None if 8 < hours < 14 else steady(hours) + (20 if hours > 10 else 0)
    )
    former = bench.current()
    assert total(bench, 0, 24) == pytest.approx(2_420, abs=1e-6)
    gap = range(8, 14)
    assert {former[hour].provenance for hour in gap} == {Provenance.ALLOCATED}
    for step in range(8 * 12 + 1, 14 * 12):
        hours = step / 12
        bench.put(MIDNIGHT_MS + round(hours * HOUR_MS), steady(hours) + (20 if hours > 10 else 0))
    bench.close_due()
    now = bench.current()
    assert {hour for hour in now if now[hour].revision > former[hour].revision} == set(gap)
    assert {now[hour].provenance for hour in gap} == {Provenance.MEASURED}
    assert now[10].value == pytest.approx(120)
    ends = bench.endpoints()
    for hour in gap:  # the legal record follows: registers read at the boundaries, one count
        assert ends[hour][0] == MIDNIGHT_MS + hour * HOUR_MS
        assert ends[hour + 1][1] - ends[hour][1] == pytest.approx(now[hour].value, abs=1e-5)
    assert total(bench, 0, 24) == pytest.approx(2_420, abs=1e-6)


@pytest.mark.parametrize("wrong_h", [9 + 1 / 12, 10.0, 10 + 1 / 12])
def test_a_repair_of_what_was_just_closed_counts_once(bench: Slow, wrong_h: float) -> None:
    """The next closing goes on from the repaired register, not from what was booked of it."""
    bench.run(11.25, lambda hours: steady(hours) + (60 if abs(hours - wrong_h) < 0.01 else 0))
    bench.close_due()
    with bench.database.transaction() as connection:
        Corrections(connection).add_repair(
            "a.energy", MIDNIGHT_MS + round(wrong_h * HOUR_MS), steady(wrong_h), SIGNED
        )
    bench.close_due()
    bench.run(4, steady)
    assert {window.value for window in bench.current().values()} == {KWH_PER_H}
    ends = {hour: amount for hour, (_, amount) in bench.endpoints().items()}
    assert ends[13] - ends[11] == pytest.approx(2 * KWH_PER_H)


def test_a_replacement_of_what_was_just_closed_counts_once(bench: Slow) -> None:
    def register(hours: float) -> float:
        return steady(hours) if hours <= 9 else 900_000 + KWH_PER_H * (hours - 9)

    bench.run(11.25, register)
    bench.close_due()
    with bench.database.transaction() as connection:
        Corrections(connection).add_replacement(
            "a.energy",
            Replacement(at_ms=MIDNIGHT_MS + 9 * HOUR_MS + 1, old_end=steady(9), new_start=900_000),
            SIGNED,
        )
    bench.close_due()
    bench.run(4, register)
    assert {window.value for window in bench.current().values()} == {KWH_PER_H}


def test_a_damaged_hour_beside_a_late_one_costs_no_booked_window(bench: Slow) -> None:
    bench.run(30, steady)
    former = bench.rows()
    with bench.database.transaction() as connection:
        assert connection.execute("UPDATE sealed_hours SET body = x'00'").rowcount > 0
        Corrections(connection).note_late("a.energy", [MIDNIGHT_MS + 5 * HOUR_MS])
    connection = bench.database.connection
    connection.execute("DELETE FROM readings")
    bench.close_due()
    assert bench.rows() == former
    assert bench.events("store.damaged")
    assert Corrections(connection).late_hours() == {}


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    late=st.sets(st.integers(12, 287), max_size=60),
    absent=st.sets(st.integers(12, 287), max_size=60),
    resets=st.sets(st.integers(24, 240), max_size=2),
    restart=st.booleans(),
)
def test_late_readings_end_in_the_windows_of_timely_ones(
    tmp_path_factory: pytest.TempPathFactory,
    late: set[int],
    absent: set[int],
    resets: set[int],
    restart: bool,
) -> None:
    def register(step: int) -> float:
        begun = max((reset for reset in resets if reset <= step), default=0)
        return (10_000 if begun == 0 else 0) + (step - begun) * KWH_PER_H / 12

    def lived(folder: Path, missing: set[int]) -> Slow:
        made = Slow(folder, FakeClock(MIDNIGHT_MS))
        made.run(
            24,
            lambda hours: None if round(hours * 12) in missing else register(round(hours * 12)),
        )
        return made

    timely = lived(tmp_path_factory.mktemp("timely"), absent - late)
    folder = tmp_path_factory.mktemp("late")
    delayed = lived(folder, absent | late)
    for step in sorted(late):
        delayed.put(MIDNIGHT_MS + step * STEP_S * 1000, register(step))
    delayed.recorder.flush()
    if restart:
        delayed.close()
        delayed = Slow(folder, FakeClock(MIDNIGHT_MS + DAY_MS))
    delayed.close_due()
    for made in (timely, delayed):
        made.run(6, lambda hours: register(round(hours * 12)))
    left, right = timely.current(), delayed.current()
    assert left.keys() == right.keys()
    for hour in left:
        assert right[hour].provenance is left[hour].provenance
        assert right[hour].value == pytest.approx(left[hour].value, abs=2e-6)
    timely.close()
    delayed.close()
