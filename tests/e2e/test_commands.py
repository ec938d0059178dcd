"""The commands of a technician beside a running gateway, and what they say when it goes wrong."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.e2e.plant_site import PlantSite, tanshu

COMMANDS = ("run", "plant", "ledger", "config", "status", "doctor", "db")


def test_help_lists_every_command() -> None:
    done = tanshu("--help")
    assert done.returncode == 0
    for command in COMMANDS:
        assert f"\n  {command} " in done.stdout
        assert tanshu(command, "--help").returncode == 0


def test_status_of_a_running_gateway(standing_site: PlantSite) -> None:
    done = tanshu("status", "--url", standing_site.url, "--json")
    report = json.loads(done.stdout)
    # the source of the meter that never answers has no figure: a problem as soon as it is due
    assert done.returncode == (3 if report["problems"] else 0), done.stdout
    assert {problem["where"] for problem in report["problems"]} <= {"f103"}
    assert report["site"]["id"] == "plant-1"
    assert {bus["id"] for bus in report["buses"]} == {"rs485-1", "rs485-2", "gas", "dcs"}
    (target,) = report["targets"]
    assert target["state"] == "connected"
    assert target["batches_receipted"] >= 2
    text = tanshu("status", "--url", standing_site.url)
    assert text.returncode in {0, 3}
    assert "rs485-2" in text.stdout
    assert "6/7" in text.stdout  # one meter never answers


def test_doctor_beside_a_running_gateway_disturbs_nothing(standing_site: PlantSite) -> None:
    before = {bus["id"]: bus["invalid"] for bus in standing_site.status()["buses"]}
    done = tanshu("doctor", "--config", str(standing_site.site_file), "--json")
    findings = json.loads(done.stdout)
    assert done.returncode in {0, 3}
    assert (done.returncode == 3) == any(item["state"] == "problem" for item in findings)
    states = {item["check"]: item["state"] for item in findings}
    assert states["target ledger"] == states["bus gas"] == states["bus dcs"] == "ok"
    assert states["store"] == "ok"
    assert all(item["hint"] for item in findings if item["state"] == "problem")
    standing_site.wait_for_windows(1)
    after = {bus["id"]: bus["invalid"] for bus in standing_site.status()["buses"]}
    assert after == before


def test_query_reads_and_never_writes(standing_site: PlantSite) -> None:
    config = ("--config", str(standing_site.site_file))
    done = tanshu("db", "query", "SELECT count(*) AS n FROM windows", *config, "--json")
    assert done.returncode == 0, done.stderr
    # 12 of the 13 streams: one meter of this site never answers
    assert json.loads(done.stdout)["n"] >= 12
    table = tanshu("db", "query", "SELECT name FROM series LIMIT 3", *config)
    assert table.returncode == 0
    for statement in ("DELETE FROM windows", "DROP TABLE batches", "PRAGMA user_version = 7"):
        refused = tanshu("db", "query", statement, *config)
        assert refused.returncode == 2, statement
        assert len(refused.stderr.splitlines()) == 1
    again = tanshu("db", "query", "SELECT count(*) AS n FROM windows", *config, "--json")
    assert json.loads(again.stdout)["n"] >= json.loads(done.stdout)["n"]


def test_export_prints_a_whole_table(standing_site: PlantSite) -> None:
    config = ("--config", str(standing_site.site_file))
    listed = tanshu("db", "export", *config, "--json")
    tables = {row["table"]: row["rows"] for row in map(json.loads, listed.stdout.splitlines())}
    assert tables["readings"] > 100
    exported = tanshu("db", "export", "windows", *config)
    assert exported.returncode == 0, exported.stderr
    found = list(csv.DictReader(io.StringIO(exported.stdout)))
    assert len(found) >= tables["windows"]
    assert {"start_ms", "value", "provenance"} <= set(found[0])
    unknown = tanshu("db", "export", "nonsense", *config)
    assert unknown.returncode == 2
    assert "windows" in unknown.stderr


def test_check_of_a_good_file(standing_site: PlantSite) -> None:
    done = tanshu("config", "check", str(standing_site.site_file), "--probe-ports", "--json")
    assert done.returncode == 0, done.stdout
    report = json.loads(done.stdout)
    assert report["ok"]
    assert report["runs"]


def test_ledger_verifies_while_it_runs(standing_site: PlantSite) -> None:
    done = tanshu("ledger", "verify", "--db", str(standing_site.ledger_db), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["ok"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["status", "--url", "http://127.0.0.1:9"], 1, "tanshu run"),
        (["run", "--config", "missing.toml"], 2, "missing.toml"),
        (["doctor", "--config", "missing.toml"], 2, "missing.toml"),
        (["db", "query", "SELECT 1", "--db", "missing.db"], 1, "missing.db"),
        (["ledger", "enrol", "missing.json", "--db", "new.db"], 1, "missing.json"),
        (["plant", "--fault", "explode:em-fan"], 2, "explode"),
        (["ledger", "run", "--broker", "nonsense"], 1, "nonsense"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    done = tanshu(*words, cwd=tmp_path)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


@pytest.mark.parametrize("words", [["frobnicate"], ["status", "--frobnicate"], ["ledger", "run"]])
def test_wrong_usage_ends_with_2(tmp_path: Path, words: list[str]) -> None:
    done = tanshu(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_file_that_cannot_run_ends_with_every_fault(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text('[site]\nid = "Bad Id"\nwindow_s = 1\n[gateway]\n[nonsense]\n', "utf-8")
    for words in (["run", "--config"], ["config", "check", "--config"]):
        done = tanshu(*words, str(file), cwd=tmp_path)
        assert done.returncode == (1 if words[0] == "run" else 3)
        told = (done.stdout + done.stderr).splitlines()
        assert all(line.startswith(str(file)) for line in told), told
        for path in ("site.id", "site.window_s", "gateway", "nonsense"):
            assert any(path in line for line in told), path
    as_json = tanshu("run", "--config", str(file), cwd=tmp_path)
    assert as_json.stdout == ""
