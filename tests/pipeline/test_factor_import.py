"""`tanshu factors import --recalculate`: what a new table does to what is booked, then done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.book.ports import Span
from agent.book.sqlite import SqliteBook
from agent.cli.factors import factors
from agent.config.load import load_site
from agent.config.resources import resource_dir
from agent.pipeline.recalculate import Recalculation
from tests.fake_clock import FakeClock
from tests.pipeline.site import GRID_2023, Bench

EVERYTHING = Span(from_ms=0, to_ms=1 << 60)
CORRECTED = 0.5400


@pytest.fixture
def corrected_table(tmp_path: Path) -> Path:
    """The grid factors of 2023 with one number corrected."""
    text = (resource_dir() / "factors" / "grid-cn-2023.toml").read_text(encoding="utf-8")
    assert text.count(f"kgco2_per_kwh = {GRID_2023}") == 1
    file = tmp_path / "corrected.toml"
    file.write_text(text.replace(str(GRID_2023), str(CORRECTED)), encoding="utf-8")
    return file


async def test_preview_then_import_then_the_same_difference_is_booked(
    tmp_path: Path, corrected_table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "factors"
    monkeypatch.setenv("TANSHU_FACTORS", str(folder))
    bench = Bench(tmp_path, FakeClock(1_795_000_000_000))
    bench.read(900)
    bench.pipeline.run_due(bench.clock.now_ms())
    book = SqliteBook(bench.database.connection)
    before = book.current_emissions(bench.owner, EVERYTHING)
    site = tmp_path / "site.toml"
    text = site.read_text(encoding="utf-8")
    site.write_text(text.replace("[gateway]", '[store]\npath = "gw.db"\n[gateway]'), "utf-8")

    words = ["import", str(corrected_table), "--recalculate", "--config", str(site), "--yes"]
    result = CliRunner().invoke(factors, [*words, "--json"], catch_exceptions=False)
    months = json.loads(result.output)["recalculation"]
    foreseen = sum(month["after_kgco2e"] - month["before_kgco2e"] for month in months)
    assert sum(month["windows"] for month in months) == len(before)
    assert book.current_emissions(bench.owner, EVERYTHING) == before

    # what a reload does: the file is read again with the site's factors
    config = load_site(site)
    assert config.sources["sa"].factor.value == CORRECTED
    await Recalculation(config, bench.database, bench.owner, bench.clock).run()
    after = book.current_emissions(bench.owner, EVERYTHING)
    assert {emission.revision for emission in after} == {1}
    booked = sum(e.kgco2e or 0 for e in after) - sum(e.kgco2e or 0 for e in before)
    assert booked == pytest.approx(foreseen)
    assert foreseen / sum(e.kgco2e or 0 for e in before) == pytest.approx(CORRECTED / GRID_2023 - 1)
    bench.close()


def test_without_a_database_it_says_what_to_do(
    tmp_path: Path, corrected_table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TANSHU_FACTORS", str(tmp_path / "factors"))
    bench = Bench(tmp_path, FakeClock())
    bench.close()
    words = ["import", str(corrected_table), "--recalculate", "--yes"]
    result = CliRunner().invoke(factors, [*words, "--config", str(tmp_path / "site.toml")])
    assert "there is no database yet" in str(result.exception)
    assert not (tmp_path / "factors").exists()
