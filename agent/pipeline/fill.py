"""Gaps of booked windows, filled by the ladder once what followed them is known.

The cut of a stream books at once what it can say of a gap. Two hours after the gap a process of
its own (`agent.pipeline.fill_worker`) looks at half a year and says it better: that is the next
revision. What is due is found in the book itself: a window that the cut has booked since the last
look is looked at, one that was filled is not. A gap that is still open is filled provisionally, at
most once an hour, and anew when it has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from agent.book.database import Database
from agent.book.ports import Owner, Span
from agent.book.sqlite import SqliteBook
from agent.book.touched import methods_after, number_before, read_times
from agent.config.site import SiteConfig
from agent.core.adjustment import Reason
from agent.core.errors import StoreError
from agent.core.gaps.booked import (
    FILLED_EVENT,
    OF_THE_CUT,
    REFUSED_EVENT,
    SHORT_GAP,
    GapFill,
    GapRun,
    gap_runs,
)
from agent.core.gaps.series import EDGE_H
from agent.core.model import Event, Severity, StreamSpec, Window
from agent.core.ports import Clock
from agent.core.streamstate import StreamState
from agent.core.timebase import DAY_MS, HOUR_MS
from agent.pipeline.adjust import Cause, Revised, Revising
from agent.pipeline.fill_job import (
    Balanced,
    Condition,
    DueGap,
    FillAnswer,
    FillJob,
    GapAnswer,
)
from agent.pipeline.fill_process import FillError, FillProcess
from agent.pipeline.inputs import holds_ms
from agent.store.gaps import GapFills, GapMarks, GapPlans
from agent.store.state import StreamStates

if TYPE_CHECKING:
    from sqlite3 import Connection

AFTER_MS: Final = round(EDGE_H * HOUR_MS)  # what follows a gap is known by then
FIRST_LOOK_MS: Final = 35 * DAY_MS  # how far back a gateway looks that never did
LOOK_EVERY_S: Final = 60.0
LOOK_SHARE: Final = 100  # of the time since it began: how long an open gap waits for a look
AGAIN_SHARE: Final = 24  # of its length: how long an open gap waits for the next estimate
LAZY_WINDOWS: Final = 10_000  # seen without a gap before the mark is moved


class GapFilling:
    """Finds the gaps of one gateway that can be filled, has them filled, and books them."""

    def __init__(self, config: SiteConfig, database: Database, owner: Owner, clock: Clock) -> None:
        self._config = config
        self._database = database
        self._owner = owner
        self._clock = clock
        self._revising = Revising(config, owner)
        self._not_before_ms: dict[str, int] = {}  # by stream
        self._log = structlog.get_logger("gaps")

    async def run(self, booked: Callable[[Revised], None]) -> None:
        """Look every minute until cancelled; tells of what was booked."""
        while True:
            await self._clock.sleep_until(self._clock.monotonic_ns() + int(LOOK_EVERY_S * 1e9))
            try:
                await self.fill_due(booked)
            except StoreError as error:
                self._log.error("store.write_failed", error=str(error))

    async def fill_due(self, booked: Callable[[Revised], None] = lambda _: None) -> None:
        """Fill what is due, one stream after the other; tells of what was booked."""
        async with FillProcess() as process:
            for stream in self._waiting():
                for job in self._due(stream):
                    try:
                        answer = await process.ask(job)
                    except FillError as error:
                        self._not_before_ms[stream] = self._clock.now_ms() + HOUR_MS
                        self._log.error("gaps.not_filled", stream=stream, reason=str(error))
                        continue
                    revised = self.book(job, answer)
                    if revised.windows:
                        booked(revised)
                await asyncio.sleep(0)

    def due(self) -> list[FillJob]:
        """The gaps that can be filled now, as one job per stream and window length."""
        return [job for stream in self._waiting() for job in self._due(stream)]

    def _waiting(self) -> list[str]:
        """The streams that are to be looked at now."""
        now_ms = self._clock.now_ms()
        with self._database.transaction() as connection:
            self._notice(connection, now_ms)
            waiting = sorted(GapMarks(connection).waiting())
        return [name for name in waiting if now_ms >= self._not_before_ms.get(name, 0)]

    def _due(self, stream: str) -> list[FillJob]:
        now_ms = self._clock.now_ms()
        with self._database.transaction() as connection:
            marks, spec = GapMarks(connection), self._config.metered.get(stream)
            from_ms = marks.waiting()[stream]
            if spec is None:
                marks.wait(stream, None)
                return []
            # a long gap that is still open is not read again and again
            self._not_before_ms[stream] = now_ms + (now_ms - from_ms) // LOOK_SHARE
            return list(self._jobs(connection, spec, from_ms, now_ms))

    def _notice(self, connection: Connection, now_ms: int) -> None:
        """Mark the streams in which the cut has booked gaps since the last look."""
        marks, streams = GapMarks(connection), self._config.metered
        newest = SqliteBook(connection).next_id("windows") - 1
        after = marks.window_id()
        if after is None:
            after = number_before(connection, self._owner, streams, now_ms - FIRST_LOOK_MS)
            marks.set_window_id(after)
        touched = methods_after(connection, self._owner, after, OF_THE_CUT)
        if not touched and newest - after < LAZY_WINDOWS:
            return
        waiting = marks.waiting()
        for stream, start_ms in touched.items():
            marks.wait(stream, min(start_ms, waiting.get(stream, start_ms)))
        marks.set_window_id(newest)

    def _jobs(
        self, connection: Connection, spec: StreamSpec, from_ms: int, now_ms: int
    ) -> Iterator[FillJob]:
        """The jobs of a stream; without any, its mark moves to what still waits."""
        runs, due = self._sorted(connection, spec, from_ms, now_ms)
        if not due:
            waits_ms = min((run.start_ms for run in runs), default=None)
            if waits_ms != from_ms:
                GapMarks(connection).wait(spec.id, waits_ms)
            return
        for step_ms in sorted({run.step_ms for run, _ in due}):
            gaps = [
                DueGap(
                    start_ms=run.start_ms,
                    end_ms=run.end_ms,
                    known_total=run.known_total,
                    closed=closed,
                )
                for run, closed in due
                if run.step_ms == step_ms
            ]
            yield self._job(connection, spec, step_ms, gaps)

    def _sorted(
        self, connection: Connection, spec: StreamSpec, from_ms: int, now_ms: int
    ) -> tuple[list[GapRun], list[tuple[GapRun, bool]]]:
        """The runs that still wait, and those that are due with whether their gap has ended."""
        text = StreamStates(connection).load()[spec.id][1]
        if text is None:
            return [], []
        state, fills = StreamState.from_json(text), GapFills(connection)
        span = Span(from_ms=from_ms, to_ms=state.closed_to_ms)
        windows = SqliteBook(connection).current_windows(self._owner, span, spec.id)
        waiting: list[GapRun] = []
        due: list[tuple[GapRun, bool]] = []
        for run in gap_runs(windows, read_times(connection, self._owner, spec.id, span)):
            ended = run.end_ms <= state.open_from_ms
            if ended and state.closed_to_ms >= run.end_ms + AFTER_MS:
                if not fills.stands(run):
                    due.append((run, True))
                continue
            waiting.append(run)
            still_open = run.end_ms >= state.closed_to_ms and not _is_short(run)
            if not ended and still_open and _is_time(fills, run, now_ms):
                due.append((run, False))
        return waiting, due

    def _job(
        self, connection: Connection, spec: StreamSpec, step_ms: int, gaps: Sequence[DueGap]
    ) -> FillJob:
        config = self._config
        points = {
            point: None
            for device in config.devices
            if any(part.stream == spec.id for part in device.streams)
            for point in device.conditions
            if point != spec.load
        }
        tree = next((plan for plan in config.balances if spec.id in plan.parts), None)
        return FillJob(
            database=str(Path(self._database.path).resolve()),
            site=self._owner.site,
            gateway=self._owner.gateway,
            stream=spec.id,
            unit=spec.unit,
            timezone=config.site.timezone,
            step_ms=step_ms,
            resolution=spec.resolution,
            max_rate_per_h=spec.max_rate_per_h,
            gaps=tuple(gaps),
            load=None if spec.load is None else self._condition(spec.load),
            conditions=tuple(self._condition(point) for point in points),
            balance=None
            if tree is None
            else Balanced(master=tree.master, parts=tree.parts, class_pct=tree.class_pct),
            plans=tuple(GapPlans(connection).of(spec.id)),
        )

    def _condition(self, point: str) -> Condition:
        return Condition(point=point, holds_ms=holds_ms(self._config, point))

    def book(self, job: FillJob, answer: FillAnswer) -> Revised:
        """Book what was found for each gap whose windows are still those that were looked at.

        Windows, emissions, plans and what is told of the gap stand in one transaction.
        """
        now_ms = self._clock.now_ms()
        with self._database.transaction() as connection:
            found = [
                self._book(connection, one, now_ms)
                for one in answer.gaps
                if self._is_unchanged(connection, one)
            ]
            GapPlans(connection).keep(job.stream, answer.plans)
        if len(found) == len(job.gaps):
            self._not_before_ms.pop(job.stream, None)
        else:  # cut again meanwhile
            self._not_before_ms[job.stream] = now_ms + HOUR_MS
        booked = Revised(
            windows=sum(one.windows for one in found),
            emissions=sum(one.emissions for one in found),
            events=tuple(event for one in found for event in one.events),
        )
        self._log.info(
            "gaps.filled", stream=job.stream, gaps=len(answer.gaps), windows=booked.windows
        )
        return booked

    def _current(self, connection: Connection, fill: GapFill) -> dict[int, Window]:
        span = Span(from_ms=fill.start_ms, to_ms=fill.end_ms)
        windows = SqliteBook(connection).current_windows(self._owner, span, fill.stream)
        return {window.start_ms: window for window in windows}

    def _is_unchanged(self, connection: Connection, answer: GapAnswer) -> bool:
        """Whether the windows of a gap are still those that were looked at."""
        current = self._current(connection, answer.fill)
        return dict(answer.revisions) == {at: one.revision for at, one in current.items()}

    def _book(self, connection: Connection, answer: GapAnswer, now_ms: int) -> Revised:
        windows = self._current(connection, answer.fill)
        drafts = [
            replace(
                windows[draft.start_ms],
                **{name: getattr(draft, name) for name in draft.__slots__},
            )
            for draft in answer.drafts
        ]
        cause = Cause(reason=Reason.FILLED, author=self._owner.gateway, now_ms=now_ms)
        revised = self._revising.book(connection, drafts, cause)
        GapFills(connection).keep(answer.fill, now_ms)
        if not answer.gap.closed or not drafts:
            return revised
        event = _event(answer.fill)
        SqliteBook(connection).add_events(self._owner, [event])
        return replace(revised, events=(*revised.events, event))


def _is_short(run: GapRun) -> bool:
    """Whether the cut itself still says something of an open gap."""
    return all(window.method == SHORT_GAP for window in run.windows)


def _is_time(fills: GapFills, run: GapRun, now_ms: int) -> bool:
    """Whether an open gap is to be estimated again; the longer it is, the less often."""
    last_ms = fills.filled_ms(run.windows[0].stream, run.start_ms)
    length_ms = run.end_ms - run.start_ms
    return last_ms is None or now_ms - last_ms >= max(HOUR_MS, length_ms // AGAIN_SHARE)


def _event(fill: GapFill) -> Event:
    """What the ledger is told of a gap that ended; its time is the end of the gap."""
    refused = fill.total is None
    return Event(
        time_ms=fill.end_ms,
        code=REFUSED_EVENT if refused else FILLED_EVENT,
        subject=fill.stream,
        severity=Severity.WARNING if refused else Severity.INFO,
        detail=fill.detail,
    )
