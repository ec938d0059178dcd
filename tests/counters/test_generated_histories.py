"""A hundred thousand histories: never more than is possible, whatever the register did."""

from __future__ import annotations

import numpy as np

from agent.core.counters import ReadingClass
from agent.core.model import Provenance, StreamKind, StreamSpec
from agent.core.windows import close_windows
from tests.counters.generated import (
    HOUR_MS,
    MAX_RATE,
    MODULUS,
    ODD,
    REFRESH_H,
    RESOLUTION,
    book,
    lives,
)

COUNT, SIZE, SEED = 100_000, 28, 20_260_101
QUARTER_MS = 900_000


def test_no_history_books_more_than_the_largest_rate_allows() -> None:
    made = lives(COUNT, SIZE, SEED)
    booked = book(made)
    accepted = booked.classes <= ReadingClass.REPLACEMENT
    amounts = np.where(accepted, booked.accumulated, np.nan)
    hours = (made.times - made.times[:, :1]) / HOUR_MS
    # between any two accepted readings: the largest rate, and one count for each segment
    over = amounts - MAX_RATE * hours - RESOLUTION * booked.segments
    least = np.fmin.accumulate(over, axis=1)
    assert np.nanmax(over - least) <= MAX_RATE * REFRESH_H + RESOLUTION + 1e-6
    greatest = np.fmax.accumulate(amounts, axis=1)
    assert np.nanmin(amounts - greatest) >= -1e-6  # never backwards
    kinds = {ReadingClass(kind) for kind in np.unique(booked.classes)}
    assert kinds == set(ReadingClass)
    assert set(np.unique(made.faults)) == {"none", *ODD}


def test_a_restart_at_any_point_changes_nothing() -> None:
    made = lives(COUNT, SIZE, SEED)
    whole = book(made)
    cuts = np.random.default_rng(7).integers(0, SIZE + 1, COUNT)
    parts = book(made, cuts)
    assert parts.states == whole.states
    assert np.array_equal(parts.classes, whole.classes)
    assert np.array_equal(parts.accumulated, whole.accumulated, equal_nan=True)
    decided = whole.classes != ReadingClass.PENDING
    assert np.array_equal(parts.segments[decided], whole.segments[decided])


def test_windows_add_up_to_the_accepted_increments() -> None:
    """Over any run of windows whose amount the register tells, nothing is lost or doubled."""
    made = lives(COUNT, SIZE, SEED)
    booked = book(made)
    spec = StreamSpec(
        id="em-1.energy",
        kind=StreamKind.COUNTER,
        quantity="energy",
        unit="kWh",
        resolution=RESOLUTION,
        modulus=MODULUS,
        max_rate_per_h=MAX_RATE,
        period_ms=60_000,
    )
    checked = 0
    for row in range(0, COUNT, COUNT // 400):
        times = made.times[row]
        closing = close_windows(
            spec,
            None,
            times,
            made.registers[row],
            until_ms=int(times[-1]),
            length_ms=QUARTER_MS,
            loads=None,
            max_gap_ms=300_000,
        )
        told = (Provenance.MEASURED, Provenance.ALLOCATED)
        runs: list[list[int]] = []
        for window in closing.windows:
            if window.provenance not in told:
                continue
            amount = window.value or 0.0
            if runs and runs[-1][1] == window.start_ms:
                runs[-1][1] = window.end_ms
                runs[-1][2] += amount
            else:
                runs.append([window.start_ms, window.end_ms, amount])
        accepted = booked.classes[row] <= ReadingClass.REPLACEMENT
        at = times[accepted].astype(float)
        for start_ms, end_ms, amount in runs:
            edges = np.interp([start_ms, end_ms], at, booked.accumulated[row][accepted])
            measured = edges[1] - edges[0]
            # without a load a boundary in a gap is placed evenly, as here
            assert abs(amount - measured) <= 2e-6, (row, start_ms)
            checked += 1
    assert checked > 400
