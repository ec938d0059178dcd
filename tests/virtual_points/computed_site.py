"""The small site of the pipeline's tests with computed streams on top."""

from __future__ import annotations

from pathlib import Path

from agent.book.ports import Span
from agent.book.sqlite import SqliteBook
from agent.core.model import Emission, Event, Window
from tests.fake_clock import FakeClock
from tests.pipeline import site
from tests.pipeline.site import Bench

EVERYTHING = Span(from_ms=0, to_ms=1 << 60)
START_MS = 1_795_000_000_000

COMPUTED = """
[[virtual]]
id = "net"
name = "a without b"
formula = "a.energy - b.energy"
unit = "kWh"
[[virtual]]
id = "half"
formula = "virtual.net / 2"
unit = "kWh"
[[virtual]]
id = "heat"
formula = "a.load * 0.001"
unit = "GJ"
[[indirect]]
id = "pump"
inputs = ["b.energy", "a.load"]
unit = "kWh"
[[device]]
id = "dnet"
unit = "line"
stage = "common"
streams = [{ stream = "virtual.net" }]
[[source]]
id = "snet"
device = "dnet"
kind = "electricity"
stream = "virtual.net"
region = "全国"
year = 2023
[[device]]
id = "dpump"
unit = "line"
stage = "auxiliary"
streams = [{ stream = "indirect.pump" }]
[[source]]
id = "spump"
device = "dpump"
kind = "electricity"
stream = "indirect.pump"
region = "全国"
year = 2023
"""


def computed_bench(
    folder: Path, clock: FakeClock, *, sealed: bool = False, more: str = COMPUTED
) -> Bench:
    """A pipeline on the small site; meter b stands below meter a."""
    text = site.SITE.replace('id = "b"\nbus', 'id = "b"\nparent = "a"\naccuracy_class = 0.5\nbus')
    return Bench(folder, clock, sealed=sealed, text=text + more)


def windows(bench: Bench, stream: str) -> list[Window]:
    book = SqliteBook(bench.database.connection)
    return list(book.current_windows(bench.owner, EVERYTHING, stream))


def emissions(bench: Bench, source: str) -> list[Emission]:
    book = SqliteBook(bench.database.connection)
    return list(book.current_emissions(bench.owner, EVERYTHING, source))


def events(bench: Bench, code: str) -> list[Event]:
    book = SqliteBook(bench.database.connection)
    return [item for item in book.events(bench.owner, EVERYTHING, 10_000) if item.code == code]
