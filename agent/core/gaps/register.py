"""What a cumulative register counted through the gaps of a series of intervals."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np

from agent.core.gaps.filled import Gap
from agent.core.gaps.series import running
from agent.core.kernels.arrays import Floats, Mask

_MOST_DECIMALS: Final = 6


def resolution_of(register: Floats) -> float:
    """The last decimal that a register shows.

    Example: readings 12.5, 13 and 13.25 give 0.01.
    """
    known = register[np.isfinite(register)]
    for decimals in range(_MOST_DECIMALS):
        scale = 10.0**decimals
        if np.all(np.abs(known * scale - np.round(known * scale)) < 1e-6 * scale):
            return float(10.0**-decimals)
    return float(10.0**-_MOST_DECIMALS)


def at_bounds(values: Floats, register: Floats) -> Floats:
    """The register at the bounds between intervals: bound i is where interval i begins.

    A row's register may have been read where its interval begins or where it ends; the one that
    agrees better with the measured values is taken, the end if both do.
    """
    at_end = np.concatenate(([np.nan], register))
    at_start = np.concatenate((register, [np.nan]))
    return at_end if _misfit(values, at_end) <= _misfit(values, at_start) else at_start


def _misfit(values: Floats, bounds: Floats) -> float:
    """Sum of differences between register and values where both are known."""
    places = np.flatnonzero(np.isfinite(bounds))
    sums = running(np.nan_to_num(values))
    holes = running(np.isnan(values).astype(np.float64))
    first, last = places[:-1], places[1:]
    whole = holes[last] == holes[first]
    counted = bounds[last] - bounds[first]
    return float(np.abs(counted - (sums[last] - sums[first]))[whole].sum())


def find_gaps(values: Floats, bounds: Floats | None, resolution: float) -> list[Gap]:
    """All stretches of missing values, divided where the register was read within them.

    A total comes from the nearest readings on both sides, less the values measured between those
    and the gap. A register that fell gives no total.
    """
    missing = np.isnan(values)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], missing, [False])).astype(np.int8)))
    gaps: list[Gap] = []
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        if bounds is None:
            gaps.append(Gap(first=int(first), end=int(end)))
            continue
        inner = first + 1 + np.flatnonzero(np.isfinite(bounds[first + 1 : end]))
        marks = [int(first), *(int(place) for place in inner), int(end)]
        gaps.extend(
            _with_total(values, missing, bounds, begin, stop, resolution)
            for begin, stop in pairwise(marks)
        )
    return gaps


def _with_total(
    values: Floats, missing: Mask, bounds: Floats, first: int, end: int, resolution: float
) -> Gap:
    before, left = first, 0.0
    while np.isnan(bounds[before]) and before > 0 and not missing[before - 1]:
        before -= 1
        left += float(values[before])
    after, right = end, 0.0
    while np.isnan(bounds[after]) and after < len(values) and not missing[after]:
        right += float(values[after])
        after += 1
    total = float(bounds[after] - bounds[before]) - left - right
    if np.isnan(total) or total < -2.0 * resolution:
        return Gap(first=first, end=end)
    return Gap(first=first, end=end, total=max(0.0, round(total, 9)), resolution=resolution)
