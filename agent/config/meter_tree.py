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
        for point in master.points if below else ():
            stream = _amount(master, point)
            if stream is None:
                continue
            matching = [(plan, _match(plan, stream)) for plan in below]
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


def _match(plan: MeterPlan, master: StreamSpec) -> StreamSpec | None:
    """The stream of a submeter that counts what the master's does.

    The same unit, kind and quantity; a point without a quantity matches if it is the only one.
    """
    streams = [stream for point in plan.points if (stream := _amount(plan, point))]
    alike = [
        stream for stream in streams if stream.unit == master.unit and stream.kind is master.kind
    ]
    same = [stream for stream in alike if stream.quantity == master.quantity]
    if same:
        return same[0]
    vague = [stream for stream in alike if not (stream.quantity and master.quantity)]
    return vague[0] if len(vague) == 1 else None
