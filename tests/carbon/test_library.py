"""The factor library: complete, consistent with physics, honest where it is not."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from agent.config.factor_diff import compare
from agent.config.factor_rows import (
    ROWS,
    Carbonate,
    Fuel,
    Incineration,
    Material,
    StandardCoal,
    SteamSaturated,
    SteamSuperheated,
    Transport,
)
from agent.config.factors import FactorNotFound, Library, library, load_library, read_pack
from agent.config.faults import Faults
from agent.config.resources import resource_dir
from agent.config.rules import all_rules, rules_named
from agent.core.carbon.carbonate import stoichiometric_factor_tco2_per_t
from agent.core.carbon.formula import carbon_share
from agent.core.carbon.standard_coal import GJ_PER_TCE

RULES = rules_named("GB/T 32151.10-2023")

# material, tC/t in the table, by formula: those that differ by more than 0.5 %
ANOMALIES = {"ethane": (0.856, 0.799), "acrylonitrile": (0.6664, 0.679)}
ANOMALIES["ethylene-dichloride"] = (0.245, 0.2427)


def test_every_kind_has_a_set_with_rows() -> None:
    kinds = {pack.set.kind for pack in library().packs}
    assert kinds == set(ROWS)
    assert all(pack.rows for pack in library().packs)


def test_the_shipped_files_have_no_fault() -> None:
    assert load_library(resource_dir() / "factors").packs


def test_materials_against_their_formulas() -> None:
    odd = {}
    for pack in library().packs:
        for row in pack.rows:
            if isinstance(row, Material) and row.formula is not None:
                physical = carbon_share(row.formula)
                if abs(row.carbon_tc_per_t / physical - 1) > 0.005:
                    odd[row.id] = (row.carbon_tc_per_t, physical)
    assert set(odd) == set(ANOMALIES)
    for name, (table, physical) in ANOMALIES.items():
        assert odd[name] == (table, pytest.approx(physical, abs=5e-4))


def test_carbonates_of_both_generations_against_their_formulas() -> None:
    for pack in library().packs:
        for row in pack.rows:
            if isinstance(row, Carbonate):
                physical = stoichiometric_factor_tco2_per_t(row.formula)
                assert row.tco2_per_t == pytest.approx(physical, rel=5e-3), row.id


def test_standard_coal_against_its_calorific_value() -> None:
    for pack in library().packs:
        for row in pack.rows:
            if isinstance(row, StandardCoal) and row.calorific_kj_per_unit is not None:
                computed = row.calorific_kj_per_unit / (GJ_PER_TCE * 1000)
                assert row.kgce_per_unit == pytest.approx(computed, rel=1e-3), row.id


def test_a_material_comes_from_the_first_set_that_has_it() -> None:
    row, factor_set = library().material("乙烯", RULES)
    assert (row.carbon_tc_per_t, factor_set.id) == (0.856, "IPCC-2006-V3-3.10")
    assert library().material("尿素", RULES)[1].id == "NDRC-2013-materials"
    assert library().material("苯乙烯", RULES)[1].status == "computed"
    with pytest.raises(FactorNotFound, match="unknown material") as caught:
        library().material("ethylen", RULES)
    assert "ethylene" in caught.value.hint


def test_carbonates_by_formula_and_name() -> None:
    assert library().carbonate("石灰石", RULES)[0].tco2_per_t == 0.4397
    assert library().carbonate("CaMg(CO3)2", RULES)[0].tco2_per_t == 0.4773
    newer = rules_named("GB/T 32151.15-2023")
    assert library().carbonate("NaHCO3", newer)[0].tco2_per_t == 0.524


def test_acid_technologies_answer_to_both_names() -> None:
    for chinese, english, value in (
        ("高压", "high-pressure", 13.9),
        ("中压", "medium-pressure", 11.8),
        ("常压", "atmospheric", 9.7),
        ("双加压", "dual-pressure", 8.0),
        ("综合", "comprehensive", 7.5),
        ("低压", "low-pressure", 5.0),
    ):
        for name in (chinese, english):
            assert library().acid_n2o("nitric", name, RULES)[0].kgn2o_per_t == value
    assert library().acid_n2o("adipic", "硝酸氧化", RULES)[0].kgn2o_per_t == 300.0
    with pytest.raises(FactorNotFound):
        library().acid_n2o("adipic", "高压", RULES)


def test_a_grid_year_that_no_notice_covers() -> None:
    assert library().grid("全国", 2018).row.kgco2_per_kwh == 0.6101
    assert library().grid("全国", 2018).data_year == 2015
    assert library().grid_years("全国") == (2015, 2021, 2022, 2023)
    assert library().grid_years("四川") == (2021, 2022, 2023)


def test_the_errors_of_the_steam_tables_are_marked() -> None:
    saturated, _ = library().table(SteamSaturated)
    printed = {row.pressure_mpa: row.printed_mpa for row in saturated if row.printed_mpa}
    assert printed == {1.7: 1.4, 1.8: 1.5}
    superheated, _ = library().table(SteamSuperheated)
    noted = {row.temperature_c for row in superheated if row.note}
    assert noted == {140.0, 200.0, 240.0, 400.0, 420.0, 440.0}
    for row in superheated:
        assert len(row.pressures_mpa) == len(row.enthalpies_kj_per_kg) == 12


def test_single_numbers() -> None:
    for name, value in (
        ("co2-density", 19.7),
        ("flare-oxidation", 0.98),
        ("flare-carbon-number-refining", 5.0),
        ("flare-carbon-number-petrochemical", 3.0),
        ("b0-cod", 0.25),
        ("b0-bod", 0.6),
        ("feed-water-enthalpy", 83.74),
        ("kgce", 29307.6),
    ):
        assert library().parameter(name)[0].value == value
    assert library().row(Transport, "槽车", "mode")[0].kgco2e_per_tkm == 0.078
    row, _ = library().row(Incineration, "hazardous-ipcc", "waste")
    assert (row.carbon_fraction, row.fossil_fraction) == (0.8, 1.0)


def test_every_rule_set_names_sets_that_exist() -> None:
    for rules in all_rules():
        assert library().material("methane", rules)
        assert library().carbonate("CaCO3", rules)
        assert library().acid_n2o("nitric", "high-pressure", rules)
        assert math.isfinite(rules.uncertainty_pct.activity)


def test_only_the_files_of_the_kind_that_is_asked_for_are_parsed(tmp_path: Path) -> None:
    for path in (resource_dir() / "factors").glob("*.toml"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "grid-cn-2023.toml").write_text('[set]\nkind = "grid"\nbroken', encoding="utf-8")
    assert Library(tmp_path).fuel("diesel", RULES)


def _site_set(folder: Path, text_from: str, **replace: str) -> Path:
    text = (resource_dir() / "factors" / text_from).read_text(encoding="utf-8")
    for old, new in replace.items():
        text = text.replace(old, new)
    target = folder / text_from
    target.write_text(text, encoding="utf-8")
    return target


def test_a_set_of_the_site_takes_the_place_of_the_shipped_one(tmp_path: Path) -> None:
    path = _site_set(tmp_path, "heat-gbt-32151-34-2024.toml", **{"0.11": "0.10"})
    both = Library(resource_dir() / "factors", tmp_path)
    assert both.heat(RULES)[0].tco2_per_gj == 0.10
    assert both.heat(RULES)[1].version != library().heat(RULES)[1].version
    pack = read_pack(path, Faults(path.name))
    assert pack is not None
    changes = compare(pack, library())
    assert changes.base is not None
    assert changes.base.id == pack.set.id
    assert [(one.row, one.old, one.new) for one in changes.changed] == [("default", 0.11, 0.10)]
    assert changes.changed[0].change_pct == pytest.approx(-100 / 11)


def test_a_new_year_is_compared_with_the_last_one(tmp_path: Path) -> None:
    path = _site_set(
        tmp_path,
        "grid-cn-2023.toml",
        **{'"MEE-2025-47"': '"MEE-2026-50"', "data_year = 2023": "data_year = 2024"},
    )
    text = path.read_text(encoding="utf-8")
    text = text.replace("kgco2_per_kwh = 0.5306", "kgco2_per_kwh = 0.5200")
    path.write_text(text.replace('id = "xinjiang"', 'id = "new-region"'), encoding="utf-8")
    pack = read_pack(path, Faults(path.name))
    assert pack is not None
    changes = compare(pack, library())
    assert changes.base is not None
    assert changes.base.data_year == 2023
    assert [one.row for one in changes.changed] == ["quanguo/average"]
    assert changes.added == ("new-region/average",)
    assert changes.removed == ("xinjiang/average",)
    assert Library(resource_dir() / "factors", tmp_path).grid("全国").data_year == 2024
    with pytest.raises(FactorNotFound):
        compare(pack, library(), "MEE-2025-48")


def test_a_set_names_what_it_supersedes(tmp_path: Path) -> None:
    _site_set(
        tmp_path,
        "fuel-gbt-32151-34-2024.toml",
        **{
            'id = "GB/T-32151.34-2024"': 'id = "NEW-2027"\nvalid_from = 2027-07-01\n'
            'supersedes = "GB/T-32151.34-2024"'
        },
    )
    both = Library(resource_dir() / "factors", tmp_path)
    following = both.successors("fuel", "GB/T-32151.34-2024")
    assert [one.id for one in following] == ["NEW-2027"]
    assert both.successors("fuel", "NEW-2027") == ()


def test_a_value_that_is_not_finite_is_a_fault(tmp_path: Path) -> None:
    path = _site_set(tmp_path, "heat-gbt-32151-34-2024.toml", **{"0.11": "nan"})
    faults = Faults(path.name)
    read_pack(path, faults)
    assert [fault.path for fault in faults.found] == ["heat[1].tco2_per_gj"]


def test_fuels_are_physically_possible() -> None:
    for pack in library().packs:
        for row in pack.rows:
            if isinstance(row, Fuel):
                assert 0 < row.tco2_per_unit < 30
