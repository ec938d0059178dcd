"""How much of each stream's time is booked as what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.book.ports import Owner, Span
from agent.core.availability import BookedTime
from agent.core.model import Provenance

if TYPE_CHECKING:
    from sqlite3 import Connection


def booked_times(connection: Connection, owner: Owner, span: Span) -> list[BookedTime]:
    """The time of the current windows that start in a span, by stream and provenance."""
    rows = connection.execute(
        "SELECT name, provenance, sum(length_ms), sum(coverage * length_ms) FROM ("
        "SELECT name, length_ms, provenance, coverage, max(revision) FROM series "
        "CROSS JOIN windows ON series.id = windows.series WHERE site = ? AND gateway = ? "
        "AND kind = 'stream' AND start_ms >= ? AND start_ms < ? "
        "GROUP BY series, start_ms, length_ms) GROUP BY name, provenance ORDER BY name",
        (owner.site, owner.gateway, span.from_ms, span.to_ms),
    )
    return [
        BookedTime(
            stream=name, provenance=Provenance(kind), length_ms=length_ms, covered_ms=covered_ms
        )
        for name, kind, length_ms, covered_ms in rows
    ]
