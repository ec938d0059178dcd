"""A small site in memory: two meters, one with a load, two devices, two sources."""

from __future__ import annotations

from pathlib import Path

from agent.book.database import Database
from agent.book.ports import Owner
from agent.config.load import load_site
from agent.config.site import SiteConfig
from agent.core.chain import SigningKey
from agent.core.model import Sample
from agent.pipeline.record import Recorder
from agent.pipeline.run import Pipeline
from agent.pipeline.seal import Sealer
from agent.poll.live import LiveValues
from agent.store.database import open_store
from agent.store.readings import Readings
from agent.store.state import StreamStates
from tests.fake_clock import FakeClock

SITE = """
[site]
id = "plant"
window_s = 60
[gateway]
id = "gw"
[[area]]
id = "hall"
[[unit]]
id = "line"
area = "hall"
[[bus]]
id = "tcp"
driver = "modbus-tcp"
host = "127.0.0.1"
port = 1502
[[meter]]
id = "a"
bus = "tcp"
unit = 1
points = [
  @energy@,
  { id = "load", unit = "%", quantity = "load", address = 4, type = "u16" },
]
[[meter]]
id = "b"
bus = "tcp"
unit = 2
points = [@energy@]
[[device]]
id = "da"
unit = "line"
stage = "reaction"
streams = [{ stream = "a.energy" }]
load = "a.load"
[[device]]
id = "db"
unit = "line"
stage = "common"
streams = [{ stream = "b.energy" }]
[[source]]
id = "sa"
device = "da"
kind = "electricity"
stream = "a.energy"
region = "全国"
year = 2023
[[source]]
id = "sb"
device = "db"
kind = "electricity"
stream = "b.energy"
region = "全国"
year = 2023
"""
ENERGY = (
    '{ id = "energy", unit = "kWh", role = "counter", quantity = "energy-import", address = 0, '
    'type = "u32", scale = 0.01, resolution = 0.01, max_rate_per_h = 10000 }'
)
GRID_2023 = 0.5306


class Bench:
    """A pipeline on a real file and a clock that the test moves."""

    def __init__(
        self,
        folder: Path,
        clock: FakeClock,
        *,
        sealed: bool = False,
        window_s: int = 60,
        text: str = SITE,
    ) -> None:
        path = folder / "site.toml"
        text = text.replace("@energy@", ENERGY)
        path.write_text(text.replace("window_s = 60", f"window_s = {window_s}"), encoding="utf-8")
        self.config: SiteConfig = load_site(path)
        self.clock = clock
        self.database: Database = open_store(folder / "gw.db")
        self.database.connection.execute("PRAGMA synchronous = OFF")  # no power cut is tried here
        self.owner = Owner(site="plant", gateway="gw")
        self.live = LiveValues()
        self.readings = Readings(self.database.connection)
        self.recorder = Recorder(self.database, self.owner, self.readings, clock, "boot-1")
        with self.database.transaction() as connection:
            self.readings.register_points(self.config.points)
            StreamStates(connection).register(self.config.streams, clock.now_ms())
        key = SigningKey.from_seed(bytes(range(32)))
        sealer = Sealer(self.owner, key, lambda: "ab" * 16) if sealed else None
        self.pipeline = Pipeline(
            self.config,
            self.database,
            self.owner,
            self.readings,
            self.recorder,
            self.live.get,
            sealer,
            clock,
        )

    def sample(self, point: str, value: float) -> Sample:
        """A good reading of a point, now."""
        return Sample(
            point=point,
            time_ms=self.clock.now_ms(),
            monotonic_ns=self.clock.monotonic_ns(),
            value=value,
        )

    def read(self, seconds: int, *, skip: tuple[str, ...] = (), load: float = 90.0) -> None:
        """Let both meters be read once a second: a runs at 360 kW, b at 36 kW."""
        for _ in range(seconds):
            self.clock.advance(1)
            second = (self.clock.now_ms() - 1_795_000_000_000) / 1000
            samples = [
                self.sample("a.energy", round(1000 + 0.1 * second, 2)),
                self.sample("a.load", load),
                self.sample("b.energy", round(500 + 0.01 * second, 2)),
            ]
            chosen = [item for item in samples if item.point.partition(".")[0] not in skip]
            self.live.update(chosen)
            self.recorder.put(chosen)

    def close(self) -> None:
        self.database.close()
