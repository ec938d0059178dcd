"""What a sign-off signs: the figures of a month as one canonical text and its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from agent.core.report.model import Change, EntryFigures, FactorUse, ReportSite, SourceFigures
from agent.core.report.month import Month

SCHEMA = 1


def signed_figures(
    *,
    site: ReportSite,
    gateways: Iterable[str],
    month: Month,
    sources: Iterable[SourceFigures],
    factors: Iterable[FactorUse],
    entries: Iterable[EntryFigures],
) -> str:
    """The figures that a department vouches for, as canonical JSON.

    Every mass to the milligram, every factor with its version, every entry with its revision;
    nothing that may differ between two prints of the same figures (time, language, findings).
    """
    figures = {
        "schema": SCHEMA,
        "site": site.id,
        "gateways": sorted(gateways),
        "month": str(month),
        "rules": site.rules,
        "gwp": site.gwp,
        "sources": {
            source.place.id: {
                "kind": source.place.kind,
                "kgco2": str(source.mass.kgco2),
                "kgch4": str(source.mass.kgch4),
                "kgn2o": str(source.mass.kgn2o),
                "kgco2e": str(source.mass.kgco2e),
                "estimated_kgco2e": str(source.mass.estimated_kgco2e),
            }
            for source in sources
        },
        "factors": {
            f"{use.source} {use.ref.id} {use.ref.version} {use.ref.value!r}": {
                "value": repr(use.ref.value),
                "unit": use.ref.unit,
                "kgco2e": str(use.kgco2e),
            }
            for use in factors
        },
        "entries": {
            f"{part.entry.stream} {part.entry.batch or part.entry.start_ms}": {
                "amount": repr(part.amount),
                "unit": part.entry.unit,
                "carbon_content": repr(part.entry.carbon_content),
                "revision": part.entry.revision,
            }
            for part in entries
        },
    }
    return json.dumps(figures, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def figures_hash(figures: str) -> str:
    """SHA-256 of the canonical text, in hex."""
    return hashlib.sha256(figures.encode()).hexdigest()


def changes(before: str, after: str) -> tuple[Change, ...]:
    """Which signed figures are others now: the path of each, what it was and what it is."""
    old, new = _flat(json.loads(before)), _flat(json.loads(after))
    return tuple(
        Change(what=path, before=old.get(path, ""), after=new.get(path, ""))
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    )


def _flat(value: Any, path: str = "") -> dict[str, str]:
    if isinstance(value, Mapping):
        found: dict[str, str] = {}
        for key, part in value.items():
            found |= _flat(part, f"{path} › {key}" if path else str(key))
        return found
    if isinstance(value, list):
        return {path: ", ".join(str(part) for part in value)}
    return {path: str(value)}
