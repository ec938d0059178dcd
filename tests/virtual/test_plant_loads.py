"""Loads are reproducible functions of time whose integrals are exact."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.virtual.clock import PlantClock, month_start_ms
from drivers.virtual.definition import DEFINITION_FILE, default_definition, load_definition
from drivers.virtual.errors import PlantError
from drivers.virtual.profile import Polyline, Profile

PLANT = default_definition()
START_MS = 1_795_000_000_000.0
METERS = st.sampled_from(sorted(PLANT.meters))
MOMENTS = st.integers(0, 400 * 86_400_000).map(lambda ms: START_MS + ms)


def profile(meter: str, seed: int = 1) -> Profile:
    return Profile(PLANT.meters[meter], seed=seed, utc_offset_h=PLANT.utc_offset_h)


@given(METERS, MOMENTS)
def test_a_consumer_never_runs_backwards(meter: str, t_ms: float) -> None:
    assert profile(meter).rate(t_ms) > 0.0


@given(METERS, MOMENTS, st.integers(1, 3_600_000), st.integers(1, 86_400_000))
def test_amounts_add_up(meter: str, t_ms: float, first_ms: int, second_ms: int) -> None:
    load = profile(meter)
    parts = load.amount(t_ms, t_ms + first_ms) + load.amount(
        t_ms + first_ms, t_ms + first_ms + second_ms
    )
    assert parts == pytest.approx(load.amount(t_ms, t_ms + first_ms + second_ms), rel=1e-9)


@given(METERS, MOMENTS)
def test_the_amount_is_the_integral_of_the_rate(meter: str, t_ms: float) -> None:
    load = profile(meter)
    step_ms = 20.0
    middle_sum = sum(load.rate(t_ms + (i + 0.5) * step_ms) for i in range(1500)) * step_ms
    assert load.amount(t_ms, t_ms + 30_000.0) == pytest.approx(middle_sum / 3.6e6, rel=1e-6)


def test_the_seed_fixes_the_loads() -> None:
    moments = [START_MS + 7_777.0 * i for i in range(50)]
    first = [profile("em-air").rate(t) for t in moments]
    assert first == [profile("em-air").rate(t) for t in moments]
    assert first != [profile("em-air", seed=2).rate(t) for t in moments]


def test_day_and_night_shift_differ() -> None:
    load = profile("em-cooling")
    midnight_ms = month_start_ms(START_MS, 8.0)
    hour_ms = 3_600_000
    day = load.amount(midnight_ms + 10 * hour_ms, midnight_ms + 18 * hour_ms)
    night = load.amount(midnight_ms + 21 * hour_ms, midnight_ms + 29 * hour_ms)
    assert day > 1.2 * night


def test_the_swing_is_the_spread_of_the_rate() -> None:
    load = profile("gas-f103")
    rates = [load.rate(START_MS + 10.0 * i) for i in range(9001)]
    assert load.swing(START_MS, START_MS + 90_000.0) == pytest.approx(
        max(rates) - min(rates), rel=0.01
    )
    assert load.swing(START_MS, START_MS) == 0.0


def test_ninety_seconds_move_every_load() -> None:
    """The bound of the books lives on the change of the rate: a flat load would leave none."""
    for meter in PLANT.meters:
        load = profile(meter)
        for begin_s in range(0, 7200, 600):
            begin_ms = START_MS + begin_s * 1000.0
            assert load.swing(begin_ms, begin_ms + 90_000.0) > 0.03 * load.nominal


def test_a_profile_that_could_run_backwards_is_refused() -> None:
    meter = PLANT.meters["em-air"]
    greedy = type(meter)(
        id="x", bus="gas", unit=9, model="tuf-2000", start=0.0, nominal=1.0, waves=((1.2, 60.0),)
    )
    with pytest.raises(PlantError, match="could fall to"):
        Profile(greedy, seed=1, utc_offset_h=8.0)


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ([(1.0, 0.0)], "second 0"),
        ([(0.0, 0.0), (5.0, 1.0), (5.0, 2.0)], "ascending"),
        ([(0.0, 0.0), (60.0, 1.0)], "beyond its period"),
    ],
)
def test_wrong_points_are_refused(points: list[tuple[float, float]], reason: str) -> None:
    with pytest.raises(PlantError, match=reason):
        Polyline(points, 60.0)


def test_counters_run_from_the_local_month() -> None:
    assert month_start_ms(1_795_000_000_000, 8.0) == 1_793_462_400_000  # 2026-10-31T16:00Z


def test_a_shifted_clock_runs_at_the_pace_of_its_source() -> None:
    now = [5_000.0]
    clock = PlantClock(source=lambda: now[0], start_ms=START_MS)
    now[0] += 1_500.0
    assert clock.now_ms() == START_MS + 1_500.0
    assert clock.elapsed_s() == 1.5


def test_a_definition_with_a_broken_reference_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plant.toml"
    good = DEFINITION_FILE.read_text(encoding="utf-8")
    for wrong, reason in (
        (good.replace('bus = "gas"', 'bus = "nowhere"'), "no bus 'nowhere'"),
        (good.replace("unit = 7", "unit = 6"), "address 6 of rs485-2 is taken"),
        (good.replace('factor = "heat"', 'factor = "steam"'), "unknown meter or factor"),
        (good.replace('meter = "oil-boiler"\nbase', 'meter = "nothing"\nbase'), "no meter"),
        (good.replace("nominal = 320.0", "nominl = 320.0"), "compare with"),
        (good + "\n[", "compare with"),
    ):
        path.write_text(wrong, encoding="utf-8")
        with pytest.raises(PlantError, match=reason):
            load_definition(path)
