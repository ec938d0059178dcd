"""The activity entry as the line of a sync batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.core.activity import ActivityEntry, ActivityKind, Evidence, Origin
from agent.core.errors import ProofError
from agent.core.record_fields import count, float_or_none, integer, optional, text, word

ACTIVITY_COLUMNS = (
    "stream",
    "start",
    "length",
    "batch",
    "revision",
    "kind",
    "item",
    "amount",
    "unit",
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
    "entered",
)


def activity_values(entry: ActivityEntry) -> list[Any]:
    """The values of an entry in the order of `ACTIVITY_COLUMNS`."""
    evidence = entry.evidence
    return [
        entry.stream,
        entry.start_ms,
        entry.length_ms,
        entry.batch,
        entry.revision,
        entry.kind.value,
        entry.item,
        float_or_none(entry.amount),
        entry.unit,
        entry.place,
        float_or_none(entry.carbon_content),
        entry.carbon_basis,
        float_or_none(entry.purity),
        entry.treatment,
        float_or_none(entry.distance_km),
        entry.mode,
        float_or_none(entry.price_cny),
        entry.origin.value,
        entry.author,
        entry.note,
        evidence.name if evidence else None,
        evidence.sha256 if evidence else None,
        entry.entered_ms,
    ]


def decode_activity(fields: Mapping[str, Any]) -> ActivityEntry:
    """An entry from its columns; a wrong type raises ``ProofError``."""
    start_ms, end_ms = _period(fields)
    return ActivityEntry(
        stream=text(fields, "stream"),
        kind=word(fields, "kind", ActivityKind),
        item=text(fields, "item"),
        amount=optional(fields, "amount"),
        unit=text(fields, "unit"),
        start_ms=start_ms,
        end_ms=end_ms,
        batch=text(fields, "batch"),
        revision=count(fields, "revision", least=0),
        place=text(fields, "place"),
        carbon_content=optional(fields, "carbon_content"),
        carbon_basis=text(fields, "carbon_basis"),
        purity=optional(fields, "purity"),
        treatment=text(fields, "treatment"),
        distance_km=optional(fields, "distance_km"),
        mode=text(fields, "mode"),
        price_cny=optional(fields, "price_cny"),
        origin=word(fields, "origin", Origin),
        author=text(fields, "author"),
        note=text(fields, "note"),
        evidence=_evidence(fields),
        entered_ms=integer(fields, "entered"),
    )


def _period(fields: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Start and end of an activity entry, which may be that of a batch alone."""
    if fields["start"] is None and fields["length"] is None:
        if not text(fields, "batch"):
            raise ProofError("an activity entry has neither a period nor a batch")
        return None, None
    start_ms = integer(fields, "start")
    end_ms = start_ms + count(fields, "length", least=1)
    if end_ms >= 2**63:
        raise ProofError("length leads beyond a 64-bit time")
    return start_ms, end_ms


def _evidence(fields: Mapping[str, Any]) -> Evidence | None:
    if fields["evidence_name"] is None and fields["evidence_sha256"] is None:
        return None
    return Evidence(name=text(fields, "evidence_name"), sha256=text(fields, "evidence_sha256"))
