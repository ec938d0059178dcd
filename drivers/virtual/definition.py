"""Reads ``plant.toml``: buses, meters, factors, devices and DCS tags of the virtual plant."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from drivers.virtual.errors import PlantError

DEFINITION_FILE = Path(__file__).with_name("plant.toml")

CARBON_TO_CO2 = 44.0 / 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """An emission factor; ``kgco2_per_unit`` belongs to ``unit``."""

    id: str
    unit: str
    kgco2_per_unit: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BusDefinition:
    """A bus; the serial settings apply to ``kind = "rtu"`` only."""

    id: str
    kind: str
    baud: int = 9600
    bits_per_char: int = 11
    turnaround_ms: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterDefinition:
    """A meter: where it answers, what it counted at the start and how its load moves."""

    id: str
    bus: str
    unit: int
    model: str
    start: float
    nominal: float
    day: float = 0.0
    waves: tuple[tuple[float, float], ...] = ()
    steps: tuple[float, float, float] | None = None
    batch: Batch | None = None
    options: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A recipe: ``points`` are (second within the batch, share of the nominal rate)."""

    period_s: float
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDefinition:
    """What a device emits through one meter."""

    meter: str
    factor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDefinition:
    """A device of the plant with its emission sources."""

    id: str
    name: str
    stage: str
    sources: tuple[SourceDefinition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TagDefinition:
    """A DCS tag: ``base + gain * rate / nominal`` of a meter, or a text out of ``grades``."""

    node: str
    meter: str | None = None
    base: float = 0.0
    gain: float = 0.0
    grades: tuple[str, ...] = ()
    hold_s: float = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantDefinition:
    """The whole plant."""

    site: str
    name: str
    gateway: str
    utc_offset_h: float
    factors: dict[str, Factor]
    buses: dict[str, BusDefinition]
    meters: dict[str, MeterDefinition]
    devices: dict[str, DeviceDefinition]
    tags: dict[str, TagDefinition]

    def meters_of(self, bus: str) -> tuple[MeterDefinition, ...]:
        """The meters on a bus in the order of the file."""
        return tuple(meter for meter in self.meters.values() if meter.bus == bus)


def _factor(table: dict[str, Any]) -> Factor:
    """A given factor, or the carbon balance of a fuel: NCV x carbon content x oxidation x 44/12."""
    if "kgco2_per_unit" in table:
        value = float(table["kgco2_per_unit"])
    else:
        carbon_t = table["ncv_gj"] * table["carbon_tc_per_gj"] * table["oxidation"]
        value = carbon_t * CARBON_TO_CO2 * 1000.0 / table["per_units"]
    return Factor(id=table["id"], unit=table["unit"], kgco2_per_unit=value, source=table["source"])


def _meter(table: dict[str, Any]) -> MeterDefinition:
    keys = dict(table)
    keys["waves"] = tuple((float(a), float(period)) for a, period in keys.get("waves", ()))
    if "steps" in keys:
        amplitude, hold_s, ramp_s = keys["steps"]
        keys["steps"] = (float(amplitude), float(hold_s), float(ramp_s))
    if "batch" in keys:
        points = tuple((float(s), float(a)) for s, a in keys["batch"]["points"])
        keys["batch"] = Batch(period_s=float(keys["batch"]["period_s"]), points=points)
    return MeterDefinition(**keys)


def _device(table: dict[str, Any]) -> DeviceDefinition:
    sources = tuple(SourceDefinition(**source) for source in table["sources"])
    return DeviceDefinition(
        id=table["id"], name=table["name"], stage=table["stage"], sources=sources
    )


def _tag(table: dict[str, Any]) -> TagDefinition:
    keys = dict(table)
    keys["grades"] = tuple(keys.get("grades", ()))
    return TagDefinition(**keys)


def _check(plant: PlantDefinition) -> None:
    """Every reference leads somewhere and no two slaves of a bus share an address."""
    seen: set[tuple[str, int]] = set()
    for meter in plant.meters.values():
        if meter.bus not in plant.buses:
            raise PlantError(f"meter {meter.id}: no bus {meter.bus!r} in the plant definition")
        if (meter.bus, meter.unit) in seen:
            raise PlantError(f"meter {meter.id}: address {meter.unit} of {meter.bus} is taken")
        seen.add((meter.bus, meter.unit))
    for device in plant.devices.values():
        for source in device.sources:
            if source.meter not in plant.meters or source.factor not in plant.factors:
                raise PlantError(f"device {device.id}: unknown meter or factor in {source}")
    for tag in plant.tags.values():
        if tag.meter is not None and tag.meter not in plant.meters:
            raise PlantError(f"tag {tag.node}: no meter {tag.meter!r} in the plant definition")


def load_definition(path: Path = DEFINITION_FILE) -> PlantDefinition:
    """Read a plant definition.

    Raises PlantError with the file and the reason when a table is wrong.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
        site = tables["site"]
        plant = PlantDefinition(
            site=site["id"],
            name=site["name"],
            gateway=site["gateway"],
            utc_offset_h=float(site["utc_offset_h"]),
            factors={table["id"]: _factor(table) for table in tables["factor"]},
            buses={table["id"]: BusDefinition(**table) for table in tables["bus"]},
            meters={table["id"]: _meter(table) for table in tables["meter"]},
            devices={table["id"]: _device(table) for table in tables["device"]},
            tags={table["node"]: _tag(table) for table in tables["tag"]},
        )
    except (KeyError, TypeError, tomllib.TOMLDecodeError) as fault:
        raise PlantError(f"{path}: {fault}; compare with drivers/virtual/plant.toml") from fault
    _check(plant)
    return plant


@cache
def default_definition() -> PlantDefinition:
    """The plant definition that comes with the driver, read once."""
    return load_definition()
