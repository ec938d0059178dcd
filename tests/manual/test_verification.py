"""Estimates that stood for a silent meter become tasks; what is verified changes sums exactly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.book.adjustments import adjustments_of
from agent.book.reports import month_report
from agent.book.verifications import verifications_of, windows_of_task
from agent.config.language import load_language
from agent.config.report_site import report_reference
from agent.core.errors import UsageError
from agent.core.model import Provenance, Window
from agent.core.report.month import Month
from agent.core.verification import verified
from agent.daemon.manual_tasks import settle, tasks_of_gateway, verification_tasks
from agent.web.manual_view import VerifyOutcome, VerifySubmission
from agent.web.report.document import document
from agent.web.report.tables import tables_of
from agent.web.report.words import ReportWords
from tests.manual.manual_site import EIGHT_MS, GRID_2023, ManualBench

TASK = "a.energy@2026-11-19T00:45:00Z"


def window(number: int, value: float | None) -> Window:
    return Window(
        stream="a.energy",
        start_ms=EIGHT_MS + number * 900_000,
        length_ms=900_000,
        revision=2,
        value=value,
        provenance=Provenance.MISSING if value is None else Provenance.ESTIMATED,
        method="short-gap",
        coverage=0.25,
        load=90.0,
    )


def test_a_verified_total_keeps_the_shape_of_the_estimate() -> None:
    made = verified([window(0, 100), window(1, 300)], 440)
    assert [one.value for one in made] == [110, 330]
    assert {(one.provenance, one.method, one.load) for one in made} == {
        (Provenance.VERIFIED, "verified-total", 90.0)
    }


def test_windows_without_value_get_the_mean_rate_or_even_parts() -> None:
    assert [one.value for one in verified([window(0, 10), window(1, None)], 30)] == [15, 15]
    assert [one.value for one in verified([window(0, None), window(1, None)], 5)] == [2.5, 2.5]
    assert [one.value for one in verified([window(0, 0), window(1, 0)], 5)] == [2.5, 2.5]


@given(
    st.lists(st.none() | st.integers(0, 10**9).map(lambda n: n / 1e6), min_size=1, max_size=50),
    st.integers(0, 10**10).map(lambda n: n / 1e6),
)
def test_verified_windows_add_up_to_the_total(values: list[float | None], total: float) -> None:
    made = verified([window(number, value) for number, value in enumerate(values)], total)
    assert all(one.value is not None and one.value >= 0 for one in made)
    micro = sum(round((one.value or 0) * 1e6) for one in made)
    assert micro == round(total * 1e6)


@given(st.lists(st.integers(1, 10**9).map(lambda n: n / 1e6), min_size=1, max_size=30))
def test_filled_then_verified_is_what_was_measured(truth: list[float]) -> None:
    estimate = [window(number, value * 1.25) for number, value in enumerate(truth)]
    made = verified(estimate, sum(truth))
    assert [one.value for one in made] == pytest.approx(truth, abs=2e-6)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[ManualBench]:
    """A meter that was silent from 8:50 to 9:20 and came back with a register from zero."""
    made = ManualBench(tmp_path, sealed=True)
    count(made, 3000, 1000.0)
    made.clock.advance(1800)
    count(made, 2700, 0.0)
    made.run()
    yield made
    made.close()


def count(bench: ManualBench, seconds: int, register: float) -> None:
    """Read meter a once a second while it counts 0.1 kWh each."""
    for second in range(seconds):
        bench.clock.advance(1)
        samples = [
            bench.sample("a.energy", round(register + 0.1 * second, 2)),
            bench.sample("a.load", 90.0),
        ]
        bench.live.update(samples)
        bench.recorder.put(samples)


def answer(bench: ManualBench, task: str = TASK, **fields: object) -> VerifyOutcome:
    submission = VerifySubmission(task=task, author="李四", **fields)  # type: ignore[arg-type]
    now_ms = bench.clock.now_ms()
    return settle(bench.database, bench.owner, bench.config, submission, now_ms)


def total(bench: ManualBench) -> float:
    return sum(one.value or 0.0 for one in bench.windows("a.energy"))


def test_an_estimate_becomes_a_task_once_the_meter_answers(bench: ManualBench) -> None:
    connection, config = bench.database.connection, bench.config
    [task] = [
        one
        for one in verification_tasks(connection, bench.owner, config)
        if one.stream == "a.energy"
    ]
    assert task.id == TASK
    assert task.missing == 0
    windows = windows_of_task(connection, bench.owner, task)
    assert {one.provenance for one in windows} == {Provenance.ESTIMATED}
    assert (len(windows), windows[-1].end_ms) == (task.windows, task.end_ms)
    assert task.estimate == pytest.approx(270, abs=0.5)
    shown = tasks_of_gateway(connection, bench.owner, config, bench.clock.now_ms())
    assert [one.id for one in shown.to_verify] == [TASK]


def test_a_verified_value_changes_the_sums_by_exactly_the_difference(bench: ManualBench) -> None:
    before = total(bench)
    revisions = bench.revisions("a.energy")
    emitted = sum(one.kgco2e or 0 for one in bench.emissions("sa"))
    outcome = answer(bench, value=300.0)
    assert (outcome.decision, outcome.after, outcome.adjusted) == ("measured", 300.0, ())
    assert outcome.before is not None
    difference = 300.0 - outcome.before
    assert total(bench) - before == pytest.approx(difference, abs=1e-6)
    assert bench.revisions("a.energy") == revisions + outcome.windows
    after = sum(one.kgco2e or 0 for one in bench.emissions("sa"))
    assert after - emitted == pytest.approx(difference * GRID_2023, abs=1e-6)
    changed = [one for one in bench.windows("a.energy") if one.provenance is Provenance.VERIFIED]
    assert len(changed) == outcome.windows
    assert sum(one.value or 0 for one in changed) == pytest.approx(300, abs=1e-9)
    assert not verification_tasks(bench.database.connection, bench.owner, bench.config)
    bench.clock.advance(3600)
    bench.run()
    again = [one for one in bench.windows("a.energy") if one.provenance is Provenance.VERIFIED]
    assert again == changed


def test_an_accepted_estimate_stays_and_says_who_accepted_it(bench: ManualBench) -> None:
    before = bench.windows("a.energy")
    outcome = answer(bench, accept=True, note="对照 DCS")
    assert (outcome.decision, outcome.windows) == ("accepted", 0)
    assert bench.windows("a.energy") == before
    [kept] = verifications_of(bench.database.connection, bench.owner)
    assert (kept.author, kept.note, kept.before) == ("李四", "对照 DCS", kept.after)
    assert not verification_tasks(bench.database.connection, bench.owner, bench.config)
    [event] = bench.events("windows.verified")
    assert json.loads(event.detail)["author"] == "李四"
    with pytest.raises(UsageError, match="no task"):
        answer(bench, value=1.0)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "give a value, or accept"),
        ({"value": 1.0, "accept": True}, "give a value, or accept"),
        ({"value": -1.0}, "cannot be"),
        ({"value": float("nan")}, "cannot be"),
        ({"value": 10_000_000.0}, "cannot be"),
        ({"value": 1.0, "unit": "t"}, "mass"),
        ({"task": "a.energy@2020-01-01T00:00:00Z", "accept": True}, "no task"),
    ],
)
def test_what_cannot_be_verified_is_refused(
    bench: ManualBench, fields: dict[str, object], words: str
) -> None:
    before = bench.revisions("a.energy")
    with pytest.raises(UsageError, match=words):
        answer(bench, **fields)  # type: ignore[arg-type]
    assert bench.revisions("a.energy") == before
    assert verifications_of(bench.database.connection, bench.owner) == []


def test_a_value_in_another_unit_is_converted(bench: ManualBench) -> None:
    assert answer(bench, value=0.3, unit="MWh").after == 300.0


def test_a_verification_needs_a_name(bench: ManualBench) -> None:
    submission = VerifySubmission(task=TASK, author=" ", accept=True)
    with pytest.raises(UsageError, match="name"):
        settle(bench.database, bench.owner, bench.config, submission, 0)


def test_a_signed_month_gets_an_adjustment(bench: ManualBench) -> None:
    bench.sign("2026-11")
    emitted = sum(one.kgco2e or 0 for one in bench.emissions("sa"))
    outcome = answer(bench, value=300.0)
    assert outcome.adjusted == ("2026-11",)
    [adjustment] = adjustments_of(bench.database.connection, bench.owner, Month(2026, 11))
    assert (adjustment.source, adjustment.reason, adjustment.author, adjustment.figures) == (
        "sa",
        "verified",
        "李四",
        "f1",
    )
    assert adjustment.before_kgco2e == pytest.approx(emitted)
    assert adjustment.difference_kgco2e == pytest.approx(
        (300.0 - (outcome.before or 0)) * GRID_2023
    )
    assert adjustments_of(bench.database.connection, bench.owner, Month(2026, 10)) == []
    report = month_report(
        bench.database.connection,
        report_reference(bench.config),
        [bench.owner],
        Month(2026, 11),
        bench.clock.now_ms(),
    )
    assert report.adjustments == (adjustment,)
    language = load_language("zh-CN")
    table = tables_of(report, ReportWords.of(report, language))["adjustments"]
    assert (table.title, table.rows[0][5]) == ("签署后的调整", "推算数据已核实")
    assert document(report, language)["adjustments"][0]["author"] == "李四"
