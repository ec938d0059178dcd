"""Level 1: what is missing, stream by stream, source by source, entry by entry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from agent.core.activity import ActivityEntry, ActivityKind
from agent.core.checks.finding import Finding, FindingCode
from agent.core.model import Provenance, Severity
from agent.core.report.model import UNKNOWN, EntryFigures, SourceFigures, StreamFigures
from agent.core.timebase import DAY_MS, HOUR_MS

LONG_GAP_H = 24.0  # from here on similar operating conditions or a manual value are needed
ESTIMATED_LIMIT = 0.05  # share of a stream's amount that may be estimated without a reason
ENTRY_DUE_DAYS = 40.0  # evidence of a month is due within 40 days of its end (notice of 2026)

MANY_STREAMS = 3  # from here on a finding that streams have in common is said once

_ONCE_FOR_MANY = (FindingCode.NO_DATA, FindingCode.MISSING_WINDOWS, FindingCode.OPEN_GAP)
_CARBON_CARRIERS = (ActivityKind.RAW_MATERIAL, ActivityKind.PRODUCT, ActivityKind.WASTE)


def month_running(complete: bool, from_ms: int, now_ms: int, to_ms: int) -> Iterator[Finding]:
    """The month is not over, so that every figure may still change."""
    if not complete:
        yield Finding(
            code=FindingCode.MONTH_RUNNING,
            subject="month",
            name="",
            severity=Severity.INFO,
            number=max(0.0, (now_ms - from_ms) / DAY_MS),
            limit=(to_ms - from_ms) / DAY_MS,
            unit="d",
        )


def first_hour(begun_ms: int) -> Finding:
    """A gateway has begun to book, and no full hour of it is over: nothing is missing yet."""
    return Finding(
        code=FindingCode.FIRST_HOUR,
        subject="month",
        name="",
        severity=Severity.INFO,
        from_ms=begun_ms,
    )


def all_stream_findings(streams: Iterable[StreamFigures]) -> Iterator[Finding]:
    """The findings of every stream; what many lack for the same time is said once."""
    alike: dict[tuple[object, ...], list[Finding]] = {}
    for stream in streams:
        for finding in stream_findings(stream):
            same = (finding.code, finding.number, finding.from_ms, finding.to_ms)
            alone = () if finding.code in _ONCE_FOR_MANY else (finding.subject,)
            alike.setdefault((*same, *alone), []).append(finding)
    for found in alike.values():
        if len(found) < MANY_STREAMS:
            yield from found
            continue
        subject = f"{found[0].subject}+{len(found) - 1}"
        yield replace(found[0], subject=subject, streams=len(found))


def stream_findings(stream: StreamFigures) -> Iterator[Finding]:
    """Missing time, open gaps and the estimated part of one stream."""
    place = stream.place
    missing_ms = stream.times_ms.get(Provenance.MISSING, 0)
    span = (stream.first_missing_ms, stream.last_missing_ms)
    if missing_ms and missing_ms >= stream.elapsed_ms:
        severity = Severity.ALARM if missing_ms / HOUR_MS > LONG_GAP_H else Severity.WARNING
        yield _of_stream(stream, FindingCode.NO_DATA, severity, missing_ms, span)
        return
    if missing_ms - stream.open_gap_ms > 0:
        hours = (missing_ms - stream.open_gap_ms) / HOUR_MS
        severity = Severity.ALARM if hours > LONG_GAP_H else Severity.WARNING
        yield _of_stream(
            stream, FindingCode.MISSING_WINDOWS, severity, missing_ms - stream.open_gap_ms, span
        )
    if stream.open_gap_ms:
        yield _of_stream(stream, FindingCode.OPEN_GAP, Severity.WARNING, stream.open_gap_ms, span)
    share = estimated_amount_share(stream)
    if share > 0:
        yield Finding(
            code=FindingCode.ESTIMATED,
            subject=place.id,
            name=place.meter_name,
            severity=Severity.WARNING if share > ESTIMATED_LIMIT else Severity.INFO,
            number=share * 100,
            limit=ESTIMATED_LIMIT * 100,
            unit="%",
            reference=stream.amounts.get(Provenance.ESTIMATED),
            reference_unit=place.unit,
        )


def estimated_amount_share(stream: StreamFigures) -> float:
    """Which part of a stream's amount is estimated, 0..1."""
    total = sum(abs(amount) for amount in stream.amounts.values())
    estimated = abs(stream.amounts.get(Provenance.ESTIMATED, 0.0))
    return estimated / total if total else 0.0


def _of_stream(
    stream: StreamFigures,
    code: FindingCode,
    severity: Severity,
    missing_ms: int,
    span: tuple[int | None, int | None],
) -> Finding:
    return Finding(
        code=code,
        subject=stream.place.id,
        name=stream.place.meter_name,
        severity=severity,
        number=missing_ms / HOUR_MS,
        limit=0.0,
        unit="h",
        from_ms=span[0],
        to_ms=span[1],
    )


def source_findings(
    sources: Sequence[SourceFigures],
    streams: Iterable[StreamFigures],
    *,
    complete: bool,
    described: bool = True,
) -> Iterator[Finding]:
    """Sources without a place, and amounts that no emission was computed from."""
    if not sources:
        yield Finding(code=FindingCode.NO_SOURCE, subject="site", name="", severity=Severity.ALARM)
    by_stream = {stream.place.id: stream for stream in streams}
    for source in sources:
        if source.place.kind == UNKNOWN and described:
            yield Finding(
                code=FindingCode.UNKNOWN_SOURCE,
                subject=source.place.id,
                name=source.place.name,
                severity=Severity.WARNING,
                number=float(source.mass.kgco2e) / 1000,
                unit="tCO2e",
            )
            continue
        if source.place.period and complete and source.missing_windows >= source.windows:
            yield Finding(
                code=FindingCode.PERIOD_MISSING,
                subject=source.place.id,
                name=source.place.name,
                severity=Severity.ALARM,
            )
        stream = by_stream.get(source.place.stream)
        if stream is None:
            continue
        window_ms = stream.elapsed_ms - stream.times_ms.get(Provenance.MISSING, 0)
        absent_ms = window_ms - source.computed_ms
        if absent_ms > 0:
            yield Finding(
                code=FindingCode.NOT_COMPUTED,
                subject=source.place.id,
                name=source.place.name,
                severity=Severity.ALARM,
                number=absent_ms / HOUR_MS,
                limit=0.0,
                unit="h",
            )


def entry_findings(
    entries: Iterable[EntryFigures],
    before: Iterable[ActivityEntry],
    month_end_ms: int,
    now_ms: int,
) -> Iterator[Finding]:
    """Batches without a carbon content, and series of last month that have no entry yet.

    ``before`` are the entries of the month before.
    """
    listed = [part.entry for part in entries]
    yield from _without_carbon_content(listed)
    yield from _overdue(listed, before, month_end_ms, now_ms)


def _without_carbon_content(entries: Sequence[ActivityEntry]) -> Iterator[Finding]:
    analysed = {
        (_folded(entry.item), entry.batch)
        for entry in entries
        if entry.kind is ActivityKind.CARBON_CONTENT
    }
    # where a site analyses carbon contents at all, every batch of such a stream needs one
    balanced = {_folded(entry.item) for entry in entries if entry.carbon_content is not None}
    balanced |= {item for item, _ in analysed}
    lacking: dict[str, list[ActivityEntry]] = {}
    for entry in entries:
        item = _folded(entry.item)
        known = (item, entry.batch) in analysed or (item, "") in analysed
        if (
            entry.kind in _CARBON_CARRIERS
            and item in balanced
            and entry.carbon_content is None
            and not known
        ):
            lacking.setdefault(entry.stream, []).append(entry)
    for stream, without in lacking.items():
        yield Finding(
            code=FindingCode.CARBON_CONTENT,
            subject=stream,
            name=without[0].item,
            severity=Severity.WARNING,
            number=float(len(without)),
            limit=0.0,
            reference=sum(entry.amount or 0.0 for entry in without),
            reference_unit=without[0].unit,
            detail=", ".join(entry.batch for entry in without if entry.batch),
        )


def _folded(item: str) -> str:
    return item.strip().casefold()


def _overdue(
    entries: Sequence[ActivityEntry],
    before: Iterable[ActivityEntry],
    month_end_ms: int,
    now_ms: int,
) -> Iterator[Finding]:
    if now_ms < month_end_ms:
        return
    days = (now_ms - month_end_ms) / DAY_MS
    present = {entry.stream for entry in entries}
    series = {entry.stream: entry for entry in before if not entry.batch}
    for stream, entry in series.items():
        if stream not in present:
            yield Finding(
                code=FindingCode.ENTRY_OVERDUE,
                subject=stream,
                name=entry.item,
                severity=Severity.ALARM if days > ENTRY_DUE_DAYS else Severity.WARNING,
                number=days,
                limit=ENTRY_DUE_DAYS,
                unit="d",
                reference=entry.amount,
                reference_unit=entry.unit,
            )
