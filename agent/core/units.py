"""Units of measurement: what may be converted into what, and gas volumes to Nm3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction

from agent.core.errors import TanshuError

NORMAL_TEMPERATURE_K = 273.15
NORMAL_PRESSURE_KPA = 101.325


class UnitError(TanshuError):
    """A unit that is not known, or two units of different dimensions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A unit, its size in the base unit of its dimension and the unit that records carry."""

    symbol: str
    dimension: str
    size: Fraction
    canonical: str


def _family(dimension: str, canonical: str, sizes: Mapping[str, int | Fraction]) -> dict[str, Unit]:
    return {
        symbol: Unit(symbol=symbol, dimension=dimension, size=Fraction(size), canonical=canonical)
        for symbol, size in sizes.items()
    }


def _single(dimension: str, symbol: str) -> dict[str, Unit]:
    return _family(dimension, symbol, {symbol: 1})


_KILO = 1000
_MILLI = Fraction(1, 1000)

UNITS: Mapping[str, Unit] = {
    # energy in kJ; electricity is recorded in kWh, heat in GJ
    **_family(
        "energy",
        "kWh",
        {"Wh": Fraction(36, 10), "kWh": 3600, "MWh": 3600 * _KILO, "10^4kWh": 3600 * 10**4},
    ),
    **_family("energy", "GJ", {"kJ": 1, "MJ": _KILO, "GJ": _KILO**2}),
    # power in kJ/h
    **_family("power", "kW", {"W": Fraction(36, 10), "kW": 3600, "MW": 3600 * _KILO}),
    **_family("power", "GJ/h", {"kJ/h": 1, "MJ/h": _KILO, "GJ/h": _KILO**2}),
    **_family("mass", "t", {"g": _MILLI, "kg": 1, "t": _KILO}),
    **_family(
        "mass flow",
        "t/h",
        {"kg/h": 1, "kg/min": 60, "kg/s": 3600, "t/h": _KILO, "t/d": Fraction(_KILO, 24)},
    ),
    **_family("normal gas volume", "Nm3", {"Nm3": 1, "kNm3": _KILO, "10^4Nm3": 10**4}),
    **_family(
        "normal gas flow",
        "Nm3/h",
        {"Nm3/h": 1, "Nm3/min": 60, "Nm3/s": 3600, "kNm3/h": _KILO, "10^4Nm3/h": 10**4},
    ),
    **_family("volume", "m3", {"L": _MILLI, "m3": 1}),
    **_family(
        "volume flow",
        "m3/h",
        {
            "L/h": _MILLI,
            "L/min": Fraction(60, 1000),
            "L/s": Fraction(36, 10),
            "m3/h": 1,
            "m3/min": 60,
            "m3/s": 3600,
        },
    ),
    **_family(
        "pressure",
        "kPa",
        {"Pa": _MILLI, "kPa": 1, "bar": 100, "mbar": Fraction(1, 10), "MPa": _KILO},
    ),
    **_family("voltage", "V", {"mV": _MILLI, "V": 1, "kV": _KILO}),
    **_family("current", "A", {"mA": _MILLI, "A": 1, "kA": _KILO}),
    **_family("reactive energy", "kvarh", {"varh": _MILLI, "kvarh": 1, "Mvarh": _KILO}),
    **_family("reactive power", "kvar", {"var": _MILLI, "kvar": 1, "Mvar": _KILO}),
    **_family("apparent power", "kVA", {"VA": _MILLI, "kVA": 1, "MVA": _KILO}),
    **_family("apparent energy", "kVAh", {"kVAh": 1, "MVAh": _KILO}),
    **_family("duration", "h", {"s": Fraction(1, 3600), "min": Fraction(1, 60), "h": 1}),
    **_single("frequency", "Hz"),
    **_single("rotational speed", "rpm"),
    **_single("temperature", "°C"),
    **_single("temperature difference", "K"),
    **_single("share", "%"),
    **_single("concentration", "mg/m3"),
    **_single("concentration in normal gas", "mg/Nm3"),
    **_single("concentration in water", "mg/L"),
    **_single("volume fraction", "ppm"),
    **_single("density", "kg/m3"),
    **_single("speed", "m/s"),
    **_family("length", "m", {"mm": _MILLI, "m": 1}),
    # activity data that no meter reads
    **_family("freight", "t·km", {"t·km": 1, "10^4t·km": 10**4}),
    **_family("money", "CNY", {"CNY": 1, "10^4CNY": 10**4}),
    **_family("carbon content by mass", "tC/t", {"tC/t": 1, "kgC/t": _MILLI}),
    **_family(
        "carbon content by gas volume",
        "tC/10^4Nm3",
        {"tC/10^4Nm3": 1, "kgC/Nm3": 10},
    ),
    **_single("carbon content by energy", "tC/GJ"),
    **_single("acidity", "pH"),
    **_single("enthalpy", "kJ/kg"),
    **_single("angle", "°"),
    **_single("number", ""),
}

_INTEGRALS: Mapping[str, str] = {
    "kW": "kWh",
    "GJ/h": "GJ",
    "t/h": "t",
    "Nm3/h": "Nm3",
    "m3/h": "m3",
    "kvar": "kvarh",
    "kVA": "kVAh",
}

AMOUNT_UNITS = frozenset(_INTEGRALS.values())
GAS_UNITS = frozenset({"Nm3", "Nm3/h"})


def unit(symbol: str) -> Unit:
    """The unit of that symbol; an unknown one raises ``UnitError`` with the nearest symbols."""
    found = UNITS.get(symbol)
    if found is None:
        near = get_close_matches(symbol, UNITS, n=3, cutoff=0.4)
        raise UnitError(
            f'unknown unit "{symbol}"',
            hint="nearest: " + ", ".join(near) if near else "see agent/core/units.py for all units",
        )
    return found


def convert(value: float, source: str, target: str) -> float:
    """``value`` of unit ``source`` in unit ``target``.

    Raises ``UnitError`` where the dimensions differ.

    >>> convert(1.0, "MWh", "GJ")
    3.6
    """
    return value * conversion_factor(source, target)


def conversion_factor(source: str, target: str) -> float:
    """How many ``target`` units one ``source`` unit is; the correctly rounded quotient."""
    origin, wanted = unit(source), unit(target)
    if origin.dimension != wanted.dimension:
        raise UnitError(
            f'"{source}" is {origin.dimension}, "{target}" is {wanted.dimension}',
            hint=f"units of {wanted.dimension}: " + ", ".join(units_of(wanted.dimension)),
        )
    return float(origin.size / wanted.size)


def units_of(dimension: str) -> tuple[str, ...]:
    """All symbols of one dimension."""
    return tuple(symbol for symbol, entry in UNITS.items() if entry.dimension == dimension)


def integral_unit(rate_unit: str) -> str | None:
    """The unit of a rate summed over hours: kW → kWh, t/h → t; None for anything else."""
    return _INTEGRALS.get(rate_unit)


def normal_volume_factor(*, temperature_c: float, pressure_kpa: float) -> float:
    """Nm3 (0 °C, 101.325 kPa) per cubic metre at other reference conditions.

    Ideal gas at both states: ``V_N / V = (273.15 K / T) · (p / 101.325 kPa)``; the ratio of the
    compressibilities of fuel gases between 0 °C and 20 °C at 1 atm is within 0.1 % of 1 and is
    part of the meter's uncertainty.

    ``temperature_c`` is the reference temperature in °C (above −273.15), ``pressure_kpa`` the
    absolute reference pressure in kPa (above 0); anything else raises ``UnitError``.

    Source: GB/T 32151 family, gas volumes in the standard state (0 °C, 101.325 kPa); ISO 13443.

    Example: a meter that counts at 20 °C and 101.325 kPa, 1000 m3:

    >>> round(1000 * normal_volume_factor(temperature_c=20.0, pressure_kpa=101.325), 3)
    931.776
    """
    if temperature_c <= -NORMAL_TEMPERATURE_K:
        raise UnitError(
            f"reference temperature {temperature_c} °C is not above absolute zero",
            hint="usual values are 0, 15 and 20",
        )
    if pressure_kpa <= 0:
        raise UnitError(
            f"reference pressure {pressure_kpa} kPa is not positive",
            hint="absolute pressure, usually 101.325",
        )
    return (NORMAL_TEMPERATURE_K / (NORMAL_TEMPERATURE_K + temperature_c)) * (
        pressure_kpa / NORMAL_PRESSURE_KPA
    )
