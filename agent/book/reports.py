"""A month of the book as a report: read once, summed, checked, ready to be put into words."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from agent.book.activity import SqliteActivity
from agent.book.ports import Owner, Span
from agent.book.report_rows import ReportRows
from agent.book.reviews import reviewed_figures, reviews_of
from agent.config.report_site import ReportReference
from agent.core.activity import KIND_RULES, ActivityEntry
from agent.core.activity_sums import amounts
from agent.core.checks import completeness, plausibility, review
from agent.core.checks.finding import Finding
from agent.core.checks.plausibility import Past
from agent.core.report import figures as figure
from agent.core.report.model import (
    Comparison,
    EntryFigures,
    FactorUse,
    MonthReport,
    ReviewFigures,
    SignOff,
    SourceFigures,
    StreamFigures,
    Totals,
    kept,
)
from agent.core.report.month import Month
from agent.core.report.signature import figures_hash, signed_figures
from agent.core.report.sums import SourceSum, StreamSum, sum_source, sum_stream
from agent.core.timebase import DAY_MS, HOUR_MS, MINUTE_MS, floor_boundary

if TYPE_CHECKING:
    from sqlite3 import Connection

SETTLED_MS = 10 * MINUTE_MS  # by then the windows of an hour have closed
PAST_MONTHS = (1, 2, 3, 12)  # how many months back a source's history is looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class _Former:
    """Another month: sums by source and the share of its time that was computed."""

    month: Month
    kgco2e: dict[str, Decimal]
    computed_ms: dict[str, int]
    length_ms: int

    def comparison(self) -> Comparison | None:
        if not self.kgco2e:
            return None
        computed = sum(self.computed_ms.values())
        return Comparison(
            month=self.month,
            kgco2e=sum(self.kgco2e.values(), Decimal(0)),
            coverage=computed / (self.length_ms * len(self.kgco2e)),
        )


def month_report(
    connection: Connection,
    reference: ReportReference,
    owners: Sequence[Owner],
    month: Month,
    now_ms: int,
) -> MonthReport:
    """The report of one site's month over all its gateways.

    Reads current revisions only. A month that is not over is reported up to the last full hour
    whose windows have closed, and cannot be signed; one in the future is empty.
    """
    site = reference.site
    zone = ZoneInfo(site.timezone)
    from_ms, to_ms = month.span(zone)
    until_ms = to_ms if now_ms >= to_ms else floor_boundary(now_ms - SETTLED_MS, HOUR_MS)
    span = Span(from_ms=from_ms, to_ms=max(from_ms, until_ms))
    rows = ReportRows(connection)
    streams = _streams(rows, reference, owners, span)
    sums = dict(_source_sums(rows, owners, span, zone))
    apart = {place.id for place in site.sources if not place.counted}
    former = {
        back: _former(rows, owners, month.shifted(-back), zone, apart) for back in PAST_MONTHS
    }
    booked = figure.booked_sources(site.sources, sums, streams)
    entries, before = _entries(connection, owners, span, month.shifted(-1).span(zone))
    report = _figures(reference, month, booked, former, (from_ms, to_ms))
    report = replace(
        report,
        gateways=tuple(dict.fromkeys(owner.gateway for owner in owners)),
        until_ms=span.to_ms,
        made_ms=now_ms,
        complete=now_ms >= to_ms,
        streams=tuple(stream.figures for stream in streams.values()),
        entries=entries,
    )
    return _reviewed(
        connection,
        owners,
        report,
        list(_findings(reference, report, booked, former, before, now_ms)),
    )


def _streams(
    rows: ReportRows, reference: ReportReference, owners: Sequence[Owner], span: Span
) -> dict[str, StreamSum]:
    """Every configured stream, also one without a window."""
    numbers = {
        name: series for owner in owners for name, series in rows.series(owner, "stream").items()
    }
    found = {}
    for place in reference.site.streams:
        series = numbers.get(place.id)
        windows = rows.windows(series, span) if series is not None else iter(())
        found[place.id] = sum_stream(place, windows, (span.from_ms, span.to_ms))
    return found


def _source_sums(
    rows: ReportRows, owners: Sequence[Owner], span: Span, zone: ZoneInfo
) -> Iterator[tuple[str, SourceSum]]:
    """Every source that the book knows in the month; one name at two gateways is two sources."""
    seen: set[str] = set()
    for owner in owners:
        for name, series in rows.series(owner, "source").items():
            label = f"{owner.gateway}/{name}" if name in seen else name
            seen.add(name)
            found = sum_source(
                label, rows.emissions(series, span), (span.from_ms, span.to_ms), zone
            )
            if found.windows:
                yield label, found


def _former(
    rows: ReportRows, owners: Sequence[Owner], month: Month, zone: ZoneInfo, apart: Container[str]
) -> _Former:
    from_ms, to_ms = month.span(zone)
    kgco2e: dict[str, Decimal] = {}
    computed_ms: dict[str, int] = {}
    for owner in owners:
        for name, series in rows.series(owner, "source").items():
            found = rows.booked(series, Span(from_ms=from_ms, to_ms=to_ms))
            if found is not None and name not in apart:
                label = f"{owner.gateway}/{name}" if name in kgco2e else name
                kgco2e[label] = kept(found.kgco2e)
                computed_ms[label] = found.computed_ms
    return _Former(month=month, kgco2e=kgco2e, computed_ms=computed_ms, length_ms=to_ms - from_ms)


def _entries(
    connection: Connection,
    owners: Sequence[Owner],
    span: Span,
    before: tuple[int, int],
) -> tuple[tuple[EntryFigures, ...], list[ActivityEntry]]:
    """The entries of the month with what falls into it, and those of the month before."""
    book = SqliteActivity(connection)
    former = Span(from_ms=before[0], to_ms=before[1])
    now: list[ActivityEntry] = []
    past: list[ActivityEntry] = []
    for owner in owners:
        now += book.current_activity(owner, span)
        now += [
            entry
            for entry in book.unplaced_activity(owner)
            if span.from_ms <= entry.entered_ms < span.to_ms
        ]
        past += book.current_activity(owner, former)
    return tuple(_entry(entry, span) for entry in now), past


def _entry(entry: ActivityEntry, span: Span) -> EntryFigures:
    whole = entry.amount or 0.0
    if KIND_RULES[entry.kind].level or entry.start_ms is None:
        return EntryFigures(entry=entry, amount=whole, divided=False)
    inside = entry.start_ms >= span.from_ms and (entry.end_ms or 0) <= span.to_ms
    if inside:
        return EntryFigures(entry=entry, amount=whole, divided=False)
    parts = amounts([replace(entry, distance_km=None)], (span.from_ms, span.to_ms))
    return EntryFigures(entry=entry, amount=sum(part.amount for part in parts), divided=True)


def _figures(
    reference: ReportReference,
    month: Month,
    booked: Sequence[figure.Booked],
    former: dict[int, _Former],
    span: tuple[int, int],
) -> MonthReport:
    """The sums of the month; what only the caller knows is filled in there."""
    site = reference.site
    counted = [source for source in booked if source.place.counted]
    compared = [source for source in booked if not source.place.counted]
    totals: Totals = figure.totals_of(counted)
    total = totals.mass.kgco2e
    ordered = sorted(counted, key=lambda one: (-one.sum.mass.kgco2e, one.place.id))

    def figures(sources: Sequence[figure.Booked]) -> tuple[SourceFigures, ...]:
        return figure.source_figures(sources, total, former[1].kgco2e, former[12].kgco2e)

    return MonthReport(
        site=site,
        gateways=(),
        month=month,
        from_ms=span[0],
        to_ms=span[1],
        until_ms=span[1],
        made_ms=span[1],
        complete=True,
        totals=totals,
        sources=figures(ordered),
        compared=figures(compared),
        devices=figure.group_figures(
            counted, lambda place: place.device, lambda place: place.device_name, total
        ),
        units=figure.group_figures(
            counted, lambda place: place.unit, lambda place: place.unit_name, total
        ),
        areas=figure.group_figures(
            counted, lambda place: place.area, lambda place: place.area_name, total
        ),
        stages=figure.group_figures(counted, lambda place: place.stage, lambda place: "", total),
        days=figure.day_figures(counted, span, ZoneInfo(site.timezone)),
        streams=(),
        entries=(),
        factors=tuple(_factor_uses(reference, ordered)),
        previous=former[1].comparison(),
        last_year=former[12].comparison(),
        findings=(),
        reviews=(),
        sign_off=SignOff.DRAFT,
        figures="",
        figures_hash="",
    )


def _factor_uses(
    reference: ReportReference, sources: Iterable[figure.Booked]
) -> Iterator[FactorUse]:
    for source in sources:
        for part in source.sum.by_factor:
            yield FactorUse(
                source=source.place.id,
                ref=part.ref,
                document=reference.document(part.ref),
                first_ms=part.first_ms,
                end_ms=part.end_ms,
                windows=part.windows,
                kgco2e=part.mass.kgco2e,
            )


def _findings(
    reference: ReportReference,
    report: MonthReport,
    booked: Sequence[figure.Booked],
    former: dict[int, _Former],
    before: Sequence[ActivityEntry],
    now_ms: int,
) -> Iterator[Finding]:
    """Levels 1 and 2."""
    counted = [source for source in booked if source.place.counted]
    compared = [source for source in booked if not source.place.counted]
    names = {source.place.id: source.place.name for source in counted}
    yield from completeness.month_running(report.complete, report.from_ms, now_ms, report.to_ms)
    yield from _stream_findings(report.streams)
    yield from completeness.source_findings((*report.sources, *report.compared), report.streams)
    yield from completeness.entry_findings(report.entries, before, report.to_ms, now_ms)
    yield from plausibility.history_findings(counted, _past(former))
    yield from plausibility.peer_findings(counted)
    yield from plausibility.sector_findings(counted, report.entries, reference.benchmarks)
    yield from plausibility.own_factor_findings(report.factors, reference.defaults, names)
    yield from plausibility.cems_findings(compared, counted)
    yield from plausibility.arithmetic_findings(counted)


def _stream_findings(streams: Iterable[StreamFigures]) -> Iterator[Finding]:
    for stream in streams:
        yield from completeness.stream_findings(stream)


def _past(former: dict[int, _Former]) -> dict[str, list[Past]]:
    past: dict[str, list[Past]] = {}
    for month in former.values():
        for source, kgco2e in month.kgco2e.items():
            computed_ms = month.computed_ms[source]
            if computed_ms:
                past.setdefault(source, []).append(
                    Past(
                        kgco2e_per_day=float(kgco2e) / (computed_ms / DAY_MS),
                        coverage=computed_ms / month.length_ms,
                    )
                )
    return past


def _reviewed(
    connection: Connection,
    owners: Sequence[Owner],
    report: MonthReport,
    findings: Sequence[Finding],
) -> MonthReport:
    """The report with its canonical figures, its reviews and what level 3 finds."""
    text = signed_figures(
        site=report.site,
        gateways=report.gateways,
        month=report.month,
        sources=report.sources,
        factors=report.factors,
        entries=report.entries,
    )
    given = [one for owner in owners for one in reviews_of(connection, owner, report.month)]
    reviews: tuple[ReviewFigures, ...] = review.judged(
        given, figures_hash(text), text, reviewed_figures(connection, given)
    )
    every = (*findings, *review.review_findings(reviews, report.complete))
    return replace(
        report,
        findings=tuple(review.settled(every, reviews)),
        reviews=reviews,
        sign_off=review.sign_off(reviews, report.complete),
        figures=text,
        figures_hash=figures_hash(text),
    )
