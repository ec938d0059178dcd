"""The values on a page that change by the second: key → text, the same for HTML and live stream.

A page prints them through its templates, the live stream sends those that changed, and the
script of the page writes them where the key stands. What is not a plain value (a state, a bar
of the chart, an event) is part of the page's *structure*; when that changes, the page is fetched
anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from agent.web.chart import heights, largest_hour, nice_top
from agent.web.present import (
    NONE,
    Presenter,
    counted_quality,
    device_age_s,
    digest,
    in_tonnes,
    mass,
    number,
    percent,
)
from agent.web.view import (
    ClockState,
    DeviceDetail,
    DeviceView,
    EmissionTotals,
    PointView,
    Snapshot,
)

Texts = dict[str, str]


class Scope(StrEnum):
    """Which page the live values are for."""

    OVERVIEW = "overview"
    DEVICE = "device"
    BUSES = "buses"
    DELIVERY = "delivery"
    EVENTS = "events"
    REPORTS = "reports"
    PACKS = "packs"


def page_texts(
    scope: Scope, snapshot: Snapshot, detail: DeviceDetail | None, say: Presenter
) -> Texts:
    """All live values of one page."""
    texts = {"clock": say.time(snapshot.site.now_ms)}
    if scope is Scope.OVERVIEW:
        texts |= _total_texts(snapshot.totals, say)
        texts |= _overview_device_texts(snapshot, say)
        texts |= _bus_texts(snapshot, say) | _target_texts(snapshot, say)
    elif scope is Scope.DEVICE and detail is not None:
        texts |= device_texts(detail.device, devices_in_tonnes(snapshot), say)
        for point in detail.device.points:
            texts |= _point_texts(point, say)
    elif scope is Scope.BUSES:
        texts |= _bus_texts(snapshot, say) | _meter_texts(snapshot, say)
    elif scope is Scope.DELIVERY:
        texts |= _target_texts(snapshot, say)
    return texts


def page_structure(scope: Scope, snapshot: Snapshot, detail: DeviceDetail | None) -> str:
    """A fingerprint of what a page shows besides its live values."""
    buses = [
        (bus.id, bus.state, bus.last_error, [(meter.id, meter.state) for meter in bus.meters])
        for bus in snapshot.buses
    ]
    targets = [(target.id, target.state, target.problem) for target in snapshot.targets]
    devices = [
        (
            device.id,
            device.state,
            device.today_estimated_share > 0,
            counted_quality(device),
            [(meter.id, meter.state) for meter in device.meters],
        )
        for device in snapshot.devices
    ]
    events = [(event.time_ms, event.code, event.subject) for event in snapshot.events[:20]]
    common = (
        snapshot.alive,
        snapshot.problems,
        snapshot.to_do,
        snapshot.site.faults,
        snapshot.site.clock.state,
    )
    if scope is Scope.OVERVIEW:
        waiting = [(pack.hash, pack.months is None) for pack in snapshot.factor_packs]
        chart = _chart_shape(snapshot.totals)
        return digest((common, devices, buses, targets, events, waiting, chart))
    if scope is Scope.DEVICE and detail is not None:
        points = [(point.id, point.quality, point.provenance) for point in detail.device.points]
        windows = [(w.stream, w.start_ms, w.revision) for w in detail.windows]
        emissions = [(e.source, e.start_ms, e.revision) for e in detail.emissions]
        meters = [(meter.id, meter.state) for meter in detail.device.meters]
        return digest((detail.device.state, meters, points, windows, emissions))
    if scope is Scope.BUSES:
        return digest(buses)
    if scope is Scope.DELIVERY:
        last = [(target.batches_sent, target.batches_receipted) for target in snapshot.targets]
        return digest((targets, last))
    if scope is Scope.PACKS:
        return digest([(pack.hash, pack.months is None) for pack in snapshot.factor_packs])
    if scope is Scope.REPORTS:
        return digest(scope)  # a report stands still until it is asked for again
    return digest(events)


def _chart_shape(totals: EmissionTotals) -> object:
    top_kg = nice_top(largest_hour(totals.hours))
    return top_kg, [(bar.start_ms, bar.complete, heights(bar, top_kg)) for bar in totals.hours]


def _total_texts(totals: EmissionTotals, say: Presenter) -> Texts:
    now_t = in_tonnes(totals.now_kgco2e_per_h)
    today_t = in_tonnes(totals.today_kgco2e, totals.yesterday_same_time_kgco2e)
    known = totals.now_kgco2e_per_h is not None
    estimated = totals.now_estimated_share
    interval = ""
    if totals.now_lower is not None and totals.now_upper is not None:
        low, high = mass(totals.now_lower, now_t), mass(totals.now_upper, now_t)
        interval = say.text("emission.interval", low=low, high=high)
    return {
        "site.now": mass(totals.now_kgco2e_per_h, now_t),
        "site.now.unit": "t CO₂e/h" if now_t else "kg CO₂e/h",
        "site.now.interval": interval,
        "site.now.measured": percent(1 - estimated, decimals=1) if known else NONE,
        "site.now.estimated": percent(estimated, decimals=1) if known else NONE,
        "site.now.bar.measured": f"{(1 - estimated) * 100:.1f}%" if known else "0%",
        "site.now.bar.estimated": f"{estimated * 100:.1f}%" if known else "0%",
        "site.today": mass(totals.today_kgco2e, today_t),
        "site.today.unit": "t CO₂e" if today_t else "kg CO₂e",
        "site.today.estimated": percent(totals.today_estimated_share, decimals=1)
        if totals.today_kgco2e is not None
        else NONE,
        "site.yesterday": mass(totals.yesterday_same_time_kgco2e, today_t),
        "site.change": _change(totals),
    }


def _change(totals: EmissionTotals) -> str:
    today, before = totals.today_kgco2e, totals.yesterday_same_time_kgco2e
    if today is None or not before:
        return NONE
    change = (today / before - 1) * 100
    sign = "+" if change > 0 else ""
    return f"{sign}{number(change, decimals=1)}%"


def devices_in_tonnes(snapshot: Snapshot) -> bool:
    """Whether the device columns are better read in tonnes: decided once for all devices."""
    return in_tonnes(*(device.emission_kgco2e_per_h for device in snapshot.devices))


def _overview_device_texts(snapshot: Snapshot, say: Presenter) -> Texts:
    tonnes = devices_in_tonnes(snapshot)
    largest = max((device.emission_kgco2e_per_h or 0.0 for device in snapshot.devices), default=0.0)
    texts: Texts = {}
    groups: dict[str, list[DeviceView]] = {}
    for device in snapshot.devices:
        texts |= device_texts(device, tonnes, say)
        texts |= _bar_texts(device, largest)
        groups.setdefault(device.area, []).append(device)
    for area, devices in groups.items():
        emitting = [member for member in devices if member.has_sources]
        texts[f"area.{area}.now"] = _sum((d.emission_kgco2e_per_h for d in emitting), tonnes)
        texts[f"area.{area}.today"] = _sum((d.today_kgco2e for d in emitting), tonnes)
    return texts


def _sum(values: Iterable[float | None], tonnes: bool) -> str:
    """The sum of what is known; «+ ?» where a part is not, so that it never passes as whole."""
    known: list[float] = []
    unknown = 0
    for value in values:
        if value is None:
            unknown += 1
        else:
            known.append(value)
    if not known:
        return NONE
    return f"{mass(sum(known), tonnes)} + ?" if unknown else mass(sum(known), tonnes)


def device_texts(device: DeviceView, tonnes: bool, say: Presenter) -> Texts:
    """The live values of one row of the device table."""
    first = device.points[0] if device.points else None
    key = f"device.{device.id}"
    return {
        f"{key}.value": say.point_value(first),
        f"{key}.age": say.age(device_age_s(device)),
        f"{key}.now": mass(device.emission_kgco2e_per_h, tonnes),
        f"{key}.today": mass(device.today_kgco2e, tonnes),
        f"{key}.data": say.data_kind(device.today_estimated_share, device.today_kgco2e),
    }


def _bar_texts(device: DeviceView, largest: float) -> Texts:
    share = max(0.0, device.emission_kgco2e_per_h or 0.0) / largest if largest > 0 else 0.0
    measured = share * (1 - device.emission_estimated_share)
    key = f"device.{device.id}.bar"
    return {
        f"{key}.measured": f"{measured * 100:.1f}%",
        f"{key}.estimated": f"{(share - measured) * 100:.1f}%",
    }


def _point_texts(point: PointView, say: Presenter) -> Texts:
    return {
        f"point.{point.id}.value": say.point_value(point),
        f"point.{point.id}.age": say.age(point.age_s),
    }


def _bus_texts(snapshot: Snapshot, say: Presenter) -> Texts:
    texts: Texts = {}
    for bus in snapshot.buses:
        key = f"bus.{bus.id}"
        texts |= {
            f"{key}.answering": f"{bus.meters_answering} / {bus.meters_total}",
            f"{key}.use": percent(bus.use_share),
            f"{key}.exchanges": number(bus.exchanges, decimals=0),
            f"{key}.timeouts": number(bus.timeouts, decimals=0),
            f"{key}.invalid": number(bus.invalid, decimals=0),
            f"{key}.refused": number(bus.refused, decimals=0),
            f"{key}.p95": number(bus.p95_ms, decimals=0),
            f"{key}.bar": f"{min(1.0, bus.use_share or 0.0) * 100:.1f}%",
        }
    clock = snapshot.site.clock
    word = "clock.trusted" if clock.state is ClockState.TRUSTED else "clock.untrusted"
    offset = "" if clock.offset_ms is None else f"{clock.offset_ms:+.0f} ms"
    texts["clock.state"] = say.text(word)
    texts["clock.offset"] = offset.replace("-", "\N{MINUS SIGN}") or clock.source or NONE
    return texts


def _meter_texts(snapshot: Snapshot, say: Presenter) -> Texts:
    texts: Texts = {}
    for bus in snapshot.buses:
        for meter in bus.meters:
            key = f"meter.{meter.id}"
            texts |= {
                f"{key}.age": say.age(meter.age_s),
                f"{key}.exchanges": number(meter.exchanges, decimals=0),
                f"{key}.timeouts": number(meter.timeouts, decimals=0),
                f"{key}.p95": number(meter.p95_ms, decimals=0),
            }
    return texts


def _target_texts(snapshot: Snapshot, say: Presenter) -> Texts:
    texts: Texts = {}
    for target in snapshot.targets:
        key = f"target.{target.id}"
        texts |= {
            f"{key}.outbox": say.text("delivery.batches_waiting", n=target.outbox_depth),
            f"{key}.depth": number(target.outbox_depth, decimals=0),
            f"{key}.oldest": say.age(target.oldest_age_s),
            f"{key}.receipt": say.time(target.last_receipt_ms),
            f"{key}.seq": NONE if target.last_receipt_seq is None else str(target.last_receipt_seq),
            f"{key}.sent": number(target.batches_sent, decimals=0),
            f"{key}.receipted": number(target.batches_receipted, decimals=0),
        }
    return texts
