"""A box that was off over midnights: each missed period is done exactly once, however it starts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agent.book.ports import Span
from agent.book.sqlite import SqliteBook
from agent.core.model import Provenance, Sample, Window
from agent.core.timebase import DAY_MS, HOUR_MS, local_date
from agent.daemon.service import Gateway
from agent.pipeline.calendar import due_periods
from agent.store.sealed import SealedArchive
from agent.store.state import JobRuns
from tests.fake_clock import FakeClock

SITE = """
[site]
id = "plant"
window_s = 900
timezone = "Asia/Shanghai"
[gateway]
id = "gw"
[[area]]
id = "hall"
[[unit]]
id = "line"
area = "hall"
[[bus]]
id = "net"
driver = "modbus-tcp"
host = "127.0.0.1"
port = 1502
[[meter]]
id = "main"
bus = "net"
unit = 1
[[meter.points]]
id = "energy"
unit = "kWh"
role = "counter"
quantity = "energy-import"
address = 0
type = "u32"
scale = 0.01
resolution = 0.01
max_rate_per_h = 1000
[[device]]
id = "mill"
unit = "line"
stage = "reaction"
streams = [{ stream = "main.energy" }]
[[source]]
id = "mill-electricity"
device = "mill"
kind = "electricity"
stream = "main.energy"
region = "全国"
year = 2023
[[target]]
id = "ledger"
url = "mqtt://127.0.0.1:1"
confirm = "puback"
[web]
enabled = false
"""
SHANGHAI = ZoneInfo("Asia/Shanghai")
LATE_EVENING_MS = 1_795_363_080_000  # 2026-11-22T23:58+08:00
EVERYTHING = Span(from_ms=0, to_ms=1 << 60)
KWH_PER_S = 0.1  # 360 kW


class Box:
    """A gateway that is switched on and off on one folder; its meter counts all the time."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock(LATE_EVENING_MS)
        self._path = folder / "site.toml"
        self._path.write_text(SITE, encoding="utf-8")
        self._boots = 0
        self.gateway: Gateway
        self.switch_on()

    def switch_on(self) -> None:
        self._boots += 1
        self.gateway = Gateway(self._path, self.clock, f"boot-{self._boots}")

    def switch_off(self) -> None:
        """Pull the plug: nothing is written on the way out."""
        self.gateway.database.close()

    def read(self, seconds: int) -> None:
        """Let the meter be read once a second."""
        for _ in range(seconds):
            self.clock.advance(1)
            now_ms = self.clock.now_ms()
            counted = 1000 + KWH_PER_S * (now_ms - LATE_EVENING_MS) / 1000
            self.gateway.take(
                [
                    Sample(
                        point="main.energy",
                        time_ms=now_ms,
                        monotonic_ns=self.clock.monotonic_ns(),
                        value=round(counted, 2),
                    )
                ]
            )

    def wake(self) -> int:
        return self.gateway.pipeline.run_due(self.clock.now_ms())

    def query(self, statement: str) -> list[tuple[int, ...]]:
        return self.gateway.database.connection.execute(statement).fetchall()

    def windows(self) -> list[Window]:
        book = SqliteBook(self.gateway.database.connection)
        return list(book.current_windows(self.gateway.owner, EVERYTHING))


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    made = Box(tmp_path)
    yield made
    made.switch_off()


def off_for_three_days(box: Box) -> None:
    box.read(100)
    box.wake()
    box.switch_off()
    box.clock.advance(3 * DAY_MS / 1000)
    box.switch_on()


def assert_each_period_once(box: Box) -> None:
    """From the hour and the day before the box was new to those that have just ended."""
    done = "SELECT period_ms FROM job_runs WHERE job = '{}' ORDER BY period_ms"
    hours = [row[0] for row in box.query(done.format("hour-seal"))]
    first_ms = LATE_EVENING_MS // HOUR_MS * HOUR_MS - HOUR_MS
    now_ms = box.clock.now_ms()
    assert hours == list(range(first_ms, now_ms // HOUR_MS * HOUR_MS, HOUR_MS))
    days = [local_date(row[0], SHANGHAI) for row in box.query(done.format("daily-check"))]
    first = local_date(LATE_EVENING_MS - DAY_MS, SHANGHAI)
    count = (local_date(now_ms, SHANGHAI) - first).days
    assert count in (4, 5)
    assert days == [first + timedelta(days=number) for number in range(count)]
    # the first of each is taken as done when the box is new: nothing was kept of it
    checks = box.query("SELECT count(*) FROM events WHERE code = 'store.checked'")
    assert checks == [(count - 1,)]
    archive = SealedArchive(box.gateway.database.connection)
    assert all(archive.is_sealed(hour) for hour in hours[1:])


def test_every_missed_period_is_done_once_over_two_restarts(box: Box) -> None:
    off_for_three_days(box)
    for _ in range(2):
        box.read(30)
        box.wake()
        box.wake()
        assert_each_period_once(box)
        box.switch_off()
        box.switch_on()


@pytest.mark.parametrize("crash_at", [1, 2, 37, 72])
def test_a_crash_in_the_middle_of_catching_up_repeats_and_skips_nothing(
    box: Box, monkeypatch: pytest.MonkeyPatch, crash_at: int
) -> None:
    off_for_three_days(box)
    seal_hour = SealedArchive.seal_hour
    begun: list[int] = []

    def crashing(archive: SealedArchive, hour_ms: int) -> object:
        sealed = seal_hour(archive, hour_ms)
        begun.append(hour_ms)
        if len(begun) == crash_at:
            raise KeyboardInterrupt
        return sealed

    with monkeypatch.context() as patch:
        patch.setattr(SealedArchive, "seal_hour", crashing)
        with pytest.raises(KeyboardInterrupt):
            box.wake()
    assert len(set(begun)) == len(begun) == crash_at
    box.switch_off()
    box.switch_on()
    box.wake()
    assert_each_period_once(box)


def test_the_days_off_are_what_the_register_says(box: Box) -> None:
    """The counter kept counting: three days of windows share its difference exactly."""
    off_for_three_days(box)
    box.wake()
    box.read(3600)
    box.wake()
    windows = box.windows()
    assert all(before.end_ms == after.start_ms for before, after in pairwise(windows))
    assert len(windows) >= 3 * 96
    ends = {row[0]: row[1] for row in box.query("SELECT boundary_ms, accumulated FROM endpoints")}
    total = ends[windows[-1].end_ms] - ends[windows[0].start_ms]
    assert sum(window.value or 0 for window in windows) == pytest.approx(total, abs=1e-6)
    span_s = (windows[-1].end_ms - windows[0].start_ms) / 1000
    assert total == pytest.approx(KWH_PER_S * span_s, abs=0.02)
    off = [window for window in windows if window.coverage == 0]
    assert len(off) >= 285
    assert {window.provenance for window in off} == {Provenance.ALLOCATED}
    keys = box.query("SELECT count(*), count(DISTINCT seq) FROM batches")
    assert keys[0][0] == keys[0][1] > 0


def test_a_timer_only_wakes(box: Box) -> None:
    """Ringing more often, or not in time, changes nothing of what is done."""
    off_for_three_days(box)

    async def ring_often() -> None:
        beats: list[str] = []
        wake = box.gateway.wake
        loop = asyncio.create_task(box.gateway.pipeline.run(wake.wait, beats.append, lambda: None))
        for _ in range(20):
            before = len(beats)
            wake.ring()
            while len(beats) == before:
                await asyncio.sleep(0)
        runs, jobs = JobRuns(box.gateway.database.connection), box.gateway.pipeline.jobs
        while any(due_periods(job, runs.last(job.name), box.clock.now_ms()) for job in jobs):
            await asyncio.sleep(0.01)
        loop.cancel()
        await asyncio.wait([loop])

    asyncio.run(ring_often())
    assert_each_period_once(box)
