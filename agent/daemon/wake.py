"""The alarm clock: APScheduler wakes the pipeline, which then finds out itself what is due."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger


class Wake:
    """Sets an event at each window boundary, hour and local midnight, a little later."""

    def __init__(self, timezone: str) -> None:
        self._zone = ZoneInfo(timezone)
        self._event = asyncio.Event()
        self._scheduler = AsyncIOScheduler(timezone=UTC)

    def start(self, window_ms: int, settle_ms: int, now_ms: int) -> None:
        """Begin to wake; boundaries are multiples of the window, `settle_ms` after them."""
        first_ms = now_ms // window_ms * window_ms + settle_ms % window_ms
        self._add(
            "window",
            IntervalTrigger(
                seconds=window_ms / 1000, start_date=datetime.fromtimestamp(first_ms / 1000, UTC)
            ),
        )
        self._add("hour", CronTrigger(minute=0, second=30, timezone=UTC))
        self._add("day", CronTrigger(hour=0, minute=1, second=0, timezone=self._zone))
        self._scheduler.start()
        self._event.set()

    def _add(self, name: str, trigger: IntervalTrigger | CronTrigger) -> None:
        self._scheduler.add_job(
            self._ring, trigger, id=name, coalesce=True, max_instances=1, misfire_grace_time=None
        )

    async def _ring(self) -> None:
        # a coroutine, so that APScheduler calls it in this loop and not in a thread
        self._event.set()

    def ring(self) -> None:
        """Wake at once."""
        self._event.set()

    async def wait(self) -> None:
        """Return at the next ring."""
        await self._event.wait()
        self._event.clear()

    def stop(self) -> None:
        """Wake no more."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
