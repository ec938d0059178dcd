"""Rules of substitution: examples by hand, and the ladder's steps as the texts have them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.rules import all_rules, rules_named
from agent.config.substitution import (
    SubstitutionNotFound,
    all_substitutions,
    load_substitutions,
    substitution_named,
)
from agent.core.errors import ConfigError
from agent.core.gaps.conservative import Basis, Substitute, substitute

HOURS = [float(value) for value in range(1, 101)]  # 1..100: percentiles by nearest rank are plain


def ask(
    rule: str,
    *,
    gap_h: float = 10.0,
    availability_pct: float = 100.0,
    before: float | None = 40.0,
    after: float | None = 60.0,
    look_back: list[float] | None = None,
    max_rate_per_h: float | None = 500.0,
) -> Substitute | None:
    return substitute(
        substitution_named(rule),
        gap_h=gap_h,
        before=before,
        after=after,
        look_back=HOURS if look_back is None else look_back,
        availability_pct=availability_pct,
        max_rate_per_h=max_rate_per_h,
    )


@pytest.mark.parametrize(
    ("availability_pct", "gap_h", "rate", "basis"),
    [
        (100, 24, 50.0, Basis.BEFORE_AFTER),
        (95, 24, 50.0, Basis.BEFORE_AFTER),
        (95, 24.25, 90.0, Basis.PERCENTILE),
        (94.9, 8, 50.0, Basis.BEFORE_AFTER),
        (90, 8.25, 95.0, Basis.PERCENTILE),
        (89.9, 1, 100.0, Basis.MAXIMUM),
        (80, 1, 100.0, Basis.MAXIMUM),
        (79.9, 1, 500.0, Basis.POTENTIAL),
        (0, 1000, 500.0, Basis.POTENTIAL),
    ],
)
def test_the_ladder_of_40_cfr_75_33(
    availability_pct: float, gap_h: float, rate: float, basis: Basis
) -> None:
    found = ask("us-75-33", availability_pct=availability_pct, gap_h=gap_h)
    assert found == Substitute(rate_per_h=rate, rule="us-75-33", basis=basis)


def test_a_percentile_gives_way_to_a_higher_mean_of_before_and_after() -> None:
    found = ask("us-75-33", gap_h=48, before=120.0, after=100.0)
    assert found is not None
    assert found.rate_per_h == 110.0


def test_the_mean_of_before_and_after_takes_one_side_if_there_is_no_other() -> None:
    assert ask("us-98-35") == Substitute(rate_per_h=50.0, rule="us-98-35", basis=Basis.BEFORE_AFTER)
    one_sided = ask("us-98-35", after=None)
    assert one_sided is not None
    assert one_sided.rate_per_h == 40.0
    assert ask("us-98-35", before=None, after=None) is None


def test_the_mean_plus_two_deviations() -> None:
    """Mean of 8, 10, 12 is 10, its sample deviation 2: 14."""
    found = ask("eu-mrr-45", look_back=[8.0, 10.0, 12.0])
    assert found is not None
    assert found.rate_per_h == pytest.approx(14.0)
    assert ask("eu-mrr-45", look_back=[8.0]) is None


def test_the_look_back_ends_where_the_rule_says() -> None:
    long_ago = [999.0, *([10.0] * 720)]
    found = ask("look-back-maximum", look_back=long_ago)
    assert found is not None
    assert found.rate_per_h == 10.0
    assert ask("look-back-maximum", look_back=[]) is None


def test_what_a_rule_lacks_is_no_value() -> None:
    assert ask("us-75-33", availability_pct=50, max_rate_per_h=None) is None


@given(
    look_back=st.lists(st.floats(0, 1e6), min_size=2, max_size=50),
    availability_pct=st.floats(0, 100),
    gap_h=st.floats(0.25, 2000),
)
def test_a_substitute_is_never_below_the_mean_of_what_was_measured_when_its_basis_is_high(
    look_back: list[float], availability_pct: float, gap_h: float
) -> None:
    mean = float(np.mean(look_back))
    for rule in ("eu-mrr-45", "look-back-maximum"):
        found = ask(rule, look_back=look_back, availability_pct=availability_pct, gap_h=gap_h)
        assert found is not None
        assert found.rate_per_h >= mean - 1e-6 * max(1.0, mean)
        assert math.isfinite(found.rate_per_h)


def test_every_rule_names_its_source_and_the_first_fitting_tier_ends_it() -> None:
    rules = all_substitutions()
    assert {rule.id for rule in rules} >= {"eu-mrr-45", "us-98-35", "us-75-33"}
    for rule in rules:
        assert rule.source
        assert rule.name_zh
        assert rule.tiers[-1].least_availability_pct == 0.0
        assert rule.tiers[-1].longest_gap_h is None


def test_no_rule_set_substitutes_unasked_and_what_one_asks_for_is_there() -> None:
    asked = [rules.substitution for rules in all_rules() if rules.substitution]
    assert {substitution_named(name).id for name in asked} == set(asked)
    assert rules_named("GB/T 32151.10-2023").substitution == ""


def test_a_rule_that_is_not_there_names_the_nearest() -> None:
    with pytest.raises(SubstitutionNotFound, match="us-75-33"):
        substitution_named("us-75-34")


def test_a_broken_file_is_told_by_path(tmp_path: Path) -> None:
    text = 'id = "x"\nname_zh = "x"\nname_en = "x"\nlook_back_h = 1\nstatus = "user"\nsource = "x"'
    tier = '[[substitution.tiers]]\nbasis = "percentile"'
    (tmp_path / "x.toml").write_text(f"[substitution]\n{text}\n{tier}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        load_substitutions(tmp_path)
    assert raised.value.faults[0].path == "substitution.tiers[0].percentile"
