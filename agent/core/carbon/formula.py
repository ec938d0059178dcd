"""Chemical formulas and equations: molar masses, carbon shares, stoichiometry."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction
from typing import Literal

from agent.core.errors import TanshuError

Masses = Literal["rounded", "standard"]

# IUPAC 2021 abridged standard atomic weights, g/mol.
STANDARD_MASSES: Mapping[str, float] = {
    "H": 1.008,
    "He": 4.0026,
    "Li": 6.94,
    "Be": 9.0122,
    "B": 10.81,
    "C": 12.011,
    "N": 14.007,
    "O": 15.999,
    "F": 18.998,
    "Ne": 20.180,
    "Na": 22.990,
    "Mg": 24.305,
    "Al": 26.982,
    "Si": 28.085,
    "P": 30.974,
    "S": 32.06,
    "Cl": 35.45,
    "Ar": 39.95,
    "K": 39.098,
    "Ca": 40.078,
    "Ti": 47.867,
    "V": 50.942,
    "Cr": 51.996,
    "Mn": 54.938,
    "Fe": 55.845,
    "Co": 58.933,
    "Ni": 58.693,
    "Cu": 63.546,
    "Zn": 65.38,
    "As": 74.922,
    "Se": 78.971,
    "Br": 79.904,
    "Sr": 87.62,
    "Zr": 91.224,
    "Mo": 95.95,
    "Pd": 106.42,
    "Ag": 107.87,
    "Cd": 112.41,
    "Sn": 118.71,
    "Sb": 121.76,
    "I": 126.90,
    "Ba": 137.33,
    "W": 183.84,
    "Pt": 195.08,
    "Au": 196.97,
    "Hg": 200.59,
    "Pb": 207.2,
    "Bi": 208.98,
}

# The masses behind 44/12 in the accounting standards: whole numbers for the light elements.
ROUNDED_MASSES: Mapping[str, float] = {
    **STANDARD_MASSES,
    "H": 1.0,
    "C": 12.0,
    "N": 14.0,
    "O": 16.0,
}

_ATOM = re.compile(r"([A-Z][a-z]?)(\d*)|(\()|(\)(\d*))")
_STATE = re.compile(r"\((?:g|l|s|aq)\)$")
_TERM = re.compile(r"(\d+(?:\.\d+|/\d+)?)?\s*\*?\s*([A-Z(][A-Za-z0-9()]*)")
_ARROWS = re.compile(r"->|=>|→|⟶|==|=")
_PLAIN_DIGITS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")


class FormulaError(TanshuError):
    """A formula or an equation that cannot be read or does not balance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Equation:
    """A balanced equation: moles of each species on both sides."""

    left: Mapping[str, Fraction]
    right: Mapping[str, Fraction]


def atoms(formula: str) -> dict[str, int]:
    """How many atoms of each element a formula has; ``FormulaError`` if it cannot be read.

    >>> atoms("CaMg(CO3)2")
    {'Ca': 1, 'Mg': 1, 'C': 2, 'O': 6}
    """
    text = formula.translate(_PLAIN_DIGITS)
    stack: list[dict[str, int]] = [{}]
    position = 0
    while position < len(text):
        found = _ATOM.match(text, position)
        if found is None:
            raise _unreadable(formula)
        position = found.end()
        if found[3]:
            stack.append({})
        elif found[4]:
            if len(stack) == 1:
                raise _unreadable(formula)
            for element, count in stack.pop().items():
                _count(stack[-1], element, count * int(found[5] or 1))
        else:
            if found[1] not in STANDARD_MASSES:
                raise FormulaError(f'unknown element "{found[1]}" in "{formula}"', hint=_HINT)
            _count(stack[-1], found[1], int(found[2] or 1))
    if len(stack) != 1 or not stack[0]:
        raise _unreadable(formula)
    return stack[0]


def molar_mass_g_per_mol(formula: str, masses: Masses = "standard") -> float:
    """Mass of one mole in g.

    ``masses = "standard"`` takes IUPAC abridged atomic weights, ``"rounded"`` whole numbers for
    H, C, N and O, which is what makes CO2 per C 44/12 in the accounting standards.

    >>> molar_mass_g_per_mol("CH4", "rounded")
    16.0
    """
    table = ROUNDED_MASSES if masses == "rounded" else STANDARD_MASSES
    return sum(table[element] * count for element, count in atoms(formula).items())


def carbon_share(formula: str) -> float:
    """Mass share of carbon in a pure substance (tC/t), with standard atomic weights.

    >>> round(carbon_share("C2H4"), 4)
    0.8563
    """
    return atoms(formula).get("C", 0) * STANDARD_MASSES["C"] / molar_mass_g_per_mol(formula)


def read_equation(text: str) -> Equation:
    """A balanced equation such as ``CH4 + 2 O2 -> CO2 + 2 H2O``.

    Coefficients may be whole, decimal or fractions; ``->``, ``=`` and ``→`` separate the sides;
    a state such as ``(g)`` after a species is read over. ``FormulaError`` names the elements that
    do not balance.
    """
    sides = _ARROWS.split(text.translate(_PLAIN_DIGITS))
    if len(sides) != 2:
        raise FormulaError(f'"{text}" has no two sides', hint='such as "CH4 + 2 O2 -> CO2 + 2 H2O"')
    equation = Equation(left=_side(sides[0], text), right=_side(sides[1], text))
    before, after = _elements(equation.left), _elements(equation.right)
    uneven = [
        f"{element} {before.get(element, 0)} against {after.get(element, 0)}"
        for element in sorted(before.keys() | after.keys())
        if before.get(element, 0) != after.get(element, 0)
    ]
    if uneven:
        raise FormulaError(
            f'"{text}" does not balance: {", ".join(uneven)}', hint="correct the coefficients"
        )
    return equation


def species_named(equation: Equation, name: str) -> str:
    """The species of the left side with that formula; ``FormulaError`` names the nearest."""
    wanted = name.translate(_PLAIN_DIGITS).strip()
    if wanted in equation.left:
        return wanted
    close = get_close_matches(wanted, equation.left, n=1)
    known = close or list(equation.left)
    raise FormulaError(
        f'"{name}" is not on the left side of the equation', hint="known: " + ", ".join(known)
    )


def _side(text: str, whole: str) -> dict[str, Fraction]:
    species: dict[str, Fraction] = {}
    for term in text.split("+"):
        found = _TERM.fullmatch(_STATE.sub("", term.strip()))
        if found is None:
            raise FormulaError(
                f'"{term.strip()}" in "{whole}" cannot be read',
                hint="a coefficient and a formula, such as 2 O2",
            )
        atoms(found[2])
        moles = Fraction(found[1] or 1)
        if moles <= 0:
            raise FormulaError(f'"{term.strip()}" has no amount', hint="a coefficient above 0")
        species[found[2]] = species.get(found[2], Fraction()) + moles
    return species


def _elements(side: Mapping[str, Fraction]) -> dict[str, Fraction]:
    totals: dict[str, Fraction] = {}
    for formula, moles in side.items():
        for element, count in atoms(formula).items():
            totals[element] = totals.get(element, Fraction()) + moles * count
    return totals


def _count(counts: dict[str, int], element: str, more: int) -> None:
    counts[element] = counts.get(element, 0) + more


_HINT = "element symbols and numbers, such as CaMg(CO3)2"


def _unreadable(formula: str) -> FormulaError:
    return FormulaError(f'"{formula}" is not a chemical formula', hint=_HINT)
