"""A gateway whose site file changes under it: faulty, repaired, broken, and targets that come."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.plant_site import TAIL, TARGET, PlantSite, tanshu, until
from tests.e2e.three_books import RECORDS, Row, rows

REMOVED_METER = "em-lighting"  # of rs485-2, like the next
WRONG_METER = "heat-column"
STEADY_BUS = "rs485-1"


@dataclass
class Changes:
    """What was seen in each phase; `site` is stopped by the time tests look."""

    site: PlantSite
    check_faulty: Any = None  # `config check` on the file with one wrong bus and one wrong meter
    faulty: Any = None  # status while it runs on what is good
    alone_page: str = ""
    alone_batches: int = -1
    alone_windows: list[Row] = field(default_factory=list)
    steady: list[tuple[str, int]] = field(default_factory=list)  # exchanges of the steady bus
    repaired: Any = None
    removed_ms: int = 0
    broken: Any = None
    broken_page: str = ""
    with_target: Any = None
    stop_code: int = -1
    seen_registers: dict[str, int] = field(default_factory=dict)  # stream → time of last reading
    kept_registers: dict[str, int] = field(default_factory=dict)
    two_targets: Any = None
    exit_code: int = -1


def run_changes(folder: Path, broker: str) -> Changes:
    """Run a gateway alone first, then change its site file under it, then restart it."""
    with PlantSite(folder, broker, plant_words=("--no-opcua",)) as site:
        done = Changes(site)
        whole = site.start_plant()
        smaller = without(whole, REMOVED_METER) + TAIL
        _stand_alone(done, whole + TAIL)
        _repair_and_remove(done, smaller)
        _break(done)
        _add_target(done, smaller)
        _stop_and_restart(done, smaller)
        done.exit_code = site.finish()
    return done


def _stand_alone(done: Changes, good: str) -> None:
    """Start on a file with one wrong bus and one wrong meter, and without a target."""
    site = done.site
    faulty = good.replace('driver = "modbus-tcp"', 'driver = "modbus-tpc"', 1)
    place = faulty.index(f'id = "{WRONG_METER}"')
    faulty = faulty[:place] + faulty[place:].replace('"tuf-2000"', '"tuf-2001"', 1)
    site.write_site(faulty)
    done.check_faulty = tanshu("config", "check", str(site.site_file))
    site.start_gateway()
    until(lambda: len(rows(site.gateway_db, RECORDS["windows"])) >= 20, "windows")
    done.faulty = site.status()
    done.alone_page = site.page("/")
    done.alone_windows = rows(site.gateway_db, RECORDS["windows"])
    done.alone_batches = rows(site.gateway_db, "SELECT count(*) FROM batches")[0][0]
    _look(done, "faulty")


def _repair_and_remove(done: Changes, smaller: str) -> None:
    """Offer a file without faults in which one meter of the second line is gone."""
    site = done.site
    done.removed_ms = time.time_ns() // 1_000_000
    before = _reload(site, smaller)
    until(lambda: site.status()["site"]["config_hash"] != before, "the repaired file")
    until(lambda: _bus(site.status(), "gas")["state"] == "ok", "the repaired bus")
    done.repaired = site.status()
    _look(done, "repaired")


def _break(done: Changes) -> None:
    """Offer a file that is no TOML: nothing changes, and it is said."""
    site = done.site
    text = site.site_file.read_text(encoding="utf-8")
    _reload(site, text.replace("[gateway]", "[gateway"))
    until(lambda: bool(_errors(site.status())), "the fault of the broken file")
    time.sleep(2.0)
    done.broken = site.status()
    done.broken_page = site.page("/")
    _look(done, "broken")


def _add_target(done: Changes, good: str) -> None:
    """Name a target: all that was booked before is delivered."""
    site = done.site
    site.start_central()
    before = _reload(site, good + site.target())
    until(lambda: site.status()["site"]["config_hash"] != before, "the file with a target")
    until(site.is_delivered, "receipts of everything")
    done.with_target = site.status()
    _look(done, "target")


def _stop_and_restart(done: Changes, good: str) -> None:
    """Stop politely, and start with a second target that sends no receipts."""
    site = done.site
    for device in site.get("/api/v1/devices")["devices"]:
        for stream in site.get(f"/api/v1/devices/{device['id']}")["streams"]:
            done.seen_registers[stream["id"]] = stream["register_ms"]
    with site.live_stream():  # a page that stays open keeps nobody from going
        done.stop_code = site.gateway.stop()
    newest = "SELECT name, max(key) / 65536 FROM readings JOIN points ON points.id = key % 65536 "
    done.kept_registers = dict(rows(site.gateway_db, newest + "GROUP BY name"))
    second = TARGET.format(id="province", url=site.broker.url)
    second += 'confirm = "puback"\nclient_id = "tanshu-second"\n'
    site.write_site(good + site.target() + second)
    site.start_gateway()
    site.wait_for_windows(3)
    until(site.is_delivered, "both targets")
    done.two_targets = site.status()


def _reload(site: PlantSite, text: str) -> str:
    """Write a file and have it read; returns the hash of the one in use before."""
    before: str = site.status()["site"]["config_hash"]
    site.write_site(text)
    site.gateway.signal(signal.SIGHUP)
    return before


def _look(done: Changes, phase: str) -> None:
    """Note how many exchanges the untouched bus has made since it was opened."""
    done.steady.append((phase, _bus(done.site.status(), STEADY_BUS)["exchanges"]))


def _bus(status: Any, name: str) -> Any:
    return next((bus for bus in status["buses"] if bus["id"] == name), {"state": "absent"})


def _errors(status: Any) -> list[Any]:
    return [fault for fault in status["site"]["faults"] if not fault["warning"]]


def without(site_text: str, meter: str) -> str:
    """A site file without one meter and what hangs on it: its device and its source."""
    head, *tables = site_text.split("\n[[")
    stream = f'"{meter}.'
    dropped = [table for table in tables if f'id = "{meter}"\n' in table or stream in table]
    assert len(dropped) == 3, dropped
    return "\n[[".join([head, *(table for table in tables if table not in dropped)])
