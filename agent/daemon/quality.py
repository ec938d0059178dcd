"""Data quality of a running gateway, as the web asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from agent.book.completeness import booked_times
from agent.book.ports import Owner, Span
from agent.config.site import SiteConfig
from agent.core.availability import Completeness, completeness
from agent.core.gaps.booked import GapFill
from agent.core.timebase import local_date, local_day, local_month
from agent.daemon.corrections import correct
from agent.store.gaps import GapFills
from agent.web.quality_view import (
    CompletenessBy,
    CompletenessPeriod,
    CompletenessQuery,
    Corrected,
)

if TYPE_CHECKING:
    from sqlite3 import Connection

    from agent.daemon.service import Gateway


class QualityDesk:
    """Implements `agent.web.quality_view.QualityView` on a gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def completeness(self, query: CompletenessQuery) -> Sequence[Completeness]:
        """Completeness by period and subject."""
        gateway = self._gateway
        return completeness_of(gateway.database.connection, gateway.owner, gateway.config, query)

    async def gaps(self, from_ms: int, to_ms: int) -> Sequence[GapFill]:
        """What became of the gaps that touch a span, by beginning and stream."""
        return GapFills(self._gateway.database.connection).between(from_ms, to_ms)

    async def correct(self, fields: Mapping[str, object]) -> Corrected:
        """Book a correction in the gateway's own file, and wake the pipeline to follow it."""
        gateway = self._gateway
        now_ms = gateway.clock.now_ms()
        detail = correct(gateway.database, gateway.owner, gateway.config, fields, now_ms)
        gateway.wake.ring()
        return Corrected(detail=detail)


def completeness_of(
    connection: Connection, owner: Owner, config: SiteConfig, query: CompletenessQuery
) -> tuple[Completeness, ...]:
    """Completeness per subject and period, oldest period first."""
    subjects = _subjects(config, query.by)
    return tuple(
        found
        for start_ms, end_ms in _periods(query, ZoneInfo(config.site.timezone))
        for found in completeness(
            booked_times(connection, owner, Span(from_ms=start_ms, to_ms=end_ms)),
            start_ms=start_ms,
            end_ms=end_ms,
            subjects=subjects,
        )
    )


def _subjects(config: SiteConfig, by: CompletenessBy) -> Mapping[str, Sequence[str]] | None:
    if by is CompletenessBy.STREAM:
        return None
    if by is CompletenessBy.DEVICE:
        return {device.id: [part.stream for part in device.streams] for device in config.devices}
    meters: dict[str, list[str]] = {}
    for stream in config.streams:
        meters.setdefault(config.meter_of(stream), []).append(stream)
    return meters


def _periods(query: CompletenessQuery, zone: ZoneInfo) -> Iterator[tuple[int, int]]:
    """The local days or months that the span touches."""
    time_ms = query.from_ms
    while time_ms < query.to_ms:
        day = local_date(time_ms, zone)
        if query.period is CompletenessPeriod.MONTH:
            start_ms, end_ms = local_month(day.year, day.month, zone)
        else:
            start_ms, end_ms = local_day(day, zone)
        yield start_ms, end_ms
        time_ms = end_ms
