"""Compiled kernels against the speed at which this machine copies memory, in the same run."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from agent.core import kernels
from agent.core.counters import advance
from agent.core.model import StreamKind, StreamSpec

Row = dict[str, Any]
BANDWIDTH_BAR = 0.9
ROUNDS = 9


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def interleaved(*works: Callable[[], object]) -> list[list[float]]:
    """Times of each piece of work, one round after the other; a first round only warms up."""
    rounds = [[seconds(work) for work in works] for _ in range(ROUNDS + 1)]
    return [list(times) for times in zip(*rounds[1:], strict=True)]


def arithmetic(rows: int) -> list[Row]:
    activity = np.random.default_rng(1).uniform(0, 1000, rows)
    factor = np.full(rows, 0.5306)
    result = np.zeros(rows)
    copy = np.zeros(rows)
    ours, copying, numpy_times = interleaved(
        lambda: kernels.run("emissions", activity, factor, result),
        lambda: np.copyto(copy, activity),
        lambda: np.multiply(activity, factor, out=copy),
    )
    # Two arrays are read and one is written; a copy reads one and writes one.
    shares = [(24 / own) / (16 / other) for own, other in zip(ours, copying, strict=True)]
    share = statistics.median(shares)
    ratio = statistics.median(o / n for o, n in zip(ours, numpy_times, strict=True))
    return [
        {
            "what": f"emissions of {rows:,} windows: share of the copy bandwidth",
            "value": share,
            "unit": "x",
            "rival": f"np.copyto {16e-9 * rows / statistics.median(copying):.1f} GB/s",
            "bar": f">= {BANDWIDTH_BAR}",
            "ok": share >= BANDWIDTH_BAR,
        },
        {
            "what": "the same: time against numpy",
            "value": ratio,
            "unit": "x",
            "rival": f"np.multiply {statistics.median(numpy_times) * 1e3:.1f} ms",
            "bar": None,
            "ok": None,
        },
    ]


def counters(rows: int) -> list[Row]:
    spec = StreamSpec(
        id="bench.energy",
        kind=StreamKind.COUNTER,
        quantity="energy",
        unit="kWh",
        resolution=0.1,
        modulus=1e6,
        max_rate_per_h=600.0,
        period_ms=1000,
    )
    times = 1_767_225_600_000 + np.arange(rows) * 1000
    registers = np.floor(np.arange(rows) * 1.2) / 10 % 1e6
    copy = np.zeros(rows)
    plain_rows = min(rows, 100_000)
    ours, copying = interleaved(
        lambda: advance(spec, None, times, registers), lambda: np.copyto(copy, registers)
    )
    plain = seconds(lambda: classify_plain(times[:plain_rows], registers[:plain_rows]))
    speed = rows / statistics.median(ours) / 1e6
    return [
        {
            "what": f"classifying {rows:,} readings of a counter",
            "value": speed,
            "unit": "M/s",
            "rival": f"plain Python {plain_rows / plain / 1e6:.2f} M/s",
            "bar": None,
            "ok": None,
        },
        {
            "what": "the same: time against copying the registers",
            "value": statistics.median(o / c for o, c in zip(ours, copying, strict=True)),
            "unit": "x",
            "rival": "np.copyto",
            "bar": None,
            "ok": None,
        },
    ]


def classify_plain(times: Any, registers: Any) -> int:
    size = len(times)
    return kernels.run_plain(
        "classify_counter",
        times,
        registers,
        np.array([0.1, 1e6, 600.0, 0.8, 0.0]),
        np.zeros(3),
        np.array([0, 0, 0, 0, size]),
        np.empty(size, np.uint8),
        np.empty(size),
        np.empty(size, np.int64),
    )


def run(short: bool = False) -> list[Row]:
    rows = 1_000_000 if short else 10_000_000
    return [
        {
            "what": "kernels compiled ahead of time, numba not imported",
            "value": kernels.MODE,
            "unit": "",
            "rival": "",
            "bar": "aot",
            "ok": kernels.MODE == "aot" and "numba" not in sys.modules,
        },
        *arithmetic(rows),
        *counters(rows // 10),
    ]
