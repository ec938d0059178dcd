"""Calendar work: which periods of a job are due, computed from the store and the clock.

A timer only wakes; a box that was off over midnight or month end makes up each missed period
exactly once, because the period is recorded in the transaction that does its work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.book.database import Database
from agent.store.state import JobRuns

if TYPE_CHECKING:
    from sqlite3 import Connection

Work = Callable[["Connection", int], None]  # transaction, start of the period
PeriodStart = Callable[[int], int]  # any instant -> start of the period it is in
NextStart = Callable[[int], int]  # start of a period -> start of the next

KEPT_MARKS_MS = 400 * 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarJob:
    """Work that every closed period needs once."""

    name: str
    start_of: PeriodStart
    next_start: NextStart
    work: Work


def due_periods(job: CalendarJob, last_ms: int | None, now_ms: int) -> list[int]:
    """Starts of the closed periods that are not done; none before the first known one."""
    current_ms = job.start_of(now_ms)
    if last_ms is None:
        return []
    periods = []
    period_ms = job.next_start(last_ms)
    while period_ms < current_ms:
        periods.append(period_ms)
        period_ms = job.next_start(period_ms)
    return periods


def due_once(start_of: PeriodStart, last_ms: int | None, now_ms: int) -> int | None:
    """Start of the current period if it is not done, for work that catches up by one run."""
    current_ms = start_of(now_ms)
    return current_ms if last_ms is None or last_ms < current_ms else None


def run_each(job: CalendarJob, database: Database, now_ms: int) -> Iterator[int]:
    """Do the due periods of the job one by one, a transaction each; yields each that is done."""
    runs = JobRuns(database.connection)
    last_ms = runs.last(job.name)
    if last_ms is None:
        with database.transaction():
            # the period before this one is taken as done: nothing was kept of it
            runs.record(job.name, job.start_of(job.start_of(now_ms) - 1), now_ms)
        return
    for period_ms in due_periods(job, last_ms, now_ms):
        with database.transaction() as connection:
            job.work(connection, period_ms)
            runs.record(job.name, period_ms, now_ms)
            runs.forget_before(job.name, period_ms - KEPT_MARKS_MS)
        yield period_ms
