"""Fills the gaps of a series: what is known of each decides how, or that it is left open."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from agent.core.gaps.bridge import LINE, NONE, Bridging
from agent.core.gaps.choice import Part
from agent.core.gaps.filled import FilledGap, Gap, Rules, finished
from agent.core.gaps.methods import METHODS, Methods
from agent.core.gaps.plan import FEWEST, Kind, Plan, learn, scaled
from agent.core.gaps.series import UNKNOWN, Prepared, Series, Span
from agent.core.gaps.special import (
    NEW_SHARE,
    all_stopped,
    by_check_meter,
    counted,
    new_condition,
    refusal,
    stop_values,
    substituted,
)
from agent.core.kernels.arrays import Floats, Mask
from agent.core.timebase import HOUR_MS

RELEARN_DAYS: Final = 30
_GROWN_SHARE: Final = 0.1  # history may grow by that much before a plan is learned again
_TOLD: Final = 0.15  # weight from which a family of methods is named
_MOST_MATCHES: Final = 12
_MOST_RESCALING: Final = 3.0
_USUAL: Final = 0.99  # of the changes in history are no greater than a usual one


class Filler:
    """Fills gaps of one series in time order; plans are learned when first needed and kept.

    Plans from earlier (`Plan.as_record`) may be handed in, each with the interval it knew up to.
    """

    def __init__(
        self, series: Series, rules: Rules, plans: tuple[tuple[int, Plan], ...] = ()
    ) -> None:
        self._series = series
        self._rules = rules
        self._methods: dict[tuple[str, ...], Methods] = {}
        self._plans = {(plan.kind, plan.conditions): (before, plan) for before, plan in plans}

    @property
    def plans(self) -> tuple[tuple[int, Plan], ...]:
        """All plans in use, each with the interval it knew up to."""
        return tuple(self._plans.values())

    def fill(self, gap: Gap, *, like: int | None = None) -> FilledGap:
        """Fill one gap, or say why not; gaps of about ``like`` intervals share a plan."""
        series = self._series
        closed = gap.end < len(series) and bool(np.isfinite(series.values[gap.end]))
        span = Span(first=gap.first, end=gap.end, closed=closed)
        if gap.total is not None and len(gap) == 1:
            return self._keep(span, counted(gap, span, gap.total))
        stopped: Mask = np.zeros(len(gap), np.bool_)
        if series.stopped is not None:
            stopped = series.stopped[gap.first : gap.end]
        if stopped.all():
            return all_stopped(series, gap, span, self._rules)
        use = self._conditions_known(span)
        methods = self._prepare(use)
        if gap.total is None:
            by_check = by_check_meter(series, methods.prepared, gap, span)
            if by_check is not None:
                return self._keep(span, by_check)
        result = self._by_ladder(gap, span, use, like or len(gap))
        if stopped.any() and result.total is not None:
            result = self._with_stop(result, span, stopped)
        return self._keep(span, result)

    def _keep(self, span: Span, result: FilledGap) -> FilledGap:
        if result.total is not None:
            for methods in self._methods.values():
                methods.prepared.close(span, result.values)
                methods.analogues.refresh()
        return result

    def _prepare(self, use: tuple[str, ...]) -> Methods:
        if use not in self._methods:
            self._methods[use] = Methods(Prepared(self._series, use))
        return self._methods[use]

    def _conditions_known(self, span: Span) -> tuple[str, ...]:
        """Names of the conditions that are known throughout a gap, short holes aside."""
        series = self._series
        allowed = NEW_SHARE * len(span)
        lacking = {
            name: np.isnan(values[span.first : span.end]).sum()
            for name, values in series.numbers.items()
        } | {
            name: (codes[span.first : span.end] == UNKNOWN).sum()
            for name, codes in series.labels.items()
        }
        return tuple(name for name, count in lacking.items() if count <= allowed)

    def _by_ladder(self, gap: Gap, span: Span, use: tuple[str, ...], length: int) -> FilledGap:
        methods = self._prepare(use)
        prepared = methods.prepared
        short = len(span) * prepared.step_ms <= self._rules.short_h * HOUR_MS
        may_refuse = gap.total is None and not short
        new = new_condition(self._series, use, span, prepared.known)
        if may_refuse and (reason := refusal(prepared, span, new)):
            return substituted(self._series, gap, span, self._rules, reason)
        kind = Kind(length=length, known_total=gap.total is not None, closed=span.closed)
        plan = self._plan(kind, use, gap.first)
        if may_refuse and plan.calibration < FEWEST:
            reason = "too few comparable times to try methods on"
            return substituted(self._series, gap, span, self._rules, reason)
        if new:
            plan = _by_rule(methods, plan, gap)
        return self._by_plan(gap, span, methods, plan)

    def _plan(self, kind: Kind, use: tuple[str, ...], before: int) -> Plan:
        kept = self._plans.get((kind, use))
        methods = self._prepare(use)
        if kept is not None:
            days = methods.prepared.days_back
            grown = min(days(RELEARN_DAYS), max(days(1), int(_GROWN_SHARE * kept[0])))
            if 0 <= before - kept[0] <= grown:
                return kept[1]
        plan = learn(
            methods,
            kind,
            conditions=use,
            before=before,
            seed=self._rules.seed,
            short_h=self._rules.short_h,
        )
        self._plans[kind, use] = (before, plan)
        return plan

    def _by_plan(self, gap: Gap, span: Span, methods: Methods, plan: Plan) -> FilledGap:
        opinions = _predict(methods, span, (*plan.total, *plan.shape, *plan.panel), gap.total)
        shape = _blend(plan.shape, opinions)
        lowest = methods.prepared.lowest
        panel = np.array([opinions[_key(part)] for part in plan.panel if _key(part) in opinions])
        half = plan.value_quantile * (panel.std(axis=0) + plan.value_floor)
        if gap.total is not None:
            values, total_half = scaled(shape, gap.total), gap.resolution
        else:
            total = float(_blend(plan.total, opinions).sum())
            values = _harmonised(shape, max(total, lowest * len(span)))
            spread = float(panel.sum(axis=1).std())
            floor = plan.total_floor * len(span) / (plan.trial_length or plan.kind.length)
            total_half = plan.total_quantile * (spread + floor)
            step = self._unusual_step(span)
            half, total_half = np.maximum(half, step), max(total_half, step * len(span))
        if plan.calibration == 0:
            half = self._unproven_half(span, values, gap.total)
            total_half = gap.resolution if gap.total is not None else float(half.sum())
        return finished(
            gap,
            span,
            values,
            half=half,
            total_half=total_half,
            method=_told(plan.shape, known_total=gap.total is not None),
            lowest=lowest,
            score_pct=plan.score_pct,
            calibration=plan.calibration,
            matched=_matches(methods, span, plan, gap.total),
        )

    def _unusual_step(self, span: Span) -> float:
        """Half the change between the values beside a short gap, where history saw hardly any such.

        Pseudo-gaps in a steady history say nothing of how sure a change within a gap is.
        """
        values = self._series.values
        length_ms = len(span) * self._series.step_ms
        if not span.closed or not span.first or length_ms > self._rules.short_h * HOUR_MS:
            return 0.0
        step = abs(float(values[span.end] - values[span.first - 1]))
        known, apart = values[: span.first], len(span) + 1
        changes = np.abs(known[apart:] - known[:-apart])
        changes = changes[np.isfinite(changes)]
        if not math.isfinite(step) or (len(changes) and step <= np.quantile(changes, _USUAL)):
            return 0.0
        return step / 2

    def _unproven_half(self, span: Span, values: Floats, total: float | None) -> Floats:
        """Half-width where no pseudo-gap could be tried: how much neighbouring values differ."""
        known = self._series.values[: span.first]
        known = known[np.isfinite(known)]
        if total is not None or len(known) < 3:
            return np.full(len(values), np.abs(values).max() if total is None else abs(total))
        edges = [known[-1], self._series.values[span.end] if span.closed else known[-1]]
        half = max(1.645 * float(np.diff(known).std()), float(np.ptp(edges)))
        return np.full(len(values), half)

    def _with_stop(self, result: FilledGap, span: Span, stopped: Mask) -> FilledGap:
        """A gap that a stop reaches into: the stop as earlier stops, the rest as estimated."""
        known = stop_values(self._series, span.first)
        values = result.values.copy()
        values[stopped] = float(known.mean()) if len(known) else 0.0
        half = np.maximum(result.upper - result.values, result.values - result.lower)
        running = float(result.values[~stopped].sum())
        if result.gap.total is not None:
            at_rest = min(float(values[stopped].sum()), max(result.gap.total, 0.0))
            values[stopped] = at_rest / int(stopped.sum())
            values[~stopped] = scaled(values[~stopped], result.gap.total - at_rest)
        assert result.total is not None
        assert result.total_upper is not None
        share = running / result.total if result.total > 0.0 else 1.0
        return finished(
            result.gap,
            span,
            values,
            half=half,
            total_half=(result.total_upper - result.total)
            * (1.0 if result.gap.total is not None else share),
            method=f"{result.method}+stop",
            lowest=min(0.0, float(values.min())),
            score_pct=result.score_pct,
            calibration=result.calibration,
            matched=result.matched,
        )


def _key(part: Part) -> tuple[str, int]:
    return part.method, part.bridge


def _predict(
    methods: Methods, span: Span, parts: tuple[Part, ...], total: float | None
) -> dict[tuple[str, int], Floats]:
    """What each method, bent by each bridge that is asked for, says of a gap."""
    prepared = methods.prepared
    bridging = Bridging(prepared, len(span))
    places = np.arange(span.first - prepared.edge, span.end + prepared.edge)
    inside = (places >= 0) & (places < prepared.count)
    actual = np.where(inside, prepared.values[np.clip(places, 0, prepared.count - 1)], math.nan)
    known = np.array([prepared.leans(int(place), int(place) + 1) for place in places])
    actual[~known] = math.nan
    actual[prepared.edge : prepared.edge + len(span)] = math.nan
    result = {}
    for name in dict.fromkeys(part.method for part in parts):
        base = methods.predict(name, span, total)
        if base is None:
            continue
        bent = bridging.apply(base, actual)
        for part in parts:
            if part.method == name:
                one = bent[part.bridge]
                result[_key(part)] = one if total is None else scaled(one, total)
    if not result:
        bent = bridging.apply(np.zeros(len(places)), actual)
        fallback = bent[LINE] if total is None else scaled(bent[LINE], total)
        result = {_key(part): fallback for part in parts}
    return result


def _blend(parts: tuple[Part, ...], opinions: dict[tuple[str, int], Floats]) -> Floats:
    """Weighted mean of those parts that had something to say."""
    present = [part for part in parts if _key(part) in opinions]
    if not present:
        return next(iter(opinions.values()))
    weights = sum(part.weight for part in present)
    shares = [opinions[_key(part)] * (part.weight / weights) for part in present]
    result: Floats = np.sum(shares, axis=0)
    return result


def _harmonised(shape: Floats, total: float) -> Floats:
    """The shape with the total that was estimated apart from it, unless both differ widely."""
    amount = float(shape.sum())
    if amount <= 0.0 or total <= 0.0:
        return np.full(len(shape), total / len(shape))
    if not 1.0 / _MOST_RESCALING < total / amount < _MOST_RESCALING:
        return shape + (total - amount) / len(shape)
    return shape * (total / amount)


def _by_rule(methods: Methods, plan: Plan, gap: Gap) -> Plan:
    """The plan with the rule for short gaps in place of what was learned of other conditions."""
    usable = methods.usable(len(gap), known_total=plan.kind.known_total)
    name = next((name for name in ("line-by-load", "line") if name in usable), "weeks")
    bridge = LINE if METHODS[name].bridged else NONE
    parts = (Part(method=name, bridge=bridge, weight=1.0),)
    total = () if plan.kind.known_total else parts
    return Plan(
        **{
            field: getattr(plan, field)
            for field in plan.__slots__
            if field not in {"total", "shape"}
        },
        total=total,
        shape=parts,
    )


def _told(parts: tuple[Part, ...], *, known_total: bool) -> str:
    """Families of the methods used, the weightiest first."""
    weights: dict[str, float] = {}
    for part in parts:
        family = METHODS[part.method].family
        weights[family] = weights.get(family, 0.0) + part.weight
    ordered = sorted(weights, key=lambda family: (-weights[family], family))
    told = [family for family in ordered if weights[family] >= _TOLD] or ordered[:1]
    return ("register:" if known_total else "") + "+".join(told)


def _matches(
    methods: Methods, span: Span, plan: Plan, total: float | None
) -> tuple[tuple[int, int], ...]:
    """The periods of the weightiest search for analogues in the plan."""
    searching = [part for part in (*plan.shape, *plan.total) if METHODS[part.method].search]
    if not searching:
        return ()
    best = max(searching, key=lambda part: part.weight)
    found = methods.matches(best.method, span, total)
    if found is None:
        return ()
    starts = found.starts[:_MOST_MATCHES]
    return tuple((int(start), int(start) + len(span)) for start in starts)
