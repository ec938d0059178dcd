"""`tanshu calc` and `tanshu factors` as a person and a program call them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.config.inventory.sections import KINDS

ROOT = Path(__file__).resolve().parents[2]
HEAD = '[inventory]\nname = "一号厂区"\nrules = "GB/T 32151.10-2023"\ngwp = "AR5"\n'
DIESEL = '[[source]]\nid = "truck"\nkind = "fuel"\nfuel = "柴油"\namount = 2\n'


def _tanshu(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agent.cli.main", *words],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "200", "TANSHU_FACTORS": "/nonexistent"} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _inventory(folder: Path, text: str) -> str:
    path = folder / "inventory.toml"
    path.write_text(HEAD + text, encoding="utf-8")
    return str(path)


def test_calc_prints_one_document(tmp_path: Path) -> None:
    done = _tanshu("calc", _inventory(tmp_path, DIESEL), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["inventory"] == "一号厂区"
    assert document["rules"] == "GB/T 32151.10-2023"
    assert document["gwp"] == "AR5"
    assert document["total_tco2e"] == pytest.approx(2 * 3.095910, rel=1e-6)
    assert document["subtotals"] == {"fuel": document["total_tco2e"]}
    (source,) = document["sources"]
    assert set(source) >= {
        *("id", "kind", "tco2e", "tco2", "tch4", "tn2o", "activity", "activity_unit"),
        *("factors", "uncertainty_pct", "warnings"),
    }
    assert set(source["factors"][0]) == {"id", "value", "unit", "source"}


def test_calc_prints_tables_for_people(tmp_path: Path) -> None:
    text = DIESEL + '[[source]]\nid = "stack"\nkind = "flare"\nvolume_1e4nm3 = 1\ncarbon = 5\n'
    done = _tanshu("calc", _inventory(tmp_path, text))
    assert done.returncode == 0
    for words in ("truck", "6.192", "fuel/diesel@GB/T-32151.34-2024", "95 % range", "warning"):
        assert words in done.stdout


def test_the_example_shows_every_kind_and_computes() -> None:
    done = _tanshu("calc", str(ROOT / "config" / "inventory.example.toml"), "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert set(document["subtotals"]) == set(KINDS)
    assert sum(document["subtotals"].values()) == pytest.approx(document["total_tco2e"])
    parts = document["allocation"]["products"]
    assert sum(part["tco2e"] for part in parts) == document["total_tco2e"]
    low, high = document["interval_tco2e"]
    assert low < document["total_tco2e"] < high


def test_bad_input_ends_with_2_and_one_line_per_fault(tmp_path: Path) -> None:
    path = _inventory(tmp_path, DIESEL.replace("2", "-2") + "oxidation = 3\n")
    done = _tanshu("calc", path)
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert "source[truck].amount" in lines[0]
    assert "source[truck].oxidation" in lines[1]
    done = _tanshu("calc", path, "--json")
    assert (done.returncode, done.stderr) == (2, "")
    faults: list[dict[str, Any]] = json.loads(done.stdout)["error"]["faults"]
    assert [fault["path"] for fault in faults] == [
        "source[truck].amount",
        "source[truck].oxidation",
    ]


@pytest.mark.parametrize("content", ["[inventory", "", "[[source]]\n"])
def test_a_file_that_is_no_inventory_ends_with_2(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(content, encoding="utf-8")
    done = _tanshu("calc", str(path), "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["faults"]
    assert _tanshu("calc", str(tmp_path / "absent.toml")).returncode == 2


def test_calc_needs_neither_numpy_nor_rich_nor_steam_for_a_program(tmp_path: Path) -> None:
    path = _inventory(tmp_path, DIESEL)
    script = (
        "import sys\nfrom agent.cli.main import main\n"
        f"try:\n    main(['calc', {path!r}, '--json'])\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'numpy', 'numba', 'rich', 'seuif97', 'cryptography', 'asyncio', 'sqlite3'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr.strip() == "[]"


def test_factors_are_listed_and_shown() -> None:
    listed = json.loads(_tanshu("factors", "list", "--json").stdout)
    assert {"fuel", "grid", "steam-superheated", "tce"} <= {one["kind"] for one in listed}
    grids = json.loads(_tanshu("factors", "list", "grid", "--json").stdout)
    assert sorted(one["data_year"] for one in grids) == [2015, 2021, 2022, 2023]
    shown = json.loads(_tanshu("factors", "show", "柴油", "--json").stdout)
    assert [row["ncv_gj_per_unit"] for row in shown if "ncv_gj_per_unit" in row] == [42.652, 43.33]
    assert all(row["set"]["source"] for row in shown)
    text = _tanshu("factors", "show", "CaCO3")
    assert "0.4397" in text.stdout
    assert "source:" in text.stdout
    assert "GB/T 32151.34" in _tanshu("factors", "list").stdout
    missed = _tanshu("factors", "show", "deisel")
    assert missed.returncode == 1
    assert "diesel" in missed.stderr
    assert _tanshu("factors", "list", "fules").returncode == 2


def test_a_new_table_is_shown_imported_and_used(tmp_path: Path) -> None:
    shipped = ROOT / "config" / "factors" / "heat-gbt-32151-34-2024.toml"
    new = tmp_path / "new.toml"
    new.write_text(
        shipped.read_text(encoding="utf-8").replace("tco2_per_gj = 0.11", "tco2_per_gj = 0.10"),
        encoding="utf-8",
    )
    changes = json.loads(_tanshu("factors", "diff", str(new), "--json").stdout)
    assert [(one["row"], one["old"], one["new"]) for one in changes["changed"]] == [
        ("default", 0.11, 0.1)
    ]
    assert "-9.09 %" in _tanshu("factors", "diff", str(new)).stdout
    folder = tmp_path / "site"
    asked = _tanshu("factors", "import", str(new), "--json", TANSHU_FACTORS=str(folder))
    assert asked.returncode == 2
    assert not folder.exists()
    done = _tanshu("factors", "import", str(new), "--yes", "--json", TANSHU_FACTORS=str(folder))
    assert done.returncode == 0
    imported = Path(json.loads(done.stdout)["imported_to"])
    assert imported.read_bytes() == new.read_bytes()
    heat = '[[source]]\nid = "h"\nkind = "heat"\npurchased_gj = 10\n'
    path = _inventory(tmp_path, heat)
    assert json.loads(_tanshu("calc", path, "--json").stdout)["total_tco2e"] == 10 * 0.11
    with_site = _tanshu("calc", path, "--json", TANSHU_FACTORS=str(folder))
    assert json.loads(with_site.stdout)["total_tco2e"] == 10 * 0.10
    again = _tanshu("factors", "import", str(new), "--yes", TANSHU_FACTORS=str(folder))
    assert again.returncode == 0
    assert len(list(folder.iterdir())) == 2  # the set, and the one it replaced by its version


def test_a_broken_table_is_refused_with_its_faults(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text('[set]\nid = "x"\nkind = "heat"\n', encoding="utf-8")
    done = _tanshu("factors", "diff", str(path))
    assert done.returncode != 0
    assert "set.standard" in done.stderr


def test_a_factor_is_found_by_the_id_that_calc_prints() -> None:
    for printed, value in (
        ("grid/sichuan/average/2022@MEE-2024-33", 0.1404),
        ("fuel/natural-gas/ncv@GB/T-32151.34-2024", 389.31),
        ("fuel/natural-gas@GB/T-32151.34-2024+user", 389.31),
    ):
        (row,) = json.loads(_tanshu("factors", "show", printed, "--json").stdout)
        assert value in row.values()
