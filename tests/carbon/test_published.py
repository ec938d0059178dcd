"""Numbers that a source publishes, each with its source; what is computed here stands apart."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from inventory_text import calculate

from agent.config.factors import library
from agent.core.carbon.allocation import CoProduct, allocate
from agent.core.carbon.amounts import convert_amount
from agent.core.carbon.carbon_balance import CarbonFlow, carbon_balance_tco2
from agent.core.carbon.fuel import carbon_factor_tco2_per_unit
from agent.core.carbon.heat import steam_gj
from agent.core.carbon.reaction import reaction_factors_t_per_t
from agent.core.carbon.waste import (
    incineration_factor_tco2_per_t,
    incineration_tco2,
    wastewater_tch4,
)
from agent.core.policy.allowances import Trade, sum_of_trades

GALLONS_PER_BARREL = 42


def test_total_of_a_chemical_enterprise() -> None:
    """四川天华 2020 report by the NDRC guide: 663,897 tCO2e (663,897.09)."""
    document = calculate(
        """
        [[source]]
        id = "fuel"
        kind = "factor"
        amount = 763203.37
        factor = 1
        [[source]]
        id = "process"
        kind = "factor"
        amount = 360439.74
        factor = 1
        [[source]]
        id = "recovery"
        kind = "co2_recovery"
        volume_1e4nm3 = 0
        purity = 1
        [[source]]
        id = "net-energy"
        kind = "electricity"
        exported_mwh = 459746.02
        factor = 1
        """,
        rules="NDRC-2013",
    )
    assert document["total_tco2e"] == pytest.approx(663897.09, rel=1e-9)
    assert round(document["total_tco2e"]) == 663897


# provincial inventory guide 2025, as used by a public application: tCO2 per t or 10^4 Nm3
GUIDE_2025 = {
    "汽油": 2.925056,
    "柴油": 3.095910,
    "天然气": 21.621888,
    "烟煤": 1.741750,
    "褐煤": 1.172864,
    "焦炭": 2.860419,
    "石油焦": 3.211542,
    "原油": 3.020202,
    "燃料油": 3.170461,
    "液化天然气": 2.831257,
    "液化石油气": 3.101330,
    "高炉煤气": 8.481132,
    "转炉煤气": 15.124032,
    "焦炉煤气": 8.863806,
}


@pytest.mark.parametrize(("fuel", "published"), GUIDE_2025.items())
def test_fuel_factors_of_the_provincial_guide(fuel: str, published: float) -> None:
    document = calculate(f'[[source]]\nid = "f"\nkind = "fuel"\nfuel = "{fuel}"\namount = 1')
    assert document["total_tco2e"] == pytest.approx(published, abs=1e-6)


def test_incineration_of_the_provincial_guide() -> None:
    """Provincial inventory guide 2025: 0.557333 and 1.641750 tCO2/t."""
    for waste, published in (("municipal-solid", 0.557333), ("危险废物", 1.641750)):
        document = calculate(
            f'[[source]]\nid = "w"\nkind = "incineration"\namount = 1\nwaste = "{waste}"'
        )
        assert document["total_tco2e"] == pytest.approx(published, abs=1e-6)
    assert incineration_factor_tco2_per_t(
        carbon_fraction=0.4, fossil_fraction=0.4, efficiency=0.95
    ) == pytest.approx(0.557333, abs=1e-6)


@pytest.mark.parametrize(
    ("load_g_per_m3", "b0", "mcf", "published"),
    [
        (500, 0.25, 0.9, 0.003150),
        (500, 0.25, 0.1, 0.000350),
        (500, 0.25, 0.05, 0.000175),
        (200, 0.6, 0.3, 0.001008),
        (200, 0.6, 0.9, 0.003024),
    ],
)
def test_waste_water_of_the_provincial_guide(
    load_g_per_m3: float, b0: float, mcf: float, published: float
) -> None:
    """Provincial inventory guide 2025, tCO2e per m3 at a GWP of 28."""
    tch4 = wastewater_tch4(
        volume_m3=1,
        cod_in_kg_per_m3=load_g_per_m3 / 1000,
        cod_out_kg_per_m3=0,
        factor_kgch4_per_kgcod=b0 * mcf,
    )
    assert 28 * tch4 == pytest.approx(published, rel=1e-6)


def test_carbon_of_coal_by_ap_42() -> None:
    """EPA AP-42, bituminous coal: 72.6 lb CO2 per short ton and % carbon, 99 % oxidised."""
    per_percent = carbon_factor_tco2_per_unit(carbon_tc_per_unit=2000 * 0.01, oxidation=0.99)
    assert per_percent == pytest.approx(72.6, rel=1e-9)


def test_stoichiometry_of_methane() -> None:
    """NPTEL 112104033, example 8.2: 2.75 kg/kg, 0.055 kg/MJ at 50 MJ/kg."""
    per_kg = reaction_factors_t_per_t(equation="CH4 + 2O2 = CO2 + 2H2O", feed="CH4")["CO2"]
    assert per_kg == pytest.approx(2.75, rel=1e-12)
    assert per_kg / 50 == pytest.approx(0.055, rel=1e-12)


@pytest.mark.parametrize(
    ("per_mmbtu", "per_therm"),
    [
        (54.01, 5.401),
        (52.91, 5.291),
        (53.06, 5.306),
        (53.46, 5.346),
        (53.72, 5.372),
        (54.71, 5.471),
    ],
)
def test_energy_units_of_the_eia(per_mmbtu: float, per_therm: float) -> None:
    """EIA form 1605b: kg CO2 per MMBtu and per therm."""
    assert per_mmbtu * convert_amount(1, "therm", "MMBtu") == pytest.approx(per_therm, rel=1e-9)


@pytest.mark.parametrize(
    ("per_mmbtu", "mmbtu_per_barrel", "per_gallon"), [(73.15, 5.825, 10.15), (70.88, 5.67, 9.57)]
)
def test_energy_to_volume_of_the_eia(
    per_mmbtu: float, mmbtu_per_barrel: float, per_gallon: float
) -> None:
    """EIA: diesel 10.15 kg/gal, jet fuel 9.57 kg/gal."""
    per_barrel = per_mmbtu * mmbtu_per_barrel
    computed = per_barrel * convert_amount(1, "gal", "bbl")
    assert round(computed, 2) == per_gallon
    assert convert_amount(1, "bbl", "gal") == pytest.approx(GALLONS_PER_BARREL, rel=1e-9)


def test_steam_of_gbt_32151_34() -> None:
    """GB/T 32151.34-2024 equation 13, test vector: 1000 kg at 2800 kJ/kg and 0.11 is 0.308 t."""
    gj = steam_gj(mass_t=1, enthalpy_kj_per_kg=2800, feed_water_kj_per_kg=0)
    assert gj * 0.11 == pytest.approx(0.308, rel=1e-12)


def test_allocation_by_mass() -> None:
    """Klöpffer and Grahl, p. 94: 700 kg of A, 300 kg of B: 70 % and 30 %."""
    parts = allocate(1.0, (CoProduct(id="A", amount=700), CoProduct(id="B", amount=300)), "mass")
    assert [part.share for part in parts] == pytest.approx([0.7, 0.3], rel=1e-15)


def test_allocation_by_value() -> None:
    """Klöpffer and Grahl, p. 101: B at 5 per kg of 15,500 in all bears 0.097, about 10 %."""
    products = (
        CoProduct(id="A", amount=700, per_unit=20),
        CoProduct(id="B", amount=300, per_unit=5),
    )
    parts = allocate(1.0, products, "price")
    assert sum(part.basis for part in parts) == 15500
    assert round(parts[1].share, 3) == 0.097


@pytest.mark.parametrize(
    ("region", "basis", "change_pct"),
    [
        ("全国", "average", -1.1),
        ("全国", "residual", 4.1),
        ("华北", "average", -6.1),
        ("华东", "average", -2.1),
        ("华中", "average", -2.3),
        ("西北", "average", -5.4),
        ("南方", "average", 4.5),
        ("西南", "average", 9.0),
    ],
)
def test_grid_changes_of_the_ministry(region: str, basis: str, change_pct: float) -> None:
    """Notice of 2025-12-31: changes of 2023 against 2022, in % (northeast: -8.0, -7.94 here)."""
    now, before = (
        library().grid(region, year, basis).row.kgco2_per_kwh  # type: ignore[arg-type]
        for year in (2023, 2022)
    )
    assert (now / before - 1) * 100 == pytest.approx(change_pct, abs=0.051)


def test_grid_changes_of_the_notice_before() -> None:
    """Notice of 2024-12-20: average -0.0202 (-3.6 %), fossil -0.0101 (-1.2 %)."""
    for basis, change, pct in (("average", -0.0202, -3.6), ("fossil", -0.0101, -1.2)):
        now, before = (
            library().grid("全国", year, basis).row.kgco2_per_kwh  # type: ignore[arg-type]
            for year in (2022, 2021)
        )
        assert now - before == pytest.approx(change, abs=1e-9)
        assert (now / before - 1) * 100 == pytest.approx(pct, abs=0.05)


class TestArticle:
    """The numbers of the article that this project implements."""

    def test_coal(self) -> None:
        document = calculate(
            '[[source]]\nid = "c"\nkind = "fuel"\nfuel = "烟煤"\namount = 500\nfactor = 2.6'
        )
        assert document["total_tco2e"] == 1300.0
        assert document["sources"][0]["factors"][0]["source"] == "user"

    def test_incineration(self) -> None:
        assert incineration_tco2(amount_t=100, factor_tco2_per_t=3.2) == 320.0
        document = calculate(
            '[[source]]\nid = "w"\nkind = "incineration"\namount = 100\nfactor = 3.2'
        )
        assert document["total_tco2e"] == 320.0

    def test_carbon_balance(self) -> None:
        emitted = carbon_balance_tco2(
            inputs=[CarbonFlow(amount=100, carbon_tc_per_unit=1)],
            products=[CarbonFlow(amount=60, carbon_tc_per_unit=1)],
            wastes=[CarbonFlow(amount=5, carbon_tc_per_unit=1)],
            recovered_tc=5,
        )
        assert emitted == pytest.approx((100 - 60 - 5 - 5) * 44 / 12, rel=1e-12)

    def test_six_to_four(self) -> None:
        products = (CoProduct(id="ethylene", amount=6), CoProduct(id="propylene", amount=4))
        parts = allocate(1000.0, products, "mass")
        assert [part.part for part in parts] == [600.0, 400.0]
        assert [part.share for part in parts] == [0.6, 0.4]


class TestRegressions:
    """Outputs computed once from published inputs: they hold the code, not a source."""

    @pytest.mark.parametrize(
        ("gwp", "tco2e"), [("SAR", 6463.5), ("AR5", 5525.25), ("AR6", 5692.05)]
    )
    def test_nitric_acid(self, gwp: str, tco2e: float) -> None:
        document = calculate(
            """
            [[source]]
            id = "hno3"
            kind = "nitric_acid"
            technology = "高压"
            output_t = 10000
            removal = 0.85
            utilisation = 1.0
            """,
            gwp=gwp,
        )
        assert document["total_tco2e"] == pytest.approx(tco2e, rel=1e-9)
        assert document["sources"][0]["tn2o"] == pytest.approx(20.85, rel=1e-9)

    @pytest.mark.parametrize(("rules", "tco2e"), [("NDRC-2013", 29.626), ("management", 30.547)])
    def test_saturated_steam(self, rules: str, tco2e: float) -> None:
        document = calculate(
            """
            [[source]]
            id = "s"
            kind = "heat"
            [source.steam]
            mass_t = 100
            pressure_mpa = 1.0
            saturated = true
            """,
            rules=rules,
        )
        assert document["total_tco2e"] == pytest.approx(tco2e, abs=5e-4)

    def test_hot_water(self) -> None:
        document = calculate(
            '[[source]]\nid = "w"\nkind = "heat"\nhot_water = { mass_t = 1000, temperature_c = 90 }'
        )
        assert document["sources"][0]["activity"] == pytest.approx(293.076, rel=1e-9)
        assert document["total_tco2e"] == pytest.approx(32.238, abs=5e-4)

    def test_carbonate_and_recovery(self) -> None:
        document = calculate(
            """
            [[source]]
            id = "lime"
            kind = "carbonate"
            carbonate = "CaCO3"
            amount = 1000
            purity = 0.97
            [[source]]
            id = "co2"
            kind = "co2_recovery"
            volume_1e4nm3 = 50
            purity = 0.99
            """,
            rules="NDRC-2013",
        )
        assert document["subtotals"]["carbonate"] == pytest.approx(426.509, rel=1e-9)
        assert document["subtotals"]["co2_recovery"] == pytest.approx(-975.15, rel=1e-9)

    def test_feed_gas_by_40_cfr_98_73(self) -> None:
        # equation G-1: 10^6 scf of methane, 849.5 scf/kmol, 12.011 kg C/kmol
        carbon_t = 1e6 / 849.5 * 12.011 / 1000
        feed = CarbonFlow(amount=carbon_t, carbon_tc_per_unit=1.0)
        assert carbon_balance_tco2(inputs=[feed], products=[]) == pytest.approx(51.843, abs=5e-4)

    def test_epa_table_c_1(self) -> None:
        # inputs of 40 CFR 98 table C-1; natural gas, no. 2 oil, petroleum coke
        assert pytest.approx(0.0544396, abs=5e-8) == 1.026e-3 * 53.06
        assert pytest.approx(10.2065, abs=5e-5) == 0.138 * 73.96
        per_short_ton = 30.00 * 102.41
        assert per_short_ton == pytest.approx(3072.3, abs=0.05)
        # EIA: 117 lb per million Btu is 53.07 kg
        assert convert_amount(117, "lb", "kg") == pytest.approx(53.07, abs=5e-3)

    def test_uncertainty(self) -> None:
        document = calculate(
            """
            [[source]]
            id = "f"
            kind = "fuel"
            fuel = "diesel"
            amount = 10
            uncertainty_activity_pct = 5
            uncertainty_factor_pct = 10
            """
        )
        assert document["uncertainty_pct"] == pytest.approx(math.hypot(5, 10), rel=1e-12)
        assert document["sources"][0]["uncertainty_pct"] == pytest.approx(11.18, abs=5e-3)


def test_block_trades_of_allowances() -> None:
    """National market, market reports citing the ministry: 560,500 t for 45,565,750.00 CNY."""
    total = sum_of_trades(
        [
            Trade(tonnes=Decimal(160_500), cny=Decimal("13065750.00")),
            Trade(tonnes=Decimal(400_000), cny=Decimal("32500000.00")),
        ]
    )
    assert total.tonnes == 560_500
    assert total.cny == Decimal("45565750.00")
    assert total.mean_cny_per_t is not None
    assert round(total.mean_cny_per_t, 2) == Decimal("81.29")
