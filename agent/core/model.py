"""The records that travel through the system; every other room speaks in these."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Quality(StrEnum):
    """How far a single reading can be trusted."""

    GOOD = "good"
    SUSPECT = "suspect"
    MISSING = "missing"


class Provenance(StrEnum):
    """How the value of a window was obtained."""

    MEASURED = "measured"
    ALLOCATED = "allocated"  # total measured by the register, shape estimated
    ESTIMATED = "estimated"
    MANUAL = "manual"
    VERIFIED = "verified"
    MISSING = "missing"


class PointRole(StrEnum):
    """What a point's values mean over time."""

    COUNTER = "counter"  # cumulative register: energy, volume, mass, heat
    RATE = "rate"  # power, flow: amount per hour
    GAUGE = "gauge"  # load, temperature, pressure, voltage
    TEXT = "text"  # grade, state


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterSpec:
    """Where and how a Modbus point is encoded; ``address`` is the wire (0-based) address."""

    function: int  # 3 holding, 4 input
    address: int
    type: str  # see agent.core.decode.TYPES
    word_order: str = "big"  # "big" ABCD, "little" CDAB, "little-byte" DCBA, "big-byte" BADC
    scale: float = 1.0
    offset: float = 0.0
    decimals: int = 0  # implied decimals of BCD
    fraction_address: int | None = None  # second part of an integer + fraction pair
    scale_address: int | None = None  # register holding a power-of-ten exponent
    ratio_addresses: tuple[int, ...] = ()  # CT/PT ratio registers that multiply the value
    sentinels: tuple[int, ...] = ()  # raw unsigned patterns that mean «not available»


@dataclass(frozen=True, slots=True, kw_only=True)
class PointSpec:
    """One measured quantity of a meter.

    ``unit`` is the canonical unit after scaling (kWh, kW, Nm3, Nm3/h, GJ, GJ/h, t, t/h, %, …).
    ``resolution`` is one count of a counter in that unit; ``modulus`` the value at which it
    wraps; ``max_rate_per_h`` the largest physically possible increase per hour.
    """

    id: str
    quantity: str
    unit: str
    role: PointRole
    register: RegisterSpec | None = None
    node: str | None = None  # OPC UA node, «nsu=…;s=…»
    scale: float = 1.0  # turns a node's value into ``unit``; a register carries its own scale
    resolution: float = 0.0
    modulus: float | None = None
    max_rate_per_h: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One reading as a driver delivers it.

    ``time_ms`` is the end of the request frame (or the source timestamp of a subscription),
    ``value`` is in the point's canonical unit, ``raw`` the registers in hex (kept if not good).
    """

    point: str  # «meter.point»
    time_ms: int
    monotonic_ns: int
    value: float | None
    quality: Quality = Quality.GOOD
    raw: str = ""
    text: str | None = None


class StreamKind(StrEnum):
    """What a stream's windows are cut from."""

    COUNTER = "counter"
    RATE = "rate"
    MANUAL = "manual"  # written down by people
    VIRTUAL = "virtual"  # computed by a formula
    INDIRECT = "indirect"  # estimated by a fitted model


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """A declared exchange of a meter: its register ended at one number and began at another."""

    at_ms: int
    old_end: float
    new_start: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSpec:
    """A stream: one counter or rate point of a meter, with what is physically possible.

    ``relative_resolution`` is the share of its value in steps of which a floating-point register
    counts: 2^-23 for single precision. ``replacements`` are in order of time.
    """

    id: str  # «meter.point»
    kind: StreamKind
    quantity: str
    unit: str  # unit of the window value: kWh, Nm3, t, GJ
    resolution: float
    modulus: float | None
    max_rate_per_h: float | None
    period_ms: int
    load: str | None = None  # gauge point whose mean scales an estimate
    relative_resolution: float = 0.0
    replacements: tuple[Replacement, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The amount of one stream in one window, with how it was obtained."""

    stream: str
    start_ms: int
    length_ms: int
    revision: int
    value: float | None
    provenance: Provenance
    method: str
    coverage: float  # share of the window's time covered by good readings, 0..1
    lower: float | None = None
    upper: float | None = None
    load: float | None = None
    maintenance: bool = False

    @property
    def end_ms(self) -> int:
        return self.start_ms + self.length_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """The register at a window boundary: the reading at or last before it (legal record)."""

    stream: str
    boundary_ms: int
    time_ms: int
    register: float
    accumulated: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorRef:
    """Which factor made a number: id, version of the factor file and the value used."""

    id: str
    version: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GasRates:
    """What one unit of a stream emits, gas by gas, in kg."""

    kgco2: float
    kgch4: float = 0.0
    kgn2o: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Emission:
    """What one source emitted in one window (kg), from which window revisions and factor."""

    source: str
    start_ms: int
    length_ms: int
    revision: int
    kgco2: float | None
    kgch4: float | None
    kgn2o: float | None
    kgco2e: float | None
    lower: float | None
    upper: float | None
    estimated_share: float
    factor: FactorRef
    # (stream, window revision) actually used; of a month or day a count of revisions instead,
    # which every later one raises
    inputs: tuple[tuple[str, int], ...]

    @property
    def end_ms(self) -> int:
        return self.start_ms + self.length_ms


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something worth knowing that happened to a subject (stream, meter, bus, target, site)."""

    time_ms: int
    code: str  # e.g. «counter.reset», «bus.meter_dead»
    subject: str
    severity: Severity
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a ledger has committed of one gateway epoch."""

    site: str
    gateway: str
    epoch: str
    through: int
    hash: str
    held: tuple[tuple[int, int], ...] = field(default=())
