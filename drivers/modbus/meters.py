"""What one meter is asked for, what it refused, and how its registers become samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.config.site import MeterPlan
from agent.core.decode import RegisterBank, RegisterBlock, decode_point
from agent.core.errors import DeviceRefused, UsageError
from agent.core.model import PointSpec, Quality, Sample
from agent.core.readplan import ReadBlock, ReadPlan, Span, plan_reads, split, value_span

RETRY_UNREADABLE_NS = 600 * 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedBlock:
    """Registers of one exchange with the end of its request."""

    block: RegisterBlock
    time_ms: int
    monotonic_ns: int

    def holds(self, span: Span) -> bool:
        """Whether a value's registers all came in this exchange."""
        block = self.block
        return (
            block.function == span.function
            and block.address <= span.address
            and span.end <= block.address + len(block.registers)
        )


Done = dict[tuple[int, int, int], TimedBlock]
"""Blocks read so far by function, address and count."""


class MeterReads:
    """The read plan of one meter, as far as the meter has accepted it."""

    def __init__(self, meter: MeterPlan) -> None:
        if meter.section.unit is None:
            raise UsageError(
                "meter has no slave address", where=f"meter[{meter.id}].unit", hint="1…247"
            )
        self.id = meter.id
        self.where = f"{meter.bus.id}/{meter.id}"
        self.unit = meter.section.unit
        self.timeout_s = meter.section.timeout_s or meter.bus.timeout_s
        self._points = tuple(
            (f"{meter.id}.{point.id}", point, value_span(point.register))
            for point in meter.points
            if point.register is not None
        )
        points = [point for _, point, _ in self._points]
        self._whole = plan_reads(points, max_hole=meter.bus.max_hole)
        self.plan = self._whole
        self._refused_ns = 0

    def begin(self, now_ns: int) -> None:
        """Before a read: ask again for what was refused long ago, firmware may have changed."""
        if self.plan.unreadable and now_ns - self._refused_ns >= RETRY_UNREADABLE_NS:
            again = tuple(
                ReadBlock(
                    function=span.function, address=span.address, count=span.count, spans=(span,)
                )
                for span in self.plan.unreadable
            )
            self.plan = ReadPlan(blocks=(*self.plan.blocks, *again))

    def next_block(self, done: Done) -> ReadBlock | None:
        """The next request of this read, None when all have been answered."""
        for block in self.plan.blocks:
            if (block.function, block.address, block.count) not in done:
                return block
        return None

    def refuse(self, block: ReadBlock, refused: DeviceRefused, now_ns: int) -> None:
        """Cut a refused request finer; when nothing at all is readable, that is the error."""
        self.plan = split(self.plan, block)
        self._refused_ns = now_ns
        if not self.plan.blocks:
            self.plan = self._whole
            raise refused

    def samples(self, blocks: Sequence[TimedBlock]) -> tuple[Sample, ...]:
        """One sample per point from the registers that were read together."""
        bank = RegisterBank([timed.block for timed in blocks])
        return tuple(_sample(name, point, span, bank, blocks) for name, point, span in self._points)


def _sample(
    name: str, point: PointSpec, span: Span, bank: RegisterBank, blocks: Sequence[TimedBlock]
) -> Sample:
    timed = next((timed for timed in blocks if timed.holds(span)), None)
    if timed is None:
        first = blocks[0]
        return Sample(
            point=name,
            time_ms=first.time_ms,
            monotonic_ns=first.monotonic_ns,
            value=None,
            quality=Quality.MISSING,
        )
    decoded = decode_point(point, bank)
    return Sample(
        point=name,
        time_ms=timed.time_ms,
        monotonic_ns=timed.monotonic_ns,
        value=decoded.value,
        quality=decoded.quality,
        raw=decoded.raw,
        text=decoded.text,
    )
