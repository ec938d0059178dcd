"""What people declare about readings: meters replaced, readings repaired; and what came late."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agent.core.model import Replacement
from agent.core.timebase import HOUR_MS
from agent.store.readings import Series

if TYPE_CHECKING:
    from sqlite3 import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """Who declared something, why and when."""

    author: str
    note: str
    entered_ms: int


class Corrections:
    """Append-only: the last word about a stream or point and time holds."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add_replacement(self, stream: str, replacement: Replacement, signed: Signed) -> None:
        """Declare that a meter was replaced; the touched hour is cut again."""
        self._replacement(
            stream, replacement.at_ms, replacement.old_end, replacement.new_start, signed
        )

    def void_replacement(self, stream: str, at_ms: int, signed: Signed) -> None:
        """Take a declaration back."""
        self._replacement(stream, at_ms, None, None, signed)

    def _replacement(
        self,
        stream: str,
        at_ms: int,
        old_end: float | None,
        new_start: float | None,
        signed: Signed,
    ) -> None:
        self._connection.execute(
            "INSERT INTO replacements (stream, at_ms, old_end, new_start, author, note, entered_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (stream, at_ms, old_end, new_start, signed.author, signed.note, signed.entered_ms),
        )
        self.note_late(stream, [at_ms])

    def replacements(self) -> dict[str, tuple[Replacement, ...]]:
        """The declared replacements of each stream, in order of time."""
        rows = self._connection.execute(
            "SELECT stream, at_ms, old_end, new_start, max(id) FROM replacements "
            "GROUP BY stream, at_ms ORDER BY at_ms"
        )
        found: dict[str, tuple[Replacement, ...]] = {}
        for stream, at_ms, old_end, new_start, _ in rows:
            if old_end is not None:
                each = Replacement(at_ms=at_ms, old_end=old_end, new_start=new_start)
                found[stream] = (*found.get(stream, ()), each)
        return found

    def add_repair(self, point: str, time_ms: int, value: float | None, signed: Signed) -> None:
        """Say what holds in place of a reading, or that it is not good."""
        self._connection.execute(
            "INSERT INTO repairs (point, time_ms, value, author, note, entered_ms) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (point, time_ms, value, signed.author, signed.note, signed.entered_ms),
        )
        self.note_late(point, [time_ms])

    def repaired(self, found: Mapping[str, Series], from_ms: int, to_ms: int) -> dict[str, Series]:
        """The series of a span with what was repaired in it."""
        rows = self._connection.execute(
            "SELECT point, time_ms, value, max(id) FROM repairs WHERE time_ms >= ? AND time_ms < ? "
            "GROUP BY point, time_ms ORDER BY time_ms",
            (from_ms, to_ms),
        )
        changes: dict[str, dict[int, float | None]] = {}
        for point, time_ms, value, _ in rows:
            changes.setdefault(point, {})[time_ms] = value
        return {
            point: _changed(series, changes[point]) if point in changes else series
            for point, series in found.items()
        }

    def note_late(self, stream: str, times_ms: Iterable[int]) -> None:
        """Remember the hours whose windows must be cut again."""
        hours = sorted({time_ms // HOUR_MS * HOUR_MS for time_ms in times_ms})
        self._connection.executemany(
            "INSERT INTO late_hours (stream, hour_ms) VALUES (?, ?) ON CONFLICT DO NOTHING",
            [(stream, hour_ms) for hour_ms in hours],
        )

    def late_hours(self) -> dict[str, list[int]]:
        """The noted hours of each stream, oldest first."""
        found: dict[str, list[int]] = {}
        for stream, hour_ms in self._connection.execute(
            "SELECT stream, hour_ms FROM late_hours ORDER BY stream, hour_ms"
        ):
            found.setdefault(stream, []).append(hour_ms)
        return found

    def forget_late(self, stream: str, hours_ms: Sequence[int]) -> None:
        """These hours were cut again."""
        self._connection.executemany(
            "DELETE FROM late_hours WHERE stream = ? AND hour_ms = ?",
            [(stream, hour_ms) for hour_ms in hours_ms],
        )


def _changed(series: Series, changes: Mapping[int, float | None]) -> Series:
    kept = ~np.isin(series.times_ms, list(changes))
    added = {time_ms: value for time_ms, value in changes.items() if value is not None}
    times = np.concatenate((series.times_ms[kept], np.array(list(added), np.int64)))
    values = np.concatenate((series.values[kept], np.array(list(added.values()), np.float64)))
    order = np.argsort(times, kind="stable")
    return Series(times[order], values[order])
