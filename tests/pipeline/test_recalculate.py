"""Another factor gives a new revision of exactly the windows concerned; the old one stays."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from agent.book.adjustments import adjustments_of
from agent.book.ports import Span
from agent.book.sqlite import SqliteBook
from agent.config.site import FormerFactor, SiteConfig
from agent.core.adjustment import Reason
from agent.core.carbon.booking import emission_of
from agent.core.model import Emission
from agent.core.report.month import Month
from agent.pipeline.booking import Booking
from agent.pipeline.recalculate import Recalculation, preview
from tests.fake_clock import FakeClock
from tests.pipeline.site import Bench

EVERYTHING = Span(from_ms=0, to_ms=1 << 60)
START_MS = 1_795_000_000_000


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path, FakeClock(START_MS))
    made.read(1200)
    made.pipeline.run_due(made.clock.now_ms())
    return made


def with_factor(config: SiteConfig, value: float, since_ms: int | None = None) -> SiteConfig:
    """The site with another factor of source sa, from a time on or for all time."""
    plan = config.sources["sa"]
    factor = replace(plan.factor, version="corrected", value=value)
    former = (FormerFactor(until_ms=since_ms, factor=plan.factor),) if since_ms else ()
    return replace(
        config, sources={**config.sources, "sa": replace(plan, factor=factor, former=former)}
    )


def recalculation(bench: Bench, config: SiteConfig) -> Recalculation:
    return Recalculation(config, bench.database, bench.owner, bench.clock)


def current(bench: Bench, source: str) -> list[Emission]:
    book = SqliteBook(bench.database.connection)
    return list(book.current_emissions(bench.owner, EVERYTHING, source))


async def test_nothing_is_done_while_the_factors_hold(bench: Bench) -> None:
    unchanged = recalculation(bench, bench.config)
    assert unchanged.is_due()  # never looked at before
    assert await unchanged.run() == []
    assert not unchanged.is_due()
    assert {emission.revision for emission in current(bench, "sa")} == {0}


async def test_a_corrected_factor_revises_all_and_keeps_the_old(bench: Bench) -> None:
    before, others = current(bench, "sa"), current(bench, "sb")
    corrected = recalculation(bench, with_factor(bench.config, 0.6))
    foreseen = preview(with_factor(bench.config, 0.6), bench.owner, bench.database.connection)
    assert current(bench, "sa") == before
    changes = await corrected.run()
    assert changes == foreseen
    after = current(bench, "sa")
    assert [emission.revision for emission in after] == [1] * len(before)
    assert [emission.factor.version for emission in after] == ["corrected"] * len(before)
    assert current(bench, "sb") == others
    assert sum(change.windows for change in changes) == len(before)
    assert sum(change.difference_kgco2e for change in changes) == pytest.approx(
        sum(e.kgco2e or 0 for e in after) - sum(e.kgco2e or 0 for e in before)
    )
    book = SqliteBook(bench.database.connection)
    old = [e for _, e in book.emissions_after(bench.owner, 0, 10**6) if e.revision == 0]
    assert set(before) <= set(old)
    told = [e for e in book.events(bench.owner, EVERYTHING) if e.code == "emissions.recalculated"]
    assert json.loads(told[0].detail)["windows"] == len(before)
    assert await corrected.run() == []


async def test_only_windows_from_the_change_on_are_revised(bench: Bench) -> None:
    before = current(bench, "sa")
    since_ms = before[len(before) // 2].start_ms
    await recalculation(bench, with_factor(bench.config, 0.6, since_ms)).run()
    for old, new in zip(before, current(bench, "sa"), strict=True):
        if old.start_ms < since_ms:
            assert new == old
        else:
            assert (new.revision, new.factor.value) == (1, 0.6)


async def test_bulk_and_single_arithmetic_agree_to_the_last_digit(bench: Bench) -> None:
    bench.read(300, skip=("a",))
    bench.pipeline.run_due(bench.clock.now_ms())
    config = with_factor(bench.config, 0.5703)
    await recalculation(bench, config).run()
    book = SqliteBook(bench.database.connection)
    windows = {w.start_ms: w for w in book.current_windows(bench.owner, EVERYTHING, "a.energy")}
    for emission in current(bench, "sa"):
        plan = config.sources["sa"]
        single = emission_of(
            "sa",
            windows[emission.start_ms],
            plan.factor_at(emission.start_ms),
            uncertainty_activity_pct=plan.section.uncertainty_activity_pct or 0.0,
        )
        assert emission == replace(single, revision=emission.revision)


async def test_what_was_booked_from_another_meter_is_revised_from_that_meter(bench: Bench) -> None:
    before = current(bench, "sa")
    plan = with_factor(bench.config, 0.6).sources["sa"]
    moved = replace(plan, section=msgspec.structs.replace(plan.section, stream="b.energy"))
    config = replace(bench.config, sources={**bench.config.sources, "sa": moved})
    await recalculation(bench, config).run()
    for old, new in zip(before, current(bench, "sa"), strict=True):
        assert new.inputs[0][0] == "a.energy"
        assert new.kgco2e == pytest.approx((old.kgco2e or 0) / old.factor.value * 0.6)


async def test_a_changed_share_holds_from_then_on_and_not_for_what_is_booked(bench: Bench) -> None:
    before = current(bench, "sa")
    plan = bench.config.sources["sa"]
    halved = replace(plan, section=msgspec.structs.replace(plan.section, share=0.5))
    config = replace(bench.config, sources={**bench.config.sources, "sa": halved})
    assert await recalculation(bench, config).run() == []
    await recalculation(bench, with_factor(config, 0.6)).run()
    for old, new in zip(before, current(bench, "sa"), strict=True):
        assert new.kgco2e == pytest.approx((old.kgco2e or 0) / old.factor.value * 0.6)


async def test_a_signed_month_says_that_its_factor_is_another_one(bench: Bench) -> None:
    month = "2026-11"  # of START_MS
    with bench.database.transaction() as connection:
        connection.execute(
            "INSERT INTO reviewed_figures (hash, figures) VALUES (?, 'f')", ("0" * 64,)
        )
        connection.execute(
            "INSERT INTO reviews (site, gateway, month, department, name, decision, note, "
            "figures, settled, reviewed_ms) VALUES (?, ?, ?, 'production', 'Li', 'accepted', '', "
            "?, '[]', 1)",
            (bench.owner.site, bench.owner.gateway, month, "0" * 64),
        )
    (change,) = await recalculation(bench, with_factor(bench.config, 0.6)).run()
    (told,) = adjustments_of(bench.database.connection, bench.owner, Month.parse(month))
    assert (change.month, told.source, told.reason) == (month, "sa", Reason.FACTOR)
    assert told.figures == "0" * 64
    assert told.before_kgco2e == pytest.approx(change.before_kgco2e)
    assert told.after_kgco2e == pytest.approx(change.after_kgco2e)


def test_a_source_that_moved_to_another_meter_keeps_what_it_was_booked_from(bench: Bench) -> None:
    plan = bench.config.sources["sa"]
    moved = replace(plan, section=msgspec.structs.replace(plan.section, stream="b.energy"))
    book, before = SqliteBook(bench.database.connection), current(bench, "sa")
    window = book.current_windows(bench.owner, EVERYTHING, "b.energy")[0]
    later = replace(window, start_ms=START_MS + 10 * window.length_ms * len(before), revision=0)
    with bench.database.transaction():
        booking = Booking(bench.owner, [moved, bench.config.sources["sb"]])
        _, emissions = booking.add(book, [replace(window, value=99.0), later])
    booked = [(one.source, one.start_ms, one.revision) for one in emissions]
    assert booked == [
        ("sb", window.start_ms, 1),  # whose past is that of this meter
        ("sa", later.start_ms, 0),
        ("sb", later.start_ms, 0),
    ]
    assert current(bench, "sa")[: len(before)] == before
