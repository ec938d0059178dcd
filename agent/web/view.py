"""What the pages and the API show: the daemon fills these records, the web only reads them.

Emissions are kgCO2e throughout; shares are 0..1; times are UTC milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from agent.core.activity import ActivityEntry
from agent.core.errors import Fault
from agent.core.model import (
    Emission,
    Event,
    FactorRef,
    PointRole,
    Provenance,
    Quality,
    Window,
)
from agent.core.report.month import Month
from agent.web.activity_view import ActivityOutcome, ActivityQuery, ActivitySubmission
from agent.web.computed_view import ComputedView
from agent.web.factor_view import FactorCheckOutcome, FactorDecisionSubmission, FactorPackView
from agent.web.manual_view import ManualCounts, ManualView
from agent.web.quality_view import QualityView
from agent.web.report_view import ReportForm, ReportMonth, ReviewOutcome, ReviewSubmission


class DeviceState(StrEnum):
    """The state of a device or meter as an operator reads it."""

    OK = "ok"
    ESTIMATED = "estimated"  # answering, but part of the running numbers is estimated
    STALE = "stale"  # last good value older than expected
    DEAD = "dead"  # no answer; probed with backoff
    WAITING = "waiting"  # nothing read since the start


class BusState(StrEnum):
    OK = "ok"
    DEGRADED = "degraded"  # some meters do not answer
    DOWN = "down"  # port or connection lost
    STARTING = "starting"


class TargetState(StrEnum):
    CONNECTED = "connected"
    CONNECTING = "connecting"
    DOWN = "down"
    REFUSED = "refused"  # reached, but credentials or trust are not accepted


class ClockState(StrEnum):
    TRUSTED = "trusted"
    UNTRUSTED = "untrusted"  # readings stay unplaced and no window closes


class GroupBy(StrEnum):
    DEVICE = "device"
    UNIT = "unit"
    AREA = "area"
    SOURCE = "source"


class Period(StrEnum):
    WINDOW = "window"
    HOUR = "hour"
    DAY = "day"


class ProblemCode(StrEnum):
    """The problems that the gateway itself tells, each said in the reader's language."""

    NO_FIGURE = "no-figure"
    NO_PROGRESS = "no-progress"
    NOT_WRITTEN = "not-written"
    PART_FAILED = "part-failed"
    BATCHES_BLOCKED = "batches-blocked"
    TARGET_LOST = "target-lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that is wrong now: what, where, what to do next.

    With a ``code`` the pages say it in their language, with the ``values`` put in.
    """

    what: str
    where: str = ""
    hint: str = ""
    since_ms: int | None = None
    code: ProblemCode | None = None
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockView:
    state: ClockState
    source: str = ""  # e.g. «NTP», «RTC»
    offset_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteView:
    id: str
    name: str
    gateway: str
    timezone: str
    version: str
    kernels: str  # «aot», «jit» or «python»
    rules: str
    gwp: str
    window_ms: int
    config_hash: str
    started_ms: int
    now_ms: int
    clock: ClockView
    faults: tuple[Fault, ...] = ()  # faults of the configuration the gateway runs without


@dataclass(frozen=True, slots=True, kw_only=True)
class PointView:
    """The latest value of one point; ``age_s`` is since the last good reading."""

    id: str  # «meter.point»
    quantity: str
    unit: str
    role: PointRole
    value: float | None
    quality: Quality
    age_s: float | None
    provenance: Provenance
    label: str = ""  # shown instead of the quantity where given
    text: str | None = None  # value of a text point


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceMeter:
    """A meter that a device's numbers are counted from; ``age_s`` is since its last answer."""

    id: str
    name: str
    state: DeviceState
    age_s: float | None
    last_answer_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceView:
    """One device with its points, most telling first (rate, then counter, then gauges)."""

    id: str
    name: str
    area: str
    area_name: str
    unit: str
    unit_name: str
    stage: str
    state: DeviceState  # the worst of its meters
    points: tuple[PointView, ...]
    has_sources: bool  # false: nothing to emit, emission columns stay empty
    emission_kgco2e_per_h: float | None  # from the last closed windows
    emission_estimated_share: float
    today_kgco2e: float | None
    today_estimated_share: float
    meters: tuple[DeviceMeter, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamView:
    """A stream of a device, the share it enters with, and its last register."""

    id: str
    kind: str
    quantity: str
    unit: str
    share: float
    register: float | None = None
    register_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceView:
    """An emission source: ``factor.value`` is kgCO2e per ``factor.unit`` of the stream."""

    id: str
    name: str
    kind: str
    stream: str
    share: float
    factor: FactorRef
    factor_source: str = ""  # document and table the value is taken from
    period: str = ""  # «day» or «month» where it is computed once per period, without a stream


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDetail:
    """Why a device's numbers are what they are; windows and emissions newest first."""

    device: DeviceView
    streams: tuple[StreamView, ...]
    sources: tuple[SourceView, ...]
    windows: tuple[Window, ...]
    emissions: tuple[Emission, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HourBar:
    """Emissions of one local hour of today, split by how they were obtained."""

    start_ms: int
    measured_kgco2e: float
    estimated_kgco2e: float
    complete: bool
    yesterday_kgco2e: float | None = None  # the same hour of yesterday, if known


@dataclass(frozen=True, slots=True, kw_only=True)
class EmissionTotals:
    """The site's emissions now (last closed windows) and today (site's local day)."""

    now_kgco2e_per_h: float | None
    now_lower: float | None
    now_upper: float | None
    now_estimated_share: float
    today_kgco2e: float | None
    today_estimated_share: float
    yesterday_same_time_kgco2e: float | None
    hours: tuple[HourBar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterView:
    """One meter on a bus, as its bus sees it."""

    id: str
    name: str
    address: str  # slave address; empty where the bus has none
    state: DeviceState
    age_s: float | None
    exchanges: int = 0  # reads that gave its values
    timeouts: int = 0  # reads without an answer, in a row
    invalid: int = 0
    points: int = 0
    p95_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BusView:
    """One bus; ``use_share`` is the part of the last minutes its wire was busy."""

    id: str
    name: str
    driver: str
    address: str  # port and baud rate, host and port, or endpoint
    state: BusState
    meters_answering: int
    meters_total: int
    use_share: float | None
    exchanges: int
    timeouts: int
    invalid: int
    refused: int
    p95_ms: float | None = None
    last_error: Problem | None = None
    meters: tuple[MeterView, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetView:
    """One target of the outbox; ``url`` carries no credentials."""

    id: str
    url: str
    confirm: str  # «receipt» or «puback»
    state: TargetState
    outbox_depth: int
    oldest_age_s: float | None
    last_receipt_ms: int | None
    last_receipt_seq: int | None
    batches_sent: int
    batches_receipted: int
    problem: Problem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchView:
    """One sync batch on its way to one target."""

    target: str
    epoch: str
    seq: int
    records: int
    bytes: int
    window_from_ms: int | None
    window_to_ms: int | None
    sealed_ms: int
    sent_ms: int | None  # None where it is not recorded; the page then leaves the column out
    receipted_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Totals since the start of the daemon, for `/metrics`."""

    readings_good: int = 0
    readings_suspect: int = 0
    readings_missing: int = 0
    windows: int = 0
    emissions: int = 0
    events: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The whole gateway at one instant; ``alive`` is false when readings or writes stand still."""

    site: SiteView
    devices: tuple[DeviceView, ...]
    totals: EmissionTotals
    buses: tuple[BusView, ...]
    targets: tuple[TargetView, ...]
    events: tuple[Event, ...]  # newest first
    counts: Counts = field(default_factory=Counts)
    alive: bool = True
    problems: tuple[Problem, ...] = ()
    to_do: ManualCounts = field(default_factory=ManualCounts)
    factor_packs: tuple[FactorPackView, ...] = ()  # those that wait for an approval


@dataclass(frozen=True, slots=True, kw_only=True)
class EmissionRow:
    """Emissions of one group in one period; ``key`` is the id of the device, unit, … ."""

    key: str
    name: str
    start_ms: int
    length_ms: int
    kgco2e: float | None
    lower: float | None
    upper: float | None
    estimated_share: float
    spread_share: float = 0.0  # from records of a longer period, divided evenly over time


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowQuery:
    """Current revisions with start in [from_ms, to_ms), by start then stream."""

    from_ms: int
    to_ms: int
    limit: int
    stream: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EmissionQuery:
    """Sums with period start in [from_ms, to_ms), by start then key."""

    from_ms: int
    to_ms: int
    limit: int
    by: GroupBy = GroupBy.DEVICE
    period: Period = Period.HOUR


class GatewayView(Protocol):
    """What the web asks of the gateway; every call may raise a ``TanshuError``."""

    async def snapshot(self) -> Snapshot: ...

    async def device(self, device: str) -> DeviceDetail | None:
        """One device by id, or None if there is none."""
        ...

    async def windows(self, query: WindowQuery) -> Sequence[Window]: ...

    async def emissions(self, query: EmissionQuery) -> Sequence[EmissionRow]: ...

    async def events(self, from_ms: int, to_ms: int, limit: int) -> Sequence[Event]:
        """Events with time in [from_ms, to_ms), newest first."""
        ...

    async def batches(self, limit: int) -> Sequence[BatchView]:
        """The latest batches of all targets, newest first."""
        ...

    async def activity(self, query: ActivityQuery) -> Sequence[ActivityEntry]:
        """Current activity entries, by start and stream."""
        ...

    async def add_activity(self, submission: ActivitySubmission) -> ActivityOutcome:
        """Check and book what a person, sheet or program enters."""
        ...

    @property
    def computed(self) -> ComputedView:
        """Balances of the meter tree, and fitted models."""
        ...

    @property
    def quality(self) -> QualityView:
        """Data completeness, and corrections of meters."""
        ...

    @property
    def manual(self) -> ManualView:
        """Readings that people take."""
        ...

    async def report_months(self) -> Sequence[ReportMonth]:
        """The months with booked emissions, newest first."""
        ...

    async def report(self, month: Month, form: ReportForm, language: str) -> bytes:
        """The report of a month in one form and language."""
        ...

    async def add_review(self, submission: ReviewSubmission) -> ReviewOutcome:
        """Book what a department says of a month; a ``UsageError`` says what it lacks."""
        ...

    async def factor_packs(self) -> Sequence[FactorPackView]:
        """Every factor pack, the latest first."""
        ...

    async def decide_factors(self, submission: FactorDecisionSubmission) -> FactorPackView:
        """Approve or reject a factor pack; a ``UsageError`` says why that cannot be."""
        ...

    async def check_factors(self) -> FactorCheckOutcome:
        """Look for newer factor packs now."""
        ...

    def write_token(self) -> str:
        """What lets a caller from another machine write; empty if nothing does."""
        ...
