"""Doubts of readings: each with its reason, none about a process that only changes its level."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.kernels import quality
from agent.core.model import PointRole, PointSpec, Sample
from agent.core.quality.agreement import (
    Disagreement,
    counter_against_rate,
    meter_against_check_meter,
)
from agent.core.quality.screen import Screen, limits_of, outliers, spikes

POWER = PointSpec(id="power", quantity="power", unit="kW", role=PointRole.RATE, max_rate_per_h=500)
LEVEL = PointSpec(id="load", quantity="load", unit="%", role=PointRole.GAUGE, low=0, high=120)
POINTS = {"em.power": POWER, "dcs.load": LEVEL, "dcs.grade": LEVEL}
NAN = math.nan


def judged(
    values: list[float], point: str = "em.power", step_ms: int = 1000
) -> list[tuple[int, str]]:
    screen = Screen(POINTS, frozenset({"dcs.load"}))
    found = []
    for index, value in enumerate(values):
        sample = Sample(point=point, time_ms=index * step_ms, monotonic_ns=0, value=value)
        found += [(doubt.time_ms // step_ms, str(doubt.reason)) for doubt in screen.judge([sample])]
    return found


NOISE = [100.0, 101.0, 99.0, 100.5, 99.5, 100.2]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([*NOISE, 400.0, 100.1], [(6, "spike")]),
        ([*NOISE, 0.0, 100.1], [(6, "spike")]),
        ([*NOISE, 400.0, 410.0, 99.0], [(6, "spike"), (7, "spike")]),
        ([*NOISE, 400.0, 401.0, 402.0, 400.0, 399.0, 402.0], []),
        ([*NOISE, 400.0], []),
        ([*NOISE, 120.0, 100.0], []),
        ([*NOISE, 501.0, 100.0], [(6, "range")]),
        ([*NOISE, NAN, 100.0], [(6, "not-a-number")]),
        ([0.0] * 8 + [3.0, 0.0], []),
        ([0.0] * 8 + [300.0, 0.0], [(8, "spike")]),
        ([*NOISE, *[v + 300 for v in NOISE], 10.0, 400.0], [(12, "spike")]),
    ],
)
def test_what_is_doubted_and_why(values: list[float], expected: list[tuple[int, str]]) -> None:
    assert judged(values) == expected


def test_a_short_run_of_a_slowly_read_device_is_no_spike() -> None:
    assert judged([*NOISE, 400.0, 100.1], step_ms=5_000) == [(6, "spike")]
    assert judged([*NOISE, 400.0, 100.1], step_ms=15_000) == []


def test_a_rate_that_stands_still_is_told_once_and_zero_never() -> None:
    assert judged([42.5] * 200, step_ms=60_000) == [(60, "stuck")]
    assert judged([0.0] * 200, step_ms=60_000) == []
    assert judged([42.5] * 70 + [42.6] + [42.5] * 70, step_ms=60_000) == [
        (60, "stuck"),
        (131, "stuck"),
    ]
    assert judged([42.5] * 200, point="dcs.load", step_ms=60_000) == []


def test_gauges_that_nothing_is_computed_from_are_left_alone() -> None:
    assert judged([*NOISE, 130.0, 50.0], point="dcs.load") == [(6, "range")]
    assert judged([*NOISE, 130.0, 50.0], point="dcs.grade") == []


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1))
def test_reading_by_reading_and_all_at_once_agree(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(100, 3, 80) + 200 * (np.arange(80) > 40)
    values = np.where(rng.random(80) < 0.1, rng.uniform(0, 500, 80), values)
    verdicts = spikes(values, limits_of(POWER))
    expected = [(int(at), "spike") for at in np.flatnonzero(verdicts == quality.SPIKE)]
    found = [each for each in judged(list(values)) if each[1] == "spike"]
    assert sorted(found) == expected


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), side=st.integers(1, 6))
def test_the_median_is_that_of_a_sort_per_window(seed: int, side: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.round(rng.normal(10, 2, 60), 1)
    values = np.where(rng.random(60) < 0.1, np.nan, values)
    verdicts, medians = outliers(values, side=side, sigmas=3.0, least=0.05)
    for index, value in enumerate(values):
        around = values[max(0, index - side) : index + side + 1]
        around = around[~np.isnan(around)]
        if np.isnan(value):
            assert verdicts[index] == quality.NOT_A_NUMBER
            continue
        median = np.median(around)
        deviations = np.sort(np.abs(around - median))
        tolerance = max(3.0 * quality.SIGMA_PER_MAD * deviations[len(around) // 2], 0.05)
        assert medians[index] == pytest.approx(median)
        assert verdicts[index] == int(abs(value - median) > tolerance)


def test_hampel_by_hand() -> None:
    verdicts, medians = outliers(np.array([1.0, 2.0, 90.0, 3.0, 2.0]), side=2)
    assert list(verdicts) == [0, 0, 1, 0, 0]
    assert medians[2] == 2.0


@pytest.mark.parametrize(
    ("counted", "integral", "expected"),
    [
        (100.0, 97.0, None),
        (100.0, 90.0, Disagreement.DIFFERS),
        (0.0, 97.0, Disagreement.STUCK),
        (0.0, 0.1, None),
        (0.0, 0.0, None),
        (50.0, 0.0, Disagreement.DIFFERS),
    ],
)
def test_a_counter_against_the_integral_of_its_rate(
    counted: float, integral: float, expected: Disagreement | None
) -> None:
    verdict = counter_against_rate(counted, integral, resolution=0.1)
    assert verdict.disagreement is expected
    assert bool(verdict.reason) is (expected is not None)


def test_a_meter_against_its_check_meter() -> None:
    def of(check: float) -> Disagreement | None:
        verdict = meter_against_check_meter(1000, check, class_pct=1.0, check_class_pct=0.5)
        return verdict.disagreement

    assert of(1011) is None
    assert of(1012) is Disagreement.DIFFERS
    stuck = meter_against_check_meter(0.0, 12.0, class_pct=1.0, check_class_pct=1.0)
    assert stuck.disagreement is Disagreement.STUCK
