"""Recent readings: one row each, appended once per cycle, read back as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from agent.core.errors import StoreError
from agent.core.model import Quality, Sample
from agent.core.quality.screen import Doubt

if TYPE_CHECKING:
    from sqlite3 import Connection

KEY_SHIFT = 1 << 16
QUALITY_CODE: dict[Quality, int | None] = {
    Quality.GOOD: None,
    Quality.SUSPECT: 1,
    Quality.MISSING: 2,
}


@dataclass(frozen=True, slots=True)
class Series:
    """Good readings of one point, by time."""

    times_ms: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]


EMPTY = Series(np.empty(0, np.int64), np.empty(0, np.float64))


class Readings:
    """The readings table and the numbers of its points."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._points: dict[str, int] = {
            row[0]: row[1] for row in connection.execute("SELECT name, id FROM points")
        }

    def register_points(self, names: Iterable[str]) -> None:
        """Give each point its number; call in a transaction before the first reading."""
        # a number given in a transaction that was rolled back is not one
        self._points = {
            row[0]: row[1] for row in self._connection.execute("SELECT name, id FROM points")
        }
        for name in names:
            if name in self._points:
                continue
            if len(self._points) >= KEY_SHIFT - 1:
                raise StoreError(
                    f"no number left for point {name}",
                    hint=f"a gateway holds at most {KEY_SHIFT - 1} points over its life",
                )
            self._connection.execute(
                "INSERT INTO points (name) VALUES (?) ON CONFLICT DO NOTHING", (name,)
            )
            row = self._connection.execute(
                "SELECT id FROM points WHERE name = ?", (name,)
            ).fetchone()
            self._points[name] = int(row[0])

    def number(self, point: str) -> int | None:
        """The number of a point, if it ever had a reading."""
        return self._points.get(point)

    @property
    def numbers(self) -> Mapping[str, int]:
        """Every point with its number."""
        return self._points

    def append(self, samples: Iterable[Sample]) -> None:
        """Store samples; a second reading of a point in the same millisecond is the same one."""
        points = self._points
        self._connection.executemany(
            "INSERT INTO readings (key, value, quality, raw) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING",
            [
                (
                    sample.time_ms * KEY_SHIFT + points[sample.point],
                    sample.value,
                    QUALITY_CODE[sample.quality],
                    sample.text or (sample.raw or None if sample.quality != Quality.GOOD else None),
                )
                for sample in samples
            ],
        )

    def doubt(self, doubts: Iterable[Doubt]) -> None:
        """Make stored readings suspect; their values stay, the reason stands in place of raw."""
        points = self._points
        self._connection.executemany(
            "UPDATE readings SET quality = ?, raw = ? WHERE key = ? AND quality IS NULL",
            [
                (
                    QUALITY_CODE[Quality.SUSPECT],
                    doubt.reason.value,
                    doubt.time_ms * KEY_SHIFT + points[doubt.point],
                )
                for doubt in doubts
            ],
        )

    def append_unplaced(self, boot: str, samples: Iterable[Sample]) -> None:
        """Keep samples taken under an untrusted clock, by boot and monotonic time."""
        points = self._points
        self._connection.executemany(
            "INSERT INTO unplaced_readings (boot, monotonic_ns, point, value, quality, raw) "
            "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            [
                (
                    boot,
                    sample.monotonic_ns,
                    points[sample.point],
                    sample.value,
                    QUALITY_CODE[sample.quality],
                    sample.text or sample.raw or None,
                )
                for sample in samples
            ],
        )

    def place(self, boot: str, offset_ms: int) -> int:
        """Give this boot's unplaced readings their wall time (monotonic + offset)."""
        cursor = self._connection.execute(
            "INSERT INTO readings (key, value, quality, raw) "
            "SELECT (monotonic_ns / 1000000 + ?) * 65536 + point, value, quality, raw "
            "FROM unplaced_readings WHERE boot = ? ON CONFLICT DO NOTHING",
            (offset_ms, boot),
        )
        self._connection.execute("DELETE FROM unplaced_readings WHERE boot = ?", (boot,))
        return cursor.rowcount

    def good(self, points: Sequence[str], from_ms: int, to_ms: int) -> dict[str, Series]:
        """Good readings in [from_ms, to_ms) of the given points, each sorted by time."""
        numbers = {self._points[name]: name for name in points if name in self._points}
        found = dict.fromkeys(points, EMPTY)
        if not numbers or to_ms <= from_ms:
            return found
        marks = ",".join(str(number) for number in numbers)
        rows = self._connection.execute(
            "SELECT key, value FROM readings WHERE key >= ? AND key < ? AND quality IS NULL "
            f"AND value IS NOT NULL AND (key & 65535) IN ({marks})",
            (from_ms * KEY_SHIFT, to_ms * KEY_SHIFT),
        )
        table = np.fromiter(rows, dtype=[("key", np.int64), ("value", np.float64)])
        point_of = table["key"] & (KEY_SHIFT - 1)
        times = table["key"] >> 16
        for number, name in numbers.items():
            mask = point_of == number
            if mask.any():
                found[name] = Series(times[mask], np.ascontiguousarray(table["value"][mask]))
        return found

    def first_after(self, time_ms: int) -> int | None:
        """When the oldest stored reading after a time was taken."""
        row = self._connection.execute(
            "SELECT min(key) >> 16 FROM readings WHERE key >= ?", (time_ms * KEY_SHIFT,)
        ).fetchone()
        return None if row[0] is None else int(row[0])

    def last_ms(self) -> int | None:
        """When the newest stored reading was taken."""
        row = self._connection.execute("SELECT max(key) >> 16 FROM readings").fetchone()
        return None if row is None or row[0] is None else int(row[0])

    def count(self, from_ms: int, to_ms: int) -> int:
        """How many readings are stored in [from_ms, to_ms)."""
        row = self._connection.execute(
            "SELECT count(*) FROM readings WHERE key >= ? AND key < ?",
            (from_ms * KEY_SHIFT, to_ms * KEY_SHIFT),
        ).fetchone()
        return int(row[0])

    def delete_before(self, time_ms: int, limit: int = 50_000) -> int:
        """Delete row readings older than the time, oldest first, a bounded number at once."""
        return self._connection.execute(
            "DELETE FROM readings WHERE key IN "
            "(SELECT key FROM readings WHERE key < ? ORDER BY key LIMIT ?)",
            (time_ms * KEY_SHIFT, limit),
        ).rowcount
