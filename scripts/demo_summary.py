"""Compares the books of gateway, ledger and plant after a demo run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.book.database import Database
from agent.book.ports import Owner, Span
from agent.book.sqlite import SqliteBook
from agent.config.load import load_site
from agent.config.site import SiteConfig
from agent.core import kernels
from agent.core.model import Emission, Window
from agent.ledger.database import open_ledger
from agent.ledger.verify import verify
from agent.store.batches import Batches
from agent.store.database import open_store
from drivers.virtual.books import open_books

EVERYTHING = 1 << 62
REPLY_S = 0.3
NOTHING = "stopped before the first window closed: nothing to compare"


@dataclass(frozen=True, slots=True)
class Books:
    """All revisions that one side has booked."""

    windows: list[Window]
    emissions: list[Emission]
    current: list[Emission]


def summarise(folder: Path, *, seed: int, window_s: int, seconds: float | None) -> dict[str, Any]:
    """The summary of a run, with every reason why it is not ok."""
    if not all((folder / name).exists() for name in ("site.toml", "gateway.db", "ledger.db")):
        return nothing_yet(seconds)
    config = load_site(folder / "site.toml")
    owner = Owner(site=config.site.id, gateway=config.gateway.id)
    store, ledger = open_store(folder / "gateway.db"), open_ledger(folder / "ledger.db")
    ours, theirs = books_of(store, owner), books_of(ledger, owner)
    batches = Batches(store.connection)
    sent = store.connection.execute("SELECT count(*) FROM batches").fetchone()[0]
    receipted = batches.confirmed_count(config.targets[0].id)
    readings, good = reading_counts(store)
    devices = {
        device.id: compare_device(config, device.id, ours, theirs, seed=seed)
        for device in config.devices
    }
    summary: dict[str, Any] = {
        "schema": 1,
        "seconds": seconds,
        "kernels": kernels.MODE,
        "readings": readings,
        "good_share": good,
        "windows": len(ours.windows),
        "batches_sent": sent,
        "batches_receipted": receipted,
        "devices": devices,
        "mismatches": mismatches(ours, theirs),
    }
    verified = verify(ledger)
    summary["faults"] = faults_of(summary, verified.ok, seconds, window_s)
    summary["ok"] = not summary["faults"]
    store.close()
    ledger.close()
    return summary


def nothing_yet(seconds: float | None) -> dict[str, Any]:
    """The summary of a run that was stopped while it started."""
    counts = ("readings", "good_share", "windows", "batches_sent", "batches_receipted")
    return {
        "schema": 1,
        "seconds": seconds,
        "kernels": kernels.MODE,
        **dict.fromkeys(counts, 0),
        "devices": {},
        "mismatches": 0,
        "faults": [NOTHING],
        "ok": False,
    }


def books_of(database: Database, owner: Owner) -> Books:
    """Everything one database has booked of a gateway."""
    book = SqliteBook(database.connection)
    return Books(
        [window for _, window in book.windows_after(owner, 0, EVERYTHING)],
        [emission for _, emission in book.emissions_after(owner, 0, EVERYTHING)],
        list(book.current_emissions(owner, Span(from_ms=0, to_ms=EVERYTHING))),
    )


def mismatches(ours: Books, theirs: Books) -> int:
    """Records that one side has and the other has not, or has with another digit."""
    count = 0
    for left, right in ((ours.windows, theirs.windows), (ours.emissions, theirs.emissions)):
        count += len(set(left) ^ set(right))
    return count


def reading_counts(store: Database) -> tuple[int, float]:
    """All readings, and the good share counted from each point's first good one."""
    total = store.connection.execute("SELECT count(*) FROM readings").fetchone()[0]
    counted, good = store.connection.execute(
        "WITH begun AS (SELECT key & 65535 AS point, min(key) AS first FROM readings "
        "WHERE quality IS NULL GROUP BY point) "
        "SELECT count(*), coalesce(sum(quality IS NULL), 0) FROM readings "
        "JOIN begun ON begun.point = readings.key & 65535 WHERE readings.key >= begun.first"
    ).fetchone()
    return total, good / counted if counted else 0.0


def compare_device(
    config: SiteConfig, device: str, ours: Books, theirs: Books, *, seed: int
) -> dict[str, float]:
    """One device in the three books, over the windows that the gateway has booked."""
    sources = {item.id: item for item in config.sources.values() if item.section.device == device}
    booked = [item for item in ours.current if item.source in sources and item.kgco2e is not None]
    truth = bound = 0.0
    if booked:
        first_ms = min(item.start_ms for item in booked)
        last_ms = max(item.end_ms for item in booked)
        plant = open_books(first_ms, seed=seed)
        bound = plant.bound_kgco2e(device, first_ms, last_ms, poll_interval_s(config), REPLY_S)
        for item in booked:
            meter = sources[item.source].section.stream.partition(".")[0]
            truth += sum(
                entry.kgco2e
                for entry in plant.sources(device, item.start_ms, item.end_ms)
                if entry.meter == meter
            )
    return {
        "gateway_kgco2e": sum(item.kgco2e or 0.0 for item in booked),
        "ledger_kgco2e": sum(
            item.kgco2e or 0.0 for item in theirs.current if item.source in sources
        ),
        "truth_kgco2e": truth,
        "bound_kgco2e": bound,
    }


def poll_interval_s(config: SiteConfig) -> float:
    """The longest period of a meter that is counted."""
    return max(meter.section.period_s for meter in config.meters.values())


def faults_of(
    summary: dict[str, Any], chain_holds: bool, seconds: float | None, window_s: int
) -> list[str]:
    """Why a run is not ok, in words; empty if it is."""
    if not summary["windows"]:
        return [NOTHING]
    faults = []
    if not chain_holds:
        faults.append("the ledger's chains do not verify")
    if summary["mismatches"]:
        faults.append(f"{summary['mismatches']} records differ between gateway and ledger")
    if summary["batches_sent"] != summary["batches_receipted"]:
        faults.append("not every batch is receipted")
    if seconds is not None and summary["batches_sent"] < max(1, (seconds - 40) // window_s):
        faults.append(f"only {summary['batches_sent']} batches")
    if summary["good_share"] < 0.999:
        faults.append(f"only {summary['good_share']:.3%} of the readings are good")
    compared = {
        name: device for name, device in summary["devices"].items() if device["bound_kgco2e"]
    }
    if unbooked := [name for name in summary["devices"] if name not in compared]:
        faults.append(f"no window booked yet for {', '.join(unbooked)}")
    for name, device in compared.items():
        apart = abs(device["gateway_kgco2e"] - device["truth_kgco2e"])
        if not device["truth_kgco2e"] or apart > device["bound_kgco2e"]:
            faults.append(f"{name} is {apart:.4f} kg from the truth")
    return faults
