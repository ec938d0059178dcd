"""Which registers to ask for together: points to requests, and back after a refusal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from agent.core.decode import FRACTION_REGISTERS, register_type
from agent.core.model import PointSpec, RegisterSpec

MAX_REGISTERS = 125
"""Most registers of one reply (Modbus Application Protocol V1.1b3, §6.3)."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Span:
    """Registers that must come in one reply, because they make one value."""

    function: int
    address: int
    count: int

    @property
    def end(self) -> int:
        return self.address + self.count


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBlock:
    """One request, and the spans that it serves."""

    function: int
    address: int
    count: int
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPlan:
    """The requests of one meter; ``unreadable`` spans were refused even alone."""

    blocks: tuple[ReadBlock, ...]
    unreadable: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Two points that read the same registers as different things."""

    first: str
    second: str
    address: int


def value_span(spec: RegisterSpec) -> Span:
    """The registers that make the point's own value, an integer with its fraction included."""
    start, end = spec.address, spec.address + register_type(spec.type).count
    if spec.fraction_address is not None:
        start = min(start, spec.fraction_address)
        end = max(end, spec.fraction_address + FRACTION_REGISTERS)
    return Span(function=spec.function, address=start, count=end - start)


def spans_of(spec: RegisterSpec) -> tuple[Span, ...]:
    """All registers that a point needs: its value, its scale factor, its CT/PT ratios."""
    extra = list(spec.ratio_addresses)
    if spec.scale_address is not None:
        extra.append(spec.scale_address)
    constants = (Span(function=spec.function, address=address, count=1) for address in extra)
    return (value_span(spec), *constants)


def _block(spans: Sequence[Span]) -> ReadBlock:
    start = min(span.address for span in spans)
    end = max(span.end for span in spans)
    return ReadBlock(
        function=spans[0].function, address=start, count=end - start, spans=tuple(spans)
    )


def _merge(spans: Sequence[Span], max_hole: int, max_count: int) -> list[ReadBlock]:
    blocks: list[ReadBlock] = []
    group: list[Span] = []
    end = 0
    for span in sorted(set(spans)):
        fits = (
            bool(group)
            and span.function == group[0].function
            and span.address - end <= max_hole
            and max(end, span.end) - group[0].address <= max_count
        )
        if group and not fits:
            blocks.append(_block(group))
            group = []
            end = 0
        group.append(span)
        end = max(end, span.end)
    if group:
        blocks.append(_block(group))
    return blocks


def plan_reads(
    points: Sequence[PointSpec], *, max_hole: int, max_count: int = MAX_REGISTERS
) -> ReadPlan:
    """The fewest requests in address order that bring every point's registers.

    Neighbours are merged across at most ``max_hole`` registers nobody wants, up to ``max_count``
    registers per request; the registers of one value are never spread over two requests.

    Example: a u32 at 10, a f32 at 14 and a u16 at 60 with ``max_hole`` 16 make two requests,
    10…15 and 60.
    """
    spans = [span for point in points if point.register for span in spans_of(point.register)]
    return ReadPlan(blocks=tuple(_merge(spans, max_hole, max_count)))


def has_hole(block: ReadBlock) -> bool:
    """Whether the request crosses registers that no point wants."""
    ordered = sorted(block.spans)
    end = ordered[0].end
    for _, span in pairwise(ordered):
        if span.address > end:
            return True
        end = max(end, span.end)
    return False


def split(plan: ReadPlan, block: ReadBlock) -> ReadPlan:
    """The plan after the device refused one request with ILLEGAL DATA ADDRESS or VALUE.

    First the block is cut at its holes, then into single values; a value that is refused alone
    becomes unreadable and is asked for no more. Every step makes the plan strictly finer, so
    repeated refusals end.
    """
    if has_hole(block):
        parts = tuple(_merge(block.spans, 0, MAX_REGISTERS))
    elif len(block.spans) > 1:
        parts = tuple(_block([span]) for span in block.spans)
    else:
        rest = tuple(other for other in plan.blocks if other != block)
        return ReadPlan(blocks=rest, unreadable=(*plan.unreadable, *block.spans))
    position = plan.blocks.index(block)
    blocks = (*plan.blocks[:position], *parts, *plan.blocks[position + 1 :])
    return ReadPlan(blocks=blocks, unreadable=plan.unreadable)


def overlaps(points: Sequence[PointSpec]) -> tuple[Overlap, ...]:
    """Pairs of points that share registers but read them as different values.

    The same registers read twice in the same way (once in kW, once in W) are no fault; a u32 at
    10 and a u16 at 11 are.
    """
    found: list[Overlap] = []
    with_register = [
        (point.id, point.register, value_span(point.register))
        for point in points
        if point.register is not None
    ]
    for index, (first, spec, span) in enumerate(with_register):
        for second, other, other_span in with_register[index + 1 :]:
            shared = (
                span.function == other_span.function
                and span.address < other_span.end
                and other_span.address < span.end
            )
            same = (spec.address, spec.type, spec.word_order, spec.fraction_address) == (
                other.address,
                other.type,
                other.word_order,
                other.fraction_address,
            )
            if shared and not same:
                address = max(span.address, other_span.address)
                found.append(Overlap(first=first, second=second, address=address))
    return tuple(found)
