"""What is wrong now, worst first: read off the states of a snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agent.core.model import Severity
from agent.web.present import Presenter
from agent.web.view import BusState, ClockState, DeviceState, Problem, Snapshot, TargetState


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
    ]
    return tuple(sorted(entries, key=lambda entry: entry.severity is not Severity.ALARM))


def _problem(problem: Problem | None, severity: Severity, title: str, href: str) -> Abnormal:
    return Abnormal(
        severity=severity,
        title=title,
        what=problem.what if problem else "",
        hint=problem.hint if problem else "",
        since_ms=problem.since_ms if problem else None,
        href=href,
    )


def _gateway(snapshot: Snapshot, say: Presenter) -> Iterator[Abnormal]:
    if not snapshot.alive:
        yield Abnormal(severity=Severity.ALARM, title=say.text("abnormal.standstill"))
    if snapshot.site.clock.state is ClockState.UNTRUSTED:
        yield Abnormal(
            severity=Severity.ALARM,
            title=say.text("abnormal.clock"),
            what=say.text("abnormal.clock_effect"),
        )
    for problem in snapshot.problems:
        yield Abnormal(
            severity=Severity.WARNING,
            title=problem.where or say.text("abnormal.gateway"),
            what=problem.what,
            hint=problem.hint,
            since_ms=problem.since_ms,
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
        name = bus.name or bus.id
        if bus.state is BusState.DOWN:
            title = say.text("abnormal.bus_down", bus=name)
            yield _problem(bus.last_error, Severity.ALARM, title, f"/buses#{bus.id}")
        elif bus.state is BusState.DEGRADED:
            missing = bus.meters_total - bus.meters_answering
            title = say.text("abnormal.bus_degraded", bus=name, n=missing, m=bus.meters_total)
            yield _problem(bus.last_error, Severity.WARNING, title, f"/buses#{bus.id}")


def _devices(snapshot: Snapshot, say: Presenter) -> Iterator[Abnormal]:
    for device in snapshot.devices:
        if device.state not in (DeviceState.DEAD, DeviceState.STALE):
            continue
        dead = device.state is DeviceState.DEAD
        ages = [point.age_s for point in device.points if point.age_s is not None]
        # a time, not an age: it stays true on a page that is not drawn anew
        last_ms = snapshot.site.now_ms - round(max(ages, default=0.0) * 1000)
        name = device.name or device.id
        yield Abnormal(
            severity=Severity.ALARM if dead else Severity.WARNING,
            title=say.text(
                "abnormal.device_dead" if dead else "abnormal.device_stale", device=name
            ),
            what=say.text("abnormal.last_value", time=say.time(last_ms)) if ages else "",
            href=f"/devices/{device.id}",
        )


def _targets(snapshot: Snapshot, say: Presenter) -> Iterator[Abnormal]:
    for target in snapshot.targets:
        if target.state in (TargetState.DOWN, TargetState.REFUSED):
            refused = target.state is TargetState.REFUSED
            key = "abnormal.target_refused" if refused else "abnormal.target_down"
            severity = Severity.ALARM if refused else Severity.WARNING
            title = say.text(key, target=target.id)
            yield _problem(target.problem, severity, title, "/delivery")
