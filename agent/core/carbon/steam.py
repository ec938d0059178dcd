"""Enthalpy of steam from the tables of a standard, checked against IAPWS-IF97."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from agent.core.carbon.basis import CarbonInputError
from agent.core.carbon.heat import CRITICAL_C

SUSPICIOUS = 0.002  # relative difference of table and physics that a warning shows
LOWEST_STEAM_KJ_PER_KG = 2084.0  # saturated steam at the critical point: below is water
_SAME_C = 2.0  # what a pressure gauge and a thermometer may differ by

Physics = Callable[[float, float], float | None]  # (pressure MPa, temperature °C) -> kJ/kg


@dataclass(frozen=True, slots=True, kw_only=True)
class SaturatedPoint:
    """One row of the table of saturated steam; ``printed_mpa`` where the print is wrong."""

    pressure_mpa: float
    temperature_c: float
    enthalpy_kj_per_kg: float
    printed_mpa: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Isotherm:
    """One row of the table of superheated steam: enthalpies over pressures at a temperature."""

    temperature_c: float
    pressures_mpa: tuple[float, ...]
    enthalpies_kj_per_kg: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SteamState:
    """The enthalpy to use, whether the table or physics gave it, and what to say about it."""

    enthalpy_kj_per_kg: float
    from_table: bool
    warnings: tuple[str, ...] = ()


def saturated_state(
    rows: Sequence[SaturatedPoint],
    *,
    pressure_mpa: float | None = None,
    temperature_c: float | None = None,
    physics: Physics | None = None,
) -> SteamState:
    """Saturated steam at a pressure (MPa absolute) or a temperature (°C), in kJ/kg.

    Linear between the rows of the table. ``physics`` gives the IAPWS-IF97 value of saturated
    steam for a cross-check; where both differ by more than 0.2 % the table value is used and a
    warning shows both. A state outside the table, no key, or a temperature at which steam of the
    pressure is not saturated raises ``CarbonInputError``.

    Source: GB/T 32151.34-2024 annex C table C.4.
    """
    if pressure_mpa is None and temperature_c is None:
        raise CarbonInputError(
            "one of pressure_mpa and temperature_c is needed",
            where="pressure_mpa",
            hint="saturated steam is fixed by either of them",
        )
    by_pressure = pressure_mpa is not None
    wanted = pressure_mpa if pressure_mpa is not None else (temperature_c or 0.0)
    keys = [row.pressure_mpa if by_pressure else row.temperature_c for row in rows]
    name, unit = ("pressure_mpa", "MPa") if by_pressure else ("temperature_c", "°C")
    if not keys[0] <= wanted <= keys[-1]:
        raise CarbonInputError(
            f"{wanted:g} {unit} is off the table of saturated steam",
            where=name,
            hint=f"from {keys[0]:g} to {keys[-1]:g} {unit}; the pressure is absolute",
        )
    upper = bisect_left(keys, wanted)
    used = rows[upper : upper + 1] if keys[upper] == wanted else rows[upper - 1 : upper + 1]
    enthalpy = _between(wanted, [(keys[rows.index(row)], row.enthalpy_kj_per_kg) for row in used])
    pressure = _between(wanted, [(keys[rows.index(row)], row.pressure_mpa) for row in used])
    temperature = _between(wanted, [(keys[rows.index(row)], row.temperature_c) for row in used])
    if by_pressure and temperature_c is not None and abs(temperature_c - temperature) > _SAME_C:
        raise CarbonInputError(
            f"steam of {wanted:g} MPa is saturated at {temperature:.1f} °C, not {temperature_c:g}",
            where="temperature_c",
            hint="saturated = false for superheated steam; the pressure is absolute",
        )
    warnings = [
        f"the standard prints {row.printed_mpa:.2f} MPa at {row.temperature_c} °C, where the "
        f"saturation pressure is {row.pressure_mpa:.2f} MPa; the row is used at "
        f"{row.pressure_mpa:.2f} MPa"
        for row in rows
        if row.printed_mpa is not None and (row in used or row.printed_mpa == pressure_mpa)
    ]
    warnings += _compared(enthalpy, physics, pressure, temperature, "saturated steam")
    return SteamState(enthalpy_kj_per_kg=enthalpy, from_table=True, warnings=tuple(warnings))


def superheated_state(
    rows: Sequence[Isotherm],
    saturated: Sequence[SaturatedPoint],
    *,
    pressure_mpa: float,
    temperature_c: float,
    physics: Physics | None = None,
) -> SteamState:
    """Superheated steam at a pressure (MPa absolute) and a temperature (°C), in kJ/kg.

    Bilinear between the four values of the table around the state. Where one of them is water,
    because the cell lies across the boiling line, the table has no value for steam: IAPWS-IF97
    gives it, and a warning says so. Where table and physics differ by more than 0.2 % the table
    value is used and a warning shows both. Water, or a state outside the table, raises
    ``CarbonInputError``.

    Source: GB/T 32151.34-2024 annex C table C.5 (boiling line: table C.4).
    """
    temperatures = [row.temperature_c for row in rows]
    pressures = rows[0].pressures_mpa
    _require_on_table(pressure_mpa, temperature_c, pressures, temperatures)
    boiling_c = _boiling_c(saturated, pressure_mpa)
    if boiling_c is not None and temperature_c < boiling_c - 0.5:
        raise CarbonInputError(
            f"at {pressure_mpa:g} MPa and {temperature_c:g} °C there is water, not steam "
            f"(it boils at {boiling_c:.1f} °C)",
            where="temperature_c",
            hint="saturated = true for wet steam, [source.hot_water] for water; absolute pressure",
        )
    corners = [_along(row, pressure_mpa) for row in _around(rows, temperatures, temperature_c)]
    if all(value is not None for value in corners):
        steam = [
            (row.temperature_c, value)
            for row, value in zip(_around(rows, temperatures, temperature_c), corners, strict=True)
            if value is not None
        ]
        enthalpy = _between(temperature_c, steam)
        warnings = _compared(enthalpy, physics, pressure_mpa, temperature_c, "steam")
        return SteamState(enthalpy_kj_per_kg=enthalpy, from_table=True, warnings=tuple(warnings))
    known = physics(pressure_mpa, temperature_c) if physics is not None else None
    if known is None or known < LOWEST_STEAM_KJ_PER_KG:
        raise CarbonInputError(
            f"the table has no steam around {pressure_mpa:g} MPa and {temperature_c:g} °C",
            where="pressure_mpa",
            hint="give purchased_gj instead, from the supplier's enthalpy",
        )
    return SteamState(
        enthalpy_kj_per_kg=known,
        from_table=False,
        warnings=(
            f"the table has no value for steam next to {pressure_mpa:g} MPa and "
            f"{temperature_c:g} °C (its neighbours are water): IAPWS-IF97 gives {known:.1f} kJ/kg",
        ),
    )


def _require_on_table(
    pressure: float, temperature: float, pressures: Sequence[float], temperatures: Sequence[float]
) -> None:
    for name, unit, value, keys in (
        ("pressure_mpa", "MPa", pressure, pressures),
        ("temperature_c", "°C", temperature, temperatures),
    ):
        if not keys[0] <= value <= keys[-1]:
            raise CarbonInputError(
                f"{value:g} {unit} is off the table of superheated steam",
                where=name,
                hint=f"from {keys[0]:g} to {keys[-1]:g} {unit}; the pressure is absolute",
            )


def _boiling_c(saturated: Sequence[SaturatedPoint], pressure_mpa: float) -> float | None:
    for lower, upper in pairwise(saturated):
        if lower.pressure_mpa <= pressure_mpa <= upper.pressure_mpa:
            return _between(
                pressure_mpa,
                [
                    (lower.pressure_mpa, lower.temperature_c),
                    (upper.pressure_mpa, upper.temperature_c),
                ],
            )
    return None


def _around(
    rows: Sequence[Isotherm], temperatures: Sequence[float], wanted: float
) -> Sequence[Isotherm]:
    upper = bisect_left(temperatures, wanted)
    return rows[upper : upper + 1] if temperatures[upper] == wanted else rows[upper - 1 : upper + 1]


def _along(row: Isotherm, pressure_mpa: float) -> float | None:
    """The enthalpy at a pressure; None where a value it needs is that of water."""
    upper = bisect_left(row.pressures_mpa, pressure_mpa)
    first = upper if row.pressures_mpa[upper] == pressure_mpa else upper - 1
    points = [
        (row.pressures_mpa[place], row.enthalpies_kj_per_kg[place])
        for place in range(first, upper + 1)
    ]
    is_liquid = row.temperature_c < CRITICAL_C and any(
        enthalpy < LOWEST_STEAM_KJ_PER_KG for _, enthalpy in points
    )
    return None if is_liquid else _between(pressure_mpa, points)


def _between(wanted: float, points: Sequence[tuple[float, float]]) -> float:
    """Linear between two points; the value itself at one point."""
    if len(points) == 1:
        return points[0][1]
    (low, below), (high, above) = points
    return below + (above - below) * (wanted - low) / (high - low)


def _compared(
    enthalpy: float,
    physics: Physics | None,
    pressure_mpa: float,
    temperature_c: float,
    what: str,
) -> list[str]:
    known = None if physics is None else physics(pressure_mpa, temperature_c)
    if known is None or abs(enthalpy - known) <= SUSPICIOUS * abs(known):
        return []
    return [
        f"the table gives {enthalpy:.1f} kJ/kg for {what} at {pressure_mpa:g} MPa and "
        f"{temperature_c:.1f} °C, IAPWS-IF97 {known:.1f} kJ/kg "
        f"({(enthalpy / known - 1) * 100:+.1f} %): the table value is used"
    ]
