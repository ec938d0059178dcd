"""What the pages and the API see of the running gateway."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from agent import __version__
from agent.book.ports import Span
from agent.book.sqlite import SqliteBook
from agent.config.sections import Device, Source, Target
from agent.config.site import SiteConfig, SourcePlan
from agent.core import kernels
from agent.core.activity import ActivityEntry
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
from agent.core.timebase import local_date, local_day
from agent.daemon import emissions
from agent.daemon.activity import ActivityDesk
from agent.daemon.buses import bus_view, device_meters
from agent.daemon.computed import ComputedDesk
from agent.daemon.delivery import Deliveries
from agent.daemon.factor_check import FactorCheck
from agent.daemon.factor_desk import pack_view
from agent.daemon.factor_source import FactorSources
from agent.daemon.manual import ManualEntryDesk
from agent.daemon.quality import QualityDesk
from agent.daemon.reports import Reports
from agent.daemon.service import Gateway
from agent.pipeline.close import settle_ms
from agent.store.batches import Batches
from agent.web.activity_view import ActivityOutcome, ActivityQuery, ActivitySubmission
from agent.web.factor_view import FactorCheckOutcome, FactorDecisionSubmission, FactorPackView
from agent.web.report_view import ReportForm, ReportMonth, ReviewOutcome, ReviewSubmission
from agent.web.view import (
    BatchView,
    ClockState,
    ClockView,
    Counts,
    DeviceDetail,
    DeviceMeter,
    DeviceState,
    DeviceView,
    EmissionQuery,
    EmissionRow,
    PointView,
    Problem,
    ProblemCode,
    SiteView,
    Snapshot,
    SourceView,
    StreamView,
    TargetState,
    TargetView,
    WindowQuery,
)

RECENT_EVENTS = 20
EVENT_SPAN_MS = 7 * 86_400_000
DETAIL_WINDOWS = 24
ROLE_ORDER = {PointRole.RATE: 0, PointRole.COUNTER: 1, PointRole.GAUGE: 2, PointRole.TEXT: 3}


class View:
    """Implements `agent.web.view.GatewayView` on a gateway."""

    def __init__(self, gateway: Gateway, deliveries: Deliveries, factors: FactorCheck) -> None:
        self._gateway = gateway
        self._factors = factors
        self._deliveries = deliveries
        self._book = SqliteBook(gateway.database.connection)
        self._batches = Batches(gateway.database.connection)
        self._desk = ActivityDesk(gateway)
        self.computed = ComputedDesk(gateway)
        self.quality = QualityDesk(gateway)
        self.manual = ManualEntryDesk(gateway)
        self._reports = Reports(gateway)
        self._factor_sources = FactorSources()
        self._zone = ZoneInfo(gateway.config.site.timezone)
        self._hourly = self._hours()

    def reconfigured(self) -> None:
        """Follow a configuration that was read again."""
        self._factor_sources = FactorSources()
        self._zone = ZoneInfo(self._gateway.config.site.timezone)
        self._hourly = self._hours()

    def _hours(self) -> emissions.HourlyEmissions:
        periodic = self._gateway.config.period_sources
        return emissions.HourlyEmissions(self._book, self._gateway.owner, self._zone, periodic)

    async def snapshot(self) -> Snapshot:
        """Everything at this instant."""
        gateway = self._gateway
        now_ms = gateway.clock.now_ms()
        self._hourly.refresh(now_ms)
        latest = self._latest_emissions(now_ms)
        silent = gateway.heartbeats.silent()
        tally = gateway.recorder.tally
        return Snapshot(
            site=self._site(now_ms),
            devices=tuple(
                self._device(device, latest, now_ms) for device in gateway.config.devices
            ),
            totals=emissions.totals(self._hourly, latest, now_ms, self._zone),
            buses=tuple(
                bus_view(gateway.config, bus, gateway.buses.get(bus.id), gateway.clock)
                for bus in gateway.config.buses
            ),
            targets=tuple(self._target(target, now_ms) for target in gateway.config.targets),
            events=tuple(await self.events(now_ms - EVENT_SPAN_MS, now_ms + 1000, RECENT_EVENTS)),
            counts=Counts(
                readings_good=tally.good,
                readings_suspect=tally.suspect,
                readings_missing=tally.missing,
                windows=gateway.pipeline.windows,
                emissions=gateway.pipeline.emissions,
            ),
            alive=not silent,
            problems=(*self._problems(silent), *self._without_figure(latest, now_ms)),
            to_do=self.manual.counts(now_ms),
            factor_packs=tuple(pack_view(pack) for pack in self._factors.desk.packs.waiting()),
        )

    async def device(self, device: str) -> DeviceDetail | None:
        """One device with the numbers behind its numbers."""
        config = self._gateway.config
        found = next((item for item in config.devices if item.id == device), None)
        if found is None:
            return None
        now_ms = self._gateway.clock.now_ms()
        self._hourly.refresh(now_ms)
        latest = self._latest_emissions(now_ms)
        span = Span(from_ms=now_ms - (DETAIL_WINDOWS + 2) * config.window_ms, to_ms=now_ms)
        sources = [item for item in config.sources.values() if item.section.device == device]
        streams = {share.stream for share in found.streams} | {
            source.section.stream for source in sources
        }
        periodic = emissions.latest_periods(self._book, self._gateway.owner, config, device, now_ms)
        return DeviceDetail(
            device=self._device(found, latest, now_ms),
            streams=tuple(self._stream(found, stream) for stream in sorted(streams)),
            sources=(
                *(self._source(source.section, source.factor) for source in sources),
                *(
                    self._source(config.period_sources[one.source].section, one.factor)
                    for one in periodic
                ),
            ),
            windows=tuple(
                window
                for window in reversed(self._book.current_windows(self._gateway.owner, span))
                if window.stream in streams
            ),
            emissions=tuple(
                emission
                for emission in reversed(self._book.current_emissions(self._gateway.owner, span))
                if emission.source in {source.id for source in sources}
            )
            + tuple(periodic),
        )

    def _source(self, section: Source, factor: FactorRef) -> SourceView:
        return SourceView(
            id=section.id,
            name=section.name,
            kind=section.kind,
            stream=section.stream,
            share=section.share,
            factor=factor,
            factor_source=self._factor_sources.of(factor),
            period="" if section.stream else section.period,
        )

    async def windows(self, query: WindowQuery) -> Sequence[Window]:
        """Current windows in a span."""
        span = Span(from_ms=query.from_ms, to_ms=query.to_ms)
        return self._book.current_windows(
            self._gateway.owner, span, query.stream, limit=query.limit
        )

    async def emissions(self, query: EmissionQuery) -> Sequence[EmissionRow]:
        """Emission sums as asked."""
        return emissions.rows_by(self._book, self._gateway.owner, self._gateway.config, query)

    async def events(self, from_ms: int, to_ms: int, limit: int) -> Sequence[Event]:
        """Events in a span, newest first."""
        return self._book.events(self._gateway.owner, Span(from_ms=from_ms, to_ms=to_ms), limit)

    async def batches(self, limit: int) -> Sequence[BatchView]:
        """The newest batches, one row per target."""
        return [
            BatchView(
                target=target.id,
                epoch=row.epoch,
                seq=row.seq,
                records=row.count,
                bytes=row.size,
                window_from_ms=row.window_from_ms,
                window_to_ms=row.window_to_ms,
                sealed_ms=row.created_ms,
                sent_ms=None,
                receipted_ms=self._batches.confirmed_ms(target.id, row),
            )
            for row in self._batches.latest(limit)
            for target in self._gateway.config.targets
        ][:limit]

    async def activity(self, query: ActivityQuery) -> Sequence[ActivityEntry]:
        """Current activity entries of a span."""
        return self._desk.current(query)

    async def add_activity(self, submission: ActivitySubmission) -> ActivityOutcome:
        """Check and book activity entries."""
        return await self._desk.add(submission)

    async def report_months(self) -> Sequence[ReportMonth]:
        """The months with booked emissions, newest first."""
        return self._reports.months()

    async def report(self, month: Month, form: ReportForm, language: str) -> bytes:
        """The report of a month."""
        return await self._reports.report(month, form, language)

    async def add_review(self, submission: ReviewSubmission) -> ReviewOutcome:
        """Book what a department says of a month."""
        return await self._reports.review(submission)

    async def factor_packs(self) -> Sequence[FactorPackView]:
        """Every factor pack, the latest first."""
        return [pack_view(pack) for pack in self._factors.desk.packs.all()]

    async def decide_factors(self, submission: FactorDecisionSubmission) -> FactorPackView:
        """Approve or reject a factor pack."""
        return pack_view(self._factors.decide(submission))

    async def check_factors(self) -> FactorCheckOutcome:
        """Look for newer factor packs now."""
        return await self._factors.check()

    def write_token(self) -> str:
        """What lets a caller from another machine write."""
        return self._desk.token()

    def _site(self, now_ms: int) -> SiteView:
        gateway = self._gateway
        site = gateway.config.site
        trusted = gateway.recorder.trust.trusted
        return SiteView(
            id=site.id,
            name=site.name or site.id,
            gateway=gateway.config.gateway.id,
            timezone=site.timezone,
            version=__version__,
            kernels=kernels.MODE,
            rules=site.rules,
            gwp=site.gwp,
            window_ms=gateway.config.window_ms,
            config_hash=gateway.config.hash,
            started_ms=gateway.started_ms,
            now_ms=now_ms,
            clock=ClockView(state=ClockState.TRUSTED if trusted else ClockState.UNTRUSTED),
            faults=gateway.faults,
        )

    def _latest_emissions(self, now_ms: int) -> list[Emission]:
        """The newest closed emission of each source, if it is not too old to be «now»."""
        span = Span(from_ms=now_ms - 4 * self._gateway.config.window_ms - 60_000, to_ms=now_ms)
        newest: dict[str, Emission] = {}
        for emission in self._book.current_emissions(self._gateway.owner, span):
            newest[emission.source] = emission
        return list(newest.values())

    def _device(self, device: Device, latest: Sequence[Emission], now_ms: int) -> DeviceView:
        config = self._gateway.config
        unit = next(unit for unit in config.units if unit.id == device.unit)
        area = next(area for area in config.areas if area.id == unit.area)
        sources = {item.id for item in config.sources.values() if item.section.device == device.id}
        own = [emission for emission in latest if emission.source in sources]
        rate, share, _, _ = emissions.rate_per_h(own)
        day_ms = local_day(local_date(now_ms, self._zone), self._zone)[0]
        today = [row for row in self._hourly.rows(day_ms, now_ms + 1) if row.source in sources]
        meters = device_meters(config, device, self._gateway.buses, self._gateway.clock)
        return DeviceView(
            id=device.id,
            name=device.name or device.id,
            area=area.id,
            area_name=area.name or area.id,
            unit=unit.id,
            unit_name=unit.name or unit.id,
            stage=device.stage,
            state=_device_state(meters, share),
            points=self._points(device, now_ms),
            has_sources=bool(sources),
            emission_kgco2e_per_h=rate,
            emission_estimated_share=share,
            today_kgco2e=sum(row.kgco2e for row in today) if today else None,
            today_estimated_share=emissions.estimated_share(today),
            meters=meters,
        )

    def _points(self, device: Device, now_ms: int) -> tuple[PointView, ...]:
        """The points of the device's meters, its load and conditions, most telling first."""
        config = self._gateway.config
        meters = dict.fromkeys(share.stream.partition(".")[0] for share in device.streams)
        names = [
            f"{meter}.{point.id}"
            for meter in meters
            if meter in config.meters
            for point in config.meters[meter].points
        ]
        extra = [device.load, *device.conditions]
        names += [name for name in extra if name and name in config.points]
        views = [self._point(name, now_ms) for name in dict.fromkeys(names)]
        return tuple(sorted(views, key=lambda view: ROLE_ORDER[view.role]))

    def _point(self, name: str, now_ms: int) -> PointView:
        spec = self._gateway.config.points[name]
        sample = self._gateway.live.get(name)
        last_good = self._gateway.live.last_good(name)
        return PointView(
            id=name,
            quantity=spec.quantity,
            unit=spec.unit,
            role=spec.role,
            value=sample.value if sample else None,
            quality=sample.quality if sample else Quality.MISSING,
            age_s=max(now_ms - last_good.time_ms, 0) / 1000 if last_good else None,
            provenance=(
                Provenance.MEASURED
                if sample and sample.quality is not Quality.MISSING
                else Provenance.MISSING
            ),
            text=sample.text if sample else None,
        )

    def _stream(self, device: Device, name: str) -> StreamView:
        spec = self._gateway.config.streams[name]
        last_good = self._gateway.live.last_good(name)
        share = next((item.share for item in device.streams if item.stream == name), 1.0)
        return StreamView(
            id=name,
            kind=spec.kind.value,
            quantity=spec.quantity,
            unit=spec.unit,
            share=share,
            register=last_good.value if last_good else None,
            register_ms=last_good.time_ms if last_good else None,
        )

    def _target(self, target: Target, now_ms: int) -> TargetView:
        depth, oldest_ms = self._batches.depth(target.id)
        epoch = self._batches.current_epoch()
        through, confirmed_ms = self._batches.through(target.id, epoch.id) if epoch else (0, None)
        state, problem = self._deliveries.state(target.id)
        return TargetView(
            id=target.id,
            url=target.url,
            confirm=target.confirm,
            state=TargetState(state),
            outbox_depth=depth,
            oldest_age_s=(now_ms - oldest_ms) / 1000 if oldest_ms is not None else None,
            last_receipt_ms=confirmed_ms,
            last_receipt_seq=through or None,
            batches_sent=self._deliveries.sent(target.id),
            batches_receipted=self._batches.confirmed_count(target.id),
            problem=problem,
        )

    def _without_figure(self, latest: Sequence[Emission], now_ms: int) -> list[Problem]:
        """Sources that have no figure now: sums leave them out, so they must be named."""
        settled_ms = 2 * self._gateway.config.window_ms + settle_ms(self._gateway.config)
        if now_ms - self._gateway.started_ms < settled_ms:
            return []
        known = {emission.source for emission in latest if emission.kgco2e is not None}
        return [
            _no_figure(source, self._gateway.config)
            for source in self._gateway.config.sources.values()
            if source.id not in known
            and not self._gateway.config.is_read_by_people(source.section.stream)
        ]

    def _problems(self, silent: list[str]) -> tuple[Problem, ...]:
        problems = [
            Problem(
                what=f"{name} makes no progress",
                where=name,
                hint="look at the log",
                code=ProblemCode.NO_PROGRESS,
                values={"name": name},
            )
            for name in silent
        ]
        held = self._gateway.recorder.volatile
        if held:
            problems.append(
                Problem(
                    what=f"{held} readings could not be written",
                    where=self._gateway.database.path,
                    hint="check the disk: they are held in memory only",
                    code=ProblemCode.NOT_WRITTEN,
                    values={"n": str(held)},
                )
            )
        problems += [
            Problem(
                what=child.last_error,
                where=child.name,
                hint=child.last_hint,
                code=ProblemCode.PART_FAILED,
                values={"error": f"{child.last_error} {child.last_hint}".strip()},
            )
            for child in self._gateway.supervisor.children.values()
            if child.state == "failed"
        ]
        return tuple(problems)


def _device_state(meters: Sequence[DeviceMeter], estimated_share: float) -> DeviceState:
    """The worst of its meters' states; estimated numbers show where meters are fine."""
    worst = max((meter.state for meter in meters), key=list(DeviceState).index, default=None)
    if worst in (None, DeviceState.OK):
        return DeviceState.ESTIMATED if estimated_share > 0 else DeviceState.OK
    return worst


def _no_figure(source: SourcePlan, config: SiteConfig) -> Problem:
    name = source.section.name or source.id
    stream = source.section.stream
    meter = ", ".join(config.meters_behind(stream)) or stream
    return Problem(
        what=f"{name} has no figure: sums are too low",
        where=source.section.device,
        hint=f"look at meter {meter}",
        code=ProblemCode.NO_FIGURE,
        values={"source": name, "meter": meter},
    )
