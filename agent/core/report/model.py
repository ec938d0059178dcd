"""What a monthly report says, before anything is rounded or put into words.

Masses are kept to the milligram as decimals, so that sums of them hold to the last digit whatever
the grouping: Σ sources = Σ devices = Σ stages = Σ days = total.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum

from agent.core.activity import ActivityEntry
from agent.core.adjustment import Adjustment
from agent.core.checks.finding import Finding
from agent.core.model import FactorRef, Provenance
from agent.core.report.energy import CoalEquivalent, EnergyFigures, ProductFigures
from agent.core.report.month import Month

MILLIGRAM = Decimal("0.000001")  # in kg
ZERO = Decimal(0)
UNKNOWN = "unknown"  # kind and stage of a source that the configuration no longer names

# Half widths of a normal distribution: reports state 95 %, windows carry 90 %.
NINETY_OF_NINETY_FIVE = 1.6448536269514722 / 1.959963984540054


def kept(kg: float) -> Decimal:
    """A mass in kg as the report keeps it: to the milligram.

    >>> kept(0.1 + 0.2)
    Decimal('0.300000')
    """
    return kept_decimal(Decimal(kg))


def kept_decimal(kg: Decimal) -> Decimal:
    """An exact mass in kg to the milligram."""
    return kg.quantize(MILLIGRAM, ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mass:
    """Emissions in kg of each gas and in kg CO2 equivalent, and the estimated part of the sum."""

    kgco2: Decimal = ZERO
    kgch4: Decimal = ZERO
    kgn2o: Decimal = ZERO
    kgco2e: Decimal = ZERO
    estimated_kgco2e: Decimal = ZERO  # absolute: an estimated export does not cancel

    def __add__(self, other: Mass) -> Mass:
        return Mass(
            kgco2=self.kgco2 + other.kgco2,
            kgch4=self.kgch4 + other.kgch4,
            kgn2o=self.kgn2o + other.kgn2o,
            kgco2e=self.kgco2e + other.kgco2e,
            estimated_kgco2e=self.estimated_kgco2e + other.estimated_kgco2e,
        )

    def __sub__(self, other: Mass) -> Mass:
        return Mass(
            kgco2=self.kgco2 - other.kgco2,
            kgch4=self.kgch4 - other.kgch4,
            kgn2o=self.kgn2o - other.kgn2o,
            kgco2e=self.kgco2e - other.kgco2e,
            estimated_kgco2e=self.estimated_kgco2e - other.estimated_kgco2e,
        )


NO_MASS = Mass()


def total_of(masses: Iterable[Mass]) -> Mass:
    """The exact sum."""
    total = Mass()
    for mass in masses:
        total = total + mass
    return total


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePlace:
    """An emission source and where it stands; uncertainties are half of a 95 % interval in %."""

    id: str
    name: str
    kind: str
    stream: str
    unit_of_stream: str
    share: float
    device: str
    device_name: str
    unit: str
    unit_name: str
    area: str
    area_name: str
    stage: str
    gateway: str = ""  # who books it; empty: any gateway of the site
    evidence: str = ""  # for the values of its own: contract, certificates, laboratory report
    meter: str = ""  # behind the stream: its error is common to all that it counts
    period: str = ""  # day or month for a source that is computed once for it
    carrier: str = ""  # the fuel, or the kind of energy
    carrier_zh: str = ""
    carrier_en: str = ""
    counted: bool = True  # false: only compared with the calculated sources (CEMS)
    uncertainty_activity_pct: float = 0.0
    uncertainty_factor_pct: float = 0.0
    coal: CoalEquivalent | None = None  # of one unit of the stream, if it carries energy


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPlace:
    """A metered stream and the devices that take part in it."""

    id: str
    meter: str
    meter_name: str
    quantity: str
    unit: str
    devices: tuple[str, ...]
    gateway: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSite:
    """What a report has to know of the site besides the book."""

    id: str
    name: str
    timezone: str
    rules: str
    rules_name_zh: str
    rules_name_en: str
    rules_status: str
    rules_note_zh: str
    rules_note_en: str
    rules_missing_data_zh: str
    rules_missing_data_en: str
    rules_kinds: tuple[str, ...]  # kinds of source that the text covers; empty: all
    gwp: str
    gwp_ch4: float
    gwp_n2o: float
    equivalent_source: str  # who published the coal use of electricity
    decimals_t: int  # decimals of tonnes in the summary: 0 where the rules ask for whole tonnes
    sources: tuple[SourcePlace, ...]
    streams: tuple[StreamPlace, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorDocument:
    """Where a factor is taken from."""

    standard: str = ""
    edition: str = ""
    table: str = ""
    row: str = ""
    data_year: int | None = None
    status: str = ""  # seen, secondary, computed, user; empty: not in this library
    source: str = ""
    name_zh: str = ""  # what the factor is of
    name_en: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorPart:
    """One of the numbers that a factor is composed of, and where it is taken from."""

    id: str
    version: str
    value: float
    unit: str
    document: FactorDocument


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorUse:
    """A factor that a source was computed with, when, and how much it made.

    ``parts`` are empty where the factor itself stands in a document, and where it is none that
    the configuration still holds.
    """

    source: str
    ref: FactorRef
    document: FactorDocument
    first_ms: int
    end_ms: int
    windows: int
    kgco2e: Decimal
    parts: tuple[FactorPart, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFigures:
    """One source in the month; ``half_95_kg`` is half of its 95 % interval."""

    place: SourcePlace
    mass: Mass
    activity: float | None  # amount of the stream that the source owns
    estimated_share: float
    share: float | None  # of the gross sum
    half_95_kg: float
    windows: int
    missing_windows: int
    missing_ms: int
    computed_ms: int  # time whose emission is known
    revised_windows: int
    spread: bool = False  # booked for a period longer than a day; its days are even parts of it
    own_plant: Mass = NO_MASS  # of purchased energy: what the site's own power plant burns
    previous_kgco2e: Decimal | None = None
    last_year_kgco2e: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFigures:
    """The sources of one device, unit, area, stage or kind together."""

    key: str
    name: str
    mass: Mass
    share: float | None
    estimated_share: float
    half_95_kg: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DayFigures:
    """One local day; the estimated part is within the sum of absolute amounts."""

    day: datetime.date
    mass: Mass


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFigures:
    """One stream in the month: amounts and time by provenance; time without a window is missing."""

    place: StreamPlace
    amount: float | None
    amounts: dict[Provenance, float]
    times_ms: dict[Provenance, int]
    elapsed_ms: int
    covered_ms: float  # time under good readings
    first_missing_ms: int | None
    last_missing_ms: int | None  # end of the last missing span
    open_gap_ms: int  # missing because the gap is not closed yet

    @property
    def availability(self) -> float:
        """Share of the time whose amount a meter counted (measured, allocated, verified)."""
        counted = (Provenance.MEASURED, Provenance.ALLOCATED, Provenance.VERIFIED)
        return self.share_of_time(*counted)

    def share_of_time(self, *kinds: Provenance) -> float:
        if not self.elapsed_ms:
            return 0.0
        return sum(self.times_ms.get(kind, 0) for kind in kinds) / self.elapsed_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFigures:
    """An entry that no meter reads, and the part of it that falls into the month."""

    entry: ActivityEntry
    amount: float  # of the month, in the entry's unit; of a level: the level itself
    divided: bool  # the entry's period goes beyond the month
    gateway: str = ""


class Decision(StrEnum):
    ACCEPTED = "accepted"
    RETURNED = "returned"


class Department(StrEnum):
    ENVIRONMENT = "environment"
    PRODUCTION = "production"


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What a department said of a month's figures; ``figures`` is the hash of what it saw."""

    month: Month
    department: Department
    name: str
    decision: Decision
    note: str
    figures: str
    reviewed_ms: int
    settled: tuple[str, ...] = ()  # ids of findings that this review settles


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A signed figure that is another one now."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewFigures:
    """A review in the report: still good for these figures, or void and why."""

    review: Review
    void: bool
    latest: bool  # of its department
    gateway: str = ""
    changes: tuple[Change, ...] = ()


class SignOff(StrEnum):
    RUNNING = "running"  # the month is not over
    DRAFT = "draft"
    RETURNED = "returned"
    VOID = "void"  # was signed, and a figure has changed since
    SIGNED = "signed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The total of another month; ``coverage`` is the share of its time that was booked."""

    month: Month
    kgco2e: Decimal
    coverage: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The month's sums; ``half_95_kg`` groups errors that several sources share."""

    mass: Mass
    gross_kgco2e: Decimal  # of the sources that emit; exports and recovery are left out
    without_energy: Mass  # without purchased electricity and heat
    estimated_share: float
    without_energy_estimated_share: float
    half_95_kg: float
    without_energy_half_95_kg: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GasFigures:
    """One gas of the month in kg of the gas and kgCO2e; ``gas`` is empty for what no gas takes."""

    gas: str
    gwp: float | None
    kg: Decimal | None
    kgco2e: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthReport:
    """One month of one site, ready to be rounded and put into words."""

    site: ReportSite
    gateways: tuple[str, ...]
    month: Month
    from_ms: int
    to_ms: int
    until_ms: int  # how far the figures reach: before the end while the month is running
    made_ms: int
    complete: bool  # the month was over when the report was made
    totals: Totals
    sources: tuple[SourceFigures, ...]
    compared: tuple[SourceFigures, ...]  # measured a second time (CEMS), not in any sum
    devices: tuple[GroupFigures, ...]
    units: tuple[GroupFigures, ...]
    areas: tuple[GroupFigures, ...]
    stages: tuple[GroupFigures, ...]
    kinds: tuple[GroupFigures, ...]
    gases: tuple[GasFigures, ...]
    energy: EnergyFigures
    products: tuple[ProductFigures, ...]
    days: tuple[DayFigures, ...]
    streams: tuple[StreamFigures, ...]
    entries: tuple[EntryFigures, ...]
    factors: tuple[FactorUse, ...]
    previous: Comparison | None
    last_year: Comparison | None
    findings: tuple[Finding, ...]
    reviews: tuple[ReviewFigures, ...]
    sign_off: SignOff
    figures: str  # what a sign-off signs, as canonical text
    figures_hash: str
    opening_stock: tuple[EntryFigures, ...] = ()  # the last levels before the month
    adjustments: tuple[Adjustment, ...] = ()  # what changed after somebody had signed
