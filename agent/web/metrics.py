"""The state of the gateway in Prometheus' text format, version 0.0.4."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from agent.web.view import BusState, BusView, ClockState, DeviceState, Snapshot, TargetState

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    labels: Mapping[str, str]
    value: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    name: str
    kind: str  # «counter» or «gauge»
    help: str
    samples: tuple[Sample, ...]


def prometheus_text(snapshot: Snapshot) -> str:
    """All metrics of a snapshot; what is not known is left out, never reported as zero."""
    metrics = (
        *_gateway(snapshot),
        *_buses(snapshot),
        *_devices(snapshot),
        *_targets(snapshot),
    )
    return "".join(line for metric in metrics for line in _lines(metric))


def _lines(metric: Metric) -> Iterator[str]:
    samples = [sample for sample in metric.samples if sample.value is not None]
    if not samples:
        return
    yield f"# HELP {metric.name} {metric.help}\n# TYPE {metric.name} {metric.kind}\n"
    for sample in samples:
        labels = ",".join(f'{name}="{_escaped(text)}"' for name, text in sample.labels.items())
        yield f"{metric.name}{{{labels}}} " if labels else f"{metric.name} "
        yield f"{_value(sample.value)}\n"


def _value(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _metric(
    name: str, kind: str, help: str, *samples: tuple[dict[str, str], float | None]
) -> Metric:
    return Metric(
        name=f"tanshu_{name}",
        kind=kind,
        help=help,
        samples=tuple(Sample(labels=labels, value=value) for labels, value in samples),
    )


def _gateway(snapshot: Snapshot) -> Iterator[Metric]:
    site, counts, totals = snapshot.site, snapshot.counts, snapshot.totals
    info = {
        "site": site.id,
        "gateway": site.gateway,
        "version": site.version,
        "kernels": site.kernels,
        "config": site.config_hash,
    }
    yield _metric("info", "gauge", "What runs here.", (info, 1))
    yield _metric("alive", "gauge", "1 while polling and writing progress.", ({}, snapshot.alive))
    yield _metric(
        "start_time_seconds",
        "gauge",
        "Start of the daemon, Unix time.",
        ({}, site.started_ms / 1000),
    )
    trusted = site.clock.state is ClockState.TRUSTED
    yield _metric("clock_trusted", "gauge", "1 while the clock is trusted.", ({}, trusted))
    yield _metric(
        "readings_total",
        "counter",
        "Readings since the start, by quality.",
        ({"quality": "good"}, counts.readings_good),
        ({"quality": "suspect"}, counts.readings_suspect),
        ({"quality": "missing"}, counts.readings_missing),
    )
    yield _metric(
        "windows_total", "counter", "Windows closed since the start.", ({}, counts.windows)
    )
    yield _metric(
        "emissions_total", "counter", "Emission records since the start.", ({}, counts.emissions)
    )
    yield _metric("events_total", "counter", "Events since the start.", ({}, counts.events))
    yield _metric(
        "emission_kgco2e_per_hour",
        "gauge",
        "Emissions of the site now.",
        ({}, totals.now_kgco2e_per_h),
    )
    yield _metric(
        "emission_today_kgco2e", "gauge", "Emissions of the site today.", ({}, totals.today_kgco2e)
    )


def _buses(snapshot: Snapshot) -> Iterator[Metric]:
    def per_bus(name: str, kind: str, help: str, values: list[float | None]) -> Metric:
        labels = [_bus_labels(bus) for bus in snapshot.buses]
        return _metric(name, kind, help, *zip(labels, values, strict=True))

    buses = snapshot.buses
    for state in BusState:
        yield per_bus(
            f"bus_{state}",
            "gauge",
            f"1 while the bus is {state}.",
            [b.state is state for b in buses],
        )
    yield per_bus("bus_meters", "gauge", "Meters on the bus.", [b.meters_total for b in buses])
    yield per_bus(
        "bus_meters_answering", "gauge", "Meters that answer.", [b.meters_answering for b in buses]
    )
    yield per_bus(
        "bus_use_ratio", "gauge", "Share of time the wire is busy.", [b.use_share for b in buses]
    )
    yield per_bus("bus_exchanges_total", "counter", "Requests made.", [b.exchanges for b in buses])
    yield per_bus(
        "bus_timeouts_total",
        "counter",
        "Requests without a reply in time.",
        [b.timeouts for b in buses],
    )
    yield per_bus(
        "bus_invalid_total",
        "counter",
        "Replies that cannot belong to their request.",
        [b.invalid for b in buses],
    )
    yield per_bus(
        "bus_refused_total", "counter", "Requests refused by a device.", [b.refused for b in buses]
    )
    yield per_bus(
        "bus_reply_p95_seconds",
        "gauge",
        "95 % of the replies come within this time.",
        [None if b.p95_ms is None else b.p95_ms / 1000 for b in buses],
    )


def _bus_labels(bus: BusView) -> dict[str, str]:
    return {"bus": bus.id, "driver": bus.driver}


def _devices(snapshot: Snapshot) -> Iterator[Metric]:
    labels = [{"device": device.id, "unit": device.unit} for device in snapshot.devices]

    def per_device(name: str, help: str, values: list[float | None]) -> Metric:
        return _metric(name, "gauge", help, *zip(labels, values, strict=True))

    devices = snapshot.devices
    dead = (DeviceState.DEAD, DeviceState.STALE, DeviceState.WAITING)
    yield per_device(
        "device_answering",
        "1 while the device's data is current.",
        [d.state not in dead for d in devices],
    )
    yield per_device(
        "device_emission_kgco2e_per_hour",
        "Emissions of the device now.",
        [d.emission_kgco2e_per_h for d in devices],
    )
    yield per_device(
        "device_emission_today_kgco2e",
        "Emissions of the device today.",
        [d.today_kgco2e for d in devices],
    )
    yield per_device(
        "device_estimated_ratio",
        "Estimated share of the device's emissions today.",
        [d.today_estimated_share if d.has_sources else None for d in devices],
    )


def _targets(snapshot: Snapshot) -> Iterator[Metric]:
    targets = snapshot.targets
    labels = [{"target": target.id} for target in targets]

    def per_target(name: str, kind: str, help: str, values: list[float | None]) -> Metric:
        return _metric(name, kind, help, *zip(labels, values, strict=True))

    connected = [t.state is TargetState.CONNECTED for t in targets]
    yield per_target("target_connected", "gauge", "1 while the target is connected.", [*connected])
    yield per_target(
        "outbox_batches", "gauge", "Batches without a receipt.", [t.outbox_depth for t in targets]
    )
    yield per_target(
        "outbox_oldest_seconds",
        "gauge",
        "Age of the oldest such batch.",
        [t.oldest_age_s for t in targets],
    )
    yield per_target(
        "batches_sent_total", "counter", "Batches sent.", [t.batches_sent for t in targets]
    )
    yield per_target(
        "batches_receipted_total",
        "counter",
        "Batches receipted.",
        [t.batches_receipted for t in targets],
    )
