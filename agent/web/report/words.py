"""Findings, places and periods of a report in one language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from agent.config.language import Language
from agent.config.source_factor import USER
from agent.core.activity import ActivityEntry
from agent.core.activity_period import period_text
from agent.core.checks.finding import Finding, FindingCode
from agent.core.report.model import (
    FactorDocument,
    MonthReport,
    ReviewFigures,
    SourceFigures,
    SourcePlace,
)
from agent.web.present import GROUP, NONE, number, register, unit_label

SIGNED = frozenset(
    {
        FindingCode.HISTORY,
        FindingCode.PEERS,
        FindingCode.OWN_FACTOR,
        FindingCode.CEMS,
        FindingCode.ARITHMETIC,
        FindingCode.BASIS,
    }
)
CITING = frozenset({FindingCode.SECTOR, FindingCode.OWN_FACTOR})
CHANGES_SHOWN = 4
_ENGLISH = re.compile("[a-z]{3}")  # a row of a document that names its rows in English

# How each kind of source is computed; the numbers are those of the 2013 guide where it has one.
METHODS: Mapping[str, str] = {
    "fuel": "E = FC · NCV · CC · OF · 44/12  (2)",
    "electricity": "E = AD · EF  (13)",
    "heat": "E = AD · EF  (14)",
    "carbon_balance": "E = (Σᵢ ADᵢ·CCᵢ − Σₒ ADₒ·CCₒ) · 44/12  (8)",
    "carbonate": "E = Σ AD · EF · PUR  (9)",
    "nitric_acid": "E = Σ AD · EF · (1 − η·μ) · GWP  (10)",
    "adipic_acid": "E = Σ AD · EF · (1 − η·μ) · GWP  (11)",
    "co2_recovery": "R = Q · PUR · 19.7  (12)",
    "reaction": "E = AD · ν(CO₂) · 44 / M",
    "coke_burn": "E = AD · CC · OF · 44/12",
    "cems": "E = Σ c · Q",
    "flare": "E = Q · [CC · OF · 44/12 + φ(CO₂) · 19.7]",
    "wastewater": "E = (TOW · B₀ · MCF − R) · GWP",
    "incineration": "E = AD · CCW · FCF · EF · 44/12",
    "landfill": "E = (AD · L₀ − R) · (1 − OX) · GWP",
    "transport": "E = m · d · EF",
}
METHOD_OF_OTHERS = "E = AD · EF"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportWords:
    """Says the parts of one report in one language."""

    t: Language
    zone: ZoneInfo
    gateways: int = 1  # of the report; beside others a place names its own
    names: Mapping[str, str] = field(default_factory=dict)  # of the sources, by id

    @classmethod
    def of(cls, report: MonthReport, language: Language) -> ReportWords:
        zone = ZoneInfo(report.site.timezone)
        return cls(
            t=language,
            zone=zone,
            gateways=len(report.gateways),
            names={source.place.id: source.place.name for source in report.sources},
        )

    @property
    def chinese(self) -> bool:
        return self.t.code.startswith("zh")

    def moment(self, time_ms: int | None) -> str:
        """Local date and time to the minute."""
        if time_ms is None:
            return NONE
        return datetime.fromtimestamp(time_ms / 1000, self.zone).strftime("%Y-%m-%d %H:%M")

    def span(self, from_ms: int | None, to_ms: int | None) -> str:
        return f"{self.moment(from_ms)} – {self.moment(to_ms)}"

    def days(self, from_ms: int, to_ms: int) -> str:
        """A span by its days, the last one included, where midnight cuts it; else to the minute."""
        ends = (from_ms, to_ms)
        first, end = (datetime.fromtimestamp(at_ms / 1000, self.zone) for at_ms in ends)
        if any(at.time() != time() for at in (first, end)) or end <= first:
            return self.span(from_ms, to_ms)
        return f"{first.date()} – {end.date() - timedelta(days=1)}"

    def month(self, report: MonthReport) -> str:
        return self.t("report.month", year=report.month.year, month=report.month.number)

    def place(self, place: SourcePlace) -> str:
        """Area, unit and device, the widest first; among several gateways the one that books it."""
        names = [place.area_name, place.unit_name, place.device_name]
        if not place.device:
            names = [self.t("report.no_place")]
        if self.gateways > 1:
            names.insert(0, place.gateway)
        return " › ".join(names)

    def source(self, source: SourceFigures) -> str:
        return source.place.name or source.place.id

    def kind(self, place: SourcePlace) -> str:
        carrier = place.carrier_zh if self.chinese else place.carrier_en
        kind = self.t.named("kind", place.kind)
        return f"{kind} ({carrier})" if carrier else kind

    def stage(self, stage: str) -> str:
        return self.t.named("stage", stage)

    def document(self, document: FactorDocument, evidence: str = "") -> str:
        """Standard, edition, table and row; of a value of the site's own, its evidence."""
        row = document.row
        if self.chinese and _ENGLISH.search(row):
            row = document.name_zh
        parts = (document.standard, document.edition, document.table, row)
        cited = self.cited(" · ".join(part for part in parts if part))
        if not cited and not self.chinese:
            cited = document.source  # of a computed value; it is in English
        proof = evidence if document.status == USER else ""
        return "; ".join(part for part in (cited, proof) if part) or NONE

    def cited(self, text: str) -> str:
        """A citation, parts apart by « · », each in this language where it has a name in it."""
        return " · ".join(self.t.named("cited", part) for part in text.split(" · "))

    def named(self, document: FactorDocument) -> str:
        """What a factor is of."""
        return (document.name_zh if self.chinese else document.name_en) or NONE

    def quoted(self, zh: str, en: str) -> str:
        return zh if self.chinese else en

    def status(self, document: FactorDocument) -> str:
        return self.t.named("status", document.status or "unknown")

    def period(self, entry: ActivityEntry) -> str:
        if entry.start_ms is None or entry.end_ms is None:
            return entry.batch
        text = period_text(entry.start_ms, entry.end_ms, self.zone)
        return f"{entry.batch} · {text}" if entry.batch else text

    def details(self, entry: ActivityEntry) -> str:
        """What else decides the figure of an entry: purity, treatment, distance."""
        parts = (
            "" if entry.purity is None else f"{self.t('report.purity')} {entry.purity * 100:.6g} %",
            self.t.named("treatment", entry.treatment) if entry.treatment else "",
            "" if entry.distance_km is None else f"{number(entry.distance_km)} km",
        )
        return " · ".join(part for part in parts if part)

    def finding(self, finding: Finding) -> str:
        """What was found: the number, its place and the limit."""
        signed = finding.code in SIGNED
        return self.t(
            f"finding.{finding.code}",
            place=self.finding_place(finding),
            number=_quantity(finding.number, finding.unit, signed=signed),
            limit=_quantity(finding.limit, finding.unit),
            reference=_quantity(finding.reference, finding.reference_unit),
            span=self.span(finding.from_ms, finding.to_ms),
            time=self.moment(finding.from_ms),
            detail=self._detail(finding),
        )

    def finding_place(self, finding: Finding) -> str:
        if finding.level == 3:
            department, _, gateway = finding.subject.partition("@")
            named = self.t(f"department.{department}")
            return f"{gateway} {named}" if gateway else named
        place = finding.name or finding.subject
        if finding.streams > 1:
            return self.t("report.and_others", place=place, n=finding.streams)
        return place

    def settle(self, finding: Finding) -> str:
        """The way to settle it."""
        return self.t(f"settle.{finding.code}")

    def _detail(self, finding: Finding) -> str:
        if finding.code in CITING:
            return self.cited(finding.detail)
        if finding.code is not FindingCode.REVIEW_VOID:
            return finding.detail
        parts = finding.detail.split("; ")
        shown = "; ".join(self._change(part) for part in parts[:CHANGES_SHOWN])
        more = len(parts) - CHANGES_SHOWN
        return f"{shown} (+{more})" if more > 0 else shown

    def _change(self, change: str) -> str:
        """A changed figure with the parts of its path in words; a factor is told by its source."""
        path, colon, values = change.partition(": ")
        group, *parts = path.split(" › ")
        if parts and group in ("sources", "factors"):
            source = parts[0].partition(" ")[0]
            parts[0] = self.names.get(source) or parts[0]
        named = (self.t.named("figure", part) for part in (group, *parts))
        return f"{' › '.join(named)}{colon}{values}"

    def worth(self, review: ReviewFigures) -> str:
        """Whether a review still holds for today's figures."""
        if review.void:
            return self.t("report.review_void")
        return self.t("report.review_holds") if review.latest else self.t("report.review_former")


def grouped(value: Decimal | float, decimals: int) -> str:
    """A number with all its decimals, thousands apart by a narrow gap, a real minus sign."""
    text = f"{value:,.{decimals}f}".replace(",", GROUP)
    return text.replace("-", "\N{MINUS SIGN}")


def _quantity(value: float | None, unit: str, *, signed: bool = False) -> str:
    if value is None:
        return NONE
    if unit in ("%", "h", "d"):
        digits = 1 if abs(value) < 1000 and value != int(value) else 0
        text = number(value, decimals=digits)
    elif not unit and value == int(value):
        text = number(value, decimals=0)
    else:
        text = number(value) if abs(value) >= 1 or not unit else register(value, 4)
    sign = "+" if signed and value > 0 else ""
    return f"{sign}{text} {unit_label(unit)}".strip()
