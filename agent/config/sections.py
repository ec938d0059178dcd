"""The tables of a site file, as they are written; `agent.config.site` puts them together."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

Id = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=64)]
Positive = Annotated[float, Meta(gt=0)]
Percent = Annotated[float, Meta(ge=0, le=100)]
TimeOfDay = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Port = Annotated[int, Meta(ge=1, le=65535)]


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the site file; unknown keys are errors."""


class Site(Section, frozen=True, kw_only=True):
    id: Id
    name: str = ""
    timezone: str = "Asia/Shanghai"
    rules: str = "GB/T 32151.10-2023"
    gwp: Literal["", "SAR", "AR4", "AR5", "AR6"] = ""  # default: that of the rules
    window_s: Annotated[int, Meta(ge=5, le=3600)] = 900
    # coal use of power supply in the year: the equivalent value of electricity by GB/T 2589
    equivalent_kgce_per_kwh: Positive | None = None
    equivalent_source: str = ""  # who published it, and for which year


class Gateway(Section, frozen=True, kw_only=True):
    id: Id


class Area(Section, frozen=True, kw_only=True):
    id: Id
    name: str = ""


class Unit(Section, frozen=True, kw_only=True):
    id: Id
    area: Id
    name: str = ""
    mode: Literal["continuous", "batch"] = "continuous"


class Bus(Section, frozen=True, kw_only=True):
    """One serial port, Modbus endpoint or OPC UA server."""

    id: Id
    driver: str
    name: str = ""
    # serial
    port: str | int | None = None  # a path for a serial port, a number for TCP
    baud: Annotated[int, Meta(ge=300, le=921600)] = 9600
    parity: Literal["none", "even", "odd"] = "even"
    stop_bits: Literal[1, 2] = 1
    # TCP
    host: str | None = None
    # OPC UA
    endpoint: str | None = None
    security: str = "Basic256Sha256/SignAndEncrypt"
    trust: str | None = None  # folder of trusted server certificates
    certificate: str | None = None
    private_key: str | None = None
    user: str | None = None
    password_file: str | None = None
    publish_ms: Annotated[int, Meta(ge=50, le=60000)] = 1000
    # discipline
    timeout_s: Positive = 0.3
    slowest_reply_s: Positive = 1.0  # how late a reply of any slave on this bus may come
    max_hole: Annotated[int, Meta(ge=0, le=100)] = 16  # registers read across for one request


class Reference(Section, frozen=True, kw_only=True):
    """Reference conditions of a gas volume; Nm3 is 0 °C and 101.325 kPa."""

    temperature_c: float
    pressure_kpa: Positive


class OwnPoint(Section, frozen=True, kw_only=True):
    """A point written at the meter instead of in a template."""

    id: Id
    unit: str
    node: str | None = None
    role: Literal["counter", "rate", "gauge", "text"] = "gauge"
    quantity: str = ""
    # a Modbus register, for a device without template
    function: Literal[3, 4] = 3
    address: Annotated[int, Meta(ge=0, le=65535)] | None = None
    type: str | None = None
    word_order: Literal["big", "little", "little-byte", "big-byte"] = "big"
    scale: float = 1.0
    resolution: Annotated[float, Meta(ge=0)] = 0.0
    modulus: Positive | None = None
    max_rate_per_h: Positive | None = None
    low: float | None = None
    high: float | None = None


class Meter(Section, frozen=True, kw_only=True):
    id: Id
    bus: Id
    name: str = ""
    unit: Annotated[int, Meta(ge=0, le=255)] | None = None  # slave address
    template: str | None = None
    variant: str | None = None
    period_s: Positive = 1.0
    points: tuple[OwnPoint, ...] = ()
    parent: Id | None = None
    accuracy_class: Positive | None = None
    unmetered_pct: Percent = 0.0  # of a master meter: what its submeters are known not to count
    reference: Reference | None = None
    ratio: Positive = 1.0  # CT × PT ratio where the meter does not apply it itself
    timeout_s: Positive | None = None
    max_power_kw: Positive | None = None  # narrows the template's largest possible rate


class StreamShare(Section, frozen=True, kw_only=True):
    stream: str
    share: float = 1.0


class Device(Section, frozen=True, kw_only=True):
    id: Id
    unit: Id
    name: str = ""
    stage: Literal[
        "raw-material", "reaction", "separation", "storage-transport", "auxiliary", "common"
    ]
    streams: tuple[StreamShare, ...] = ()
    load: str | None = None
    conditions: tuple[str, ...] = ()


class Shift(Section, frozen=True, kw_only=True):
    """A shift of the site, by the local time at which it begins."""

    id: Id
    start: TimeOfDay
    name: str = ""


class Manual(Section, frozen=True, kw_only=True):
    """A meter that people read; its stream is «manual.<id>»."""

    id: Id
    quantity: str
    unit: str  # of what is written down; the stream counts its canonical unit
    name: str = ""
    form: Literal["register", "amount"] = "register"
    every: Literal["hour", "shift", "day"] = "shift"
    at: tuple[TimeOfDay, ...] = ()  # local times; the site's shifts, or midnight, without them
    grace_min: Positive | None = None  # after this a reading is overdue
    resolution: Annotated[float, Meta(ge=0)] = 0.0
    modulus: Positive | None = None
    low_per_h: Annotated[float, Meta(ge=0)] | None = None
    high_per_h: Positive | None = None
    max_rate_per_h: Positive | None = None
    peers: tuple[str, ...] = ()
    peer_share: Annotated[float, Meta(gt=0, le=10)] = 0.2
    load: str | None = None


class Virtual(Section, frozen=True, kw_only=True):
    """A stream computed from others; its name is «virtual.<id>»."""

    id: Id
    formula: str
    unit: str
    name: str = ""
    quantity: str = ""


class Indirect(Section, frozen=True, kw_only=True):
    """What no meter counts, estimated by a fitted model; its stream is «indirect.<id>»."""

    id: Id
    inputs: Annotated[tuple[str, ...], Meta(min_length=1, max_length=12)]
    unit: str
    name: str = ""
    quantity: str = ""
    reference: str | None = None  # the stream of a temporary meter, to fit the model to
    intercept: bool = True  # without it the model is a ratio: nothing in, nothing out
    booked: bool = True  # without it the relation is fitted and shown only


SourceKind = Literal[
    "fuel",
    "electricity",
    "heat",
    "carbon_balance",
    "reaction",
    "coke_burn",
    "carbonate",
    "nitric_acid",
    "adipic_acid",
    "co2_recovery",
    "flare",
    "wastewater",
    "incineration",
    "landfill",
    "transport",
    "cems",
    "factor",
]


class FactorChange(Section, frozen=True, kw_only=True):
    """From this local day on, a source books with another factor of its own."""

    since: datetime.date
    factor: Annotated[float, Meta(ge=0)]


class Source(Section, frozen=True, kw_only=True):
    """An emission source; the keys that are not here are those of its kind in `tanshu calc`.

    With ``stream`` it is booked window by window, without one period by period.
    """

    id: Id
    device: Id
    kind: SourceKind
    stream: str = ""
    activity: str = ""  # entered data in place of a stream: «activity.waste.sludge-landfill»
    stock: str = ""  # entered stock whose growth was not used
    content: str = ""  # laboratory's carbon content
    period: Literal["month", "day"] = "month"
    share: float = 1.0
    name: str = ""
    evidence: str | None = None
    fuel: str | None = None
    ncv: Positive | None = None
    carbon_content: Positive | None = None
    oxidation: Annotated[float, Meta(ge=0, le=1)] | None = None
    region: str | None = None
    year: int | None = None
    basis: Literal["average", "residual", "fossil"] = "average"
    factor: Annotated[float, Meta(ge=0)] | None = None
    changes: tuple[FactorChange, ...] = ()
    uncertainty_activity_pct: Percent | None = None
    uncertainty_factor_pct: Percent | None = None


class Target(Section, frozen=True, kw_only=True):
    id: Id
    url: str
    confirm: Literal["receipt", "puback"] = "receipt"
    ledger_key: str | None = None
    client_id: str | None = None
    ca: str | None = None
    certificate: str | None = None
    private_key: str | None = None
    user: str | None = None
    password_file: str | None = None
    compress: bool = True
    window: Annotated[int, Meta(ge=1, le=100)] = 20  # batches in flight


class Web(Section, frozen=True, kw_only=True):
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8600
    language: Literal["zh-CN", "en"] = "zh-CN"
    enabled: bool = True
    token_file: str | None = None  # holds what lets other machines write through the API


class Store(Section, frozen=True, kw_only=True):
    path: str = "tanshu.db"
    max_mb: Annotated[int, Meta(ge=16)] = 4096
    readings_days: Positive = 3.0  # row readings kept before only sealed blocks remain


class Factors(Section, frozen=True, kw_only=True):
    """Where newer factor packs come from, and whose signature they need."""

    keys: tuple[str, ...] = ()  # public keys of issuers, «ed25519:…»
    sources: tuple[str, ...] = ()  # folders, https addresses of an index, «ledger»
    usb: bool = False  # folders «tanshu-factors» on mounted removable media
    check: Literal["daily", "weekly", "never"] = "daily"
    ca: str | None = None  # authority of the https addresses where the system's do not know it


class Log(Section, frozen=True, kw_only=True):
    format: Literal["console", "json"] = "console"
    level: Literal["debug", "info", "warning", "error"] = "info"


SECTIONS: dict[str, type[Section]] = {
    "site": Site,
    "gateway": Gateway,
    "web": Web,
    "store": Store,
    "log": Log,
    "factors": Factors,
}

LISTS: dict[str, type[Section]] = {
    "area": Area,
    "unit": Unit,
    "bus": Bus,
    "meter": Meter,
    "shift": Shift,
    "manual": Manual,
    "virtual": Virtual,
    "indirect": Indirect,
    "device": Device,
    "source": Source,
    "target": Target,
}

__all__ = [
    "LISTS",
    "SECTIONS",
    "Area",
    "Bus",
    "Device",
    "FactorChange",
    "Factors",
    "Gateway",
    "Indirect",
    "Log",
    "Manual",
    "Meter",
    "OwnPoint",
    "Reference",
    "Section",
    "Shift",
    "Site",
    "Source",
    "Store",
    "StreamShare",
    "Target",
    "Unit",
    "Virtual",
    "Web",
]
