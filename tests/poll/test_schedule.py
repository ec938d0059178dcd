"""Periods and dead meters: pure rules."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.poll.schedule import DEAD_SHARE_OF_BUS, is_dead, next_due_ns, probe_delay_ns

SECOND = 1_000_000_000


@given(st.integers(0, 10**12), st.integers(1, 10**10), st.integers(0, 10**12))
def test_next_due_is_on_the_grid_and_not_in_the_past(due: int, period: int, late: int) -> None:
    now = due + late
    found = next_due_ns(due, period, now)
    assert (found - due) % period == 0
    assert found >= now
    assert found >= due + period
    assert found - period < now or found == due + period


@given(st.integers(3, 200), st.integers(1, 60), st.integers(1, 5000))
def test_probes_grow_to_the_share_of_the_bus_and_no_further(
    failures: int, period_s: int, cost_ms: int
) -> None:
    cost = cost_ms * 1_000_000
    delay = probe_delay_ns(failures, period_s * SECOND, cost)
    assert delay <= max(cost / DEAD_SHARE_OF_BUS, period_s * SECOND)
    assert delay <= probe_delay_ns(failures + 1, period_s * SECOND, cost)


def test_in_the_long_run_a_dead_meter_takes_one_per_cent() -> None:
    cost, period, spent, now = SECOND, SECOND, 0, 0
    for failures in range(3, 200):
        spent += cost
        now += cost + probe_delay_ns(failures, period, cost)
    assert spent / now < 0.0106


def test_one_glitch_kills_nobody() -> None:
    assert not is_dead(1)
    assert not is_dead(2)
    assert is_dead(3)
