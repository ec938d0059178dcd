"""Checks of streams that are computed from others: formulas and fitted models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agent.config import sections
from agent.config.check_sources import DERIVED_KINDS, Plans
from agent.config.draft import Draft, Item
from agent.config.faults import nearest
from agent.config.site import DerivedPlan
from agent.core.errors import TanshuError
from agent.core.expression import ExpressionError, Node, names_in, parse
from agent.core.expression_units import ANY, unit_of
from agent.core.model import PointRole, StreamKind, StreamSpec
from agent.core.units import AMOUNT_UNITS, integral_unit

Derived = Item[sections.Virtual] | Item[sections.Indirect]

_PERIOD_MS = 1000  # a computed stream has no readings; nothing waits for them


def check_derived(draft: Draft, plans: Plans) -> tuple[DerivedPlan, ...]:
    """The computed streams, each after those it is computed from; also noted in the draft.

    A formula that cannot be read, an unknown input, units that do not fit and a stream that is
    computed from itself are faults.
    """
    for meter in draft.kept("meter", sections.Meter):
        if meter.id in DERIVED_KINDS:
            hint = f"«{meter.id}.…» names streams of [[{meter.id}]]"
            draft.reject(meter, "id", f'"{meter.id}" is no name for a meter', hint)
    pending: dict[str, tuple[Derived, Node | None, tuple[str, ...]]] = {}
    for item in _items(draft):
        formula = _formula(draft, item)
        if not item.is_left_out():
            names = _names(item, formula)
            pending[f"{item.kind}.{item.id}"] = (item, formula, tuple(dict.fromkeys(names)))
    found = []
    while pending:
        ready = [name for name, (_, _, needs) in pending.items() if not pending.keys() & set(needs)]
        if not ready:
            _reject_rings(draft, pending)
            break
        for name in ready:
            plan = _plan(draft, *pending.pop(name), plans)
            if plan is not None:
                found.append(plan)
                if plan.booked:
                    draft.derived[plan.id] = plan.stream
    return tuple(found)


def _items(draft: Draft) -> Iterable[Derived]:
    yield from draft.written("virtual", sections.Virtual)
    yield from draft.written("indirect", sections.Indirect)


def _formula(draft: Draft, item: Derived) -> Node | None:
    if not isinstance(item.section, sections.Virtual):
        return None
    try:
        return parse(item.section.formula)
    except ExpressionError as error:
        draft.reject(item, "formula", f"{error.where}: {error.what}", error.hint)
        return None


def _names(item: Derived, formula: Node | None) -> Iterable[str]:
    if isinstance(item.section, sections.Indirect):
        return item.section.inputs
    return () if formula is None else (name.name for name in names_in(formula))


def _plan(
    draft: Draft,
    item: Derived,
    formula: Node | None,
    names: tuple[str, ...],
    plans: Plans,
) -> DerivedPlan | None:
    section = item.section
    if section.unit not in AMOUNT_UNITS:
        hint = f"one of {', '.join(sorted(AMOUNT_UNITS))}: windows are added up"
        draft.reject(item, "unit", f'"{section.unit}" is no amount per window', hint)
    if isinstance(section, sections.Virtual) and not names and not item.is_left_out():
        draft.reject(item, "formula", "names no stream", "such as m1.energy - m2.energy")
    key = "inputs" if formula is None else "formula"
    units: dict[str, str] = {}
    streams: list[str] = []
    gauges: list[str] = []
    for name in names:
        unit = _input_unit(draft, item, key, _place(formula, name), name, plans)
        if unit is not None:
            units[name], is_stream = unit
            (streams if is_stream else gauges).append(name)
    reference = section.reference if isinstance(section, sections.Indirect) else None
    if reference is not None:
        _check_reference(draft, item, reference, plans)
    if item.is_left_out() or len(units) < len(names):
        return None
    if formula is not None and not _fits(draft, item, formula, units):
        return None
    kind = StreamKind.VIRTUAL if formula is not None else StreamKind.INDIRECT
    return DerivedPlan(
        stream=StreamSpec(
            id=f"{item.kind}.{item.id}",
            kind=kind,
            quantity=section.quantity,
            unit=section.unit,
            resolution=0.0,
            modulus=None,
            max_rate_per_h=None,
            period_ms=_PERIOD_MS,
        ),
        name=section.name or item.id,
        streams=tuple(streams),
        gauges=tuple(gauges),
        formula=formula,
        formula_text=section.formula if isinstance(section, sections.Virtual) else "",
        inputs=names,
        units=units,
        reference=reference,
        intercept=isinstance(section, sections.Indirect) and section.intercept,
        booked=not isinstance(section, sections.Indirect) or section.booked,
    )


def _input_unit(
    draft: Draft, item: Derived, key: str, place: str, name: str, plans: Plans
) -> tuple[str, bool] | None:
    """Unit of an input, and whether it is a stream (else the mean of a point)."""
    if name in draft.derived:
        return draft.derived[name].unit, True
    meter, dot, point = name.partition(".")
    if dot and meter in DERIVED_KINDS:
        root = draft.root_of(meter, point)
        if root is not None:
            draft.leave_out(item, root)
        else:
            hint = nearest(name, draft.derived)
            draft.reject(item, key, f'{place}there is no stream "{name}"', hint)
        return None
    plan = plans.get(meter)
    if plan is None and dot and (root := draft.root_of("meter", meter)) is not None:
        draft.leave_out(item, root)
        return None
    spec = next((spec for spec in plan.points if spec.id == point), None) if plan else None
    if spec is None or spec.role is PointRole.TEXT:
        what = f'{place}there is no number "{name}"'
        draft.reject(item, key, what, _advice(name, draft, plans))
        return None
    if spec.role is PointRole.COUNTER:
        return spec.unit, True
    amount = integral_unit(spec.unit) if spec.role is PointRole.RATE else None
    return (amount, True) if amount else (spec.unit, False)


def _check_reference(draft: Draft, item: Derived, reference: str, plans: Plans) -> None:
    found = _input_unit(draft, item, "reference", "", reference, plans)
    if found is not None and found != (item.section.unit, True):
        hint = f"a stream that counts {item.section.unit}"
        draft.reject(item, "reference", f"{reference} is in {found[0]}", hint)


def _place(formula: Node | None, name: str) -> str:
    if formula is None:
        return ""
    column = next(found.column for found in names_in(formula) if found.name == name)
    return f"column {column}: "


def _advice(name: str, draft: Draft, plans: Plans) -> str:
    known = {f"{plan.id}.{point.id}" for plan in plans.values() for point in plan.points}
    known |= draft.derived.keys()
    begun = sorted(full for full in known if full.startswith(f"{name}-"))
    if begun:
        return f'with "-" in an id write it in quotes: "{begun[0]}"'
    return nearest(name, known, otherwise='write meter.point, or "meter-1.point" in quotes')


def _fits(draft: Draft, item: Derived, formula: Node, units: Mapping[str, str]) -> bool:
    try:
        unit = unit_of(formula, units)
    except ExpressionError as error:
        draft.reject(item, "formula", f"{error.where}: {error.what}", error.hint)
        return False
    except TanshuError as error:
        draft.reject(item, "formula", error.what, error.hint)
        return False
    if unit in (None, ANY, item.section.unit):
        return True
    draft.reject(
        item, "unit", f"{item.section.unit}, but the formula gives {unit}", f'write unit = "{unit}"'
    )
    return False


def _reject_rings(
    draft: Draft, pending: Mapping[str, tuple[Derived, Node | None, tuple[str, ...]]]
) -> None:
    """What is left waits for itself, or for something that does."""
    needs = {
        name: [need for need in wanted if need in pending]
        for name, (_, _, wanted) in pending.items()
    }
    rings = {name: ring for name in needs if (ring := _ring(name, needs))}
    for name, ring in rings.items():
        item, formula, _ = pending[name]
        key = "inputs" if formula is None else "formula"
        way = " → ".join([*ring, name])
        draft.reject(item, key, f"computed from itself: {way}", "take one step out of the ring")
    for name, (item, _, _) in pending.items():
        if name not in rings:
            draft.leave_out(item, pending[next(iter(rings))][0].path)


def _ring(start: str, needs: Mapping[str, list[str]]) -> list[str]:
    """A way from a stream back to itself; empty if there is none."""
    ways = [[start]]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        for need in needs[way[-1]]:
            if need == start:
                return way
            if need not in seen:
                seen.add(need)
                ways.append([*way, need])
    return []
