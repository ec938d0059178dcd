"""Units of measurement and gas reference conditions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.units import (
    AMOUNT_UNITS,
    UNITS,
    UnitError,
    conversion_factor,
    convert,
    integral_unit,
    normal_volume_factor,
    unit,
    units_of,
)

_PAIRS = [(a, b) for a in UNITS for b in units_of(UNITS[a].dimension)]


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        (1.0, "MWh", "kWh", 1000.0),
        (1.0, "kWh", "GJ", 0.0036),
        (1.0, "10^4Nm3", "Nm3", 10_000.0),
        (1.0, "kg/s", "t/h", 3.6),
        (1.0, "L/min", "m3/h", 0.06),
        (24.0, "t/d", "t/h", 1.0),
        (1.0, "MW", "GJ/h", 3.6),
        (0.4, "MPa", "kPa", 400.0),
        (3.0, "bar", "kPa", 300.0),
    ],
)
def test_conversions(value: float, source: str, target: str, expected: float) -> None:
    assert convert(value, source, target) == expected


@given(st.sampled_from(_PAIRS), st.floats(-1e12, 1e12))
def test_there_and_back(pair: tuple[str, str], value: float) -> None:
    source, target = pair
    assert convert(convert(value, source, target), target, source) == pytest.approx(
        value, rel=1e-14
    )


@given(st.sampled_from(_PAIRS))
def test_factors_are_reciprocal(pair: tuple[str, str]) -> None:
    source, target = pair
    product = conversion_factor(source, target) * conversion_factor(target, source)
    assert product == pytest.approx(1.0, rel=1e-15)


def test_every_canonical_unit_is_its_own() -> None:
    for entry in UNITS.values():
        assert UNITS[entry.canonical].canonical == entry.canonical
        assert UNITS[entry.canonical].dimension == entry.dimension


def test_a_rate_sums_to_an_amount() -> None:
    assert {integral_unit(rate) for rate in ("kW", "GJ/h", "t/h", "Nm3/h", "m3/h")} <= AMOUNT_UNITS
    assert integral_unit("%") is None


def test_volume_is_not_normal_volume() -> None:
    with pytest.raises(UnitError, match="normal gas volume"):
        convert(1.0, "m3", "Nm3")


def test_an_unknown_unit_names_the_nearest() -> None:
    with pytest.raises(UnitError) as caught:
        unit("kwh")
    assert "kWh" in caught.value.hint


def test_normal_volume_of_20_degrees() -> None:
    assert normal_volume_factor(temperature_c=20.0, pressure_kpa=101.325) == pytest.approx(
        273.15 / 293.15, rel=1e-15
    )
    assert normal_volume_factor(temperature_c=0.0, pressure_kpa=101.325) == 1.0
    assert normal_volume_factor(temperature_c=0.0, pressure_kpa=202.65) == 2.0


@given(st.floats(-100, 200), st.floats(1, 10_000))
def test_normal_volume_falls_with_temperature_and_grows_with_pressure(
    temperature_c: float, pressure_kpa: float
) -> None:
    here = normal_volume_factor(temperature_c=temperature_c, pressure_kpa=pressure_kpa)
    warmer = normal_volume_factor(temperature_c=temperature_c + 1, pressure_kpa=pressure_kpa)
    denser = normal_volume_factor(temperature_c=temperature_c, pressure_kpa=pressure_kpa * 1.01)
    assert warmer < here < denser


@pytest.mark.parametrize(
    ("temperature_c", "pressure_kpa"), [(-273.15, 101.325), (-300.0, 101.325), (0.0, 0.0)]
)
def test_impossible_reference_conditions(temperature_c: float, pressure_kpa: float) -> None:
    with pytest.raises(UnitError):
        normal_volume_factor(temperature_c=temperature_c, pressure_kpa=pressure_kpa)
