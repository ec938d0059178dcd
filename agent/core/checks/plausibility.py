"""Level 2: numbers that differ from their own history, from their peers, from the sector."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from agent.core.activity import ActivityKind
from agent.core.carbon.inventory import PURCHASED_ENERGY
from agent.core.checks.finding import Finding, FindingCode
from agent.core.model import Severity
from agent.core.report.figures import Booked, expected_kg
from agent.core.report.model import EntryFigures, FactorUse
from agent.core.timebase import DAY_MS

DEVIATION_LIMIT = 0.30  # against the own history, the peers and the sector
CEMS_LIMIT = 0.10  # tier 1 of continuous CO2 measurement allows ±10 % (EU 601/2012)
ARITHMETIC_LIMIT = 1e-6
_GASES = {"kgco2": "tCO2", "kgch4": "tCH4", "kgn2o": "tN2O"}
FEWEST_PEERS = 2  # besides the source itself
SHORTEST_PAST = 0.5  # of a month that was booked, to count as history


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A source in a former month: emission per booked day and the share of the month booked."""

    kgco2e_per_day: float
    coverage: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """A sector value with its source: what lies outside ``low``..``high`` wants an explanation."""

    id: str
    subject: str  # kind of source, or product
    quantity: str  # «kgN2O/t», «kgCO2e/kWh», …
    low: float
    high: float
    source: str
    year: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorDefault:
    """What the library has where a source uses a factor of its own."""

    source: str
    value: float
    unit: str
    document: str


def history_findings(
    sources: Iterable[Booked], past: Mapping[str, Sequence[Past]]
) -> Iterator[Finding]:
    """A source whose emission per day is more than 30 % off the mean of its former months."""
    for source in sources:
        former = [one for one in past.get(source.place.id, ()) if one.coverage >= SHORTEST_PAST]
        computed_ms = source.sum.booked_ms - source.sum.missing_ms
        if not former or computed_ms <= 0:
            continue
        mean = math.fsum(one.kgco2e_per_day for one in former) / len(former)
        now = float(source.sum.mass.kgco2e) / (computed_ms / DAY_MS)
        finding = deviation(source, FindingCode.HISTORY, now, mean, "kgCO2e/d", DEVIATION_LIMIT)
        if finding:
            yield finding


def peer_findings(sources: Iterable[Booked]) -> Iterator[Finding]:
    """A source more than 30 % off the median of its peers.

    Peers are the sources of one kind and carrier on other devices of the same unit and stage.
    """
    groups: dict[tuple[str, ...], list[Booked]] = {}
    for source in sources:
        place = source.place
        if place.unit and source.sum.booked_ms > source.sum.missing_ms:
            key = (place.unit, place.stage, place.kind, place.carrier)
            groups.setdefault(key, []).append(source)
    for members in groups.values():
        for source in members:
            others = [
                float(other.sum.mass.kgco2e)
                for other in members
                if other.place.device != source.place.device
            ]
            if len(others) < FEWEST_PEERS:
                continue
            finding = deviation(
                source,
                FindingCode.PEERS,
                float(source.sum.mass.kgco2e) / 1000,
                statistics.median(others) / 1000,
                "tCO2e",
                DEVIATION_LIMIT,
                severity=Severity.INFO,
            )
            if finding:
                yield finding


def deviation(
    source: Booked,
    code: FindingCode,
    number: float,
    reference: float,
    unit: str,
    limit: float,
    *,
    severity: Severity = Severity.WARNING,
    detail: str = "",
) -> Finding | None:
    """A finding if a number is off its reference by more than a share of it; else None.

    ``number`` of the finding is the deviation in %. A reference of 0 has no share: any amount
    against it is a finding without a number.
    """
    if number == reference:
        return None
    off = None if reference == 0 else (number - reference) / abs(reference)
    if off is not None and abs(off) <= limit:
        return None
    return Finding(
        code=code,
        subject=source.place.id,
        name=source.place.name,
        severity=severity,
        number=None if off is None else off * 100,
        limit=limit * 100,
        unit="%",
        reference=reference,
        reference_unit=unit,
        detail=detail,
    )


def sector_findings(
    sources: Iterable[Booked],
    entries: Iterable[EntryFigures],
    benchmarks: Iterable[Benchmark],
) -> Iterator[Finding]:
    """Intensities and mean factors outside what the sector shows."""
    listed = list(sources)
    products = _products(entries)
    for benchmark in benchmarks:
        for source in listed:
            if source.place.kind != benchmark.subject:
                continue
            number = _intensity(source, benchmark.quantity, products)
            if number is None or _within(number, benchmark):
                continue
            yield Finding(
                code=FindingCode.SECTOR,
                subject=f"{benchmark.id}:{source.place.id}",
                name=source.place.name,
                severity=Severity.WARNING,
                number=number,
                limit=benchmark.high if number > benchmark.high else benchmark.low,
                unit=benchmark.quantity,
                detail=f"{benchmark.source} · {benchmark.year}",
            )


def _within(number: float, benchmark: Benchmark) -> bool:
    """Inside the range, or on its edge but for the rounding of a sum."""
    slack = ARITHMETIC_LIMIT * max(abs(benchmark.low), abs(benchmark.high))
    return benchmark.low - slack <= number <= benchmark.high + slack


def _products(entries: Iterable[EntryFigures]) -> dict[str, float]:
    """Tonnes of product by the source or device they are entered for."""
    made: dict[str, float] = {}
    for part in entries:
        if part.entry.kind is ActivityKind.PRODUCT and part.entry.unit == "t" and part.entry.place:
            made[part.entry.place] = made.get(part.entry.place, 0.0) + part.amount
    return made


def _intensity(source: Booked, quantity: str, products: Mapping[str, float]) -> float | None:
    """The number of a source that a benchmark of this quantity speaks of."""
    gas, _, per = quantity.partition("/")
    mass = source.sum.mass
    kg = {"kgCO2": mass.kgco2, "kgCH4": mass.kgch4, "kgN2O": mass.kgn2o, "kgCO2e": mass.kgco2e}
    if gas not in kg:
        return None
    if per == source.place.unit_of_stream:
        amount = source.activity
    else:
        amount = products.get(source.place.id) or products.get(source.place.device)
    return float(kg[gas]) / amount if amount else None


def own_factor_findings(
    uses: Iterable[FactorUse], defaults: Mapping[str, FactorDefault], names: Mapping[str, str]
) -> Iterator[Finding]:
    """A factor of the site's own that is more than 30 % off the library's default."""
    for use in uses:
        default = defaults.get(use.source)
        if default is None or not use.ref.id.endswith("user") or default.value == 0:
            continue
        off = (use.ref.value - default.value) / default.value
        if abs(off) > DEVIATION_LIMIT:
            yield Finding(
                code=FindingCode.OWN_FACTOR,
                subject=use.source,
                name=names.get(use.source, ""),
                severity=Severity.WARNING,
                number=off * 100,
                limit=DEVIATION_LIMIT * 100,
                unit="%",
                reference=default.value,
                reference_unit=default.unit,
                detail=default.document,
            )


def cems_findings(compared: Iterable[Booked], sources: Sequence[Booked]) -> Iterator[Finding]:
    """A stack measurement more than 10 % off what its device's sources emit of the same gas."""
    for cems in compared:
        for gas, unit in _GASES.items():
            measured = getattr(cems.sum.mass, gas)
            if not measured:
                continue
            calculated = math.fsum(
                float(getattr(source.sum.mass, gas))
                for source in sources
                if source.place.device == cems.place.device
                and source.place.kind not in PURCHASED_ENERGY
            )
            finding = deviation(
                cems, FindingCode.CEMS, float(measured) / 1000, calculated / 1000, unit, CEMS_LIMIT
            )
            if finding:
                yield finding


def bill_and_meter_findings(sources: Sequence[Booked], billed: frozenset[str]) -> Iterator[Finding]:
    """Electricity that a bill books as purchased, while meters book purchased electricity, too.

    ``billed`` names the sources that a bill feeds. Where the meters stand behind the billed one,
    the same electricity counts twice; nothing in the figures says whether they do.
    """
    metered = math.fsum(
        float(source.sum.mass.kgco2e)
        for source in sources
        if source.place.kind == "electricity" and source.place.stream and source.place.share > 0
    )
    for source in sources:
        kgco2e = float(source.sum.mass.kgco2e - source.own_plant.kgco2e)
        if source.place.id in billed and kgco2e > 0 and metered > 0:
            yield Finding(
                code=FindingCode.BILL_AND_METER,
                subject=source.place.id,
                name=source.place.name,
                severity=Severity.WARNING,
                number=kgco2e / 1000,
                unit="tCO2e",
                reference=metered / 1000,
                reference_unit="tCO2e",
            )


def arithmetic_findings(sources: Iterable[Booked]) -> Iterator[Finding]:
    """A booked emission that is not its activity times its factor: a window was revised alone."""
    for source in sources:
        expected = expected_kg(source)
        booked = float(source.sum.mass.kgco2e)
        if expected is None or source.sum.missing_windows:
            continue
        if abs(booked - expected) > ARITHMETIC_LIMIT * max(abs(expected), abs(booked), 1.0):
            finding = deviation(
                source,
                FindingCode.ARITHMETIC,
                booked / 1000,
                expected / 1000,
                "tCO2e",
                ARITHMETIC_LIMIT,
                severity=Severity.ALARM,
            )
            if finding:
                yield finding
