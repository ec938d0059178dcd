"""Bus time against the numbers that the standard and hand calculation give."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.bustime import (
    MeterDemand,
    SerialLine,
    bus_budget,
    exchange_s,
    exchanges_per_s_limit,
    reply_s,
    request_s,
)

lines = st.builds(
    SerialLine,
    baud=st.sampled_from([1200, 9600, 19200, 38400, 115200]),
    parity=st.sampled_from(["none", "even", "odd"]),
    stop_bits=st.sampled_from([1, 2]),
)


@pytest.mark.parametrize(
    ("parity", "stop_bits", "bits"),
    [("none", 1, 10), ("even", 1, 11), ("odd", 1, 11), ("none", 2, 11), ("even", 2, 12)],
)
def test_bits_per_character(parity: str, stop_bits: int, bits: int) -> None:
    assert SerialLine(baud=9600, parity=parity, stop_bits=stop_bits).bits_per_character == bits


@pytest.mark.parametrize(
    ("baud", "silence_s"),
    [(9600, 3.5 * 11 / 9600), (19200, 3.5 * 11 / 19200), (38400, 0.00175), (115200, 0.00175)],
)
def test_silence(baud: int, silence_s: float) -> None:
    assert SerialLine(baud=baud, parity="even").silence_s == pytest.approx(silence_s)


@pytest.mark.parametrize(
    ("baud", "registers", "per_s"),
    [
        (9600, 10, 24.0),
        (9600, 100, 4.36),
        (19200, 10, 48.0),
        (19200, 100, 8.73),
        (115200, 10, 157.0),
        (115200, 100, 45.5),
    ],
)
def test_the_limit_of_the_wire(baud: int, registers: int, per_s: float) -> None:
    line = SerialLine(baud=baud, parity="none")
    assert exchanges_per_s_limit(line, registers) == pytest.approx(per_s, rel=2e-3)


@given(line=lines, count=st.integers(1, 125), turnaround_s=st.floats(0, 1))
def test_an_exchange_is_its_frames_and_silences(
    line: SerialLine, count: int, turnaround_s: float
) -> None:
    assert exchange_s(line, count, turnaround_s) == pytest.approx(
        request_s(line) + reply_s(line, count) + 2 * line.silence_s + turnaround_s
    )
    assert exchange_s(line, count, turnaround_s) >= 1 / exchanges_per_s_limit(line, count) - 1e-12


def demand(meter: str, *counts: int, period_s: float = 1.0) -> MeterDemand:
    return MeterDemand(meter=meter, counts=counts, period_s=period_s, timeout_s=0.3)


def test_five_meters_fit_and_six_do_not() -> None:
    line = SerialLine(baud=9600, parity="even")
    five = bus_budget(line, [demand(f"m{n}", 54, 2) for n in range(5)], slowest_reply_s=1.0)
    assert five.cycle_s == pytest.approx(5 * 0.19417, rel=1e-4)
    assert five.fits
    six = bus_budget(line, [demand(f"m{n}", 54, 2) for n in range(6)], slowest_reply_s=1.0)
    assert not six.fits
    assert six.utilisation == pytest.approx(1.165, rel=1e-3)
    assert six.demand_s[0] == ("m0", pytest.approx(0.19417, rel=1e-4))


def test_slow_meters_use_less_of_the_bus() -> None:
    line = SerialLine(baud=9600, parity="even")
    often = [demand("fast", 10), demand("slow", 100, period_s=60.0)]
    budget = bus_budget(line, often, slowest_reply_s=1.0)
    assert budget.period_s == 1.0
    assert budget.utilisation < 0.1
    assert budget.cycle_s > 0.25


@given(
    line=lines,
    counts=st.lists(st.integers(1, 125), min_size=1, max_size=6),
    slowest_s=st.floats(0.1, 2.0),
)
def test_dead_meters_never_make_a_cycle_shorter(
    line: SerialLine, counts: list[int], slowest_s: float
) -> None:
    demands = [demand(f"m{number}", count) for number, count in enumerate(counts)]
    budget = bus_budget(line, demands, slowest_reply_s=slowest_s)
    assert budget.cycle_s <= budget.one_dead_cycle_s
    assert budget.all_dead_cycle_s >= len(counts) * max(0.3, slowest_s)


def test_an_empty_bus_needs_nothing() -> None:
    budget = bus_budget(SerialLine(baud=9600), [], slowest_reply_s=1.0)
    assert (budget.cycle_s, budget.utilisation, budget.fits) == (0.0, 0.0, True)
