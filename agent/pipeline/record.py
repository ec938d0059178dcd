"""The recorder: what all buses deliver is written once per cycle, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from agent.book.database import Database
from agent.book.ports import Owner
from agent.book.sqlite import SqliteBook
from agent.core.errors import StoreError
from agent.core.model import Event, Quality, Sample, Severity
from agent.core.ports import Clock
from agent.core.quality.screen import Doubt, Reason
from agent.core.timebase import HOUR_MS
from agent.pipeline.clock_trust import EARLIEST_PLAUSIBLE_MS, ClockTrust
from agent.store.corrections import Corrections
from agent.store.readings import Readings
from agent.store.sealed import SealedArchive
from agent.store.state import ClockMarks, StreamStates

if TYPE_CHECKING:
    from sqlite3 import Connection

Beat = Callable[[str], None]

CYCLE_NS = 1_000_000_000
MOST_BUFFERED = 500_000
MOST_EVENTS = 10_000
AHEAD_TOLERANCE_MS = 60_000
TELL_AGAIN_MS = 24 * HOUR_MS  # a point that keeps spiking is told of once a day


@dataclass(slots=True)
class Tally:
    """How many readings of which quality, counted from each point's first good one."""

    good: int = 0
    suspect: int = 0
    missing: int = 0

    @property
    def total(self) -> int:
        return self.good + self.suspect + self.missing


class Recorder:
    """Buffers samples between commits; a reading counts as kept once its commit returned."""

    def __init__(
        self, database: Database, owner: Owner, readings: Readings, clock: Clock, boot: str
    ) -> None:
        self._database = database
        self._owner = owner
        self._readings = readings
        self._clock = clock
        self._boot = boot
        self._samples: list[Sample] = []
        self._events: list[Event] = []
        self._doubts: list[Doubt] = []
        self._doubted: dict[tuple[str, Reason], int] = {}  # when it was last told
        self._begun: set[str] = set()
        self._log = structlog.get_logger("record")
        self.listeners: list[Callable[[Event], None]] = []
        self.trust = ClockTrust(readings.last_ms())
        self.tally = Tally()
        self.closed_to_ms = 0  # a reading up to here may come after its window was closed
        self.volatile = 0  # readings held in memory because a write failed

    def put(self, samples: Sequence[Sample]) -> None:
        """Take samples from a bus; they are written with the next cycle."""
        self._samples.extend(samples)
        for sample in samples:
            if sample.quality == Quality.GOOD:
                self._begun.add(sample.point)
                self.tally.good += 1
            elif sample.point in self._begun:
                if sample.quality == Quality.SUSPECT:
                    self.tally.suspect += 1
                else:
                    self.tally.missing += 1

    def doubt(self, doubts: Sequence[Doubt]) -> None:
        """Take doubts of readings that were put: they are stored as suspect, with the reason."""
        for doubt in doubts:
            if doubt.reason is not Reason.STUCK:
                self._doubts.append(doubt)
                self.tally.good -= 1
                self.tally.suspect += 1
            last_ms = self._doubted.get((doubt.point, doubt.reason))
            if last_ms is None or doubt.time_ms - last_ms >= TELL_AGAIN_MS:
                self._doubted[doubt.point, doubt.reason] = doubt.time_ms
                self.report(_doubt_event(doubt))

    def report(self, event: Event) -> None:
        """Take an event; it is booked with the next cycle and told to whoever listens."""
        self._events.append(event)
        self.tell((event,))

    def tell(self, events: Iterable[Event]) -> None:
        """Tell listeners of events that are booked elsewhere."""
        for event in events:
            for listener in self.listeners:
                listener(event)

    def flush(self) -> int:
        """Write what is buffered; returns the number of readings. Keeps them if it fails."""
        change = self.trust.observe(self._clock.now_ms(), self._clock.monotonic_ns())
        samples, self._samples = self._samples, []
        events, self._events = self._events, []
        doubts, self._doubts = self._doubts, []
        if not samples and not events and not doubts and change is None:
            return 0
        try:
            with self._database.transaction() as connection:
                book = SqliteBook(connection)
                if change is not None:
                    book.add_events(self._owner, self._mark_clock(connection, change, samples))
                if self.trust.trusted:
                    placed = self._in_time(samples)
                    self._readings.append(placed)
                    self._readings.doubt(doubts)
                    self._join_sealed_hours(SealedArchive(connection), placed, doubts)
                    self._note_late(Corrections(connection), placed, doubts)
                else:
                    self._readings.append_unplaced(self._boot, samples)
                book.add_events(self._owner, events)
        except StoreError as error:
            self._samples = (samples + self._samples)[-MOST_BUFFERED:]
            self._events = (events + self._events)[-MOST_EVENTS:]
            self._doubts = (doubts + self._doubts)[-MOST_EVENTS:]
            self.trust.offset_ms = None  # what was seen of the clock was not written either
            self.volatile = len(self._samples)
            self._log.error("store.write_failed", error=str(error), held=self.volatile)
            return 0
        self.volatile = 0
        return len(samples)

    def _join_sealed_hours(
        self, archive: SealedArchive, samples: Sequence[Sample], doubts: Sequence[Doubt]
    ) -> None:
        """Readings that come late (a server's history), and late doubts, join sealed hours."""
        current_ms = self._clock.now_ms() // HOUR_MS * HOUR_MS
        late: dict[int, set[int]] = {}
        touched = [(each.time_ms, each.point) for each in samples]
        touched += [(each.time_ms, each.point) for each in doubts]
        for time_ms, point in touched:
            if time_ms < current_ms:
                points = late.setdefault(time_ms // HOUR_MS * HOUR_MS, set())
                points.add(self._readings.numbers[point])
        for hour_ms, points in sorted(late.items()):
            if archive.is_sealed(hour_ms):
                archive.seal_hour(hour_ms, points)

    def _note_late(
        self, corrections: Corrections, samples: Sequence[Sample], doubts: Sequence[Doubt]
    ) -> None:
        """Windows closed without these readings, or with doubtful ones, are to be cut again."""
        late: dict[str, set[int]] = {}
        for doubt in doubts:
            if doubt.time_ms <= self.closed_to_ms:
                late.setdefault(doubt.point, set()).add(doubt.time_ms)
        for sample in samples:
            if sample.time_ms <= self.closed_to_ms and sample.quality == Quality.GOOD:
                late.setdefault(sample.point, set()).add(sample.time_ms)
        for point, times_ms in late.items():
            corrections.note_late(point, times_ms)

    def _in_time(self, samples: Sequence[Sample]) -> list[Sample]:
        """A server's clock that runs ahead must not put readings into the future."""
        now_ms = self._clock.now_ms()
        latest_ms = now_ms + AHEAD_TOLERANCE_MS
        ahead = [sample for sample in samples if sample.time_ms > latest_ms]
        if ahead:
            self._log.warning("clock.source_ahead", point=ahead[0].point, samples=len(ahead))
        return [
            replace(sample, time_ms=now_ms) if sample.time_ms > latest_ms else sample
            for sample in samples
            if sample.time_ms >= EARLIEST_PLAUSIBLE_MS
        ]

    def _mark_clock(
        self, connection: Connection, change: str, samples: Sequence[Sample]
    ) -> list[Event]:
        """Note what the clock did; once it is trusted, give waiting readings their time."""
        now_ms, monotonic_ns = self._clock.now_ms(), self._clock.monotonic_ns()
        ClockMarks(connection).record(self._boot, monotonic_ns, now_ms, change)
        if change == "trusted":
            # what is still buffered was stamped by the clock that was wrong
            early = [sample for sample in samples if sample.time_ms < EARLIEST_PLAUSIBLE_MS]
            self._readings.append_unplaced(self._boot, early)
            offset_ms = now_ms - monotonic_ns // 1_000_000
            placed = self._readings.place(self._boot, offset_ms)
            first_ms = self._readings.first_after(EARLIEST_PLAUSIBLE_MS) if placed else None
            StreamStates(connection).begin_all(
                first_ms or now_ms, earliest_ms=EARLIEST_PLAUSIBLE_MS, latest_ms=now_ms
            )
            self._log.info("clock.trusted", placed=placed)
            return []
        self._log.warning("clock." + change)
        return [
            Event(
                time_ms=now_ms,
                code="clock." + change,
                subject=self._owner.gateway,
                severity=Severity.WARNING,
            )
        ]

    async def run(self, beat: Beat) -> None:
        """Write once per cycle until cancelled; the last cycle is written on the way out."""
        due_ns = self._clock.monotonic_ns()
        try:
            while True:
                due_ns += CYCLE_NS
                await self._clock.sleep_until(due_ns)
                due_ns = max(due_ns, self._clock.monotonic_ns() - CYCLE_NS)
                self.flush()
                beat("record")
        finally:
            self.flush()


def _doubt_event(doubt: Doubt) -> Event:
    return Event(
        time_ms=doubt.time_ms,
        code=f"reading.{doubt.reason}",
        subject=doubt.point,
        severity=Severity.INFO,
        detail=f"value={doubt.value:g}",
    )
