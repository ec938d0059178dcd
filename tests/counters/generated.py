"""A hundred thousand made-up lives of registers at once, one per row, with their kernel runs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from agent.core import kernels
from agent.core.kernels.arrays import AnyArray

START_MS = 1_767_225_600_000
HOUR_MS = 3_600_000
MODULUS = 1_000_000.0
RESOLUTION = 0.1
MAX_RATE = 600.0
REFRESH_H = 5 / 3_600
STEPS_MS = np.array([1_000, 30_000, 60_000, 60_000, 61_007, 240_000, 600_000, 4_000_000, 9_000_000])
ODD = ("reset", "replaced", "rollover", "zero", "spike", "nan", "jitter", "jump", "clock")
FAULTS = ("none",) * 18 + ODD


@dataclass(frozen=True)
class Lives:
    """Times and registers as a store hands them over: by wall time, whatever the clock did."""

    times: np.ndarray
    registers: np.ndarray
    faults: np.ndarray


@cache
def lives(count: int, size: int, seed: int) -> Lives:
    """Rollover, reset, replacement, jitter, zero, spike, jump, NaN and clock steps, all mixed."""
    rng = np.random.default_rng(seed)
    shape = (count, size)
    faults = np.array(FAULTS)[rng.integers(0, len(FAULTS), shape)]
    steps = rng.choice(STEPS_MS, shape)
    truth = np.cumsum(MAX_RATE * rng.uniform(0, 0.99, shape) * steps / HOUR_MS, axis=1)
    truth += rng.uniform(0, MODULUS, (count, 1))
    offset = np.zeros(shape)
    for fault, begins in (
        ("reset", truth),
        ("replaced", truth - rng.uniform(0, 900_000, shape)),
        ("rollover", truth - (MODULUS - rng.uniform(0, 20, shape))),
    ):
        offset = np.where(faults == fault, begins, offset)
    changed = np.isin(faults, ("reset", "replaced", "rollover"))
    last = np.maximum.accumulate(np.where(changed, np.arange(size), -1), axis=1)
    offset = np.where(last >= 0, np.take_along_axis(offset, np.maximum(last, 0), axis=1), 0.0)
    shown = np.floor(((truth - offset) % MODULUS) / RESOLUTION + 1e-6) * RESOLUTION
    shown = np.round(shown, 1)
    shown[faults == "zero"] = 0.0
    shown[faults == "nan"] = np.nan
    shown = np.where(faults == "spike", rng.uniform(-1e7, 1e7, shape), shown)
    shown = np.where(faults == "jitter", shown - RESOLUTION, shown)
    shown = np.where(faults == "jump", shown + rng.uniform(0, 50, shape), shown)
    leaps = np.where(faults == "clock", rng.integers(-2 * HOUR_MS, 2 * HOUR_MS, shape), 0)
    times = START_MS + np.cumsum(steps + leaps, axis=1)
    order = np.argsort(times, axis=1, kind="stable")
    return Lives(
        times=np.take_along_axis(times, order, axis=1),
        registers=np.take_along_axis(shown, order, axis=1),
        faults=faults,
    )


@cache
def classify() -> Callable[..., int]:
    """The compiled kernel: the extension in use, or one compiled in this process."""
    if kernels.MODE == "aot":
        from agent.core.kernels import _compiled  # type: ignore[attr-defined]

        return _compiled.classify_counter  # type: ignore[no-any-return]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import numba

        kernel = kernels.KERNELS["classify_counter"]
        return numba.njit([kernel.signature])(kernel.function)  # type: ignore[no-any-return]


@dataclass
class Booked:
    """What the kernel made of each life."""

    classes: np.ndarray
    accumulated: np.ndarray
    segments: np.ndarray
    states: list[tuple[bytes, bytes]]


LIMITS = np.array([RESOLUTION, MODULUS, MAX_RATE, MAX_RATE * REFRESH_H, 0.0])


def book(made: Lives, cuts: np.ndarray | None = None) -> Booked:
    """Run every life; with ``cuts`` in two calls with the state carried over a restart."""
    run = classify()
    classes = np.empty(made.times.shape, np.uint8)
    accumulated = np.empty(made.times.shape)
    segments = np.empty(made.times.shape, np.int64)
    states = []
    size = made.times.shape[1]
    for row in range(len(made.times)):
        numbers, integers = np.zeros(3), np.array([0, 0, 0, 0, 0])
        columns: tuple[AnyArray, ...] = (made.times[row], made.registers[row])
        outputs: tuple[AnyArray, ...] = (classes[row], accumulated[row], segments[row])
        begin = 0
        for end in (size,) if cuts is None else (int(cuts[row]), size):
            integers[4] = end - begin
            inputs = (column[begin:end] for column in columns)
            filled = (output[begin:end] for output in outputs)
            begin += run(*inputs, LIMITS, numbers, integers, *filled)
        integers[4] = 0
        states.append((numbers.tobytes(), integers.tobytes()))
    return Booked(classes, accumulated, segments, states)
