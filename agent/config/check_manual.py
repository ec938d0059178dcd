"""Checks of meters that people read, and what their tables come to."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

from agent.config import sections
from agent.config.check_sources import Plans, check_load
from agent.config.draft import Draft, Item
from agent.config.faults import nearest
from agent.core.manual import PREFIX, Every, Form, ManualSpec, Schedule
from agent.core.model import StreamKind, StreamSpec
from agent.core.timebase import DAY_MS, HOUR_MS, MINUTE_MS
from agent.core.units import AMOUNT_UNITS, UNITS, conversion_factor

# after this a reading is overdue, if the site does not say when
_GRACE_MIN = {Every.HOUR: 30.0, Every.SHIFT: 120.0, Every.DAY: 720.0}


def check_manual(draft: Draft, plans: Plans, zone: ZoneInfo) -> dict[str, ManualSpec]:
    """The streams that people read, by stream id, also added to the draft's derived streams.

    `with_peers` looks up their peers when every other stream is known.
    """
    found = {}
    for item in draft.written("manual", sections.Manual):
        _check_range(draft, item)
        check_load(draft, item, plans)
        unit = _unit(draft, item)
        schedule = _schedule(draft, item, zone)
        if item.is_left_out() or unit is None or schedule is None:
            continue
        spec = _spec(item.section, unit, schedule)
        found[spec.id] = spec
        draft.derived[spec.id] = spec.stream
    return found


def with_peers(
    draft: Draft, manual: dict[str, ManualSpec], streams: dict[str, StreamSpec]
) -> dict[str, ManualSpec]:
    """The streams with the peers that count the same unit.

    A peer that cannot be compared is left out, the stream is not.
    """
    resolved = {}
    for item in draft.kept("manual", sections.Manual):
        spec = manual[PREFIX + item.id]
        peers = [
            peer
            for place, peer in enumerate(item.section.peers, start=1)
            if _is_peer(draft, f"{item.path}.peers[{place}]", peer, spec, streams)
        ]
        resolved[spec.id] = replace(spec, peers=tuple(peers))
    return resolved


def _spec(section: sections.Manual, unit: str, schedule: Schedule) -> ManualSpec:
    scale = conversion_factor(section.unit, unit)

    def scaled(value: float | None) -> float | None:
        return None if value is None else value * scale

    return ManualSpec(
        stream=StreamSpec(
            id=PREFIX + section.id,
            kind=StreamKind.MANUAL,
            quantity=section.quantity,
            unit=unit,
            resolution=section.resolution * scale,
            modulus=scaled(section.modulus),
            max_rate_per_h=scaled(section.max_rate_per_h),
            period_ms=_period_ms(schedule),
            load=section.load,
        ),
        name=section.name or section.id,
        form=Form(section.form),
        schedule=schedule,
        written_unit=section.unit,
        low_per_h=scaled(section.low_per_h),
        high_per_h=scaled(section.high_per_h),
        peer_share=section.peer_share,
    )


def _period_ms(schedule: Schedule) -> int:
    return HOUR_MS if schedule.every is Every.HOUR else DAY_MS // len(schedule.minutes)


def _unit(draft: Draft, item: Item[sections.Manual]) -> str | None:
    symbol = item.section.unit
    unit = UNITS.get(symbol)
    fitting = [name for name, known in UNITS.items() if known.canonical in AMOUNT_UNITS]
    if unit is None or unit.canonical not in AMOUNT_UNITS:
        draft.reject(item, "unit", f'"{symbol}" is no amount', nearest(symbol, fitting))
        return None
    return unit.canonical


def _schedule(draft: Draft, item: Item[sections.Manual], zone: ZoneInfo) -> Schedule | None:
    section, every = item.section, Every(item.section.every)
    times = list(section.at)
    if every is Every.HOUR and times:
        draft.reject(item, "at", "an hourly reading is due on the hour", "leave it out")
        return None
    if every is Every.SHIFT and not times:
        times = [shift.section.start for shift in draft.kept("shift", sections.Shift)]
        if not times:
            hint = 'at = ["00:00", "08:00", "16:00"], or [[shift]] tables for the whole site'
            draft.reject(item, "at", "no shift is known", hint)
            return None
    if every is Every.DAY:
        times = times or ["00:00"]
        if len(times) > 1:
            draft.reject(item, "at", "a daily reading has one time", 'every = "shift" has several')
            return None
    grace_min = _GRACE_MIN[every] if section.grace_min is None else section.grace_min
    return Schedule(
        every=every,
        minutes=tuple(sorted({int(time[:2]) * 60 + int(time[3:]) for time in times})),
        grace_ms=round(grace_min * MINUTE_MS),
        zone=zone,
    )


def _check_range(draft: Draft, item: Item[sections.Manual]) -> None:
    section = item.section
    low, high, most = section.low_per_h, section.high_per_h, section.max_rate_per_h
    if low is not None and high is not None and low >= high:
        draft.reject(item, "low_per_h", f"{low:g} is not below {high:g}", "low_per_h < high_per_h")
    if high is not None and most is not None and high > most:
        hint = "what is expected is at most what is possible"
        draft.reject(item, "high_per_h", f"{high:g} is above max_rate_per_h = {most:g}", hint)
    if section.form == "amount" and section.modulus is not None:
        draft.reject(item, "modulus", "an amount does not wrap", "leave it out")


def _is_peer(
    draft: Draft, path: str, peer: str, spec: ManualSpec, streams: dict[str, StreamSpec]
) -> bool:
    hint = f"another stream in {spec.stream.unit} that a device or source uses"
    if peer == spec.id:
        draft.faults.add(path, "is the stream itself", hint)
    elif peer not in streams:
        draft.faults.add(path, f'no device or source uses "{peer}"', nearest(peer, streams))
    elif streams[peer].unit != spec.stream.unit:
        draft.faults.add(path, f"{peer} counts {streams[peer].unit}", hint)
    else:
        return True
    return False
