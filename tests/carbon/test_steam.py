"""Steam: the table's value with physics beside it, and refusals off the table."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inventory_text import calculate

from agent.config.factor_rows import SteamSaturated, SteamSuperheated
from agent.config.factors import library
from agent.core.carbon.basis import CarbonInputError
from agent.core.carbon.iapws import saturated_physics, superheated_physics
from agent.core.carbon.steam import (
    Isotherm,
    SaturatedPoint,
    SteamState,
    saturated_state,
    superheated_state,
)

SATURATED = [
    SaturatedPoint(
        pressure_mpa=row.pressure_mpa,
        temperature_c=row.temperature_c,
        enthalpy_kj_per_kg=row.enthalpy_kj_per_kg,
        printed_mpa=row.printed_mpa,
    )
    for row in library().table(SteamSaturated)[0]
]
SUPERHEATED = [
    Isotherm(
        temperature_c=row.temperature_c,
        pressures_mpa=row.pressures_mpa,
        enthalpies_kj_per_kg=row.enthalpies_kj_per_kg,
    )
    for row in library().table(SteamSuperheated)[0]
]


def _superheated(pressure_mpa: float, temperature_c: float) -> SteamState:
    return superheated_state(
        SUPERHEATED,
        SATURATED,
        pressure_mpa=pressure_mpa,
        temperature_c=temperature_c,
        physics=superheated_physics(),
    )


def test_verification_values_of_iapws_if97() -> None:
    """IAPWS R7-97(2012), tables 5 and 15: h at 300 K and 3 MPa; steam at 700 K and 30 MPa."""
    physics = superheated_physics()
    assert physics is not None
    assert physics(3.0, 300 - 273.15) == pytest.approx(115.331273, rel=1e-6)
    assert physics(30.0, 700 - 273.15) == pytest.approx(2631.49474, rel=1e-6)
    assert physics(200.0, 300.0) is None


def test_a_table_point_is_the_table_value() -> None:
    assert _superheated(1.0, 300.0) == SteamState(enthalpy_kj_per_kg=3051.3, from_table=True)
    state = saturated_state(SATURATED, pressure_mpa=1.0, physics=saturated_physics())
    assert state == SteamState(enthalpy_kj_per_kg=2777.0, from_table=True)
    by_temperature = saturated_state(SATURATED, temperature_c=179.88)
    assert by_temperature.enthalpy_kj_per_kg == 2777.0


@pytest.mark.parametrize(
    ("pressure_mpa", "temperature_c", "table", "physical"),
    [(0.5, 400.0, 3217.8, 3272), (30.0, 420.0, 2424.7, 2553), (30.0, 440.0, 2690.3, 2749)],
)
def test_a_wrong_value_is_used_and_shown_beside_physics(
    pressure_mpa: float, temperature_c: float, table: float, physical: float
) -> None:
    state = _superheated(pressure_mpa, temperature_c)
    assert state.enthalpy_kj_per_kg == table
    (warning,) = state.warnings
    assert f"{table:.1f}" in warning
    assert f"{physical}"[:3] in warning


def test_rows_with_a_wrong_pressure_in_print_say_so() -> None:
    used = saturated_state(SATURATED, pressure_mpa=1.7)
    assert used.enthalpy_kj_per_kg == 2793.8
    assert "prints 1.40" in used.warnings[0]
    assert "prints 1.50" in saturated_state(SATURATED, pressure_mpa=1.5).warnings[0]
    assert saturated_state(SATURATED, pressure_mpa=1.0).warnings == ()


def test_between_points_of_the_table() -> None:
    state = _superheated(2.0, 325.0)
    corners = (3051.3 + 2994.2 + 3157.7 + 3115.7) / 4
    assert state.enthalpy_kj_per_kg == pytest.approx(corners, rel=1e-12)
    assert state.warnings == ()


def test_next_to_the_boiling_line_physics_gives_the_value() -> None:
    state = _superheated(1.3, 200.0)
    assert not state.from_table
    assert state.enthalpy_kj_per_kg == pytest.approx(2809.6, abs=0.1)
    assert "IAPWS-IF97" in state.warnings[0]
    with pytest.raises(CarbonInputError):
        superheated_state(SUPERHEATED, SATURATED, pressure_mpa=1.3, temperature_c=200.0)


@given(st.floats(0.01, 20), st.floats(0, 200))
def test_wherever_there_is_steam_the_value_is_near_physics(
    pressure_mpa: float, superheat_k: float
) -> None:
    physics = superheated_physics()
    assert physics is not None
    boiling = saturated_state(SATURATED, pressure_mpa=pressure_mpa)
    assert boiling.from_table
    temperature = min(600.0, _boiling_c(pressure_mpa) + 1 + superheat_k)
    state = _superheated(pressure_mpa, temperature)
    known = physics(pressure_mpa, temperature)
    assert known is not None
    # linear between distant pressures: within 3 %, and a warning where it is above 0.2 %
    assert state.enthalpy_kj_per_kg == pytest.approx(known, rel=0.03)
    if abs(state.enthalpy_kj_per_kg / known - 1) > 0.0021:
        assert state.warnings


def _boiling_c(pressure_mpa: float) -> float:
    for lower, upper in pairwise(SATURATED):
        if lower.pressure_mpa <= pressure_mpa <= upper.pressure_mpa:
            return upper.temperature_c
    raise AssertionError(pressure_mpa)


def test_rule_sets_differ_by_the_feed_water() -> None:
    text = """
    [[source]]
    id = "s"
    kind = "heat"
    exported_gj = 10
    [source.steam]
    mass_t = 100
    pressure_mpa = 1.0
    temperature_c = 300
    """
    with_feed_water = calculate(text, rules="NDRC-2013")["sources"][0]
    without = calculate(text, rules="management")["sources"][0]
    assert with_feed_water["activity"] == pytest.approx(100 * (3051.3 - 83.74) / 1000 - 10)
    assert without["activity"] == pytest.approx(100 * 3051.3 / 1000 - 10)
    assert [used["id"] for used in without["factors"]] == [
        "heat/default@GB/T-32151.34-2024",
        "steam/enthalpy@GB/T-32151.34-2024-C.5",
    ]


def test_the_suppliers_enthalpy_goes_before_the_table() -> None:
    document = calculate(
        '[[source]]\nid = "s"\nkind = "heat"\nexported_steam = '
        "{ mass_t = 10, enthalpy_kj_per_kg = 2800 }",
        rules="management",
    )
    assert document["sources"][0]["activity"] == pytest.approx(-28.0)
    assert document["total_tco2e"] == pytest.approx(-28.0 * 0.11)
