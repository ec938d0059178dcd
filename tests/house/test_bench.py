"""The one entry for benchmarks: what it lists, prints and returns."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from repository import ROOT

sys.path.insert(0, str(ROOT / "scripts"))

import bench_run

HELD = (
    'def run(short: bool):\n    return [{"what": "rows", "value": 2.0 if short else 4.0,'
    ' "unit": "1/s", "rival": "other", "bar": ">= 1", "ok": True}]\n'
)
MISSED = 'def run():\n    return [{"what": "rows", "value": 0.5, "unit": "x", "ok": False}]\n'
BROKEN = 'def run(short: bool):\n    raise OSError("no such thing")\n'
ELSEWHERE = f'ENVIRONMENT = "bench"\n{HELD}'


@pytest.fixture
def benchmarks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, source in {"held": HELD, "missed": MISSED, "broken": BROKEN}.items():
        (tmp_path / f"{name}.py").write_text(source)
    (tmp_path / "_shared.py").write_text("")
    monkeypatch.setattr(bench_run, "BENCHMARKS", tmp_path)
    return tmp_path


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Runs benchmarks without preparing an environment for them."""

    def run_in_process(name: str, short: bool) -> list[dict[str, object]] | None:
        output = tmp_path / "rows.json"
        try:
            bench_run.run_here(bench_run.BENCHMARKS / f"{name}.py", short, output)
        except OSError:
            return None
        rows: list[dict[str, object]] = json.loads(output.read_text())
        return rows

    monkeypatch.setattr(bench_run, "run_apart", run_in_process)


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["bench", *arguments])
    return bench_run.main()


@pytest.mark.usefixtures("benchmarks", "in_process")
def test_json_has_the_agreed_shape(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "held", "--json", "--short") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["name"] == "held"
    assert printed["machine"]
    assert printed["rows"] == [
        {"what": "rows", "value": 2.0, "unit": "1/s", "rival": "other", "bar": ">= 1", "ok": True}
    ]


@pytest.mark.usefixtures("benchmarks", "in_process")
@pytest.mark.parametrize(("name", "code"), [("held", 0), ("missed", 3), ("broken", 1), ("all", 1)])
def test_the_exit_code_tells_a_missed_bar_from_a_broken_benchmark(
    name: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call(monkeypatch, name) == code


@pytest.mark.usefixtures("benchmarks", "in_process")
def test_the_table_names_what_is_missed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call(monkeypatch, "missed")
    assert "MISSED" in capsys.readouterr().out


@pytest.mark.usefixtures("benchmarks")
def test_without_a_name_the_benchmarks_are_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch) == 0
    assert capsys.readouterr().out.split() == ["broken", "held", "missed"]


@pytest.mark.usefixtures("benchmarks")
def test_an_unknown_name_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit) as stopped:
        call(monkeypatch, "nonesuch")
    assert stopped.value.code == 2


def test_the_environment_is_read_without_importing(benchmarks: Path) -> None:
    (benchmarks / "elsewhere.py").write_text(ELSEWHERE)
    assert bench_run.environment_of("elsewhere") == "bench"
    assert bench_run.environment_of("held") == "demo"


@pytest.mark.usefixtures("benchmarks")
def test_a_benchmark_runs_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_run, "interpreter_of", lambda _: sys.executable)
    rows = bench_run.run_apart("held", short=True)
    assert rows is not None
    assert rows[0]["value"] == 2.0
    assert bench_run.run_apart("broken", short=False) is None
