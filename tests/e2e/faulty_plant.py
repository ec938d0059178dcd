"""A site whose meters, wires and servers fail in every way the virtual plant knows, in one run."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.plant_site import TAIL, PlantSite

DEAD_FROM_S, DEAD_FOR_S = 14.0, 17.0
RUN_S = 62.0

# Seconds from the plant's start. Line 1 has faults of single meters, line 2 also of the wire.
FAULTS = (
    f"dead:em-reactor@{DEAD_FROM_S:g}+{DEAD_FOR_S:g}",
    "zero:em-crusher=1@20",
    "reset:em-compressor@24",
    "rollover:em-cooling=14@18",
    "wrong-unit:em-air=0.4@16+12",
    "late:em-wastewater=400,0.1@16+14",
    "truncated:heat-column=0.4@16+12",
    "nan:em-lighting@17+8",
    "zero:em-fan=1@26",
    "noise:rs485-2=0.05@32+16",
    "drop:gas@18",
    "drop:gas@24+2",
    "session-loss:dcs@22",
)


@dataclass
class FaultyPlant:
    """The stopped site, the plant's start and what the page said while a meter was dead."""

    site: PlantSite
    plant_start_ms: int
    dead_devices: dict[str, Any]
    last_status: Any = None
    exit_code: int = -1

    def at_ms(self, plant_s: float) -> int:
        """Wall time of a moment of the plant."""
        return self.plant_start_ms + int(plant_s * 1000)


def run_faulty_plant(folder: Path, broker: str) -> FaultyPlant:
    """Run a site through all faults of `FAULTS`."""
    with PlantSite(folder, broker, faults=FAULTS) as site:
        site.start_central()
        begun_ms = time.time_ns() // 1_000_000
        site.write_site(site.start_plant() + site.target() + TAIL)
        site.start_gateway()
        done = FaultyPlant(site, plant_start_ms=begun_ms, dead_devices={})
        _wait_until(done.at_ms(DEAD_FROM_S + 10))
        done.dead_devices = {item["id"]: item for item in site.get("/api/v1/devices")["devices"]}
        _wait_until(done.at_ms(RUN_S))
        done.last_status = site.status()
        done.exit_code = site.finish()
    return done


def _wait_until(time_ms: int) -> None:
    time.sleep(max(0.0, time_ms / 1000 - time.time()))
