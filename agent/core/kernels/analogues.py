"""The search for times that resemble a gap. Plain Python that numba can compile unchanged."""

from __future__ import annotations

from agent.core.kernels.arrays import Floats, Integers


def block_distances(
    sums: Floats,
    columns: Integers,
    firsts: Integers,
    ends: Integers,
    weights: Floats,
    targets: Floats,
    candidates: Integers,
    distances: Floats,
) -> int:
    """Weighted squared distance of each candidate from a gap; returns how many there are.

    ``sums`` holds running sums of all columns one after the other; ``columns`` is where the column
    of a feature begins. A feature is the sum over [first, end) counted from the candidate's start,
    to be compared with its target; firsts may be negative (before the start).
    """
    features = len(columns)
    for i in range(len(candidates)):
        distances[i] = 0.0
    for f in range(features):
        first = columns[f] + firsts[f]
        end = columns[f] + ends[f]
        weight = weights[f]
        target = targets[f]
        for i in range(len(candidates)):
            start = candidates[i]
            difference = (sums[start + end] - sums[start + first]) - target
            distances[i] += weight * (difference * difference)
    return len(candidates)
