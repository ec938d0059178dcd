"""Fitted models: what is fitted, what it says of itself, where it may be used, how it is kept."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli.main import main
from agent.core.indirect import FitError, Model, estimate, fit
from agent.core.model import Provenance
from agent.core.virtual import Amount
from agent.store.database import open_store
from agent.store.models import Models
from tests.fake_clock import FakeClock
from tests.pipeline.site import Bench
from tests.virtual_points.computed_site import COMPUTED, START_MS, computed_bench, windows


def fitted(
    inputs: np.ndarray,
    target: np.ndarray,
    *,
    intercept: bool = True,  # type: ignore[type-arg]
) -> Model:
    names = [f"m.{place}" for place in range(inputs.shape[1])]
    return fit(
        names,
        ["kWh/h"] * len(names),
        inputs,
        target,
        unit="kWh",
        intercept=intercept,
        reference="test",
    )


def test_an_exact_relation_is_found_again() -> None:
    inputs = np.column_stack([np.arange(12.0), np.arange(12.0) ** 2])
    made = fitted(inputs, 1 + 2 * inputs[:, 0] - 0.5 * inputs[:, 1])
    assert made.intercept == pytest.approx(1)
    assert [part.value for part in made.coefficients] == pytest.approx([2, -0.5])
    assert made.r2 == pytest.approx(1)
    assert made.coefficients[1].low == 0
    assert made.coefficients[1].high == 121
    assert made.value((3, 9)) == pytest.approx(2.5)
    assert Model.from_json(made.to_json()) == made


def test_standard_errors_are_those_of_the_textbook() -> None:
    """One input and an intercept, against the sums of the closed formula."""
    x = np.array([1.0, 2, 3, 4, 5, 6, 7, 8])
    y = np.array([2.1, 3.9, 6.2, 7.8, 10.1, 12.2, 13.8, 16.1])
    made = fitted(x[:, None], y)
    spread = float(np.sum((x - x.mean()) ** 2))
    slope = float(np.sum((x - x.mean()) * (y - y.mean()))) / spread
    residuals = y - y.mean() - slope * (x - x.mean())
    variance = float(residuals @ residuals) / (len(x) - 2)
    assert made.coefficients[0].value == pytest.approx(slope)
    assert made.coefficients[0].standard_error == pytest.approx(math.sqrt(variance / spread))
    at_zero = math.sqrt(variance * (1 / len(x) + x.mean() ** 2 / spread))
    assert made.intercept_error == pytest.approx(at_zero)
    left = float(residuals @ residuals)
    assert made.r2 == pytest.approx(1 - left / float(np.sum((y - y.mean()) ** 2)))


def test_a_ratio_goes_through_the_origin() -> None:
    x = np.linspace(5, 50, 12)
    made = fitted(x[:, None], 0.3 * x, intercept=False)
    assert (made.intercept, made.intercept_error) == (0, None)
    assert made.coefficients[0].value == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("inputs", "what"),
    [
        (np.ones((20, 1)), "m.0"),
        (np.column_stack([np.arange(20.0), 2 * np.arange(20.0)]), "m."),
        (np.arange(4.0)[:, None], "4 rows for 2"),
        (np.array([[math.nan], *([[1.0]] * 19)]), "not finite"),
    ],
)
def test_what_cannot_be_told_apart_is_refused(inputs: np.ndarray, what: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(FitError, match=what):
        fitted(inputs, np.arange(float(len(inputs))))


def test_nine_of_ten_new_values_lie_within_the_interval() -> None:
    chance = np.random.default_rng(11)
    hits, asked = 0, 0
    for _ in range(60):
        x = chance.uniform(10, 100, 40)
        made = fitted(x[:, None], 5 + 2 * x + chance.normal(0, 4, 40))
        for level in chance.uniform(made.coefficients[0].low, made.coefficients[0].high, 20):
            found = estimate(made, {"m.0": Amount(value=level, lower=level, upper=level)}, [1], 1)
            assert found.lower is not None
            assert found.upper is not None
            hits += found.lower <= 5 + 2 * level + chance.normal(0, 4) <= found.upper
            asked += 1
    assert 0.86 <= hits / asked <= 0.96


@given(st.floats(-1e3, 1e3), st.floats(0.05, 24), st.floats(0, 50))
def test_an_estimate_keeps_to_its_range_and_its_interval(
    level: float, hours: float, half: float
) -> None:
    x = np.linspace(10, 100, 30)
    made = fitted(x[:, None], -40 + x + np.where(np.arange(30) % 2, 3, -3))
    amount = Amount(value=level * hours, lower=(level - half) * hours, upper=(level + half) * hours)
    found = estimate(made, {"m.0": amount}, [hours], hours)
    assert found.coverage == 0
    if not 9.99 <= level <= 100.01:
        assert (found.value, found.provenance) == (None, Provenance.MISSING)
    elif found.value is not None:
        assert found.provenance is Provenance.ESTIMATED
        assert found.lower is not None
        assert found.upper is not None
        assert 0 <= found.lower <= found.value <= found.upper
        assert found.value == pytest.approx(max(0, made.value((level,))) * hours)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    more = COMPUTED + '\n[web]\nenabled = false\n[store]\npath = "gw.db"\n'
    made = computed_bench(tmp_path, FakeClock(START_MS), more=more)
    yield made
    made.close()


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    capsys.readouterr()  # what the pipeline logged
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    said = capsys.readouterr()
    return int(end.value.code or 0), said.out, said.err


def write_reference(path: Path, rows: int = 20, *, hours: float = 2.0) -> None:
    """A pump that takes 2·b + 3 kW per % of load, read every two hours."""
    lines = ["time,value,hours,b.energy,a.load,note"]
    for row in range(rows):
        power, load = 20 + row, 95 - (row * 7) % 60
        amount = (2 * power + 3 * load + (0.2 if row % 2 else -0.2)) * hours
        lines.append(f"{row},{amount},{hours},{power * hours},{load},x")
    lines.append(",,,,,")
    lines.append("21,,2,3,4,no value")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_a_model_is_fitted_kept_and_shown(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.read(300)
    bench.pipeline.run_due(bench.clock.now_ms())
    bench.database.close()
    write_reference(tmp_path / "ref.csv")
    site = ("--config", tmp_path / "site.toml")
    fit_it = ("model", "fit", "pump", "--from", tmp_path / "ref.csv", *site)
    code, out, err = call(capsys, *fit_it, "--dry-run", "--json")
    assert (code, err) == (0, "")
    tried = json.loads(out)
    assert tried["left_out"] == 1
    assert tried["model"]["rows"] == 20
    code, out, err = call(capsys, *fit_it, "--by", "Li", "--serves-from", "2026-01-01", "--again")
    assert code == 0, err
    assert "indirect.pump: version 1" in out
    assert "a.load" in out
    code, out, _ = call(capsys, "model", "show", "indirect.pump", *site, "--json")
    row = json.loads(out)["models"][0]
    values = {part["input"]: part["value"] for part in row["model"]["coefficients"]}
    assert values == pytest.approx({"b.energy": 2, "a.load": 3}, abs=0.05)
    database = open_store(tmp_path / "gw.db")
    assert [one.version for one in Models(database.connection).versions()] == [1]
    told = database.connection.execute("SELECT code FROM events WHERE code = 'model.fitted'")
    assert len(told.fetchall()) == 1
    database.close()
    again = computed_bench(tmp_path, bench.clock)
    again.pipeline.run_due(bench.clock.now_ms())
    found = windows(again, "indirect.pump")
    assert {(w.method, w.revision) for w in found} == {("indirect:1", 1)}
    again.close()


def test_a_temporary_meter_is_a_reference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The relation of meter a to b and the load, fitted to windows that are booked."""
    more = """
[[indirect]]
id = "relation"
inputs = ["b.energy"]
reference = "a.energy"
unit = "kWh"
intercept = false
booked = false
[web]
enabled = false
[store]
path = "gw.db"
"""
    bench = computed_bench(tmp_path, FakeClock(START_MS), more=more)
    bench.read(1200)
    bench.read(300, skip=("a",))
    bench.read(120)
    bench.pipeline.run_due(bench.clock.now_ms())
    assert windows(bench, "indirect.relation") == []
    bench.close()
    site = ("--config", tmp_path / "site.toml", "--json")
    words = ("model", "fit", "relation", "--since", "2026-01-01", "--until", "2027-01-01")
    code, out, err = call(capsys, *words, *site)
    assert code == 0, err
    made = json.loads(out)
    assert made["model"]["coefficients"][0]["value"] == pytest.approx(10, rel=0.01)
    assert made["left_out"] >= 4  # what was estimated or allocated while a was silent
    assert made["version"] == 1


@pytest.mark.parametrize(
    ("content", "where", "what"),
    [
        ("", "line 1", "no header"),
        ("value,b.energy\n1,2\n", "line 1", 'no column "a.load"'),
        ("value,value,b.energy,a.load\n", "line 1", "stands twice"),
        ("value,b.energy,a.load\n1,x,3\n", "line 2, column 2", '"x" is no b.energy'),
        ("value,b.energy,a.load\n\n1,2,nan\n", "line 3, column 3", '"nan" is no a.load'),
        ("value,b.energy,a.load,hours\n1,2,3,0\n", "line 2, column 4", '"0" is no hours'),
        ("value,b.energy,a.load\n1,\xff,3\n", "", "is not UTF-8"),
    ],
)
def test_a_bad_file_is_refused_with_its_place(
    bench: Bench,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: str,
    where: str,
    what: str,
) -> None:
    path = tmp_path / "ref.csv"
    path.write_bytes(content.encode("latin-1"))
    site = ("--config", tmp_path / "site.toml")
    code, out, err = call(capsys, "model", "fit", "pump", "--from", path, *site)
    assert (code, out) == (2, "")
    assert where in err
    assert what in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("nothing",), "no such [[indirect]]"),
        (("pump",), "no reference"),
        (("pump", "--from", "a.energy"), "--since: missing"),
        (("pump", "--from", "a.energy", "--since", "soon"), "is no time"),
        (("pump", "--from", "none.csv"), "cannot be read"),
        (("pump", "--from", "x.csv", "--since", "2026-01-01"), "is for streams"),
        (("pump", "--from", "a.energy", "--since", "2026-01-01", "--again"), "--serves-from"),
    ],
)
def test_wrong_words_are_told_in_one_line(
    bench: Bench,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    what: str,
) -> None:
    code, _, err = call(capsys, "model", "fit", *words, "--config", tmp_path / "site.toml")
    assert code == 2
    assert what in err
    assert err.count("\n") == 1
