"""What people say about a meter afterwards: it was replaced; one of its readings is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import StrEnum

from agent.core.errors import UsageError
from agent.core.field_reader import number_of


class CorrectionKind(StrEnum):
    """What is declared."""

    REPLACED = "replaced"
    REPAIRED = "repaired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """A declaration about a point («meter.point») at a time.

    Of a replacement ``old_end`` and ``new_start`` are the registers in the point's unit; without
    them an earlier declaration for that time is void. Of a repair ``value`` holds in place of the
    reading; without it the reading is not good.
    """

    kind: CorrectionKind
    point: str
    at_ms: int
    author: str
    note: str = ""
    old_end: float | None = None
    new_start: float | None = None
    value: float | None = None


_KEYS = ("kind", "point", "at", "old_end", "new_start", "value", "by", "note", "void")
_LONGEST_TEXT = 500


def read_correction(fields: Mapping[str, object], zone: tzinfo) -> Correction:
    """A correction from the fields that the command and the API take.

    ``at`` is ISO 8601, without an offset the site's time. What is to be taken back, or is no good
    reading any more, says ``void = true`` in place of numbers.

    Raises:
        UsageError: naming the field and what would be right.
    """
    for name in fields:
        if name not in _KEYS:
            raise UsageError("unknown field", where=name[:80], hint=f"one of {', '.join(_KEYS)}")
    kind = fields.get("kind")
    if not isinstance(kind, str) or kind not in list(CorrectionKind):
        raise UsageError("is unknown", where="kind", hint=f"one of {', '.join(CorrectionKind)}")
    wanted = ("old_end", "new_start") if kind == CorrectionKind.REPLACED else ("value",)
    void = fields.get("void", False) is True
    for name in ("old_end", "new_start", "value"):
        given = fields.get(name) is not None
        if given and (void or name not in wanted):
            hint = f"{' and '.join(wanted)}, or void = true"
            raise UsageError("does not belong here", where=name, hint=hint)
        if not given and name in wanted and not void:
            raise UsageError("is missing", where=name, hint="a number in the point's unit")
    return Correction(
        kind=CorrectionKind(kind),
        point=_text(fields, "point", required=True),
        at_ms=_time_ms(_text(fields, "at", required=True), zone),
        author=_text(fields, "by", required=True),
        note=_text(fields, "note", required=False),
        old_end=_number(fields, "old_end"),
        new_start=_number(fields, "new_start"),
        value=_number(fields, "value"),
    )


def _text(fields: Mapping[str, object], name: str, *, required: bool) -> str:
    value = fields.get(name, "")
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT or (required and not value.strip()):
        raise UsageError("is no text", where=name, hint=f"1 to {_LONGEST_TEXT} characters")
    return value.strip()


def _number(fields: Mapping[str, object], name: str) -> float | None:
    value = fields.get(name)
    if value is None:
        return None
    number = number_of(value, percent=False) if isinstance(value, int | float) else None
    if number is None:
        raise UsageError("is no number", where=name, hint="such as 51234.5")
    return number


def _time_ms(text: str, zone: tzinfo) -> int:
    try:
        moment = datetime.fromisoformat(text)
        placed = moment if moment.tzinfo else moment.replace(tzinfo=zone)
        time_ms = round(placed.timestamp() * 1000)
    except (ValueError, OverflowError):
        time_ms = -1
    if time_ms < 0:
        raise UsageError("is not a time", where="at", hint="ISO 8601, such as 2026-11-22T08:00:00")
    return time_ms
