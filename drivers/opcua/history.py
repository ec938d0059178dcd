"""Raw history of the nodes whose server keeps it, from where the gateway last heard of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from asyncua import ua

from agent.core.errors import DeviceRefused
from drivers.opcua.codec import milliseconds, plain
from drivers.opcua.errors import status_name
from drivers.opcua.session import BATCH, Session
from drivers.opcua.wire import Change

_HISTORY_READ: Final = 0x04  # bit of UserAccessLevel, OPC 10000-3 §8.57
_END_MARGIN_MS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A node and the source time of its newest delivered value."""

    handle: int
    node: ua.NodeId
    after_ms: int


async def readable(session: Session, gaps: Sequence[Gap]) -> list[Gap]:
    """Those whose node is historized and whose history this user may read."""
    if not gaps:
        return []
    nodes = [gap.node for gap in gaps]
    access = await session.read(nodes, ua.AttributeIds.UserAccessLevel)
    historizing = await session.read(nodes, ua.AttributeIds.Historizing)
    return [
        gap
        for gap, level, kept in zip(gaps, access, historizing, strict=True)
        if kept and isinstance(level, int) and level & _HISTORY_READ
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """One node's next read: where it begins and, if the server gave one, where it goes on."""

    gap: Gap
    begin_ms: int
    continuation: bytes | None = None


async def read_gaps(
    session: Session, gaps: Sequence[Gap], refused: dict[int, str]
) -> AsyncIterator[tuple[Gap, list[Change]]]:
    """The values recorded after each gap began, node by node, oldest first, none twice.

    One call serves several nodes and returns at most 1000 values of each. A node whose history
    is refused goes into ``refused`` with the reason, the others go on; a call that is refused as
    such is tried with half of its nodes. A server that stops at the limit without a continuation
    point is asked again from its last value.
    """
    end = _moment(await session.current_time_ms() + _END_MARGIN_MS)
    size = session.limits.history
    gaps = sorted(gaps, key=lambda gap: gap.after_ms)  # those of one call begin alike
    after_ms = {gap.handle: gap.after_ms for gap in gaps}
    for start in range(0, len(gaps), size):
        part = gaps[start : start + size]
        calls = [[_Read(gap=gap, begin_ms=part[0].after_ms) for gap in part]]
        while calls:
            reads = calls.pop()
            try:
                results = await session.history(
                    [(read.gap.node, read.continuation) for read in reads],
                    _moment(reads[0].begin_ms),
                    end,
                )
            except DeviceRefused as error:
                half = len(reads) // 2
                if not half:
                    refused[reads[0].gap.handle] = error.what
                calls += [few for few in (reads[:half], reads[half:]) if half]
                continue
            following: list[_Read] = []
            for read, result in zip(reads, results, strict=False):
                handle = read.gap.handle
                if not result.StatusCode.is_good():
                    refused[handle] = status_name(int(result.StatusCode.value))
                    continue
                values = getattr(result.HistoryData, "DataValues", None) or []
                changes = [_change(handle, value) for value in values]
                news = [change for change in changes if _time_ms(change) > after_ms[handle]]
                after_ms[handle] = max(map(_time_ms, news), default=after_ms[handle])
                yield read.gap, news
                following += _following(read, changes, result.ContinuationPoint)
            calls += _alike(following)


def _alike(reads: list[_Read]) -> list[list[_Read]]:
    """Reads that begin at the same time, and so fit into one call."""
    begins = sorted({read.begin_ms for read in reads})
    return [[read for read in reads if read.begin_ms == begin_ms] for begin_ms in begins]


def _following(read: _Read, changes: list[Change], continuation: bytes | None) -> list[_Read]:
    if continuation and continuation != read.continuation:
        return [_Read(gap=read.gap, begin_ms=read.begin_ms, continuation=continuation)]
    newest_ms = max(map(_time_ms, changes), default=0)
    if not continuation and len(changes) >= BATCH and newest_ms > read.begin_ms:
        return [_Read(gap=read.gap, begin_ms=newest_ms)]
    return []


def _time_ms(change: Change) -> int:
    return change[3] or change[4]


def _change(handle: int, value: ua.DataValue) -> Change:
    return (
        handle,
        plain(value.Value.Value) if value.Value is not None else None,
        int(value.StatusCode.value) if value.StatusCode is not None else 0,
        milliseconds(value.SourceTimestamp),
        milliseconds(value.ServerTimestamp),
    )


def _moment(time_ms: int) -> datetime:
    return datetime.fromtimestamp(time_ms / 1000, UTC)
