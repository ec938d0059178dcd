"""Accuracy of gap filling against other methods on the same gaps, and its speed.

Gaps are drawn at random times and scored one by one; every method sees the past and two hours
after. Tanshu chooses its method by pseudo-gaps in the past, without seeing the gap. The seeds were
not used while the methods were made.
"""

from __future__ import annotations

import math
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from _gap_rivals import RIVALS, kalman
from _gap_series import AFTER_H, Dataset, steam, steel

from agent.core.gaps.fill import Filler
from agent.core.gaps.filled import Gap, Rules
from agent.core.gaps.plan import Plan, scaled
from agent.core.kernels.arrays import Floats

ENVIRONMENT = "bench"
SEED = 20_270_318
GAPS = {"steel": 200, "steam": 100}
KALMAN_GAPS = 100
KALMAN_LENGTHS = ("15 min", "1 h", "6 h")
MARGIN = {"steel": 1.0, "steam": 0.2}  # points that Tanshu may lie behind the best rival
OURS = "tanshu"
MEAN_OF = {"kNN", "regression+bridge"}
MEAN = "mean of kNN and regression+bridge"
DATASETS = {"steel": steel, "steam": steam}
Row = dict[str, Any]
Cell = dict[str, Any]
Plans = tuple[tuple[int, Plan], ...]


def ours(dataset: Dataset, start: int, length: int, total: float | None, plans: Plans) -> Any:
    """What Tanshu makes of one gap, and the plans to go on with."""
    filler = Filler(dataset.seen(start, length), Rules(), plans)
    gap = Gap(first=start, end=start + length, total=total, resolution=dataset.resolution)
    return filler.fill(gap), filler.plans


def score(dataset: Dataset, label: str, starts: Any, rivals: dict[str, Any]) -> Cell:
    """Errors of every method on every gap of one length; axes method, gap."""
    length = dataset.lengths[label]
    truth = dataset.series.values
    blended = MEAN_OF.issubset(rivals)
    names = [*rivals, *([MEAN] if blended else []), OURS]
    totals, values, shapes = (np.zeros((len(names), len(starts))) for _ in range(3))
    amounts = np.zeros(len(starts))
    covered: list[tuple[bool, float, float]] = []
    calibration = 0
    plans: dict[bool, Plans] = {False: (), True: ()}
    for column, start in enumerate(int(start) for start in starts):
        true = truth[start : start + length]
        total = dataset.total(start, length)
        amounts[column] = true.sum()
        seen = dataset.seen(start, length)
        guesses = {name: rival(seen, start, start + length) for name, rival in rivals.items()}
        if blended:
            guesses[MEAN] = np.mean([guesses[name] for name in MEAN_OF], axis=0)
        found = [(guess, scaled(np.maximum(guess, 0.0), total)) for guess in guesses.values()]
        free, plans[False] = ours(dataset, start, length, None, plans[False])
        fixed, plans[True] = ours(dataset, start, length, total, plans[True])
        found.append((free.values, fixed.values))
        calibration = max(calibration, free.calibration)
        covered.append(
            (
                free.total_lower <= amounts[column] <= free.total_upper,
                _share(free, true),
                _share(fixed, true),
            )
        )
        for row, (guess, shape) in enumerate(found):
            totals[row, column] = abs(guess.sum() - amounts[column])
            values[row, column] = np.abs(guess - true).mean()
            shapes[row, column] = np.abs(shape - true).mean()
    mean = truth.mean()
    return {
        "dataset": dataset.name,
        "label": label,
        "gaps": len(starts),
        "names": names,
        "total": 100.0 * totals.sum(axis=1) / amounts.sum(),
        "value": 100.0 * values.mean(axis=1) / mean,
        "known": 100.0 * shapes.mean(axis=1) / mean,
        "coverage": 100.0 * np.mean(covered, axis=0),
        "calibration": calibration,
    }


def _share(result: Any, true: Floats) -> float:
    near = 1e-9 * (1.0 + np.abs(true))
    return float(((true >= result.lower - near) & (true <= result.upper + near)).mean())


def cell(name: str, label: str, short: bool) -> Cell:
    """One data set and length, in a process of its own."""
    warnings.simplefilter("ignore")
    dataset = DATASETS[name]()
    length = dataset.lengths[label]
    if short:
        week = len(dataset.series) - 7 * 24 * dataset.per_hour
        most = len(dataset.series) - length - math.ceil(AFTER_H * dataset.per_hour)
        starts = np.sort(np.random.default_rng(SEED).integers(week, max(week + 8, most), 8))
        return score(dataset, label, np.minimum(starts, most), RIVALS)
    starts = dataset.starts(length, GAPS[name], SEED)
    result = score(dataset, label, starts, RIVALS)
    if label in KALMAN_LENGTHS:
        some = starts[:: max(1, len(starts) // KALMAN_GAPS)]
        result["kalman"] = score(dataset, label, some, {"Kalman": kalman})
    return result


def print_cell(result: Cell) -> None:
    print(f"{result['dataset']}, {result['label']}, {result['gaps']} gaps, per cent:")
    print(f"  {'':36}{'total unknown: total':>21}{'values':>9}{'total known: values':>21}")
    for index, name in enumerate(result["names"]):
        print(
            f"  {name:36}{result['total'][index]:21.2f}{result['value'][index]:9.2f}"
            f"{result['known'][index]:21.2f}"
        )
    totals, values, allocated = result["coverage"]
    print(f"  90 % intervals cover {totals:.0f} % of totals, {values:.0f} % of values, ", end="")
    print(f"{allocated:.0f} % of allocated values", flush=True)


def accuracy_rows(results: list[Cell], *, judged: bool) -> list[Row]:
    rows: list[Row] = []
    ahead = []
    for result in results:
        margin = MARGIN[result["dataset"]]
        for measure, what in (("total", "error of the total"), ("known", "MAE, total known")):
            if measure == "known" and result["label"] == "15 min" and result["dataset"] == "steel":
                continue  # one interval of a known total is no estimate
            errors = result[measure]
            best = int(errors[:-1].argmin())
            ahead.append(errors[-1] <= errors[best])
            rows.append(
                _row(
                    f"{result['dataset']} {result['label']}: {what}",
                    float(errors[-1]),
                    "%",
                    f"{result['names'][best]} {errors[best]:.2f}",
                    f"<= {errors[best] + margin:.2f}",
                    bool(errors[-1] <= errors[best] + margin) if judged else None,
                )
            )
        if "kalman" in result:
            other = result["kalman"]["total"]
            rows.append(
                _row(
                    f"{result['dataset']} {result['label']}: the total of "
                    f"{result['kalman']['gaps']} of them",
                    float(other[1]),
                    "%",
                    f"Kalman {other[0]:.2f}",
                    f"<= {other[0] + margin:.2f}",
                    bool(other[1] <= other[0] + margin) if judged else None,
                )
            )
    share = sum(ahead) / len(ahead)
    rows.append(
        _row(
            "cells in which no rival is better",
            share,
            "",
            "",
            "> 0.5",
            share > 0.5 if judged else None,
        )
    )
    return rows


def coverage_rows(results: list[Cell], *, judged: bool) -> list[Row]:
    rows = []
    for name in dict.fromkeys(result["dataset"] for result in results):
        own = [result for result in results if result["dataset"] == name]
        for index, what in enumerate(("totals", "values", "allocated values")):
            shares = [
                result["coverage"][index]
                for result in own
                if index < 2 or result["label"] != "15 min"
            ]
            weights = [result["gaps"] for result in own if index < 2 or result["label"] != "15 min"]
            pooled = float(np.average(shares, weights=weights))
            rows.append(
                _row(
                    f"{name}: 90 % intervals of {what} cover, pooled over {sum(weights)} gaps",
                    pooled,
                    "%",
                    f"calibration {own[0]['calibration']}",
                    "85 to 95",
                    85.0 <= pooled <= 95.0 if judged and index == 0 else None,
                )
            )
        least = min(float(result["coverage"][0]) for result in own)
        rows.append(
            _row(
                f"{name}: the same, totals, least of the gap classes",
                least,
                "%",
                "",
                ">= 80",
                least >= 80.0 if judged else None,
            )
        )
    return rows


def _row(what: str, value: Any, unit: str, rival: str, bar: str | None, ok: Any) -> Row:
    return {"what": what, "value": value, "unit": unit, "rival": rival, "bar": bar, "ok": ok}


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def speed_rows() -> list[Row]:
    """What a plan costs, and a gap by a plan; the loops are in `scripts/bench kernels`."""
    dataset = steel()
    start, length = 15_000, 96
    begin = time.perf_counter()
    _, plans = ours(dataset, start, length, None, ())
    learning = time.perf_counter() - begin
    again = statistics.median(
        _seconds(lambda: ours(dataset, start, length, None, plans)) for _ in range(5)
    )
    return [
        _row(
            "learning a plan for 24 h gaps from 156 days of 15 min", learning, "s", "", None, None
        ),
        _row(
            "a gap by a plan that is kept, series prepared anew", again * 1e3, "ms", "", None, None
        ),
    ]


def run(short: bool = False) -> list[Row]:
    labels = ("1 h", "24 h") if short else ("15 min", "1 h", "6 h", "24 h", "3 d")
    jobs = [(name, label) for label in reversed(labels) for name in DATASETS]
    with ProcessPoolExecutor(max_workers=min(2, os.cpu_count() or 1)) as pool:
        waiting = [pool.submit(cell, name, label, short) for name, label in jobs]
        results = []
        for job in as_completed(waiting):
            results.append(job.result())
            print_cell(results[-1])
    order = list(labels)
    results.sort(key=lambda result: (result["dataset"] != "steel", order.index(result["label"])))
    return [
        *accuracy_rows(results, judged=not short),
        *coverage_rows(results, judged=not short),
        *speed_rows(),
    ]
