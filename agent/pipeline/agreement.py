"""Every hour: what each counter booked against the integral of the same meter's rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agent.book.ports import Owner, Span
from agent.book.sqlite import SqliteBook
from agent.config.site import SiteConfig
from agent.core.model import Event, PointRole, Provenance, Severity, StreamKind, StreamSpec
from agent.core.quality.agreement import Disagreement, Verdict, counter_against_rate
from agent.core.timebase import HOUR_MS
from agent.core.units import integral_unit
from agent.pipeline.close import MISSED_PERIODS
from agent.store.history import History
from agent.store.readings import Readings, Series

if TYPE_CHECKING:
    from sqlite3 import Connection

TELL_AGAIN_MS = 24 * HOUR_MS
LEAST_COVERED = 0.95  # of the hour, by readings of the rate


class Agreement:
    """Compares the two witnesses that many meters carry."""

    def __init__(self, config: SiteConfig, owner: Owner, readings: Readings) -> None:
        self._owner = owner
        self._readings = readings
        self._rates = rates_of(config)
        self._told: dict[str, int] = {}

    def check_hour(self, connection: Connection, hour_ms: int) -> None:
        """Book an event for each counter that its rate contradicts in a closed hour."""
        history = History(connection, self._readings)
        book = SqliteBook(connection)
        span = Span(from_ms=hour_ms, to_ms=hour_ms + HOUR_MS)
        read = history.good([rate for _, rate in self._rates], span.from_ms, span.to_ms)
        events = []
        for spec, rate in self._rates:
            last_ms = self._told.get(spec.id)
            if last_ms is not None and hour_ms - last_ms < TELL_AGAIN_MS:
                continue
            integral = mean_amount(read[rate], spec.period_ms)
            windows = book.current_windows(self._owner, span, spec.id)
            measured = [each for each in windows if each.provenance is Provenance.MEASURED]
            whole = sum(each.length_ms for each in measured) == HOUR_MS
            if integral is None or not whole:
                continue
            counted = sum(each.value or 0.0 for each in measured)
            verdict = counter_against_rate(counted, integral, resolution=spec.resolution)
            if verdict.disagreement is not None:
                self._told[spec.id] = hour_ms
                events.append(_event(spec, rate, hour_ms, verdict))
        book.add_events(self._owner, events)


def rates_of(config: SiteConfig) -> tuple[tuple[StreamSpec, str], ...]:
    """Each counter that is booked, with the rate of the same meter that integrates to its unit.

    A meter with several counters or rates of one unit (import and export) tells no pair.
    """
    pairs = []
    for meter in config.meters.values():
        rates: dict[str | None, list[str]] = {}
        counters: dict[str, list[str]] = {}
        for point in meter.points:
            name = f"{meter.id}.{point.id}"
            if point.role is PointRole.RATE:
                rates.setdefault(integral_unit(point.unit), []).append(name)
            elif point.role is PointRole.COUNTER:
                counters.setdefault(point.unit, []).append(name)
        for unit, names in counters.items():
            spec = config.metered.get(names[0])
            partners = rates.get(unit, [])
            alone = len(names) == len(partners) == 1
            if alone and spec is not None and spec.kind is StreamKind.COUNTER:
                pairs.append((spec, partners[0]))
    return tuple(pairs)


def mean_amount(series: Series, period_ms: int) -> float | None:
    """The amount of an hour by its mean rate; None if too little of the hour was read.

    Example: 3,600 readings of 97 kW are 97 kWh.
    """
    times, values = series.times_ms, series.values
    if len(times) < 2:
        return None
    spans = np.minimum(np.diff(times), MISSED_PERIODS * period_ms + 1000)
    covered_ms = float(spans.sum())
    if covered_ms < LEAST_COVERED * HOUR_MS:
        return None
    return float((spans * (values[1:] + values[:-1])).sum() / (2 * covered_ms))


def _event(spec: StreamSpec, rate: str, hour_ms: int, verdict: Verdict) -> Event:
    stuck = verdict.disagreement is Disagreement.STUCK
    return Event(
        time_ms=hour_ms + HOUR_MS,
        code="counter.stuck" if stuck else "counter.disagrees",
        subject=spec.id,
        severity=Severity.WARNING,
        detail=f"counted={verdict.first:.6g} integral={verdict.second:.6g} "
        f"tolerated={verdict.tolerance:.6g} unit={spec.unit} rate={rate}",
    )
