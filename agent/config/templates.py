"""Device templates: what registers a meter family has, with sources and captured evidence."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from agent.config import sections
from agent.config.faults import Faults, nearest
from agent.config.resources import resource_dir
from agent.config.tables import read_table
from agent.config.toml import read_toml
from agent.core.decode import TYPES, RegisterBank, counter_modulus, decode
from agent.core.errors import ConfigError, Fault
from agent.core.model import PointRole, PointSpec, RegisterSpec
from agent.core.readplan import MAX_REGISTERS, overlaps, value_span

GJ_PER_KWH = 0.0036

Word = Annotated[int, Meta(ge=0, le=65535)]
Hex = Annotated[str, Meta(pattern=r"^[0-9a-fA-F ]+$")]
Order = Literal["big", "little", "little-byte", "big-byte"]


class Record(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a template file; unknown keys are errors."""


class TemplatePoint(Record, frozen=True, kw_only=True):
    """One quantity of the meter and the registers that hold it.

    ``address`` is written as in the source; ``address_base`` 1 means that the source counts
    registers from 1. ``ratio``: the meter's CT × PT ratio is not in the register, the site file
    gives it. ``power_limited``: ``max_rate_per_h`` (and the bounds of a rate) follow from the
    largest power of the site, which is in kW and may be narrowed at the meter.
    """

    id: sections.Id
    quantity: str
    unit: str
    role: Literal["counter", "rate", "gauge", "text"]
    function: Literal[3, 4]
    address: Word
    address_base: Literal[0, 1] = 0
    type: str
    word_order: Order = "big"
    scale: float = 1.0
    offset: float = 0.0
    decimals: Annotated[int, Meta(ge=0, le=16)] = 0
    fraction_address: Word | None = None
    scale_address: Word | None = None
    ratio_addresses: tuple[int, ...] = ()
    sentinels: tuple[int, ...] = ()
    resolution: Annotated[float, Meta(ge=0)] = 0.0
    modulus: sections.Positive | None = None
    max_rate_per_h: sections.Positive | None = None
    low: float | None = None
    high: float | None = None
    ratio: bool = False
    power_limited: bool = False
    note: str = ""


class Probe(Record, frozen=True, kw_only=True):
    """Registers that tell a variant: a finite value from ``low`` to ``high`` means it fits."""

    function: Literal[3, 4]
    address: Word
    type: str
    word_order: Order = "big"
    low: float
    high: float


class Variant(Record, frozen=True, kw_only=True, rename={"points": "point"}):
    """A firmware or a setting of the family whose points differ; they replace those of same id."""

    id: sections.Id
    title: str
    probe: Probe
    points: tuple[TemplatePoint, ...] = ()
    source: str = ""


class Exchange(Record, frozen=True, kw_only=True):
    """One RTU request and its reply in hex, CRC included."""

    request: Hex
    response: Hex


class Dump(Record, frozen=True, kw_only=True):
    """Registers as read, from a wire address on."""

    function: Literal[3, 4]
    address: Word
    registers: tuple[int, ...]


class Capture(Record, frozen=True, kw_only=True, rename={"exchanges": "exchange"}):
    """Evidence: what a device sent and what it means.

    ``field``: recorded at a device, ``manual``: printed by the maker, ``synthetic``: computed
    from the register description without this program.
    """

    origin: Literal["field", "manual", "synthetic"]
    source: str
    expected: dict[str, float | str]
    variant: sections.Id | None = None
    ratio: sections.Positive = 1.0
    exchanges: tuple[Exchange, ...] = ()
    registers: tuple[Dump, ...] = ()


TABLES = {"points": "point", "captures": "capture", "variants": "variant"}


class Template(Record, frozen=True, kw_only=True, rename=TABLES):
    """One meter family as a file of ``config/templates`` describes it."""

    id: sections.Id
    title: str
    manufacturer: str
    status: Literal["draft", "cross-checked", "field"]
    source: str
    points: tuple[TemplatePoint, ...]
    captures: tuple[Capture, ...] = ()
    variants: tuple[Variant, ...] = ()
    max_power_kw: sections.Positive = 5000.0
    baud: tuple[int, ...] = ()
    note: str = ""

    def variant(self, name: str | None) -> Variant | None:
        """The variant of that name; the first one when none is asked for."""
        if name is None:
            return self.variants[0] if self.variants else None
        return next((variant for variant in self.variants if variant.id == name), None)

    def points_of(self, name: str | None) -> tuple[TemplatePoint, ...]:
        """The points of a variant: those of the family, replaced or added to by its own."""
        variant = self.variant(name)
        merged = {point.id: point for point in self.points}
        merged.update({point.id: point for point in (variant.points if variant else ())})
        return tuple(merged.values())


def template_dir() -> Path:
    return resource_dir() / "templates"


def template_ids(folder: Path | None = None) -> tuple[str, ...]:
    """The ids of all templates, which are the names of their files."""
    return tuple(sorted(path.stem for path in (folder or template_dir()).glob("*.toml")))


@lru_cache(maxsize=256)
def load_template(name: str) -> Template:
    """The template of that id; ConfigError with all its faults, or with the closest id."""
    path = template_dir() / f"{name}.toml"
    if not path.is_file():
        hint = nearest(name, template_ids())
        fault = Fault(file=str(path), path="-", what=f'no template "{name}"', hint=hint)
        raise ConfigError((fault,))
    template, faults = read_template(path)
    errors = tuple(fault for fault in faults if not fault.warning)
    if template is None or errors:
        raise ConfigError(errors)
    return template


def read_template(path: Path) -> tuple[Template | None, tuple[Fault, ...]]:
    """A template file with every fault in it; the template is None if it cannot be used."""
    faults = Faults(str(path))
    read = read_toml(path, faults)
    if read is None:
        return None, faults.found
    template = read_table(Template, read[1], "template", faults)
    if template is None:
        return None, faults.found
    _check(template, path, faults)
    return (None if faults.errors else template), faults.found


def _check(template: Template, path: Path, faults: Faults) -> None:
    if template.id != path.stem:
        faults.add("id", f'"{template.id}" is not the file name', f'write id = "{path.stem}"')
    if not template.captures:
        faults.add("capture", "no evidence", "add at least one capture with expected values")
    _check_unique("variant", (variant.id for variant in template.variants), faults)
    _check_points(template.points, "point", faults)
    for variant in template.variants:
        where = f"variant[{variant.id}]"
        _check_points(variant.points, f"{where}.point", faults)
        _check_type(variant.probe.type, f"{where}.probe.type", faults)
        if variant.probe.low >= variant.probe.high:
            faults.add(f"{where}.probe", "low is not below high", "give the plausible range")
    names = [variant.id for variant in template.variants]
    for place, capture in enumerate(template.captures, start=1):
        _check_capture(capture, template, names, f"capture[{place}]", faults)
    if not faults.errors:
        _check_overlaps(template, faults)


def _check_unique(path: str, names: Iterable[str], faults: Faults) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            faults.add(path, f'"{name}" stands twice', "give each an id of its own")
        seen.add(name)


def _check_type(name: str, path: str, faults: Faults) -> bool:
    if name in TYPES:
        return True
    faults.add(path, f'unknown register type "{name}"', nearest(name, TYPES))
    return False


def _check_points(points: tuple[TemplatePoint, ...], path: str, faults: Faults) -> None:
    _check_unique(path, (point.id for point in points), faults)
    for point in points:
        where = f"{path}[{point.id}]"
        if _check_type(point.type, f"{where}.type", faults):
            _check_point(point, where, faults)


def _check_point(point: TemplatePoint, where: str, faults: Faults) -> None:
    if point.address < point.address_base:
        faults.add(f"{where}.address", "below address_base", "check how the source counts")
        return
    if (point.type == "s32+f32") != (point.fraction_address is not None):
        faults.add(
            f"{where}.fraction_address",
            "belongs to type s32+f32 and to no other",
            "give both or neither",
        )
        return
    if point.role == "text" and not TYPES[point.type].is_text:
        faults.add(f"{where}.type", "a text point needs a text type", "text1 … text32")
    if point.role == "counter" and point.resolution <= 0:
        faults.add(f"{where}.resolution", "a counter needs one", "one count, in the point's unit")
    limited = point.power_limited or point.max_rate_per_h is not None
    if point.role == "counter" and not limited:
        faults.add(
            f"{where}.max_rate_per_h",
            "a counter needs the largest physically possible increase",
            "give it, or power_limited = true",
        )
    if point.power_limited and point.unit not in ("kWh", "kW", "GJ", "GJ/h"):
        faults.add(f"{where}.power_limited", f"no power in {point.unit}", "kWh, kW, GJ, GJ/h")
    register = register_of(point)
    if value_span(register).count > MAX_REGISTERS:
        faults.add(f"{where}.fraction_address", "too far away", "one request reads 125 registers")


def _check_capture(
    capture: Capture, template: Template, names: list[str], where: str, faults: Faults
) -> None:
    if capture.variant is not None and capture.variant not in names:
        faults.add(
            f"{where}.variant", f'unknown "{capture.variant}"', nearest(capture.variant, names)
        )
        return
    if not capture.exchanges and not capture.registers:
        faults.add(where, "holds nothing", "give [[capture.exchange]] or [[capture.registers]]")
    if not capture.expected:
        faults.add(f"{where}.expected", "empty", "give the values that the registers mean")
    points = [point.id for point in template.points_of(capture.variant)]
    for name, value in capture.expected.items():
        if name not in points:
            faults.add(f"{where}.expected.{name}", "unknown point", nearest(name, points))
        elif isinstance(value, float) and not math.isfinite(value):
            faults.add(f"{where}.expected.{name}", "not finite", "give a number")


def _check_overlaps(template: Template, faults: Faults) -> None:
    names: list[str | None] = [variant.id for variant in template.variants]
    found = set()
    for name in names or [None]:
        meter = sections.Meter(id="any", bus="any", variant=name)
        for overlap in overlaps(template_points(template, name, meter)):
            found.add((overlap.first, overlap.second, overlap.address))
    for first, second, address in sorted(found):
        faults.add(
            f"point[{second}].address",
            f"reads register {address} otherwise than {first} does",
            "check address, type and word order of both",
        )


def register_of(point: TemplatePoint) -> RegisterSpec:
    """Where a template point lies on the wire, counted from 0."""
    base = point.address_base

    def wire(address: int | None) -> int | None:
        return None if address is None else address - base

    return RegisterSpec(
        function=point.function,
        address=point.address - base,
        type=point.type,
        word_order=point.word_order,
        scale=point.scale,
        offset=point.offset,
        decimals=point.decimals,
        fraction_address=wire(point.fraction_address),
        scale_address=wire(point.scale_address),
        ratio_addresses=tuple(address - base for address in point.ratio_addresses),
        sentinels=point.sentinels,
    )


def template_points(
    template: Template, variant: str | None, meter: sections.Meter
) -> tuple[PointSpec, ...]:
    """The points of a meter of this family, scaled for its place.

    ``meter.ratio`` multiplies scale, resolution and wrap of the points whose registers do not
    contain the CT × PT ratio; ``meter.max_power_kw`` (else the template's) bounds power and the
    growth of energy, in kWh/h or in GJ/h (1 kWh = 0.0036 GJ). A counter without a stated wrap
    gets the one that its register format has. ConfigError for an unknown variant.

    Example: Acrel ADL400 ``energy``: u32 × 0.1 kWh wraps at 429 496 729.6 kWh; at a meter with
    ``max_power_kw = 800`` it grows by at most 800 kWh per hour.
    """
    if variant is not None and template.variant(variant) is None:
        known = [known.id for known in template.variants]
        fault = Fault(
            file=template.id,
            path="variant",
            what=f'no variant "{variant}"',
            hint=nearest(variant, known),
        )
        raise ConfigError((fault,))
    power_kw = meter.max_power_kw or template.max_power_kw
    return tuple(_point_spec(point, meter.ratio, power_kw) for point in template.points_of(variant))


def probe_fits(probe: Probe, bank: RegisterBank) -> bool:
    """Whether the registers read from a device speak for the variant that the probe belongs to."""
    register = RegisterSpec(
        function=probe.function,
        address=probe.address,
        type=probe.type,
        word_order=probe.word_order,
    )
    value = decode(register, bank).value
    return value is not None and probe.low <= value <= probe.high


def _point_spec(point: TemplatePoint, ratio: float, power_kw: float) -> PointSpec:
    factor = ratio if point.ratio else 1.0
    register = register_of(point)
    modulus = point.modulus
    if modulus is None and point.role == "counter":
        modulus = counter_modulus(register)
    low, high, max_rate = point.low, point.high, point.max_rate_per_h
    if point.power_limited:
        limit = power_kw * (GJ_PER_KWH if point.unit.startswith("GJ") else 1.0)
        if point.role == "counter":
            max_rate = limit
        else:
            low, high = (-limit if low is None else low), limit
    return PointSpec(
        id=point.id,
        quantity=point.quantity,
        unit=point.unit,
        role=PointRole(point.role),
        register=_with_ratio(register, factor),
        resolution=point.resolution * factor,
        modulus=None if modulus is None else modulus * factor,
        max_rate_per_h=max_rate,
        low=low,
        high=high,
    )


def _with_ratio(register: RegisterSpec, factor: float) -> RegisterSpec:
    if factor == 1.0:
        return register
    return RegisterSpec(
        function=register.function,
        address=register.address,
        type=register.type,
        word_order=register.word_order,
        scale=register.scale * factor,
        offset=register.offset * factor,
        decimals=register.decimals,
        fraction_address=register.fraction_address,
        scale_address=register.scale_address,
        ratio_addresses=register.ratio_addresses,
        sentinels=register.sentinels,
    )
