"""Checks of places, devices, sources and the streams that they use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import msgspec

from agent.config import sections
from agent.config.accounting import Accounting
from agent.config.draft import Draft, Item
from agent.config.faults import nearest
from agent.config.rules import Rules
from agent.config.site import MeterPlan, SourcePlan
from agent.config.source_amounts import calc_table
from agent.config.source_factor import SourceFactor, check_keys, source_factor
from agent.config.source_keys import other_keys
from agent.config.source_rate import stream_factor
from agent.core.carbon.uncertainty import accuracy_class_uncertainty_pct
from agent.core.model import PointRole, PointSpec, StreamKind, StreamSpec
from agent.core.units import AMOUNT_UNITS, integral_unit

_FLOAT_COUNTS = 1 << 24  # a 32-bit float counts no further in steps of one
SINGLE_PRECISION = 2.0**-23  # the largest step of a 32-bit float, as a share of the number
_ROLES_WITH_AMOUNT = (PointRole.COUNTER, PointRole.RATE)
PLAIN_KINDS = ("fuel", "electricity", "heat")  # one factor of the library makes the figure
DERIVED_KINDS = ("manual", "virtual", "indirect")  # «kind.id» is a stream without a meter

Plans = Mapping[str, MeterPlan]


def check_places(draft: Draft) -> None:
    """Every unit lies in an area."""
    for item in draft.written("unit", sections.Unit):
        draft.refer(item, "area", "area", sections.Area, item.section.area)


def check_devices(draft: Draft, plans: Plans) -> None:
    """Unit, streams, load and conditions of each device; what is left out is taken from it."""
    for item in draft.written("device", sections.Device):
        draft.refer(item, "unit", "unit", sections.Unit, item.section.unit)
        _check_streams(draft, item, plans)
        check_load(draft, item, plans)
        _check_conditions(draft, item, plans)


def check_sources(draft: Draft, plans: Plans, basis: Accounting) -> dict[str, SourcePlan]:
    """The plan of every source on a stream whose stream, unit and factor fit together."""
    found: dict[str, SourcePlan] = {}
    for item in draft.written("source", sections.Source):
        check_keys(draft, item)
        device = draft.refer(item, "device", "device", sections.Device, item.section.device)
        if not item.section.stream:
            continue
        stream, factor = _stream_and_factor(draft, item, plans, basis)
        if device is None or factor is None or stream is None:
            continue
        section = _with_share(draft, item, device.section)
        section = _with_uncertainty(section, plans, basis.rules)
        if factor.taken_out:
            section = msgspec.structs.replace(section, share=-section.share)
        if not item.is_left_out():
            found[item.id] = SourcePlan(
                section=section,
                factor=factor.ref,
                uncertainty_factor_pct=factor.uncertainty_pct,
                former=factor.former,
                gases=factor.gases,
                heat_gj=factor.heat_gj,
                table=calc_table(section.kind, item.table),
            )
    return found


def _stream_and_factor(
    draft: Draft, item: Item[sections.Source], plans: Plans, basis: Accounting
) -> tuple[StreamSpec | None, SourceFactor | None]:
    """The stream of a source, and what one unit of it emits."""
    source = item.section
    if source.kind in PLAIN_KINDS and not other_keys(source.kind, item.table):
        factor = source_factor(draft, item, basis.rules, basis.library, basis.zone)
        stream = metered_stream(draft, item, "stream", source.stream, plans)
        if factor is not None and stream is not None:
            _check_unit(draft, item, factor, plans)
        return stream, factor
    stream = metered_stream(draft, item, "stream", source.stream, plans)
    return stream, None if stream is None else stream_factor(draft, item, stream.unit, basis)


def metered_stream(
    draft: Draft, item: Item[sections.Source], key: str, name: str, plans: Plans
) -> StreamSpec | None:
    """The stream that a source names; without it the source is left out."""
    point = _counted_by(draft, item, key, name, plans)
    if isinstance(point, str):
        draft.leave_out(item, point)
    if not isinstance(point, PointSpec) or not _has_amount(draft, item, key, name, point):
        return None
    return stream_named(draft, name, plans)


def _with_uncertainty(source: sections.Source, plans: Plans, rules: Rules) -> sections.Source:
    """The source with how sure its amount is: as stated, by the meter's class, or the default."""
    if source.uncertainty_activity_pct is not None:
        return source
    pct = stream_uncertainty_pct(source.stream, plans, rules)
    return msgspec.structs.replace(source, uncertainty_activity_pct=pct)


def stream_uncertainty_pct(stream: str, plans: Plans, rules: Rules) -> float:
    """Half of the 95 % interval of what a stream counts, in %: by its meter's class, if known."""
    plan = plans.get(stream.partition(".")[0])
    if plan is None or plan.section.accuracy_class is None:
        return rules.uncertainty_pct.activity
    return accuracy_class_uncertainty_pct(plan.section.accuracy_class)


def named_streams(draft: Draft, sources: Mapping[str, SourcePlan]) -> set[str]:
    """The streams that devices and sources name."""
    devices = draft.kept("device", sections.Device)
    shares = {share.stream for device in devices for share in device.section.streams}
    return shares | {source.section.stream for source in sources.values()}


def used_streams(
    draft: Draft,
    plans: Plans,
    sources: Mapping[str, SourcePlan],
    others: Iterable[str] = (),
) -> dict[str, StreamSpec]:
    """The streams that devices, sources or others use, with the load that scales an estimate."""
    loads: dict[str, str | None] = {}
    devices = {item.id: item.section for item in draft.kept("device", sections.Device)}
    for device in devices.values():
        for part in device.streams:
            loads[part.stream] = loads.get(part.stream) or device.load
    for source in sources.values():
        name = source.section.stream
        loads[name] = loads.get(name) or devices[source.section.device].load
    for name in others:
        loads.setdefault(name, None)
    streams = {}
    for name, load in loads.items():
        if name in draft.derived:
            continue
        meter, _, point = name.partition(".")
        plan = plans[meter]
        spec = next(spec for spec in plan.points if spec.id == point)
        _warn_of_float_totaliser(draft, plan, spec)
        streams[name] = replace(stream_of(plan, spec), load=load)
    return {**streams, **draft.derived}


def stream_named(draft: Draft, name: str, plans: Plans) -> StreamSpec:
    """The stream of a name that was found before."""
    if name in draft.derived:
        return draft.derived[name]
    meter, _, point = name.partition(".")
    plan = plans[meter]
    return stream_of(plan, next(spec for spec in plan.points if spec.id == point))


def stream_of(plan: MeterPlan, point: PointSpec) -> StreamSpec:
    """The stream of a counter or rate point: amounts in kWh, GJ, t, Nm3 or m3 per window."""
    counter = point.role is PointRole.COUNTER
    fastest = point.max_rate_per_h if counter else point.max_rate_per_h or point.high
    return StreamSpec(
        id=f"{plan.id}.{point.id}",
        kind=StreamKind.COUNTER if counter else StreamKind.RATE,
        quantity=point.quantity,
        unit=point.unit if counter else integral_unit(point.unit) or point.unit,
        resolution=point.resolution if counter else 0.0,
        modulus=point.modulus if counter else None,
        max_rate_per_h=fastest,
        period_ms=round(plan.section.period_s * 1000),
        relative_resolution=SINGLE_PRECISION if counter and _is_single(point) else 0.0,
    )


def _is_single(point: PointSpec) -> bool:
    return point.register is not None and point.register.type == "f32"


def _counted_by(
    draft: Draft,
    item: Item[sections.Device] | Item[sections.Source],
    key: str,
    name: str,
    plans: Plans,
) -> PointSpec | str | None:
    """As `_point_of`, but the name may also be that of a stream that is no point of a meter."""
    stream = draft.derived.get(name)
    if stream is not None:
        role = PointRole.COUNTER if stream.unit in AMOUNT_UNITS else PointRole.GAUGE
        return PointSpec(id=name, quantity=stream.quantity, unit=stream.unit, role=role)
    kind, dot, table = name.partition(".")
    if not dot or kind not in DERIVED_KINDS:
        return _point_of(draft, item, key, name, plans)
    root = draft.root_of(kind, table)
    if root is None:
        hint = nearest(table, draft.names(kind))
        draft.reject(item, key, f'there is no {kind} stream "{table}"', hint)
    return root


def _point_of(
    draft: Draft,
    item: Item[sections.Device] | Item[sections.Source] | Item[sections.Manual],
    key: str,
    name: str,
    plans: Plans,
) -> PointSpec | str | None:
    """The named point; or the root cause if its meter is left out; or None with a fault."""
    meter, dot, point = name.partition(".")
    plan = plans.get(meter)
    if not dot:
        draft.reject(item, key, f'"{name}" names no point', 'write "meter.point"')
        return None
    if plan is not None:
        points = {spec.id: spec for spec in plan.points}
        if point in points:
            return points[point]
        hint = nearest(point, points)
        draft.reject(item, key, f'meter {meter} has no point "{point}"', hint)
        return None
    root = draft.root_of("meter", meter)
    if root is not None:
        return root
    draft.reject(item, key, f'unknown meter "{meter}"', nearest(meter, draft.names("meter")))
    return None


def _has_amount(
    draft: Draft,
    item: Item[sections.Device] | Item[sections.Source],
    key: str,
    name: str,
    point: PointSpec,
) -> bool:
    counter = point.role is PointRole.COUNTER
    if point.role in _ROLES_WITH_AMOUNT and (counter or integral_unit(point.unit)):
        return True
    what = f"{name} is a {point.role} in {point.unit or 'no unit'} and has no amount"
    draft.reject(item, key, what, 'a point with role "counter" or "rate"')
    return False


def _check_streams(draft: Draft, item: Item[sections.Device], plans: Plans) -> None:
    kept: list[sections.StreamShare] = []
    missing: list[tuple[str, str]] = []
    seen: set[str] = set()
    for part in item.section.streams:
        key = f"streams[{part.stream}]"
        if part.stream in seen:
            draft.reject(item, key, "stands twice", "one entry with the sum of both shares")
        seen.add(part.stream)
        if part.share == 0:
            draft.reject(item, f"{key}.share", "0 takes nothing", "a share, or remove the stream")
        point = _counted_by(draft, item, key, part.stream, plans)
        if isinstance(point, str):
            missing.append((point, part.stream))
        elif point is not None and _has_amount(draft, item, key, part.stream, point):
            kept.append(part)
    if item.is_left_out() or not missing:
        return
    if not kept:
        draft.leave_out(item, missing[0][0])
        return
    for root, name in missing:
        _miss(draft, item, root, f"stream {name}")
    item.section = msgspec.structs.replace(item.section, streams=tuple(kept))


def _miss(
    draft: Draft, item: Item[sections.Device] | Item[sections.Manual], root: str, what: str
) -> None:
    if not item.is_left_out():
        draft.miss(root, f"{what} of {item.kind} {item.id}")


def check_load(
    draft: Draft, item: Item[sections.Device] | Item[sections.Manual], plans: Plans
) -> None:
    """The load of a device, or of a meter that people read, is a gauge or a rate."""
    name = item.section.load
    if name is None:
        return
    point = _point_of(draft, item, "load", name, plans)
    if isinstance(point, str):
        _miss(draft, item, point, "the load")
        item.section = msgspec.structs.replace(item.section, load=None)
    elif point is not None and point.role not in (PointRole.GAUGE, PointRole.RATE):
        hint = "a gauge such as % of full load, or a rate"
        draft.reject(item, "load", f"{name} is a {point.role}", hint)


def _check_conditions(draft: Draft, item: Item[sections.Device], plans: Plans) -> None:
    kept = []
    for place, name in enumerate(item.section.conditions, start=1):
        point = _point_of(draft, item, f"conditions[{place}]", name, plans)
        if isinstance(point, str):
            _miss(draft, item, point, f"condition {name}")
        elif point is not None:
            kept.append(name)
    item.section = msgspec.structs.replace(item.section, conditions=tuple(kept))


def _check_unit(
    draft: Draft,
    item: Item[sections.Source],
    factor: SourceFactor,
    plans: Plans,
) -> None:
    source = item.section
    stream = stream_named(draft, source.stream, plans)
    if stream.unit == factor.stream_unit:
        return
    plan = plans.get(source.stream.partition(".")[0])
    fitting = [
        f"{plan.id}.{other.id}"
        for other in (plan.points if plan else ())
        if plan
        and other.role in _ROLES_WITH_AMOUNT
        and stream_of(plan, other).unit == factor.stream_unit
    ]
    subject = source.fuel if source.kind == "fuel" else source.kind
    draft.reject(
        item,
        "stream",
        f"{stream.id} counts {stream.unit}, {subject} is booked in {factor.stream_unit}",
        f"fitting: {', '.join(fitting)}"
        if fitting
        else f"a point that counts {factor.stream_unit}",
    )


def _with_share(
    draft: Draft, item: Item[sections.Source], device: sections.Device
) -> sections.Source:
    """The source with the share of the stream that its device has, unless it names its own."""
    source = item.section
    shares = [part.share for part in device.streams if part.stream == source.stream]
    if "share" not in item.table:
        return msgspec.structs.replace(source, share=shares[0]) if shares else source
    if source.share == 0:
        draft.reject(item, "share", "0 books nothing", "a share, or remove the source")
    elif shares and shares[0] != source.share:
        draft.reject(
            item,
            "share",
            f"{source.share:g} here, {shares[0]:g} at device {device.id}",
            "write it once, at the device",
        )
    return source


def _warn_of_float_totaliser(draft: Draft, plan: MeterPlan, point: PointSpec) -> None:
    register = point.register
    if register is None or point.role is not PointRole.COUNTER or register.type != "f32":
        return
    count = point.resolution or abs(register.scale)
    limit = _FLOAT_COUNTS * count
    if point.modulus is not None and point.modulus <= limit:
        return
    draft.faults.add(
        f"meter[{plan.id}].{'template' if plan.section.template else f'points[{point.id}].type'}",
        f'totaliser "{point.id}" is a 32-bit float: above {limit:,.0f} {point.unit}'
        f" it can no longer count in steps of {count:g} {point.unit}",
        "an integer, f64 or BCD register of the meter, or reset it in time",
        warning=True,
    )
