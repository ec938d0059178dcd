"""Compiled kernels against a memory copy, numpy, pandas, polars and stumpy, in the same run."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from agent.core import kernels
from agent.core.counters import advance
from agent.core.model import StreamKind, StreamSpec

ENVIRONMENT = "bench"

Row = dict[str, Any]
BANDWIDTH_BAR = 0.9
COPY_BAR = 3.0
POLARS_BAR = 1.3
PANDAS_BAR = 10.0
STUMPY_BAR = 0.01
ROUNDS = 9
YEAR_MINUTES = 525_600
YEAR_WINDOWS = 200 * 35_040
DAY_MINUTES = 1_440
MISSING = 0.016


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def interleaved(*works: Callable[[], object], rounds: int = ROUNDS) -> list[list[float]]:
    """Times of each piece of work, one round after the other; a first round only warms up."""
    timed = [[seconds(work) for work in works] for _ in range(rounds + 1)]
    return [list(times) for times in zip(*timed[1:], strict=True)]


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
        {
            "what": "what it saves of a recalculation of 200 device-years (7,008,000 windows)",
            "value": statistics.median(n - o for o, n in zip(ours, numpy_times, strict=True))
            * (YEAR_WINDOWS / rows)
            * 1e3,
            "unit": "ms",
            "rival": "np.multiply",
            "bar": None,
            "ok": None,
        },
    ]


def row(what: str, value: float, unit: str, rival: str, bar: str | None, ok: bool | None) -> Row:
    return {"what": what, "value": value, "unit": unit, "rival": rival, "bar": bar, "ok": ok}


def ratio(ours: list[float], theirs: list[float]) -> float:
    """How many times as long they take, round by round."""
    return statistics.median(other / own for own, other in zip(ours, theirs, strict=True))


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
    outputs = (np.zeros(rows, np.uint8), np.zeros(rows), np.zeros(rows, np.int64))
    sources = tuple(output.copy() for output in outputs)

    def classify() -> None:
        limits = np.array([0.1, 1e6, 600.0, 0.8, 0.0])
        state = (np.zeros(3), np.array([0, 0, 0, 0, rows]))
        kernels.run("classify_counter", times, registers, limits, *state, *outputs)

    def copy() -> None:
        # as many bytes as the kernel moves: it reads 16 and writes 17 per reading
        for output, source in zip(outputs, sources, strict=True):
            np.copyto(output, source)

    plain_rows = min(rows, 100_000)
    ours, copying, whole = interleaved(
        classify, copy, lambda: advance(spec, None, times, registers)
    )
    plain = seconds(lambda: classify_plain(times[:plain_rows], registers[:plain_rows]))
    times_copy = 1 / ratio(ours, copying)
    return [
        row(
            f"classifying {rows:,} readings of a counter: time against copying as many bytes",
            times_copy,
            "x",
            f"np.copyto {statistics.median(copying) * 1e3:.2f} ms",
            f"<= {COPY_BAR}",
            times_copy <= COPY_BAR,
        ),
        row(
            "the same with its events and state",
            rows / statistics.median(whole) / 1e6,
            "M/s",
            f"plain Python {plain_rows / plain / 1e6:.2f} M/s",
            None,
            None,
        ),
    ]


def filling(devices: int) -> list[Row]:
    """A year of minutes of each device with gaps of up to three hours."""
    generator = np.random.default_rng(1)
    count = devices * YEAR_MINUTES
    values = np.cumsum(generator.normal(0, 1, count)).reshape(devices, YEAR_MINUTES)
    for series in values:
        for start in generator.integers(1, YEAR_MINUTES - 200, round(YEAR_MINUTES * MISSING / 60)):
            series[start : start + generator.integers(1, 120)] = np.nan
    filled, states = np.empty(YEAR_MINUTES), np.empty(YEAR_MINUTES, np.uint8)
    limit = np.array([120])
    frame = pd.DataFrame(values.T)
    table = pl.DataFrame({str(index): pl.Series(series) for index, series in enumerate(values)})
    table = table.fill_nan(None)
    places = np.arange(YEAR_MINUTES)

    def by_kernel() -> None:
        for series in values:
            kernels.run("fill_lines", series, limit, filled, states)

    def by_numpy() -> None:
        for series in values:
            gone = np.isnan(series)
            np.interp(places, places[~gone], series[~gone])

    ours, polars, pandas, numpy_times = interleaved(
        by_kernel,
        lambda: table.select(pl.all().interpolate()),
        lambda: frame.interpolate(),
        by_numpy,
    )
    saved_ms = (statistics.median(numpy_times) - statistics.median(ours)) * 1e3 / devices
    speed = count / statistics.median(ours) / 1e6
    rows = [
        row("filling with flags, no gap filled in part", speed, "M/s", "", None, None),
        row(
            "what a fill of one device-year saves",
            saved_ms,
            "ms",
            "np.interp, no flags",
            None,
            None,
        ),
    ]
    for name, theirs, bar in (("polars", polars, POLARS_BAR), ("pandas", pandas, PANDAS_BAR)):
        faster = ratio(ours, theirs)
        what = f"the same, {count:,} values: times as fast as the interpolation of {name}"
        speed = count / statistics.median(theirs) / 1e6
        rows.append(row(what, faster, "x", f"{name} {speed:.0f} M/s", f">= {bar}", faster >= bar))
    return rows


def spikes(count: int) -> Row:
    """The incremental median against a rolling one; pandas takes no deviation with it."""
    values = np.random.default_rng(1).normal(100, 2, count)
    series = pd.Series(values)
    verdicts, medians = np.empty(count, np.uint8), np.empty(count)
    limits, scratch = np.array([5.0, 4.0, 1.0]), np.zeros(12)
    ours, theirs = interleaved(
        lambda: kernels.run("hampel", values, limits, scratch, verdicts, medians),
        lambda: series.rolling(11, center=True).median(),
    )
    what = "median and deviation of 11 around each value: times as fast as pandas' median alone"
    rival = f"pandas {count / statistics.median(theirs) / 1e6:.1f} M/s"
    return row(what, ratio(ours, theirs), "x", rival, None, None)


def analogues(features: int) -> Row:
    """A day looked for in a year of minutes, every quarter of an hour, against every minute."""
    import stumpy

    values = np.random.default_rng(1).normal(100, 5, YEAR_MINUTES)
    sums = np.concatenate(([0.0], np.cumsum(values)))
    bounds = np.linspace(0, DAY_MINUTES, features + 1).astype(np.int64)
    candidates = np.arange(0, YEAR_MINUTES - DAY_MINUTES, 15)
    query = values[-DAY_MINUTES:].copy()
    own = sums[-DAY_MINUTES - 1 :]
    arguments = (
        sums,
        np.zeros(features, np.int64),
        np.ascontiguousarray(bounds[:-1]),
        np.ascontiguousarray(bounds[1:]),
        np.ones(features),
        own[bounds[1:]] - own[bounds[:-1]],
        candidates,
        np.zeros(len(candidates)),
    )
    ours, theirs = interleaved(
        lambda: kernels.run("block_distances", *arguments),
        lambda: stumpy.mass(query, values),
        rounds=5,
    )
    share = 1 / ratio(ours, theirs)
    return row(
        f"analogues of a day in a year of minutes, {features} features: share of the time",
        share,
        "x",
        f"stumpy.mass {statistics.median(theirs) * 1e3:.0f} ms",
        f"<= {STUMPY_BAR}",
        share <= STUMPY_BAR,
    )


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
    resident = "numba" not in sys.modules
    return [
        {
            "what": "kernels compiled ahead of time, numba not imported",
            "value": kernels.MODE,
            "unit": "",
            "rival": "",
            "bar": "aot",
            "ok": kernels.MODE == "aot" and resident,
        },
        *arithmetic(rows),
        *counters(2_000_000),  # beyond every cache, as a year of readings is
        *filling(2 if short else 20),
        spikes(rows // 10),
        analogues(96),
    ]
