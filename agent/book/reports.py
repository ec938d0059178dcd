"""A month of the book as a report: read once, summed, checked, ready to be put into words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from agent.book.activity import SqliteActivity
from agent.book.adjustments import adjustments_of
from agent.book.filled_gaps import FilledGaps, filled_gaps
from agent.book.ports import Owner, Span
from agent.book.report_rows import ReportRows
from agent.book.report_series import Series, labelled_series, placed_sources, placed_streams
from agent.book.reviews import reviewed_figures, reviews_of
from agent.book.sqlite import SqliteBook
from agent.config.report_site import ReportReference
from agent.core.activity import KIND_RULES, ActivityEntry, ActivityKind
from agent.core.activity_sums import amounts
from agent.core.checks import basis, completeness, plausibility, review
from agent.core.checks.balance import BALANCE_EVENTS, balance_findings
from agent.core.checks.finding import Finding, FindingCode
from agent.core.checks.plausibility import Past
from agent.core.model import Event, Severity
from agent.core.report import figures as figure
from agent.core.report.energy import energy_figures, product_figures
from agent.core.report.model import (
    Comparison,
    EntryFigures,
    FactorUse,
    MonthReport,
    ReviewFigures,
    SignOff,
    SourceFigures,
    StreamPlace,
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
    stream_series = labelled_series(rows, owners, "stream")
    source_series = labelled_series(rows, owners, "source")
    places = placed_sources(site, stream_series, source_series)
    gaps = filled_gaps(connection, owners, span)
    streams = dict(_streams(rows, placed_streams(site, stream_series), span, gaps))
    sums = dict(_source_sums(rows, source_series, span, zone))
    apart = {place.id for place in places if not place.counted}
    compared = [series for series in source_series if series.label not in apart]
    former = {back: _former(rows, compared, month.shifted(-back), zone) for back in PAST_MONTHS}
    booked = [
        _with_own_plant(reference, source)
        for source in figure.booked_sources(places, sums, streams)
    ]
    entries, before = _entries(connection, owners, span, month.shifted(-1).span(zone))
    report = _figures(reference, month, booked, former, (from_ms, to_ms))
    report = replace(
        report,
        gateways=tuple(dict.fromkeys(owner.gateway for owner in owners)),
        products=product_figures(
            [part for part in entries if part.entry.stream not in reference.recovered],
            [source for source in booked if source.place.counted],
        ),
        until_ms=span.to_ms,
        made_ms=now_ms,
        complete=now_ms >= to_ms,
        streams=tuple(stream.figures for stream in streams.values()),
        entries=entries,
        opening_stock=tuple(_opening_stock(before, span)),
    )
    return _reviewed(
        connection,
        owners,
        report,
        [
            *_findings(reference, report, booked, former, before, _begun_ms(rows, owners)),
            *balance_findings(_balance_events(connection, owners, span)),
        ],
    )


def _begun_ms(rows: ReportRows, owners: Iterable[Owner]) -> int | None:
    """When the first emission of the site was booked for."""
    begun = [found[0] for owner in owners if (found := rows.first_and_last_ms(owner))]
    return min(begun, default=None)


def _balance_events(connection: Connection, owners: Sequence[Owner], span: Span) -> Iterator[Event]:
    """What the daily balances of the span found; each is told at the end of its day."""
    after = Span(from_ms=span.from_ms + 1, to_ms=span.to_ms + 1)
    for owner in owners:
        yield from SqliteBook(connection).events(owner, after, -1, codes=BALANCE_EVENTS)


def _streams(
    rows: ReportRows,
    placed: Iterable[tuple[StreamPlace, Series | None]],
    span: Span,
    gaps: FilledGaps,
) -> Iterator[tuple[str, StreamSum]]:
    """Every configured stream, also one without a window."""
    for place, series in placed:
        bounds = (span.from_ms, span.to_ms)
        if series is None:
            yield place.id, sum_stream(place, (), bounds)
            continue
        own = gaps.get((series.gateway, series.name), ())
        yield place.id, sum_stream(place, rows.windows(series.number, span), bounds, own)


def _source_sums(
    rows: ReportRows, sources: Iterable[Series], span: Span, zone: ZoneInfo
) -> Iterator[tuple[str, SourceSum]]:
    """Every source that the book knows in the month."""
    for series in sources:
        emissions = rows.emissions(series.number, span)
        found = sum_source(series.label, emissions, (span.from_ms, span.to_ms), zone)
        if found.windows:
            yield series.label, replace(found, gateway=series.gateway)


def _former(rows: ReportRows, sources: Iterable[Series], month: Month, zone: ZoneInfo) -> _Former:
    from_ms, to_ms = month.span(zone)
    kgco2e: dict[str, Decimal] = {}
    computed_ms: dict[str, int] = {}
    for series in sources:
        found = rows.booked(series.number, Span(from_ms=from_ms, to_ms=to_ms))
        if found is not None:
            kgco2e[series.label] = kept(found.kgco2e)
            computed_ms[series.label] = found.computed_ms
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
    now: list[EntryFigures] = []
    past: list[ActivityEntry] = []
    for owner in owners:
        listed = [
            *book.current_activity(owner, span),
            *(
                entry
                for entry in book.unplaced_activity(owner)
                if span.from_ms <= entry.entered_ms < span.to_ms
            ),
        ]
        now += [_entry(entry, owner.gateway, span) for entry in listed]
        past += book.current_activity(owner, former)
    return tuple(now), past


def _opening_stock(before: Iterable[ActivityEntry], span: Span) -> Iterator[EntryFigures]:
    """What lay there when the month began: of each stock the last entry before it."""
    last: dict[str, ActivityEntry] = {}
    for entry in sorted(before, key=lambda one: one.end_ms or 0):
        if entry.kind is ActivityKind.INTERMEDIATE_STOCK and (entry.end_ms or 0) <= span.from_ms:
            last[entry.stream] = entry
    return (_entry(entry, "", span) for entry in last.values())


def _entry(entry: ActivityEntry, gateway: str, span: Span) -> EntryFigures:
    inside = (
        KIND_RULES[entry.kind].level
        or entry.start_ms is None
        or (entry.start_ms >= span.from_ms and (entry.end_ms or 0) <= span.to_ms)
    )
    amount = entry.amount or 0.0
    if not inside:
        parts = amounts([replace(entry, distance_km=None)], (span.from_ms, span.to_ms))
        amount = sum(part.amount for part in parts)
    return EntryFigures(entry=entry, amount=amount, divided=not inside, gateway=gateway)


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
    gross = totals.gross_kgco2e
    ordered = sorted(counted, key=lambda one: (-one.sum.mass.kgco2e, one.place.id))

    def figures(sources: Sequence[figure.Booked]) -> tuple[SourceFigures, ...]:
        return figure.source_figures(sources, gross, former[1].kgco2e, former[12].kgco2e)

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
            counted, lambda place: place.device, lambda place: place.device_name, gross
        ),
        units=figure.group_figures(
            counted, lambda place: place.unit, lambda place: place.unit_name, gross
        ),
        areas=figure.group_figures(
            counted, lambda place: place.area, lambda place: place.area_name, gross
        ),
        stages=figure.group_figures(counted, lambda place: place.stage, lambda place: "", gross),
        kinds=figure.group_figures(counted, lambda place: place.kind, lambda place: "", gross),
        gases=figure.gas_figures(
            [part.mass for source in counted for part in source.sum.by_factor],
            site.gwp_ch4,
            site.gwp_n2o,
        ),
        energy=energy_figures(ordered),
        products=(),
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


def _with_own_plant(reference: ReportReference, source: figure.Booked) -> figure.Booked:
    factors = reference.factors
    if factors is None or not source.place.period:
        return source
    return figure.with_own_plant(source, lambda ms: factors.grid_kg_per_mwh(source.place, ms))


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
                parts=reference.factors.parts(source.place, part.ref, part.first_ms)
                if reference.factors
                else (),
            )


def _findings(
    reference: ReportReference,
    report: MonthReport,
    booked: Sequence[figure.Booked],
    former: dict[int, _Former],
    before: Sequence[ActivityEntry],
    begun_ms: int | None,
) -> Iterator[Finding]:
    """Levels 1 and 2."""
    now_ms = report.made_ms
    counted = [source for source in booked if source.place.counted]
    compared = [source for source in booked if not source.place.counted]
    names = {source.place.id: source.place.name for source in counted}
    yield from completeness.month_running(report.complete, report.from_ms, now_ms, report.to_ms)
    if not report.complete and begun_ms is not None and begun_ms >= report.until_ms:
        yield completeness.first_hour(begun_ms)
    else:
        yield from completeness.all_stream_findings(report.streams)
    yield from _reference_findings(reference)
    yield from completeness.source_findings(
        (*report.sources, *report.compared),
        report.streams,
        complete=report.complete,
        described=reference.described,
    )
    yield from completeness.entry_findings(report.entries, before, report.to_ms, now_ms)
    yield from plausibility.history_findings(counted, _past(former))
    yield from plausibility.peer_findings(counted)
    yield from plausibility.sector_findings(counted, report.entries, reference.benchmarks)
    yield from plausibility.own_factor_findings(report.factors, reference.defaults, names)
    yield from plausibility.cems_findings(compared, counted)
    yield from plausibility.bill_and_meter_findings(counted, reference.billed)
    yield from plausibility.arithmetic_findings(counted)
    if reference.factors is not None:
        site, now = reference.site, reference.factors.factor_at
        yield from basis.basis_findings(booked, site.gwp_ch4, site.gwp_n2o, now)


def _reference_findings(reference: ReportReference) -> Iterator[Finding]:
    """What the report does not know of the site, or knows in two ways."""
    if not reference.described:
        yield Finding(
            code=FindingCode.NO_SITE_FILE,
            subject="site",
            name=reference.site.id,
            severity=Severity.WARNING,
        )
    for conflict in reference.conflicts:
        yield Finding(
            code=FindingCode.PLACE_CONFLICT,
            subject=f"{conflict.gateway}:{conflict.place}",
            name=conflict.gateway,
            severity=Severity.WARNING,
            detail=f"{conflict.place}: {conflict.other} ≠ {conflict.owned}",
        )


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
    text = signed_figures(report, report.gateways)
    reviews: list[ReviewFigures] = []
    for owner in owners:  # each gateway's figures are signed apart
        given = reviews_of(connection, owner, report.month)
        own = signed_figures(report, [owner.gateway])
        reviews += review.judged(owner.gateway, given, own, reviewed_figures(connection, given))
    every = (
        *findings,
        *review.review_findings(reviews, report.gateways, complete=report.complete),
    )
    return replace(
        report,
        findings=tuple(review.settled(every, reviews)),
        reviews=tuple(reviews),
        adjustments=tuple(
            one for owner in owners for one in adjustments_of(connection, owner, report.month)
        ),
        sign_off=review.sign_off(reviews, report.gateways, complete=report.complete),
        figures=text,
        figures_hash=figures_hash(text),
    )
