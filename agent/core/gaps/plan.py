"""What is learned from pseudo-gaps about gaps of one kind: a small record that can be kept."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np

from agent.core.gaps.bridge import BRIDGES, LINES, NONE, Bridging
from agent.core.gaps.choice import Part, blend, choose, conformal_quantile, folds
from agent.core.gaps.methods import METHODS, Methods
from agent.core.gaps.series import Prepared, Span
from agent.core.kernels.arrays import Floats, Integers, Mask
from agent.core.timebase import HOUR_MS

LEVEL: Final = 0.9
PSEUDO_GAPS: Final = 64
FEWEST: Final = 12  # with fewer pseudo-gaps nothing is chosen by them
LEARN_DAYS: Final = 180
APART_TRIALS: Final = 20  # a history must hold that many pseudo-gaps side by side
LEAST_TRIAL_H: Final = 24.0  # but shorter ones tell nothing of days
_PLACES: Final = 96  # at which a shape is compared
_PANEL: Final = 2.0  # methods up to this many times the best error tell how far opinions differ
_CLEARLY: Final = 0.9  # a blend must beat the rule for short gaps by that much
_FLOOR: Final = 0.5
_TRIED_FIRST: Final = 3  # every so many-th pseudo-gap is tried before the others
_HOPELESS: Final = 3.0  # a method that errs so many times as much as the best is tried no further
_SILENT: Final = 0.25  # of the pseudo-gaps a method may have nothing to say of


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What gaps have in common that one plan serves: length, total known or not, end known."""

    length: int
    known_total: bool
    closed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How gaps of one kind are filled, and how well that went on pseudo-gaps.

    The half-width of a 90 % interval is ``quantile * (spread + floor)``, where the spread is how
    far the panel's methods disagree. ``score_pct`` is the error of the gap's total, or with a known
    total the mean absolute error of its values, in per cent of what was consumed.
    """

    kind: Kind
    total: tuple[Part, ...]
    shape: tuple[Part, ...]
    panel: tuple[Part, ...]
    total_quantile: float
    total_floor: float
    value_quantile: float
    value_floor: float
    score_pct: float | None
    calibration: int
    scores_pct: dict[str, float]
    conditions: tuple[str, ...] = ()
    trial_length: int = 0

    def as_record(self) -> dict[str, Any]:
        """The plan as plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Plan:
        """The plan that `as_record` wrote."""
        parts = {
            name: tuple(Part(**part) for part in record[name])
            for name in ("total", "shape", "panel")
        }
        kind = Kind(**record["kind"])
        conditions = tuple(record["conditions"])
        return cls(**{**record, **parts, "kind": kind, "conditions": conditions})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trials:
    """Predictions for pseudo-gaps: axes pseudo-gap, method, bridge and (shapes) place."""

    methods: tuple[str, ...]
    totals: Floats
    shapes: Floats
    true_totals: Floats
    true_shapes: Floats
    allowed: Floats

    def of(self, rows: Integers) -> _Trials:
        return _Trials(
            methods=self.methods,
            totals=self.totals[rows],
            shapes=self.shapes[rows],
            true_totals=self.true_totals[rows],
            true_shapes=self.true_shapes[rows],
            allowed=self.allowed,
        )


def pseudo_gaps(prepared: Prepared, length: int, before: int, seed: int) -> Integers:
    """Starts of up to 64 stretches that were measured throughout, with their edges, in time order.

    They end before ``before`` and leave out the first quarter of the history, from which the first
    of them learns. The same seed gives the same ones.
    """
    edge = prepared.edge
    first = max(edge, before - prepared.days_back(LEARN_DAYS))
    first += (before - first) // 4
    starts = np.arange(first, before - length - edge + 1, dtype=np.int64)
    if not len(starts):
        return starts
    sums = prepared.known_sums
    whole = sums[starts + length + edge] - sums[starts - edge] == length + 2 * edge
    starts = starts[whole]
    if len(starts) <= PSEUDO_GAPS:
        return np.asarray(starts, np.int64)
    # One from each of equal parts: spread over the history, at times that follow no pattern.
    bounds = np.linspace(0, len(starts), PSEUDO_GAPS + 1).astype(np.int64)
    drawn = np.random.default_rng([seed, length]).random(PSEUDO_GAPS)
    return np.asarray(starts[bounds[:-1] + (drawn * np.diff(bounds)).astype(np.int64)], np.int64)


def learn(
    methods: Methods,
    kind: Kind,
    *,
    conditions: tuple[str, ...],
    before: int,
    seed: int,
    short_h: float,
) -> Plan:
    """Choose methods for gaps of a kind by back-testing them on pseudo-gaps before an interval.

    Each is filled from what lay before it and two hours after, as a gap is when it closes. The
    weights that judge a pseudo-gap come from pseudo-gaps of other times.
    """
    prepared = methods.prepared
    length = kind.length if kind.known_total else _trial_length(prepared, kind.length, before)
    starts = pseudo_gaps(prepared, length, before, seed)
    short = kind.length * prepared.step_ms <= short_h * HOUR_MS
    fallback = _ladder(methods, kind, short=short)
    if len(starts) < FEWEST:
        return _unproven(kind, conditions, fallback)
    trials = _try(methods, replace(kind, length=length), starts, fallback if short else ())
    alike = _as_now(starts, before)
    errors, value_errors, spreads, value_spreads = (
        judged[alike] for judged in _judge(trials, kind, fallback if short else ())
    )
    floor = _FLOOR * float(errors.mean())
    value_floor = _FLOOR * float(value_errors.mean())
    total, shape, panel = _choose(trials, kind, fallback if short else ())
    by_method = _scores(trials, kind)
    if kind.known_total:
        score = value_errors.sum() / trials.true_shapes[alike].sum()
    else:
        score = errors.sum() / np.abs(trials.true_totals[alike]).sum()
    return Plan(
        kind=kind,
        total=total,
        shape=shape,
        panel=panel,
        total_quantile=_quantile(errors, spreads, floor),
        total_floor=floor,
        value_quantile=_quantile(value_errors.ravel(), value_spreads.ravel(), value_floor),
        value_floor=value_floor,
        score_pct=100.0 * float(score),
        calibration=len(alike),
        scores_pct=by_method,
        conditions=conditions,
        trial_length=length,
    )


def _as_now(starts: Integers, before: int) -> Integers:
    """Numbers of the pseudo-gaps that were filled from at least half as much history as now.

    Methods err more while they know little; so the others say which method is better, but not how
    sure it is. All count where few would remain.
    """
    alike = np.flatnonzero(starts >= before // 2)
    return alike if len(alike) >= 2 * FEWEST else np.arange(len(starts))


def _trial_length(prepared: Prepared, length: int, before: int) -> int:
    """Length of the pseudo-gaps: that of the gap, or what a short history holds often enough.

    Which method tells an amount best is much the same for one day and for three; how the shape of
    a known total is best told is not.
    """
    history = min(before, prepared.days_back(LEARN_DAYS))
    return max(1, min(length, max(prepared.intervals(LEAST_TRIAL_H), history // APART_TRIALS)))


def _quantile(errors: Floats, spreads: Floats, floor: float) -> float:
    widths = spreads + floor
    scores = np.where(widths > 0.0, errors / np.where(widths > 0.0, widths, 1.0), 0.0)
    return conformal_quantile(scores, LEVEL)


def _ladder(methods: Methods, kind: Kind, *, short: bool) -> tuple[Part, ...]:
    """What is done by rule: a line, scaled by the load, in short gaps; else the whole ladder."""
    usable = methods.usable(kind.length, known_total=kind.known_total)
    if short:
        name = "line-by-load" if "line-by-load" in usable else "line"
    else:
        order = ("residual-analogue", "regression", "kind-of-day", "last-week")
        name = next(name for name in order if name in usable)
    bridge = NONE if not METHODS[name].bridged else LINES[0]
    return (Part(method=name, bridge=bridge, weight=1.0),)


def _unproven(kind: Kind, conditions: tuple[str, ...], parts: tuple[Part, ...]) -> Plan:
    return Plan(
        kind=kind,
        total=parts,
        shape=parts,
        panel=parts,
        total_quantile=0.0,
        total_floor=0.0,
        value_quantile=0.0,
        value_floor=0.0,
        score_pct=None,
        calibration=0,
        scores_pct={},
        conditions=conditions,
    )


def _try(methods: Methods, kind: Kind, starts: Integers, rule: Parts) -> _Trials:
    prepared = methods.prepared
    edge, length = prepared.edge, kind.length
    names = methods.usable(length, known_total=kind.known_total)
    places = np.arange(0, length, max(1, length // _PLACES))
    bridging = Bridging(prepared, length)
    shapes = np.full((len(starts), len(names), len(BRIDGES), len(places)), np.nan)
    totals = np.full(shapes.shape[:3], np.nan)
    true_shapes = np.empty((len(starts), len(places)))
    true_totals = np.empty(len(starts))
    allowed = np.array([_bridges_of(name) for name in names])
    hopeful = np.ones(len(names), np.bool_)
    first = np.arange(0, len(starts), _TRIED_FIRST)
    for turn, row in enumerate((*first, *np.setdiff1d(np.arange(len(starts)), first))):
        if turn == len(first):
            off = np.abs(totals[first] - true_totals[first, None, None])[..., None]
            shapes_off = np.abs(shapes[first] - true_shapes[first, None, None])
            hopeful = _hopeful(off, allowed) | _hopeful(shapes_off, allowed)
            hopeful |= np.isin(names, [part.method for part in rule])
        span = Span(first=int(starts[row]), end=int(starts[row]) + length, closed=kind.closed)
        actual = prepared.series.values[prepared.around(span)].copy()
        true_shapes[row] = actual[edge : edge + length][places]
        true_totals[row] = actual[edge : edge + length].sum()
        actual[edge : edge + length if kind.closed else None] = np.nan
        total = float(true_totals[row]) if kind.known_total else None
        for column, name in enumerate(names):
            base = methods.predict(name, span, total) if hopeful[column] else None
            if base is None:
                continue
            bent = bridging.apply(base, actual)
            totals[row, column] = bent.sum(axis=1)
            if total is not None:
                bent = np.array([scaled(one, total) for one in bent])
            shapes[row, column] = bent[:, places]
    silent = np.isnan(totals[:, :, 0])
    spoke = silent.mean(axis=0) <= _SILENT
    names = tuple(name for name, kept in zip(names, spoke, strict=True) if kept)
    return _Trials(
        methods=names,
        totals=_neutral(totals[:, spoke]),
        shapes=_neutral(shapes[:, spoke]),
        true_totals=true_totals,
        true_shapes=true_shapes,
        allowed=allowed[spoke],
    )


def _hopeful(errors: Floats, allowed: Floats) -> Mask:
    """Which methods are not far behind with their best bridge; axes method, bridge, place last."""
    spoke = np.isfinite(errors[:, :, :1, :1])
    sums = np.where(spoke, errors, 0.0).sum(axis=(0, 3)) / np.maximum(spoke.sum(axis=(0, 3)), 1)
    sums[(allowed == 0) | ~spoke.any(axis=(0, 3))] = np.inf
    losses = sums.min(axis=1)
    kept: Mask = losses <= _HOPELESS * losses.min() + 1e-12
    return kept


def _neutral(predictions: Floats) -> Floats:
    """Where a method had nothing to say of a pseudo-gap, the mean of the others stands for it."""
    silent = np.isnan(predictions)
    if not silent.any():
        return predictions
    others = np.where(silent, 0.0, predictions).sum(axis=1) / (~silent).sum(axis=1)
    return np.where(silent, others[:, None], predictions)


def _bridges_of(name: str) -> Floats:
    allowed = np.ones(len(BRIDGES))
    if not METHODS[name].bridged:
        allowed[1:] = 0.0
    elif name == "line":
        allowed[:] = 0.0
        allowed[list(LINES)] = 1.0
    return allowed


def scaled(shape: Floats, total: float) -> Floats:
    """A shape that adds up to a total; spread evenly where the shape says nothing."""
    amount = float(shape.sum())
    if amount <= 0.0 or total < 0.0:
        return np.full(len(shape), total / len(shape))
    return shape * (total / amount)


Parts = tuple[Part, ...]


def _choose(trials: _Trials, kind: Kind, rule: Parts) -> tuple[Parts, Parts, Parts]:
    """Parts for the total and for the shape, and the panel; the rule where it is as good."""
    names = trials.methods
    shape = choose(names, trials.shapes, trials.true_shapes, trials.allowed)
    if kind.known_total:
        return (
            (),
            _unless(rule, shape, names, trials.shapes, trials.true_shapes),
            _panel(trials, trials.shapes, trials.true_shapes),
        )
    totals, true_totals = trials.totals[..., None], trials.true_totals[:, None]
    total = choose(names, totals, true_totals, trials.allowed)
    chosen = _unless(rule, total, names, totals, true_totals)
    return chosen, chosen if chosen == rule else shape, _panel(trials, totals, true_totals)


def _unless(
    rule: Parts, parts: Parts, names: tuple[str, ...], predictions: Floats, truth: Floats
) -> Parts:
    """The parts, unless the rule for short gaps is nearly as good."""
    if not rule:
        return parts
    by_rule = np.abs(blend(rule, names, predictions) - truth).sum()
    by_parts = np.abs(blend(parts, names, predictions) - truth).sum()
    return parts if by_parts < _CLEARLY * by_rule or np.isnan(by_rule) else rule


def _panel(trials: _Trials, predictions: Floats, truth: Floats) -> Parts:
    errors = np.abs(predictions - truth[:, None, None]).sum(axis=(0, 3))
    errors = np.where((trials.allowed > 0) & np.isfinite(errors), errors, np.inf)
    bridges = errors.argmin(axis=1)
    losses = errors.min(axis=1)
    members = np.flatnonzero(losses <= _PANEL * losses.min() + 1e-12)
    return tuple(
        Part(method=trials.methods[i], bridge=int(bridges[i]), weight=1.0 / len(members))
        for i in members
    )


def _judge(trials: _Trials, kind: Kind, rule: Parts) -> tuple[Floats, Floats, Floats, Floats]:
    """Errors of totals and of values on pseudo-gaps that others chose for, and the spreads."""
    count = len(trials.true_totals)
    errors, spreads = np.zeros(count), np.zeros(count)
    value_errors = np.zeros(trials.true_shapes.shape)
    value_spreads = np.zeros(trials.true_shapes.shape)
    for rows in folds(count):
        others = np.setdiff1d(np.arange(count), rows)
        total, shape, panel = _choose(trials.of(others), kind, rule)
        judged = trials.of(rows)
        shapes = blend(shape, trials.methods, judged.shapes)
        value_spreads[rows] = _spread(panel, judged.methods, judged.shapes)
        if not kind.known_total:
            totals = blend(total, trials.methods, judged.totals[..., None])[:, 0]
            errors[rows] = np.abs(totals - judged.true_totals)
            spreads[rows] = _spread(panel, judged.methods, judged.totals[..., None])[:, 0]
        value_errors[rows] = np.abs(shapes - judged.true_shapes)
    return errors, value_errors, spreads, value_spreads


def _spread(panel: Parts, names: tuple[str, ...], predictions: Floats) -> Floats:
    opinions = np.array([predictions[:, names.index(part.method), part.bridge] for part in panel])
    result: Floats = opinions.std(axis=0)
    return result


def _scores(trials: _Trials, kind: Kind) -> dict[str, float]:
    """Per cent error of each method alone, with its best bridge."""
    if kind.known_total:
        errors = np.abs(trials.shapes - trials.true_shapes[:, None, None]).sum(axis=(0, 3))
        whole = np.abs(trials.true_shapes).sum()
    else:
        errors = np.abs(trials.totals - trials.true_totals[:, None, None]).sum(axis=0)
        whole = np.abs(trials.true_totals).sum()
    errors = np.where((trials.allowed > 0) & np.isfinite(errors), errors, np.inf).min(axis=1)
    return {
        name: round(100.0 * float(error / whole), 3)
        for name, error in zip(trials.methods, errors, strict=True)
        if np.isfinite(error) and whole > 0
    }
