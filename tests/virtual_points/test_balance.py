"""The meter tree: what a master counts against what its submeters count."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.book.database import Database
from agent.book.ports import Owner
from agent.book.sqlite import SqliteBook
from agent.config import sections
from agent.config.meter_tree import balance_plans
from agent.config.site import MeterPlan
from agent.core.balance import (
    COVERAGE_FACTOR,
    Metered,
    Verdict,
    balance,
    balance_estimate,
    metered,
    usual_share,
)
from agent.core.checks.balance import balance_findings
from agent.core.model import Event, PointRole, PointSpec, Provenance, Severity, Window
from agent.core.timebase import DAY_MS, HOUR_MS
from agent.pipeline.balance import balances, periods_of
from agent.pipeline.calendar import run_each
from tests.fake_clock import FakeClock
from tests.virtual_points.computed_site import START_MS, computed_bench, events

ZONE = ZoneInfo("Asia/Shanghai")


def counted(stream: str, value: float, class_pct: float = 1.0, *, whole: bool = True) -> Metered:
    half = COVERAGE_FACTOR * abs(value) * class_pct / 100 / math.sqrt(3)
    return Metered(stream=stream, value=value, half_90=half, whole=whole)


def window(
    place: int,
    value: float | None,
    provenance: Provenance = Provenance.MEASURED,
    half: float = 0.01,
) -> Window:
    return Window(
        stream="m",
        start_ms=place * HOUR_MS,
        length_ms=HOUR_MS,
        revision=0,
        value=value,
        provenance=provenance,
        method="register",
        coverage=1.0,
        lower=None if value is None else value - half,
        upper=None if value is None else value + half,
    )


def test_what_is_not_counted_below_is_a_finding_beyond_the_uncertainty() -> None:
    parts = [counted("b", 600), counted("c", 350)]
    found = balance(counted("a", 1000), parts)
    assert (found.unmetered, found.unmetered_share) == (50, 0.05)
    assert found.verdict is Verdict.UNMETERED
    assert found.upper is not None
    assert found.upper - 50 == pytest.approx(11.563, abs=0.001)
    assert balance(counted("a", 1000), parts, unmetered_pct=4).verdict is Verdict.CLOSED
    poor = [counted("b", 600, 5.0), counted("c", 350, 5.0)]
    assert balance(counted("a", 1000, 5.0), poor).verdict is Verdict.CLOSED


def test_submeters_that_count_more_than_goes_in_are_a_finding() -> None:
    found = balance(counted("a", 1000), [counted("b", 700), counted("c", 350)])
    assert (found.unmetered, found.verdict) == (-50, Verdict.OVERCOUNTED)
    near = balance(counted("a", 1000), [counted("b", 655), counted("c", 350)])
    assert near.verdict is Verdict.CLOSED


def test_what_is_estimated_or_missing_decides_nothing_but_bounds() -> None:
    part = counted("c", 350, whole=False)
    found = balance(counted("a", 1000), [counted("b", 600), part])
    assert (found.verdict, found.unmetered, found.lower) == (Verdict.UNDECIDED, None, None)
    assert found.upper == pytest.approx(61.563, abs=0.001)  # c may have counted more
    over = balance(counted("a", 1000), [counted("b", 900), counted("c", 350, whole=False)])
    assert over.verdict is Verdict.OVERCOUNTED  # whatever else c counted
    master = balance(counted("a", 1000, whole=False), [counted("b", 600)])
    assert (master.verdict, master.upper) == (Verdict.UNDECIDED, None)


def test_the_sum_of_a_meter_has_its_class_and_one_count() -> None:
    hours = [window(place, 10.0) for place in range(24)]
    found = metered("m", hours, 0.0, span_ms=DAY_MS)
    assert (found.value, found.whole) == (240.0, True)
    assert found.half_90 == pytest.approx(0.01)  # windows share the readings between them
    of_class = metered("m", hours, 1.0, span_ms=DAY_MS).half_90
    assert of_class == pytest.approx(240 * 0.01 * COVERAGE_FACTOR / math.sqrt(3), rel=1e-4)
    guessed = [*hours[1:], window(0, 10.0, Provenance.ESTIMATED, half=2.0)]
    assert metered("m", guessed, 0.0, span_ms=DAY_MS).half_90 == pytest.approx(2.01)
    assert not metered("m", guessed, 0.0, span_ms=DAY_MS).whole
    assert not metered("m", hours[1:], 0.0, span_ms=DAY_MS).whole


def test_the_one_unknown_stream_comes_from_the_rest_of_its_balance() -> None:
    found = balance_estimate(
        counted("a", 1000, 0.5),
        [counted("b", 600, 0.5), counted("c", 250, 0.5)],
        unmetered_share=0.05,
        share_half_90=0.01,
    )
    assert found is not None
    assert found.value == pytest.approx(100)
    assert found.upper - found.value == pytest.approx(11.5, abs=0.01)
    assert balance_estimate(counted("a", 1000, whole=False), []) is None
    assert balance_estimate(counted("a", 1000), [counted("b", 1, whole=False)]) is None


@given(
    st.floats(0, 1e6),
    st.lists(st.floats(0, 1e6), min_size=1, max_size=5),
    st.floats(0, 0.5),
    st.floats(0, 0.1),
)
def test_an_estimate_from_a_balance_never_leaves_its_interval(
    master: float, others: list[float], share: float, half: float
) -> None:
    found = balance_estimate(
        counted("m", master),
        [counted(str(place), value) for place, value in enumerate(others)],
        unmetered_share=share,
        share_half_90=half,
    )
    assert found is not None
    assert 0 <= found.lower <= found.value <= found.upper


def test_the_usual_share_needs_three_periods() -> None:
    shares = [balance(counted("a", 100), [counted("b", value)]) for value in (95, 94, 96)]
    assert usual_share(shares[:2]) is None
    found = usual_share(shares)
    assert found is not None
    assert found[0] == pytest.approx(0.05)
    assert found[1] == pytest.approx(COVERAGE_FACTOR * 0.01 * math.sqrt(4 / 3))


def test_the_tree_of_a_site_is_balanced_by_hour_day_and_month(tmp_path: Path) -> None:
    bench = computed_bench(tmp_path, FakeClock(START_MS))
    bench.read(600)
    bench.pipeline.run_due(bench.clock.now_ms())
    connection, zone = bench.database.connection, ZONE
    for kind in ("hour", "day", "month"):
        periods = periods_of(kind, START_MS, bench.clock.now_ms(), zone)
        found = balances(connection, bench.owner, bench.config, periods)
        assert [one.balance.master.stream for one in found] == ["a.energy"]
        assert found[0].balance.below == pytest.approx(
            0.1 * found[0].balance.master.value, rel=0.01
        )
        assert found[0].assumed == ("a",)  # b has its class in the site file
        assert found[0].balance.verdict is Verdict.UNDECIDED  # it began within the period
    bench.close()


def test_an_imbalance_is_told_once_for_each_whole_day(tmp_path: Path) -> None:
    clock = FakeClock(START_MS)
    bench = computed_bench(tmp_path, clock)
    job = next(job for job in bench.pipeline.jobs if job.name == "daily-balance")
    list(run_each(job, bench.database, clock.now_ms()))
    day_ms = periods_of("day", START_MS, START_MS + DAY_MS, ZONE)[1].from_ms
    for day in range(3):
        book_day(bench.database, bench.owner, day_ms + day * DAY_MS, undecided=day == 1)
    list(run_each(job, bench.database, day_ms + 3 * DAY_MS + 60_000))
    assert len(events(bench, "balance.unmetered")) == 1  # the last windows may still be open
    for _ in range(3):
        list(run_each(job, bench.database, day_ms + 3 * DAY_MS + 2 * HOUR_MS))
    told = events(bench, "balance.unmetered")
    assert [event.time_ms for event in told] == [day_ms + 3 * DAY_MS, day_ms + DAY_MS]
    assert told[0].subject == "a.energy"
    assert told[0].detail.startswith("master=2400 below=240 unmetered=2160 ")
    bench.close()


def book_day(database: Database, owner: Owner, day_ms: int, *, undecided: bool) -> None:
    """24 hours in which a counts 100 kWh and b, below it, 10 kWh."""
    rows = [
        Window(
            stream=stream,
            start_ms=day_ms + hour * HOUR_MS,
            length_ms=HOUR_MS,
            revision=0,
            value=value,
            provenance=Provenance.ESTIMATED if undecided and hour == 3 else Provenance.MEASURED,
            method="register",
            coverage=1.0,
            lower=value - 0.01,
            upper=value + 0.01,
        )
        for hour in range(24)
        for stream, value in (("a.energy", 100.0), ("b.energy", 10.0))
    ]
    with database.transaction() as connection:
        SqliteBook(connection).add_windows(owner, rows)


@pytest.mark.parametrize("kind", ["hour", "day", "month"])
def test_periods_follow_one_another(kind: str, tmp_path: Path) -> None:
    bench = computed_bench(tmp_path, FakeClock(START_MS))
    found = periods_of(kind, START_MS, START_MS + 40 * DAY_MS, ZONE)
    bench.close()
    assert found[0].from_ms <= START_MS < found[0].to_ms
    assert all(left.to_ms == right.from_ms for left, right in pairwise(found))
    assert found[-1].to_ms >= START_MS + 40 * DAY_MS


def test_the_monthly_report_sums_the_days_that_did_not_close() -> None:
    def told(code: str, subject: str, unmetered: float) -> Event:
        return Event(
            time_ms=0,
            code=code,
            subject=subject,
            severity=Severity.WARNING,
            detail=f"master=100 below=90 unmetered={unmetered:.6g} lower=1 upper=2 unit=kWh",
        )

    found = list(
        balance_findings(
            [
                told("balance.unmetered", "a.energy", 10),
                told("balance.overcounted", "c.energy", -3),
                told("gap.closed", "a.energy", 99),
                told("balance.unmetered", "a.energy", 12.5),
            ]
        )
    )
    assert [(one.id, one.number, one.unit, one.reference) for one in found] == [
        ("plausibility.balance:a.energy", 22.5, "kWh", 2),
        ("plausibility.balance:c.energy", -3, "kWh", 1),
    ]


def plans(**meters: tuple[str | None, list[tuple[str, str, str]]]) -> dict[str, MeterPlan]:
    """Meters by id: their parent, and the id, quantity and unit of each counter."""
    bus = sections.Bus(id="bus", driver="modbus-tcp")
    return {
        name: MeterPlan(
            section=sections.Meter(id=name, bus="bus", parent=parent),
            bus=bus,
            points=tuple(
                PointSpec(id=point, quantity=quantity, unit=unit, role=PointRole.COUNTER)
                for point, quantity, unit in points
            ),
        )
        for name, (parent, points) in meters.items()
    }


TOTAL, PEAK = ("energy", "import", "kWh"), ("energy-peak", "import", "kWh")
PLAIN, BACK, STEAM = ("energy", "", "kWh"), ("energy-back", "", "kWh"), ("steam", "", "t")


@pytest.mark.parametrize(
    ("master", "below", "used", "expected"),
    [
        ([TOTAL, PEAK], [TOTAL, PEAK], {"s.energy"}, [("m.energy", "s.energy")]),
        ([TOTAL], [("e1", "import", "kWh")], {"m.energy"}, [("m.energy", "s.e1")]),
        ([PLAIN], [("e1", "", "kWh")], {"m.energy"}, [("m.energy", "s.e1")]),
        ([PLAIN, BACK], [PLAIN], {"s.energy"}, [("m.energy", "s.energy")]),
        ([PLAIN, BACK], [("e1", "", "kWh")], {"s.e1"}, []),
        ([TOTAL], [("e1", "export", "kWh")], {"s.e1"}, []),
        ([PLAIN, STEAM], [STEAM], {"s.steam"}, [("m.steam", "s.steam")]),
        ([PLAIN], [PLAIN], set(), []),
    ],
)
def test_a_balance_pairs_what_counts_the_same(
    master: list[tuple[str, str, str]],
    below: list[tuple[str, str, str]],
    used: set[str],
    expected: list[tuple[str, str]],
) -> None:
    found = balance_plans(plans(m=(None, master), s=("m", below)), used)
    assert [(plan.master, *plan.parts) for plan in found] == expected
