"""Quality, units, and what the silence of a server says about a value."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.model import PointRole, Quality, Sample
from drivers.opcua.errors import status_name
from drivers.opcua.nodes import NodeAddress, NodePoint
from drivers.opcua.readings import Readings, quality_of

NOW = 1_800_000_000_000
LAG = 1000 + 100  # period and publish interval below


def readings(*points: NodePoint) -> Readings:
    return Readings(points or (node_point(),), status_name, 100)


def node_point(
    name: str = "m.p", role: PointRole = PointRole.GAUGE, scale: float = 1.0, period_ms: int = 1000
) -> NodePoint:
    address = NodeAddress(identifier=1)
    return NodePoint(id=name, role=role, scale=scale, period_ms=period_ms, address=address)


def one(value: Any, status: int = 0, **keys: Any) -> Sample:
    samples = readings(node_point(**keys)).change([(0, value, status, NOW, 0)], NOW, 7)
    assert len(samples) == 1
    return samples[0]


@pytest.mark.parametrize(
    ("status", "quality"),
    [
        (0x0000_0000, Quality.GOOD),
        (0x00A2_0000, Quality.GOOD),  # GoodEntryInserted
        (0x0000_0480, Quality.GOOD),  # overflow bit
        (0x0096_0000, Quality.SUSPECT),  # GoodLocalOverride
        (0x4090_0000, Quality.SUSPECT),  # UncertainLastUsableValue
        (0x8031_0000, Quality.MISSING),  # BadNoCommunication
        (0xC000_0000, Quality.MISSING),  # reserved: not good
    ],
)
def test_quality_follows_the_severity_bits(status: int, quality: Quality) -> None:
    assert quality_of(status) is quality


@given(status=st.integers(0, 2**32 - 1))
def test_every_status_has_a_quality_and_a_name(status: int) -> None:
    sample = one(5.0, status)
    assert sample.quality is quality_of(status)
    assert (sample.raw == "") == (sample.quality is Quality.GOOD)
    assert (sample.value is None) == (sample.quality is Quality.MISSING)


def test_the_name_of_the_status_is_kept_where_it_is_not_good() -> None:
    assert one(5.0, 0x8031_0000).raw == "BadNoCommunication"
    assert one(5.0, 0x0096_0000).raw == "GoodLocalOverride"
    assert one(5.0, 0x8FFF_0000).raw == "status 0x8fff0000"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_quantity_is_missing(value: float) -> None:
    sample = one(value)
    assert (sample.value, sample.quality) == (None, Quality.MISSING)
    assert sample.raw


def test_numbers_of_all_kinds_are_scaled_floats() -> None:
    for value, scale, expected in [(True, 1.0, 1.0), (7, 0.1, 0.7), (2.5, 1000.0, 2500.0)]:
        sample = one(value, scale=scale)
        assert sample.value == pytest.approx(expected)
        assert type(sample.value) is float


def test_text_stays_text_and_a_text_is_no_number() -> None:
    assert one("PX-2 对二甲苯", role=PointRole.TEXT).text == "PX-2 对二甲苯"
    assert one(3, role=PointRole.TEXT).text == "3"
    assert one(None, role=PointRole.TEXT).quality is Quality.MISSING
    wrong = one("12.5")
    assert (wrong.value, wrong.text, wrong.quality) == (None, "12.5", Quality.MISSING)
    assert one([1.0, 2.0]).quality is Quality.MISSING


def test_time_is_the_sources_then_the_servers_then_that_of_the_notification() -> None:
    table = readings()
    changes = [(0, 1.0, 0, NOW - 5, NOW - 3), (0, 2.0, 0, 0, NOW - 3), (0, 3.0, 0, 0, 0)]
    assert [s.time_ms for s in table.change(changes, NOW, 7)] == [NOW - 5, NOW - 3, NOW]


def test_a_source_in_the_future_is_not_believed() -> None:
    table = readings()
    eight_hours = 8 * 3_600_000
    changes = [(0, 1.0, 0, NOW + eight_hours, NOW - 3), (0, 2.0, 0, NOW + eight_hours, 0)]
    assert [s.time_ms for s in table.change(changes, NOW, 7)] == [NOW - 3, NOW]
    assert table.future_times == 2


def test_the_current_value_that_a_new_subscription_repeats_is_old_news() -> None:
    table = readings()
    table.subscribed([0], NOW)
    assert table.change([(0, 5.0, 0, NOW - 3_600_000, 0)], NOW, 7) == []
    held = table.held(NOW, 8)
    assert [(s.value, s.time_ms, s.quality) for s in held] == [(5.0, NOW - LAG, Quality.GOOD)]


def test_a_value_that_changed_while_the_session_was_lost_is_news() -> None:
    table = readings()
    table.change([(0, 5.0, 0, NOW, 0)], NOW, 7)
    table.subscribed([0], NOW + 60_000)
    again = table.change([(0, 5.0, 0, NOW, 0)], NOW + 60_000, 8)
    assert again == []
    table.subscribed([0], NOW + 120_000)
    changed = table.change([(0, 6.0, 0, NOW + 100_000, 0)], NOW + 120_000, 9)
    assert [(s.value, s.time_ms) for s in changed] == [(6.0, NOW + 100_000)]


def test_silence_confirms_a_value_once_per_period_and_never_too_late() -> None:
    table = readings()
    table.change([(0, 5.0, 0, NOW, 0)], NOW, 7)
    times = []
    for publish_ms in range(NOW, NOW + 10_000, 100):
        times += [s.time_ms for s in table.held(publish_ms, 8)]
        assert all(time_ms <= publish_ms - LAG for time_ms in times)
    assert len(times) in {7, 8}  # the last one may still be held back
    assert all(b - a >= 1000 for a, b in zip([NOW, *times], times, strict=False))


def test_nothing_is_confirmed_before_the_new_session_has_told_the_value() -> None:
    table = readings()
    table.change([(0, 5.0, 0, NOW, 0)], NOW, 7)
    table.subscribed([0], NOW + 60_000)
    assert table.held(NOW + 60_000, 8) == []


def test_a_source_whose_clock_is_late_is_heard_again_after_the_first_confirmation() -> None:
    table = readings()
    late = 8 * 3_600_000
    table.change([(0, 1.0, 0, NOW, 0)], NOW, 7)
    table.subscribed([0], NOW + 60_000)
    assert table.change([(0, 2.0, 0, NOW - late, 0)], NOW + 60_000, 8) == []
    assert [s.value for s in table.held(NOW + 60_000, 9)] == [2.0]
    heard = table.change([(0, 3.0, 0, NOW - late + 1000, 0)], NOW + 61_000, 10)
    assert [s.value for s in heard] == [3.0]


def test_history_ends_what_is_news() -> None:
    table = readings()
    table.change([(0, 1.0, 0, NOW, 0)], NOW, 7)
    table.subscribed([0], NOW + 5000)
    past = table.past(0, [(0, 2.0, 0, NOW + 1000, 0), (0, 3.0, 0, NOW + 2000, 0)], 8)
    assert [(s.value, s.time_ms) for s in past] == [(2.0, NOW + 1000), (3.0, NOW + 2000)]
    live = [(0, 3.0, 0, NOW + 2000, 0), (0, 4.0, 0, NOW + 3000, 0)]
    assert [s.value for s in table.change(live, NOW + 5000, 9)] == [4.0]


def test_overflow_of_a_queue_is_counted_and_an_unknown_handle_is_left_alone() -> None:
    table = readings()
    assert len(table.change([(0, 1.0, 0x480, NOW, 0), (99, 1.0, 0, NOW, 0)], NOW, 7)) == 1
    assert table.overflows == 1


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 2), st.integers(1, 3000), st.booleans()), min_size=1, max_size=60
    )
)
def test_every_change_is_delivered_once_and_in_order(steps: list[tuple[int, int, bool]]) -> None:
    table = readings(*(node_point(f"m.p{i}") for i in range(3)))
    table.subscribed(range(3), NOW - 60_000)
    now, sent, got = NOW, [], []
    for value, (handle, wait_ms, keep_alive) in enumerate(steps):
        now += wait_ms
        if not keep_alive:
            sent.append((f"m.p{handle}", now, float(value)))
            got += table.change([(handle, float(value), 0, now, 0)], now, now)
        got += table.held(now, now)
    changes = [s for s in got if (s.point, s.time_ms, s.value) in set(sent)]
    assert [(s.point, s.time_ms, s.value) for s in changes] == sent
    for point in {s.point for s in got}:
        times = [s.time_ms for s in got if s.point == point]
        assert times == sorted(times)
    assert len(got) == len(sent) + table.held_count
