"""Sums over periods: whole inside, by time across a boundary, and nothing lost between periods."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.activity import ActivityEntry, ActivityKind
from agent.core.activity_sums import (
    amounts,
    amounts_by_period,
    current_only,
    mean_contents,
    stock_changes,
    unplaced,
)
from agent.core.timebase import DAY_MS
from tests.activity.desk import month


def entry(
    amount: float | None,
    start_ms: int,
    end_ms: int,
    *,
    kind: ActivityKind = ActivityKind.PRODUCT,
    revision: int = 0,
    stream: str = "activity.x.y",
) -> ActivityEntry:
    return ActivityEntry(
        stream=stream,
        kind=kind,
        item="y",
        amount=amount,
        unit="t",
        start_ms=start_ms,
        end_ms=end_ms,
        revision=revision,
    )


days = st.integers(0, 400)
entries = st.lists(
    st.builds(
        lambda amount, first, length, revision: entry(
            amount, first * DAY_MS, (first + length) * DAY_MS, revision=revision
        ),
        st.none() | st.floats(0, 1e6),
        days,
        st.integers(1, 60),
        st.integers(0, 3),
    ),
    max_size=12,
)


@given(entries, st.lists(days, min_size=1, max_size=6, unique=True))
def test_periods_that_adjoin_add_up_to_the_whole(
    given_entries: list[ActivityEntry], cuts: list[int]
) -> None:
    bounds = [-1, *sorted(cuts), 1000]
    periods = [(a * DAY_MS, b * DAY_MS) for a, b in pairwise(bounds)]
    parts = amounts_by_period(given_entries, periods)
    whole = amounts(given_entries, (-DAY_MS, 1000 * DAY_MS))
    total = sum(found.amount for found in whole)
    assert sum(s.amount for found in parts.values() for s in found) == pytest.approx(
        total, rel=1e-12, abs=1e-9
    )
    assert [found.allocated for found in whole] == [0.0] * len(whole)
    assert total == pytest.approx(
        sum(e.amount or 0.0 for e in current_only(given_entries)), rel=1e-12
    )


@given(entries, st.randoms())
def test_the_order_of_entries_does_not_matter(
    given_entries: list[ActivityEntry], random: object
) -> None:
    # one revision of a key once: two different contents under one revision cannot be booked
    unique = list({(e.key, e.revision): e for e in given_entries}.values())
    span = (10 * DAY_MS, 200 * DAY_MS)
    mixed = list(unique)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    first, second = amounts(unique, span), amounts(mixed, span)
    assert [found.stream for found in first] == [found.stream for found in second]
    for one, other in zip(first, second, strict=True):
        assert one.amount == pytest.approx(other.amount, rel=1e-12)


def test_only_what_a_boundary_cuts_is_allocated() -> None:
    march, april = month(3), month(4)
    inside = entry(100.0, *march)
    across = replace(entry(61.0, march[0], april[1]), stream="activity.x.z")
    found = {found.stream: found for found in amounts([inside, across], march)}
    assert (found["activity.x.y"].amount, found["activity.x.y"].allocated) == (100.0, 0.0)
    assert found["activity.x.z"].amount == pytest.approx(31.0)
    assert found["activity.x.z"].allocated == found["activity.x.z"].amount


def test_the_highest_revision_counts_and_a_retired_entry_does_not() -> None:
    march = month(3)
    revised = [entry(1.0, *march), entry(5.0, *march, revision=1)]
    assert [found.amount for found in amounts(revised, march)] == [5.0]
    assert amounts([*revised, entry(None, *march, revision=2)], march) == ()


def test_transport_is_summed_in_tonne_kilometres() -> None:
    march = month(3)
    by_lorry = replace(entry(10.0, *march, kind=ActivityKind.TRANSPORT), distance_km=500.0)
    known = replace(entry(300.0, *march, kind=ActivityKind.TRANSPORT), unit="t·km", batch="W-2")
    (found,) = amounts([by_lorry, known], march)
    assert (found.amount, found.unit) == (5300.0, "t·km")


def test_batches_count_where_their_time_is_known() -> None:
    march = month(3)
    alone = replace(entry(7.0, 0, 1), start_ms=None, end_ms=None, batch="B-1")
    assert amounts([alone], march) == ()
    assert unplaced([alone]) == [alone]
    known = {"B-1": (march[0], march[0] + DAY_MS)}
    assert [found.amount for found in amounts([alone], march, known)] == [7.0]
    assert unplaced([alone], known) == []


def test_stocks_differ_and_do_not_add_up() -> None:
    counts = [
        entry(amount, *month(number), kind=ActivityKind.INTERMEDIATE_STOCK)
        for number, amount in ((1, 50.0), (2, 80.0), (3, 60.0))
    ]
    span = (month(2)[0], month(3)[1])
    (change,) = stock_changes(counts, span)
    assert (change.opening, change.closing, change.change) == (50.0, 60.0, 10.0)
    assert amounts(counts, span) == ()
    (unknown,) = stock_changes(counts[1:], span)
    assert (unknown.opening, unknown.change) == (None, None)


def test_contents_average_by_time() -> None:
    first, last = month(3)
    results = [
        replace(
            entry(value, first + from_day * DAY_MS, first + to_day * DAY_MS), unit="tC/t",
            kind=ActivityKind.CARBON_CONTENT,
        )
        for value, from_day, to_day in ((0.8, 0, 10), (0.9, 10, 31))
    ]  # fmt: skip
    (found,) = mean_contents(results, (first, last))
    assert found.value == pytest.approx((0.8 * 10 + 0.9 * 21) / 31)
    assert found.results == 2
