"""The balances of a meter tree: each master meter against the meters below it."""

from __future__ import annotations

from collections.abc import Mapping, Set

from agent.config.check_sources import stream_of
from agent.config.site import BalancePlan, MeterPlan
from agent.core.model import PointRole, PointSpec, StreamSpec
from agent.core.units import AMOUNT_UNITS

# Where a site file names no class: the poorest that GB 17167-2006, table 4, allows.
ASSUMED_CLASS_PCT: Mapping[str, float] = {"kWh": 2.0, "kvarh": 2.0, "Nm3": 2.0}
ASSUMED_CLASS_ELSE_PCT = 2.5


def balance_plans(plans: Mapping[str, MeterPlan], used: Set[str]) -> tuple[BalancePlan, ...]:
    """One balance per quantity of each master meter, where one of its streams is used at all."""
    found = []
    for master in plans.values():
        below = [plan for plan in plans.values() if plan.section.parent == master.id]
        for stream in _main_amounts(master) if below else ():
            matching = [(plan, _match(plan, master, stream)) for plan in below]
            parts = {part.id: plan for plan, part in matching if part is not None}
            if parts and used & {stream.id, *parts}:
                found.append(_plan(master, stream, parts))
    return tuple(found)


def _plan(master: MeterPlan, stream: StreamSpec, parts: Mapping[str, MeterPlan]) -> BalancePlan:
    return BalancePlan(
        master=stream.id,
        parts=tuple(parts),
        unit=stream.unit,
        unmetered_pct=master.section.unmetered_pct,
        class_pct={
            name: plan.section.accuracy_class
            or ASSUMED_CLASS_PCT.get(stream.unit, ASSUMED_CLASS_ELSE_PCT)
            for name, plan in {stream.id: master, **parts}.items()
        },
        assumed=tuple(
            plan.id for plan in (master, *parts.values()) if plan.section.accuracy_class is None
        ),
    )


def _amount(plan: MeterPlan, point: PointSpec) -> StreamSpec | None:
    """The stream of a point that counts an amount."""
    if point.role not in (PointRole.COUNTER, PointRole.RATE):
        return None
    stream = stream_of(plan, point)
    return stream if stream.unit in AMOUNT_UNITS else None


def _main_amounts(plan: MeterPlan) -> list[StreamSpec]:
    """The amounts of a meter; of several of one quantity, as by tariff, the first is the total."""
    first: dict[tuple[str, str, str], StreamSpec] = {}
    for point in plan.points:
        stream = _amount(plan, point)
        if stream is not None:
            first.setdefault((stream.quantity or stream.id, stream.unit, stream.kind), stream)
    return list(first.values())


def _match(plan: MeterPlan, master: MeterPlan, stream: StreamSpec) -> StreamSpec | None:
    """The stream of a submeter that counts what a stream of the master does.

    The same unit, kind and quantity. Where a quantity is not given, the point of the same id, or
    the only one that both have.
    """
    alike = [one for one in _main_amounts(plan) if _is_alike(one, stream)]
    same = [one for one in alike if one.quantity and one.quantity == stream.quantity]
    if same:
        return same[0]
    vague = [one for one in alike if not (one.quantity and stream.quantity)]
    twins = [one for one in vague if _point_id(one) == _point_id(stream)]
    if twins:
        return twins[0]
    rivals = [one for one in _main_amounts(master) if _is_alike(one, stream)]
    return vague[0] if len(vague) == 1 and len(rivals) == 1 else None


def _is_alike(one: StreamSpec, other: StreamSpec) -> bool:
    return (one.unit, one.kind) == (other.unit, other.kind)


def _point_id(stream: StreamSpec) -> str:
    return stream.id.partition(".")[2]
