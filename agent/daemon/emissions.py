"""Emissions as the pages ask for them: by hour, by device, unit, area or source."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from zoneinfo import ZoneInfo

from agent.book.ports import EmissionSum, Owner, Span
from agent.book.sqlite import SqliteBook
from agent.config.site import SiteConfig
from agent.core.model import Emission
from agent.core.timebase import DAY_MS, HOUR_MS, local_date, local_day, local_hour, utc_offset_ms
from agent.web.view import (
    EmissionQuery,
    EmissionRow,
    EmissionTotals,
    GroupBy,
    HourBar,
    Period,
)

PERIODS_SHOWN_MS = 100 * DAY_MS  # a month's record may come two months late


class HourlyEmissions:
    """Emission sums per source and local hour of today and yesterday, kept up to date.

    Only hours in which something was booked since the last look are summed again. Sources that
    are computed once per period have no hours: today they are not known yet, so that with them
    yesterday could not be compared.
    """

    def __init__(
        self, book: SqliteBook, owner: Owner, zone: ZoneInfo, periodic: Collection[str] = ()
    ) -> None:
        self._book = book
        self._owner = owner
        self._zone = zone
        self._periodic = frozenset(periodic)
        self._seen = 0
        self._hours: dict[int, dict[str, EmissionSum]] = {}

    def refresh(self, now_ms: int) -> None:
        """Take in what was booked since the last call."""
        first_ms = local_day(local_date(now_ms - DAY_MS, self._zone), self._zone)[0]
        if self._seen:
            seen, from_ms, to_ms = self._book.emissions_changed_after(self._seen)
        else:  # the first look: two days, however much is booked before them
            seen, from_ms, to_ms = self._book.next_id("emissions") - 1, first_ms, now_ms
        self._seen = seen
        self._hours = {hour: sums for hour, sums in self._hours.items() if hour >= first_ms}
        if from_ms is None or to_ms is None or to_ms < first_ms:
            return
        start_ms = local_hour(max(from_ms, first_ms), self._zone)[0]
        end_ms = local_hour(to_ms, self._zone)[1]
        for hour in [hour for hour in self._hours if start_ms <= hour < end_ms]:
            del self._hours[hour]
        offset_ms = utc_offset_ms(now_ms, self._zone)
        for row in self._book.emission_sums(
            self._owner, Span(from_ms=start_ms, to_ms=end_ms), HOUR_MS, offset_ms
        ):
            if row.source in self._periodic:
                continue
            self._hours.setdefault(row.start_ms, {})[row.source] = row

    def rows(self, from_ms: int, to_ms: int) -> list[EmissionSum]:
        """Sums of the hours that start in the span."""
        return [
            row
            for hour in sorted(self._hours)
            if from_ms <= hour < to_ms
            for row in self._hours[hour].values()
        ]


def totals(
    hourly: HourlyEmissions, latest: Iterable[Emission], now_ms: int, zone: ZoneInfo
) -> EmissionTotals:
    """The site's emissions now and today, hour by hour, beside yesterday's."""
    day_ms, next_day_ms = local_day(local_date(now_ms, zone), zone)
    today = hourly.rows(day_ms, next_day_ms)
    yesterday = hourly.rows(day_ms - DAY_MS, day_ms)
    rate, share, lower, upper = rate_per_h(latest)
    return EmissionTotals(
        now_kgco2e_per_h=rate,
        now_lower=lower,
        now_upper=upper,
        now_estimated_share=share,
        today_kgco2e=sum(row.kgco2e for row in today) if today else None,
        today_estimated_share=estimated_share(today),
        yesterday_same_time_kgco2e=_same_time(yesterday, now_ms - DAY_MS),
        hours=tuple(
            _bar(hour_ms, today, yesterday, now_ms)
            for hour_ms in range(day_ms, next_day_ms, HOUR_MS)
            if hour_ms <= now_ms
        ),
    )


def estimated_share(rows: Iterable[EmissionSum]) -> float:
    """Which part of a sum is estimated, 0..1."""
    total = estimated = 0.0
    for row in rows:
        total += abs(row.kgco2e)
        estimated += abs(row.estimated_kgco2e)
    return estimated / total if total else 0.0


def _spread_share(rows: Iterable[EmissionSum]) -> float:
    """Which part of a sum comes from records of a longer period, 0..1."""
    listed = list(rows)
    total = sum(abs(row.kgco2e) for row in listed)
    return sum(abs(row.spread_kgco2e) for row in listed) / total if total else 0.0


def rate_per_h(
    latest: Iterable[Emission],
) -> tuple[float | None, float, float | None, float | None]:
    """Rate, estimated share and range of the last closed windows, each as kgCO2e per hour.

    The error of a meter is common to all sources on it and adds with their signs; meters err
    independently of each other and add in quadrature.
    """
    rate = estimated = 0.0
    known = False
    errors: dict[str, tuple[float, float]] = {}  # below and above, by meter
    for emission in latest:
        if emission.kgco2e is None:
            continue
        per_h = HOUR_MS / emission.length_ms
        known = True
        rate += emission.kgco2e * per_h
        estimated += abs(emission.kgco2e) * emission.estimated_share * per_h
        if emission.lower is not None and emission.upper is not None:
            below, above = emission.kgco2e - emission.lower, emission.upper - emission.kgco2e
            if emission.kgco2e < 0:  # more on the meter is less emitted
                below, above = -above, -below
            stream = emission.inputs[0][0] if emission.inputs else ""
            held = errors.setdefault(stream.partition(".")[0], (0.0, 0.0))
            errors[stream.partition(".")[0]] = held[0] + below * per_h, held[1] + above * per_h
    if not known:
        return None, 0.0, None, None
    share = estimated / abs(rate) if rate else 0.0
    if not errors:
        return rate, share, None, None
    lower = rate - math.hypot(*(below for below, _ in errors.values()))
    return rate, share, lower, rate + math.hypot(*(above for _, above in errors.values()))


def rows_by(
    book: SqliteBook, owner: Owner, config: SiteConfig, query: EmissionQuery
) -> list[EmissionRow]:
    """Emission sums grouped as asked, by start then key."""
    zone = ZoneInfo(config.site.timezone)
    length_ms = {
        Period.WINDOW: config.window_ms,
        Period.HOUR: HOUR_MS,
        Period.DAY: DAY_MS,
    }[query.period]
    sums = book.emission_sums(
        owner,
        Span(from_ms=query.from_ms, to_ms=query.to_ms),
        length_ms,
        utc_offset_ms(query.from_ms, zone),
        config.period_sources,
    )
    groups: dict[tuple[int, str], list[EmissionSum]] = {}
    names = group_names(config, query.by)
    keys = group_keys(config, query.by)
    for row in sums:
        key = keys.get(row.source)
        if key is not None:
            groups.setdefault((row.start_ms, key), []).append(row)
    return [
        EmissionRow(
            key=key,
            name=names.get(key, key),
            start_ms=start_ms,
            length_ms=length_ms,
            kgco2e=sum(row.kgco2e for row in rows)
            if any(row.windows > row.missing for row in rows)
            else None,
            lower=None,
            upper=None,
            estimated_share=estimated_share(rows),
            spread_share=_spread_share(rows),
        )
        for (start_ms, key), rows in sorted(groups.items())
    ][: query.limit]


def latest_periods(
    book: SqliteBook, owner: Owner, config: SiteConfig, device: str, now_ms: int
) -> list[Emission]:
    """The newest record of each period source of a device, as far as there is one."""
    span = Span(from_ms=now_ms - PERIODS_SHOWN_MS, to_ms=now_ms)
    found = []
    for plan in config.period_sources.values():
        if plan.section.device == device:
            found += list(book.current_emissions(owner, span, plan.id))[-1:]
    return found


def group_keys(config: SiteConfig, by: GroupBy) -> dict[str, str]:
    """Which group each source belongs to."""
    devices = {device.id: device for device in config.devices}
    areas = {unit.id: unit.area for unit in config.units}
    keys = {}
    for source in config.source_sections:
        device = devices[source.device]
        keys[source.id] = {
            GroupBy.SOURCE: source.id,
            GroupBy.DEVICE: device.id,
            GroupBy.UNIT: device.unit,
            GroupBy.AREA: areas[device.unit],
        }[by]
    return keys


def group_names(config: SiteConfig, by: GroupBy) -> dict[str, str]:
    """What people call each group."""
    match by:
        case GroupBy.DEVICE:
            return {device.id: device.name or device.id for device in config.devices}
        case GroupBy.UNIT:
            return {unit.id: unit.name or unit.id for unit in config.units}
        case GroupBy.AREA:
            return {area.id: area.name or area.id for area in config.areas}
        case GroupBy.SOURCE:
            return {source.id: source.name or source.id for source in config.source_sections}


def _same_time(yesterday: list[EmissionSum], until_ms: int) -> float | None:
    """Yesterday's sum up to the same time of day; the running hour counts in proportion."""
    if not yesterday:
        return None
    total = 0.0
    for row in yesterday:
        if row.start_ms + HOUR_MS <= until_ms:
            total += row.kgco2e
        elif row.start_ms < until_ms:
            total += row.kgco2e * (until_ms - row.start_ms) / HOUR_MS
    return total


def _bar(
    hour_ms: int, today: list[EmissionSum], yesterday: list[EmissionSum], now_ms: int
) -> HourBar:
    rows = [row for row in today if row.start_ms == hour_ms]
    before = [row.kgco2e for row in yesterday if row.start_ms == hour_ms - DAY_MS]
    estimated = sum(row.estimated_kgco2e for row in rows)
    return HourBar(
        start_ms=hour_ms,
        measured_kgco2e=sum(row.kgco2e for row in rows) - estimated,
        estimated_kgco2e=estimated,
        complete=hour_ms + HOUR_MS <= now_ms,
        yesterday_kgco2e=sum(before) if before else None,
    )
