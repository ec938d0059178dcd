"""The books of gateway, ledger and plant, read with plain SQL and compared record by record."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers.virtual.books import meters_of
from drivers.virtual.definition import default_definition
from drivers.virtual.meter import Meter
from tests.e2e.plant_site import ROOT, SEED, WINDOW_S, PlantSite, tanshu

WINDOW_MS = WINDOW_S * 1000
POLL_S = 1.0
REPLY_S = 0.3
Row = tuple[Any, ...]

# Every column but the row number; names instead of numbers of series and factors.
RECORDS = {
    "windows": (
        "SELECT series.name, start_ms, length_ms, revision, value, provenance, method, coverage, "
        "lower, upper, load, maintenance FROM windows JOIN series ON series.id = windows.series"
    ),
    "emissions": (
        "SELECT series.name, start_ms, length_ms, revision, kgco2, kgch4, kgn2o, kgco2e, lower, "
        "upper, estimated_share, factors.name, factors.version, factors.value, factors.unit, "
        "inputs FROM emissions JOIN series ON series.id = emissions.series "
        "JOIN factors ON factors.id = emissions.factor"
    ),
    "endpoints": (
        "SELECT series.name, boundary_ms, time_ms, register, accumulated FROM endpoints "
        "JOIN series ON series.id = endpoints.series"
    ),
    "events": "SELECT time_ms, code, subject, severity, detail FROM events",
}
# an emission of a bulk recalculation is sealed with the record of that
NUMBERS = {"emissions": "ifnull(emissions.id, recalculation)"}


def rows(database: Path, query: str) -> list[Row]:
    """Rows of a database that is opened for reading only."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


def differences(ours: Path, theirs: Path) -> list[str]:
    """Records that one book has and the other has not, or has another number of times.

    Of the gateway count those that are sealed; `unsealed` tells of the others.
    """
    found = []
    for kind, query in RECORDS.items():
        number = NUMBERS.get(kind, f"{kind}.id")
        sealed = f" WHERE {number} <= (SELECT last_id FROM seal_marks WHERE kind = '{kind[:-1]}')"
        left, right = Counter(rows(ours, query + sealed)), Counter(rows(theirs, query))
        found += [f"{kind}: only at the gateway: {row}" for row in (left - right).elements()]
        found += [f"{kind}: only at the ledger: {row}" for row in (right - left).elements()]
    return found


def unsealed(ours: Path) -> dict[str, int]:
    """How many records of each kind wait for the next batch."""
    count = (
        "SELECT count(*) FROM {kind} WHERE {number} > "
        "coalesce((SELECT last_id FROM seal_marks WHERE kind = '{mark}'), 0)"
    )
    return {
        kind: rows(ours, count.format(kind=kind, number=NUMBERS.get(kind, "id"), mark=kind[:-1]))[
            0
        ][0]
        for kind in RECORDS
    }


def repeated(database: Path) -> list[str]:
    """Windows and emissions that stand in a book under the same key more than once."""
    found = []
    for kind in ("windows", "emissions"):
        keys = Counter(row[:4] for row in rows(database, RECORDS[kind]))
        found += [f"{kind}: {key}" for key, count in keys.items() if count > 1]
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Current:
    """The current revision of a window."""

    stream: str
    start_ms: int
    revision: int
    value: float | None
    provenance: str
    method: str
    coverage: float

    @property
    def end_ms(self) -> int:
        return self.start_ms + WINDOW_MS


def windows_of(database: Path) -> dict[str, list[Current]]:
    """Current windows of each stream in time order."""
    newest: dict[tuple[str, int], Current] = {}
    for row in sorted(rows(database, RECORDS["windows"]), key=lambda row: row[:4]):
        stream, start_ms, length_ms, revision, value, provenance, method, coverage = row[:8]
        assert length_ms == WINDOW_MS
        newest[stream, start_ms] = Current(
            stream=stream,
            start_ms=start_ms,
            revision=revision,
            value=value,
            provenance=provenance,
            method=method,
            coverage=coverage,
        )
    streams: dict[str, list[Current]] = {}
    for window in newest.values():
        streams.setdefault(window.stream, []).append(window)
    return streams


def holes(windows: Iterable[Current]) -> list[str]:
    """Windows without a value, and places where a window should stand and does not."""
    found = []
    before: Current | None = None
    for window in windows:
        if window.value is None:
            found.append(f"{window.stream} at {window.start_ms} has no value ({window.method})")
        if before is not None and before.end_ms != window.start_ms:
            found.append(f"{window.stream} has no windows from {before.end_ms}")
        before = window
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """One emission source over a span in three books [kgCO2e]."""

    source: str
    from_ms: int
    to_ms: int
    gateway: float
    ledger: float
    truth: float
    bound: float

    @property
    def within(self) -> bool:
        return self.gateway == self.ledger and abs(self.gateway - self.truth) <= self.bound


def emission_runs(
    gateway_db: Path, ledger_db: Path, *, keep_estimated: bool = False
) -> dict[str, list[Apart]]:
    """Of each source the unbroken runs of windows whose total is known, beside the truth.

    An estimated window ends a run, because its amount is a guess; with ``keep_estimated`` it
    counts like any other.
    """
    theirs = _current_emissions(ledger_db)
    runs: dict[str, list[Apart]] = {}
    for source, ours in _current_emissions(gateway_db).items():
        for run in _unbroken(ours, keep_estimated=keep_estimated):
            runs.setdefault(source, []).append(_beside(source, run, theirs[source]))
    return runs


@dataclass(frozen=True, slots=True, kw_only=True)
class _Booked:
    start_ms: int
    kgco2e: float | None
    estimated_share: float


def _current_emissions(database: Path) -> dict[str, dict[int, _Booked]]:
    sources: dict[str, dict[int, _Booked]] = {}
    for row in sorted(rows(database, RECORDS["emissions"]), key=lambda row: row[:4]):
        booked = _Booked(start_ms=row[1], kgco2e=row[7], estimated_share=row[10])
        sources.setdefault(row[0], {})[row[1]] = booked
    return sources


def _unbroken(booked: dict[int, _Booked], *, keep_estimated: bool) -> list[list[_Booked]]:
    runs: list[list[_Booked]] = []
    for start_ms in sorted(booked):
        item = booked[start_ms]
        if item.kgco2e is None or (item.estimated_share > 0 and not keep_estimated):
            continue
        if runs and runs[-1][-1].start_ms + WINDOW_MS == start_ms:
            runs[-1].append(item)
        else:
            runs.append([item])
    return runs


def _beside(source: str, run: Sequence[_Booked], theirs: dict[int, _Booked]) -> Apart:
    from_ms, to_ms = run[0].start_ms, run[-1].start_ms + WINDOW_MS
    meter, kgco2_per_unit = _plant_meter(source, from_ms)
    swing_per_s = meter.profile.swing(from_ms, to_ms) / 3600.0
    slack = 2.0 * meter.resolution(to_ms) + swing_per_s * (POLL_S + REPLY_S)
    return Apart(
        source=source,
        from_ms=from_ms,
        to_ms=to_ms,
        gateway=sum(item.kgco2e or 0.0 for item in run),
        ledger=sum(theirs[item.start_ms].kgco2e or 0.0 for item in run),
        truth=kgco2_per_unit * meter.profile.amount(from_ms, to_ms),
        bound=kgco2_per_unit * slack,
    )


def _plant_meter(source: str, at_ms: int) -> tuple[Meter, float]:
    """The plant's meter behind a source such as «f103-gas», and its factor per unit."""
    plant = default_definition()
    meters = meters_of(plant, start_ms=at_ms, seed=SEED)
    device, _, kind = source.partition("-")
    quantity = {"oil": "mass"}.get(kind, kind)
    for part in plant.devices[device].sources:
        meter = meters[part.meter]
        if meter.model.quantity == quantity:
            return meter, plant.factors[part.factor].kgco2_per_unit
    raise LookupError(source)


def assert_books_agree(site: PlantSite) -> None:
    """Gateway and ledger hold the same records, each once, and the evidence proves it.

    An event since the last window may wait for the next batch; nothing else may.
    """
    waiting = unsealed(site.gateway_db)
    assert {**waiting, "events": 0} == dict.fromkeys(RECORDS, 0), waiting
    found = differences(site.gateway_db, site.ledger_db)
    found += repeated(site.gateway_db) + repeated(site.ledger_db)
    assert not found, "\n".join(found[:20])
    verified = tanshu("ledger", "verify", "--db", str(site.ledger_db), "--json")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert_evidence_holds(site, site.folder / "evidence")


def assert_evidence_holds(site: PlantSite, folder: Path) -> None:
    """The exported batches and receipts convince a program without any code of the product."""
    done = tanshu(
        "ledger", "export", "--db", str(site.ledger_db),
        "--key-file", str(site.folder / "ledger.key"), str(folder),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    checked = run_verifier(folder)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def run_verifier(folder: Path) -> subprocess.CompletedProcess[str]:
    receipts = [word for file in folder.glob("*.receipt") for word in ("--receipt", str(file))]
    return subprocess.run(
        [
            sys.executable, str(ROOT / "scripts" / "verify_batches.py"),
            "--keys", str(folder / "keys.json"),
            "--ledger-key", (folder / "ledger-key.txt").read_text().strip(),
            *receipts, *(str(file) for file in sorted(folder.glob("*.batches"))),
        ],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
