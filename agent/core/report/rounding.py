"""The only place where a report rounds: whole tonnes per line of the summary, as the rules ask.

Each line and the total are rounded from the exact sum, so that no error adds up; a total that
then differs from the sum of the printed lines is explained beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum

from agent.core.carbon.inventory import without_purchased
from agent.core.report.model import ZERO, Mass, SourceFigures, total_of

KG_PER_T = Decimal(1000)


class Line(StrEnum):
    """The lines of the summary table of GB/T 32151.10 (annex table 1), and one for the rest."""

    COMBUSTION = "combustion"
    PROCESS_CO2 = "process-co2"
    PROCESS_N2O = "process-n2o"
    RECOVERED = "recovered"
    ELECTRICITY = "electricity"
    HEAT = "heat"
    OTHER = "other"


_LINE_OF_KIND = {
    "fuel": Line.COMBUSTION,
    "coke_burn": Line.COMBUSTION,
    "carbon_balance": Line.PROCESS_CO2,
    "reaction": Line.PROCESS_CO2,
    "carbonate": Line.PROCESS_CO2,
    "nitric_acid": Line.PROCESS_N2O,
    "adipic_acid": Line.PROCESS_N2O,
    "co2_recovery": Line.RECOVERED,
    "electricity": Line.ELECTRICITY,
    "heat": Line.HEAT,
}


def line_of(kind: str) -> Line:
    """The summary line of a kind of source; what the chemical guide does not list is «other»."""
    return _LINE_OF_KIND.get(kind, Line.OTHER)


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryLine:
    """One printed line in tonnes; None where the site has no such source."""

    line: Line
    tonnes: Decimal | None  # mass of the gas itself
    tco2e: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The summary table as printed."""

    lines: tuple[SummaryLine, ...]
    total_tco2e: Decimal
    without_energy_tco2e: Decimal

    @property
    def lines_differ_by_t(self) -> Decimal:
        """How far the printed total is from the sum of the printed lines."""
        return self.total_tco2e - sum((line.tco2e or ZERO for line in self.lines), ZERO)


def rounded_t(kg: Decimal, decimals: int) -> Decimal:
    """A mass in kg as tonnes with so many decimals, a tie to the even digit (GB/T 8170).

    Example: 663,897,090 kg is 663897 t.

    >>> rounded_t(Decimal("663897090"), 0), rounded_t(Decimal("2500"), 0)
    (Decimal('663897'), Decimal('2'))
    """
    step = Decimal(1).scaleb(-decimals)
    return (kg / KG_PER_T).quantize(step, ROUND_HALF_EVEN) + ZERO  # + 0: no negative zero


def summary(sources: Iterable[SourceFigures], decimals: int) -> Summary:
    """The summary table of a report.

    Source: GB/T 32151.10 annex table 1 as a public form shows it; whole tonnes per source total
    and final total by the ministry's answers on monitoring and reporting of 2016.
    """
    listed = list(sources)
    by_line: dict[Line, list[Mass]] = {}
    for source in listed:
        by_line.setdefault(line_of(source.place.kind), []).append(source.mass)
    lines = []
    for line in Line:
        masses = by_line.get(line)
        if masses is None:
            lines.append(SummaryLine(line=line, tonnes=None, tco2e=None))
            continue
        mass = total_of(masses)
        own = mass.kgn2o if line is Line.PROCESS_N2O else mass.kgco2
        lines.append(
            SummaryLine(
                line=line,
                tonnes=None if line is Line.OTHER else rounded_t(own, decimals),
                tco2e=rounded_t(mass.kgco2e, decimals),
            )
        )
    direct = total_of(
        without_purchased(source.place.kind, source.mass, source.own_plant) for source in listed
    )
    return Summary(
        lines=tuple(lines),
        total_tco2e=rounded_t(total_of(source.mass for source in listed).kgco2e, decimals),
        without_energy_tco2e=rounded_t(direct.kgco2e, decimals),
    )
