"""A bulk recalculation as one record: which emissions it revises, by what, and to which totals.

The revised emissions themselves do not travel. Whoever has the emissions that the record names,
and the windows that those name, computes the same figures (`agent.core.carbon.recompute`) and
compares count, totals and hash.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from agent.core.errors import ProofError
from agent.core.model import FactorRef, GasRates
from agent.core.record_fields import count, integer, number, text

RECALCULATION_COLUMNS = (
    "source",
    "stream",
    "from",
    "to",
    "runs",
    "eras",
    "share",
    "uncertainty_activity_pct",
    "library",
    "count",
    "before",
    "after",
    "sha256",
)
MOST_EMISSIONS = 100_000  # of one record: bounds what a ledger computes at once
MOST_RUNS = 1_000
LATEST_MS = 253_402_300_799_999

Key = tuple[int, int, int]  # start, length, revision


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Emissions of one length, one after the other without a gap, all of one revision.

    The new revision of each is the next one.
    """

    start_ms: int
    length_ms: int
    count: int
    revision: int

    @property
    def end_ms(self) -> int:
        return self.start_ms + self.length_ms * self.count


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorEra:
    """The factor that holds for windows that start before ``until_ms``; the last has no end."""

    until_ms: int | None
    factor: FactorRef
    gases: GasRates


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """By what emissions are computed again, oldest factor first.

    ``share`` is the configured one. An emission that was booked with another share keeps its own:
    a changed share holds from then on only.
    """

    eras: tuple[FactorEra, ...]
    share: float
    uncertainty_activity_pct: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over the emissions that have a value [kg], added one by one in the order of the runs."""

    kgco2: float
    kgch4: float
    kgn2o: float
    kgco2e: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkRecalculation:
    """One source in one span, computed again from the windows of one stream.

    ``library`` is the version of the factor library; ``sha256`` covers the revised emissions as
    `agent.core.carbon.recompute.digest` lays them out.
    """

    source: str
    stream: str
    start_ms: int
    end_ms: int
    runs: tuple[Run, ...]
    terms: Terms
    library: str
    count: int
    before: Totals
    after: Totals
    sha256: str

    def replaced(self) -> Iterator[Key]:
        """Start, length and revision of each emission that is replaced."""
        for run in self.runs:
            for start_ms in range(run.start_ms, run.end_ms, run.length_ms):
                yield start_ms, run.length_ms, run.revision


def recalculation_values(record: BulkRecalculation) -> list[Any]:
    """The values of a record in the order of `RECALCULATION_COLUMNS`."""
    return [
        record.source,
        record.stream,
        record.start_ms,
        record.end_ms,
        [[run.start_ms, run.length_ms, run.count, run.revision] for run in record.runs],
        [_era_values(era) for era in record.terms.eras],
        float(record.terms.share),
        float(record.terms.uncertainty_activity_pct),
        record.library,
        record.count,
        _totals_values(record.before),
        _totals_values(record.after),
        record.sha256,
    ]


def decode_recalculation(fields: Mapping[str, Any]) -> BulkRecalculation:
    """A record from its columns; what cannot be one raises ``ProofError``."""
    runs = tuple(_run(value) for value in _listed(fields, "runs", MOST_RUNS))
    eras = tuple(_era(value) for value in _listed(fields, "eras", MOST_RUNS))
    record = BulkRecalculation(
        source=text(fields, "source"),
        stream=text(fields, "stream"),
        start_ms=integer(fields, "from"),
        end_ms=integer(fields, "to"),
        runs=runs,
        terms=Terms(
            eras=eras,
            share=number(fields, "share"),
            uncertainty_activity_pct=number(fields, "uncertainty_activity_pct"),
        ),
        library=text(fields, "library"),
        count=count(fields, "count", least=1),
        before=_totals(fields["before"]),
        after=_totals(fields["after"]),
        sha256=text(fields, "sha256"),
    )
    ends = [era.until_ms for era in eras]
    if ends[-1] is not None or None in ends[:-1]:
        raise ProofError("eras: all but the last factor have an end")
    if any(one > following for one, following in pairwise(end for end in ends if end is not None)):
        raise ProofError("eras are not in the order of time")
    if record.count != sum(run.count for run in runs) or record.count > MOST_EMISSIONS:
        raise ProofError(f"count is not the sum of the runs, or above {MOST_EMISSIONS}")
    if not 0 <= record.start_ms < record.end_ms <= LATEST_MS:
        raise ProofError("from and to are no span of the years 1970 to 9999")
    if any(run.start_ms < record.start_ms or run.end_ms > record.end_ms for run in runs):
        raise ProofError("runs lie outside from and to")
    return record


def _era_values(era: FactorEra) -> list[Any]:
    factor, gases = era.factor, era.gases
    return [
        era.until_ms,
        factor.id,
        factor.version,
        float(factor.value),
        factor.unit,
        float(gases.kgco2),
        float(gases.kgch4),
        float(gases.kgn2o),
    ]


def _totals_values(totals: Totals) -> list[float]:
    return [totals.kgco2, totals.kgch4, totals.kgn2o, totals.kgco2e]


def _listed(fields: Mapping[str, Any], name: str, most: int) -> list[Any]:
    value = fields[name]
    if not isinstance(value, list) or not 1 <= len(value) <= most:
        raise ProofError(f"{name} is not a list of 1 to {most}")
    return value


def _members(value: Any, names: str) -> dict[str, Any]:
    words = names.split()
    if not isinstance(value, list) or len(value) != len(words):
        raise ProofError(f"something else than a list of {', '.join(words)}")
    return dict(zip(words, value, strict=True))


def _run(value: Any) -> Run:
    fields = _members(value, "start length count revision")
    run = Run(
        start_ms=integer(fields, "start"),
        length_ms=count(fields, "length", least=1),
        count=count(fields, "count", least=1),
        revision=count(fields, "revision", least=0),
    )
    if run.count > MOST_EMISSIONS or run.end_ms >= 2**63:
        raise ProofError("a run is longer than a record may be")
    return run


def _era(value: Any) -> FactorEra:
    fields = _members(value, "until id version value unit kgco2 kgch4 kgn2o")
    return FactorEra(
        until_ms=None if fields["until"] is None else integer(fields, "until"),
        factor=FactorRef(
            id=text(fields, "id"),
            version=text(fields, "version"),
            value=number(fields, "value"),
            unit=text(fields, "unit"),
        ),
        gases=GasRates(
            kgco2=number(fields, "kgco2"),
            kgch4=number(fields, "kgch4"),
            kgn2o=number(fields, "kgn2o"),
        ),
    )


def _totals(value: Any) -> Totals:
    fields = _members(value, "kgco2 kgch4 kgn2o kgco2e")
    return Totals(**{name: number(fields, name) for name in fields})
