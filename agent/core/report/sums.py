"""Adding up a month of windows and emissions, one source or stream at a time."""

from __future__ import annotations

import datetime
import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from agent.core.gaps.booked import FILLED, GapFill
from agent.core.model import FactorRef, Provenance
from agent.core.report.model import (
    Mass,
    StreamFigures,
    StreamPlace,
    kept,
    kept_decimal,
    total_of,
)
from agent.core.timebase import local_days

OPEN_GAP = "open-gap"

_CellKey = tuple[tuple[int, int], FactorRef]  # first and last day by their place in the month


@dataclass(frozen=True, slots=True)
class EmissionRow:
    """The current revision of one emission, as the month needs it; masses in kg."""

    start_ms: int
    length_ms: int
    revision: int
    kgco2: float | None
    kgch4: float | None
    kgn2o: float | None
    kgco2e: float | None
    lower: float | None
    upper: float | None
    estimated_share: float
    factor: FactorRef


@dataclass(frozen=True, slots=True)
class WindowRow:
    """The current revision of one window, as the month needs it."""

    start_ms: int
    length_ms: int
    value: float | None
    provenance: Provenance
    method: str
    coverage: float
    lower: float | None
    upper: float | None
    revision: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorSum:
    """What one factor made of a source, and from when to when."""

    ref: FactorRef
    mass: Mass
    first_ms: int
    end_ms: int
    windows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSum:
    """One source over the month."""

    source: str
    gateway: str = ""
    mass: Mass
    by_day: dict[datetime.date, Mass]
    by_factor: tuple[FactorSum, ...]
    windows: int
    missing_windows: int
    missing_ms: int
    booked_ms: int
    revised_windows: int
    half_90_kg: float = 0.0  # of the emissions' own intervals, taken as common to all of them
    spread: bool = False  # some emission reaches over several days


@dataclass(slots=True)
class _Cell:
    """The emissions of one source and factor in one day, or in one period beyond a day."""

    kgco2: list[float] = field(default_factory=list)
    kgch4: list[float] = field(default_factory=list)
    kgn2o: list[float] = field(default_factory=list)
    kgco2e: list[float] = field(default_factory=list)
    estimated: list[float] = field(default_factory=list)
    first_ms: int = 0
    end_ms: int = 0

    def add(self, row: EmissionRow) -> None:
        if not self.kgco2e:
            self.first_ms = row.start_ms
        self.end_ms = max(self.end_ms, row.start_ms + row.length_ms)
        total = row.kgco2e or 0.0
        self.kgco2.append(row.kgco2 or 0.0)
        self.kgch4.append(row.kgch4 or 0.0)
        self.kgn2o.append(row.kgn2o or 0.0)
        self.kgco2e.append(total)
        self.estimated.append(abs(total) * row.estimated_share)

    def mass(self) -> Mass:
        return Mass(
            kgco2=kept(math.fsum(self.kgco2)),
            kgch4=kept(math.fsum(self.kgch4)),
            kgn2o=kept(math.fsum(self.kgn2o)),
            kgco2e=kept(math.fsum(self.kgco2e)),
            estimated_kgco2e=kept(math.fsum(self.estimated)),
        )


def sum_source(
    source: str, rows: Iterable[EmissionRow], span: tuple[int, int], zone: ZoneInfo
) -> SourceSum:
    """Add up one source; its rows come in the order of time.

    Every cell of one day and one factor is summed without rounding and kept to the milligram;
    all other sums are sums of cells and therefore agree to the last digit. An emission that is
    longer than its day (of a month) is a cell of its own, spread evenly over its days.
    """
    days = list(local_days(*span, zone))
    cells: dict[_CellKey, _Cell] = {}
    place = 0
    windows = missing = missing_ms = booked_ms = revised = 0
    halves: list[float] = []
    for row in rows:
        windows += 1
        booked_ms += row.length_ms
        revised += row.revision > 0
        if row.kgco2e is None:
            missing += 1
            missing_ms += row.length_ms
            continue
        if row.lower is not None and row.upper is not None:
            halves.append((row.upper - row.lower) / 2)
        while place + 1 < len(days) and row.start_ms >= days[place][2]:
            place += 1
        within = row.start_ms + row.length_ms <= days[place][2]
        at = (place, place) if within else (place, _day_of(row.start_ms + row.length_ms, days))
        cells.setdefault((at, row.factor), _Cell()).add(row)
    masses = {key: cell.mass() for key, cell in cells.items()}
    return SourceSum(
        source=source,
        mass=total_of(masses.values()),
        by_day=_by_day(masses, days),
        by_factor=tuple(
            _factor_sum(ref, cells, masses) for ref in dict.fromkeys(ref for _, ref in masses)
        ),
        windows=windows,
        missing_windows=missing,
        missing_ms=missing_ms,
        booked_ms=booked_ms,
        revised_windows=revised,
        half_90_kg=math.fsum(halves),
        spread=any(first != last for (first, last), _ in cells),
    )


def _day_of(end_ms: int, days: Sequence[tuple[datetime.date, int, int]]) -> int:
    """The place of the last day that an emission reaches into."""
    return max(place for place, (_, from_ms, _) in enumerate(days) if from_ms < end_ms)


def _by_day(
    masses: dict[_CellKey, Mass], days: Sequence[tuple[datetime.date, int, int]]
) -> dict[datetime.date, Mass]:
    found: dict[datetime.date, Mass] = {}
    for ((first, last), _), mass in masses.items():
        parts = (mass,) if first == last else spread(mass, last + 1 - first)
        for (day, _, _), part in zip(days[first : last + 1], parts, strict=True):
            found[day] = found[day] + part if day in found else part
    return found


def spread(mass: Mass, parts: int) -> Iterator[Mass]:
    """A mass in so many equal parts that add up to it exactly: the last takes the remainder."""
    left = mass
    for remaining in range(parts, 0, -1):
        part = Mass(
            **{
                name: kept_decimal(getattr(left, name) / remaining)
                for name in ("kgco2", "kgch4", "kgn2o", "kgco2e", "estimated_kgco2e")
            }
        )
        left = left - part
        yield part


def _factor_sum(
    ref: FactorRef, cells: dict[_CellKey, _Cell], masses: dict[_CellKey, Mass]
) -> FactorSum:
    own = [(key, cell) for key, cell in cells.items() if key[1] == ref]
    return FactorSum(
        ref=ref,
        mass=total_of(masses[key] for key, _ in own),
        first_ms=min(cell.first_ms for _, cell in own),
        end_ms=max(cell.end_ms for _, cell in own),
        windows=sum(len(cell.kgco2e) for _, cell in own),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSum:
    """One stream over the month, and how unsure its gaps leave the amount (half of 90 %)."""

    figures: StreamFigures
    half_90: float


def sum_stream(
    place: StreamPlace,
    rows: Iterable[WindowRow],
    span: tuple[int, int],
    gaps: Sequence[GapFill] = (),
) -> StreamSum:
    """Add up one stream; its rows come in the order of time and do not overlap.

    ``gaps`` are the gaps of the stream that were filled, by their beginning.
    """
    from_ms, to_ms = span
    listed = list(rows)
    amounts: dict[Provenance, list[float]] = {}
    times_ms: dict[Provenance, int] = {}
    holes: list[tuple[int, int]] = []
    open_ms = 0
    at_ms = from_ms
    for row in listed:
        end_ms = row.start_ms + row.length_ms
        if row.start_ms > at_ms:
            holes.append((at_ms, row.start_ms))
        at_ms = max(at_ms, end_ms)
        kind = Provenance.MISSING if row.value is None else row.provenance
        times_ms[kind] = times_ms.get(kind, 0) + row.length_ms
        if row.value is None:
            holes.append((row.start_ms, end_ms))
            open_ms += row.length_ms if row.method == OPEN_GAP else 0
        else:
            amounts.setdefault(kind, []).append(row.value)
    if at_ms < to_ms:
        holes.append((at_ms, to_ms))
    booked_ms = sum(row.length_ms for row in listed)
    times_ms[Provenance.MISSING] = times_ms.get(Provenance.MISSING, 0) + max(
        0, to_ms - from_ms - booked_ms
    )
    figures = StreamFigures(
        place=place,
        amount=math.fsum(value for part in amounts.values() for value in part) if amounts else None,
        amounts={kind: math.fsum(part) for kind, part in amounts.items()},
        times_ms=times_ms,
        elapsed_ms=max(0, to_ms - from_ms),
        covered_ms=math.fsum(row.coverage * row.length_ms for row in listed),
        first_missing_ms=holes[0][0] if holes else None,
        last_missing_ms=holes[-1][1] if holes else None,
        open_gap_ms=open_ms,
    )
    return StreamSum(figures=figures, half_90=gap_half_width(listed, span, gaps))


def gap_half_width(
    rows: Iterable[WindowRow], span: tuple[int, int], gaps: Sequence[GapFill] = ()
) -> float:
    """Half of the 90 % interval that gaps leave in the sum of a stream's windows, in its unit.

    Neighbouring windows of one provenance share their cause. A register that counted through an
    allocated gap fixes its total: such a run is only unsure where the month cuts it. The windows of
    an estimated gap share one error: they are as unsure as the gap's total, whose interval was
    found by back-tests of whole gaps, and where that is not known (or the month cuts the gap) at
    most as the sum of their own. Measured windows share their end readings, so a run of them is as
    unsure as its widest window. Runs are independent and add in quadrature.

    Example: ten windows of 50 ± 10 in one gap of 500 ± 30, and another gap of 40 ± 40: ± 50.
    """
    runs: list[tuple[Provenance, GapFill | None, list[WindowRow]]] = []
    starts = [gap.start_ms for gap in gaps]
    for row in rows:
        if row.value is None or row.lower is None or row.upper is None:
            continue
        gap = None
        if row.method.startswith(FILLED) and (place := bisect_right(starts, row.start_ms)):
            gap = gaps[place - 1] if row.start_ms < gaps[place - 1].end_ms else None
        if runs and runs[-1][:2] == (row.provenance, gap) and _follows(runs[-1][2][-1], row):
            runs[-1][2].append(row)
        else:
            runs.append((row.provenance, gap, [row]))
    return math.hypot(*(_run_half_width(kind, gap, run, span) for kind, gap, run in runs))


def _follows(before: WindowRow, row: WindowRow) -> bool:
    return before.start_ms + before.length_ms == row.start_ms


def _run_half_width(
    kind: Provenance, gap: GapFill | None, run: list[WindowRow], span: tuple[int, int]
) -> float:
    halves = [((row.upper or 0.0) - (row.lower or 0.0)) / 2 for row in run]
    if kind is Provenance.ALLOCATED:
        cut = run[0].start_ms <= span[0] or run[-1].start_ms + run[-1].length_ms >= span[1]
        return math.fsum(halves) if cut else 0.0
    if kind in (Provenance.MEASURED, Provenance.VERIFIED):
        return max(halves)
    if gap is not None and gap.lower is not None and gap.upper is not None:
        return min(math.fsum(halves), (gap.upper - gap.lower) / 2)
    return math.fsum(halves)
