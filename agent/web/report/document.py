"""A report as one JSON document; masses are exact decimal numbers."""

from __future__ import annotations

from typing import Any

import msgspec

from agent.config.language import Language
from agent.core.report.model import (
    NINETY_OF_NINETY_FIVE,
    Comparison,
    EntryFigures,
    GroupFigures,
    Mass,
    MonthReport,
    SourceFigures,
)
from agent.core.report.rounding import summary
from agent.web.report.words import ReportWords

SCHEMA = 1
_ENCODER = msgspec.json.Encoder(decimal_format="number")


def render_json(report: MonthReport, language: Language) -> bytes:
    """The report for programs, on one line."""
    return _ENCODER.encode(document(report, language))


def document(report: MonthReport, language: Language) -> dict[str, Any]:
    """The report as plain values; only the words of findings depend on the language."""
    words = ReportWords.of(report, language)
    site = report.site
    printed = summary(report.sources, site.decimals_t)
    return {
        "schema": SCHEMA,
        "site": {"id": site.id, "name": site.name, "timezone": site.timezone},
        "gateways": report.gateways,
        "month": str(report.month),
        "from_ms": report.from_ms,
        "to_ms": report.to_ms,
        "until_ms": report.until_ms,
        "made_ms": report.made_ms,
        "complete": report.complete,
        "rules": site.rules,
        "gwp": {"set": site.gwp, "ch4": site.gwp_ch4, "n2o": site.gwp_n2o},
        "sign_off": report.sign_off,
        "figures_hash": report.figures_hash,
        "totals": {
            **_mass(report.totals.mass),
            **_interval(float(report.totals.mass.kgco2e), report.totals.half_95_kg),
            "estimated_share": report.totals.estimated_share,
            "gross_kgco2e": report.totals.gross_kgco2e,
            "without_energy": {
                **_mass(report.totals.without_energy),
                **_interval(
                    float(report.totals.without_energy.kgco2e),
                    report.totals.without_energy_half_95_kg,
                ),
                "estimated_share": report.totals.without_energy_estimated_share,
            },
        },
        "gases": report.gases,
        "kinds": [_group(group) for group in report.kinds],
        "energy": {
            "calorific_tce": report.energy.calorific_tce,
            "equivalent_tce": report.energy.equivalent_tce,
            "flows": report.energy.flows,
            "left_out": report.energy.left_out,
        },
        "products": report.products,
        "summary": {
            "lines": {line.line: {"t": line.tonnes, "tco2e": line.tco2e} for line in printed.lines},
            "total_tco2e": printed.total_tco2e,
            "without_energy_tco2e": printed.without_energy_tco2e,
        },
        "sources": [_source(source) for source in report.sources],
        "compared": [_source(source) for source in report.compared],
        "devices": [_group(group) for group in report.devices],
        "units": [_group(group) for group in report.units],
        "areas": [_group(group) for group in report.areas],
        "stages": [_group(group) for group in report.stages],
        "days": [{"day": day.day, **_mass(day.mass)} for day in report.days],
        "streams": [
            {
                "id": stream.place.id,
                "meter": stream.place.meter,
                "quantity": stream.place.quantity,
                "unit": stream.place.unit,
                "amount": stream.amount,
                "availability": stream.availability,
                "time_ms": stream.times_ms,
                "amounts": stream.amounts,
            }
            for stream in report.streams
        ],
        "entries": [_entry(part) for part in report.entries],
        "opening_stock": [_entry(part) for part in report.opening_stock],
        "factors": report.factors,
        "previous": _comparison(report.previous),
        "last_year": _comparison(report.last_year),
        "findings": [
            {
                "id": finding.id,
                "level": finding.level,
                "severity": finding.severity,
                "subject": finding.subject,
                "number": finding.number,
                "limit": finding.limit,
                "unit": finding.unit,
                "streams": finding.streams,
                "reference": finding.reference,
                "reference_unit": finding.reference_unit,
                "from_ms": finding.from_ms,
                "to_ms": finding.to_ms,
                "what": words.finding(finding),
                "settle": words.settle(finding),
                "settled_by": finding.settled_by,
            }
            for finding in report.findings
        ],
        "reviews": [
            {
                "gateway": one.gateway,
                "department": one.review.department,
                "name": one.review.name,
                "decision": one.review.decision,
                "note": one.review.note,
                "reviewed_ms": one.review.reviewed_ms,
                "settled": one.review.settled,
                "figures": one.review.figures,
                "void": one.void,
                "latest": one.latest,
                "changes": one.changes,
            }
            for one in report.reviews
        ],
        "adjustments": [
            {
                "source": one.source,
                "before_kgco2e": one.before_kgco2e,
                "after_kgco2e": one.after_kgco2e,
                "difference_kgco2e": one.difference_kgco2e,
                "reason": one.reason,
                "author": one.author,
                "figures": one.figures,
                "adjusted_ms": one.adjusted_ms,
            }
            for one in report.adjustments
        ],
    }


def _mass(mass: Mass) -> dict[str, Any]:
    return {
        "kgco2": mass.kgco2,
        "kgch4": mass.kgch4,
        "kgn2o": mass.kgn2o,
        "kgco2e": mass.kgco2e,
        "estimated_kgco2e": mass.estimated_kgco2e,
    }


def _interval(value: float, half_95: float) -> dict[str, float]:
    half_90 = half_95 * NINETY_OF_NINETY_FIVE
    return {
        "lower_95": value - half_95,
        "upper_95": value + half_95,
        "lower_90": value - half_90,
        "upper_90": value + half_90,
    }


def _source(source: SourceFigures) -> dict[str, Any]:
    place = source.place
    return {
        "id": place.id,
        "name": place.name,
        "kind": place.kind,
        "carrier": place.carrier,
        "device": place.device,
        "unit": place.unit,
        "area": place.area,
        "stage": place.stage,
        "gateway": place.gateway,
        "activity": source.activity,
        "activity_unit": place.unit_of_stream,
        **_mass(source.mass),
        **_interval(float(source.mass.kgco2e), source.half_95_kg),
        "own_plant_kgco2e": source.own_plant.kgco2e,
        "share": source.share,
        "estimated_share": source.estimated_share,
        "windows": source.windows,
        "missing_windows": source.missing_windows,
        "revised_windows": source.revised_windows,
        "previous_kgco2e": source.previous_kgco2e,
        "last_year_kgco2e": source.last_year_kgco2e,
    }


def _group(group: GroupFigures) -> dict[str, Any]:
    return {
        "id": group.key,
        "name": group.name,
        **_mass(group.mass),
        **_interval(float(group.mass.kgco2e), group.half_95_kg),
        "share": group.share,
        "estimated_share": group.estimated_share,
    }


def _entry(part: EntryFigures) -> dict[str, object]:
    return {
        "gateway": part.gateway,
        "amount_in_month": part.amount,
        "divided": part.divided,
        "entry": part.entry,
    }


def _comparison(comparison: Comparison | None) -> dict[str, Any] | None:
    if comparison is None:
        return None
    return {
        "month": str(comparison.month),
        "kgco2e": comparison.kgco2e,
        "coverage": comparison.coverage,
    }
