"""A site whose meters, wires and servers fail in every way the virtual plant knows, in one run."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.plant_site import TAIL, PlantSite

DEAD_FOR_S = 17.0
LOOK_S = 11.0
RUN_S = 48.0

# Seconds from the moment at which the site is at work, and what begins then. Line 1 has faults of
# single meters, line 2 also of the wire.
FAULTS = (
    (0.0, f"dead:em-reactor+{DEAD_FOR_S:g}"),
    (1.0, "wrong-unit:em-air=0.4+12"),
    (1.5, "late:em-wastewater=400,0.1+14"),
    (2.0, "truncated:heat-column=0.4+12"),
    (2.5, "nan:em-lighting+8"),
    (3.0, "rollover:em-cooling=14"),
    (3.5, "drop:gas"),
    (5.0, "zero:em-crusher=1"),
    (7.0, "session-loss:dcs"),
    (9.0, "reset:em-compressor"),
    (10.0, "drop:gas+2"),
    (12.0, "zero:em-fan=1"),
    (18.0, "noise:rs485-2=0.05+14"),
)


@dataclass
class FaultyPlant:
    """The stopped site, when its faults began and what the page said while a meter was dead."""

    site: PlantSite
    begun_ms: int
    dead_devices: dict[str, Any]
    last_status: Any = None
    exit_code: int = -1

    def at_ms(self, seconds: float) -> int:
        """Wall time of a moment of the run."""
        return self.begun_ms + int(seconds * 1000)


def run_faulty_plant(folder: Path, broker: str) -> FaultyPlant:
    """Run a site through all faults of `FAULTS`, after two sound windows."""
    with PlantSite(folder, broker, scripted_plant=True) as site:
        site.start_central()
        site.write_site(site.start_plant() + site.target() + TAIL)
        site.start_gateway()
        site.wait_for_windows(3)
        done = FaultyPlant(site, begun_ms=time.time_ns() // 1_000_000, dead_devices={})
        looked = False
        for at_s, fault in [*FAULTS, (RUN_S, "")]:
            if at_s > LOOK_S and not looked:
                _wait_until(done.at_ms(LOOK_S))
                devices = site.get("/api/v1/devices")["devices"]
                done.dead_devices = {device["id"]: device for device in devices}
                looked = True
            _wait_until(done.at_ms(at_s))
            if fault:
                site.plant.tell(fault)
        done.last_status = site.status()
        done.exit_code = site.finish()
    return done


def _wait_until(time_ms: int) -> None:
    time.sleep(max(0.0, time_ms / 1000 - time.time()))
