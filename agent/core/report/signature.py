"""What a sign-off signs: the figures of a month as one canonical text and its hash."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agent.core.report.model import Change, EntryFigures, MonthReport, SourceFigures

SCHEMA = 1


def signed_figures(report: MonthReport, gateways: Sequence[str]) -> str:
    """The figures of some gateways that a department vouches for, as canonical JSON.

    Every mass to the milligram, every factor with its version, every entry with its revision;
    nothing that may differ between two prints of the same figures (time, language, findings),
    so that gateway and ledger print the same. A source that booked nothing is no figure.
    """
    sources = {
        source.place.id: source
        for source in report.sources
        if source.windows and source.place.gateway in gateways
    }
    figures = {
        "schema": SCHEMA,
        "site": report.site.id,
        "gateways": sorted(gateways),
        "month": str(report.month),
        "rules": report.site.rules,
        "gwp": report.site.gwp,
        "sources": {
            _own(source): {
                "kind": source.place.kind,
                "kgco2": str(source.mass.kgco2),
                "kgch4": str(source.mass.kgch4),
                "kgn2o": str(source.mass.kgn2o),
                "kgco2e": str(source.mass.kgco2e),
                "estimated_kgco2e": str(source.mass.estimated_kgco2e),
            }
            for source in sources.values()
        },
        "factors": {
            f"{_own(sources[use.source])} {use.ref.id} {use.ref.version} {use.ref.value!r}": {
                "value": repr(use.ref.value),
                "unit": use.ref.unit,
                "kgco2e": str(use.kgco2e),
            }
            for use in report.factors
            if use.source in sources
        },
        "entries": {
            key: {
                "amount": repr(part.amount),
                "unit": part.entry.unit,
                "carbon_content": repr(part.entry.carbon_content),
                "revision": part.entry.revision,
            }
            for key, part in _entries(report, gateways)
        },
    }
    return json.dumps(figures, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _entries(report: MonthReport, gateways: Sequence[str]) -> Iterator[tuple[str, EntryFigures]]:
    """Entries by series and batch or start; by their length, too, where several start together."""
    listed = [part for part in report.entries if part.gateway in gateways]
    keys = [f"{part.entry.stream} {part.entry.batch or part.entry.start_ms}" for part in listed]
    times = Counter(keys)
    for key, part in zip(keys, listed, strict=True):
        yield key if times[key] == 1 else f"{key} {part.entry.length_ms}", part


def _own(source: SourceFigures) -> str:
    """What its gateway calls a source; beside others it may bear the gateway's id."""
    return source.place.id.removeprefix(f"{source.place.gateway}/")


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
