"""A plant with weeks of history, whose meter falls silent as the tests want it."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

from agent.book.ports import Span
from agent.book.sqlite import SqliteBook
from agent.core.gaps.booked import GapFill
from agent.core.model import Emission, Event, Sample, Window
from agent.pipeline.fill import GapFilling
from agent.pipeline.fill_worker import answer
from agent.store.gaps import GapFills
from tests.fake_clock import FakeClock
from tests.pipeline import site
from tests.pipeline.site import Bench

HOUR_MS = 3_600_000
MONDAY_MS = 1_793_577_600_000 - 8 * HOUR_MS  # 2026-11-02, local midnight in Shanghai
EVERYTHING = Span(from_ms=0, to_ms=1 << 60)
STEP_S = 900
HISTORY_H = 21 * 24

TEXT = '[store]\npath = "gw.db"\n' + (
    site.SITE.replace('bus = "tcp"\nunit =', f'bus = "tcp"\nperiod_s = {STEP_S}\nunit =')
    .replace('{ id = "load", unit = "%", quantity = "load", address = 4, type = "u16" },', "")
    .replace('load = "a.load"', 'load = "c.load"\nconditions = ["c.grade"]')
    .replace(
        "[[device]]",
        f"""[[meter]]
id = "c"
bus = "tcp"
period_s = {STEP_S}
unit = 3
points = [
  {{ id = "load", unit = "%", quantity = "load", address = 4, type = "u16" }},
  {{ id = "grade", unit = "%", quantity = "grade", address = 6, type = "u16" }},
]
[[device]]""",
        1,
    )
)

TEXT += """
[[virtual]]
id = "twice"
formula = '"a.energy" * 2'
unit = "kWh"
"""


def load_at(hours: float) -> float:
    """Two shifts on workdays, every day at another level."""
    day = math.floor(hours / 24)
    busy = day % 7 < 5 and 6 <= hours % 24 < 22
    return 60.0 + 5.0 * (day * 5 % 7) if busy else 10.0


def power_at(hours: float) -> float:
    """Energy follows the load, with a ripple that no condition explains."""
    return 0.5 * load_at(hours) + 3.0 + math.sin(hours * 1.7)


class GapPlant(Bench):
    """Meter a counts energy, c tells load and grade; both are read every quarter of an hour."""

    def __init__(self, folder: Path, *, hours: float = 0.0, text: str = TEXT) -> None:
        clock = FakeClock(MONDAY_MS + round(hours * HOUR_MS))
        super().__init__(folder, clock, sealed=True, window_s=3600, text=text)
        self.filling = GapFilling(self.config, self.database, self.owner, clock)
        self.offset = 0.0  # what the register was set back by

    @property
    def hours(self) -> float:
        return (self.clock.now_ms() - MONDAY_MS) / HOUR_MS

    def run(self, hours: float, *, silent: bool = False, grade: float = 1.0) -> None:
        """Let time pass; ``silent`` meters do not answer, load and grade are read all the same."""
        for _ in range(round(hours * 3600 / STEP_S)):
            self.clock.advance(STEP_S)
            now, time_ms = self.hours, self.clock.now_ms()
            put = [("c.load", load_at(now)), ("c.grade", grade)]
            if not silent:
                put.append(("a.energy", round(self.register(now), 2)))
            put.append(("b.energy", round(500 + 10 * now, 2)))
            self.recorder.put(
                [Sample(point=p, time_ms=time_ms, monotonic_ns=0, value=v) for p, v in put]
            )
            if now % 24 == 0:
                self.close_due()
        self.close_due()

    def register(self, hours: float) -> float:
        """The register of meter a, by steps of a quarter of an hour."""
        known = self.__dict__.setdefault("_register", {})
        place = round(hours * 4)
        if place not in known:
            known[place] = math.fsum(power_at((i + 0.5) / 4) / 4 for i in range(place))
        return 1000.0 + float(known[place]) - self.offset

    def close_due(self) -> None:
        self.pipeline.run_due(self.clock.now_ms())

    def fill(self) -> int:
        """Fill what is due here, without a process; returns how many windows were booked."""
        found = [self.filling.book(job, answer(job)) for job in self.filling.due()]
        self.close_due()
        return sum(one.windows for one in found)

    def fill_apart(self) -> None:
        """Fill what is due as the gateway does, in a process of its own."""
        asyncio.run(self.filling.fill_due())
        self.close_due()

    def windows(self, stream: str = "a.energy") -> dict[int, Window]:
        """The current windows by their hour since the beginning."""
        found = SqliteBook(self.database.connection).current_windows(self.owner, EVERYTHING, stream)
        return {(window.start_ms - MONDAY_MS) // HOUR_MS: window for window in found}

    def emissions(self) -> dict[int, Emission]:
        found = SqliteBook(self.database.connection).current_emissions(self.owner, EVERYTHING, "sa")
        return {(one.start_ms - MONDAY_MS) // HOUR_MS: one for one in found}

    def fills(self) -> list[GapFill]:
        return GapFills(self.database.connection).between(0, 1 << 60)

    def events(self, code: str) -> list[Event]:
        found = SqliteBook(self.database.connection).events(self.owner, EVERYTHING, 1000)
        return [event for event in found if event.code == code]

    def rows(self) -> int:
        """How many revisions of windows of meter a are booked."""
        found = self.database.connection.execute(
            "SELECT count(*) FROM windows JOIN series ON series.id = series WHERE name = 'a.energy'"
        )
        return int(found.fetchone()[0])


def truth(first: int, end: int) -> dict[int, float]:
    """What each hour really took."""
    return {
        hour: math.fsum(power_at(hour + (i + 0.5) / 4) / 4 for i in range(4))
        for hour in range(first, end)
    }
