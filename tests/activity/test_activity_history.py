"""What an entry is compared with: its neighbours, found as fast as if all were looked at."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agent.core.activity import ActivityEntry, ActivityKind
from agent.core.activity_checks import HISTORY_ENTRIES, check_beside
from agent.core.activity_history import StreamHistory
from agent.core.timebase import DAY_MS


def entry(start: int, length: int, amount: float = 1.0, batch: str = "") -> ActivityEntry:
    return ActivityEntry(
        stream="activity.product.x",
        kind=ActivityKind.PRODUCT,
        item="x",
        amount=amount,
        unit="t",
        start_ms=start * DAY_MS,
        end_ms=(start + length) * DAY_MS,
        batch=batch,
    )


entries = st.builds(
    entry,
    st.integers(0, 60),
    st.integers(1, 40),
    st.floats(0, 9),
    st.sampled_from(["", "", "", "B-1", "B-2"]),
)


@given(st.lists(entries, max_size=40), entries)
def test_every_overlap_and_the_nearest_are_found(
    booked: list[ActivityEntry], new: ActivityEntry
) -> None:
    history = StreamHistory(booked)
    current = {one.key: one for one in booked}
    near = history.near(new)
    others = [one for one in current.values() if one.key != new.key]
    assert len({one.key for one in near}) == len(near)
    assert {one.key for one in near} <= {one.key for one in others}
    assert all(current[one.key] == one for one in near)
    if not new.batch:
        overlapping = {
            one.key
            for one in others
            if not one.batch
            and (one.start_ms or 0) < (new.end_ms or 0)
            and (new.start_ms or 0) < (one.end_ms or 0)
        }
        assert overlapping <= {one.key for one in near}
    alike = [one for one in others if bool(one.batch) == bool(new.batch)]
    found = [one for one in near if bool(one.batch) == bool(new.batch)]
    assert len(found) >= min(len(alike), HISTORY_ENTRIES)


def test_a_revision_takes_the_place_of_what_it_revises() -> None:
    history = StreamHistory([entry(0, 10), entry(10, 10, batch="B-1")])
    history.put(entry(0, 10, 5.0))
    history.put(entry(30, 5, 7.0, batch="B-1"))
    assert [one.amount for one in history.near(entry(50, 1))] == [5.0, 7.0]


def test_the_limit_is_thirty_per_cent_of_the_usual() -> None:
    history = StreamHistory([entry(number, 1, 10.0) for number in range(20)])
    codes = [remark.code for remark in check_beside(entry(20, 1, 14.0), history.near(entry(20, 1)))]
    assert codes == ["activity.implausible"]
    usual = entry(20, 1, 12.9)
    assert check_beside(usual, history.near(usual)) == []
    zero = StreamHistory([entry(0, 1, 0.0)])
    (remark,) = check_beside(entry(1, 1, 5.0), zero.near(entry(1, 1)))
    assert "not 0" in remark.what
    other_unit = replace(usual, unit="Nm3")
    assert [r.field for r in check_beside(other_unit, history.near(other_unit))] == ["unit"]
