"""The manual entry as the line of a sync batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.core.activity import Evidence, Origin
from agent.core.manual import Form, ManualEntry
from agent.core.record_fields import count, float_or_none, integer, optional, text, word

MANUAL_COLUMNS = (
    "stream",
    "time",
    "revision",
    "start",
    "form",
    "value",
    "unit",
    "old_end",
    "new_start",
    "running_h",
    "origin",
    "author",
    "note",
    "warning",
    "evidence_name",
    "evidence_sha256",
    "entered",
)


def manual_values(entry: ManualEntry) -> list[Any]:
    """The values of an entry in the order of `MANUAL_COLUMNS`."""
    evidence = entry.evidence
    return [
        entry.stream,
        entry.time_ms,
        entry.revision,
        entry.start_ms,
        entry.form.value,
        float_or_none(entry.value),
        entry.unit,
        float_or_none(entry.old_end),
        float_or_none(entry.new_start),
        float_or_none(entry.running_h),
        entry.origin.value,
        entry.author,
        entry.note,
        entry.warning,
        evidence.name if evidence else None,
        evidence.sha256 if evidence else None,
        entry.entered_ms,
    ]


def decode_manual(fields: Mapping[str, Any]) -> ManualEntry:
    """An entry from its columns; a wrong type raises ``ProofError``."""
    named = fields["evidence_name"] is not None or fields["evidence_sha256"] is not None
    return ManualEntry(
        stream=text(fields, "stream"),
        time_ms=integer(fields, "time"),
        revision=count(fields, "revision", least=0),
        start_ms=None if fields["start"] is None else integer(fields, "start"),
        form=word(fields, "form", Form),
        value=optional(fields, "value"),
        unit=text(fields, "unit"),
        old_end=optional(fields, "old_end"),
        new_start=optional(fields, "new_start"),
        running_h=optional(fields, "running_h"),
        origin=word(fields, "origin", Origin),
        author=text(fields, "author"),
        note=text(fields, "note"),
        warning=text(fields, "warning"),
        evidence=Evidence(
            name=text(fields, "evidence_name"), sha256=text(fields, "evidence_sha256")
        )
        if named
        else None,
        entered_ms=integer(fields, "entered"),
    )
