"""One pass of the pipeline: close what can be closed, seal it, do the calendar's work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import structlog

from agent.book.database import Database
from agent.book.ports import Owner
from agent.book.sqlite import SqliteBook
from agent.config.site import SiteConfig
from agent.core.model import Event, Severity
from agent.core.ports import Clock
from agent.core.timebase import DAY_MS, HOUR_MS, iso_utc, local_date, local_day
from agent.pipeline.calendar import CalendarJob, run_due
from agent.pipeline.close import Latest, WindowCloser
from agent.pipeline.record import Recorder
from agent.pipeline.seal import Sealer
from agent.store.readings import Readings
from agent.store.sealed import SealedArchive

if TYPE_CHECKING:
    from sqlite3 import Connection


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
        self._readings = readings
        self._log = structlog.get_logger("pipeline")
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
        )

    def run_due(self, now_ms: int) -> int:
        """Do everything that is due at this time; returns the number of new batches."""
        self._recorder.flush()
        if not self._recorder.trust.trusted:
            return 0
        batches = self._close_windows(now_ms)
        for job in self.jobs:
            done = run_due(job, self._database, now_ms)
            if done:
                self._log.info("job.done", job=job.name, periods=done)
        return batches

    def _close_windows(self, now_ms: int) -> int:
        target_ms = self._closer.due_until_ms(now_ms)
        batches = 0
        for step_ms in self._closer.steps(self._database.connection, target_ms):
            with self._database.transaction() as connection:
                closed = self._closer.close(connection, step_ms, now_ms)
                if self._sealer is not None:
                    batches += self._sealer.seal(connection, now_ms)
            self.windows += closed.windows
            self.emissions += closed.emissions
            self._recorder.tell(closed.events)
            self._log.info(
                "windows.closed",
                until=iso_utc(step_ms),
                windows=closed.windows,
                emissions=closed.emissions,
                events=len(closed.events),
                batches=batches,
            )
        return batches + self.seal(now_ms)

    def seal(self, now_ms: int) -> int:
        """Seal what was booked since (events, entries, revisions), a bounded number of batches."""
        if self._sealer is None:
            return 0
        with self._database.transaction() as connection:
            return self._sealer.seal(connection, now_ms)

    def _seal_hour(self, connection: Connection, hour_ms: int) -> None:
        """Seal one closed hour, and drop row readings that are sealed and old enough."""
        SealedArchive(connection).seal_hour(hour_ms)
        kept_ms = int(self._config.store.readings_days * DAY_MS)
        self._readings.delete_before(hour_ms - kept_ms, limit=5_000_000)

    def _check_store(self, connection: Connection, day_ms: int) -> None:
        """A short consistency check of the database every day, booked as an event."""
        verdict = self._database.quick_check()
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
        """Do what is due at every wake until cancelled; tells when there are new batches."""
        while True:
            await wait()
            batches = self.run_due(self._clock.now_ms())
            while batches:
                sealed()
                await asyncio.sleep(0)
                batches = self.seal(self._clock.now_ms())
            beat("pipeline")
