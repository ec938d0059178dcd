"""Amounts in the unit that a factor needs, gas volumes at other reference states included."""

from __future__ import annotations

import re
from fractions import Fraction

from agent.core.units import NORMAL_PRESSURE_KPA, UnitError, convert, normal_volume_factor

# m3@20C, m3@15C,101.6kPa, 10^4m3@20C
_GAS = re.compile(
    r"(?P<scale>10\^4|k)?m3@(?P<c>-?\d+(?:\.\d+)?)\s*°?C(?:,\s*(?P<p>\d+(?:\.\d+)?)\s*kPa)?"
)
_SCALES = {None: 1, "k": 1000, "10^4": 10_000}

# Units of trade that meters do not send: in kg, GJ and m3.
_TRADE_UNITS: dict[str, tuple[Fraction, str]] = {
    "lb": (Fraction("0.45359237"), "kg"),
    "short-ton": (Fraction("907.18474"), "kg"),
    "long-ton": (Fraction("1016.0469088"), "kg"),
    "MMBtu": (Fraction("1.05505585262"), "GJ"),  # international table
    "therm": (Fraction("0.105505585262"), "GJ"),
    "kcal": (Fraction("4.1868"), "kJ"),
    "Gcal": (Fraction("4.1868"), "GJ"),
    "tce": (Fraction("29.3076"), "GJ"),
    "gal": (Fraction("3.785411784"), "L"),
    "bbl": (Fraction("158.987294928"), "L"),
    "万Nm3": (Fraction(1), "10^4Nm3"),
    "10000Nm3": (Fraction(1), "10^4Nm3"),
    "吨": (Fraction(1), "t"),
}


def convert_amount(value: float, source: str, target: str) -> float:
    """``value`` of unit ``source`` in unit ``target``; ``UnitError`` where that cannot be.

    Besides the units of ``agent.core.units``: gas at another reference state, ``m3@20C`` (at
    101.325 kPa) or ``m3@15C,100kPa``, becomes Nm3 (0 °C, 101.325 kPa) as an ideal gas; and units
    of trade (lb, short-ton, MMBtu, therm, kcal, tce, gal, bbl).

    Source: GB/T 32151 family, standard state; NIST SP 811 for units of trade.

    Example: 1000 m3 counted at 20 °C, in 10⁴ Nm3:

    >>> round(convert_amount(1000.0, "m3@20C", "10^4Nm3"), 7)
    0.0931776
    """
    if source == target:
        return value
    factor, origin = _in_known_unit(source)
    reverse, wanted = _in_known_unit(target)
    return (
        value * factor / reverse
        if origin == wanted
        else convert(value * factor / reverse, origin, wanted)
    )


def _in_known_unit(symbol: str) -> tuple[float, str]:
    gas = _GAS.fullmatch(symbol.replace("³", "3").replace("m^3", "m3"))
    if gas is not None:
        pressure = float(gas["p"]) if gas["p"] else NORMAL_PRESSURE_KPA
        state = normal_volume_factor(temperature_c=float(gas["c"]), pressure_kpa=pressure)
        return _SCALES[gas["scale"]] * state, "Nm3"
    if symbol == "m3@":
        raise UnitError(f'"{symbol}" names no temperature', hint="such as m3@20C")
    size, known = _TRADE_UNITS.get(symbol, (Fraction(1), symbol))
    return float(size), known
