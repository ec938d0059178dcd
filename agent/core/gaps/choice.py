"""Which methods did best on pseudo-gaps, alone and together, and how far off they were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from agent.core.kernels.arrays import Floats, Integers

ROUNDS: Final = 15
_TRIM: Final = 1.5  # a method worse than this many times the best is out
_POWER: Final = 10  # of the inverse error by which methods are weighed
_LEAST: Final = 0.02  # a smaller weight is not worth its method's work
FOLDS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A method, the bridge that bends it, and its weight in the whole."""

    method: str
    bridge: int
    weight: float


def choose(
    methods: tuple[str, ...], predictions: Floats, truth: Floats, allowed: Floats
) -> tuple[Part, ...]:
    """Weights of methods by their absolute error on pseudo-gaps.

    ``predictions`` has the axes pseudo-gap, method, bridge, place; ``truth`` pseudo-gap, place;
    ``allowed`` is 0 where a method has no such bridge. Each method takes its best bridge. Half of a
    weight of a shape comes from greedy selection with replacement (Caruana et al., ICML 2004), the
    rest from the inverse error. Of an amount there is one number per pseudo-gap, too few for
    selection: all comes from the inverse error.
    """
    errors = np.abs(predictions - truth[:, None, None]).sum(axis=(0, 3))
    errors = np.where((allowed > 0) & np.isfinite(errors), errors, np.inf)
    bridges = errors.argmin(axis=1)
    losses = errors[np.arange(len(methods)), bridges]
    best = float(losses.min())
    kept = np.flatnonzero(losses <= _TRIM * best + 1e-12)
    own = predictions[:, kept, bridges[kept]]
    weights = np.zeros(len(methods))
    inverse = np.ones(len(kept))
    if best > 0.0:
        inverse = (best / losses[kept]) ** _POWER
    weights[kept] = inverse / inverse.sum()
    if truth.shape[1] > 1:
        weights[kept] = (weights[kept] + _greedy(own, truth)) / 2.0
    weights[weights < _LEAST] = 0.0
    weights /= weights.sum()
    return tuple(
        Part(method=methods[i], bridge=int(bridges[i]), weight=float(weights[i]))
        for i in np.flatnonzero(weights)
    )


def _greedy(own: Floats, truth: Floats) -> Floats:
    counts = np.zeros(own.shape[1])
    blend = np.zeros_like(truth)
    for turn in range(ROUNDS):
        errors = np.abs((blend[:, None] + own) / (turn + 1) - truth[:, None]).sum(axis=(0, 2))
        best = int(errors.argmin())
        counts[best] += 1.0
        blend += own[:, best]
    return counts / ROUNDS


def blend(parts: tuple[Part, ...], methods: tuple[str, ...], predictions: Floats) -> Floats:
    """The weighted mean of what the parts predict; axes as for `choose`."""
    result = np.zeros((predictions.shape[0], predictions.shape[3]))
    for part in parts:
        result += part.weight * predictions[:, methods.index(part.method), part.bridge]
    return result


def folds(count: int) -> list[Integers]:
    """Neighbouring pseudo-gaps together, so that what overlaps does not judge itself."""
    return np.array_split(np.arange(count), min(FOLDS, count))


def conformal_quantile(scores: Floats, level: float) -> float:
    """The score that a new one stays below with a probability of ``level`` (split conformal).

    The ceil((n + 1) * level)-th smallest of n scores; the greatest where n is too small for that.
    Source: Vovk, Gammerman, Shafer, Algorithmic Learning in a Random World, 2005.

    Example: of the scores 1 to 19 at 90 % the 18th, 18.
    """
    place = int(np.ceil((len(scores) + 1) * level))
    return float(np.sort(scores)[min(place, len(scores)) - 1])
