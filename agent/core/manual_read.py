"""From what a person wrote (a command, a sheet's row, a JSON object) to a manual entry."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from agent.core.activity import Origin
from agent.core.activity_checks import Remark
from agent.core.activity_words import ORIGIN_WORDS, plain, unit_symbol
from agent.core.field_reader import FieldReader, near, shortened
from agent.core.manual import PREFIX, Form, ManualEntry, ManualSpec
from agent.core.manual_checks import check_reading
from agent.core.units import UNITS, UnitError, convert

FIELDS = (
    "meter",
    "time",
    "value",
    "unit",
    "old_end",
    "new_start",
    "running_h",
    "origin",
    "author",
    "note",
    "evidence_name",
    "evidence_sha256",
)
TIME_HINT = "2026-03-05 08:00 in the site's time, or with a zone as 2026-03-05T08:00+08:00"
_TIME = re.compile(
    r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?[T ]\s*(\d{1,2})[:时](\d{2})(?:[:分](\d{2}))?"
    r"(?:\.\d+)?\s*(Z|[+-]\d{2}:?\d{2})?",
    re.I,
)
_YEARS = range(2000, 2101)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualDesk:
    """Where and when readings are entered."""

    zone: ZoneInfo
    now_ms: int
    specs: Mapping[str, ManualSpec]  # by stream
    origin: Origin
    author: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadReading:
    """An entry as read, or ``None`` with at least one fault among the remarks."""

    entry: ManualEntry | None
    remarks: tuple[Remark, ...]


def read_reading(fields: Mapping[str, object], desk: ManualDesk) -> ReadReading:
    """Read one entry, all its faults at once.

    ``fields`` maps names of `FIELDS` to text, numbers or ``None``; empty text counts as absent.
    A ``value`` of ``None`` (or «retire», «作废») retires the entry of that meter and time.
    """
    reader = FieldReader(fields)
    spec = _spec(reader, desk)
    time_ms = _time(reader, desk.zone)
    retired = reader.retires("value")
    if not retired and reader.is_empty("value"):
        reader.add("value", "missing", "write the number, or «retire» to withdraw the entry")
    numbers = {
        name: None if name == "value" and retired else reader.number(name)
        for name in ("value", "old_end", "new_start", "running_h")
    }
    symbol = unit_symbol(reader.text("unit"))
    author, note = reader.text("author") or desk.author, reader.text("note")
    if not author:
        reader.add("author", "missing", "a reading bears the name of who took it")
    origin = reader.word("origin", ORIGIN_WORDS) or desk.origin
    evidence = reader.evidence()
    reader.unknown(FIELDS)
    scale = None if spec is None else _scale(reader, spec, symbol)
    if spec is None or time_ms is None or scale is None or reader.remarks:
        return ReadReading(entry=None, remarks=tuple(reader.remarks))
    entry = ManualEntry(
        stream=spec.id,
        time_ms=time_ms,
        start_ms=_start(spec, time_ms),
        form=spec.form,
        value=_scaled(numbers["value"], scale),
        unit=spec.stream.unit,
        old_end=_scaled(numbers["old_end"], scale),
        new_start=_scaled(numbers["new_start"], scale),
        running_h=numbers["running_h"],
        origin=origin,
        author=author,
        note=note,
        evidence=evidence,
        entered_ms=desk.now_ms,
    )
    remarks = check_reading(spec, entry, desk.now_ms)
    faulty = any(not remark.warning for remark in remarks)
    return ReadReading(entry=None if faulty else entry, remarks=tuple(remarks))


def _spec(reader: FieldReader, desk: ManualDesk) -> ManualSpec | None:
    name = reader.text("meter", required=True)
    spec = desk.specs.get(name) or desk.specs.get(PREFIX + name)
    if spec is None and name:
        known = [stream.removeprefix(PREFIX) for stream in desk.specs]
        hint = near(name, known) if known else "write a [[manual]] table in the site file"
        reader.add("meter", f'"{shortened(name)}" is no meter that people read', hint)
    return spec


def _time(reader: FieldReader, zone: ZoneInfo) -> int | None:
    text = reader.text("time", required=True)
    if not text:
        return None
    try:
        return read_time(text, zone)
    except ValueError:
        reader.add("time", f'"{shortened(text)}" is not a time', TIME_HINT)
        return None


def read_time(text: str, zone: ZoneInfo) -> int:
    """UTC milliseconds of a time as people write it; without a zone it is the site's.

    24:00 is the end of the day. Anything else raises ``ValueError``.

    Example: 8 o'clock in Shanghai is midnight UTC:

    >>> read_time("2026/3/5 8:00", ZoneInfo("Asia/Shanghai")) % 86_400_000
    0
    """
    found = _TIME.fullmatch(plain(text))
    if found is None or int(found[1]) not in _YEARS:
        raise ValueError(text)
    year, month, day, hour, minute = (int(found[place]) for place in range(1, 6))
    second = int(found[6] or 0)
    midnight_after = (hour, minute, second) == (24, 0, 0)
    hour = 0 if midnight_after else hour
    moment = datetime(year, month, day, hour, minute, second, tzinfo=_zone(found[7], zone))
    return round((moment + timedelta(days=midnight_after)).timestamp() * 1000)


def has_zone(text: str) -> bool | None:
    """Whether a time names its zone; ``None`` if it is no time."""
    found = _TIME.fullmatch(plain(text))
    return None if found is None else found[7] is not None


def _zone(text: str | None, zone: ZoneInfo) -> tzinfo:
    if text is None:
        return zone
    if text.upper() == "Z":
        return UTC
    sign = -1 if text[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(text[1:3]), minutes=int(text[-2:])))


def _start(spec: ManualSpec, time_ms: int) -> int | None:
    """The beginning of the period that an amount is of; ``None`` if no period ends there."""
    if spec.form is Form.REGISTER or not spec.schedule.ends_at(time_ms):
        return None
    return spec.schedule.before(time_ms)


def _scale(reader: FieldReader, spec: ManualSpec, symbol: str) -> float | None:
    """How many units of the stream one unit that was written is."""
    written = symbol or spec.written_unit
    if written not in UNITS:
        reader.add("unit", f'"{shortened(symbol)}" is unknown', f"such as {spec.stream.unit}")
        return None
    try:
        return convert(1.0, written, spec.stream.unit)
    except UnitError as error:
        reader.add("unit", f'"{symbol}" does not fit: {error.what}', error.hint)
        return None


def _scaled(value: float | None, scale: float) -> float | None:
    return None if value is None else value * scale
