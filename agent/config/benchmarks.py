"""Sector values with their source, to hold a source's intensity against."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from agent.config.factor_rows import Status
from agent.config.faults import Faults
from agent.config.resources import resource_dir
from agent.config.tables import read_table
from agent.config.toml import read_toml
from agent.core.checks.plausibility import Benchmark
from agent.core.errors import ConfigError, Fault


class BenchmarkRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One sector value as it is written."""

    id: str
    subject: str
    quantity: str
    low: float
    high: float
    year: Annotated[int, Meta(ge=1990, le=2100)]
    status: Status
    source: str
    note: str = ""


def load_benchmarks(directory: Path) -> tuple[Benchmark, ...]:
    """Every sector value of a directory; ``ConfigError`` with all faults if any is wrong."""
    benchmarks: list[Benchmark] = []
    found: list[Fault] = []
    for path in sorted(directory.glob("*.toml")):
        faults = Faults(path.name)
        tables = read_toml(path, faults)
        for place, table in enumerate(tables[1].get("benchmark", ()) if tables else (), start=1):
            row = read_table(BenchmarkRow, table, f"benchmark[{place}]", faults)
            if row is None:
                continue
            if row.low > row.high:
                faults.add(f"benchmark[{place}].low", "lies above high", "exchange the two")
            benchmarks.append(
                Benchmark(
                    id=row.id,
                    subject=row.subject,
                    quantity=row.quantity,
                    low=row.low,
                    high=row.high,
                    source=row.source,
                    year=row.year,
                )
            )
        found += faults.found
    if found:
        raise ConfigError(tuple(found))
    return tuple(benchmarks)


@lru_cache(maxsize=1)
def all_benchmarks() -> tuple[Benchmark, ...]:
    """The sector values that come with the product."""
    return load_benchmarks(resource_dir() / "benchmarks")
