"""What is wrong now, worst first: read off the states of a snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agent.core.model import Severity
from agent.web.present import Presenter, signed, silent_meters
from agent.web.view import (
    BusState,
    BusView,
    ClockState,
    DeviceState,
    DeviceView,
    Snapshot,
    TargetState,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Abnormal:
    """One entry of the list «abnormal now»; ``what`` and ``hint`` are as the program says them."""

    severity: Severity
    title: str
    what: str = ""
    hint: str = ""
    href: str | None = None
    since_ms: int | None = None

    @property
    def shape(self) -> str:
        return "▲" if self.severity is Severity.ALARM else "◆"


def abnormal_now(snapshot: Snapshot, say: Presenter) -> tuple[Abnormal, ...]:
    """Everything that needs somebody, alarms before warnings; empty when all is well."""
    entries = [
        *_gateway(snapshot, say),
        *_buses(snapshot, say),
        *_devices(snapshot, say),
        *_targets(snapshot, say),
        *_to_do(snapshot, say),
        *_factor_packs(snapshot, say),
    ]
    return tuple(sorted(entries, key=lambda entry: entry.severity is not Severity.ALARM))


def _gateway(snapshot: Snapshot, say: Presenter) -> Iterator[Abnormal]:
    if not snapshot.alive:
        yield Abnormal(severity=Severity.ALARM, title=say.text("abnormal.standstill"))
    if snapshot.site.clock.state is ClockState.UNTRUSTED:
        yield Abnormal(
            severity=Severity.ALARM,
            title=say.text("abnormal.clock"),
            what=say.text("abnormal.clock_effect"),
        )
    devices = {device.id: device.name or device.id for device in snapshot.devices}
    for problem in snapshot.problems:
        what, hint = say.problem(problem)
        where = problem.where or say.text("abnormal.gateway")
        yield Abnormal(
            severity=Severity.WARNING,
            title=devices.get(where, where),
            what=what,
            hint=hint,
            since_ms=problem.since_ms,
            href=f"/devices/{where}" if where in devices else None,
        )
    for fault in snapshot.site.faults:
        yield Abnormal(
            severity=Severity.ALARM if fault.fatal else Severity.WARNING,
            title=say.text("abnormal.fault" if fault.fatal else "abnormal.advice", path=fault.path),
            what=fault.what,
            hint=fault.hint,
        )


def _buses(snapshot: Snapshot, say: Presenter) -> Iterator[Abnormal]:
    for bus in snapshot.buses:
        if bus.state not in (BusState.DOWN, BusState.DEGRADED):
            continue
        down = bus.state is BusState.DOWN
        what, hint = say.problem(bus.last_error) if bus.last_error else ("", "")
        yield Abnormal(
            severity=Severity.ALARM if down else Severity.WARNING,
            title=_bus_title(bus, say),
            what=what if down else what or _silent_on(bus, say),
            hint=hint,
            since_ms=bus.last_error.since_ms if bus.last_error else None,
            href=f"/buses#{bus.id}",
        )


def _bus_title(bus: BusView, say: Presenter) -> str:
    name = bus.name or bus.id
    if bus.state is BusState.DOWN:
        return say.text("abnormal.bus_down", bus=name)
    missing = bus.meters_total - bus.meters_answering
    return say.text("abnormal.bus_degraded", bus=name, n=missing, m=bus.meters_total)


def _silent_on(bus: BusView, say: Presenter) -> str:
    return say.names(meter for meter in bus.meters if meter.state is not DeviceState.OK)


def _devices(snapshot: Snapshot, say: Presenter) -> Iterator[Abnormal]:
    for device in snapshot.devices:
        if device.state not in (DeviceState.DEAD, DeviceState.STALE):
            continue
        dead = device.state is DeviceState.DEAD
        last_ms = last_good_ms(device, snapshot.site.now_ms)
        yield Abnormal(
            severity=Severity.ALARM if dead else Severity.WARNING,
            title=_device_title(device, say),
            what="" if last_ms is None else say.text("abnormal.last_value", time=say.time(last_ms)),
            href=f"/devices/{device.id}",
        )


def _device_title(device: DeviceView, say: Presenter) -> str:
    """The device, and the meters that are meant where they are known."""
    dead = device.state is DeviceState.DEAD
    name, meters = device.name or device.id, silent_meters(device)
    if not meters:
        return say.text("abnormal.device_dead" if dead else "abnormal.device_stale", device=name)
    key = "abnormal.meters_dead" if dead else "abnormal.meters_stale"
    return say.text(key, device=name, meters=say.names(meters))


def last_good_ms(device: DeviceView, now_ms: int) -> int | None:
    """When what is silent now was last read; a time stays true on a page that is not redrawn."""
    meters = silent_meters(device)
    if meters:
        known = [meter.last_answer_ms for meter in meters if meter.last_answer_ms is not None]
        return min(known, default=None)
    ages = [point.age_s for point in device.points if point.age_s is not None]
    return now_ms - round(max(ages) * 1000) if ages else None


def _targets(snapshot: Snapshot, say: Presenter) -> Iterator[Abnormal]:
    for target in snapshot.targets:
        if target.state not in (TargetState.DOWN, TargetState.REFUSED):
            continue
        refused = target.state is TargetState.REFUSED
        key = "abnormal.target_refused" if refused else "abnormal.target_down"
        what, hint = say.problem(target.problem) if target.problem else ("", "")
        yield Abnormal(
            severity=Severity.ALARM if refused else Severity.WARNING,
            title=say.text(key, target=target.id),
            what=what,
            hint=hint,
            since_ms=target.problem.since_ms if target.problem else None,
            href="/delivery",
        )


def _to_do(snapshot: Snapshot, say: Presenter) -> Iterator[Abnormal]:
    """Readings that people have not taken, and estimates that they have not verified."""
    to_do = snapshot.to_do
    if to_do.overdue:
        yield Abnormal(
            severity=Severity.WARNING,
            title=say.text("manual.overdue", n=to_do.overdue),
            what=say.text("list.and").join(to_do.names),
        )
    if to_do.to_verify:
        yield Abnormal(
            severity=Severity.WARNING,
            title=say.text("manual.to_verify", n=to_do.to_verify),
            hint=say.text("manual.to_verify_hint"),
        )


def _factor_packs(snapshot: Snapshot, say: Presenter) -> Iterator[Abnormal]:
    """Nothing is wrong with a new pack, but it needs somebody."""
    for pack in snapshot.factor_packs:
        sets = ", ".join(one.id for one in pack.sets)
        what = say.text("packs.changes", sets=sets, n=pack.rows)
        if pack.months is not None:
            change = sum(month.after_kgco2e - month.before_kgco2e for month in pack.months)
            what += say.text("list.and") + say.text("packs.effect", change=signed(change))
        yield Abnormal(
            severity=Severity.WARNING,
            title=say.text("packs.waits", issuer=pack.issuer, serial=pack.serial),
            what=what,
            href="/factors",
        )
