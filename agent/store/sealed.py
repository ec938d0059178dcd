"""The sealed archive: one compressed, hash-carrying block per point and closed hour.

A block keeps each reading to the bit: times as differences, values as scaled integers where a
decimal scale gives them back exactly (meters report decimals), else as their 64 bits; quality
codes only where not all are good. Bytes of equal weight lie together before zstd.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import zstandard

from agent.core.errors import ProofError
from agent.core.timebase import HOUR_MS
from agent.store.readings import KEY_SHIFT

if TYPE_CHECKING:
    from sqlite3 import Connection

MAGIC = b"TS1"
RAW_BITS = 255
MAX_DECIMALS = 6
NARROW = ("<i1", "<i2", "<i4", "<i8")
NARROW_LIMITS = (1 << 7, 1 << 15, 1 << 31)
MAX_SCALED = float(1 << 52)


def _shuffled(integers: npt.NDArray[np.int64]) -> bytes:
    """Differences of integers in the narrowest type, bytes of equal weight together."""
    deltas = np.diff(integers, prepend=np.int64(0))
    first, rest = int(deltas[0]), deltas[1:]
    reach = max(int(rest.max()), -int(rest.min())) if rest.size else 0
    code = next((code for code, limit in enumerate(NARROW_LIMITS) if reach < limit), 3)
    weight = 1 << code
    narrow = rest.astype(NARROW[code])
    body = narrow.view(np.uint8).reshape(-1, weight).T.tobytes()
    return struct.pack("<qB", first, code) + body


def _unshuffled(body: bytes, count: int) -> tuple[npt.NDArray[np.int64], int]:
    first, code = struct.unpack_from("<qB", body)
    weight = 1 << code
    size = (count - 1) * weight
    flat = np.frombuffer(body, np.uint8, size, 9).reshape(weight, -1).T
    rest = np.ascontiguousarray(flat).reshape(-1).view(NARROW[code]).astype(np.int64)
    return np.cumsum(np.concatenate(([np.int64(first)], rest))), 9 + size


def _scaled(values: npt.NDArray[np.float64]) -> tuple[int, npt.NDArray[np.int64]]:
    """(decimals, integers) that give the values back exactly, or (RAW_BITS, their bits)."""
    if np.isfinite(values).all() and np.abs(values).max() < MAX_SCALED:
        for decimals in range(MAX_DECIMALS + 1):
            scale = 10.0**decimals
            scaled = np.rint(values * scale)
            if np.abs(scaled).max() < MAX_SCALED and np.array_equal(scaled / scale, values):
                if decimals == 0 and np.signbit(values[values == 0]).any():
                    break
                return decimals, scaled.astype(np.int64)
    return RAW_BITS, values.view(np.int64).copy()


def encode(
    times_ms: npt.NDArray[np.int64],
    values: npt.NDArray[np.float64],
    qualities: npt.NDArray[np.uint8],
) -> bytes:
    """Pack the readings of one point and hour; NaN stands for «no value»."""
    count = len(times_ms)
    decimals, integers = _scaled(values)
    flags = bytes(qualities) if qualities.any() else b""
    packed = (
        struct.pack("<3sIBB", MAGIC, count, decimals, bool(flags))
        + _shuffled(times_ms)
        + _shuffled(integers)
        + flags
    )
    return zstandard.ZstdCompressor(level=9).compress(packed)


def decode(
    body: bytes,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
    """The readings of a block as they were sealed."""
    packed = zstandard.ZstdDecompressor().decompress(body)
    magic, count, decimals, flagged = struct.unpack_from("<3sIBB", packed)
    if magic != MAGIC:
        raise ProofError(
            "a sealed block has an unknown form", hint="was it made by a newer version?"
        )
    offset = 9
    times_ms, used = _unshuffled(packed[offset:], count)
    offset += used
    integers, used = _unshuffled(packed[offset:], count)
    offset += used
    if decimals == RAW_BITS:
        values = integers.view(np.float64)
    else:
        values = integers.astype(np.float64) / 10.0**decimals
    qualities = (
        np.frombuffer(packed, np.uint8, count, offset) if flagged else np.zeros(count, np.uint8)
    )
    return times_ms, values, qualities


class SealedArchive:
    """Closed hours, point by point."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def seal_hour(self, hour_ms: int, points: Iterable[int] | None = None) -> int:
        """Seal the readings of one closed hour, of all points or some; returns how many rows.

        What comes later is joined to the block that is there, so nothing is ever taken out; a
        reading that was doubted since is doubted there too.
        """
        chosen = "" if points is None else f"AND (key & 65535) IN ({','.join(map(str, points))})"
        rows = self._connection.execute(
            "SELECT key, value, coalesce(quality, 0) FROM readings "
            f"WHERE key >= ? AND key < ? {chosen}",
            (hour_ms * KEY_SHIFT, (hour_ms + HOUR_MS) * KEY_SHIFT),
        )
        table = np.array(
            [(key, np.nan if value is None else value, quality) for key, value, quality in rows],
            dtype=[("key", np.int64), ("value", np.float64), ("quality", np.uint8)],
        )
        numbers = table["key"] & (KEY_SHIFT - 1)
        for point in np.unique(numbers):
            part = table[numbers == point]
            self._store(
                int(point),
                hour_ms,
                part["key"] >> 16,
                part["value"].copy(),
                part["quality"].copy(),
            )
        self._connection.execute(
            "INSERT INTO sealed_spans (hour_ms) VALUES (?) ON CONFLICT DO NOTHING", (hour_ms,)
        )
        return len(table)

    def _store(
        self,
        point: int,
        hour_ms: int,
        times_ms: npt.NDArray[np.int64],
        values: npt.NDArray[np.float64],
        qualities: npt.NDArray[np.uint8],
    ) -> None:
        before = self._undamaged(point, hour_ms)
        if before is not None:
            times_ms, first, place = np.unique(
                np.concatenate((before[0], times_ms)), return_index=True, return_inverse=True
            )
            values = np.concatenate((before[1], values))[first]
            worst = np.zeros(len(times_ms), np.uint8)
            np.maximum.at(worst, place, np.concatenate((before[2], qualities)))
            qualities = worst
        body = encode(times_ms, values, qualities)
        self._connection.execute(
            "INSERT INTO sealed_hours (point, hour_ms, count, sha256, body) "
            "VALUES (?, ?, ?, ?, ?) ON CONFLICT (point, hour_ms) DO UPDATE SET "
            "count = excluded.count, sha256 = excluded.sha256, body = excluded.body",
            (point, hour_ms, len(times_ms), hashlib.sha256(body).digest(), body),
        )

    def _undamaged(
        self, point: int, hour_ms: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.uint8]] | None:
        """A block to join to; one that is damaged is set aside, and the rows make a new one."""
        try:
            return self.read(point, hour_ms)
        except ProofError:
            self._connection.execute(
                "INSERT INTO damaged_hours (point, hour_ms, sha256, body) "
                "SELECT point, hour_ms, sha256, body FROM sealed_hours "
                "WHERE point = ? AND hour_ms = ?",
                (point, hour_ms),
            )
            return None

    def hours(self, point: int, from_ms: int, to_ms: int) -> list[int]:
        """The sealed hours of a point that start in [from_ms, to_ms)."""
        rows = self._connection.execute(
            "SELECT hour_ms FROM sealed_hours WHERE point = ? AND hour_ms >= ? AND hour_ms < ? "
            "ORDER BY hour_ms",
            (point, from_ms, to_ms),
        )
        return [row[0] for row in rows]

    def read(
        self, point: int, hour_ms: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.uint8]] | None:
        """One point's sealed hour, its hash checked, or None if it was never sealed."""
        row = self._connection.execute(
            "SELECT sha256, body FROM sealed_hours WHERE point = ? AND hour_ms = ?",
            (point, hour_ms),
        ).fetchone()
        if row is None:
            return None
        if hashlib.sha256(row[1]).digest() != row[0]:
            raise ProofError(
                "a sealed hour does not match its hash",
                where=f"point {point}, hour {hour_ms}",
                hint="the file was changed or damaged; restore it from a backup",
            )
        try:
            return decode(row[1])
        except (zstandard.ZstdError, struct.error, ValueError, IndexError) as error:
            raise ProofError(
                f"a sealed hour cannot be read: {error}", where=f"point {point}, hour {hour_ms}"
            ) from error

    def sealed_through_ms(self, from_ms: int) -> int:
        """From a time on, the end of the unbroken run of sealed hours; the time itself if none."""
        start_ms = from_ms // HOUR_MS * HOUR_MS
        end_ms = start_ms
        for (hour_ms,) in self._connection.execute(
            "SELECT hour_ms FROM sealed_spans WHERE hour_ms >= ? ORDER BY hour_ms", (start_ms,)
        ):
            if hour_ms != end_ms:
                break
            end_ms += HOUR_MS
        return max(end_ms, from_ms)

    def is_sealed(self, hour_ms: int) -> bool:
        """Whether an hour was sealed, readings in it or not."""
        row = self._connection.execute(
            "SELECT 1 FROM sealed_spans WHERE hour_ms = ?", (hour_ms,)
        ).fetchone()
        return row is not None
