"""What unit a formula has, as far as its parts say; sums of different units are refused."""

from __future__ import annotations

from collections.abc import Mapping

from agent.core.errors import TanshuError
from agent.core.expression import COMPARISONS, Call, ExpressionError, Name, Node, Number
from agent.core.units import conversion_factor

ANY = "*"  # a plain number: it takes the unit of what it is added to


def unit_of(node: Node, units: Mapping[str, str]) -> str | None:
    """The unit of a formula: a symbol, ``ANY`` for plain numbers, None where it is not known.

    ``units`` gives the unit of every name. The unit of a product or quotient is not known, for a
    number may convert; except that a unit divided by itself is a number.

    Raises:
        ExpressionError: two different units are added, compared or chosen between.
    """
    match node:
        case Number():
            return ANY
        case Name(name=name):
            return units[name]
        case Call(operator="*" | "/", arguments=(left, right)):
            return _of_product(node.operator, unit_of(left, units), unit_of(right, units))
        case Call(operator="if", arguments=(condition, *branches)):
            unit_of(condition, units)
            return _common([unit_of(branch, units) for branch in branches], node)
        case Call(operator=operator):
            common = _common([unit_of(part, units) for part in node.arguments], node)
            return ANY if operator in COMPARISONS else common


def _of_product(operator: str, left: str | None, right: str | None) -> str | None:
    if left == right and left is not None and (operator == "/" or left == ANY):
        return ANY
    return None


def _common(units: list[str | None], node: Call) -> str | None:
    known = [unit for unit in units if unit not in (None, ANY)]
    for unit in known[1:]:
        if unit != known[0]:
            raise ExpressionError(
                f"{known[0]} and {unit} in one {_word(node.operator)}",
                column=node.column,
                hint=_advice(str(known[0]), str(unit)),
            )
    if None in units:
        return None
    return known[0] if known else ANY


def _word(operator: str) -> str:
    words = {"+": "sum", "-": "difference"}
    return words.get(operator, "comparison" if operator in COMPARISONS else operator)


def _advice(first: str, second: str) -> str:
    try:
        return f"multiply {second} by {conversion_factor(second, first):g} to get {first}"
    except TanshuError:
        return "only equal units can be added or compared"
