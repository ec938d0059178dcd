"""Checks of an activity entry: what cannot be, and what is worth a second look.

A fault keeps an entry out; a warning travels with it and never discards it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from agent.core.activity import DETAIL_FIELDS, KIND_RULES, ActivityEntry, ActivityKind

HISTORY_ENTRIES = 12  # how many earlier entries a new one is compared with
HISTORY_SHARE = 0.30  # deviation from its own history that asks for a second look
_LARGEST = 1e15  # beyond it a 64-bit float no longer holds single units


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What is wrong, or odd, with one field of an entry, and what would settle it."""

    field: str
    what: str
    hint: str
    warning: bool = False
    code: str = ""  # of a warning


def check_entry(entry: ActivityEntry, now_ms: int) -> list[Remark]:
    """What an entry shows by itself: sign, fractions, fields of its kind, its period."""
    return [
        *_check_amount(entry),
        *_check_details(entry),
        *_check_required(entry),
        *_check_period(entry, now_ms),
    ]


def check_beside(entry: ActivityEntry, others: Iterable[ActivityEntry]) -> list[Remark]:
    """What an entry shows beside the current entries of its stream under other keys.

    ``others`` are its neighbours in time (`StreamHistory.near`), earliest first. Another unit
    is a fault, since the stream could not be summed. An overlap of periods and a value more than
    30 % off the median of the others are warnings.
    """
    if entry.amount is None:
        return []
    current = [
        other
        for other in others
        if other.stream == entry.stream and other.key != entry.key and other.amount is not None
    ]
    return [*_check_unit(entry, current), *_check_overlap(entry, current), *_off(entry, current)]


def _check_amount(entry: ActivityEntry) -> list[Remark]:
    remarks = []
    for name in ("amount", "carbon_content", "distance_km", "price_cny"):
        value = getattr(entry, name)
        if value is None:
            continue
        if value < 0:
            remarks.append(
                Remark(
                    field=name,
                    what=f"{value:g} is negative",
                    hint="enter what was used or made as a positive number; "
                    "correct an earlier entry by a new revision of it",
                )
            )
        elif value > _LARGEST:
            remarks.append(
                Remark(field=name, what=f"{value:g} is too large", hint="check the unit")
            )
    return remarks


def _check_details(entry: ActivityEntry) -> list[Remark]:
    remarks = []
    fractions = [("purity", entry.purity)]
    if entry.unit == "t":
        fractions.append(("carbon_content", entry.carbon_content))
    if entry.unit == "tC/t":
        fractions.append(("amount", entry.amount))
    for name, value in fractions:
        if value is not None and (value > 1 or (name == "purity" and value < 0)):
            remarks.append(
                Remark(
                    field=name,
                    what=f"{value:g} is not a fraction from 0 to 1",
                    hint="write 0.95 or 95%",
                )
            )
    rule = KIND_RULES[entry.kind]
    for name in DETAIL_FIELDS:
        if getattr(entry, name) in (None, "") or name in rule.fields:
            continue
        fitting = [kind for kind, other in KIND_RULES.items() if name in other.fields]
        remarks.append(
            Remark(
                field=name,
                what=f"has no meaning for {entry.kind}",
                hint="leave it empty; it belongs to " + ", ".join(fitting),
            )
        )
    return remarks


def _check_required(entry: ActivityEntry) -> list[Remark]:
    missing = [name for name in KIND_RULES[entry.kind].required if not getattr(entry, name)]
    if (
        entry.kind is ActivityKind.TRANSPORT
        and entry.unit == "t"
        and entry.distance_km is None
        and entry.amount is not None
    ):
        missing.append("distance_km")
    return [
        Remark(field=name, what="missing", hint=f"{entry.kind} needs it", warning=False)
        for name in missing
    ]


def _check_period(entry: ActivityEntry, now_ms: int) -> list[Remark]:
    if entry.start_ms is None or entry.end_ms is None:
        return []
    if entry.end_ms <= entry.start_ms:
        return [
            Remark(field="period", what="ends before it begins", hint="write the earlier day first")
        ]
    if entry.start_ms >= now_ms:
        return [
            Remark(
                field="period",
                what="lies in the future",
                hint="check the year; enter what has happened",
            )
        ]
    if entry.end_ms > now_ms and entry.amount is not None:
        return [
            Remark(
                field="period",
                what="is not over yet",
                hint="enter it again when it is complete; that makes a new revision",
                warning=True,
                code="activity.incomplete",
            )
        ]
    return []


def _check_unit(entry: ActivityEntry, others: Sequence[ActivityEntry]) -> list[Remark]:
    units = sorted({other.unit for other in others} - {entry.unit})
    if not units:
        return []
    return [
        Remark(
            field="unit",
            what=f"is {entry.unit}, but {entry.stream} is kept in {', '.join(units)}",
            hint="enter it in that unit, or under another item name",
        )
    ]


def _check_overlap(entry: ActivityEntry, others: Sequence[ActivityEntry]) -> list[Remark]:
    if entry.start_ms is None or entry.end_ms is None or entry.batch:
        return []  # batches, consignments and invoices of one month stand beside each other
    overlapping = sum(
        1
        for other in others
        if not other.batch
        and other.start_ms is not None
        and other.end_ms is not None
        and other.start_ms < entry.end_ms
        and entry.start_ms < other.end_ms
    )
    if not overlapping:
        return []
    plural = "y" if overlapping == 1 else "ies"
    return [
        Remark(
            field="period",
            what=f"overlaps {overlapping} current entr{plural} of {entry.stream}",
            hint="retire one of them, or tell them apart by batch or place",
            warning=True,
            code="activity.overlap",
        )
    ]


def _off(entry: ActivityEntry, others: Sequence[ActivityEntry]) -> list[Remark]:
    compared = [
        other
        for other in others
        if bool(other.batch) == bool(entry.batch) and other.unit == entry.unit
    ]
    history = [intensity(other) for other in compared]
    if not history:
        return []
    usual, value = median(history), intensity(entry)
    if abs(value - usual) <= HISTORY_SHARE * abs(usual):
        return []
    deviation = f"{value / usual - 1:+.0%} off" if usual else "not 0 as"
    plural = "" if len(history) == 1 else "s"
    return [
        Remark(
            field="amount",
            what=f"is {deviation} its own history ({len(history)} earlier value{plural})",
            hint="check the number and the unit; if it is right, say why in the note",
            warning=True,
            code="activity.implausible",
        )
    ]


def intensity(entry: ActivityEntry) -> float:
    """What is compared between entries: a state as it is, an amount per hour of its period.

    Amounts of batches are compared as they are, whatever time a batch took.
    """
    amount = entry.amount or 0.0
    length_ms = entry.length_ms
    if KIND_RULES[entry.kind].level or entry.batch or not length_ms:
        return amount
    return amount * 3_600_000 / length_ms
