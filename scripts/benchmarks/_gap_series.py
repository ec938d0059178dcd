"""The series on which gap filling is measured, and gaps drawn in them."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agent.core.gaps.series import Series, codes_of
from agent.core.kernels.arrays import Floats, Integers

DATA = Path(__file__).parent / "data"
NEW_YEAR_MS = 1_514_764_800_000  # 2018-01-01, a Monday, 00:00 local
AFTER_H = 2.0  # how much of what follows a gap a method may see


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A complete series and the lengths of gaps to cut into it, in intervals."""

    name: str
    series: Series
    lengths: dict[str, int]
    history_days: int  # before the first gap
    resolution: float  # of the register that counts it

    @property
    def per_hour(self) -> int:
        return round(3_600_000 / self.series.step_ms)

    def starts(self, length: int, count: int, seed: int) -> Integers:
        """First intervals of gaps at random times, in time order."""
        after = round(AFTER_H * self.per_hour)
        rng = np.random.default_rng([seed, length])
        first = self.history_days * 24 * self.per_hour
        return np.sort(rng.integers(first, len(self.series) - length - after, count))

    def seen(self, start: int, length: int) -> Series:
        """What a method sees of a gap: all before it, and two hours after."""
        end = start + length + round(AFTER_H * self.per_hour)
        values = self.series.values[:end].copy()
        values[start : start + length] = np.nan
        return Series(
            start_ms=self.series.start_ms,
            step_ms=self.series.step_ms,
            values=values,
            numbers={name: column[:end] for name, column in self.series.numbers.items()},
            labels={name: codes[:end] for name, codes in self.series.labels.items()},
            load=self.series.load,
        )

    def total(self, start: int, length: int) -> float:
        """What a register of this resolution counts through a gap."""
        sums = np.concatenate(([0.0], np.cumsum(self.series.values)))
        steps = np.floor(sums[[start, start + length]] / self.resolution + 1e-9)
        return float((steps[1] - steps[0]) * self.resolution)


def _rows(name: str) -> Iterator[list[str]]:
    path = DATA / name
    with gzip.open(path, "rt") if name.endswith(".gz") else path.open() as file:
        yield from csv.reader(file)


def steel() -> Dataset:
    """A real steel works: half a year of 15-minute energy and its load type."""
    rows = list(_rows("steel-15min-2018.csv"))[1:]
    return Dataset(
        name="steel",
        series=Series(
            start_ms=NEW_YEAR_MS,
            step_ms=900_000,
            values=np.array([float(row[0]) for row in rows]),
            labels={"load_type": codes_of([row[1] for row in rows])},
        ),
        lengths={"15 min": 1, "1 h": 4, "6 h": 24, "24 h": 96, "3 d": 288},
        history_days=28,
        resolution=0.1,
    )


def steam() -> Dataset:
    """A simulated chemical plant: thirty days of steam flow per minute, load and grade."""
    rows = np.array(
        [[float(cell) for cell in row] for row in list(_rows("plant-steam-1min.csv.gz"))[1:]]
    )
    columns: list[Floats] = [np.ascontiguousarray(column) for column in rows.T]
    return Dataset(
        name="steam",
        series=Series(
            start_ms=NEW_YEAR_MS,
            step_ms=60_000,
            values=columns[2],
            numbers={"load": columns[0], "grade": columns[1]},
            load="load",
        ),
        lengths={"15 min": 15, "1 h": 60, "6 h": 360, "24 h": 1440, "3 d": 4320},
        history_days=10,
        resolution=0.1,
    )
