"""Faults on the wire and in meters: marked, booked as events, and never a wrong amount."""

from __future__ import annotations

import pytest

from agent.config.load import load_site
from tests.e2e.faulty_plant import DEAD_FOR_S, FaultyPlant
from tests.e2e.three_books import (
    RECORDS,
    Current,
    assert_books_agree,
    emission_runs,
    holes,
    rows,
    windows_of,
)

DEAD = "em-reactor.energy"
HEALTHY_BESIDE_IT = ("em-crusher.energy", "heat-reactor.heat", "em-column.energy")
UNKNOWN_TOTAL = {"em-compressor.energy": "reset", "em-cooling.energy": "jump"}


def events(plant: FaultyPlant, subject: str) -> list[str]:
    """Codes of the events of one stream or meter in time order."""
    found = sorted(rows(plant.site.gateway_db, RECORDS["events"]))
    return [code for _, code, about, _, _ in found if about == subject]


def within_dead_span(plant: FaultyPlant, windows: list[Current]) -> list[Current]:
    first_ms, last_ms = plant.at_ms(1), plant.at_ms(DEAD_FOR_S)
    return [w for w in windows if w.start_ms >= first_ms and w.end_ms <= last_ms]


def test_gateway_and_ledger_agree_to_the_last_digit(faulty_plant: FaultyPlant) -> None:
    assert faulty_plant.exit_code == 0
    assert_books_agree(faulty_plant.site)


def test_a_dead_meter_is_estimated_and_marked_at_first(faulty_plant: FaultyPlant) -> None:
    revisions = sorted(rows(faulty_plant.site.gateway_db, RECORDS["windows"]))
    dead = {w.start_ms for w in within_dead_span(faulty_plant, windows_of(
        faulty_plant.site.gateway_db)[DEAD])}  # fmt: skip
    assert len(dead) >= 2
    first = [row for row in revisions if row[0] == DEAD and row[1] in dead and row[3] == 0]
    assert {row[5] for row in first} == {"estimated"}
    assert {row[6] for row in first} == {"short-gap"}
    assert all(row[4] > 0 for row in first)
    shown = faulty_plant.dead_devices["r201"]
    assert shown["state"] == "dead"
    assert shown["emission_estimated_share"] > 0


def test_its_register_then_replaces_what_was_estimated(faulty_plant: FaultyPlant) -> None:
    windows = windows_of(faulty_plant.site.gateway_db)[DEAD]
    assert holes(windows) == []
    for window in within_dead_span(faulty_plant, windows):
        assert window.provenance == "allocated"
        assert window.method == "register-allocated"
        assert window.revision >= 1
    assert "gap.opened" in events(faulty_plant, DEAD)
    assert "gap.closed" in events(faulty_plant, DEAD)
    assert events(faulty_plant, "em-reactor") == ["meter.dead", "meter.answers"]


def test_meters_beside_a_dead_one_are_not_disturbed(faulty_plant: FaultyPlant) -> None:
    streams = windows_of(faulty_plant.site.gateway_db)
    for stream in HEALTHY_BESIDE_IT:
        for window in within_dead_span(faulty_plant, streams[stream]):
            assert (window.provenance, window.coverage) == ("measured", 1.0), window
    assert faulty_plant.dead_devices["crusher"]["state"] == "ok"


def test_no_window_is_missing_or_impossible(faulty_plant: FaultyPlant) -> None:
    limits = load_site(faulty_plant.site.site_file).streams
    for stream, windows in windows_of(faulty_plant.site.gateway_db).items():
        assert holes(windows) == []
        limit = limits[stream]
        assert limit.max_rate_per_h is not None
        possible = limit.max_rate_per_h * 5 / 3600 + limit.resolution
        for window in windows:
            assert window.value is not None
            assert -1e-9 <= window.value <= possible, window


def test_every_known_total_meets_the_truth(faulty_plant: FaultyPlant) -> None:
    """Only where a counter was reset or jumped is a total unknown: there it is marked."""
    site = faulty_plant.site
    for source, runs in emission_runs(site.gateway_db, site.ledger_db).items():
        for run in runs:
            assert run.within, run
        assert sum(run.to_ms - run.from_ms for run in runs) >= 10_000, source
    streams = windows_of(site.gateway_db)
    for stream in UNKNOWN_TOTAL:
        estimated = [w for w in streams[stream] if w.provenance == "estimated"]
        assert 1 <= len(estimated) <= 4, stream


def test_every_emission_names_the_current_revision_of_its_window(
    faulty_plant: FaultyPlant,
) -> None:
    current = {
        (stream, window.start_ms): window.revision
        for stream, windows in windows_of(faulty_plant.site.gateway_db).items()
        for window in windows
    }
    newest = {}
    for row in sorted(rows(faulty_plant.site.gateway_db, RECORDS["emissions"])):
        newest[row[0], row[1]] = row[-1]
    assert newest
    for (_, start_ms), inputs in newest.items():
        stream, revision = inputs.strip("[]").split(",")
        assert current[stream.strip('"'), start_ms] == int(revision)


@pytest.mark.parametrize(
    ("subject", "code"),
    [
        ("em-crusher.energy", "counter.transient_zero"),
        ("em-fan.energy", "counter.transient_zero"),
        ("em-compressor.energy", "counter.reset"),
        ("em-cooling.energy", "counter.wrap"),
        ("em-lighting.energy", "gap.closed"),
    ],
)
def test_what_happened_to_a_counter_is_an_event(
    faulty_plant: FaultyPlant, subject: str, code: str
) -> None:
    assert events(faulty_plant, subject).count(code) >= 1


def test_lost_connections_come_back(faulty_plant: FaultyPlant) -> None:
    buses = {bus["id"]: bus for bus in faulty_plant.last_status["buses"]}
    assert buses["gas"]["state"] == "ok"
    assert buses["dcs"]["state"] == "ok"
    assert buses["rs485-2"]["invalid"] > 0
    log = faulty_plant.site.gateway.output()
    assert "bus:gas" in log
    assert "bus:dcs" in log
    assert "Traceback" not in log
