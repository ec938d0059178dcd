"""Accounting functions against published numbers; each names where it was published."""

from __future__ import annotations

import doctest
import importlib
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.carbon.basis import CarbonInputError, combined_uncertainty_pct
from agent.core.carbon.booking import emission_of
from agent.core.carbon.electricity import electricity_emission_tco2
from agent.core.carbon.fuel import (
    carbon_factor_tco2_per_unit,
    fuel_emission_tco2,
    fuel_factor_tco2_per_unit,
)
from agent.core.carbon.heat import heat_emission_tco2, hot_water_gj, steam_gj
from agent.core.model import FactorRef, Provenance, Window

GAS = FactorRef(
    id="fuel/natural-gas@GB/T-32151.34-2024", version="1", value=2.1621888, unit="kgCO2e/Nm3"
)
AMOUNTS = st.floats(0, 1e9)

# Provincial inventory guide 2025, fuel factors in tCO2 per t or 10^4 Nm3, all to 1e-6;
# parameters of GB/T 32151.34-2024 table C.1.
PUBLISHED_FUELS = [
    (43.070, 0.0189, 0.98, 2.925056),  # gasoline
    (42.652, 0.0202, 0.98, 3.095910),  # diesel
    (389.31, 0.0153, 0.99, 21.621888),  # natural gas
    (19.570, 0.0261, 0.93, 1.741750),  # bituminous coal
    (11.9, 0.0280, 0.96, 1.172864),  # lignite
    (28.435, 0.0295, 0.93, 2.860419),  # coke
    (32.5, 0.0275, 0.98, 3.211542),  # petroleum coke
    (41.816, 0.0201, 0.98, 3.020202),  # crude oil
    (41.816, 0.0211, 0.98, 3.170461),  # fuel oil
    (51.498, 0.0153, 0.98, 2.831257),  # liquefied natural gas
    (50.179, 0.0172, 0.98, 3.101330),  # liquefied petroleum gas
    (33.00, 0.0708, 0.99, 8.481132),  # blast-furnace gas
    (84.00, 0.0496, 0.99, 15.124032),  # converter gas
    (179.81, 0.01358, 0.99, 8.863806),  # coke-oven gas
]


@pytest.mark.parametrize(("ncv", "carbon", "oxidation", "published"), PUBLISHED_FUELS)
def test_published_fuel_factors(
    ncv: float, carbon: float, oxidation: float, published: float
) -> None:
    computed = fuel_factor_tco2_per_unit(
        ncv_gj_per_unit=ncv, carbon_content_tc_per_gj=carbon, oxidation=oxidation
    )
    assert computed == pytest.approx(published, abs=1e-6)


def test_published_carbon_path() -> None:
    # EPA AP-42, bituminous coal: 72.6 lb CO2 per short ton and % carbon at 99 % oxidation
    factor = carbon_factor_tco2_per_unit(carbon_tc_per_unit=2000 * 0.01, oxidation=0.99)
    assert factor == pytest.approx(72.6, abs=1e-9)
    # NPTEL 112104033, example 8.2: methane, 12/16 carbon, 2.75 kg/kg and 0.055 kg/MJ at 50 MJ/kg
    methane = carbon_factor_tco2_per_unit(carbon_tc_per_unit=12 / 16, oxidation=1.0)
    assert methane == pytest.approx(2.75, rel=1e-12)
    assert methane / 50 == pytest.approx(0.055, rel=1e-12)


def test_a_users_factor() -> None:
    assert fuel_emission_tco2(amount=500.0, factor_tco2_per_unit=2.6) == 1300.0
    assert fuel_emission_tco2(amount=100.0, factor_tco2_per_unit=3.2) == 320.0


def test_published_changes_of_the_grid() -> None:
    # the ministry's own figures in its notices of 2024 and 2025
    change = electricity_emission_tco2(purchased_mwh=1, factor_tco2_per_mwh=0.5366)
    change -= electricity_emission_tco2(purchased_mwh=1, factor_tco2_per_mwh=0.5568)
    assert change == pytest.approx(-0.0202, abs=1e-9)
    assert change / 0.5568 * 100 == pytest.approx(-3.6, abs=0.05)


def test_exported_energy_is_negative() -> None:
    exported = electricity_emission_tco2(
        purchased_mwh=10, exported_mwh=30, factor_tco2_per_mwh=0.5306
    )
    assert exported == pytest.approx(-20 * 0.5306)
    heat = heat_emission_tco2(purchased_gj=1, exported_gj=3, factor_tco2_per_gj=0.11)
    assert heat == pytest.approx(-0.22)


def test_steam_and_hot_water() -> None:
    # regressions computed from IAPWS enthalpy 2777.0 kJ/kg at 1.0 MPa saturated
    assert steam_gj(mass_t=100, enthalpy_kj_per_kg=2777.0) == pytest.approx(269.326)
    assert heat_emission_tco2(purchased_gj=269.326, factor_tco2_per_gj=0.11) == pytest.approx(
        29.626, abs=5e-4
    )
    full = steam_gj(mass_t=100, enthalpy_kj_per_kg=2777.0, feed_water_kj_per_kg=0.0)
    assert full * 0.11 == pytest.approx(30.547, abs=5e-4)
    # GB/T 32151.34-2024 equation 13, example: 1000 kg at 2800 kJ/kg and 0.11 is 0.308 t
    one = steam_gj(mass_t=1, enthalpy_kj_per_kg=2800.0, feed_water_kj_per_kg=0.0)
    assert one * 0.11 == pytest.approx(0.308, rel=1e-12)
    assert hot_water_gj(mass_t=1000, temperature_c=90) == pytest.approx(293.076, rel=1e-12)


def test_combined_uncertainty() -> None:
    # regression of IPCC 2006 volume 1 equation 3.1
    assert combined_uncertainty_pct(5, 10) == pytest.approx(11.18, abs=5e-3)


@given(AMOUNTS, AMOUNTS, st.floats(0, 10))
def test_splitting_a_source_changes_nothing(one: float, other: float, factor: float) -> None:
    parts = sum(
        fuel_emission_tco2(amount=part, factor_tco2_per_unit=factor) for part in (one, other)
    )
    whole = fuel_emission_tco2(amount=one + other, factor_tco2_per_unit=factor)
    assert parts == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_impossible_amounts_are_refused(bad: float) -> None:
    with pytest.raises(CarbonInputError):
        fuel_emission_tco2(amount=bad, factor_tco2_per_unit=1)
    with pytest.raises(CarbonInputError):
        electricity_emission_tco2(purchased_mwh=0, exported_mwh=bad, factor_tco2_per_mwh=1)
    with pytest.raises(CarbonInputError):
        heat_emission_tco2(purchased_gj=bad, factor_tco2_per_gj=1)
    with pytest.raises(CarbonInputError):
        steam_gj(mass_t=bad, enthalpy_kj_per_kg=2777.0)


@pytest.mark.parametrize("bad", [-0.01, 1.01, math.nan])
def test_impossible_shares_are_refused(bad: float) -> None:
    with pytest.raises(CarbonInputError):
        fuel_factor_tco2_per_unit(ncv_gj_per_unit=1, carbon_content_tc_per_gj=1, oxidation=bad)


def test_water_without_heat_is_refused() -> None:
    for temperature_c in (19.9, math.nan):
        with pytest.raises(CarbonInputError):
            hot_water_gj(mass_t=1, temperature_c=temperature_c)
    with pytest.raises(CarbonInputError):
        steam_gj(mass_t=1, enthalpy_kj_per_kg=80)


def _window(value: float | None, provenance: Provenance = Provenance.MEASURED) -> Window:
    return Window(
        stream="gas.volume",
        start_ms=0,
        length_ms=900_000,
        revision=3,
        value=value,
        provenance=provenance,
        method="counter",
        coverage=1.0,
    )


def test_a_window_becomes_an_emission() -> None:
    emission = emission_of("f103-gas", _window(120.0), GAS)
    assert emission.kgco2 == emission.kgco2e == 120.0 * 2.1621888
    assert (emission.kgch4, emission.kgn2o) == (0.0, 0.0)
    assert (emission.lower, emission.upper) == (None, None)
    assert emission.inputs == (("gas.volume", 3),)
    assert emission.factor == GAS
    assert (emission.start_ms, emission.end_ms) == (0, 900_000)


def test_no_value_gives_no_emission() -> None:
    emission = emission_of("f103-gas", _window(None, Provenance.MISSING), GAS)
    assert emission.kgco2 is emission.kgch4 is emission.kgn2o is emission.kgco2e is None
    assert emission.lower is emission.upper is None
    assert emission.estimated_share == 1.0


@pytest.mark.parametrize(
    ("provenance", "share"),
    [
        (Provenance.MEASURED, 0.0),
        (Provenance.ALLOCATED, 0.0),
        (Provenance.MANUAL, 0.0),
        (Provenance.VERIFIED, 0.0),
        (Provenance.ESTIMATED, 1.0),
        (Provenance.MISSING, 1.0),
    ],
)
def test_what_counts_as_estimated(provenance: Provenance, share: float) -> None:
    assert emission_of("s", _window(1.0, provenance), GAS).estimated_share == share


def test_the_interval_is_scaled_and_stays_ordered() -> None:
    window = replace(_window(100.0), lower=90.0, upper=120.0)
    booked = emission_of("s", window, GAS, share=0.5)
    assert booked.lower == pytest.approx(45 * GAS.value)
    assert booked.upper == pytest.approx(60 * GAS.value)
    returned = emission_of("s", window, GAS, share=-0.5)
    assert returned.lower == pytest.approx(-60 * GAS.value)
    assert returned.upper == pytest.approx(-45 * GAS.value)


def test_uncertainty_widens_the_interval_to_90_per_cent() -> None:
    unit = replace(GAS, value=1.0)
    booked = emission_of("s", _window(100.0), unit, uncertainty_activity_pct=1.959963984540054)
    assert booked.upper == pytest.approx(100 + 1.6448536269514722)
    assert booked.lower == pytest.approx(100 - 1.6448536269514722)


@given(
    value=st.floats(-1e9, 1e9),
    below=st.floats(0, 1e6),
    above=st.floats(0, 1e6),
    share=st.floats(-1, 1),
    uncertainty=st.floats(0, 100),
)
def test_the_interval_holds_the_value(
    value: float, below: float, above: float, share: float, uncertainty: float
) -> None:
    window = replace(_window(value), lower=value - below, upper=value + above)
    booked = emission_of("s", window, GAS, share=share, uncertainty_factor_pct=uncertainty)
    assert booked.lower is not None
    assert booked.kgco2e is not None
    assert booked.upper is not None
    assert booked.lower <= booked.kgco2e <= booked.upper


def test_an_impossible_factor_is_refused() -> None:
    with pytest.raises(CarbonInputError):
        emission_of("s", _window(1.0), replace(GAS, value=-1.0))
    with pytest.raises(CarbonInputError):
        emission_of("s", _window(1.0), GAS, share=math.nan)


@pytest.mark.parametrize(
    "name", ["units", "carbon.basis", "carbon.fuel", "carbon.electricity", "carbon.heat"]
)
def test_worked_examples_of_the_documentation(name: str) -> None:
    results = doctest.testmod(importlib.import_module(f"agent.core.{name}"))
    assert results.attempted > 0
    assert results.failed == 0
