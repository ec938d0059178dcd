"""A site whose gateway, ledger and broker are killed at random instants, in turn and mixed."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Protocol

from tests.e2e.plant_site import PlantSite

SEED = 20261122
LONG_OUTAGE_S = 8.0  # longer than a window and than what counts as a gap


class Killable(Protocol):
    def kill(self) -> None: ...

    def start(self) -> None: ...


@dataclass
class Outages:
    """The stopped site, and what was done to it."""

    site: PlantSite
    exit_code: int = -1
    killed: dict[str, list[tuple[int, int]]] = field(default_factory=dict)  # from, to [ms]


def run_outages(folder: Path, broker: str) -> Outages:
    """Run a site for about a minute and kill every part of it several times."""
    random = Random(SEED)
    with PlantSite(folder, broker) as site:
        done = Outages(site)
        site.start()
        site.wait_for_windows(2)
        parts: dict[str, Killable] = {
            "gateway": site.gateway,
            "ledger": site.ledger,
            "broker": site.broker,
        }
        _strike(done, "gateway", site.gateway, LONG_OUTAGE_S)
        plan = [name for name in parts for _ in range(3)]
        mixed = plan.copy()
        random.shuffle(mixed)
        for name in [*plan, *mixed]:
            time.sleep(random.uniform(0.2, 3.0))
            _strike(done, name, parts[name], random.uniform(0.1, 1.0))
        _settle(site)
        done.exit_code = site.finish()
    return done


def _strike(done: Outages, name: str, part: Killable, down_s: float) -> None:
    from_ms = _now_ms()
    part.kill()
    time.sleep(down_s)
    part.start()
    done.killed.setdefault(name, []).append((from_ms, _now_ms()))


def _settle(site: PlantSite) -> None:
    """Let two more windows through after the last outage, so that the chain's end is quiet."""
    site.gateway.kill()
    site.start_gateway()
    site.wait_for_windows(2)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
