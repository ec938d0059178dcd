"""Loops along a series with holes. Plain Python that numba can compile unchanged."""

from __future__ import annotations

import math

from agent.core.kernels.arrays import Bytes, Floats, Integers

# What a value of a filled series is; the order never changes.
MEASURED = 0
FILLED = 1
MISSING = 2


def fill_lines(values: Floats, limits: Integers, filled: Floats, states: Bytes) -> int:
    """Close holes (NaN) of up to ``limits[0]`` values by a line; returns how many were filled.

    A longer hole, and one at either end, stays missing as a whole: none is filled in part.
    """
    longest = limits[0]
    count = len(values)
    closed = 0
    i = 0
    while i < count:
        value = values[i]
        if not math.isnan(value):
            filled[i] = value
            states[i] = MEASURED
            i += 1
            continue
        end = i
        while end < count and math.isnan(values[end]):
            end += 1
        if i == 0 or end == count or end - i > longest:
            while i < end:
                filled[i] = math.nan
                states[i] = MISSING
                i += 1
            continue
        before = values[i - 1]
        step = (values[end] - before) / (end - i + 1)
        place = 1
        while i < end:
            filled[i] = before + step * place
            states[i] = FILLED
            place += 1
            i += 1
        closed += place - 1
    return closed


def exponential_means(values: Floats, numbers: Floats, means: Floats) -> int:
    """Running mean that forgets: each value pulls it by the share ``numbers[0]`` of the way."""
    share = numbers[0]
    count = len(values)
    if count == 0:
        return 0
    mean = values[0]
    for i in range(count):
        mean += share * (values[i] - mean)
        means[i] = mean
    return count
