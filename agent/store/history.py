"""Readings of any past span: sealed hours point by point, the rest from the row table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from agent.core.errors import ProofError
from agent.core.timebase import HOUR_MS
from agent.store.corrections import Corrections
from agent.store.readings import EMPTY, Readings, Series
from agent.store.sealed import SealedArchive

if TYPE_CHECKING:
    from sqlite3 import Connection


class History:
    """Good readings, whether they are still rows or already sealed.

    A sealed hour is looked up by point, so a long span of few points costs no scan of all rows.
    """

    def __init__(self, connection: Connection, readings: Readings) -> None:
        self._archive = SealedArchive(connection)
        self._corrections = Corrections(connection)
        self._readings = readings
        self.damaged: list[tuple[str, int]] = []  # points and hours that did not match their hash

    def good(self, points: Sequence[str], from_ms: int, to_ms: int) -> dict[str, Series]:
        """Good readings in [from_ms, to_ms) of the given points, repaired, each sorted by time."""
        return self._corrections.repaired(self._as_read(points, from_ms, to_ms), from_ms, to_ms)

    def _as_read(self, points: Sequence[str], from_ms: int, to_ms: int) -> dict[str, Series]:
        open_ms = self._archive.sealed_through_ms(from_ms)
        recent = self._readings.good(points, max(from_ms, open_ms), to_ms)
        if from_ms >= open_ms:
            return recent
        return {
            point: _joined([*self._sealed(point, from_ms, min(to_ms, open_ms)), recent[point]])
            for point in points
        }

    def _sealed(self, point: str, from_ms: int, to_ms: int) -> list[Series]:
        number = self._readings.number(point)
        if number is None:
            return []
        found = []
        for hour_ms in self._archive.hours(number, from_ms // HOUR_MS * HOUR_MS, to_ms):
            try:
                block = self._archive.read(number, hour_ms)
            except ProofError:
                # the rest must go on: what is still kept as rows stands in for the hour
                self.damaged.append((point, hour_ms))
                span = (max(hour_ms, from_ms), min(hour_ms + HOUR_MS, to_ms))
                found.append(self._readings.good([point], *span)[point])
                continue
            if block is not None:
                times_ms, values, qualities = block
                chosen = (
                    (times_ms >= from_ms)
                    & (times_ms < to_ms)
                    & (qualities == 0)
                    & ~np.isnan(values)
                )
                found.append(Series(times_ms[chosen], values[chosen]))
        return found


def _joined(parts: list[Series]) -> Series:
    parts = [part for part in parts if part.times_ms.size]
    if not parts:
        return EMPTY
    if len(parts) == 1:
        return parts[0]
    return Series(
        np.concatenate([part.times_ms for part in parts]),
        np.concatenate([part.values for part in parts]),
    )
