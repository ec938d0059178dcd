"""Activity data that no meter reads: what a person, a laboratory or a bill says was used or made.

An entry is one amount of one stream (``activity.<kind>.<name>``) in one period or one batch. A
batch is whatever bears its own number: a production batch, a consignment, an invoice. Revisions
count from 0, the highest is current, and an amount of ``None`` retires the entry.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class ActivityKind(StrEnum):
    """What an entry is about; decides which units and which fields it takes."""

    RAW_MATERIAL = "raw-material"  # bought or taken in, fuels included
    PRODUCT = "product"
    INTERMEDIATE_STOCK = "intermediate-stock"  # the stock at the end of the period
    CARBON_CONTENT = "carbon-content"  # a laboratory's result
    WASTE = "waste"
    TRANSPORT = "transport"
    BILL = "bill"  # what an invoice of a supplier says


class Origin(StrEnum):
    """Who or what brought an entry."""

    MANUAL = "manual"
    IMPORT = "import"
    BILL = "bill"
    LABORATORY = "laboratory"
    API = "api"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The document behind an entry; the file itself is kept under its SHA-256."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityEntry:
    """One amount that no meter reads, in the canonical unit of its stream.

    ``start_ms`` and ``end_ms`` are ``None`` only where a batch alone says what the entry is of.
    ``place`` is the id of the device, unit, area or emission source it belongs to, or empty.
    ``carbon_content`` is in tC per tonne, or per 10⁴ Nm3 where the amount is a gas volume;
    ``purity`` is a fraction; ``distance_km`` and ``mode`` are of a transport.
    """

    stream: str
    kind: ActivityKind
    item: str
    amount: float | None
    unit: str
    start_ms: int | None
    end_ms: int | None
    batch: str = ""
    revision: int = 0
    place: str = ""
    carbon_content: float | None = None
    carbon_basis: str = ""
    purity: float | None = None
    treatment: str = ""
    distance_km: float | None = None
    mode: str = ""
    price_cny: float | None = None
    origin: Origin = Origin.MANUAL
    author: str = ""
    note: str = ""
    evidence: Evidence | None = None
    entered_ms: int = 0

    @property
    def length_ms(self) -> int | None:
        """The length of the period; ``None`` without one."""
        if self.start_ms is None or self.end_ms is None:
            return None
        return self.end_ms - self.start_ms

    @property
    def key(self) -> ActivityKey:
        """What tells entries of one stream apart; a revision has the key of what it replaces."""
        if self.batch:
            return self.stream, None, None, self.batch
        return self.stream, self.start_ms, self.length_ms, ""


ActivityKey = tuple[str, int | None, int | None, str]  # stream, start, length, batch


@dataclass(frozen=True, slots=True, kw_only=True)
class KindRule:
    """What an entry of a kind may and must carry."""

    dimensions: tuple[str, ...]
    fields: frozenset[str] = frozenset()
    required: tuple[str, ...] = ()
    level: bool = False  # a state at a time, not an amount over time: it does not add up


_QUANTITIES = ("mass", "normal gas volume", "volume", "energy")
_COMPOSITION = frozenset({"carbon_content", "carbon_basis", "purity"})

KIND_RULES: Mapping[ActivityKind, KindRule] = {
    ActivityKind.RAW_MATERIAL: KindRule(
        dimensions=_QUANTITIES, fields=_COMPOSITION | {"price_cny"}
    ),
    ActivityKind.PRODUCT: KindRule(dimensions=_QUANTITIES, fields=_COMPOSITION | {"price_cny"}),
    ActivityKind.INTERMEDIATE_STOCK: KindRule(
        dimensions=("mass", "normal gas volume", "volume"), fields=_COMPOSITION, level=True
    ),
    ActivityKind.CARBON_CONTENT: KindRule(
        dimensions=(
            "carbon content by mass",
            "carbon content by gas volume",
            "carbon content by energy",
            "share",
        ),
        fields=frozenset({"carbon_basis"}),
        level=True,
    ),
    ActivityKind.WASTE: KindRule(
        dimensions=("mass", "volume"),
        fields=_COMPOSITION | {"treatment", "price_cny"},
        required=("treatment",),
    ),
    ActivityKind.TRANSPORT: KindRule(
        dimensions=("mass", "freight"),
        fields=frozenset({"distance_km", "mode", "price_cny"}),
        required=("mode",),
    ),
    ActivityKind.BILL: KindRule(dimensions=_QUANTITIES, fields=frozenset({"price_cny"})),
}

# Fields that belong to some kinds only, in the order in which they are shown.
DETAIL_FIELDS = (
    "carbon_content",
    "carbon_basis",
    "purity",
    "treatment",
    "distance_km",
    "mode",
    "price_cny",
)

CARBON_BASES = ("as-received", "air-dried", "dry")
TREATMENTS = (
    "landfill",
    "incineration",
    "co-processing",
    "recycling",
    "wastewater-treatment",
    "storage",
    "other",
)


def slug(text: str) -> str:
    """A name as part of a stream id: letters and digits of any script, words joined by «-».

    >>> slug("废催化剂 (HW50)")
    '废催化剂-hw50'
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = "".join(
        character if character.isalnum() or unicodedata.category(character)[0] == "M" else " "
        for character in folded
    )
    return "-".join(words.split())


def stream_of(
    kind: ActivityKind, item: str, *, place: str = "", treatment: str = "", mode: str = ""
) -> str:
    """The stream of an entry: kind and item, and what else keeps amounts apart.

    The same waste landfilled and burned, the same goods by lorry and by pipeline, the same
    material in two devices are different streams.

    >>> stream_of(ActivityKind.WASTE, "废催化剂", treatment="landfill")
    'activity.waste.废催化剂-landfill'
    >>> stream_of(ActivityKind.RAW_MATERIAL, "Naphtha", place="f103")
    'activity.raw-material.naphtha.f103'
    """
    name = "-".join(part for part in (slug(item), slug(treatment), slug(mode)) if part)
    return ".".join(part for part in ("activity", kind.value, name, place) if part)


def same_content(entry: ActivityEntry, other: ActivityEntry) -> bool:
    """Whether two entries say the same, whoever said it when: then there is nothing to revise."""
    return _content(entry) == _content(other)


def _content(entry: ActivityEntry) -> tuple[object, ...]:
    return (
        entry.key,
        entry.item,
        entry.amount,
        entry.unit,
        entry.start_ms,
        entry.end_ms,
        *(getattr(entry, name) for name in DETAIL_FIELDS),
        entry.note,
        entry.evidence,
    )
