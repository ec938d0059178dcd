"""The points of a meter: from its template and its own keys to what a driver reads."""

from __future__ import annotations

from dataclasses import replace

from agent.config import sections
from agent.config.draft import Draft, Item
from agent.config.faults import nearest
from agent.config.templates import Template, load_template, template_ids, template_points
from agent.core.decode import TYPES, counter_modulus
from agent.core.errors import ConfigError
from agent.core.model import PointRole, PointSpec, RegisterSpec
from agent.core.readplan import overlaps
from agent.core.units import (
    AMOUNT_UNITS,
    GAS_UNITS,
    UnitError,
    conversion_factor,
    integral_unit,
    normal_volume_factor,
    unit,
)

_FRACTION_TYPE = "s32+f32"  # its second address can only be written in a template
_MEASURED = (PointRole.COUNTER, PointRole.RATE)


def meter_points(
    draft: Draft, item: Item[sections.Meter], bus: sections.Bus | None
) -> tuple[PointSpec, ...]:
    """All points of a meter in canonical units; faults leave the meter out."""
    points = (*_template_points(draft, item), *_own_points(draft, item, bus))
    if not points and not item.section.template and not item.section.points:
        draft.reject(item, "points", "the meter has no points", 'write "template" or "points"')
        return ()
    _check_unique(draft, item, points)
    _check_overlaps(draft, item, points)
    return _at_normal_conditions(draft, item, points)


def rescale(point: PointSpec, factor: float) -> PointSpec:
    """The point with its values, and all limits given in its unit, multiplied by ``factor``."""
    if factor == 1.0:
        return point

    def scaled(limit: float | None) -> float | None:
        return None if limit is None else limit * factor

    register = point.register
    if register is not None:
        register = replace(register, scale=register.scale * factor, offset=register.offset * factor)
    return replace(
        point,
        register=register,
        scale=point.scale if register is not None else point.scale * factor,
        resolution=point.resolution * factor,
        modulus=scaled(point.modulus),
        max_rate_per_h=scaled(point.max_rate_per_h),
        low=scaled(point.low),
        high=scaled(point.high),
    )


def _template_points(draft: Draft, item: Item[sections.Meter]) -> tuple[PointSpec, ...]:
    meter = item.section
    if meter.template is None:
        for key in ("variant", "max_power_kw"):
            if getattr(meter, key) is not None:
                draft.reject(item, key, "has no meaning without a template", "remove it")
        if meter.ratio != 1.0:
            draft.reject(
                item, "ratio", "has no meaning without a template", 'write it in "scale" instead'
            )
        return ()
    if meter.template not in template_ids():
        draft.reject(
            item,
            "template",
            f'unknown template "{meter.template}"',
            nearest(meter.template, template_ids()),
        )
        return ()
    try:
        template = load_template(meter.template)
    except ConfigError as error:
        first = error.faults[0]
        draft.reject(item, "template", f"cannot be used: {first}", "repair the template")
        return ()
    if not _check_variant(draft, item, template):
        return ()
    return template_points(template, meter.variant, meter)


def _check_variant(draft: Draft, item: Item[sections.Meter], template: Template) -> bool:
    wanted = item.section.variant
    known = [variant.id for variant in template.variants]
    if wanted is None or wanted in known:
        return True
    draft.reject(
        item,
        "variant",
        f'template "{item.section.template}" has no variant "{wanted}"',
        nearest(wanted, known, otherwise=f"known: {', '.join(known)}" if known else "remove it"),
    )
    return False


def _own_points(
    draft: Draft, item: Item[sections.Meter], bus: sections.Bus | None
) -> tuple[PointSpec, ...]:
    read = []
    for own in item.section.points:
        as_node = own.node is not None if bus is None else bus.driver == "opcua"
        found = _own_point(draft, item, own, as_node)
        if found is not None:
            read.append(found)
    return tuple(read)


def _own_point(
    draft: Draft, item: Item[sections.Meter], own: sections.OwnPoint, as_node: bool
) -> PointSpec | None:
    role = PointRole(own.role)
    path = f"points[{own.id}]"
    try:
        written = unit(own.unit)
    except UnitError as error:
        draft.reject(item, f"{path}.unit", error.what, error.hint)
        return None
    if own.scale == 0:
        draft.reject(item, f"{path}.scale", "0 makes every value 0", "write 1 or leave it out")
        return None
    register = None if as_node else _own_register(draft, item, own, path)
    if as_node:
        _check_node(draft, item, own, path)
    elif register is None:
        return None
    point = PointSpec(
        id=own.id,
        quantity=own.quantity or own.id,
        unit=own.unit,
        role=role,
        register=register,
        node=own.node,
        scale=own.scale if register is None else 1.0,
        resolution=own.resolution,
        modulus=own.modulus,
        max_rate_per_h=own.max_rate_per_h,
        low=own.low,
        high=own.high,
    )
    if role not in _MEASURED:
        return point
    if not _fits_role(role, written.canonical):
        wanted = (
            "an amount: kWh, GJ, t, Nm3, m3"
            if role is PointRole.COUNTER
            else ("an amount per time: kW, GJ/h, t/h, Nm3/h, m3/h")
        )
        draft.reject(item, f"{path}.unit", f'"{own.unit}" is no unit of a {role}', wanted)
        return None
    point = replace(
        rescale(point, conversion_factor(own.unit, written.canonical)), unit=written.canonical
    )
    return _with_format_limits(point) if role is PointRole.COUNTER else point


def _fits_role(role: PointRole, canonical: str) -> bool:
    if role is PointRole.COUNTER:
        return canonical in AMOUNT_UNITS
    return integral_unit(canonical) is not None


def _with_format_limits(point: PointSpec) -> PointSpec:
    """Resolution and wrap of a counter, where they follow from its register and are not given."""
    register = point.register
    if register is None or TYPES[register.type].is_float:
        return point
    return replace(
        point,
        resolution=point.resolution or abs(register.scale),
        modulus=point.modulus or counter_modulus(register),
    )


def _own_register(
    draft: Draft, item: Item[sections.Meter], own: sections.OwnPoint, path: str
) -> RegisterSpec | None:
    if own.node is not None:
        draft.reject(item, f"{path}.node", "has no meaning on this bus", "write address and type")
        return None
    if own.address is None:
        draft.reject(item, f"{path}.address", "missing", "the 0-based address of the register")
        return None
    if own.type is None:
        draft.reject(item, f"{path}.type", "missing", "such as u16, s32, f32, bcd32")
        return None
    kind = TYPES.get(own.type)
    if kind is None or own.type == _FRACTION_TYPE:
        known = [name for name in TYPES if name != _FRACTION_TYPE and not name.startswith("text")]
        hint = nearest(own.type, known, otherwise=f"one of {', '.join(known)}, text1…text32")
        draft.reject(item, f"{path}.type", f'"{own.type}" cannot be used', hint)
        return None
    if kind.is_text != (own.role == "text"):
        hint = 'role = "text" and a type text1…text32 go together'
        draft.reject(item, f"{path}.type", f'"{own.type}" does not fit role "{own.role}"', hint)
        return None
    if own.address + kind.count > 65536:
        draft.reject(item, f"{path}.address", "ends beyond register 65535", "a lower address")
        return None
    return RegisterSpec(
        function=own.function,
        address=own.address,
        type=own.type,
        word_order=own.word_order,
        scale=own.scale,
    )


def _check_node(
    draft: Draft, item: Item[sections.Meter], own: sections.OwnPoint, path: str
) -> None:
    if own.address is not None or own.type is not None:
        key = "address" if own.address is not None else "type"
        draft.reject(item, f"{path}.{key}", "has no meaning on an OPC UA bus", 'write "node"')
        return
    if own.node is None:
        draft.reject(item, f"{path}.node", "missing", 'such as "nsu=urn:dcs;s=F103.Load"')
        return
    kinds = [part.split("=", 1)[0] for part in own.node.split(";") if "=" in part]
    if not kinds or kinds[-1] not in ("s", "i", "g", "b"):
        draft.reject(
            item,
            f"{path}.node",
            f'"{own.node}" is not a node id',
            'such as "nsu=urn:dcs;s=F103.Load" or "ns=2;i=1001"',
        )


def _check_unique(draft: Draft, item: Item[sections.Meter], points: tuple[PointSpec, ...]) -> None:
    seen: set[str] = set()
    for point in points:
        if point.id in seen:
            draft.reject(
                item,
                f"points[{point.id}].id",
                f'the meter has two points "{point.id}"',
                "own points need ids that the template does not use",
            )
        seen.add(point.id)


def _check_overlaps(
    draft: Draft, item: Item[sections.Meter], points: tuple[PointSpec, ...]
) -> None:
    for overlap in overlaps(points):
        draft.reject(
            item,
            f"points[{overlap.second}]",
            f'reads register {overlap.address}, which is part of point "{overlap.first}"',
            "check address and type of both against the device's register list",
        )


def _at_normal_conditions(
    draft: Draft, item: Item[sections.Meter], points: tuple[PointSpec, ...]
) -> tuple[PointSpec, ...]:
    """Gas volumes as Nm3 (0 °C, 101.325 kPa), whatever reference the meter counts at."""
    gases = [point.id for point in points if point.unit in GAS_UNITS]
    if not gases:
        return points
    reference = item.section.reference
    if reference is None:
        draft.reject(
            item,
            "reference",
            f'missing, and point "{gases[0]}" is a gas volume',
            "as the meter is set: reference = { temperature_c = 20, pressure_kpa = 101.325 }",
        )
        return points
    try:
        factor = normal_volume_factor(
            temperature_c=reference.temperature_c, pressure_kpa=reference.pressure_kpa
        )
    except UnitError as error:
        draft.reject(item, "reference", error.what, error.hint)
        return points
    return tuple(rescale(point, factor) if point.unit in GAS_UNITS else point for point in points)
