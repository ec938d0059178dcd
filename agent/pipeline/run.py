"""One pass of the pipeline: close what can be closed, seal it, do the calendar's work."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import structlog

from agent.book.database import Database
from agent.book.ports import Owner
from agent.book.sqlite import SqliteBook
from agent.config.site import SiteConfig
from agent.core.errors import StoreError
from agent.core.model import Event, Severity
from agent.core.ports import Clock
from agent.core.timebase import DAY_MS, HOUR_MS, iso_utc, local_date, local_day
from agent.pipeline.adjust import Revised
from agent.pipeline.agreement import Agreement
from agent.pipeline.balance import DailyBalance
from agent.pipeline.calendar import CalendarJob, due_periods, run_each
from agent.pipeline.close import Closed, Latest, WindowCloser
from agent.pipeline.manual import ManualWindows
from agent.pipeline.period_sources import PeriodSources
from agent.pipeline.record import Recorder
from agent.pipeline.reopen import LateSpan, Reopener
from agent.pipeline.seal import Sealer
from agent.pipeline.substitution import DailySubstitution
from agent.store.readings import Readings
from agent.store.sealed import SealedArchive
from agent.store.state import JobRuns

if TYPE_CHECKING:
    from sqlite3 import Connection


MOST_DROPPED = 20_000
BEAT_S = 5.0


class Pipeline:
    """Everything between a stored reading and a sealed batch, for one configuration."""

    def __init__(
        self,
        config: SiteConfig,
        database: Database,
        owner: Owner,
        readings: Readings,
        recorder: Recorder,
        latest: Latest,
        sealer: Sealer | None,
        clock: Clock,
    ) -> None:
        self._config = config
        self._database = database
        self._owner = owner
        self._recorder = recorder
        self._sealer = sealer
        self._clock = clock
        self._closer = WindowCloser(config, owner, readings, latest)
        self._reopener = Reopener(config, owner, readings)
        self._manual = ManualWindows(config, owner, readings)
        recorder.closed_to_ms = self._closer.closed_to_ms(database.connection)
        self._readings = readings
        self._periods = PeriodSources(config, owner)
        self._log = structlog.get_logger("pipeline")
        self._verdict: str | None = None  # of the daily check, found before its turn
        self.windows = 0
        self.emissions = 0
        zone = ZoneInfo(config.site.timezone)
        self.jobs = (
            CalendarJob(
                name="hour-seal",
                start_of=lambda time_ms: time_ms // HOUR_MS * HOUR_MS,
                next_start=lambda start_ms: start_ms + HOUR_MS,
                work=self._seal_hour,
            ),
            CalendarJob(
                name="daily-check",
                start_of=lambda time_ms: local_day(local_date(time_ms, zone), zone)[0],
                next_start=lambda start_ms: local_day(local_date(start_ms, zone), zone)[1],
                work=self._check_store,
            ),
            CalendarJob(
                name="hour-agreement",
                start_of=lambda time_ms: time_ms // HOUR_MS * HOUR_MS,
                next_start=lambda start_ms: start_ms + HOUR_MS,
                work=Agreement(config, owner, readings).check_hour,
            ),
            CalendarJob(
                name="daily-balance",
                # the windows that end the day are closed only after it
                start_of=lambda time_ms: local_day(local_date(time_ms - HOUR_MS, zone), zone)[0],
                next_start=lambda start_ms: local_day(local_date(start_ms, zone), zone)[1],
                work=DailyBalance(config, owner),
            ),
            CalendarJob(
                name="daily-substitution",
                start_of=lambda time_ms: local_day(local_date(time_ms - HOUR_MS, zone), zone)[0],
                next_start=lambda start_ms: local_day(local_date(start_ms, zone), zone)[1],
                work=DailySubstitution(config, owner),
            ),
        )

    def run_due(self, now_ms: int) -> int:
        """Do everything that is due at this time; returns the number of new batches."""
        return sum(self.pieces(now_ms))

    def pieces(self, now_ms: int) -> Iterator[int]:
        """What is due, in pieces that hold the store briefly; each tells of its new batches.

        After days of standstill there is much to do: between two pieces others get their turn.
        """
        self._recorder.flush()
        if not self._recorder.trust.trusted:
            return
        # first: a closing goes on from readings that may have changed
        for late in list(self._reopener.due(self._database.connection)):
            self._recut(late, now_ms)
            yield 0
        target_ms = self._closer.due_until_ms(now_ms)
        for step_ms in self._closer.steps(self._database.connection, target_ms):
            yield self._close_step(step_ms, now_ms)
        while names := self._manual.due(self._database.connection, now_ms):
            for name in names:
                self._take_manual(name, now_ms)
                yield 0
        while self._closer.is_behind(self._database.connection):
            yield self._close_step(target_ms, now_ms)
        for events in self._periods.pieces(self._database, target_ms, now_ms):
            self._recorder.tell(events)
            yield 0
        yield self.seal(now_ms)
        for job in self.jobs:
            for _ in run_each(job, self._database, now_ms):
                self._log.info("job.done", job=job.name)
                yield 0
        while self._drop_old(now_ms):
            yield 0

    def _close_step(self, step_ms: int, now_ms: int) -> int:
        batches = 0
        with self._database.transaction() as connection:
            closed = self._closer.close(connection, step_ms, now_ms)
            if self._sealer is not None:
                batches = self._sealer.seal(connection, now_ms)
        self._recorder.closed_to_ms = step_ms
        self._count(closed)
        self._log.info(
            "windows.closed",
            until=iso_utc(step_ms),
            windows=closed.windows,
            emissions=closed.emissions,
            events=len(closed.events),
            batches=batches,
        )
        return batches

    def _recut(self, late: LateSpan, now_ms: int) -> None:
        with self._database.transaction() as connection:
            closed = self._reopener.recut(connection, late, now_ms)
        self._count(closed)
        self._log.info(
            "windows.revised",
            stream=late.stream,
            since=iso_utc(late.from_ms),
            until=iso_utc(late.to_ms),
            windows=closed.windows,
        )

    def _take_manual(self, stream: str, now_ms: int) -> None:
        with self._database.transaction() as connection:
            taken = self._manual.run(connection, stream, now_ms)
        self._count(taken)
        self._log.info("manual.taken", stream=stream, windows=taken.windows)

    def _count(self, closed: Closed | Revised) -> None:
        self.windows += closed.windows
        self.emissions += closed.emissions
        self._recorder.tell(closed.events)

    def seal(self, now_ms: int) -> int:
        """Seal what was booked since (events, entries, revisions), a bounded number of batches."""
        if self._sealer is None:
            return 0
        with self._database.transaction() as connection:
            return self._sealer.seal(connection, now_ms)

    def _seal_hour(self, connection: Connection, hour_ms: int) -> None:
        """Seal one closed hour."""
        SealedArchive(connection).seal_hour(hour_ms)

    def _drop_old(self, now_ms: int) -> bool:
        """Drop some row readings that are sealed and old enough; whether there are more."""
        sealed_ms = JobRuns(self._database.connection).last("hour-seal")
        if sealed_ms is None:
            return False
        kept_ms = int(self._config.store.readings_days * DAY_MS)
        before_ms = min(sealed_ms + HOUR_MS, now_ms - kept_ms)
        with self._database.transaction():
            return self._readings.delete_before(before_ms, limit=MOST_DROPPED) == MOST_DROPPED

    def _check_store(self, connection: Connection, day_ms: int) -> None:
        """A short consistency check of the database every day, booked as an event."""
        verdict = self._verdict or self._database.quick_check()
        SqliteBook(connection).add_events(
            self._owner,
            [
                Event(
                    time_ms=self._clock.now_ms(),
                    code="store.checked" if verdict == "ok" else "store.damaged",
                    subject=self._owner.gateway,
                    severity=Severity.INFO if verdict == "ok" else Severity.ALARM,
                    detail=verdict,
                )
            ],
        )

    async def run(
        self,
        wait: Callable[[], Awaitable[None]],
        beat: Callable[[str], None],
        sealed: Callable[[], None],
    ) -> None:
        """Do what is due at every wake until cancelled; tells when there are new batches.

        A store that cannot be written is no end: it is tried again at the next wake.
        """
        while True:
            await wait()
            try:
                await self._check_if_due(beat)
                for batches in self.pieces(self._clock.now_ms()):
                    await self._between(batches, beat, sealed)
                while batches := self.seal(self._clock.now_ms()):
                    await self._between(batches, beat, sealed)
            except StoreError as error:
                self._log.error("store.write_failed", error=str(error))
            finally:
                self._verdict = None
            beat("pipeline")

    async def _between(
        self, batches: int, beat: Callable[[str], None], sealed: Callable[[], None]
    ) -> None:
        if batches:
            sealed()
        beat("pipeline")
        await asyncio.sleep(0)

    async def _check_if_due(self, beat: Callable[[str], None]) -> None:
        """Read the whole file in a process of its own: it may take minutes on flash."""
        job = self.jobs[1]
        last_ms = JobRuns(self._database.connection).last(job.name)
        if not due_periods(job, last_ms, self._clock.now_ms()):
            return
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "agent.store.check",
            self._database.path,
            stdout=asyncio.subprocess.PIPE,
        )
        reading = asyncio.ensure_future(process.communicate())
        try:
            while not reading.done():
                await asyncio.wait((reading,), timeout=BEAT_S)
                beat("pipeline")
            self._verdict = reading.result()[0].decode("utf-8", "replace").strip() or "no verdict"
        finally:
            if not reading.done():
                process.kill()
                await reading
