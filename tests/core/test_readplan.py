"""Read plans: everything asked for is read, no value is torn, refusals end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.core.model import PointRole, PointSpec, RegisterSpec
from agent.core.readplan import (
    MAX_REGISTERS,
    ReadPlan,
    has_hole,
    overlaps,
    plan_reads,
    spans_of,
    split,
)


def point(
    name: str, address: int, kind: str = "u16", function: int = 3, **more: object
) -> PointSpec:
    register = RegisterSpec(
        function=function,
        address=address,
        type=kind,
        **more,  # type: ignore[arg-type]
    )
    return PointSpec(id=name, quantity="", unit="1", role=PointRole.GAUGE, register=register)


def shape(plan: ReadPlan) -> list[tuple[int, int, int]]:
    return [(block.function, block.address, block.count) for block in plan.blocks]


points = st.lists(
    st.builds(
        point,
        st.just("p"),
        st.integers(0, 600),
        st.sampled_from(["u16", "u32", "f64", "bcd48", "text20"]),
        st.sampled_from([3, 4]),
    ),
    max_size=30,
)


@given(wanted=points, max_hole=st.integers(0, 100))
def test_every_span_lies_whole_in_one_request(wanted: list[PointSpec], max_hole: int) -> None:
    plan = plan_reads(wanted, max_hole=max_hole)
    for item in wanted:
        assert item.register is not None
        for span in spans_of(item.register):
            assert any(
                block.function == span.function
                and block.address <= span.address
                and span.end <= block.address + block.count
                for block in plan.blocks
            )
    assert all(1 <= block.count <= MAX_REGISTERS for block in plan.blocks)


@given(wanted=points)
def test_without_holes_nothing_unwanted_is_read(wanted: list[PointSpec]) -> None:
    plan = plan_reads(wanted, max_hole=0)
    needed = {
        (span.function, at)
        for item in wanted
        if item.register
        for span in spans_of(item.register)
        for at in range(span.address, span.end)
    }
    read = {
        (block.function, at)
        for block in plan.blocks
        for at in range(block.address, block.address + block.count)
    }
    assert read == needed


@given(wanted=points, max_hole=st.integers(0, 40), choice=st.data())
def test_refusals_end_and_lose_only_what_is_refused(
    wanted: list[PointSpec], max_hole: int, choice: st.DataObject
) -> None:
    plan = plan_reads(wanted, max_hole=max_hole)
    every = {span for block in plan.blocks for span in block.spans}
    refused = choice.draw(st.sets(st.integers(0, 620), max_size=20))
    for _ in range(4 * len(every) + 1):
        bad = next(
            (
                block
                for block in plan.blocks
                if refused & set(range(block.address, block.address + block.count))
            ),
            None,
        )
        if bad is None:
            break
        plan = split(plan, bad)
    else:
        raise AssertionError("the plan never settles")
    readable = {span for block in plan.blocks for span in block.spans}
    assert readable | set(plan.unreadable) == every
    for span in plan.unreadable:
        assert refused & set(range(span.address, span.end))


def test_neighbours_are_merged_across_holes() -> None:
    wanted = [point("a", 10, "u32"), point("b", 14, "f32"), point("c", 60)]
    assert shape(plan_reads(wanted, max_hole=16)) == [(3, 10, 6), (3, 60, 1)]
    assert shape(plan_reads(wanted, max_hole=1)) == [(3, 10, 2), (3, 14, 2), (3, 60, 1)]


def test_functions_are_never_mixed() -> None:
    wanted = [point("a", 10), point("b", 11, function=4)]
    assert shape(plan_reads(wanted, max_hole=16)) == [(3, 10, 1), (4, 11, 1)]


def test_an_integer_and_its_fraction_stay_together() -> None:
    wanted = [point("a", 8, "s32+f32", fraction_address=12), point("b", 120, "f64")]
    assert shape(plan_reads(wanted, max_hole=0)) == [(3, 8, 6), (3, 120, 4)]
    packed = [point(f"p{at}", at, "u16") for at in range(124)]
    assert shape(plan_reads([*packed, point("last", 124, "u32")], max_hole=0)) == [
        (3, 0, 124),
        (3, 124, 2),
    ]


def test_constants_are_read_with_the_value_but_not_tied_to_it() -> None:
    wanted = [point("a", 10, "u16", ratio_addresses=(141,), scale_address=12)]
    assert shape(plan_reads(wanted, max_hole=16)) == [(3, 10, 3), (3, 141, 1)]


def test_a_refused_block_is_cut_at_its_holes_then_into_values() -> None:
    wanted = [point("a", 10), point("b", 11), point("c", 14)]
    plan = plan_reads(wanted, max_hole=16)
    assert has_hole(plan.blocks[0])
    plan = split(plan, plan.blocks[0])
    assert shape(plan) == [(3, 10, 2), (3, 14, 1)]
    plan = split(plan, plan.blocks[0])
    assert shape(plan) == [(3, 10, 1), (3, 11, 1), (3, 14, 1)]
    plan = split(plan, plan.blocks[1])
    assert shape(plan) == [(3, 10, 1), (3, 14, 1)]
    assert [span.address for span in plan.unreadable] == [11]


def test_overlaps_are_pairs_that_read_the_same_registers_differently() -> None:
    wide, inside = point("wide", 10, "u32"), point("inside", 11)
    found = overlaps([wide, inside, point("apart", 12), point("input", 10, function=4)])
    assert [(item.first, item.second, item.address) for item in found] == [("wide", "inside", 11)]
    assert overlaps([wide, point("again", 10, "u32", scale=0.1)]) == ()
    assert len(overlaps([wide, point("float", 10, "f32")])) == 1
