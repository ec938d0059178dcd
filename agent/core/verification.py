"""Estimates that stood for a silent meter, and what a person says of them afterwards."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise

from agent.core.cut import DECIMALS
from agent.core.model import Provenance, Window
from agent.core.timebase import iso_utc

METHOD = "verified-total"


class Decision(StrEnum):
    """What became of a task."""

    ACCEPTED = "accepted"  # the estimate stays
    MEASURED = "measured"  # a better value took its place


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationTask:
    """Neighbouring windows of one stream that nothing measured; the meter answers again.

    ``windows`` of them are current, ``missing`` of these have no value; ``estimate`` is what they
    come to now, ``None`` where some of them have no value.
    """

    stream: str
    unit: str
    start_ms: int
    end_ms: int
    windows: int
    missing: int
    estimate: float | None
    methods: tuple[str, ...]

    @property
    def id(self) -> str:
        """What a person calls it by, such as «m101.energy@2026-03-05T00:00:00Z»."""
        return f"{self.stream}@{iso_utc(self.start_ms).replace('.000Z', 'Z')}"


def tasks_of(stream: str, unit: str, windows: Iterable[Window]) -> Iterator[VerificationTask]:
    """One task for each run of neighbouring windows; ``windows`` are in order of time.

    They are taken one by one: a plant that stood still for a month has very many.
    """
    run: list[float] = []
    methods: dict[str, None] = {}
    start_ms = end_ms = missing = 0

    def task() -> VerificationTask:
        return VerificationTask(
            stream=stream,
            unit=unit,
            start_ms=start_ms,
            end_ms=end_ms,
            windows=len(run),
            missing=missing,
            estimate=None if missing else round(math.fsum(run), DECIMALS),
            methods=tuple(methods),
        )

    for window in windows:
        if run and window.start_ms != end_ms:
            yield task()
            run, methods, missing = [], {}, 0
        if not run:
            start_ms = window.start_ms
        run.append(window.value or 0.0)
        methods[window.method] = None
        end_ms, missing = window.end_ms, missing + (window.value is None)
    if run:
        yield task()


def verified(windows: Sequence[Window], total: float) -> list[Window]:
    """The windows with a verified total, in the shape of the estimate; revision 0.

    A window without a value gets the mean rate of those that have one, and all are even where
    none has. Parts are rounded to 6 decimals at the boundaries, so that they add up to the total.

    Example: 100 and 300 kWh estimated, 440 kWh verified: 110 and 330 kWh.
    """
    known_ms = sum(one.length_ms for one in windows if one.value is not None)
    known = math.fsum(max(one.value or 0.0, 0.0) for one in windows)
    rate = known / known_ms if known_ms else 0.0
    weights = [
        one.length_ms * rate if one.value is None else max(one.value, 0.0) for one in windows
    ]
    if math.fsum(weights) <= 0:
        weights = [float(one.length_ms) for one in windows]
    whole, running, edges = math.fsum(weights), 0.0, [0.0]
    for weight in weights[:-1]:
        running += weight
        edges.append(round(total * min(running / whole, 1.0), DECIMALS))
    edges.append(round(total, DECIMALS))
    return [
        replace(
            window,
            revision=0,
            value=round(after - before, DECIMALS),
            provenance=Provenance.VERIFIED,
            method=METHOD,
            lower=None,
            upper=None,
        )
        for window, (before, after) in zip(windows, pairwise(edges), strict=True)
    ]
