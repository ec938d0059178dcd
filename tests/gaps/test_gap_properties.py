"""What must hold of every filled gap."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from plants import PER_DAY, plant, truth

from agent.core.gaps.fill import Filler
from agent.core.gaps.filled import FilledGap, Gap, Rules, rounded
from agent.core.gaps.plan import Plan
from agent.core.gaps.register import find_gaps
from agent.core.gaps.series import Series, codes_of

DAYS = 16
FIRSTS = st.integers(10 * PER_DAY, 14 * PER_DAY)
LENGTHS = st.sampled_from([1, 2, 5, 8, 20, 60, 130])


def filled(series: Series, gap: Gap) -> FilledGap:
    return Filler(series, Rules()).fill(gap)


def as_bytes(result: FilledGap) -> tuple[bytes, bytes, bytes]:
    return result.values.tobytes(), result.lower.tobytes(), result.upper.tobytes()


@settings(max_examples=6)
@given(first=FIRSTS, length=LENGTHS, decimals=st.integers(0, 3), with_load=st.booleans())
def test_the_sum_over_a_gap_is_the_difference_of_the_register(
    first: int, length: int, decimals: int, with_load: bool
) -> None:
    energy, _ = truth(DAYS, 5)
    total = round(float(energy[first : first + length].sum()), decimals)
    series = plant(DAYS, 5, gap=(first, first + length), with_load=with_load)
    gap = Gap(first=first, end=first + length, total=total, resolution=10.0**-decimals)
    result = filled(series, gap)
    assert result.total == total
    assert abs(float(result.values.sum()) - total) < 1e-6
    assert (result.values >= 0.0).all()
    assert (result.lower <= result.values).all()
    assert (result.values <= result.upper).all()


@settings(max_examples=3)
@given(first=FIRSTS, length=LENGTHS)
def test_filling_twice_gives_the_same_to_the_bit(first: int, length: int) -> None:
    gap = Gap(first=first, end=first + length)
    series = plant(DAYS, 5, gap=(first, first + length))
    assert as_bytes(filled(series, gap)) == as_bytes(filled(series, gap))


@settings(max_examples=3)
@given(first=FIRSTS, length=LENGTHS)
def test_a_column_that_never_changes_changes_nothing(first: int, length: int) -> None:
    gap = Gap(first=first, end=first + length)
    series = plant(DAYS, 5, gap=(first, first + length))
    more = replace(
        series,
        numbers={**series.numbers, "pressure": np.full(len(series), 6.1)},
        labels={"line": codes_of(["A"] * len(series))},
    )
    assert as_bytes(filled(series, gap)) == as_bytes(filled(more, gap))


@settings(max_examples=3)
@given(first=FIRSTS, length=LENGTHS)
def test_what_comes_more_than_two_hours_after_a_gap_changes_nothing(
    first: int, length: int
) -> None:
    gap = Gap(first=first, end=first + length)
    series = plant(DAYS, 5, gap=(first, first + length))
    later = series.values.copy()
    later[gap.end + 9 :] = 77.0
    changed = replace(series, values=later)
    one, other = filled(series, gap), filled(changed, gap)
    assert one.values.tobytes() == other.values.tobytes()


@settings(max_examples=8)
@given(first=st.integers(2, 14 * PER_DAY), length=st.integers(1, 10 * PER_DAY))
def test_no_gap_is_filled_in_part(first: int, length: int) -> None:
    end = min(first + length, DAYS * PER_DAY)
    result = filled(plant(DAYS, 5, gap=(first, end)), Gap(first=first, end=end))
    missing = np.isnan(result.values)
    assert missing.all() or not missing.any()
    assert missing.all() == (result.total is None) == bool(result.reason)


@given(first=FIRSTS, length=LENGTHS)
def test_what_was_verified_counts_as_measured(first: int, length: int) -> None:
    energy, _ = truth(DAYS, 5)
    series = plant(DAYS, 5, gap=(first, first + length))
    verified = series.values.copy()
    verified[first : first + length] = energy[first : first + length]
    assert find_gaps(verified, None, 0.0) == []
    assert [(gap.first, gap.end) for gap in find_gaps(series.values, None, 0.0)] == [
        (first, first + length)
    ]


def test_a_plan_survives_json_and_fills_as_before() -> None:
    gap = Gap(first=12 * PER_DAY, end=12 * PER_DAY + 30)
    series = plant(DAYS, 5, gap=(gap.first, gap.end))
    filler = Filler(series, Rules())
    first = filler.fill(gap)
    ((before, plan),) = filler.plans
    kept = Plan.from_record(json.loads(json.dumps(plan.as_record())))
    assert kept == plan
    again = Filler(series, Rules(), ((before, kept),))
    assert as_bytes(again.fill(gap)) == as_bytes(first)
    assert again.plans == ((before, plan),)


@given(
    values=st.lists(st.floats(0.0, 1e5), min_size=1, max_size=50),
    total=st.floats(0.0, 1e6).map(lambda number: round(number, 3)),
)
def test_rounding_keeps_the_total(values: list[float], total: float) -> None:
    steps = rounded(np.array(values), total)
    assert abs(float(steps.sum()) - total) < 1e-6


def test_intervals_cover_what_they_should() -> None:
    energy, _ = truth(60, 9, noise=4.0)
    rng = np.random.default_rng(4)
    plans: tuple[tuple[int, Plan], ...] = ()
    within = []
    for first in np.sort(rng.integers(25 * PER_DAY, 59 * PER_DAY, 50)):
        gap = Gap(first=int(first), end=int(first) + 6)
        series = plant(60, 9, gap=(gap.first, gap.end), until=gap.end + 8, noise=4.0)
        filler = Filler(series, Rules(), plans)
        result = filler.fill(gap)
        plans = filler.plans
        assert result.total_lower is not None
        assert result.total_upper is not None
        true = float(energy[gap.first : gap.end].sum())
        within.append(result.total_lower <= true <= result.total_upper)
    assert 0.8 <= np.mean(within) <= 1.0
