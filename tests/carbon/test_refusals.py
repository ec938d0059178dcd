"""What no inventory may contain is refused, with its TOML path and what to do."""

from __future__ import annotations

import pytest
from inventory_text import calculate, refused


def _fuel(rest: str) -> str:
    return f'[[source]]\nid = "f"\nkind = "fuel"\nfuel = "diesel"\n{rest}'


def _heat(rest: str) -> str:
    return f'[[source]]\nid = "h"\nkind = "heat"\n{rest}'


REFUSED = {
    "negative amount": (_fuel("amount = -1"), "source[f].amount"),
    "nan": (_fuel("amount = nan"), "source[f].amount"),
    "oxidation above 1": (_fuel("amount = 1\noxidation = 1.01"), "source[f].oxidation"),
    "negative factor": (_fuel("amount = 1\nfactor = -2"), "source[f].factor"),
    "more than the world emits": (_fuel("amount = 1e300"), "source[f]"),
    "no amount": (_fuel(""), "source[f].amount"),
    "unknown key": (_fuel("amount = 1\nammount = 2"), "source[f].ammount"),
    "unknown unit": (_fuel('amount = 1\nunit = "tonnnes"'), "source[f].unit"),
    "volume of a solid": (_fuel('amount = 1\nunit = "Nm3"'), "source[f].unit"),
    "factor and calorific value": (_fuel("amount = 1\nfactor = 3\nncv = 42"), "source[f].ncv"),
    "carbon by two paths": (
        _fuel("amount = 1\ncarbon_per_unit = 0.8\ncarbon_content = 0.02"),
        "source[f].carbon_content",
    ),
    "zero factor without evidence": (_fuel("amount = 1\nfactor = 0"), "source[f].factor"),
    "unknown kind": ('[[source]]\nid = "x"\nkind = "fule"', "source[x].kind"),
    "no kind": ('[[source]]\nid = "x"', "source[x].kind"),
    "the same id twice": (_fuel("amount = 1\n") + _fuel("amount = 2"), "source[f].id"),
    "the same fuel by two paths": (
        _fuel("amount = 1\n") + '[[source]]\nid = "g"\nkind = "fuel"\nfuel = "柴油"\n'
        "amount = 1\ncarbon_per_unit = 0.86",
        "source[g].fuel",
    ),
    "own plant burns a counted fuel": (
        _fuel("amount = 1\n") + '[[source]]\nid = "e"\nkind = "electricity"\n'
        'own_plant = { fuel = "diesel", generated_mwh = 1, efficiency = 0.4 }',
        "source[e].own_plant.fuel",
    ),
    "own plant of an unknown source": (
        '[[source]]\nid = "e"\nkind = "electricity"\n'
        'own_plant = { fuel = "diesel", generated_mwh = 1, efficiency = 0.4, fuel_source = "x" }',
        "source[e].own_plant.fuel_source",
    ),
    "efficiency above 1": (
        '[[source]]\nid = "e"\nkind = "electricity"\n'
        'own_plant = { fuel = "diesel", generated_mwh = 1, efficiency = 1.4 }',
        "source[e].own_plant.efficiency",
    ),
    "electricity without amount": ('[[source]]\nid = "e"\nkind = "electricity"', "purchased_mwh"),
    "unknown region": (
        '[[source]]\nid = "e"\nkind = "electricity"\npurchased_mwh = 1\nregion = "四州"',
        "source[e].region",
    ),
    "basis without a factor": (
        '[[source]]\nid = "e"\nkind = "electricity"\npurchased_mwh = 1\nregion = "四川"\n'
        'basis = "fossil"',
        "source[e].basis",
    ),
    "year before the first": (
        '[[source]]\nid = "e"\nkind = "electricity"\npurchased_mwh = 1\nregion = "四川"\n'
        "year = 2019",
        "source[e].year",
    ),
    "steam above the table": (
        '[[source]]\nid = "h"\nkind = "heat"\n'
        "steam = { mass_t = 1, pressure_mpa = 31, temperature_c = 500 }",
        "source[h].steam.pressure_mpa",
    ),
    "steam hotter than the table": (
        '[[source]]\nid = "h"\nkind = "heat"\n'
        "steam = { mass_t = 1, pressure_mpa = 1, temperature_c = 601 }",
        "source[h].steam.temperature_c",
    ),
    "steam that is water": (
        '[[source]]\nid = "h"\nkind = "heat"\n'
        "steam = { mass_t = 1, pressure_mpa = 1, temperature_c = 120 }",
        "source[h].steam.temperature_c",
    ),
    "saturated steam off the table": (
        '[[source]]\nid = "h"\nkind = "heat"\n'
        "steam = { mass_t = 1, pressure_mpa = 22.5, saturated = true }",
        "source[h].steam.pressure_mpa",
    ),
    "steam without a temperature": (
        '[[source]]\nid = "h"\nkind = "heat"\nsteam = { mass_t = 1, pressure_mpa = 1 }',
        "source[h].steam.temperature_c",
    ),
    "cold hot water": (
        '[[source]]\nid = "h"\nkind = "heat"\nhot_water = { mass_t = 1, temperature_c = 15 }',
        "source[h].hot_water.temperature_c",
    ),
    "purity above 1": (
        '[[source]]\nid = "b"\nkind = "carbon_balance"\n'
        'inputs = [{ material = "ethylene", amount = 1, purity = 1.1 }]',
        "source[b].inputs[1].purity",
    ),
    "negative mass balance": (
        '[[source]]\nid = "b"\nkind = "carbon_balance"\n'
        'inputs = [{ material = "ethylene", amount = 1 }]\n'
        'products = [{ material = "ethylene", amount = 2 }]',
        "source[b].products",
    ),
    "stock from nowhere": (
        '[[source]]\nid = "b"\nkind = "carbon_balance"\n'
        'inputs = [{ material = "ethylene", amount = 1, stock_end = 5 }]',
        "source[b].inputs[1].stock_end",
    ),
    "unknown material": (
        '[[source]]\nid = "b"\nkind = "carbon_balance"\n'
        'inputs = [{ material = "ethylen", amount = 1 }]',
        "source[b].inputs[1].material",
    ),
    "more carbon than mass": (
        '[[source]]\nid = "b"\nkind = "carbon_balance"\n'
        'inputs = [{ material = "tar", amount = 1, unit = "t", carbon_content = 1.2 }]',
        "source[b].inputs[1].carbon_content",
    ),
    "carbonates above the whole": (
        '[[source]]\nid = "c"\nkind = "carbonate"\namount = 1\ncomponents = ['
        '{ carbonate = "CaCO3", purity = 0.8 }, { carbonate = "MgCO3", purity = 0.3 }]',
        "source[c].components",
    ),
    "removal above 1": (
        '[[source]]\nid = "n"\nkind = "nitric_acid"\ntechnology = "高压"\noutput_t = 1\n'
        "removal = 1.2",
        "source[n].removal",
    ),
    "unknown technology": (
        '[[source]]\nid = "n"\nkind = "nitric_acid"\ntechnology = "very-high"\noutput_t = 1',
        "source[n].technology",
    ),
    "gas shares that are not 1": (
        '[[source]]\nid = "x"\nkind = "flare"\nvolume_1e4nm3 = 1\n'
        "composition = { CH4 = 0.5, CO2 = 0.4 }",
        "source[x].composition",
    ),
    "two kinds of flare": (
        '[[source]]\nid = "x"\nkind = "flare"\nvolume_1e4nm3 = 1\ncarbon = 5\nhours = 2',
        "source[x].hours",
    ),
    "unbalanced equation": (
        '[[source]]\nid = "r"\nkind = "reaction"\nequation = "CH4 + O2 -> CO2 + 2 H2O"\n'
        'feed = "CH4"\namount = 1',
        "source[r].equation",
    ),
    "more COD out than in": (
        '[[source]]\nid = "w"\nkind = "wastewater"\nvolume_m3 = 1\ncod_in = 1\ncod_out = 2\n'
        "mcf = 0.8",
        "source[w].cod_out",
    ),
    "more methane caught than formed": (
        '[[source]]\nid = "w"\nkind = "wastewater"\nvolume_m3 = 1\ncod_in = 1\nmcf = 0.8\n'
        "recovered_ch4_t = 1",
        "source[w].recovered_ch4_t",
    ),
    "decay without deposits": (
        '[[source]]\nid = "l"\nkind = "landfill"\namount = 1\ndoc = 0.15\nmcf = 1\nk = 0.05',
        "source[l].k",
    ),
    "unknown mode": (
        '[[source]]\nid = "t"\nkind = "transport"\nmass_t = 1\ndistance_km = 1\nmode = "raill"',
        "source[t].mode",
    ),
    "two concentrations": (
        '[[source]]\nid = "s"\nkind = "cems"\ndry_flow_nm3_h = 1\nhours = 1\n'
        "concentration_mg_nm3 = 1\nconcentration_pct = 1",
        "source[s].concentration_mg_nm3",
    ),
    "unknown meter class": (
        _fuel('amount = 1\nmeter_class = "good"'),
        "source[f].meter_class",
    ),
    "shares that are not 1": (
        _fuel("amount = 1\n") + '[allocation]\nmethod = "agreed"\n'
        'product = [{ id = "a", share = 0.6 }, { id = "b", share = 0.5 }]',
        "allocation.product",
    ),
    "a product twice": (
        _fuel("amount = 1\n") + '[allocation]\nmethod = "agreed"\nproduct = '
        '[{ id = "a", share = 0.5 }, { id = "a", share = 0.5 }, { id = "b", share = 0.5 }]',
        "allocation.product[a].id",
    ),
    "a negative deposit of the last year": (
        '[[source]]\nid = "s"\nkind = "landfill"\ndeposits = [5, -1]\ndoc = 0.1\nk = 0.06\n'
        'site = "managed-anaerobic"',
        "source[s].deposits[2]",
    ),
    "saturated steam that is not": (
        _heat("steam = { mass_t = 5, pressure_mpa = 5, temperature_c = 180, saturated = true }"),
        "source[h].steam.temperature_c",
    ),
    "water above its critical point": (
        _heat("hot_water = { mass_t = 5, temperature_c = 400 }"),
        "source[h].hot_water.temperature_c",
    ),
    "an enthalpy of no steam": (
        _heat("steam = { mass_t = 5, enthalpy_kj_per_kg = 9000 }"),
        "source[h].steam.enthalpy_kj_per_kg",
    ),
    "no oxidation without evidence": (_fuel("amount = 1\noxidation = 0"), "source[f].oxidation"),
    "all biogenic without evidence": (
        _fuel("amount = 1\nbiogenic_share = 1"),
        "source[f].biogenic_share",
    ),
    "everything removed without evidence": (
        '[[source]]\nid = "n"\nkind = "nitric_acid"\ntechnology = "high-pressure"\n'
        "output_t = 5\nremoval = 1",
        "source[n].removal",
    ),
    "allocation without its basis": (
        _fuel("amount = 1\n") + '[allocation]\nmethod = "price"\n'
        'product = [{ id = "a", amount = 6 }, { id = "b", amount = 4, price = 2 }]',
        "allocation.product[a].price",
    ),
    "no source": ("", "source"),
    "unknown table": (_fuel("amount = 1\n") + "[sources]", "sources"),
}


@pytest.mark.parametrize(("text", "path"), REFUSED.values(), ids=REFUSED)
def test_refused_with_its_path(text: str, path: str) -> None:
    faults = refused(text)
    assert any(fault.path.endswith(path) for fault in faults), [str(fault) for fault in faults]
    assert all(fault.what and fault.hint for fault in faults)


def test_every_fault_shows_at_once() -> None:
    paths = {
        fault.path
        for fault in refused(
            _fuel("amount = -1\noxidation = 2\n")
            + '[[source]]\nid = "x"\nkind = "transport"\nmass_t = -1\ndistance_km = 1'
        )
    }
    assert paths == {"source[f].amount", "source[f].oxidation", "source[x].mass_t"}
    resolved = refused(
        '[[source]]\nid = "a"\nkind = "fuel"\nfuel = "deisel"\namount = 1\n'
        '[[source]]\nid = "b"\nkind = "carbonate"\ncarbonate = "CaCO4"\namount = 1'
    )
    assert {fault.path for fault in resolved} == {"source[a].fuel", "source[b].carbonate"}
    assert '"diesel"' in resolved[0].hint
    assert '"CaCO3"' in resolved[1].hint


def test_an_unknown_rule_set_names_the_nearest() -> None:
    faults = refused(_fuel("amount = 1"), rules="GB/T 32151.10-2024")
    assert faults[0].path == "inventory.rules"
    assert "GB/T 32151.10-2023" in faults[0].hint


def test_evidence_allows_a_zero_factor_and_is_named() -> None:
    document = calculate(
        '[[source]]\nid = "e"\nkind = "electricity"\npurchased_mwh = 10\nfactor = 0\n'
        'evidence = "GEC 2026-004"'
    )
    assert document["total_tco2e"] == 0
    assert document["sources"][0]["factors"][0]["source"] == "user: GEC 2026-004"


def test_separate_amounts_of_one_fuel_may_take_two_paths() -> None:
    document = calculate(
        _fuel("amount = 1\n") + '[[source]]\nid = "g"\nkind = "fuel"\nfuel = "柴油"\namount = 1\n'
        "carbon_per_unit = 0.86\nseparate = true"
    )
    assert len(document["sources"]) == 2


@pytest.mark.parametrize(
    ("fuel", "nearest"),
    [("烟媒", "烟煤"), ("disel", "diesel"), ("petroleum", "petroleum-coke"), ("天然汽", "天然气")],
)
def test_an_unknown_fuel_is_refused_with_the_nearest_names(fuel: str, nearest: str) -> None:
    (fault,) = refused(f'[[source]]\nid = "f"\nkind = "fuel"\nfuel = "{fuel}"\namount = 1')
    assert fault.path == "source[f].fuel"
    assert f'"{nearest}"' in fault.hint


def test_what_makes_a_factor_zero_is_taken_with_evidence() -> None:
    document = calculate(_fuel('amount = 1\nbiogenic_share = 1\nevidence = "supplier"'))
    assert document["total_tco2e"] == 0
    assert document["biogenic_tco2"] > 0
