"""From what a person wrote (a form, a sheet's row, a JSON object) to an activity entry.

All three ways come through here, so that one set of words and checks holds for them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from agent.core.activity import (
    KIND_RULES,
    ActivityEntry,
    ActivityKind,
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
    TREATMENT_WORDS,
    unit_symbol,
)
from agent.core.field_reader import FieldReader, near, shortened
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
        reader.add("place", f'"{place}" is not in the site file', near(place, desk.places))
    content = reader.number("carbon_content", percent=True)
    basis = reader.word("carbon_basis", BASIS_WORDS) or ""
    purity = reader.number("purity", percent=True)
    distance_km, price_cny = reader.number("distance_km"), reader.number("price_cny")
    author, note = reader.text("author") or desk.author, reader.text("note")
    origin = reader.word("origin", ORIGIN_WORDS) or desk.origin
    evidence = reader.evidence()
    reader.unknown(FIELDS)
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


class _Reader(FieldReader):
    """The fields that only activity data has."""

    def amount(self, kind: ActivityKind | None) -> tuple[float | None, str]:
        """Amount and unit in the canonical unit of what was measured."""
        retired = self.retires("amount")
        value = None if retired else self.number("amount")
        if not retired and self.is_empty("amount"):
            hint = "write the number, 0 for none, or «retire» to withdraw the entry"
            self.add("amount", "missing", hint)
        symbol = unit_symbol(self.text("unit"))
        if not symbol:
            if not retired:
                self.add("unit", "missing", _units_hint(kind))
            return None, ""
        if symbol not in UNITS:
            self.add("unit", f'"{shortened(symbol)}" is unknown', _units_hint(kind))
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
            self.add("period", f'"{shortened(text)}" is not a period', PERIOD_HINT)
            return None, None


def _units_hint(kind: ActivityKind | None) -> str:
    if kind is None:
        return "such as t, Nm3, MWh or GJ"
    dimensions = KIND_RULES[kind].dimensions
    fitting = [symbol for symbol, unit in UNITS.items() if unit.dimension in dimensions]
    return f"{kind} takes " + ", ".join(fitting)
