"""What an inventory says of its sources: factors, units, warnings, coal equivalent, products."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inventory_text import calculate


def _one(text: str, **options: str) -> dict[str, object]:
    (source,) = calculate(f'[[source]]\nid = "x"\n{text}', **options)["sources"]
    return dict(source)


def _fuel(rest: str) -> dict[str, object]:
    return _one(f'kind = "fuel"\nfuel = "natural-gas"\n{rest}')


def test_a_fuel_names_every_number_and_its_source() -> None:
    source = _fuel("amount = 10")
    factors = source["factors"]
    assert isinstance(factors, list)
    assert [(used["id"], used["unit"]) for used in factors] == [
        ("fuel/natural-gas@GB/T-32151.34-2024", "tCO2/10^4Nm3"),
        ("fuel/natural-gas/ncv@GB/T-32151.34-2024", "GJ/10^4Nm3"),
        ("fuel/natural-gas/carbon-content@GB/T-32151.34-2024", "tC/GJ"),
        ("fuel/natural-gas/oxidation@GB/T-32151.34-2024", "1"),
    ]
    assert "C.1" in factors[1]["source"]
    assert factors[1]["value"] * factors[2]["value"] * factors[3]["value"] * 44 / 12 == (
        pytest.approx(factors[0]["value"], rel=1e-15)
    )
    assert source["tco2e"] == pytest.approx(216.21888, rel=1e-7)


def test_own_parameters_are_named_as_the_users() -> None:
    factors = _fuel('amount = 10\nncv = 380\nevidence = "lab 12"')["factors"]
    assert isinstance(factors, list)
    assert factors[0]["id"] == "fuel/natural-gas@GB/T-32151.34-2024+user"
    assert (factors[1]["id"], factors[1]["source"]) == ("fuel/natural-gas/ncv@user", "user: lab 12")


@pytest.mark.parametrize(
    ("amount", "unit", "expected"),
    [
        (1e5, "Nm3", 10.0),
        (1e5, "m3@20C", 9.3177555),
        (1e5, "m3@0C", 10.0),
        (10, "10^4m3@20C,101.325kPa", 9.3177555),
        (3893.1, "GJ", 10.0),
    ],
)
def test_units_of_a_gas(amount: float, unit: str, expected: float) -> None:
    source = _fuel(f'amount = {amount}\nunit = "{unit}"')
    assert source["activity"] == pytest.approx(expected, rel=1e-7)
    assert source["activity_unit"] == "10^4Nm3"


def test_carbon_per_unit_and_biogenic_share() -> None:
    source = _one(
        'kind = "fuel"\nfuel = "diesel"\namount = 10\ncarbon_per_unit = 0.86\noxidation = 1\n'
        "biogenic_share = 0.25"
    )
    burnt = 10 * 0.86 * 44 / 12
    assert source["tco2e"] == pytest.approx(burnt * 0.75, rel=1e-12)
    assert source["biogenic_tco2"] == pytest.approx(burnt * 0.25, rel=1e-12)


def test_electricity_by_region_year_and_basis() -> None:
    sichuan = _one('kind = "electricity"\npurchased_mwh = 1000\nregion = "sichuan"\nyear = 2022')
    assert sichuan["tco2e"] == pytest.approx(140.4, rel=1e-12)
    assert sichuan["warnings"] == []
    residual = _one('kind = "electricity"\npurchased_mwh = 1000\nyear = 2023\nbasis = "residual"')
    assert residual["tco2e"] == pytest.approx(609.6, rel=1e-12)
    later = _one('kind = "electricity"\npurchased_mwh = 1000\nyear = 2026')
    assert later["tco2e"] == pytest.approx(530.6, rel=1e-12)
    assert later["warnings"] == ["no factor is published for 2026, that of 2023 is used"]


def test_a_region_with_its_rank() -> None:
    for name in ("四川省", "四川"):
        source = _one(f'kind = "electricity"\npurchased_mwh = 1\nregion = "{name}"\nyear = 2023')
        assert source["tco2e"] == pytest.approx(0.1564, rel=1e-12)
    source = _one('kind = "electricity"\npurchased_mwh = 1\nregion = "新疆维吾尔自治区"')
    assert source["tco2e"] == pytest.approx(0.6021, rel=1e-12)


def test_a_landfill_by_decay() -> None:
    decaying = 'kind = "landfill"\ndoc = 0.15\nsite = "managed-anaerobic"\nk = 0.05\n'
    by_age = _one(decaying + "amount = 100\nage_years = 3")
    by_years = _one(decaying + "deposits = [100, 0, 0, 0]")
    expected = 100 * 0.05 * math.exp(-0.1) * (1 - math.exp(-0.05))
    assert by_age["tch4"] == pytest.approx(expected, rel=1e-12)
    assert by_years["tch4"] == by_age["tch4"]


def test_own_power_plant_is_counted_by_its_fuel_once() -> None:
    plant = 'own_plant = {{ fuel = "natural-gas", generated_mwh = 1000, efficiency = 0.45{more} }}'
    alone = _one(f'kind = "electricity"\n{plant.format(more="")}')
    assert alone["tco2e"] == pytest.approx(444.312, rel=1e-9)
    text = f"""
    [[source]]
    id = "gas"
    kind = "fuel"
    fuel = "natural-gas"
    amount = {1000 * 3.6 / 0.45 / 389.31}
    [[source]]
    id = "power"
    kind = "electricity"
    {plant.format(more=', fuel_source = "gas"')}
    """
    document = calculate(text)
    assert document["total_tco2e"] == pytest.approx(444.312, rel=1e-9)
    assert document["subtotals"]["electricity"] == 0
    assert "not again here" in document["sources"][1]["warnings"][0]


def test_a_balance_with_stocks_intermediates_and_formulas() -> None:
    document = calculate(
        """
        [[source]]
        id = "eo"
        kind = "carbon_balance"
        inputs = [
          { material = "乙烯", amount = 1000, purity = 0.99, stock_start = 10, stock_end = 20 },
          { material = "natural-gas", amount = 20000, unit = "Nm3" },
          { material = "C2H2", amount = 2 },
        ]
        products = [{ material = "环氧乙烷", amount = 1200, stock_end = 5 }]
        wastes = [{ material = "残渣", amount = 10, carbon_content = 0.6 }]
        intermediates = [{ material = "methanol", stock_start = 4, stock_end = 6 }]
        recovered_c_t = 10
        """
    )
    carbon = (
        990 * 0.99 * 0.856
        + 2 * 389.31 * 0.0153
        + 2 * (24.022 / 26.038)
        - 1205 * 0.545
        - 10 * 0.6
        - 2 * 0.375
        - 10
    )
    assert document["total_tco2e"] == pytest.approx(carbon * 44 / 12, rel=1e-9)
    named = {used["id"]: used["source"] for used in document["sources"][0]["factors"]}
    assert named["material/残渣@user"] == "user"
    assert "computed" in named["material/C2H2@formula"]


def test_a_table_that_contradicts_chemistry_is_used_with_both_values() -> None:
    source = _one('kind = "carbon_balance"\ninputs = [{ material = "ethane", amount = 1 }]')
    assert source["tco2e"] == pytest.approx(0.856 * 44 / 12, rel=1e-12)
    (warning,) = source["warnings"]  # type: ignore[misc]
    assert "0.856" in warning
    assert "0.7989" in warning


def test_other_kinds() -> None:
    assert _one('kind = "coke_burn"\namount = 1000\ncarbon_content = 0.95\noxidation = 0.98')[
        "tco2e"
    ] == pytest.approx(3413.666667, rel=1e-9)
    assert _one(
        'kind = "reaction"\nequation = "CaCO3 -> CaO + CO2"\nfeed = "CaCO3"\namount = 100\n'
        'masses = "standard"'
    )["tco2e"] == pytest.approx(43.971, abs=1e-3)
    assert _one(
        'kind = "adipic_acid"\nprocess = "硝酸氧化"\noutput_t = 100\nremoval = 0.9', gwp="AR5"
    )["tco2e"] == pytest.approx(100 * 0.3 * 0.1 * 265, rel=1e-9)
    assert _one('kind = "flare"\nrate_1e4nm3_h = 2\nhours = 3\ncarbon_number = 3')[
        "tco2e"
    ] == pytest.approx(346.5, rel=1e-9)
    mixed = _one('kind = "flare"\nvolume_1e4nm3 = 10\ncomposition = { CH4 = 0.9, CO2 = 0.1 }')
    carbon = 12 * 0.9 * 10 / 22.4
    assert mixed["tco2e"] == pytest.approx(10 * (carbon * 0.98 * 44 / 12 + 1.97), rel=1e-9)
    assert _one('kind = "landfill"\namount = 100\nfactor = 0.05', gwp="AR5")[
        "tco2e"
    ] == pytest.approx(140, rel=1e-12)
    assert _one('kind = "transport"\nmass_t = 100\ndistance_km = 500\nmode = "铁路"')[
        "tco2e"
    ] == pytest.approx(0.5, rel=1e-12)
    stack = _one('kind = "cems"\nconcentration_pct = 11.2\ndry_flow_nm3_h = 1e5\nhours = 1000')
    assert stack["tco2e"] == pytest.approx(22000, rel=1e-12)
    methane = _one('kind = "factor"\namount = 2\nfactor = 0.5\ngas = "ch4"', gwp="AR6")
    assert (methane["tch4"], methane["tco2e"]) == (1.0, 27.9)


def test_coal_equivalent_of_energy() -> None:
    diesel = _one('kind = "fuel"\nfuel = "diesel"\namount = 10')
    assert diesel["tce"] == pytest.approx(14.571, rel=1e-12)
    measured = _one('kind = "fuel"\nfuel = "diesel"\namount = 10\nncv = 43')
    assert measured["tce"] == pytest.approx(430 / 29.3076, rel=1e-12)
    power = _one('kind = "electricity"\npurchased_mwh = 10\nexported_mwh = 4')
    assert power["tce"] == pytest.approx(6 * 0.1229, rel=1e-12)
    equivalent = _one('kind = "electricity"\npurchased_mwh = 10\nequivalent_kgce_per_kwh = 0.3')
    assert equivalent["tce"] == pytest.approx(3.0, rel=1e-12)
    heat = _one('kind = "heat"\npurchased_gj = 100')
    assert heat["tce"] == pytest.approx(3.412, rel=1e-12)


def test_what_a_rule_set_does_not_cover_is_said() -> None:
    text = 'kind = "flare"\nvolume_1e4nm3 = 1\ncarbon = 5'
    (warning,) = _one(text)["warnings"]  # type: ignore[misc]
    assert "source list" in warning
    assert _one(text, rules="GB/T 32151.15")["warnings"] == []
    assert _one(text, rules="management")["warnings"] == []


@pytest.mark.parametrize(
    ("stated", "pct"),
    [
        ('meter_class = "0.5S"', 1 / math.sqrt(3)),
        ("meter_class = 2.5", 5 / math.sqrt(3)),
        ('meter_class = "steam-meter"', 5 / math.sqrt(3)),
        ("", 2.0),
        ("uncertainty_activity_pct = 1", 1.0),
    ],
)
def test_uncertainty_of_the_activity(stated: str, pct: float) -> None:
    source = _one(f'kind = "electricity"\npurchased_mwh = 1\n{stated}\nuncertainty_factor_pct = 0')
    assert source["uncertainty_pct"] == pytest.approx(pct, rel=1e-12)


def test_sources_of_one_factor_share_its_error() -> None:
    def total_pct(fuels: list[str]) -> float:
        text = "".join(
            f'[[source]]\nid = "{place}"\nkind = "fuel"\nfuel = "{fuel}"\namount = 10\n'
            "uncertainty_activity_pct = 0\nuncertainty_factor_pct = 10\n"
            for place, fuel in enumerate(fuels)
        )
        return float(calculate(text)["uncertainty_pct"])

    assert total_pct(["diesel", "柴油"]) == pytest.approx(10)
    assert total_pct(["diesel", "kerosene"]) < 7.2


def test_a_total_has_its_range() -> None:
    document = calculate(
        '[[source]]\nid = "a"\nkind = "factor"\namount = 100\nfactor = 1\n'
        "uncertainty_activity_pct = 3\nuncertainty_factor_pct = 4\nestimated_share = 0.5"
    )
    assert document["interval_tco2e"] == pytest.approx([95, 105])
    assert document["subtotal_intervals"]["factor"] == pytest.approx([95, 105])
    assert document["estimated_share"] == 0.5


def test_products_bear_exactly_the_total() -> None:
    document = calculate(
        """
        [[source]]
        id = "cracker"
        kind = "factor"
        amount = 1
        factor = 1000.1
        [allocation]
        method = "energy"
        product = [
          { id = "ethylene", amount = 30, energy_gj = 20 },
          { id = "propylene", amount = 20, energy_gj = 20 },
        ]
        """
    )
    shared = document["allocation"]
    assert shared["method"] == "energy"
    assert [part["share"] for part in shared["products"]] == [0.6, 0.4]
    assert [part["basis"] for part in shared["products"]] == [600, 400]
    assert sum(part["tco2e"] for part in shared["products"]) == document["total_tco2e"]
    agreed = calculate(
        """
        [[source]]
        id = "a"
        kind = "factor"
        amount = 10
        factor = 1
        [[source]]
        id = "b"
        kind = "factor"
        amount = 1
        factor = 1
        [allocation]
        method = "agreed"
        sources = ["a"]
        product = [{ id = "ethylene", share = 0.6 }, { id = "propylene", share = 0.4 }]
        """
    )["allocation"]
    assert [part["tco2e"] for part in agreed["products"]] == pytest.approx([6, 4], rel=1e-15)


@given(amounts=st.lists(st.floats(0, 1e6), min_size=1, max_size=5), cut=st.floats(0, 1))
def test_splitting_and_reordering_sources_changes_nothing(amounts: list[float], cut: float) -> None:
    def total(parts: list[float]) -> float:
        text = "".join(
            f'[[source]]\nid = "s{place}"\nkind = "fuel"\nfuel = "diesel"\namount = {amount!r}\n'
            for place, amount in enumerate(parts)
        )
        return float(calculate(text)["total_tco2e"])

    whole = total(amounts)
    split = [amounts[0] * cut, amounts[0] - amounts[0] * cut, *amounts[1:]]
    assert total(split) == pytest.approx(whole, rel=1e-12, abs=1e-9)
    assert total(list(reversed(amounts))) == whole


def test_an_own_plants_fuel_stays_in_the_total_without_purchased_energy() -> None:
    document = calculate(
        '[[source]]\nid = "e"\nkind = "electricity"\npurchased_mwh = 1000\nregion = "四川"\n'
        'year = 2022\nown_plant = { fuel = "天然气", generated_mwh = 900, efficiency = 0.45 }'
    )
    burnt = 900 * 3.6 / 0.45 * 0.0153 * 0.99 * 44 / 12
    assert document["total_without_energy_tco2e"] == pytest.approx(burnt, rel=1e-12)
    assert document["total_tco2e"] == pytest.approx(140.4 + burnt, rel=1e-12)


def test_a_balance_is_less_sure_than_its_amounts() -> None:
    balance = (
        '[[source]]\nid = "b"\nkind = "carbon_balance"\n'
        'inputs = [{ material = "x", amount = 1000, carbon_content = 0.8 }]\n'
        'products = [{ material = "y", amount = 700, carbon_content = 0.9 }]\n'
        "uncertainty_factor_pct = 0\n"
    )
    (source,) = calculate(balance)["sources"]
    expected = 2.0 * math.hypot(800, 630) / 170
    assert source["uncertainty_pct"] == pytest.approx(expected, rel=1e-12)
    (stated,) = calculate(f"{balance}uncertainty_activity_pct = 3")["sources"]
    assert stated["uncertainty_pct"] == pytest.approx(3.0, rel=1e-12)


def test_a_fuel_that_only_another_table_has_is_taken_from_there_and_says_so() -> None:
    (source,) = calculate(
        '[[source]]\nid = "f"\nkind = "fuel"\nfuel = "carbide-furnace-gas"\namount = 2'
    )["sources"]
    assert source["tco2e"] == pytest.approx(2 * 111.19 * 0.03951 * 0.99 * 44 / 12, rel=1e-12)
    assert "NDRC-2013" in source["warnings"][0]
    assert source["factors"][0]["id"] == "fuel/carbide-furnace-gas@NDRC-2013"


def test_purity_and_own_carbon_are_listed_with_their_evidence() -> None:
    (source,) = calculate(
        '[[source]]\nid = "b"\nkind = "carbon_balance"\nevidence = "lab 7"\n'
        'inputs = [{ material = "x", amount = 10, carbon_content = 0.8, purity = 0.95 }]'
    )["sources"]
    assert [(one["id"], one["value"], one["source"]) for one in source["factors"]] == [
        ("material/x@user", 0.8, "user: lab 7"),
        ("material/x/purity@user", 0.95, "user: lab 7"),
    ]
