"""How buses and meters look on the page, from what the poll loops know."""

from __future__ import annotations

from collections.abc import Mapping

from agent.config.sections import Bus, Device
from agent.config.site import MeterPlan, SiteConfig
from agent.core.ports import Clock
from agent.poll.live import BusStatus, MeterStatus
from agent.web.view import BusState, BusView, DeviceMeter, DeviceState, MeterView, Problem

STALE_PERIODS = 5
STALE_LEAST_S = 5.0


def meter_state(status: MeterStatus | None, period_s: float, clock: Clock) -> DeviceState:
    """OK, stale, dead or waiting, from its last answer."""
    if status is None or status.last_answer_ms is None:
        return DeviceState.DEAD if status is not None and status.dead else DeviceState.WAITING
    if status.dead:
        return DeviceState.DEAD
    age_s = (clock.now_ms() - status.last_answer_ms) / 1000
    subscribed_and_fine = status.good > 0 and status.failures == 0 and status.pushed
    if age_s > max(STALE_PERIODS * period_s, STALE_LEAST_S) and not subscribed_and_fine:
        return DeviceState.STALE
    return DeviceState.OK


def bus_view(config: SiteConfig, bus: Bus, status: BusStatus | None, clock: Clock) -> BusView:
    """One bus as the page shows it."""
    meters = tuple(_meter_view(meter, status, clock) for meter in config.meters_of(bus.id))
    statistics = status.statistics if status else None
    answering = sum(1 for meter in meters if meter.state is DeviceState.OK)
    return BusView(
        id=bus.id,
        name=bus.name or bus.id,
        driver=bus.driver,
        address=_address(bus),
        state=_state(status, answering, len(meters)),
        meters_answering=answering,
        meters_total=len(meters),
        use_share=_use_share(status, clock),
        exchanges=statistics.exchanges if statistics else 0,
        timeouts=statistics.timeouts if statistics else 0,
        invalid=statistics.invalid if statistics else 0,
        refused=statistics.refused if statistics else 0,
        last_error=(
            Problem(what=status.last_error, where=bus.id, hint=status.last_hint)
            if status and status.last_error
            else None
        ),
        meters=meters,
    )


def device_meters(
    config: SiteConfig, device: Device, buses: Mapping[str, BusStatus], clock: Clock
) -> tuple[DeviceMeter, ...]:
    """The meters that a device's streams come from, each with its own state."""
    names = dict.fromkeys(
        name for share in device.streams for name in config.meters_behind(share.stream)
    )
    found = []
    for plan in (config.meters[name] for name in names):
        bus = buses.get(plan.bus.id)
        known = bus.meters.get(plan.id) if bus else None
        view = _meter_view(plan, bus, clock)
        found.append(
            DeviceMeter(
                id=view.id,
                name=view.name,
                state=view.state,
                age_s=view.age_s,
                last_answer_ms=known.last_answer_ms if known else None,
            )
        )
    return tuple(found)


def _meter_view(meter: MeterPlan, status: BusStatus | None, clock: Clock) -> MeterView:
    known = status.meters.get(meter.id) if status else None
    section = meter.section
    answered_ms = known.last_answer_ms if known else None
    response = getattr(status.statistics, "response_p95_ms", None) if status else None
    return MeterView(
        id=meter.id,
        name=section.name or meter.id,
        address=str(section.unit) if section.unit is not None else "",
        state=meter_state(known, section.period_s, clock),
        age_s=(clock.now_ms() - answered_ms) / 1000 if answered_ms is not None else None,
        exchanges=known.good if known else 0,
        timeouts=known.failures if known else 0,
        points=len(meter.points),
        p95_ms=response(meter.id) if response else None,
    )


def _address(bus: Bus) -> str:
    if bus.endpoint:
        return bus.endpoint
    if bus.host:
        return f"{bus.host}:{bus.port}"
    parity = {"none": "N", "even": "E", "odd": "O"}[bus.parity]
    return f"{bus.port} {bus.baud} 8{parity}{bus.stop_bits}"


def _state(status: BusStatus | None, answering: int, total: int) -> BusState:
    if status is None or status.state in ("starting", "opening"):
        return BusState.DOWN if status and status.last_error else BusState.STARTING
    if status.state == "lost":
        return BusState.DOWN
    return BusState.OK if answering == total else BusState.DEGRADED


def _use_share(status: BusStatus | None, clock: Clock) -> float | None:
    if status is None or status.statistics is None or not status.started_ns:
        return None
    lived_ns = clock.monotonic_ns() - status.started_ns
    busy_ns = status.statistics.busy_ns - status.busy_before_ns
    return min(busy_ns / lived_ns, 1.0) if lived_ns > 0 and busy_ns else None
