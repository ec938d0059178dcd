"""What is known of a gap decides how it is filled, or that it is left open."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from plants import MONDAY_MS, PER_DAY, plant, truth

from agent.config.substitution import all_substitutions
from agent.core.gaps.conservative import SubstitutionRule
from agent.core.gaps.fill import Filler
from agent.core.gaps.filled import FilledGap, Gap, Rules
from agent.core.gaps.series import Series
from agent.core.model import Provenance

DAY_21 = 21 * PER_DAY + 40


def fill(series: Series, gap: Gap, rules: Rules | None = None) -> FilledGap:
    return Filler(series, rules or Rules()).fill(gap)


def hourly(values: list[float], loads: list[float]) -> Series:
    return Series(
        start_ms=MONDAY_MS,
        step_ms=3_600_000,
        values=np.array(values),
        numbers={"load": np.array(loads)},
        load="load",
    )


def test_150_and_160_around_an_hour_at_steady_load_give_155() -> None:
    result = fill(hourly([150, np.nan, 160], [90, 90, 90]), Gap(first=1, end=2))
    assert result.values.tolist() == [155.0]
    assert result.provenance is Provenance.ESTIMATED
    assert result.lower[0] < 155.0 < result.upper[0]


def test_a_change_that_history_never_saw_is_no_sure_thing() -> None:
    steady = [150.0] * 40 + [np.nan] + [160.0] * 20
    result = fill(hourly(steady, [90.0] * 61), Gap(first=40, end=41))
    assert result.values.tolist() == [155.0]
    assert (result.lower[0], result.upper[0]) == (150.0, 160.0)
    assert (result.total_lower, result.total_upper) == (150.0, 160.0)


def test_half_the_load_in_the_gap_gives_half() -> None:
    result = fill(hourly([150, np.nan, 160], [90, 45, 90]), Gap(first=1, end=2))
    assert result.values.tolist() == [77.5]


def test_a_learned_plan_keeps_to_the_load_too() -> None:
    _, load = truth(14, 3)
    load[996:1008] = 90.0
    energy = load * (155.0 / 360.0) + np.random.default_rng(1).normal(0.0, 1.0, len(load))
    energy[996:1000], energy[1004:1008], energy[1000:1004] = 37.5, 40.0, np.nan

    def total(load_within: float) -> float:
        load[1000:1004] = load_within
        series = replace(plant(14), values=energy, numbers={"load": load.copy()})
        result = fill(series, Gap(first=1000, end=1004))
        assert result.total is not None
        assert result.calibration > 12
        return result.total

    assert total(90.0) == pytest.approx(155.0, rel=0.02)
    assert total(45.0) == pytest.approx(77.5, rel=0.1)


@pytest.mark.parametrize("length", [2, 8, 24, 96])
def test_a_known_total_is_measured_and_its_shape_allocated(length: int) -> None:
    gap = (DAY_21, DAY_21 + length)
    energy, _ = truth(28, 1)
    total = round(float(energy[gap[0] : gap[1]].sum()), 1)
    result = fill(plant(gap=gap), Gap(first=gap[0], end=gap[1], total=total, resolution=0.1))
    assert result.provenance is Provenance.ALLOCATED
    assert result.method.startswith("register:")
    assert result.total == total
    assert (result.total_lower, result.total_upper) == (total - 0.1, total + 0.1)
    mean_error = np.abs(result.values - energy[gap[0] : gap[1]]).mean()
    assert mean_error < 0.2 * energy.mean()


def test_one_interval_between_two_readings_of_the_register_is_measured() -> None:
    series = plant(gap=(DAY_21, DAY_21 + 1))
    result = fill(series, Gap(first=DAY_21, end=DAY_21 + 1, total=12.3, resolution=0.1))
    assert (result.provenance, result.method) == (Provenance.MEASURED, "register")
    assert result.values.tolist() == [12.3]


def test_a_long_gap_follows_the_load_and_names_its_analogues() -> None:
    gap = (DAY_21, DAY_21 + 2 * PER_DAY)
    energy, _ = truth(28, 1)
    result = fill(plant(gap=gap), Gap(first=gap[0], end=gap[1]))
    true = float(energy[gap[0] : gap[1]].sum())
    assert result.total == pytest.approx(true, rel=0.1)
    assert result.total_lower is not None
    assert result.total_upper is not None
    assert result.total_lower <= true <= result.total_upper
    assert result.calibration >= 12
    assert result.score_pct is not None
    assert all(end <= gap[0] and end - first == len(result.gap) for first, end in result.matched)


def test_a_check_meter_comes_before_any_estimate() -> None:
    gap = (DAY_21, DAY_21 + 96)
    energy, _ = truth(28, 1)
    series = replace(plant(gap=gap), check=energy * 1.02)
    result = fill(series, Gap(first=gap[0], end=gap[1]))
    assert result.method == "check-meter"
    assert result.values == pytest.approx(energy[gap[0] : gap[1]], rel=1e-6)


def test_a_condition_never_seen_is_not_filled() -> None:
    gap = (DAY_21, DAY_21 + 96)
    series = plant(gap=gap)
    load = series.numbers["load"].copy()
    load[gap[0] : gap[1]] = 150.0
    material = np.zeros(len(series), np.int64)
    unseen_load = replace(series, numbers={"load": load})
    result = fill(unseen_load, Gap(first=gap[0], end=gap[1]))
    assert result.provenance is Provenance.MISSING
    assert np.isnan(result.values).all()
    assert result.reason == "condition never seen: load"
    material[gap[0] :] = 1
    result = fill(replace(series, labels={"material": material}), Gap(first=gap[0], end=gap[1]))
    assert result.reason == "condition never seen: material"


def test_a_known_total_is_allocated_even_under_a_new_condition() -> None:
    gap = (DAY_21, DAY_21 + 24)
    material = np.zeros(28 * PER_DAY, np.int64)
    material[gap[0] :] = 1
    series = replace(plant(gap=gap), labels={"material": material})
    result = fill(series, Gap(first=gap[0], end=gap[1], total=500.0, resolution=0.1))
    assert result.total == 500.0


@pytest.mark.parametrize("rule", all_substitutions(), ids=lambda rule: rule.id)
def test_the_conservative_rule_stands_only_where_it_was_asked_for(rule: SubstitutionRule) -> None:
    gap = Gap(first=2 * PER_DAY, end=4 * PER_DAY)
    series = plant(days=6, gap=(gap.first, gap.end))
    assert fill(series, gap).total is None
    result = fill(series, gap, Rules(substitute=rule))
    assert result.method == f"substitute-{rule.id}"
    assert result.total is not None
    assert result.total > 0.0
    assert result.reason


def test_longer_than_any_method_reaches_gets_no_value_at_all() -> None:
    gap = Gap(first=100 * PER_DAY, end=132 * PER_DAY)
    result = fill(plant(days=140, gap=(gap.first, gap.end)), gap)
    assert np.isnan(result.values).all()
    assert "the limit of every method" in result.reason


def test_an_open_gap_is_provisional_until_it_closes() -> None:
    gap = (DAY_21, DAY_21 + 8)
    whole = plant(gap=gap)
    seen = plant(gap=gap, until=gap[1])
    before = fill(seen, Gap(first=gap[0], end=gap[1]))
    after = fill(whole, Gap(first=gap[0], end=gap[1]))
    assert before.provisional
    assert not after.provisional
    assert before.total is not None
    assert after.total is not None


def test_a_stop_is_not_production() -> None:
    first, end = DAY_21, DAY_21 + 32
    energy, _ = truth(28, 1)
    stopped = np.zeros(len(energy), np.bool_)
    stopped[960:1000] = stopped[first:end] = True
    energy[960:1000] = 1.0
    energy[first:end] = np.nan
    series = replace(plant(), values=energy, stopped=stopped)
    result = fill(series, Gap(first=first, end=end))
    assert (result.method, result.total) == ("stop", 32.0)
    partly = stopped.copy()
    partly[first + 16 : end] = False
    result = fill(replace(series, stopped=partly), Gap(first=first, end=end))
    assert result.values[:16] == pytest.approx(np.ones(16))
    assert result.values[16:].mean() > 10.0
    assert result.method.endswith("+stop")


def test_a_stop_without_history_is_left_open() -> None:
    stopped = np.zeros(28 * PER_DAY, np.bool_)
    stopped[DAY_21 : DAY_21 + 32] = True
    series = replace(plant(gap=(DAY_21, DAY_21 + 32)), stopped=stopped)
    result = fill(series, Gap(first=DAY_21, end=DAY_21 + 32))
    assert result.reason.startswith("within a stop")
