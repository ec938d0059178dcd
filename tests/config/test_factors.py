"""The factor library and the rule sets that come with the product."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from agent.config.factors import (
    FactorNotFound,
    Fuel,
    Grid,
    Library,
    library,
    load_library,
)
from agent.config.resources import resource_dir
from agent.config.rules import RulesNotFound, all_rules, load_rules, rules_named
from agent.core.errors import ConfigError

FUELS = [
    *("anthracite", "bituminous-coal", "lignite", "washed-coal", "other-washed-coal"),
    *("briquette", "other-coal-products", "coke", "petroleum-coke", "crude-oil", "fuel-oil"),
    *("gasoline", "diesel", "kerosene", "lng", "lpg", "naphtha", "tar", "crude-benzene"),
    *("other-petroleum-products", "natural-gas", "blast-furnace-gas", "converter-gas"),
    *("coke-oven-gas", "refinery-gas", "other-gas", "carbide-furnace-gas"),
]
RULES = rules_named("GB/T 32151.10-2023")


def _average(region: str, year: int) -> float:
    return library().grid(region, year).row.kgco2_per_kwh


@pytest.mark.parametrize("fuel", FUELS)
def test_every_fuel_is_found_by_id_and_by_chinese_name(fuel: str) -> None:
    rules = RULES if fuel != "carbide-furnace-gas" else rules_named("NDRC-2013")
    row, factor_set = library().fuel(fuel, rules)
    assert library().fuel(row.name_zh, rules) == (row, factor_set)
    assert row.id == fuel


def test_both_generations_of_fuels() -> None:
    new, new_set = library().fuel("lng", RULES)
    old, old_set = library().fuel("lng", rules_named("NDRC-2013"))
    assert new.tco2_per_unit == pytest.approx(2.831257, abs=1e-6)
    assert old.tco2_per_unit == pytest.approx(2.325307, abs=1e-6)
    assert (new_set.id, old_set.id) == ("GB/T-32151.34-2024", "NDRC-2013")


def test_years_of_the_grid_are_not_swapped() -> None:
    # changes as the ministry published them with each notice, in % of the year before
    assert _average("全国", 2021) == 0.5568
    assert _average("全国", 2022) == 0.5366
    assert _average("全国", 2023) == 0.5306
    published = {
        "华北": -6.1,
        "东北": -8.0,
        "华东": -2.1,
        "华中": -2.3,
        "西北": -5.4,
        "南方": 4.5,
        "西南": 9.0,
    }
    for region, change in published.items():
        computed = (_average(region, 2023) / _average(region, 2022) - 1) * 100
        assert computed == pytest.approx(change, abs=0.1)


def test_twenty_provinces_fall_and_ten_rise() -> None:
    # as the ministry says in its notice of data year 2023
    rows = [row for pack in library().packs for row in pack.rows if isinstance(row, Grid)]
    provinces = {row.id for row in rows if row.level == "provincial"}
    assert len(provinces) == 30
    falling = [name for name in provinces if _average(name, 2023) < _average(name, 2022)]
    assert len(falling) == 20


def test_the_five_highest_provinces_of_2022() -> None:
    rows = [
        row
        for pack in library().packs
        if pack.set.data_year == 2022
        for row in pack.rows
        if isinstance(row, Grid) and row.level == "provincial"
    ]
    highest = sorted(rows, key=lambda row: row.kgco2_per_kwh, reverse=True)[:5]
    assert [row.name_zh for row in highest] == ["河北", "山西", "天津", "内蒙古", "安徽"]


def test_a_region_answers_to_its_names() -> None:
    for name in ("四川", "sichuan", "Sichuan"):
        assert library().grid(name, 2023).row.kgco2_per_kwh == 0.1564
    assert library().grid("china", 2023, "fossil").row.kgco2_per_kwh == 0.8273
    assert library().grid("全国", 2022, "residual").row.kgco2_per_kwh == 0.5856


def test_a_later_year_takes_the_latest_earlier_one_and_says_so() -> None:
    choice = library().grid("全国", 2030)
    assert choice.data_year == 2023
    assert choice.id == "grid/quanguo/average/2023@MEE-2025-47"
    assert library().grid("全国").data_year == 2023


@pytest.mark.parametrize(
    ("region", "year", "basis", "hint"),
    [
        ("四川", 2019, "average", "2021"),
        ("四川", 2023, "fossil", "average"),
        ("sichaun", 2023, "average", "sichuan"),
        ("西藏", 2023, "average", "四川"),
    ],
)
def test_a_grid_factor_that_does_not_exist(region: str, year: int, basis: str, hint: str) -> None:
    with pytest.raises(FactorNotFound) as caught:
        library().grid(region, year, basis)  # type: ignore[arg-type]
    assert hint in caught.value.hint


def test_an_unknown_fuel_names_the_nearest() -> None:
    with pytest.raises(FactorNotFound) as caught:
        library().fuel("natral-gas", RULES)
    assert "natural-gas" in caught.value.hint


def test_heat_and_warming_potentials() -> None:
    assert library().heat(RULES)[0].tco2_per_gj == 0.11
    assert (library().gwp("SAR")[0].ch4, library().gwp("SAR")[0].n2o) == (21.0, 310.0)
    assert (library().gwp("AR6")[0].ch4, library().gwp("AR6")[0].n2o) == (27.9, 273.0)


def test_every_set_tells_its_source() -> None:
    for pack in library().packs:
        assert pack.set.source
        assert pack.set.status in ("seen", "secondary", "computed", "user")
        assert len(pack.set.version) == 12


def test_no_name_is_used_for_two_rows_of_a_set() -> None:
    for pack in library().packs:
        seen: dict[str, object] = {}
        for row in pack.rows:
            basis = row.basis if isinstance(row, Grid) else ""
            for name in (row.id, row.name_zh, row.name_en, *row.aliases):
                assert seen.setdefault(f"{name.casefold()} {basis}", row) is row


def test_the_same_fuel_has_the_same_names_everywhere() -> None:
    names: dict[str, tuple[str, str, str]] = {}
    for pack in library().packs:
        for row in pack.rows:
            if isinstance(row, Fuel):
                assert names.setdefault(row.id, (row.name_zh, row.name_en, row.unit)) == (
                    row.name_zh,
                    row.name_en,
                    row.unit,
                )


def _copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(resource_dir() / "factors", tmp_path / "factors"))


def test_only_the_changed_file_gets_a_new_version(tmp_path: Path) -> None:
    folder = _copy(tmp_path)
    path = folder / "heat-gbt-32151-34-2024.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("0.11", "0.12"), encoding="utf-8")
    changed = load_library(folder)
    assert changed.version != library().version
    assert changed.heat(RULES)[1].version != library().heat(RULES)[1].version
    assert _versions(changed, "fuel") == _versions(library(), "fuel")


def _versions(source: Library, kind: str) -> list[str]:
    return [pack.set.version for pack in source.packs if pack.set.kind == kind]


def test_a_broken_factor_file_shows_all_its_faults(tmp_path: Path) -> None:
    folder = _copy(tmp_path)
    path = folder / "heat-gbt-32151-34-2024.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text.replace("0.11", "-0.11").replace("name_en", "nome_en") + "\n[[fuel]]\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as caught:
        load_library(folder)
    assert {fault.path for fault in caught.value.faults} == {
        "fuel",
        "heat[1].nome_en",
        "heat[1].name_en",
        "heat[1].tco2_per_gj",
    }


def test_every_rule_set_names_sets_that_exist() -> None:
    assert {rules.id for rules in all_rules()} >= {"GB/T 32151.10-2023", "NDRC-2013", "management"}
    for rules in all_rules():
        library().fuel("natural-gas", rules)
        library().heat(rules)
        library().grid(rules.grid_region, None, rules.grid_basis)
        library().gwp(rules.gwp)


def test_an_unknown_rule_set_names_the_nearest() -> None:
    with pytest.raises(RulesNotFound, match="unknown rule set"):
        rules_named("GB/T 32151.1")


def test_a_broken_rule_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text('[rules]\nid = "x"\n', encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_rules(tmp_path)
    assert len(caught.value.faults) > 3
