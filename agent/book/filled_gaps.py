"""The gaps that gateways have told to be filled, for those who add up what is estimated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from agent.book.ports import Owner, Span
from agent.book.sqlite import SqliteBook
from agent.core.gaps.booked import FILLED_EVENT, GapFill
from agent.core.timebase import DAY_MS

if TYPE_CHECKING:
    from sqlite3 import Connection

FilledGaps = Mapping[tuple[str, str], Sequence[GapFill]]  # by gateway and stream

_LONGEST_MS = 31 * DAY_MS  # that any method fills


def filled_gaps(connection: Connection, owners: Sequence[Owner], span: Span) -> FilledGaps:
    """The filled gaps that may touch a span, by their beginning; the last told of each holds.

    An event of a gap bears the time of its end.
    """
    reach = Span(from_ms=span.from_ms + 1, to_ms=span.to_ms + _LONGEST_MS)
    found: dict[tuple[str, str], dict[int, GapFill]] = {}
    for owner in owners:
        # newest first, so that the earlier ones are told last
        for event in SqliteBook(connection).events(owner, reach, -1, codes=(FILLED_EVENT,)):
            fill = GapFill.from_detail(event.detail)
            if fill is not None:
                found.setdefault((owner.gateway, fill.stream), {}).setdefault(fill.start_ms, fill)
    return {key: [fills[at] for at in sorted(fills)] for key, fills in found.items()}
