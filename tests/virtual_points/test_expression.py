"""Formulas: what is read, what is refused and where, and that nothing is ever executed."""

from __future__ import annotations

import math
import random
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.expression import DEEPEST, ExpressionError, names_in, parse
from agent.core.expression_units import ANY, unit_of
from agent.core.model import Provenance
from agent.core.virtual import RANK, Amount, Computed, compute

EXACT = {"a.x": 6.0, "b.y": 3.0, "c-1.z": 0.0, "virtual.v": -2.0}


def value(text: str) -> float | None:
    inputs = {name: Amount(value=one, lower=one, upper=one) for name, one in EXACT.items()}
    return compute(parse(text), inputs).value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.x - b.y - 1", 2.0),
        ("a.x - (b.y - 1)", 4.0),
        ("2 + 3 * a.x / b.y", 8.0),
        ("-a.x * -2", 12.0),
        ("--a.x", 6.0),
        ("a.x - -b.y", 9.0),
        ('"c-1.z" + .5e1', 5.0),
        ("min(a.x, b.y, 4)", 3.0),
        ("max(a.x, b.y)", 6.0),
        ("abs(virtual.v)", 2.0),
        ("clamp(a.x, 0, 5)", 5.0),
        ("clamp(virtual.v, 0, 5)", 0.0),
        ("if(a.x > b.y, 1, 2)", 1.0),
        ("if(a.x <= b.y, 1, if(a.x == 6, 7, 8))", 7.0),
        ("if(a.x != 6, 1, 2) * 10", 20.0),
        ("1e3 \n * a.x", 6000.0),
        ("a.x / c.q", None),
    ],
)
def test_formulas_are_read_as_written(text: str, expected: float | None) -> None:
    assert value(text.replace("c.q", '"c-1.z"')) == expected


@pytest.mark.parametrize(
    ("text", "column", "what"),
    [
        ("", 1, "ends here"),
        ("a.x +", 6, "ends here"),
        ("a.x b.y", 5, "stands here"),
        ("a.x > 1", 5, "no number"),
        ("(a.x", 5, "ends here"),
        ("a.x)", 4, "stands here"),
        ("maxx(1, 2)", 1, "no function"),
        ("min(1)", 1, "1 arguments"),
        ("clamp(1, 2)", 1, "2 arguments"),
        ("if(a.x, 1, 2)", 1, "needs a comparison"),
        ("if(1 < 2 < 3, 1, 2)", 10, "no number"),
        ("max", 1, "is a function"),
        ("1e999", 1, "too large"),
        ('"a.x', 1, "no meaning"),
        ("a.x.y", 4, "no meaning"),
        ("a.x ** 2", 6, "stands here"),
        ("a.x; import os", 4, "no meaning"),
        ("__import__('os')", 12, "no meaning"),
        ("().__class__", 3, "no meaning"),
        ("lambda: 0", 7, "no meaning"),
        ("[1][0]", 1, "no meaning"),
        ("1" + "+1" * 1100, 2000, "characters"),
        ("1" + "+1" * 600, 501, "too many"),
        ("(" * (DEEPEST + 1) + "1" + ")" * (DEEPEST + 1), DEEPEST + 1, "deeply"),
        ("-" * (DEEPEST + 1) + "1", DEEPEST + 1, "deeply"),
    ],
)
def test_faults_name_their_column(text: str, column: int, what: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert caught.value.column == column
    assert what in caught.value.what
    assert caught.value.hint


HOSTILE = (
    "a.x",
    '"c-1.z"',
    "if(",
    "min(",
    "clamp(",
    "__import__('os').system('true')",
    "eval(",
    "exec(",
    "open(",
    "().__class__.__mro__",
    "{0}",
    "%s",
    "\x00",
    "🜂",
    "9" * 40,
    "1e308",
    "1e-320",
    *"+-*/(),<>=!.\"'\\;:[]{}|&^~@#$ \n\t0123456789",
)


def test_ten_thousand_random_strings_neither_crash_nor_execute() -> None:
    chance = random.Random(20260101)
    touched: list[str] = []

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event in ("exec", "compile", "open", "os.system", "subprocess.Popen"):
            touched.append(event)

    watching = True
    sys.addaudithook(watch)
    read = 0
    columns: list[tuple[int, int]] = []
    inputs = {name: Amount(value=one, lower=one, upper=one) for name, one in EXACT.items()}
    for _ in range(10_000):
        text = "".join(chance.choice(HOSTILE) for _ in range(chance.randint(1, 12)))
        try:
            node = parse(text)
        except ExpressionError as error:
            columns.append((error.column, len(text) + 1))
            continue
        read += 1
        if all(name.name in inputs for name in names_in(node)):
            found = compute(node, inputs)
            assert found.value is None or math.isfinite(found.value)
    watching = False
    assert touched == []
    assert all(1 <= column <= most for column, most in columns)
    assert read > 100


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("a.x + a.y", "kWh"),
        ("a.x - 3", "kWh"),
        ("max(a.x, 0)", "kWh"),
        ("if(b.t > 1, a.x, a.y)", None),
        ("if(b.t > b.t, a.x, a.y)", "kWh"),
        ("a.x / a.y", ANY),
        ("a.x * 0.0036", None),
        ("a.x * b.t", None),
        ("2 * 3", ANY),
    ],
)
def test_units_follow_as_far_as_they_are_known(text: str, unit: str | None) -> None:
    units = {"a.x": "kWh", "a.y": "kWh", "b.t": "t"}
    if unit is None and text.startswith("if("):
        unit = "kWh"
    assert unit_of(parse(text), units) == unit


@pytest.mark.parametrize("text", ["a.x + b.t", "max(a.x, b.t)", "if(a.x > b.t, 1, 2)"])
def test_two_units_in_one_sum_are_refused(text: str) -> None:
    with pytest.raises(ExpressionError, match="kWh and t"):
        unit_of(parse(text), {"a.x": "kWh", "b.t": "t"})


def around(middle: float, below: float, above: float) -> Amount:
    return Amount(value=middle, lower=middle - below, upper=middle + above)


def test_independent_errors_of_a_sum_add_in_quadrature() -> None:
    inputs = {"a.x": around(120, 3, 3), "b.y": around(40, 4, 4)}
    found = compute(parse("a.x - b.y"), inputs)
    assert (found.value, found.lower, found.upper) == (80, 75, 85)
    lopsided = compute(parse("a.x - b.y"), {"a.x": around(120, 0, 3), "b.y": around(40, 4, 0)})
    assert (lopsided.lower, lopsided.upper) == (120 - 40 - 0, 80 + 5)


def test_an_input_that_stands_twice_counts_with_its_net_slope() -> None:
    inputs = {"a.x": around(10, 1, 1)}
    nothing = compute(parse("a.x - a.x"), inputs)
    assert (nothing.value, nothing.lower, nothing.upper) == (0, 0, 0)
    twice = compute(parse("a.x + a.x"), inputs)
    assert (twice.lower, twice.upper) == (18, 22)


def test_what_is_not_linear_is_bounded_by_interval_arithmetic() -> None:
    inputs = {"a.x": around(10, 1, 1), "b.y": around(2, 1, 1)}
    assert _ends(compute(parse("a.x * b.y"), inputs)) == (9, 33)
    assert _ends(compute(parse("a.x / b.y"), inputs)) == (3, 11)
    assert _ends(compute(parse("abs(a.x - 10.5)"), inputs)) == (0, 1.5)
    assert _ends(compute(parse("1 / (b.y - 2)"), inputs)) == (None, None)
    assert _ends(compute(parse("max(a.x, 10.5)"), inputs)) == (10.5, 11)


def test_a_choice_that_is_not_certain_is_bounded_by_both_branches() -> None:
    inputs = {"a.x": around(10, 1, 1), "b.y": around(2, 1, 1)}
    assert _ends(compute(parse("if(a.x > 5, b.y, 50)"), inputs)) == (1, 3)
    assert _ends(compute(parse("if(a.x > 9.5, b.y, 50)"), inputs)) == (1, 50)


def _ends(found: Computed) -> tuple[float | None, float | None]:
    return found.lower, found.upper


def test_quality_is_that_of_the_worst_input_that_was_used() -> None:
    missing = Amount(value=None, provenance=Provenance.MISSING, coverage=0.0)
    guessed = Amount(value=4.0, provenance=Provenance.ESTIMATED, coverage=0.25, lower=3, upper=5)
    firm = Amount(value=6.0, lower=6.0, upper=6.0, coverage=0.9)
    inputs = {"a.x": firm, "b.y": guessed, "c.z": missing}
    both = compute(parse("a.x + b.y"), inputs)
    assert (both.provenance, both.coverage) == (Provenance.ESTIMATED, 0.25)
    assert both.estimated_share == 0.4
    spared = compute(parse("if(a.x > 1, a.x, c.z)"), inputs)
    assert (spared.value, spared.provenance, spared.coverage) == (6.0, Provenance.MEASURED, 0.9)
    assert spared.used == ("a.x",)
    lost = compute(parse("a.x + 0 * c.z"), inputs)
    assert (lost.value, lost.provenance) == (None, Provenance.MISSING)
    assert (lost.estimated_share, lost.coverage) == (1.0, 0.0)


def _formulas() -> st.SearchStrategy[str]:
    leaf = st.sampled_from(["a.x", "b.y", "c.z", "2", "0.5"])
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda p: f"({p[0]}{p[1]}{p[2]})"),
            st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(
                lambda p: f"{p[0]}({p[1]},{p[2]})"
            ),
            inner.map(lambda p: f"abs({p})"),
            inner.map(lambda p: f"(-{p})"),
            st.tuples(inner, inner, inner).map(lambda p: f"clamp({p[0]},{p[1]},{p[2]})"),
            st.tuples(inner, inner, inner, inner).map(lambda p: f"if({p[0]}<{p[1]},{p[2]},{p[3]})"),
        ),
        max_leaves=8,
    )


_AMOUNTS = st.builds(
    lambda middle, below, above, provenance, coverage: Amount(
        value=None if provenance is Provenance.MISSING else middle,
        provenance=provenance,
        lower=None if provenance is Provenance.MISSING else middle - below,
        upper=None if provenance is Provenance.MISSING else middle + above,
        coverage=coverage,
    ),
    st.floats(-100, 100),
    st.floats(0, 10),
    st.floats(0, 10),
    st.sampled_from(list(Provenance)),
    st.floats(0, 1),
)


@settings(max_examples=300)
@given(_formulas(), _AMOUNTS, _AMOUNTS, _AMOUNTS)
def test_quality_and_interval_hold_for_any_formula(
    text: str, first: Amount, second: Amount, third: Amount
) -> None:
    inputs = {"a.x": first, "b.y": second, "c.z": third}
    found = compute(parse(text), inputs)
    used = [inputs[name] for name in found.used]
    assert 0 <= found.estimated_share <= 1
    assert found.coverage == min((one.coverage for one in used), default=1.0)
    if found.value is None:
        assert found.provenance is Provenance.MISSING
        assert (found.lower, found.upper) == (None, None)
        return
    assert math.isfinite(found.value)
    assert RANK[found.provenance] == max((RANK[one.provenance] for one in used), default=0)
    if found.lower is not None and found.upper is not None:
        assert found.lower <= found.value <= found.upper


@settings(max_examples=300)
@given(_formulas(), st.floats(-50, 50), st.floats(0, 1))
def test_the_bounds_hold_for_every_value_within_those_of_one_input(
    text: str, middle: float, place: float
) -> None:
    formula = parse(text.replace("b.y", "a.x").replace("c.z", "a.x"))
    whole = compute(formula, {"a.x": around(middle, 2, 2)})
    there = compute(formula, {"a.x": Amount(value=middle - 2 + 4 * place)}).value
    if there is None or whole.lower is None or whole.upper is None:
        return
    slack = 1e-9 * max(1.0, abs(there), abs(whole.lower), abs(whole.upper))
    assert whole.lower - slack <= there <= whole.upper + slack
