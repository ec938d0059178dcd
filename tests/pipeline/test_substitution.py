"""A rule set that asks for substitution gets it, named; without one a long gap stays missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agent.book.ports import Span
from agent.book.sqlite import SqliteBook
from agent.config.substitution import substitution_named
from agent.core.model import Provenance, Window
from agent.pipeline import substitution
from agent.pipeline.substitution import DailySubstitution, missing_gaps
from tests.fake_clock import FakeClock
from tests.pipeline.site import Bench

HOUR_MS = 3_600_000
START_MS = 1_794_960_000_000


def hour(number: int, value: float | None, *, maintenance: bool = False) -> Window:
    return Window(
        stream="a.energy",
        start_ms=START_MS + number * HOUR_MS,
        length_ms=HOUR_MS,
        revision=0,
        value=value,
        provenance=Provenance.MISSING if value is None else Provenance.MEASURED,
        method="refused:too long" if value is None else "register",
        coverage=0.0 if value is None else 1.0,
        maintenance=maintenance,
    )


LIVED = [*[100.0] * 30, *[None] * 6, 120.0, *[100.0] * 3]


def lived(folder: Path, monkeypatch: pytest.MonkeyPatch, rule: str) -> list[Window]:
    bench = Bench(folder, FakeClock(START_MS), window_s=3600)
    rules = substitution.rules_named(bench.config.site.rules)
    monkeypatch.setattr(substitution, "rules_named", lambda _: replace_rule(rules, rule))
    with bench.database.transaction() as connection:
        SqliteBook(connection).add_windows(
            bench.owner, [hour(number, value) for number, value in enumerate(LIVED)]
        )
        work = DailySubstitution(bench.config, bench.owner)
        for _ in range(2):  # a second day finds nothing left to fill
            work(connection, START_MS + 24 * HOUR_MS)
    found = SqliteBook(bench.database.connection).current_windows(
        bench.owner, Span(from_ms=0, to_ms=1 << 60), "a.energy"
    )
    bench.close()
    return list(found)


def replace_rule(rules: object, name: str) -> object:
    from msgspec.structs import replace as changed

    return changed(rules, substitution=name)  # type: ignore[type-var]


def test_without_a_rule_a_long_gap_stays_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [window.value for window in lived(tmp_path, monkeypatch, "")] == LIVED


def test_the_mean_before_and_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    windows = lived(tmp_path, monkeypatch, "us-98-35")
    filled = windows[30:36]
    assert {window.value for window in filled} == {110.0}
    assert {window.method for window in filled} == {"substitute-us-98-35"}
    assert {window.provenance for window in filled} == {Provenance.ESTIMATED}
    assert {window.revision for window in filled} == {1}
    assert {window.revision for window in windows[:30]} == {0}


def test_the_ladder_takes_its_step_by_availability(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything before the gap was measured: 100 %, and 6 h are short: before and after."""
    windows = lived(tmp_path, monkeypatch, "us-75-33")
    assert {window.value for window in windows[30:36]} == {110.0}
    assert substitution_named("us-75-33").tiers[0].longest_gap_h == 24.0


def test_a_gap_is_closed_on_both_sides_and_a_stop_is_none() -> None:
    def gaps(*values: float | None) -> list[int]:
        windows = [hour(number, value) for number, value in enumerate(values)]
        return [len(gap) for gap in missing_gaps(windows)]

    assert gaps(1.0, None, None, 2.0, None, 3.0) == [2, 1]
    assert gaps(None, None, 1.0, None) == []
    untried = [hour(0, 1.0), replace(hour(1, None), method="long-gap"), hour(2, 1.0)]
    assert list(missing_gaps(untried)) == []  # the ladder has not seen it yet
    stopped = [hour(0, 1.0), hour(1, None, maintenance=True), hour(2, 1.0)]
    assert list(missing_gaps(stopped)) == []
    torn = [hour(0, 1.0), hour(1, None), replace(hour(2, None), start_ms=START_MS + 9 * HOUR_MS)]
    assert list(missing_gaps(torn)) == []
