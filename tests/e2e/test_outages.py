"""kill -9 of gateway, ledger and broker in mid-run: nothing lost, nothing doubled, chain whole."""

from __future__ import annotations

from tests.e2e.outages import SEED, Outages
from tests.e2e.three_books import (
    assert_books_agree,
    emission_runs,
    holes,
    rows,
    windows_of,
)


def test_every_part_was_killed_many_times(outages: Outages) -> None:
    print(f"seed {SEED}: {outages.killed}")
    assert {name: len(times) for name, times in outages.killed.items()} == {
        "gateway": 7,
        "ledger": 6,
        "broker": 6,
    }
    assert outages.exit_code == 0


def test_gateway_and_ledger_agree_to_the_last_digit(outages: Outages) -> None:
    assert_books_agree(outages.site)


def test_no_window_is_missing(outages: Outages) -> None:
    streams = windows_of(outages.site.gateway_db)
    assert len(streams) == 13
    for windows in streams.values():
        assert holes(windows) == []
        assert {window.provenance for window in windows} <= {"measured", "allocated"}


def test_the_long_outage_is_allocated_and_its_total_measured(outages: Outages) -> None:
    """The registers counted on: windows over the outage share what they show afterwards."""
    down_ms, up_ms = outages.killed["gateway"][0]
    for stream, windows in windows_of(outages.site.gateway_db).items():
        spoilt = [w for w in windows if w.start_ms < up_ms and w.end_ms > down_ms]
        assert len(spoilt) >= 2, stream
        assert "allocated" in {window.provenance for window in spoilt}, stream
        assert min(window.coverage for window in spoilt) < 1.0


def test_every_source_meets_the_truth_over_all_outages(outages: Outages) -> None:
    runs = emission_runs(outages.site.gateway_db, outages.site.ledger_db)
    assert len(runs) == 13
    for source, spans in runs.items():
        assert len(spans) == 1, f"{source} has holes: {spans}"
        assert spans[0].within, spans[0]


def test_the_chain_is_one_epoch_without_a_hole(outages: Outages) -> None:
    sealed = rows(outages.site.gateway_db, "SELECT epoch, seq, hash FROM batches ORDER BY seq")
    assert len({epoch for epoch, _, _ in sealed}) == 1
    assert [seq for _, seq, _ in sealed] == list(range(1, len(sealed) + 1))
    stored = rows(outages.site.ledger_db, "SELECT epoch, seq, hash FROM batches ORDER BY seq")
    assert stored == sealed
    alarms = rows(outages.site.ledger_db, "SELECT code, detail FROM alarms")
    assert alarms == []


def test_nothing_crashed_but_by_our_hand(outages: Outages) -> None:
    for child in (outages.site.gateway, outages.site.ledger, outages.site.plant):
        assert "Traceback" not in child.output(), child.name
