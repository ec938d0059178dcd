"""Checks of a reading that a person took, by itself and beside the readings around it.

A fault keeps an entry out; a warning travels with it and never discards it.
"""

from __future__ import annotations

from agent.core.activity_checks import Remark
from agent.core.manual import Form, ManualEntry, ManualSpec
from agent.core.manual_windows import Segment, most_between, segments_of, step
from agent.core.timebase import DAY_MS, iso_local

LONGEST_STEP_MS = 400 * DAY_MS  # between two readings of a register: more is a wrong year


def check_reading(spec: ManualSpec, entry: ManualEntry, now_ms: int) -> list[Remark]:
    """What a reading shows by itself: time, sign, range of the register, its period."""
    remarks = []
    if entry.time_ms > now_ms:
        remarks.append(_fault("time", "lies in the future", "check the date and the clock"))
    for field in ("value", "old_end", "new_start", "running_h"):
        number = getattr(entry, field)
        if number is not None and number < 0:
            remarks.append(_fault(field, f"{number:g} is negative", "read it again"))
    if spec.form is Form.AMOUNT:
        return remarks + _check_period(spec, entry)
    modulus = spec.stream.modulus
    if modulus is not None and entry.value is not None and entry.value >= modulus:
        what = f"{entry.value:g} is more than the register can show"
        remarks.append(_fault("value", what, f"it wraps at {modulus:g} {spec.stream.unit}"))
    if entry.old_end is not None and entry.new_start is None:
        what = "the first reading of the new register is missing"
        remarks.append(_fault("new_start", what, "0 for a new meter"))
    return remarks


def _check_period(spec: ManualSpec, entry: ManualEntry) -> list[Remark]:
    remarks = []
    if entry.start_ms is None:
        ends = (iso_local(end, spec.schedule.zone) for end in spec.schedule.around(entry.time_ms))
        remarks.append(
            _fault(
                "time",
                "is not the end of a period",
                f"an amount is dated by the end of its period: {' or '.join(ends)}",
            )
        )
    if entry.old_end is not None or entry.new_start is not None:
        what = "an amount has no register that could be replaced"
        remarks.append(_fault("new_start", what, "leave it out"))
    return remarks


def check_beside(
    spec: ManualSpec, entry: ManualEntry, before: ManualEntry | None, after: ManualEntry | None
) -> list[Remark]:
    """What a reading shows beside the current ones before and after it."""
    if entry.value is None:
        return []
    remarks = []
    for first, second in ((before, entry), (entry, after)):
        if first is None or second is None or spec.form is Form.AMOUNT:
            continue
        if second.time_ms - first.time_ms > LONGEST_STEP_MS:
            remarks.append(_far_from(spec, first if second is entry else second))
        remarks += _check_step(spec, first, second)
    own = segment_before(spec, entry, before)
    if own is not None and entry.running_h is not None and entry.running_h > own.hours:
        what = f"{entry.running_h:g} h in {own.hours:g} h"
        remarks.append(_fault("running_h", what, "hours since the reading before"))
    if own is not None and not remarks:
        remarks += _check_rate(spec, own)
    return remarks


def _far_from(spec: ManualSpec, other: ManualEntry) -> Remark:
    when = iso_local(other.time_ms, spec.schedule.zone)
    what = f"lies more than {LONGEST_STEP_MS // DAY_MS} days from the reading of {when}"
    hint = "check the year of both; if it is right, enter a reading between them first"
    return _fault("time", what, hint)


def segment_before(
    spec: ManualSpec, entry: ManualEntry, before: ManualEntry | None
) -> Segment | None:
    """What an entry says of the time before it; ``None`` for the first of a register."""
    found = segments_of(spec, [entry] if before is None else [before, entry])
    return found[-1] if found and found[-1].end_ms == entry.time_ms else None


def _check_step(spec: ManualSpec, first: ManualEntry, second: ManualEntry) -> list[Remark]:
    if step(spec, first, second) is not None:
        return []
    when = iso_local(first.time_ms, spec.schedule.zone)
    if second.new_start is not None:
        what = f"the replacement contradicts {first.value:g} {spec.stream.unit} of {when}"
        return [_fault("old_end", what, "the old register ends above it, the new one begins below")]
    what = f"{second.value:g} is below {first.value:g} {spec.stream.unit} of {when}"
    hint = (
        "a register does not go back: correct the wrong one of the two, or if the meter was "
        "replaced give its last reading as old_end and the first of the new one as new_start"
    )
    return [_fault("value", what, hint)]


def _check_rate(spec: ManualSpec, own: Segment) -> list[Remark]:
    amount, unit = own.amount or 0.0, spec.stream.unit
    if spec.stream.max_rate_per_h is not None:
        most = most_between(spec, own.start_ms, own.end_ms)
        if amount > most:
            what = f"{amount:g} {unit} in {own.hours:g} h is physically impossible"
            return [_fault("value", what, f"at most {most:g} {unit}; check the digits")]
    low, high = spec.low_per_h, spec.high_per_h
    rate = amount / own.hours
    if (low is None or rate >= low) and (high is None or rate <= high):
        return []
    expected = f"{'' if low is None else f'{low:g} '}to {'' if high is None else f'{high:g} '}"
    return [
        Remark(
            field="value",
            what=f"{rate:.6g} {unit}/h is outside the expected {expected.strip()} {unit}/h",
            hint="read it again; if it is right, say why in the note",
            warning=True,
            code="manual.out_of_range",
        )
    ]


def _fault(field: str, what: str, hint: str) -> Remark:
    return Remark(field=field, what=what, hint=hint)
