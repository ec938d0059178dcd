"""Balances of the meter tree by hour, day or month, and what they find each day."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from agent.book.ports import Owner, Span
from agent.book.sqlite import SqliteBook
from agent.config.site import BalancePlan, SiteConfig
from agent.core.balance import Balance, Verdict, balance_of
from agent.core.model import Event, Severity, Window
from agent.core.timebase import HOUR_MS, local_date, local_day, local_days, local_month

if TYPE_CHECKING:
    from sqlite3 import Connection

FINDINGS = (Verdict.OVERCOUNTED, Verdict.UNMETERED)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodBalance:
    """One balance in one period; ``end_ms`` is how far the period is closed."""

    start_ms: int
    end_ms: int
    unit: str
    assumed: tuple[str, ...]  # meters without a class in the site file
    balance: Balance


def balances(
    connection: Connection,
    owner: Owner,
    config: SiteConfig,
    periods: Sequence[Span],
) -> list[PeriodBalance]:
    """Every balance of the site in every period of which something is booked, by time.

    ``periods`` follow one another without overlap.
    """
    found = []
    book = SqliteBook(connection)
    for plan in config.balances:
        span = Span(from_ms=periods[0].from_ms, to_ms=periods[-1].to_ms) if periods else None
        names = (plan.master, *plan.parts)
        windows = {name: book.current_windows(owner, span, name) if span else () for name in names}
        closed_ms = max((one.end_ms for ws in windows.values() for one in ws), default=0)
        parted = {name: _parted(windows[name], periods) for name in names}
        for place, period in enumerate(periods):
            if any(parted[name][place] for name in names):
                inside = {name: parted[name][place] for name in names}
                found.append(_period(plan, period, inside, closed_ms))
    return sorted(found, key=lambda one: (one.start_ms, one.balance.master.stream))


def _parted(windows: Sequence[Window], periods: Sequence[Span]) -> list[list[Window]]:
    """The windows that start in each period."""
    starts = [period.from_ms for period in periods]
    parts: list[list[Window]] = [[] for _ in periods]
    for window in windows:
        parts[bisect_right(starts, window.start_ms) - 1].append(window)
    return parts


def _period(
    plan: BalancePlan, period: Span, windows: dict[str, list[Window]], closed_ms: int
) -> PeriodBalance:
    end_ms = min(period.to_ms, closed_ms)
    return PeriodBalance(
        start_ms=period.from_ms,
        end_ms=end_ms,
        unit=plan.unit,
        assumed=plan.assumed,
        balance=balance_of(
            plan.master,
            plan.parts,
            windows,
            plan.class_pct,
            unmetered_pct=plan.unmetered_pct,
            span_ms=end_ms - period.from_ms,
        ),
    )


def periods_of(kind: str, from_ms: int, to_ms: int, zone: ZoneInfo) -> list[Span]:
    """The hours, days or months of the site that touch a span."""
    if to_ms <= from_ms:
        return []
    if kind == "hour":
        first = from_ms // HOUR_MS * HOUR_MS
        starts = range(first, to_ms, HOUR_MS)
        return [Span(from_ms=start, to_ms=start + HOUR_MS) for start in starts]
    if kind == "day":
        days = local_days(from_ms, to_ms, zone)
        return [Span(from_ms=start, to_ms=end) for _, start, end in days]
    found: list[Span] = []
    day = local_date(from_ms, zone)
    year, month = day.year, day.month
    while True:
        start_ms, end_ms = local_month(year, month, zone)
        if start_ms >= to_ms:
            return found
        found.append(Span(from_ms=start_ms, to_ms=end_ms))
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)


class DailyBalance:
    """Tells once a day of every balance that does not close."""

    def __init__(self, config: SiteConfig, owner: Owner) -> None:
        self._config = config
        self._owner = owner
        self._zone = ZoneInfo(config.site.timezone)

    def __call__(self, connection: Connection, day_ms: int) -> None:
        """Book an event for each balance of a day beyond its uncertainty."""
        start_ms, end_ms = local_day(local_date(day_ms, self._zone), self._zone)
        day = Span(from_ms=start_ms, to_ms=end_ms)
        SqliteBook(connection).add_events(
            self._owner,
            [
                _event(one, end_ms)
                for one in balances(connection, self._owner, self._config, [day])
                if one.balance.verdict in FINDINGS
            ],
        )


def _event(one: PeriodBalance, time_ms: int) -> Event:
    found = one.balance
    return Event(
        time_ms=time_ms,
        code=f"balance.{found.verdict}",
        subject=found.master.stream,
        severity=Severity.WARNING,
        detail=(
            f"master={found.master.value:.6g} below={found.below:.6g} "
            f"unmetered={found.unmetered:.6g} lower={found.lower:.6g} upper={found.upper:.6g} "
            f"unit={one.unit}"
        ),
    )
