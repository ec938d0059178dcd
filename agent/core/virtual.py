"""The window of a formula: value, interval and quality from the windows of its inputs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent.core.expression import Call, Name, Node, Number
from agent.core.model import Provenance

RANK: Mapping[Provenance, int] = {
    Provenance.MEASURED: 0,
    Provenance.VERIFIED: 1,
    Provenance.ALLOCATED: 2,
    Provenance.MANUAL: 3,
    Provenance.ESTIMATED: 4,
    Provenance.MISSING: 5,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """What a formula knows of one input in one window; ``revision`` is None for a mean of a point.

    ``lower`` and ``upper`` are the 90 % interval, None where it is not known.
    """

    value: float | None
    provenance: Provenance = Provenance.MEASURED
    lower: float | None = None
    upper: float | None = None
    coverage: float = 1.0
    maintenance: bool = False
    revision: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """The result of a formula in one window; ``used`` are the names that it took."""

    value: float | None
    lower: float | None
    upper: float | None
    provenance: Provenance
    coverage: float
    estimated_share: float
    maintenance: bool
    used: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Term:
    """A part of a formula; ``slopes`` by input as long as the part is linear, else None."""

    value: float | None
    lower: float | None
    upper: float | None
    slopes: Mapping[str, float] | None


_UNKNOWN = _Term(value=None, lower=None, upper=None, slopes=None)


def worst(provenances: Iterable[Provenance]) -> Provenance:
    """The least certain of several provenances; measured if there is none."""
    return max(provenances, key=RANK.__getitem__, default=Provenance.MEASURED)


def compute(formula: Node, inputs: Mapping[str, Amount]) -> Computed:
    """Evaluate a formula over the amounts of one window; ``inputs`` holds every name of it.

    A value that is missing makes the result missing, except in the branch that an ``if`` does not
    take; so does a division by zero. Provenance is the worst and coverage the least of what was
    used. ``estimated_share`` is, for a formula that is linear where it stands, the share of
    ``Σ|cᵢ·xᵢ|`` that comes from estimated inputs, else 1 as soon as one of them is estimated.

    The interval: the inputs' errors are taken as independent, so for a linear formula
    ``Σ cᵢ·xᵢ`` the half widths add in quadrature (GUM, JCGM 100:2008, 5.1.2) and an input that
    stands twice counts with its net slope. Any other formula is bounded by interval arithmetic,
    which can be wider than 90 % but is never narrower. It is unknown if that of a needed input is.

    Example: 120 ± 3 less 40 ± 4 is 80 ± 5.
    """
    evaluation = _Evaluation(inputs)
    term = evaluation.term(formula)
    used = [inputs[name] for name in evaluation.used]
    value = term.value if term.value is not None and math.isfinite(term.value) else None
    lower, upper = (None, None) if value is None else _interval(term, value, inputs)
    provenance = worst(amount.provenance for amount in used)
    return Computed(
        value=value,
        lower=lower,
        upper=upper,
        provenance=Provenance.MISSING if value is None else provenance,
        coverage=min((amount.coverage for amount in used), default=1.0),
        estimated_share=1.0 if value is None else _estimated_share(term, evaluation.used, inputs),
        maintenance=any(amount.maintenance for amount in used),
        used=tuple(evaluation.used),
    )


def _interval(
    term: _Term, value: float, inputs: Mapping[str, Amount]
) -> tuple[float | None, float | None]:
    if term.slopes is None:
        if term.lower is None or term.upper is None:
            return None, None
        low, high = min(term.lower, value), max(term.upper, value)
    else:
        below, above = 0.0, 0.0
        for name, slope in term.slopes.items():
            amount = inputs[name]
            if slope == 0 or amount.value is None:
                continue
            if amount.lower is None or amount.upper is None:
                return None, None
            down, up = amount.value - amount.lower, amount.upper - amount.value
            if slope < 0:
                down, up = up, down
            below = math.hypot(below, slope * down)
            above = math.hypot(above, slope * up)
        low, high = value - below, value + above
    return (low, high) if math.isfinite(low) and math.isfinite(high) else (None, None)


def _estimated_share(term: _Term, used: Iterable[str], inputs: Mapping[str, Amount]) -> float:
    guessed = {name for name in used if inputs[name].provenance is Provenance.ESTIMATED}
    if term.slopes is None or not guessed:
        return 1.0 if guessed else 0.0
    parts = {name: abs(slope * (inputs[name].value or 0)) for name, slope in term.slopes.items()}
    total = math.fsum(parts.values())
    if total == 0 or not math.isfinite(total):
        return 1.0
    return min(1.0, math.fsum(parts[name] for name in guessed if name in parts) / total)


class _Evaluation:
    """One pass through a formula, noting which names it needed."""

    def __init__(self, inputs: Mapping[str, Amount]) -> None:
        self._inputs = inputs
        self.used: dict[str, None] = {}

    def term(self, node: Node) -> _Term:
        match node:
            case Number(value=value):
                return _Term(value=value, lower=value, upper=value, slopes={})
            case Name(name=name):
                self.used[name] = None
                amount = self._inputs[name]
                return _Term(
                    value=amount.value, lower=amount.lower, upper=amount.upper, slopes={name: 1.0}
                )
            case Call(operator="if", arguments=arguments):
                return self._choice(*arguments)
            case Call(operator=operator, arguments=arguments):
                return _combined(operator, [self.term(argument) for argument in arguments])

    def _choice(self, condition: Node, then: Node, otherwise: Node) -> _Term:
        """The branch that holds; both bound the result while the condition is not certain."""
        assert isinstance(condition, Call)
        left, right = (self.term(side) for side in condition.arguments)
        if left.value is None or right.value is None:
            return _UNKNOWN
        holds = _compare(condition.operator, left.value, right.value)
        taken = self.term(then if holds else otherwise)
        if _is_certain(condition.operator, left, right):
            return taken
        other = _Evaluation(self._inputs).term(otherwise if holds else then)
        return _Term(
            value=taken.value,
            lower=_least(taken.lower, other.lower),
            upper=_greatest(taken.upper, other.upper),
            slopes=None,
        )


def _compare(operator: str, left: float, right: float) -> bool:
    return {
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
        "==": left == right,
        "!=": left != right,
    }[operator]


def _is_certain(operator: str, left: _Term, right: _Term) -> bool:
    """Whether every pair of values within both intervals compares alike."""
    ends = (left.lower, left.upper, right.lower, right.upper)
    if None in ends:
        return False
    low, high, other_low, other_high = (end for end in ends if end is not None)
    if low == high and other_low == other_high:
        return True
    if operator in ("<", ">="):
        return high < other_low or low >= other_high
    if operator in ("<=", ">"):
        return high <= other_low or low > other_high
    return high < other_low or low > other_high


def _combined(operator: str, terms: list[_Term]) -> _Term:
    values = [term.value for term in terms if term.value is not None]
    if len(values) < len(terms):
        return _UNKNOWN
    value = _apply(operator, values)
    if value is None:
        return _UNKNOWN
    lower, upper = _bounds(operator, terms)
    return _Term(value=value, lower=lower, upper=upper, slopes=_slopes(operator, terms))


def _apply(operator: str, values: list[float]) -> float | None:
    match operator, values:
        case "+", [left, right]:
            return left + right
        case "-", [left, right]:
            return left - right
        case "*", [left, right]:
            return left * right
        case "/", [left, right]:
            return None if right == 0 else left / right
        case "negate", [value]:
            return -value
        case "abs", [value]:
            return abs(value)
        case "clamp", [value, low, high]:
            return max(low, min(value, high))
        case "min", _:
            return min(values)
    return max(values)


def _bounds(operator: str, terms: list[_Term]) -> tuple[float | None, float | None]:
    """Interval arithmetic; every operator is monotonic in each argument or convex."""
    lows = [term.lower for term in terms if term.lower is not None]
    highs = [term.upper for term in terms if term.upper is not None]
    if len(lows) < len(terms) or len(highs) < len(terms):
        return None, None
    match operator:
        case "-":
            return lows[0] - highs[1], highs[0] - lows[1]
        case "negate":
            return -highs[0], -lows[0]
        case "*" | "/":
            if operator == "/" and lows[1] <= 0 <= highs[1]:
                return None, None
            corners = [
                _apply(operator, [left, right])
                for left in (lows[0], highs[0])
                for right in (lows[1], highs[1])
            ]
            known = [corner for corner in corners if corner is not None]
            if any(math.isnan(corner) for corner in known):
                return None, None
            return min(known), max(known)
        case "abs":
            ends = abs(lows[0]), abs(highs[0])
            return 0.0 if lows[0] <= 0 <= highs[0] else min(ends), max(ends)
    return _apply(operator, lows), _apply(operator, highs)


def _slopes(operator: str, terms: list[_Term]) -> Mapping[str, float] | None:
    """The slopes of a linear part; None where the operator bends it."""
    slopes = [term.slopes for term in terms if term.slopes is not None]
    if len(slopes) < len(terms):
        return None
    if not any(slopes):
        return {}
    match operator:
        case "+" | "-":
            sign = 1.0 if operator == "+" else -1.0
            return _summed(slopes[0], slopes[1], sign)
        case "negate":
            return {name: -slope for name, slope in slopes[0].items()}
        case "*" if not slopes[0]:
            return {name: slope * (terms[0].value or 0.0) for name, slope in slopes[1].items()}
        case "*" if not slopes[1]:
            return {name: slope * (terms[1].value or 0.0) for name, slope in slopes[0].items()}
        case "/" if not slopes[1] and terms[1].value:
            divisor = terms[1].value
            return {name: slope / divisor for name, slope in slopes[0].items()}
    return None


def _summed(
    left: Mapping[str, float], right: Mapping[str, float], sign: float
) -> Mapping[str, float]:
    total = dict(left)
    for name, slope in right.items():
        total[name] = total.get(name, 0.0) + sign * slope
    return total


def _least(left: float | None, right: float | None) -> float | None:
    return None if left is None or right is None else min(left, right)


def _greatest(left: float | None, right: float | None) -> float | None:
    return None if left is None or right is None else max(left, right)
