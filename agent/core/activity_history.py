"""The current entries of one stream in time, so that a new one is compared with its neighbours."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable

from agent.core.activity import ActivityEntry, ActivityKey
from agent.core.activity_checks import HISTORY_ENTRIES

_Place = tuple[int, int, str]  # start, length, batch


class StreamHistory:
    """Current entries of a stream; those of periods and those of batches stand apart."""

    def __init__(self, entries: Iterable[ActivityEntry] = ()) -> None:
        self._entries: dict[ActivityKey, tuple[_Place, ActivityEntry]] = {}
        self._keys: dict[_Place, ActivityKey] = {}
        self._order: tuple[list[_Place], list[_Place]] = ([], [])
        self._longest_ms = 0
        for entry in entries:
            self.put(entry)

    def put(self, entry: ActivityEntry) -> None:
        """Add an entry in place of the one under its key."""
        order = self._order[bool(entry.batch)]
        former = self._entries.pop(entry.key, None)
        if former is not None:
            order.remove(former[0])
            del self._keys[former[0]]
        place = _place(entry)
        insort(order, place)
        self._entries[entry.key] = (place, entry)
        self._keys[place] = entry.key
        self._longest_ms = max(self._longest_ms, place[1])

    def near(self, entry: ActivityEntry) -> list[ActivityEntry]:
        """What an entry is compared with.

        The latest entries before it (as many as `HISTORY_ENTRIES`, filled up with those after
        it), whatever its period overlaps, and one entry of the other sort for its unit.
        """
        order, other = self._order[bool(entry.batch)], self._order[not entry.batch]
        place = _place(entry)
        at = bisect_left(order, place)
        first = max(0, at - HISTORY_ENTRIES)
        chosen = set(order[first : at + max(0, HISTORY_ENTRIES - (at - first)) + 1])
        if not entry.batch:
            chosen.update(self._overlapping(order, place))
        chosen.update(other[-1:])
        return [
            found
            for found in (self._entries[self._keys[one]][1] for one in sorted(chosen))
            if found.key != entry.key
        ]

    def _overlapping(self, order: list[_Place], place: _Place) -> list[_Place]:
        start_ms, length_ms, _ = place
        first = bisect_left(order, (start_ms - self._longest_ms, 0, ""))
        last = bisect_left(order, (start_ms + length_ms, 0, ""))
        return [one for one in order[first:last] if one[0] + one[1] > start_ms]


def _place(entry: ActivityEntry) -> _Place:
    start_ms = entry.entered_ms if entry.start_ms is None else entry.start_ms
    return start_ms, entry.length_ms or 0, entry.batch
