"""A site with a meter that people read by the hour, one by the shift, and two on a wire."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

from agent.book.manual import SqliteManual
from agent.book.ports import Span
from agent.book.sqlite import SqliteBook
from agent.core.model import Emission, Event, Window
from agent.daemon.manual import enter_readings
from agent.store.batches import Batches
from agent.web.manual_view import ManualOutcome, ManualSubmission
from tests.fake_clock import FakeClock
from tests.pipeline.site import SITE, Bench

ZONE = ZoneInfo("Asia/Shanghai")
HOUR_MS = 3_600_000
EIGHT_MS = 1_795_046_400_000  # 2026-11-19 08:00 at UTC+8
EVERYTHING = Span(from_ms=0, to_ms=1 << 60)
GRID_2023 = 0.5306
TABLES = """
[[shift]]
id = "night"
start = "00:00"
[[shift]]
id = "early"
start = "08:00"
[[shift]]
id = "late"
start = "16:00"
[[manual]]
id = "old"
name = "老电表"
quantity = "energy-import"
unit = "kWh"
every = "hour"
resolution = 0.1
modulus = 100000
max_rate_per_h = 1000
high_per_h = 500
peers = ["a.energy", "b.energy", "manual.twin"]
[[manual]]
id = "twin"
quantity = "energy-import"
unit = "kWh"
every = "hour"
[[manual]]
id = "diesel"
quantity = "diesel"
unit = "kg"
form = "amount"
every = "shift"
[[source]]
id = "so"
device = "db"
kind = "electricity"
stream = "manual.old"
region = "全国"
year = 2023
"""


class ManualBench(Bench):
    """A pipeline with meters that people read, 15 minutes a window."""

    def __init__(
        self,
        folder: Path,
        *,
        now_ms: int = EIGHT_MS,
        sealed: bool = False,
        tables: str = TABLES,
        window_s: int = 900,
    ) -> None:
        text = SITE + tables
        super().__init__(folder, FakeClock(now_ms), sealed=sealed, window_s=window_s, text=text)

    def sign(self, month: str) -> None:
        """Let a department accept the figures of a month."""
        with self.database.transaction() as connection:
            connection.execute("INSERT INTO reviewed_figures VALUES ('f1', '{}')")
            connection.execute(
                "INSERT INTO reviews (site, gateway, month, department, name, decision, note, "
                "settled, figures, reviewed_ms) VALUES ('plant', 'gw', ?, 'production', '张三', "
                "'accepted', '', '[]', 'f1', 1)",
                (month,),
            )

    def enter(self, *entries: dict[str, object], dry_run: bool = False) -> ManualOutcome:
        """Enter readings, each as ``reading()`` gives it."""
        submission = ManualSubmission(entries=entries, dry_run=dry_run)
        now_ms = self.clock.now_ms()
        return enter_readings(self.database, self.owner, self.config, submission, now_ms)

    def run(self) -> None:
        self.pipeline.run_due(self.clock.now_ms())

    def windows(self, stream: str = "manual.old") -> list[Window]:
        book = SqliteBook(self.database.connection)
        return list(book.current_windows(self.owner, EVERYTHING, stream))

    def revisions(self, stream: str = "manual.old") -> int:
        """How many window revisions of a stream were ever booked."""
        book = SqliteBook(self.database.connection)
        return sum(one.stream == stream for _, one in book.windows_after(self.owner, 0, 10**6))

    def emissions(self, source: str) -> list[Emission]:
        book = SqliteBook(self.database.connection)
        return list(book.current_emissions(self.owner, EVERYTHING, source))

    def events(self, code: str) -> list[Event]:
        found = SqliteBook(self.database.connection).events(self.owner, EVERYTHING, 1000)
        return [event for event in found if event.code == code]

    def batches(self) -> list[bytes]:
        """The bytes of every sealed batch in order."""
        store = Batches(self.database.connection)
        epoch = store.current_epoch()
        last = None if epoch is None else store.last(epoch.id)
        if epoch is None or last is None:
            return []
        return [store.data(epoch.id, seq) or b"" for seq in range(1, last.seq + 1)]

    @property
    def manual(self) -> SqliteManual:
        return SqliteManual(self.database.connection)


def reading(time: str, value: object, meter: str = "old", **fields: object) -> dict[str, object]:
    """A reading of 19 November 2026 unless ``time`` says another day."""
    when = time if "-" in time else f"2026-11-19 {time}"
    return {"meter": meter, "time": when, "value": value, "author": "王工", **fields}
