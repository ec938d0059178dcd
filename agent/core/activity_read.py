"""From what a person wrote (a form, a sheet's row, a JSON object) to an activity entry.

All three ways come through here, so that one set of words and checks holds for them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeVar
from zoneinfo import ZoneInfo

from agent.core.activity import (
    KIND_RULES,
    ActivityEntry,
    ActivityKind,
    Evidence,
    Origin,
    slug,
    stream_of,
)
from agent.core.activity_checks import Remark, check_entry
from agent.core.activity_period import PERIOD_HINT, read_period
from agent.core.activity_words import (
    BASIS_WORDS,
    KIND_WORDS,
    ORIGIN_WORDS,
    RETIRE_WORDS,
    TREATMENT_WORDS,
    plain,
    unit_symbol,
)
from agent.core.units import UNITS, convert

FIELDS = (
    "kind",
    "item",
    "amount",
    "unit",
    "period",
    "batch",
    "place",
    "carbon_content",
    "carbon_basis",
    "purity",
    "treatment",
    "distance_km",
    "mode",
    "price_cny",
    "origin",
    "author",
    "note",
    "evidence_name",
    "evidence_sha256",
)
MOST_CHARACTERS = 400
_NUMBER = re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d*)?(?:e[+-]?\d+)?", re.I)
_SHA256 = re.compile(r"[0-9a-f]{64}")

W = TypeVar("W")


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Where and when an entry is made: the site's zone and places, and who enters by default."""

    zone: ZoneInfo
    now_ms: int
    origin: Origin
    author: str = ""
    places: Collection[str] | None = None  # None: any id is taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """An entry as read, or ``None`` with at least one fault among the remarks."""

    entry: ActivityEntry | None
    remarks: tuple[Remark, ...]


def read_entry(fields: Mapping[str, object], desk: Desk) -> Read:
    """Read one entry, all its faults at once.

    ``fields`` maps names of `FIELDS` to text, numbers or ``None``; empty text counts as absent.
    An ``amount`` of ``None`` (or «retire», «作废») retires the entry. Amounts are converted to
    the canonical unit: 1 200 MWh becomes 1 200 000 kWh, a share of carbon in % becomes tC/t.
    """
    reader = _Reader(fields)
    kind = reader.word("kind", KIND_WORDS, required=True)
    item = reader.text("item", required=True)
    batch, place = reader.text("batch"), reader.text("place")
    amount, unit = reader.amount(kind)
    start_ms, end_ms = reader.period(desk.zone, needed=not batch)
    treatment = reader.word("treatment", TREATMENT_WORDS) or ""
    mode = reader.text("mode")
    if item and not slug(item):
        reader.add("item", f'"{item}" has no letter or digit', "write the name of the material")
    if place and desk.places is not None and place not in desk.places:
        reader.add("place", f'"{place}" is not in the site file', _near(place, desk.places))
    content = reader.number("carbon_content", percent=True)
    basis = reader.word("carbon_basis", BASIS_WORDS) or ""
    purity = reader.number("purity", percent=True)
    distance_km, price_cny = reader.number("distance_km"), reader.number("price_cny")
    author, note = reader.text("author") or desk.author, reader.text("note")
    origin = reader.word("origin", ORIGIN_WORDS) or desk.origin
    evidence = reader.evidence()
    reader.unknown()
    if kind is None:
        return Read(entry=None, remarks=tuple(reader.remarks))
    entry = ActivityEntry(
        stream=stream_of(kind, item, place=place, treatment=treatment, mode=mode),
        kind=kind,
        item=item,
        amount=amount,
        unit=unit,
        start_ms=start_ms,
        end_ms=end_ms,
        batch=batch,
        place=place,
        carbon_content=content,
        carbon_basis=basis,
        purity=purity,
        treatment=treatment,
        distance_km=distance_km,
        mode=mode,
        price_cny=price_cny,
        origin=origin,
        author=author,
        note=note,
        evidence=evidence,
        entered_ms=desk.now_ms,
    )
    unreadable = {remark.field for remark in reader.remarks}
    remarks = reader.remarks + [
        remark for remark in check_entry(entry, desk.now_ms) if remark.field not in unreadable
    ]
    faulty = any(not remark.warning for remark in remarks)
    return Read(entry=None if faulty else entry, remarks=tuple(remarks))


class _Reader:
    """Takes fields one by one and notes what cannot be used."""

    def __init__(self, fields: Mapping[str, object]) -> None:
        self._fields = fields
        self.remarks: list[Remark] = []

    def add(self, field: str, what: str, hint: str) -> None:
        self.remarks.append(Remark(field=field, what=what, hint=hint))

    def text(self, name: str, *, required: bool = False) -> str:
        value = self._fields.get(name)
        if isinstance(value, bool) or not isinstance(value, str | int | float | None):
            self.add(name, "is not text", "write text")
            return ""
        text = plain("" if value is None else str(value))
        if not text and required:
            self.add(name, "missing", f"write the {name}")
        elif len(text) > MOST_CHARACTERS:
            self.add(name, f"has {len(text)} characters", f"at most {MOST_CHARACTERS}")
        elif any(ord(character) < 32 or 0xD800 <= ord(character) < 0xE000 for character in text):
            self.add(name, "holds control characters", "write it on one line")
        else:
            return text
        return ""

    def word(self, name: str, words: Mapping[str, W], *, required: bool = False) -> W | None:
        before = len(self.remarks)
        text = self.text(name, required=required).casefold()
        if not text or len(self.remarks) > before:
            return None
        if text not in words:
            self.add(name, f'"{_short(text)}" is unknown', _near(text, words))
            return None
        return words[text]

    def number(self, name: str, *, percent: bool = False) -> float | None:
        value = self._fields.get(name)
        if value is None or value == "":
            return None
        number = _number(value, percent=percent)
        if number is None:
            self.add(name, f'"{_short(value)}" is not a number', "write digits such as 1234.5")
        return number

    def amount(self, kind: ActivityKind | None) -> tuple[float | None, str]:
        """Amount and unit in the canonical unit of what was measured."""
        retired = self._retired()
        value = None if retired else self.number("amount")
        if not retired and self._fields.get("amount") in (None, ""):
            hint = "write the number, 0 for none, or «retire» to withdraw the entry"
            self.add("amount", "missing", hint)
        symbol = unit_symbol(self.text("unit"))
        if not symbol:
            if not retired:
                self.add("unit", "missing", _units_hint(kind))
            return None, ""
        if symbol not in UNITS:
            self.add("unit", f'"{_short(symbol)}" is unknown', _units_hint(kind))
            return value, symbol
        if kind is None:
            return value, symbol
        unit = UNITS[symbol]
        if unit.dimension not in KIND_RULES[kind].dimensions:
            self.add(
                "unit", f'"{symbol}" ({unit.dimension}) does not fit {kind}', _units_hint(kind)
            )
            return value, symbol
        if symbol == "%":
            return None if value is None else value / 100, "tC/t"
        if value is None:
            return None, unit.canonical
        return convert(value, symbol, unit.canonical), unit.canonical

    def _retired(self) -> bool:
        value = self._fields.get("amount", "")
        return value is None or (isinstance(value, str) and plain(value).casefold() in RETIRE_WORDS)

    def period(self, zone: ZoneInfo, *, needed: bool) -> tuple[int | None, int | None]:
        before = len(self.remarks)
        text = self.text("period")
        if not text:
            if needed and len(self.remarks) == before:
                self.add("period", "missing", f"{PERIOD_HINT}; or a batch")
            return None, None
        try:
            return read_period(text, zone)
        except (ValueError, OverflowError):
            self.add("period", f'"{_short(text)}" is not a period', PERIOD_HINT)
            return None, None

    def evidence(self) -> Evidence | None:
        name, digest = self.text("evidence_name"), self.text("evidence_sha256").lower()
        if not digest:
            if name:
                self.add("evidence_sha256", "missing", "the SHA-256 of the file in hex")
            return None
        if not _SHA256.fullmatch(digest):
            self.add("evidence_sha256", "is not a SHA-256", "64 hex digits")
            return None
        return Evidence(name=name or digest[:12], sha256=digest)

    def unknown(self) -> None:
        for name in self._fields:
            if name not in FIELDS:
                self.add(_short(name), "unknown field", _near(name, FIELDS))


def _number(value: object, *, percent: bool) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:
            return None
        return number if math.isfinite(number) else None
    if not isinstance(value, str):
        return None
    text = plain(value).replace(" ", "").replace("−", "-")
    if percent and text.endswith("%"):
        share = _number(text[:-1], percent=False)
        return None if share is None else share / 100
    if not _NUMBER.fullmatch(text) or not any(character.isdigit() for character in text):
        return None
    try:
        number = float(text.replace(",", ""))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _units_hint(kind: ActivityKind | None) -> str:
    if kind is None:
        return "such as t, Nm3, MWh or GJ"
    dimensions = KIND_RULES[kind].dimensions
    fitting = [symbol for symbol, unit in UNITS.items() if unit.dimension in dimensions]
    return f"{kind} takes " + ", ".join(fitting)


def _near(word: str, known: Collection[str] | Mapping[str, object]) -> str:
    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    if close:
        return f'did you mean "{close[0]}"?'
    return "known: " + ", ".join(known) if known else "none is defined"


def _short(value: object) -> str:
    text = str(value).replace("\n", " ")
    return text if len(text) <= 40 else text[:39] + "…"
