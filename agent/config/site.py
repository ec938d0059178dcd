"""One checked site: sections with their references resolved, as the services use it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.config import sections
from agent.core.expression import Node
from agent.core.manual import ManualSpec
from agent.core.model import FactorRef, GasRates, PointSpec, StreamKind, StreamSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterPlan:
    """A meter with the points that its template, variant and own points give it."""

    section: sections.Meter
    bus: sections.Bus
    points: tuple[PointSpec, ...]

    @property
    def id(self) -> str:
        return self.section.id

    @property
    def name(self) -> str:
        return self.section.name


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerFactor:
    """A factor that was replaced: it holds for windows that start before ``until_ms``."""

    until_ms: int
    factor: FactorRef
    gases: GasRates | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePlan:
    """An emission source with the factor it uses; ``factor.value`` is kgCO2e per stream unit.

    ``former`` are the factors before the current one, oldest first. ``gases`` splits the factor
    by gas; without it all of it is CO2. ``heat_gj`` is what one unit of the stream carries where
    steam or hot water is metered by its mass. ``table`` is the source as `tanshu calc` reads it,
    without the amount that the stream brings.
    """

    section: sections.Source
    factor: FactorRef
    uncertainty_factor_pct: float
    former: tuple[FormerFactor, ...] = ()
    gases: GasRates | None = None
    heat_gj: float | None = None
    table: Mapping[str, Any] = field(default_factory=dict)

    def factor_at(self, start_ms: int) -> FactorRef:
        """The factor that holds for a window that starts at this time."""
        for former in self.former:
            if start_ms < former.until_ms:
                return former.factor
        return self.factor

    def gases_at(self, start_ms: int) -> GasRates:
        """What one unit of the stream emits by gas in a window that starts at this time."""
        for former in self.former:
            if start_ms < former.until_ms:
                return former.gases or GasRates(kgco2=former.factor.value)
        return self.gases or GasRates(kgco2=self.factor.value)

    @property
    def id(self) -> str:
        return self.section.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """Where one amount of a period source comes from: entered data or the windows of a stream.

    ``path`` leads to the key in the source's table. ``stock`` and ``content`` are entered series;
    ``material`` is what a flow is called, by which its laboratory results are found.
    """

    path: tuple[str | int, ...]
    activity: str = ""
    stream: str = ""
    share: float = 1.0
    stock: str = ""
    content: str = ""
    material: str = ""

    @property
    def where(self) -> str:
        """The place in the source's table, as a person writes it."""
        words = [f"[{step + 1}]" if isinstance(step, int) else f".{step}" for step in self.path]
        return "".join(words).removeprefix(".")


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodSource:
    """An emission source that is computed once per local day or month, as an inventory of it.

    ``table`` is the source as `tanshu calc` reads it, without the amounts that ``feeds`` bring.
    """

    section: sections.Source
    table: Mapping[str, Any]
    feeds: tuple[Feed, ...]
    uncertainty_pct: Mapping[str, float]  # half of the 95 % interval of each stream's amount

    @property
    def id(self) -> str:
        return self.section.id

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams whose windows are summed."""
        return tuple(dict.fromkeys(feed.stream for feed in self.feeds if feed.stream))

    @property
    def entered(self) -> frozenset[str]:
        """The series of entries that are named; laboratory results may be found besides."""
        named = ((feed.activity, feed.stock, feed.content) for feed in self.feeds)
        return frozenset(name for names in named for name in names if name)


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedPlan:
    """A stream that is computed from others, by a formula or, without one, by a fitted model.

    ``streams`` are taken by their windows, ``gauges`` by their mean over the window.
    """

    stream: StreamSpec
    name: str
    inputs: tuple[str, ...]
    streams: tuple[str, ...]
    gauges: tuple[str, ...]
    units: Mapping[str, str]  # by input
    formula: Node | None
    formula_text: str
    reference: str | None  # the stream that a model is fitted to
    intercept: bool
    booked: bool  # whether it has windows

    @property
    def id(self) -> str:
        return self.stream.id

    @property
    def formula_hash(self) -> str:
        """The begin of the SHA-256 of the formula: windows name the one they were computed by."""
        return hashlib.sha256(self.formula_text.encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancePlan:
    """The stream of a master meter and those of the meters below it that count the same."""

    master: str
    parts: tuple[str, ...]
    unit: str
    unmetered_pct: float  # share of the master that is known not to be counted below it
    class_pct: Mapping[str, float]  # accuracy class by stream
    assumed: tuple[str, ...]  # meters whose class the site file does not name


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteConfig:
    """Everything a gateway needs to know, checked; built by `agent.config.load.load_site`."""

    path: Path
    site: sections.Site
    gateway: sections.Gateway
    web: sections.Web
    store: sections.Store
    log: sections.Log
    areas: tuple[sections.Area, ...]
    units: tuple[sections.Unit, ...]
    buses: tuple[sections.Bus, ...]
    meters: Mapping[str, MeterPlan]
    points: Mapping[str, PointSpec]  # «meter.point»
    streams: Mapping[str, StreamSpec]
    devices: tuple[sections.Device, ...]
    sources: Mapping[str, SourcePlan]
    targets: tuple[sections.Target, ...]
    hash: str  # SHA-256 of the file's bytes
    factors: sections.Factors = field(default_factory=sections.Factors)
    manual: Mapping[str, ManualSpec] = field(default_factory=dict)  # by stream

    derived: tuple[DerivedPlan, ...] = ()  # each after those it is computed from
    balances: tuple[BalancePlan, ...] = ()
    period_sources: Mapping[str, PeriodSource] = field(default_factory=dict)

    @property
    def source_sections(self) -> tuple[sections.Source, ...]:
        """Every emission source as it is written, those on streams first."""
        on_streams = [plan.section for plan in self.sources.values()]
        return (*on_streams, *(plan.section for plan in self.period_sources.values()))

    @property
    def window_ms(self) -> int:
        return self.site.window_s * 1000

    @property
    def metered(self) -> dict[str, StreamSpec]:
        """The streams that are cut from the readings of a meter."""
        return {
            name: stream
            for name, stream in self.streams.items()
            if stream.kind in (StreamKind.COUNTER, StreamKind.RATE)
        }

    def meter_of(self, stream: str) -> str:
        """The meter that a stream is a point of; else the stream itself."""
        meter = stream.partition(".")[0]
        return meter if meter in self.meters else stream

    def derived_plan(self, stream: str) -> DerivedPlan | None:
        """What a stream is computed from, if it is."""
        return next((plan for plan in self.derived if plan.id == stream), None)

    def meters_behind(self, stream: str) -> tuple[str, ...]:
        """The meters that a stream comes from, through all that it is computed from."""
        plan = self.derived_plan(stream)
        if plan is None:
            meter = self.meter_of(stream)
            return (meter,) if meter in self.meters else ()
        behind = (name for part in plan.inputs for name in self.meters_behind(part))
        return tuple(dict.fromkeys(behind))

    def is_read_by_people(self, stream: str) -> bool:
        """Whether a stream is written down by people, or computed from one that is."""
        plan = next((plan for plan in self.derived if plan.id == stream), None)
        if plan is None:
            return stream in self.manual
        return any(self.is_read_by_people(part) for part in plan.inputs)

    def meters_of(self, bus: str) -> tuple[MeterPlan, ...]:
        """The meters on one bus in the order of the file."""
        return tuple(meter for meter in self.meters.values() if meter.bus.id == bus)
