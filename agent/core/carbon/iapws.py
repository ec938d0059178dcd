"""IAPWS-IF97 enthalpies of steam, from the package seuif97, loaded only when steam is used."""

from __future__ import annotations

from agent.core.carbon.steam import Physics

_ENTHALPY = 4  # property number of the specific enthalpy in kJ/kg
_DRY = 1.0  # vapour quality


def superheated_physics() -> Physics | None:
    """h(p, T) of IAPWS-IF97 in kJ/kg; None where the package has no build for the machine."""
    try:
        from seuif97 import pt
    except ImportError:
        return None
    return lambda pressure_mpa, temperature_c: _valid(pt(pressure_mpa, temperature_c, _ENTHALPY))


def saturated_physics() -> Physics | None:
    """h''(p) of saturated steam in kJ/kg; the temperature is not used."""
    try:
        from seuif97 import px
    except ImportError:
        return None
    return lambda pressure_mpa, _: _valid(px(pressure_mpa, _DRY, _ENTHALPY))


def _valid(enthalpy: float) -> float | None:
    """None for the negative error numbers that the package returns outside its range."""
    return enthalpy if enthalpy >= 0 else None
