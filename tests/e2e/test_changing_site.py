"""Faulty, changed and broken site files, targets that come later, and a polite end."""

from __future__ import annotations

from itertools import pairwise

from tests.e2e.changing_site import REMOVED_METER, WRONG_METER, Changes
from tests.e2e.three_books import (
    RECORDS,
    assert_books_agree,
    emission_runs,
    rows,
    windows_of,
)


def faults(status: dict, *, warnings: bool = False) -> list[str]:  # type: ignore[type-arg]
    return [f["path"] for f in status["site"]["faults"] if f["warning"] is warnings]


def test_the_check_tells_all_faults_one_line_each(changes: Changes) -> None:
    assert changes.check_faulty.returncode == 3
    lines = changes.check_faulty.stdout.splitlines()
    assert sum("bus[gas].driver" in line and "modbus-tcp" in line for line in lines) == 1
    wrong = f"meter[{WRONG_METER}].template"
    assert sum(wrong in line and "tuf-2000" in line for line in lines) == 1
    assert "2 faults" in lines[-1]


def test_the_daemon_runs_on_what_is_good_and_shows_the_rest(changes: Changes) -> None:
    assert faults(changes.faulty) == ["bus[gas].driver", f"meter[{WRONG_METER}].template"]
    assert "bus[gas]" in faults(changes.faulty, warnings=True)
    states = {bus["id"]: (bus["state"], bus["meters_total"]) for bus in changes.faulty["buses"]}
    assert states == {"rs485-1": ("ok", 5), "rs485-2": ("ok", 6)}
    assert changes.faulty["alive"]
    assert "bus[gas].driver" in changes.alone_page


def test_without_a_target_it_stands_alone(changes: Changes) -> None:
    assert changes.faulty["targets"] == []
    assert changes.alone_batches == 0
    assert len({row[0] for row in changes.alone_windows}) == 11
    assert "原料破碎机" in changes.alone_page


def test_a_bus_that_did_not_change_polls_on(changes: Changes) -> None:
    """A bus that is opened anew counts its exchanges from zero."""
    counted = [exchanges for _, exchanges in changes.steady]
    assert all(before < after for before, after in pairwise(counted)), changes.steady
    for windows in (windows_of(changes.site.gateway_db)["em-crusher.energy"],):
        reloaded = [w for w in windows if w.end_ms > changes.removed_ms][:2]
        assert [w.coverage for w in reloaded] == [1.0, 1.0]


def test_repaired_parts_start_and_a_removed_meter_ends(changes: Changes) -> None:
    assert faults(changes.repaired) == []
    totals = {bus["id"]: bus["meters_total"] for bus in changes.repaired["buses"]}
    assert totals == {"rs485-1": 5, "rs485-2": 6, "gas": 1}
    streams = windows_of(changes.site.gateway_db)
    assert streams[REMOVED_METER + ".energy"][-1].start_ms <= changes.removed_ms
    assert len(streams["gas-f103.volume"]) >= 2
    assert len(streams[WRONG_METER + ".heat"]) >= 2


def test_a_broken_file_changes_nothing_and_is_told(changes: Changes) -> None:
    assert changes.broken["site"]["config_hash"] == changes.repaired["site"]["config_hash"]
    assert len(faults(changes.broken)) == 1
    assert changes.broken["alive"]
    assert faults(changes.broken)[0] in changes.broken_page
    assert [bus["id"] for bus in changes.broken["buses"]] == ["rs485-1", "rs485-2", "gas"]


def test_a_target_that_comes_later_is_served_from_the_first_window_on(changes: Changes) -> None:
    assert faults(changes.with_target) == []
    (target,) = changes.with_target["targets"]
    assert target["outbox_depth"] == 0
    delivered = set(rows(changes.site.ledger_db, RECORDS["windows"]))
    assert set(changes.alone_windows) <= delivered
    assert_books_agree(changes.site)


def test_a_second_target_gets_everything_too(changes: Changes) -> None:
    ledger, province = sorted(changes.two_targets["targets"], key=lambda item: item["id"])
    assert province["confirm"] == "puback"
    assert province["batches_receipted"] == ledger["batches_receipted"] >= 4
    assert province["outbox_depth"] == 0


def test_sigterm_ends_cleanly_with_the_last_cycle_written(changes: Changes) -> None:
    assert (changes.stop_code, changes.exit_code) == (0, 0)
    log = changes.site.gateway.output()
    assert "Traceback" not in log
    assert log.count("gateway.stopped") == log.count("gateway.started") == 2
    assert len(changes.seen_registers) == 12
    for stream, seen_ms in changes.seen_registers.items():
        assert changes.kept_registers[stream] >= seen_ms, stream


def test_every_source_meets_the_truth_across_the_changes(changes: Changes) -> None:
    for runs in emission_runs(changes.site.gateway_db, changes.site.ledger_db).values():
        for run in runs:
            assert run.within, run
