"""Level 2: figures booked with other factors or warming potentials than the site holds now."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

from agent.core.checks.finding import Finding, FindingCode
from agent.core.model import FactorRef, Severity
from agent.core.report.figures import GAS_SLACK, GAS_SLACK_KG, Booked
from agent.core.report.model import SourcePlace
from agent.core.report.sums import FactorSum

FactorAt = Callable[[SourcePlace, int], FactorRef | None]


def basis_findings(
    sources: Iterable[Booked], gwp_ch4: float, gwp_n2o: float, factor_at: FactorAt
) -> Iterator[Finding]:
    """A source whose booked sum differs from what the site's factors and potentials make of it.

    ``number`` is booked less computed, ``reference`` the computed sum, both in tCO2e. A gateway
    computes such windows again after a start or a reload; until then the month is of two bases.
    """
    for source in sources:
        booked = math.fsum(float(part.mass.kgco2e) for part in source.sum.by_factor)
        computed = math.fsum(
            _computed_kg(source.place, part, gwp_ch4, gwp_n2o, factor_at)
            for part in source.sum.by_factor
        )
        slack = max(float(GAS_SLACK_KG), float(GAS_SLACK) * abs(booked))
        if abs(booked - computed) > slack:
            yield Finding(
                code=FindingCode.BASIS,
                subject=source.place.id,
                name=source.place.name,
                severity=Severity.ALARM,
                number=(booked - computed) / 1000,
                limit=0.0,
                unit="tCO2e",
                reference=computed / 1000,
                reference_unit="tCO2e",
                detail=", ".join(dict.fromkeys(_id(part.ref) for part in source.sum.by_factor)),
            )


def _computed_kg(
    place: SourcePlace, part: FactorSum, gwp_ch4: float, gwp_n2o: float, factor_at: FactorAt
) -> float:
    """What one factor's windows come to with the factor that holds now, else gas by gas."""
    mass = part.mass
    booked = float(mass.kgco2e)
    for start_ms in (part.first_ms, part.end_ms - 1):
        now = factor_at(place, start_ms)
        if now is not None and now != part.ref and now.unit == part.ref.unit and part.ref.value:
            return booked * now.value / part.ref.value
    if not mass.kgch4 and not mass.kgn2o:
        return booked
    by_gas = float(mass.kgco2) + float(mass.kgch4) * gwp_ch4 + float(mass.kgn2o) * gwp_n2o
    slack = max(float(GAS_SLACK_KG), float(GAS_SLACK) * abs(booked))
    return by_gas if abs(by_gas - booked) > slack else booked


def _id(ref: FactorRef) -> str:
    return f"{ref.id} {ref.version} {ref.value:.6g} {ref.unit}"
