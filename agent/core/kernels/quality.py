"""Loops that doubt readings. Plain Python that numba can compile unchanged."""

from __future__ import annotations

import math

from agent.core.kernels.arrays import Bytes, Floats, Integers

# What a value turned out to be.
GOOD = 0
SPIKE = 1
NOT_A_NUMBER = 2
PENDING = 3

SIGMA_PER_MAD = 1.4826  # of a normal distribution


def hampel(
    values: Floats, limits: Floats, ordered: Floats, verdicts: Bytes, medians: Floats
) -> int:
    """Mark values far from the median of those around them; returns how many.

    ``limits``: values on each side, tolerated standard deviations (from the median deviation),
    least tolerated distance. ``ordered`` is scratch for 2 x side + 2 values: the window is kept
    sorted by insertion, so a value costs its width and not a sort.
    """
    side = int(limits[0])
    sigmas = limits[1]
    least = limits[2]
    count = len(values)
    size = 0
    marked = 0
    for step in range(count + side):
        if step < count and not math.isnan(values[step]):
            place = size
            while place > 0 and ordered[place - 1] > values[step]:
                ordered[place] = ordered[place - 1]
                place -= 1
            ordered[place] = values[step]
            size += 1
        i = step - side
        if i < 0:
            continue
        gone = i - side - 1
        if gone >= 0 and not math.isnan(values[gone]):
            place = 0
            while ordered[place] < values[gone]:
                place += 1
            size -= 1
            while place < size:
                ordered[place] = ordered[place + 1]
                place += 1
        if math.isnan(values[i]):
            verdicts[i] = NOT_A_NUMBER
            medians[i] = math.nan
            continue
        middle = size // 2
        median = ordered[middle]
        if size % 2 == 0:
            median = 0.5 * (median + ordered[middle - 1])
        # the median deviation: values in order of their distance, from the middle outwards
        low = middle - 1
        high = middle
        deviation = 0.0
        for _ in range(size // 2 + 1):
            below = median - ordered[low] if low >= 0 else math.inf
            above = ordered[high] - median if high < size else math.inf
            if below <= above:
                deviation = below
                low -= 1
            else:
                deviation = above
                high += 1
        tolerance = sigmas * SIGMA_PER_MAD * deviation
        if tolerance < least:
            tolerance = least
        medians[i] = median
        verdicts[i] = GOOD
        if abs(values[i] - median) > tolerance:
            verdicts[i] = SPIKE
            marked += 1
    return marked


def find_spikes(
    values: Floats,
    limits: Floats,
    recent: Floats,
    ordered: Floats,
    integers: Integers,
    verdicts: Bytes,
) -> int:
    """Mark values that leave the level of those before them and come back; returns how many values
    are decided.

    ``limits``: tolerated standard deviations, least tolerated distance, the same as a share of the
    level, most values of a spike (more are a new level), fewest values that make a level.
    ``recent`` (a ring of good values) and ``ordered`` (the same, sorted) carry over, with
    ``integers``: how many they hold, where the ring's next value goes. Values at the end that only
    later ones can explain are pending: feed them again together with the next.
    """
    width = len(recent)
    longest = int(limits[3])
    fewest = int(limits[4])
    size = integers[0]
    head = integers[1]
    count = len(values)
    odd_from = -1  # where the run of odd values begins
    odd = 0
    i = 0
    while i < count:
        value = values[i]
        if not math.isfinite(value):
            verdicts[i] = NOT_A_NUMBER
            i += 1
            continue
        if size >= fewest:
            middle = size // 2
            median = ordered[middle]
            if size % 2 == 0:
                median = 0.5 * (median + ordered[middle - 1])
            low = middle - 1
            high = middle
            deviation = 0.0
            for _ in range(size // 2 + 1):
                below = median - ordered[low] if low >= 0 else math.inf
                above = ordered[high] - median if high < size else math.inf
                if below <= above:
                    deviation = below
                    low -= 1
                else:
                    deviation = above
                    high += 1
            tolerance = limits[0] * SIGMA_PER_MAD * deviation
            if tolerance < limits[1]:
                tolerance = limits[1]
            if tolerance < limits[2] * abs(median):
                tolerance = limits[2] * abs(median)
            if abs(value - median) > tolerance:
                if odd == 0:
                    odd_from = i
                odd += 1
                if odd > longest:
                    size = 0
                    head = 0
                    odd = 0
                    i = odd_from
                else:
                    i += 1
                continue
            if odd > 0:
                for k in range(odd_from, i):
                    if verdicts[k] != NOT_A_NUMBER:
                        verdicts[k] = SPIKE
                odd = 0
        verdicts[i] = GOOD
        if size == width:
            place = 0
            while ordered[place] < recent[head]:
                place += 1
            size -= 1
            while place < size:
                ordered[place] = ordered[place + 1]
                place += 1
        place = size
        while place > 0 and ordered[place - 1] > value:
            ordered[place] = ordered[place - 1]
            place -= 1
        ordered[place] = value
        size += 1
        recent[head] = value
        head = head + 1 if head + 1 < width else 0
        i += 1
    decided = count
    if odd > 0:
        decided = odd_from
        for k in range(odd_from, count):
            verdicts[k] = PENDING
    integers[0] = size
    integers[1] = head
    return decided
