"""A short-lived process that fills gaps: one job per line of standard input, its answer out.

Learning from half a year takes seconds and memory; neither belongs into the process that polls. It
reads the book beside the gateway and writes nothing: what it answers, the gateway books.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np

from agent.book.ports import Owner, Span
from agent.book.read_only import read_only
from agent.book.sqlite import SqliteBook
from agent.core.errors import TanshuError
from agent.core.gaps.booked import (
    GapRun,
    Grid,
    class_length,
    drafts_of,
    fill_of,
    kinds_of,
    series_of,
)
from agent.core.gaps.by_balance import Tree, by_balance, surer
from agent.core.gaps.fill import Filler
from agent.core.gaps.filled import FilledGap, Gap, Rules
from agent.core.gaps.plan import LEARN_DAYS, Plan
from agent.core.gaps.series import EDGE_H
from agent.core.gaps.series import Span as Stretch
from agent.core.kernels.arrays import Floats, Integers
from agent.core.model import Window
from agent.core.timebase import DAY_MS, HOUR_MS, local_days, utc_offset_ms
from agent.pipeline.fill_job import (
    Condition,
    Draft,
    DueGap,
    FillAnswer,
    FillJob,
    GapAnswer,
    answer_bytes,
    job_of,
)
from agent.pipeline.inputs import MOST_MISSED, steps_of
from agent.store.history import History
from agent.store.readings import Readings

if TYPE_CHECKING:
    from sqlite3 import Connection

NICE = 10
MOST_WINDOWS = 40_000  # of history; at 15 minutes more than a year
LEAST_HISTORY = 8  # times the length of the gap, however short the windows
CHUNK_MS = 10 * DAY_MS  # readings held in memory at once
BALANCE_DAYS = 30
_SEEN = 0.5  # of what was measured: a condition known for less tells nothing


def answer(job: FillJob) -> FillAnswer:
    """Fill every gap of a job from one state of the book."""
    with read_only(Path(job.database), "has the gateway run yet?") as connection:
        return _Filling(connection, job).answer()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A point per interval: its mean, and what it said at the beginning."""

    means: Floats
    held: Floats


class _Filling:
    """One job on one state of the book."""

    def __init__(self, connection: Connection, job: FillJob) -> None:
        self._job = job
        self._owner = Owner(site=job.site, gateway=job.gateway)
        self._book = SqliteBook(connection)
        self._history = History(connection, Readings(connection))
        self._zone = ZoneInfo(job.timezone)
        span = span_of(job)
        self._windows = self._book.current_windows(self._owner, span, job.stream)
        self._grid = _grid(job, span, self._windows)

    def answer(self) -> FillAnswer:
        job, grid = self._job, self._grid
        numbers, labels = self._conditions()
        series = series_of(
            grid,
            self._windows,
            offset_ms=utc_offset_ms(job.gaps[0].start_ms, self._zone),
            load=None if job.load is None else job.load.point,
            gap_loads=self._gap_loads(),
            numbers=numbers,
            labels=labels,
        )
        filler = Filler(series, Rules(), self._known_plans())
        answers = []
        for gap in job.gaps:
            run = self._run(gap)
            if run is not None:
                answers.append(self._filled(filler, run, gap))
        plans = tuple(
            (grid.start_ms + before * grid.step_ms, plan.as_record())
            for before, plan in filler.plans
        )
        return FillAnswer(gaps=tuple(answers), plans=plans)

    def _run(self, gap: DueGap) -> GapRun | None:
        """The windows of a gap; None if some are not there."""
        chosen = tuple(
            window
            for window in self._windows
            if gap.start_ms <= window.start_ms < gap.end_ms
            and window.length_ms == self._job.step_ms
        )
        if len(chosen) * self._job.step_ms != gap.end_ms - gap.start_ms:
            return None
        return GapRun(windows=chosen, known_total=gap.known_total)

    def _filled(self, filler: Filler, run: GapRun, due: DueGap) -> GapAnswer:
        grid = self._grid
        gap = Gap(
            first=grid.place(run.start_ms),
            end=grid.place(run.end_ms),
            total=run.total,
            resolution=self._job.resolution,
        )
        filled = filler.fill(gap, like=class_length(len(run.windows)))
        if not run.known_total:
            filled = surer(self._by_balance(run, gap, closed=due.closed), filled)
        drafts = drafts_of(run, filled, closed=due.closed, max_rate_per_h=self._job.max_rate_per_h)
        return GapAnswer(
            gap=due,
            revisions=tuple((window.start_ms, window.revision) for window in run.windows),
            drafts=tuple(Draft.of(draft) for draft in drafts),
            fill=fill_of(run, filled, grid, unit=self._job.unit, closed=due.closed),
        )

    def _by_balance(self, run: GapRun, gap: Gap, *, closed: bool) -> FilledGap | None:
        balance = self._job.balance
        if balance is None:
            return None
        from_ms = run.start_ms - BALANCE_DAYS * DAY_MS
        span = Span(from_ms=from_ms, to_ms=run.end_ms)
        tree = Tree(
            master=balance.master,
            parts=balance.parts,
            class_pct=balance.class_pct,
            windows={
                name: self._book.current_windows(self._owner, span, name)
                for name in (balance.master, *balance.parts)
            },
            days=tuple(
                (start_ms, end_ms)
                for _, start_ms, end_ms in local_days(from_ms, run.start_ms, self._zone)
                if start_ms >= from_ms and end_ms <= run.start_ms
            ),
        )
        stretch = Stretch(first=gap.first, end=gap.end, closed=closed)
        starts = range(run.start_ms, run.end_ms, run.step_ms)
        return by_balance(tree, self._job.stream, gap, stretch, starts)

    def _gap_loads(self) -> dict[int, float]:
        """The load as it was read in the windows of the gaps."""
        load, step_ms = self._job.load, self._job.step_ms
        if load is None:
            return {}
        found: dict[int, float] = {}
        for gap in self._job.gaps:
            starts = np.arange(gap.start_ms, gap.end_ms, step_ms, dtype=np.int64)
            means = self._read(load, starts).means
            found |= {int(start): float(mean) for start, mean in zip(starts, means, strict=True)}
        return found

    def _conditions(self) -> tuple[dict[str, Floats], dict[str, Integers]]:
        """Numbers and kinds per interval, of the conditions that are known for long enough."""
        grid = self._grid
        places = grid.start_ms + np.arange(grid.count, dtype=np.int64) * grid.step_ms
        known = [window.value is not None for window in self._windows]
        starts = np.array([window.start_ms for window in self._windows], np.int64)[known]
        measured = np.isin(places, starts)
        numbers: dict[str, Floats] = {}
        labels: dict[str, Integers] = {}
        for one in self._job.conditions:
            read = self._read(one, places)
            if not measured.any() or np.isfinite(read.means[measured]).mean() < _SEEN:
                continue
            kinds = kinds_of(read.held)
            if kinds is None:
                numbers[one.point] = read.means
            else:
                labels[one.point] = kinds
        return numbers, labels

    def _read(self, condition: Condition, starts: Integers) -> _Read:
        """A point in intervals; NaN where most of one was not read."""
        step_ms, point = self._job.step_ms, condition.point
        means: list[Floats] = []
        held: list[Floats] = []
        per_chunk = max(1, CHUNK_MS // step_ms)
        for first in range(0, len(starts), per_chunk):
            chunk = np.asarray(starts[first : first + per_chunk], np.int64)
            end_ms = int(chunk[-1]) + step_ms
            back_ms = int(chunk[0]) - condition.holds_ms
            series = self._history.good([point], back_ms, end_ms)[point]
            steps = steps_of(series, condition.holds_ms, end_ms)
            found, known_ms = steps.means(chunk, chunk + step_ms)
            means.append(np.where(known_ms >= MOST_MISSED * step_ms, found, np.nan))
            held.append(steps.means(chunk, chunk + 1)[0])
        return _Read(means=np.concatenate(means), held=np.concatenate(held))

    def _known_plans(self) -> tuple[tuple[int, Plan], ...]:
        """Plans from earlier that knew nothing which this series does not."""
        placed = [
            (self._grid.place(known_to_ms), Plan.from_record(record))
            for known_to_ms, record in self._job.plans
        ]
        return tuple((before, plan) for before, plan in placed if before > 0)


def span_of(job: FillJob) -> Span:
    """What a job looks at: half a year before its gaps, and two hours after the last if it ended.

    With short windows less, but always a multiple of the longest gap.
    """
    first, last = job.gaps[0], job.gaps[-1]
    longest_ms = max(gap.end_ms - gap.start_ms for gap in job.gaps)
    most_ms = max(MOST_WINDOWS * job.step_ms, LEAST_HISTORY * longest_ms)
    before_ms = min(LEARN_DAYS * DAY_MS, most_ms) // job.step_ms * job.step_ms
    after_ms = round(EDGE_H * HOUR_MS) if last.closed else 0
    return Span(from_ms=first.start_ms - before_ms, to_ms=last.end_ms + after_ms)


def _grid(job: FillJob, span: Span, windows: Sequence[Window]) -> Grid:
    """The intervals of a span from the first on of which something is known."""
    begun = (window.start_ms for window in windows if window.value is not None)
    behind_ms = job.gaps[0].start_ms - next(begun, job.gaps[0].start_ms)
    start_ms = job.gaps[0].start_ms - max(0, behind_ms) // job.step_ms * job.step_ms
    count = (span.to_ms - start_ms) // job.step_ms
    return Grid(start_ms=start_ms, step_ms=job.step_ms, count=count)


def main() -> int:
    """Answer every job."""
    os.nice(NICE)
    for line in sys.stdin.buffer:
        try:
            found = answer(job_of(line))
        except TanshuError as error:
            sys.stderr.write(f"{error}\n")
            return 1
        sys.stdout.buffer.write(answer_bytes(found) + b"\n")
        sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
