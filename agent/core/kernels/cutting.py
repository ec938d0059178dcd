"""Loops that cut accumulated amounts at boundaries. Plain Python that numba can compile."""

from __future__ import annotations

import math

from agent.core.kernels.arrays import Bytes, Floats, Integers

# Where a boundary lies between two accepted readings.
BEFORE = 0
MEASURED = 1
KNOWN_GAP = 2
UNKNOWN = 3
AFTER = 4


def place_boundaries(
    times: Integers,
    accumulated: Floats,
    segments: Integers,
    boundaries: Integers,
    limits: Integers,
    left: Integers,
    places: Bytes,
    values: Floats,
) -> int:
    """Interpolate the accumulated amount at ascending boundaries; returns how many are measured.

    ``limits``: longest measured span (ms). ``left`` is the index of the reading at or before the
    boundary (-1 = none). Within a gap or beyond the last reading ``values`` is that reading's.
    """
    max_gap_ms = limits[0]
    count = len(times)
    k = -1
    measured = 0
    for i in range(len(boundaries)):
        boundary = boundaries[i]
        while k + 1 < count and times[k + 1] <= boundary:
            k += 1
        left[i] = k
        if k < 0:
            places[i] = BEFORE
            values[i] = math.nan
            continue
        values[i] = accumulated[k]
        if times[k] == boundary:
            places[i] = MEASURED
            measured += 1
            continue
        if k + 1 == count:
            places[i] = AFTER
            continue
        span_ms = times[k + 1] - times[k]
        if segments[k + 1] != segments[k]:
            places[i] = UNKNOWN
        elif span_ms > max_gap_ms:
            places[i] = KNOWN_GAP
        else:
            places[i] = MEASURED
            measured += 1
            part = (boundary - times[k]) / span_ms
            values[i] = accumulated[k] + (accumulated[k + 1] - accumulated[k]) * part
    return measured


def covered_ms(
    times: Integers,
    segments: Integers,
    boundaries: Integers,
    limits: Integers,
    covered: Integers,
) -> int:
    """Time within each window that lies between readings at most ``limits[0]`` ms apart.

    Window i reaches from boundary i to boundary i + 1; returns the sum over all windows.
    """
    max_gap_ms = limits[0]
    windows = len(boundaries) - 1
    for i in range(windows):
        covered[i] = 0
    total = 0
    first = 0
    for k in range(1, len(times)):
        begin = times[k - 1]
        end = times[k]
        if end - begin > max_gap_ms or segments[k] != segments[k - 1]:
            continue
        while first < windows and boundaries[first + 1] <= begin:
            first += 1
        i = first
        while i < windows and boundaries[i] < end:
            low = begin if begin > boundaries[i] else boundaries[i]
            high = end if end < boundaries[i + 1] else boundaries[i + 1]
            covered[i] += high - low
            total += high - low
            i += 1
    return total


def step_means(
    times: Integers,
    values: Floats,
    starts: Integers,
    ends: Integers,
    means: Floats,
    known_ms: Integers,
) -> int:
    """Mean of a value that holds until the next one, over each span; returns how many are known.

    A NaN holds too: that time is unknown. ``known_ms`` is the known time within the span.
    """
    count = len(times)
    known_spans = 0
    for i in range(len(starts)):
        start = starts[i]
        end = ends[i]
        low = 0
        high = count
        while low < high:
            middle = (low + high) // 2
            if times[middle] <= start:
                low = middle + 1
            else:
                high = middle
        k = low - 1
        if k < 0:
            k = 0
        total = 0.0
        known = 0
        while k < count and times[k] < end:
            begin = times[k] if times[k] > start else start
            finish = end
            if k + 1 < count and times[k + 1] < end:
                finish = times[k + 1]
            if finish > begin and not math.isnan(values[k]):
                total += values[k] * (finish - begin)
                known += finish - begin
            k += 1
        known_ms[i] = known
        if known > 0:
            means[i] = total / known
            known_spans += 1
        else:
            means[i] = math.nan
    return known_spans
