"""Other ways to fill a gap, written apart from the product; all see the past and two hours after.

Each takes what is seen and the gap [start, end) and returns its values.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from agent.core.gaps.series import Series
from agent.core.kernels.arrays import Floats

Rival = Callable[[Series, int, int], Floats]
DAY_MS = 86_400_000
NEIGHBOURS = 5


def per_hour(series: Series) -> int:
    return round(3_600_000 / series.step_ms)


def linear(series: Series, start: int, end: int) -> Floats:
    """What pandas and polars call interpolation."""
    known = series.values[start - 1], series.values[end]
    return np.interp(np.arange(start, end), [start - 1, end], known)


def last_week(series: Series, start: int, end: int) -> Floats:
    week = 7 * 24 * per_hour(series)
    places = np.arange(start, end) - week
    return series.values[np.where(places < start, places, places - week)]


def seasonal_mean(series: Series, start: int, end: int) -> Floats:
    """Mean of the same time of the last eight weeks."""
    week = 7 * 24 * per_hour(series)
    places = np.arange(start, end) - week * np.arange(1, 9)[:, None]
    usable = (places >= 0) & (places < start)
    found = np.where(usable, series.values[np.maximum(places, 0)], np.nan)
    mean = float(series.values[:start].mean())
    empty = ~usable.any(axis=0)
    found[0, empty] = mean
    return np.nanmean(found, axis=0)


def _clock(series: Series, size: int) -> tuple[Floats, Floats]:
    times = series.start_ms + np.arange(size) * series.step_ms
    weekday = (times // DAY_MS + 3) % 7
    return times % DAY_MS / 3_600_000, np.where(weekday < 5, 0, weekday).astype(np.float64)


def _conditions(series: Series) -> list[Floats]:
    columns = [(v - v.mean()) / (v.std() + 1e-12) for v in series.numbers.values()]
    for codes in series.labels.values():
        columns.extend((codes == code).astype(np.float64) for code in np.unique(codes))
    return columns


def _lagged(column: Floats, reach: float) -> Floats:
    """A running exponential mean, by a convolution of 5 reaches."""
    kernel = np.exp(-np.arange(int(5 * reach) + 1) / reach)
    padded = np.concatenate((np.full(len(kernel) - 1, column[0]), column))
    size = 1 << (len(padded) + len(kernel)).bit_length()
    spectrum = np.fft.rfft(padded, size) * np.fft.rfft(kernel / kernel.sum(), size)
    return np.fft.irfft(spectrum, size)[len(kernel) - 1 : len(padded)]


_latest: dict[tuple[int, int, int], Floats] = {}


def _explained(series: Series, start: int) -> Floats:
    """The regression of a gap; two rivals ask for the same one."""
    key = (series.step_ms, start, len(series))
    if key not in _latest:
        _latest.clear()
        _latest[key] = _fitted(series, start)
    return _latest[key]


def _fitted(series: Series, start: int) -> Floats:
    """Ridge regression on conditions, their lags and the calendar, fitted before the gap."""
    size = len(series)
    columns = _conditions(series)
    rows = [np.ones(size), *columns]
    numbers = columns[: len(series.numbers)]
    rows += [a * b for i, a in enumerate(numbers) for b in numbers[i:]]
    for column in columns:
        rows += [_lagged(column, hours * per_hour(series)) for hours in (0.5, 2.0, 6.0, 18.0)]
    if not series.numbers:  # a plant without a measured load follows the clock
        hour, kind = _clock(series, size)
        slot = (hour * 2).astype(int) + 48 * kind.astype(int)
        rows += [(slot == cell).astype(np.float64) for cell in np.unique(slot)]
    features = np.array(rows).T
    past, ridge = features[:start], np.full(features.shape[1], 5.0)
    ridge[0] = 1e-6
    known = past.T @ series.values[:start]
    result: Floats = features @ np.linalg.solve(past.T @ past + np.diag(ridge), known)
    return result


def _bridged(series: Series, base: Floats, start: int, end: int) -> Floats:
    """A base and a straight line between its errors over 15 minutes on both sides."""
    size = max(1, per_hour(series) // 4)
    rest = series.values - base
    left, right = rest[start - size : start].mean(), rest[end : end + size].mean()
    place = (np.arange(end - start) + 0.5) / (end - start)
    return base[start:end] + (1 - place) * left + place * right


def regression_bridge(series: Series, start: int, end: int) -> Floats:
    return np.maximum(_bridged(series, _explained(series, start), start, end), 0.0)


def _neighbours(series: Series, source: Floats, start: int, end: int, weight: float) -> Floats:
    """Mean of the five times most like the gap: edges, load, time of day and kind of day."""
    length, hour = end - start, per_hour(series)
    stride = max(1, length // 96)
    last = start - length - 2 * hour
    starts = np.arange(last, 24 * hour, -stride)
    spread = float(source[:start].var()) + 1e-12

    def means(first: int, stop: int, column: Floats, scale: float) -> Floats:
        sums = np.concatenate(([0.0], np.cumsum(np.nan_to_num(column))))
        found = (sums[starts + stop] - sums[starts + first]) / (stop - first)
        own = (sums[start + stop] - sums[start + first]) / (stop - first)
        return scale * (found - own) ** 2

    distance = np.zeros(len(starts))
    for size in (1, hour, 2 * hour):
        distance += means(-size, 0, source, 1.0 / spread)
        distance += means(length, length + size, source, 1.0 / spread)
    bounds = [length * i // min(24, length) for i in range(min(24, length) + 1)]
    for column in _conditions(series):
        for first, stop in itertools.pairwise(bounds):
            distance += means(first, stop, column, weight / len(bounds))
    clock, kind = _clock(series, len(series))
    apart = np.abs(clock[starts] - clock[start])
    distance += (np.minimum(apart, 24 - apart) / 3.0) ** 2
    distance += 1.0 * (kind[starts] != kind[start])
    chosen: list[int] = []
    while len(chosen) < NEIGHBOURS and np.isfinite(distance.min()):
        best = int(distance.argmin())
        chosen.append(int(starts[best]))
        distance[np.abs(starts - starts[best]) < max(1, length // 2)] = np.inf
    copies = np.array([source[at : at + length] for at in chosen])
    result: Floats = copies.mean(axis=0)
    return result


def knn(series: Series, start: int, end: int) -> Floats:
    return _neighbours(series, series.values, start, end, 2.0)


def knn_on_residual(series: Series, start: int, end: int) -> Floats:
    base = _explained(series, start)
    rest = np.where(np.isfinite(series.values), series.values - base, 0.0)
    return np.maximum(base[start:end] + _neighbours(series, rest, start, end, 0.5), 0.0)


RIVALS: dict[str, Rival] = {
    "linear": linear,
    "last week": last_week,
    "seasonal mean": seasonal_mean,
    "regression+bridge": regression_bridge,
    "kNN": knn,
    "kNN on residual": knn_on_residual,
}


def kalman(series: Series, start: int, end: int) -> Floats:
    """A local level with smoothing on the fortnight before (statsmodels); for short gaps."""
    from statsmodels.tsa.statespace.structural import UnobservedComponents

    first = max(0, start - min(14 * 24 * per_hour(series), 3000))
    model = UnobservedComponents(series.values[first:], level="llevel")
    result = model.fit(disp=False, maxiter=50)
    level: Floats = np.asarray(result.smoothed_state[0][start - first : end - first])
    return np.maximum(level, 0.0)
