"""Gaps as they are booked: runs of windows that a better estimate may replace, and that estimate.

The cut of a stream (`agent.core.cut`) books what it knows at once: what a register counted is
allocated by load or evenly, a short gap comes from its neighbours, a longer one has no value. Here
those windows become gaps of a regular series, and what was found for them windows again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from agent.core.gaps.filled import DECIMALS, FilledGap
from agent.core.gaps.series import UNKNOWN, Series
from agent.core.kernels.arrays import Floats, Integers
from agent.core.model import Provenance, Window
from agent.core.timebase import HOUR_MS

ALLOCATED: Final = "register-allocated"
SHORT_GAP: Final = "short-gap"
LONG_GAP: Final = "long-gap"
OPEN_GAP: Final = "open-gap"
OF_THE_CUT: Final = (ALLOCATED, SHORT_GAP, LONG_GAP, OPEN_GAP)
FILLED: Final = "filled:"
PROVISIONAL: Final = "provisional:"
REFUSED: Final = "refused:"
FILLED_EVENT: Final = "gap.filled"
REFUSED_EVENT: Final = "gap.refused"
BY_REGISTER: Final = "register:"

_KNOWN: Final = (Provenance.MEASURED, Provenance.VERIFIED, Provenance.MANUAL)
_MOST_KINDS: Final = 12  # so few whole numbers tell kinds apart, not amounts
_STEP_OF_CLASSES: Final = 1.5  # lengths within that ratio of each other share a plan


@dataclass(frozen=True, slots=True, kw_only=True)
class GapRun:
    """Neighbouring windows of one length that lie in a gap, as they are booked now.

    With ``known_total`` the register counted what they come to; else their total is unknown.
    """

    windows: tuple[Window, ...]
    known_total: bool

    @property
    def start_ms(self) -> int:
        return self.windows[0].start_ms

    @property
    def end_ms(self) -> int:
        return self.windows[-1].end_ms

    @property
    def step_ms(self) -> int:
        return self.windows[0].length_ms

    @property
    def total(self) -> float | None:
        """What the register counted in the windows, to the last of their decimals."""
        if not self.known_total:
            return None
        return round(math.fsum(window.value or 0.0 for window in self.windows), DECIMALS)


@dataclass(frozen=True, slots=True, kw_only=True)
class GapFill:
    """What became of a gap, for those who ask why a window has its value; amounts in ``unit``.

    ``lower`` and ``upper`` are the 90 % interval of the total, ``score_pct`` the error that its
    method had on ``calibration`` pseudo-gaps, ``matched`` the earlier periods [from, to) it leans
    on. ``reason`` says why a gap got no value.
    """

    stream: str
    unit: str
    start_ms: int
    end_ms: int
    windows: int
    total_known: bool
    method: str
    total: float | None = None
    lower: float | None = None
    upper: float | None = None
    score_pct: float | None = None
    calibration: int = 0
    matched: tuple[tuple[int, int], ...] = ()
    provisional: bool = False
    reason: str = ""

    def as_record(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> GapFill:
        """The fill that `as_record` wrote."""
        matched = tuple((int(first), int(last)) for first, last in record["matched"])
        return cls(**{**record, "matched": matched})

    @property
    def detail(self) -> str:
        """What the event of a filled gap says, for ledger and report."""
        return json.dumps(self.as_record(), ensure_ascii=False)

    @classmethod
    def from_detail(cls, detail: str) -> GapFill | None:
        """The fill that an event tells of; None where a newer gateway tells it otherwise."""
        try:
            return cls.from_record(json.loads(detail))
        except (ValueError, KeyError, TypeError):
            return None


def gap_runs(windows: Iterable[Window], read_ms: Mapping[int, int]) -> list[GapRun]:
    """The gaps in windows of one stream, which come in the order of time.

    ``read_ms`` gives for a boundary when the register was last read at or before it. A window of
    known total belongs to a run only if nothing was read within it: what the cut measured stays,
    and where a reading tells the register at a boundary, a run ends there. A single window of
    known total has no shape, and is no run.
    """
    runs: list[tuple[bool, list[Window]]] = []
    for window in windows:
        known_total = _is_counted(window, read_ms)
        if not known_total and not _is_unknown(window):
            continue
        start_ms = window.start_ms
        if (
            runs
            and runs[-1][0] == known_total
            and runs[-1][1][-1].end_ms == start_ms
            and runs[-1][1][-1].length_ms == window.length_ms
            and not (known_total and read_ms.get(start_ms) == start_ms)
        ):
            runs[-1][1].append(window)
        else:
            runs.append((known_total, [window]))
    return [
        GapRun(windows=tuple(run), known_total=known_total)
        for known_total, run in runs
        if not known_total or len(run) > 1
    ]


def _is_counted(window: Window, read_ms: Mapping[int, int]) -> bool:
    if window.method != ALLOCATED or window.coverage > 0.0:
        return False
    after = read_ms.get(window.end_ms)
    return after is None or after == window.end_ms or after == read_ms.get(window.start_ms)


def _is_unknown(window: Window) -> bool:
    if window.method == SHORT_GAP:
        return window.coverage == 0.0
    return window.method in (LONG_GAP, OPEN_GAP) or window.method.startswith(PROVISIONAL)


def class_length(count: int) -> int:
    """The length that stands for gaps of about so many windows, so that they share a plan.

    Example: 23 to 28 windows count as 26.
    """
    return max(1, round(_STEP_OF_CLASSES ** round(math.log(count, _STEP_OF_CLASSES))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The regular intervals of a series: UTC start, length, count."""

    start_ms: int
    step_ms: int
    count: int

    def place(self, time_ms: int) -> int:
        """The interval that begins at a time."""
        return (time_ms - self.start_ms) // self.step_ms


def series_of(
    grid: Grid,
    windows: Sequence[Window],
    *,
    offset_ms: int,
    load: str | None,
    gap_loads: Mapping[int, float],
    numbers: Mapping[str, Floats],
    labels: Mapping[str, Integers] = MappingProxyType({}),
) -> Series:
    """The series that a stream's windows make up on a grid.

    Only what was measured counts as known. ``gap_loads`` are the loads of windows in gaps by their
    start, as read: a window's own may be the last before the meter fell silent. ``numbers`` and
    ``labels`` are further conditions per interval.
    """
    values = np.full(grid.count, math.nan)
    loads = np.full(grid.count, math.nan)
    stopped = np.zeros(grid.count, np.bool_)
    for window in windows:
        place = grid.place(window.start_ms)
        fits = window.length_ms == grid.step_ms and 0 <= place < grid.count
        if not fits or (window.start_ms - grid.start_ms) % grid.step_ms:
            continue
        if window.value is not None and (window.provenance in _KNOWN or window.coverage > 0.0):
            values[place] = window.value
        known_load = gap_loads.get(window.start_ms, window.load)
        loads[place] = math.nan if known_load is None else known_load
        stopped[place] = window.maintenance
    columns = dict(numbers)
    if load is not None and np.isfinite(loads).any():
        columns[load] = loads
    return Series(
        start_ms=grid.start_ms + offset_ms,
        step_ms=grid.step_ms,
        values=values,
        numbers=columns,
        labels=labels,
        load=load if load in columns else None,
        stopped=stopped if stopped.any() else None,
    )


def kinds_of(values: Floats) -> Integers | None:
    """Codes of a condition that names a kind (a grade, a recipe); None where it is an amount.

    Example: 3, 1, unknown, 3 gives 1, 0, -1, 1.
    """
    known = np.isfinite(values)
    kinds = np.unique(values[known])
    if not 0 < len(kinds) <= _MOST_KINDS or not np.equal(np.mod(kinds, 1.0), 0.0).all():
        return None
    return np.where(known, np.searchsorted(kinds, values), UNKNOWN)


def drafts_of(
    run: GapRun, filled: FilledGap, *, closed: bool, max_rate_per_h: float | None
) -> list[Window]:
    """The windows of a run as they are to be booked now, as revision 0; none if they stay.

    A total of the register is kept to the last decimal. An allocation whose shape no pseudo-gap
    has proven stays that of the cut. What has no value while the gap is open waits for its end.
    """
    if filled.total is None:
        return _without_value(run, OPEN_GAP if not closed else REFUSED + filled.reason)
    values = filled.values
    if run.known_total:
        if filled.calibration == 0:
            return []
        values = _within_rate(values, max_rate_per_h, run.step_ms)
        method = BY_REGISTER + filled.method.removeprefix(BY_REGISTER)
    else:
        if max_rate_per_h is not None:
            values = np.minimum(values, max_rate_per_h * run.step_ms / HOUR_MS)
        method = (FILLED if closed else PROVISIONAL) + filled.method
    drafts = [
        replace(
            window,
            revision=0,
            value=round(float(value), DECIMALS),
            provenance=filled.provenance,
            method=method,
            lower=_bound(min(lower, value)),
            upper=_bound(max(upper, value)),
        )
        for window, value, lower, upper in zip(
            run.windows, values, filled.lower, filled.upper, strict=True
        )
    ]
    return _changed(run, drafts)


def _without_value(run: GapRun, method: str) -> list[Window]:
    drafts = [
        replace(
            window,
            revision=0,
            value=None,
            provenance=Provenance.MISSING,
            method=method,
            lower=None,
            upper=None,
        )
        for window in run.windows
    ]
    return _changed(run, drafts)


def _changed(run: GapRun, drafts: Sequence[Window]) -> list[Window]:
    """Drafts that say something else than what is booked; an open gap's estimates stay."""
    return [
        draft
        for draft, window in zip(drafts, run.windows, strict=True)
        if draft != replace(window, revision=0)
        and not (draft.method.startswith(PROVISIONAL) and window.method.startswith(PROVISIONAL))
    ]


def _bound(value: float) -> float | None:
    return round(float(value), DECIMALS) if math.isfinite(value) else None


def _within_rate(values: Floats, max_rate_per_h: float | None, step_ms: int) -> Floats:
    """The same sum with no part above the largest rate: what is over goes to the others."""
    if max_rate_per_h is None:
        return values
    most = max_rate_per_h * step_ms / HOUR_MS
    total = math.fsum(values)
    if values.max() <= most or total >= most * len(values):
        return values
    parts = values.copy()
    for _ in range(len(parts)):
        over = parts > most
        if not over.any():
            break
        free = ~over & (parts < most)
        excess = math.fsum(parts[over] - most)
        parts[over] = most
        weights = parts[free] if parts[free].sum() > 0.0 else np.ones(int(free.sum()))
        parts[free] += excess * weights / weights.sum()
    edges = np.round(np.cumsum(parts), DECIMALS)
    edges[-1] = round(total, DECIMALS)
    result: Floats = np.round(np.diff(edges, prepend=0.0), DECIMALS)
    return result


def fill_of(run: GapRun, filled: FilledGap, grid: Grid, *, unit: str, closed: bool) -> GapFill:
    """What is told of a run that was looked at."""

    def time_ms(place: int) -> int:
        return grid.start_ms + place * grid.step_ms

    kept = run.known_total and filled.calibration == 0
    return GapFill(
        stream=run.windows[0].stream,
        unit=unit,
        start_ms=run.start_ms,
        end_ms=run.end_ms,
        windows=len(run.windows),
        total_known=run.known_total,
        method=ALLOCATED if kept else filled.method,
        total=filled.total,
        lower=filled.total_lower,
        upper=filled.total_upper,
        score_pct=filled.score_pct,
        calibration=filled.calibration,
        matched=tuple((time_ms(first), time_ms(end)) for first, end in filled.matched),
        provisional=not closed,
        reason=filled.reason,
    )
