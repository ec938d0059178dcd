"""The gateway: one file, one supervisor, one child per bus, per target, and the pages."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from pathlib import Path

import structlog

from agent.book.ports import Owner
from agent.config.factors import forget_library
from agent.config.load import read_site
from agent.config.sections import Bus
from agent.config.site import SiteConfig
from agent.core.errors import ConfigError, Fault, StoreError
from agent.core.model import Event, Sample, Severity
from agent.core.ports import Clock
from agent.core.quality.screen import Screen
from agent.daemon.drivers import build_driver, is_polled, is_subscribed
from agent.daemon.memory import give_back_memory
from agent.daemon.wake import Wake
from agent.pipeline.adjust import Revised
from agent.pipeline.close import settle_ms
from agent.pipeline.fill import GapFilling
from agent.pipeline.recalculate import Recalculation
from agent.pipeline.record import Recorder
from agent.pipeline.run import Pipeline
from agent.pipeline.seal import Sealer
from agent.poll.live import BusStatus, LiveValues
from agent.poll.polled import PolledBus
from agent.poll.subscribed import SubscribedBus
from agent.store.batches import Batches
from agent.store.database import open_store
from agent.store.readings import Readings
from agent.store.state import Audit, StreamStates
from agent.supervise import Heartbeats, Supervisor, feed_watchdog, notify_service_manager
from agent.sync.enrolment import enrolment_text
from agent.sync.keys import load_or_create_key

RECORD_LIMIT_S = 30.0
DRAIN_LOOK_NS = 100_000_000


def load_config(path: Path) -> tuple[SiteConfig, tuple[Fault, ...]]:
    """The configuration that can run, and the faults it runs without; fatal ones raise."""
    config, faults = read_site(path)
    if config is None:
        raise ConfigError(tuple(fault for fault in faults if not fault.warning))
    return config, faults


class Gateway:
    """The wired service of one gateway."""

    def __init__(self, path: Path, clock: Clock, boot: str) -> None:
        self._path = path
        self._boot = boot
        self._log = structlog.get_logger("gateway")
        self.clock = clock
        self.config, self.faults = load_config(path)
        self.owner = Owner(site=self.config.site.id, gateway=self.config.gateway.id)
        store = self.config.path.parent / self.config.store.path
        store.parent.mkdir(parents=True, exist_ok=True)
        self.database = open_store(store)
        self.key = load_or_create_key(store.with_suffix(".key"))
        store.with_name("enrolment.json").write_text(
            enrolment_text(self.owner.site, self.owner.gateway, self.key.public), encoding="utf-8"
        )
        self.started_ms = clock.now_ms()
        self.live = LiveValues()
        self.buses: dict[str, BusStatus] = {}
        self.readings = Readings(self.database.connection)
        self.recorder = Recorder(self.database, self.owner, self.readings, clock, boot)
        self.heartbeats = Heartbeats(clock)
        self.supervisor = Supervisor(clock)
        self.wake = Wake(self.config.site.timezone)
        self.sealed = asyncio.Event()
        self.pipeline = self._prepare(self.config)

    def _prepare(self, config: SiteConfig) -> Pipeline:
        """Register what a configuration names and build its pipeline."""
        self._screen = screen_of(config)
        with self.database.transaction() as connection:
            self.readings.register_points(config.points)
            StreamStates(connection).register(config.streams, self.clock.now_ms())
        sealer = (
            Sealer(self.owner, self.key, lambda: secrets.token_hex(16)) if config.targets else None
        )
        return Pipeline(
            config,
            self.database,
            self.owner,
            self.readings,
            self.recorder,
            self.live.get,
            sealer,
            self.clock,
        )

    def add_child(self, name: str, factory: object) -> None:
        """Supervise one more loop (pages, delivery): the caller wires it before `run`."""
        self.supervisor.add(name, factory)  # type: ignore[arg-type]

    async def run(self, stop: asyncio.Event, drain_s: float = 0.0) -> None:
        """Run until told to stop; what is buffered is written and due windows are closed.

        With ``drain_s`` polling stops first and receipts of what is sealed are awaited so long.
        """
        self._report_start()
        self.heartbeats.expect("record", RECORD_LIMIT_S)
        self.heartbeats.expect("pipeline", 3 * self.config.site.window_s + RECORD_LIMIT_S)
        self.supervisor.add(
            "record", lambda: self.recorder.run(self.heartbeats.beat), critical=True
        )
        self.supervisor.add("pipeline", self._run_pipeline, critical=True)
        self.supervisor.add("watchdog", lambda: feed_watchdog(self.heartbeats, self.clock))
        for bus in self.config.buses:
            self._add_bus(bus)
        self.wake.start(self.config.window_ms, settle_ms(self.config), self.clock.now_ms())
        notify_service_manager("READY=1")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._stop_when(stop, drain_s), name="stop")
                await self.supervisor.run()
        finally:
            notify_service_manager("STOPPING=1")
            self.wake.stop()
            try:
                if drain_s <= 0:  # what becomes due after a drain could not be delivered any more
                    self.pipeline.run_due(self.clock.now_ms())
            except StoreError as error:
                self._log.error("store.write_failed", error=str(error))
            finally:
                self.database.close()
                self._log.info("gateway.stopped")

    async def _stop_when(self, stop: asyncio.Event, drain_s: float) -> None:
        await stop.wait()
        if drain_s > 0:
            await self._drain(drain_s)
        self.supervisor.stop()

    async def _drain(self, drain_s: float) -> None:
        """Stop polling, close what is complete, wait until every target has confirmed it."""
        for bus in self.config.buses:
            await self.supervisor.remove(f"bus:{bus.id}")
        await self.supervisor.remove("pipeline")
        self.pipeline.run_due(self.clock.now_ms())
        self.sealed.set()
        batches = Batches(self.database.connection)
        limit_ns = self.clock.monotonic_ns() + int(drain_s * 1e9)
        while any(batches.depth(target.id)[0] for target in self.config.targets):
            if self.clock.monotonic_ns() > limit_ns:
                self._log.warning("gateway.drain_incomplete")
                return
            await self.clock.sleep_until(self.clock.monotonic_ns() + DRAIN_LOOK_NS)

    async def _run_pipeline(self) -> None:
        await self.pipeline.run(self._wait, self.heartbeats.beat, self.sealed.set)

    async def _wait(self) -> None:
        self.database.release_memory()
        give_back_memory()
        await self.wake.wait()

    def _report_start(self) -> None:
        if self.database.single_connection:
            version = ".".join(str(part) for part in self.database.version)
            self._log.warning("store.single_connection", sqlite=version)
        for fault in self.faults:
            self._log.warning("config.fault", fault=str(fault))
        self._log.info(
            "gateway.started",
            site=self.owner.site,
            gateway=self.owner.gateway,
            buses=len(self.config.buses),
            meters=len(self.config.meters),
            streams=len(self.config.streams),
            key=self.key.public.text,
        )

    def _add_bus(self, bus: Bus) -> None:
        meters = self.config.meters_of(bus.id)
        if not meters:
            return
        status = self.buses[bus.id] = BusStatus(bus.id, bus.driver)

        async def loop() -> None:
            driver = build_driver(bus, meters, self.clock)
            report = self.recorder.report
            if is_subscribed(driver):
                await SubscribedBus(driver, meters, status, self.clock, self.take, report).run()
            elif is_polled(driver):
                await PolledBus(driver, meters, status, self.clock, self.take, report).run()

        self.supervisor.add(f"bus:{bus.id}", loop)

    async def recalculate(self) -> None:
        """Revise what was booked with factors that no longer hold; ends when all is done."""
        work = Recalculation(self.config, self.database, self.owner, self.clock)
        if work.is_due() and await work.run(lambda: self.heartbeats.beat("pipeline")):
            self.wake.ring()

    async def fill_gaps(self) -> None:
        """Fill gaps once what followed them is known, until cancelled."""

        def booked(revised: Revised) -> None:
            self.recorder.tell(revised.events)
            self.wake.ring()

        await GapFilling(self.config, self.database, self.owner, self.clock).run(booked)

    def take(self, samples: Sequence[Sample]) -> None:
        """What a bus delivered: shown at once, written with the next cycle."""
        self.live.update(samples)
        self.recorder.put(samples)
        self.recorder.doubt(self._screen.judge(samples))

    async def reload(self) -> None:
        """Read configuration and factors again; buses that did not change keep polling."""
        forget_library()
        try:
            config, faults = load_config(self._path)
        except ConfigError as error:
            self.faults = error.faults
            self._log.error("config.refused", faults=[str(fault) for fault in error.faults])
            return
        if fixed := needs_restart(self.config, config):
            self.faults = (*faults, *fixed)
            self._log.error("config.refused", faults=[str(fault) for fault in fixed])
            return
        self.faults = faults
        for fault in faults:
            self._log.warning("config.fault", fault=str(fault))
        try:
            pipeline = self._prepare(config)
        except StoreError as error:
            self._log.error("config.refused", faults=[str(error)])
            return
        former, self.config, self.pipeline = self.config, config, pipeline
        changed = [bus for bus in former.buses if not same_bus(former, config, bus.id)]
        for bus in changed:
            await self.supervisor.remove(f"bus:{bus.id}")
            self.buses.pop(bus.id, None)
        for bus in config.buses:
            if f"bus:{bus.id}" not in self.supervisor.children:
                self._add_bus(bus)
        await self.supervisor.remove("pipeline")
        self.supervisor.add("pipeline", self._run_pipeline, critical=True)
        self.wake.stop()
        self.wake = Wake(config.site.timezone)
        self.wake.start(config.window_ms, settle_ms(config), self.clock.now_ms())
        self._book_reload(former, [bus.id for bus in changed])

    def _book_reload(self, former: SiteConfig, changed: list[str]) -> None:
        detail = f"{former.hash[:12]} → {self.config.hash[:12]}, restarted: {', '.join(changed)}"
        now_ms = self.clock.now_ms()
        with self.database.transaction() as connection:
            Audit(connection).record(now_ms, "SIGHUP", "config.reload", str(self._path), detail)
        self.recorder.report(
            Event(
                time_ms=now_ms,
                code="config.reloaded",
                subject=self.owner.gateway,
                severity=Severity.INFO,
                detail=detail,
            )
        )
        self._log.info("config.reloaded", detail=detail)


def screen_of(config: SiteConfig) -> Screen:
    """The watch over all readings that windows and estimates are made from."""
    loads = {stream.load for stream in config.metered.values() if stream.load}
    gauges = {point for plan in config.derived for point in plan.gauges}
    return Screen(config.points, frozenset(loads | gauges))


def needs_restart(former: SiteConfig, config: SiteConfig) -> tuple[Fault, ...]:
    """What a running gateway cannot change: who it is, and the file it writes to."""
    fixed = (
        ("site.id", former.site.id, config.site.id),
        ("site.window_s", former.site.window_s, config.site.window_s),
        ("gateway.id", former.gateway.id, config.gateway.id),
        ("store.path", former.store.path, config.store.path),
    )
    return tuple(
        Fault(
            file=str(config.path),
            path=path,
            what=f"{before} cannot become {after} while the gateway runs",
            hint="restart it; until then it runs as before",
        )
        for path, before, after in fixed
        if before != after
    )


def same_bus(former: SiteConfig, config: SiteConfig, bus_id: str) -> bool:
    """Whether a bus and all its meters are configured as before."""
    before = [bus for bus in former.buses if bus.id == bus_id]
    after = [bus for bus in config.buses if bus.id == bus_id]
    return before == after and former.meters_of(bus_id) == config.meters_of(bus_id)
