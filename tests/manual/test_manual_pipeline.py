"""Readings that people took become windows and emissions; late and corrected ones revise them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.core.chain import SigningKey
from agent.core.manual import ManualEntry
from agent.core.model import Event, Provenance
from agent.core.payload import decode_records, parse_batch
from agent.ledger.booked import Booked
from agent.ledger.database import open_ledger
from agent.ledger.intake import Delivery, Intake
from agent.ledger.storage import LedgerStorage
from agent.ledger.verify import verify
from tests.manual.manual_site import (
    EIGHT_MS,
    GRID_2023,
    HOUR_MS,
    TABLES,
    ManualBench,
    reading,
)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[ManualBench]:
    made = ManualBench(tmp_path, sealed=True)
    yield made
    made.close()


def later(bench: ManualBench, hours: float) -> None:
    bench.clock.advance(hours * 3600)


def overdue(bench: ManualBench) -> list[Event]:
    return [one for one in bench.events("manual.overdue") if one.subject == "manual.old"]


def test_two_readings_become_windows_and_their_emissions(bench: ManualBench) -> None:
    later(bench, 3)
    outcome = bench.enter(reading("08:00", 1000), reading("10:00", 1080))
    assert outcome.stored, outcome.errors
    bench.run()
    found = bench.windows()
    assert [window.value for window in found] == [10.0] * 8
    assert {(window.provenance, window.method) for window in found} == {
        (Provenance.MANUAL, "manual-register")
    }
    assert all(window.coverage == 1.0 for window in found)
    booked = bench.emissions("so")
    assert sum(one.kgco2e or 0 for one in booked) == pytest.approx(80 * GRID_2023)
    assert all(one.estimated_share == 0 for one in booked)


def test_running_again_books_nothing_again(bench: ManualBench) -> None:
    later(bench, 3)
    bench.enter(reading("08:00", 1000), reading("10:00", 1080))
    bench.run()
    before = bench.revisions()
    assert bench.enter(reading("10:00", 1080)).entries[0].change == "unchanged"
    later(bench, 0.1)
    bench.run()
    assert bench.revisions() == before


def test_a_late_reading_revises_only_what_it_touches(bench: ManualBench) -> None:
    later(bench, 4.1)
    bench.enter(reading("08:00", 1000), reading("09:00", 1010), reading("12:00", 1070))
    bench.run()
    before = {window.start_ms: window for window in bench.windows()}
    bench.enter(reading("10:30", 1022.5))
    bench.run()
    after = {window.start_ms: window for window in bench.windows()}
    touched = [start for start in after if after[start].revision > before[start].revision]
    assert touched == [EIGHT_MS + HOUR_MS + step * 900_000 for step in range(12)]
    assert sum(window.value or 0 for window in after.values()) == pytest.approx(70)
    assert [after[start].value for start in touched] == pytest.approx(
        [12.5 / 6] * 6 + [47.5 / 6] * 6, abs=1e-6
    )
    emissions = bench.emissions("so")
    assert sum(one.kgco2e or 0 for one in emissions) == pytest.approx(70 * GRID_2023)
    assert {one.revision for one in emissions} == {0, 1}


def test_a_correction_changes_sums_by_its_difference(bench: ManualBench) -> None:
    later(bench, 3)
    bench.enter(reading("08:00", 1000), reading("09:00", 1010), reading("10:00", 1020))
    bench.run()
    outcome = bench.enter(reading("10:00", 1026, note="misread"))
    assert (outcome.entries[0].change, outcome.entries[0].former_value) == ("revised", 1020)
    bench.run()
    found = bench.windows()
    assert sum(window.value or 0 for window in found) == pytest.approx(26)
    assert [window.revision for window in found] == [0] * 4 + [1] * 4
    history = bench.manual.history(bench.owner, "manual.old")
    assert [(one.value, one.revision) for one in history][-2:] == [(1020, 0), (1026, 1)]


def test_what_is_retired_leaves_windows_without_value(bench: ManualBench) -> None:
    later(bench, 3)
    bench.enter(reading("08:00", 1000), reading("09:00", 1010), reading("10:00", 1020))
    bench.run()
    assert bench.enter(reading("10:00", None)).entries[0].change == "retired"
    bench.run()
    found = bench.windows()
    assert [window.value for window in found] == [2.5] * 4 + [None] * 4
    assert {window.provenance for window in found[4:]} == {Provenance.MISSING}
    assert [one.kgco2e for one in bench.emissions("so")][4:] == [None] * 4


def test_a_replaced_meter_goes_on_counting(bench: ManualBench) -> None:
    later(bench, 2)
    bench.enter(
        reading("08:00", 90_000),
        reading("09:00", 12, old_end=90_030, new_start=2),
    )
    bench.run()
    assert sum(window.value or 0 for window in bench.windows()) == pytest.approx(40)


def test_an_overdue_reading_is_told_once_and_its_windows_are_missing(bench: ManualBench) -> None:
    later(bench, 1)
    bench.enter(reading("08:00", 1000), reading("08:50", 1010))
    bench.run()
    assert overdue(bench) == []
    later(bench, 2.6)  # 11:36: 10:00 and 11:00 are overdue
    bench.run()
    bench.run()
    [event] = overdue(bench)
    assert event.detail == "due=2026-11-19T03:00:00.000Z missed=2"
    found = bench.windows()
    assert [window.value for window in found[:3]] == [3.0, 3.0, 3.0]
    assert [window.value for window in found[3:]] == [None] * 9
    assert {window.method for window in found[3:]} == {"manual-absent"}
    bench.enter(reading("11:30", 1052))
    bench.run()
    found = bench.windows()
    assert sum(window.value or 0 for window in found) == pytest.approx(52)
    assert all(window.provenance is Provenance.MANUAL for window in found)
    assert overdue(bench) == [event]


def test_an_amount_of_a_shift_is_missing_when_nobody_wrote_it_down(bench: ManualBench) -> None:
    later(bench, 8)
    assert bench.enter(reading("16:00", 3200, "diesel")).stored
    bench.run()
    found = bench.windows("manual.diesel")
    assert len(found) == 32
    assert sum(window.value or 0 for window in found) == pytest.approx(3.2)  # in tonnes
    later(bench, 10.5)
    bench.run()
    found = bench.windows("manual.diesel")
    assert [window.value is None for window in found] == [False] * 32 + [True] * 32


def test_slices_of_a_long_import_are_cut_alike(tmp_path: Path) -> None:
    made = ManualBench(tmp_path, now_ms=EIGHT_MS + 20 * 24 * HOUR_MS)
    try:
        entries = [reading(f"2026-11-{19 + day} 08:00", 10.0 * day) for day in range(12)]
        assert made.enter(*entries).stored
        made.run()
        found = [window for window in made.windows() if window.value is not None]
        assert sum(window.value or 0 for window in found) == pytest.approx(110)
        assert len(found) == 11 * 96
    finally:
        made.close()


def test_readings_reach_the_ledger_and_stay_what_they_are(
    bench: ManualBench, tmp_path: Path
) -> None:
    later(bench, 3)
    bench.enter(reading("08:00", 1000), reading("10:00", 1080, note="换表前"))
    bench.enter(reading("10:00", 1081))
    bench.run()
    ledger, owner = open_ledger(tmp_path / "ledger.db"), bench.owner
    with ledger.transaction() as connection:
        key = SigningKey.from_seed(bytes(range(32))).public
        LedgerStorage(connection).enrol(owner, key, 0)
    intake = Intake(ledger, bench.clock)
    entries = []
    for data in bench.batches():
        intake.take([Delivery(owner=owner, body=data, user={})])
        records = decode_records(parse_batch(data))
        entries += [record for record in records if isinstance(record, ManualEntry)]
    assert [(one.value, one.revision) for one in entries] == [(1000, 0), (1080, 0), (1081, 1)]
    booked = Booked(ledger.connection)
    assert [found[1] for one in entries if (found := booked.find(owner, one))] == entries
    assert verify(ledger).ok
    ledger.close()


def test_a_year_between_two_readings_is_cut_in_pieces(tmp_path: Path) -> None:
    """Killed after some of them it goes on, and the author of the entry is not forgotten."""
    bench = ManualBench(tmp_path, now_ms=EIGHT_MS + HOUR_MS)
    outcome = bench.enter(reading("2025-11-19 08:00", 1000), reading("08:00", 1000 + 365 * 24))
    assert outcome.stored, outcome.errors
    for number, _ in enumerate(bench.pipeline.pieces(bench.clock.now_ms())):
        if number == 20:
            break
    begun = len(bench.windows())
    assert 0 < begun < 365 * 96
    bench.close()
    bench = ManualBench(tmp_path, now_ms=EIGHT_MS + HOUR_MS)
    bench.run()
    found = bench.windows()
    assert len(found) == bench.revisions() == 365 * 96
    assert sum(window.value or 0 for window in found) == pytest.approx(365 * 24)
    bench.run()
    assert bench.revisions() == len(found)
    bench.close()


def test_readings_of_another_year_are_refused(bench: ManualBench) -> None:
    later(bench, 3)
    outcome = bench.enter(reading("2016-11-19 08:00", 990), reading("08:00", 1000))
    assert not outcome.stored
    assert [one.where for one in outcome.errors] == ["time"]
    assert "2016-11-19" in outcome.errors[0].what


def test_a_correction_after_another_window_length_counts_once(tmp_path: Path) -> None:
    bench = ManualBench(tmp_path)
    later(bench, 3)
    bench.enter(reading("08:00", 1000), reading("09:45", 1070), reading("10:00", 1080))
    bench.run()
    bench.close()
    bench = ManualBench(tmp_path, now_ms=EIGHT_MS + 5 * HOUR_MS, window_s=600)
    bench.enter(reading("10:00", 1090), reading("12:00", 1110))
    bench.run()
    found = sorted(bench.windows(), key=lambda window: window.start_ms)
    assert sum(window.value or 0 for window in found) == pytest.approx(110)
    assert [one.end_ms for one in found[:-1]] == [one.start_ms for one in found[1:]]
    assert {window.length_ms for window in found} == {900_000, 600_000}
    bench.close()


def test_a_correction_of_a_period_that_was_longer_leaves_nothing_of_it(tmp_path: Path) -> None:
    """An amount of 12 hours, corrected after the site file went over to shifts of 8 hours."""
    halves = TABLES.replace('"early"\nstart = "08:00"', '"early"\nstart = "12:00"')
    halves = halves.replace('[[shift]]\nid = "late"\nstart = "16:00"\n', "")
    bench = ManualBench(tmp_path, now_ms=EIGHT_MS + 24 * HOUR_MS, tables=halves)
    outcome = bench.enter(reading("2026-11-20 00:00", 120, meter="diesel"))
    assert outcome.stored, outcome.errors
    bench.run()
    bench.close()
    bench = ManualBench(tmp_path, now_ms=EIGHT_MS + 25 * HOUR_MS)
    bench.enter(reading("2026-11-20 00:00", 80, meter="diesel"))
    bench.run()
    diesel = bench.windows("manual.diesel")
    assert sum(window.value or 0 for window in diesel) == pytest.approx(0.08)
    bench.close()


def test_a_gateway_whose_meters_people_read_starts_again(tmp_path: Path) -> None:
    bench = ManualBench(tmp_path, now_ms=EIGHT_MS + 3 * HOUR_MS)
    bench.enter(reading("08:00", 1000), reading("10:00", 1080))
    bench.run()
    bench.close()
    ManualBench(tmp_path, now_ms=EIGHT_MS + 4 * HOUR_MS).close()
