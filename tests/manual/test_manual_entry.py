"""Entering readings: what is refused, what is warned of and kept, what peers say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.book.sqlite import SqliteBook
from agent.core.manual_peers import Usage, check_peers, compare
from agent.core.manual_read import read_time
from agent.core.model import Provenance, Window
from tests.manual.manual_site import EIGHT_MS, HOUR_MS, ZONE, ManualBench, reading


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[ManualBench]:
    made = ManualBench(tmp_path, now_ms=EIGHT_MS + 4 * HOUR_MS)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"meter": "odl"}, "meter", "no meter that people read"),
        ({"time": "yesterday"}, "time", "is not a time"),
        ({"time": "2026-11-19 13:00"}, "time", "lies in the future"),
        ({"value": "12a"}, "value", "is not a number"),
        ({"value": ""}, "value", "missing"),
        ({"value": -1}, "value", "is negative"),
        ({"value": 100_000}, "value", "more than the register can show"),
        ({"value": None}, "value", "no current entry"),
        ({"unit": "t"}, "unit", "does not fit"),
        ({"author": ""}, "author", "missing"),
        ({"running_h": "x"}, "running_h", "is not a number"),
        ({"old_end": 5}, "new_start", "first reading of the new register"),
        ({"colour": "red"}, "colour", "unknown field"),
        ({"meter": "diesel", "value": 1}, "time", "not the end of a period"),
        ({"evidence_sha256": "0" * 64}, "evidence_sha256", "no document"),
    ],
)
def test_what_cannot_be_is_refused_with_what_would_be_right(
    bench: ManualBench, changes: dict[str, object], field: str, words: str
) -> None:
    outcome = bench.enter({**reading("09:00", 1000), **changes})
    assert not outcome.stored
    [error] = outcome.errors
    assert (error.where, words in error.what, bool(error.hint)) == (field, True, True), error
    assert bench.manual.history(bench.owner, "manual.old") == []


def test_a_register_that_goes_back_asks_for_a_replacement_or_a_correction(
    bench: ManualBench,
) -> None:
    assert bench.enter(reading("08:00", 1000), reading("10:00", 1200)).stored
    outcome = bench.enter(reading("11:00", 1100))
    assert "below 1200 kWh" in outcome.errors[0].what
    assert "replaced" in outcome.errors[0].hint
    assert "correct" in outcome.errors[0].hint
    between = bench.enter(reading("09:00", 1300))  # the next reading is lower
    assert not between.stored
    assert bench.enter(reading("11:00", 1100, old_end=1210, new_start=1000)).stored


def test_more_than_the_meter_can_count_is_refused(bench: ManualBench) -> None:
    bench.enter(reading("08:00", 1000))
    outcome = bench.enter(reading("09:00", 2001))
    assert "physically impossible" in outcome.errors[0].what
    assert bench.enter(reading("09:00", 2000)).stored


def test_a_device_cannot_have_run_longer_than_time_passed(bench: ManualBench) -> None:
    bench.enter(reading("08:00", 1000))
    [error] = bench.enter(reading("09:00", 1010, running_h=1.5)).errors
    assert (error.where, error.what) == ("running_h", "1.5 h in 1 h")


def test_nothing_is_stored_unless_all_is_good(bench: ManualBench) -> None:
    outcome = bench.enter(reading("08:00", 1000), reading("09:00", 900))
    assert not outcome.stored
    assert [error.index for error in outcome.errors] == [1]
    assert bench.manual.history(bench.owner, "manual.old") == []
    assert not bench.enter(reading("08:00", 1000), dry_run=True).stored
    assert bench.manual.history(bench.owner, "manual.old") == []


def test_the_same_time_twice_at_once_is_a_fault(bench: ManualBench) -> None:
    outcome = bench.enter(reading("08:00", 1000), reading("08:00", 1001))
    assert [(error.index, error.other) for error in outcome.errors] == [(1, 0)]


def test_what_is_odd_is_stored_and_the_warning_stays_with_it(bench: ManualBench) -> None:
    bench.enter(reading("08:00", 1000))
    outcome = bench.enter(reading("09:00", 1600))
    assert outcome.stored
    assert "outside the expected to 500 kWh/h" in outcome.warnings[0].what
    assert "outside the expected" in bench.manual.history(bench.owner, "manual.old")[-1].warning
    assert [event.subject for event in bench.events("manual.out_of_range")] == ["manual.old"]


def peer(bench: ManualBench, stream: str, kwh_per_h: float) -> None:
    """Four hours of measured windows of a peer."""
    windows = [
        Window(
            stream=stream,
            start_ms=EIGHT_MS + step * 900_000,
            length_ms=900_000,
            revision=0,
            value=kwh_per_h / 4,
            provenance=Provenance.MEASURED,
            method="register",
            coverage=1.0,
        )
        for step in range(16)
    ]
    with bench.database.transaction() as connection:
        SqliteBook(connection).add_windows(bench.owner, windows)


def test_a_reading_is_compared_with_the_median_of_three_peers(bench: ManualBench) -> None:
    for stream, kwh_per_h in (("a.energy", 100), ("b.energy", 104), ("manual.twin", 400)):
        peer(bench, stream, kwh_per_h)
    outcome = bench.enter(reading("08:00", 1000), reading("09:00", 1130))
    assert "+25% off the median of peers per running hour" in outcome.warnings[0].what
    assert bench.enter(reading("10:00", 1130 + 120)).warnings == ()
    ran_half = bench.enter(reading("11:00", 1250 + 52, running_h=0.5))
    assert ran_half.warnings == ()


def test_without_peers_its_own_history_is_the_measure(bench: ManualBench) -> None:
    bench.enter(reading("08:00", 100, "twin"), reading("09:00", 200, "twin"))
    outcome = bench.enter(reading("10:00", 330, "twin"))
    assert "+30% off the median of its own history" in outcome.warnings[0].what
    assert bench.enter(reading("11:00", 440, "twin")).warnings == ()


def test_two_peers_count_with_their_mean_and_a_known_load_goes_before_time() -> None:
    found = compare(
        Usage(amount=120, running_h=1),
        [Usage(amount=90, running_h=1), Usage(amount=110, running_h=1)],
        [],
    )
    assert found is not None
    assert (found.usual, found.count, found.per) == (100, 2, "running hour")
    half = Usage(amount=50, running_h=1, load_h=45)
    full = [Usage(amount=100, running_h=1, load_h=90)] * 3
    assert check_peers(half, full, [], share=0.2) is None
    loaded = compare(half, full, [])
    assert loaded is not None
    assert (loaded.per, loaded.deviation) == ("load", 0)
    assert compare(half, [], []) is None


usages = st.builds(Usage, amount=st.floats(0, 1e6), running_h=st.floats(0.1, 24), load_h=st.none())


@given(usages, st.lists(usages, min_size=3, max_size=7), st.floats(0.5, 2.0))
def test_one_wild_peer_of_many_changes_no_verdict_by_more_than_its_neighbours(
    own: Usage, peers: list[Usage], factor: float
) -> None:
    found = compare(own, peers, [])
    assert found is not None
    rates = [one.amount / one.running_h for one in peers]
    assert min(rates) <= found.usual <= max(rates)
    scaled = compare(Usage(amount=own.amount * factor, running_h=own.running_h * factor), peers, [])
    assert scaled is not None
    assert scaled.value == pytest.approx(found.value)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-11-19 08:00", EIGHT_MS),
        ("2026/11/19 8:00:00", EIGHT_MS),
        ("2026年11月19日 8时00", EIGHT_MS),
        ("2026-11-19T00:00Z", EIGHT_MS),
        ("2026-11-19T01:00+01:00", EIGHT_MS),
        ("2026-11-19 24:00", EIGHT_MS + 16 * HOUR_MS),
    ],
)
def test_times_are_read_as_people_write_them(text: str, utc: int) -> None:
    assert read_time(text, ZONE) == utc


@given(st.text(max_size=30))
def test_no_text_breaks_the_reading_of_times(text: str) -> None:
    try:
        assert isinstance(read_time(text, ZoneInfo("UTC")), int)
    except ValueError:
        return
