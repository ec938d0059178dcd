"""Raw history of the nodes whose server keeps it, from where the gateway last heard of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from asyncua import ua

from drivers.opcua.session import Session, milliseconds, plain
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


async def read_gaps(
    session: Session, gaps: Sequence[Gap]
) -> AsyncIterator[tuple[Gap, list[Change]]]:
    """The values recorded since each gap began, node by node, oldest first.

    One call serves several nodes and returns at most 1000 values of each; a node whose history
    is refused is left out, the others go on.
    """
    end = _moment(await session.current_time_ms() + _END_MARGIN_MS)
    size = session.limits.history
    gaps = sorted(gaps, key=lambda gap: gap.after_ms)  # those of one call begin alike
    for start in range(0, len(gaps), size):
        open_gaps: list[tuple[Gap, bytes | None]] = [(gap, None) for gap in gaps[start:][:size]]
        while open_gaps:
            begin = _moment(min(gap.after_ms for gap, _ in open_gaps))
            results = await session.history(
                [(gap.node, continuation) for gap, continuation in open_gaps], begin, end
            )
            more: list[tuple[Gap, bytes | None]] = []
            for (gap, continuation), result in zip(open_gaps, results, strict=False):
                if not result.StatusCode.is_good():
                    continue
                values = getattr(result.HistoryData, "DataValues", None) or []
                yield gap, [_change(gap.handle, value) for value in values]
                following = result.ContinuationPoint
                if following and following != continuation:
                    more.append((gap, following))
            open_gaps = more


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
