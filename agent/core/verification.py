"""Estimates that stood for a silent meter, and what a person says of them afterwards."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
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

    ``estimate`` is what they come to now, ``None`` where some of them have no value.
    """

    stream: str
    unit: str
    windows: tuple[Window, ...]

    @property
    def id(self) -> str:
        """What a person calls it by, such as «m101.energy@2026-03-05T00:00:00Z»."""
        return f"{self.stream}@{iso_utc(self.start_ms).replace('.000Z', 'Z')}"

    @property
    def start_ms(self) -> int:
        return self.windows[0].start_ms

    @property
    def end_ms(self) -> int:
        return self.windows[-1].end_ms

    @property
    def missing(self) -> int:
        """How many of the windows have no value."""
        return sum(window.value is None for window in self.windows)

    @property
    def estimate(self) -> float | None:
        if self.missing:
            return None
        return round(math.fsum(window.value or 0.0 for window in self.windows), DECIMALS)


def tasks_of(stream: str, unit: str, windows: Iterable[Window]) -> list[VerificationTask]:
    """One task for each run of neighbouring windows; ``windows`` are in order of time."""
    runs: list[list[Window]] = []
    for window in windows:
        if runs and runs[-1][-1].end_ms == window.start_ms:
            runs[-1].append(window)
        else:
            runs.append([window])
    return [VerificationTask(stream=stream, unit=unit, windows=tuple(run)) for run in runs]


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
