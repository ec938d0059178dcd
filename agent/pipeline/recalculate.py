"""Emissions booked with a factor that no longer holds for their time get a new revision.

It runs beside polling, one source and month at a time, so that the store and the event loop are
held for some hundredths of a second. Old revisions stay; what changed is told per source and
month.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import structlog

from agent.book.database import Database
from agent.book.ports import Owner, Span
from agent.book.revise import (
    EmissionArrays,
    RevisedEmissions,
    booked_streams,
    current_arrays,
    factor_values,
    revise,
)
from agent.book.sqlite import SqliteBook
from agent.config.site import SiteConfig, SourcePlan
from agent.core import kernels
from agent.core.carbon.booking import interval_of
from agent.core.model import Event, FactorRef, Severity
from agent.core.ports import Clock
from agent.core.timebase import local_date, local_month
from agent.store.state import Audit, FactorMarks

if TYPE_CHECKING:
    from sqlite3 import Connection

Floats = npt.NDArray[np.float64]

SAME_SHARE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthChange:
    """What another factor does to one source in one month of the site's calendar."""

    source: str
    month: str  # «2026-07»
    windows: int
    before_kgco2e: float
    after_kgco2e: float
    factors: tuple[str, ...]  # ids of the factors that now hold

    @property
    def difference_kgco2e(self) -> float:
        return self.after_kgco2e - self.before_kgco2e


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One source in one month, as far as something may be booked with another factor."""

    source: SourcePlan
    stream: str  # the one it was booked from
    span: Span
    month: str


def preview(config: SiteConfig, owner: Owner, connection: Connection) -> list[MonthChange]:
    """What a recalculation would change; nothing is written."""
    found = (_revised(connection, owner, part)[0] for part in _slices(connection, owner, config))
    return [change for change in found if change is not None]


class Recalculation:
    """Finds and revises what was booked with another factor than the one that holds."""

    def __init__(self, config: SiteConfig, database: Database, owner: Owner, clock: Clock) -> None:
        self._config = config
        self._database = database
        self._owner = owner
        self._clock = clock
        self._log = structlog.get_logger("recalculate")

    async def run(self, progressed: Callable[[], None] = lambda: None) -> list[MonthChange]:
        """Book the new revisions, one transaction per source and month."""
        changes = []
        for part in _slices(self._database.connection, self._owner, self._config):
            change, revised = _revised(self._database.connection, self._owner, part)
            if change is not None and revised is not None:
                with self._database.transaction() as connection:
                    revise(connection, self._owner, part.source.id, part.stream, revised)
                    self._tell(connection, change)
                changes.append(change)
                self._log.debug("month.recalculated", source=change.source, month=change.month)
            progressed()
            await asyncio.sleep(0)
        with self._database.transaction() as connection:
            FactorMarks(connection).save(self._marks())
        if changes:
            self._log.info(
                "emissions.recalculated",
                windows=sum(change.windows for change in changes),
                difference_kgco2e=sum(change.difference_kgco2e for change in changes),
            )
        return changes

    def is_due(self) -> bool:
        """Whether a source's factors are others than when its emissions were last looked at."""
        known = FactorMarks(self._database.connection).load()
        return any(known.get(name) != mark for name, mark in self._marks().items())

    def _marks(self) -> dict[str, str]:
        return {
            source.id: repr((source.factor, source.former))
            for source in self._config.sources.values()
        }

    def _tell(self, connection: Connection, change: MonthChange) -> None:
        now_ms = self._clock.now_ms()
        detail = json.dumps(
            {
                "month": change.month,
                "windows": change.windows,
                "before_kgco2e": change.before_kgco2e,
                "after_kgco2e": change.after_kgco2e,
                "difference_kgco2e": change.difference_kgco2e,
                "factors": change.factors,
            },
            ensure_ascii=False,
        )
        Audit(connection).record(now_ms, "factors", "recalculate", change.source, detail)
        SqliteBook(connection).add_events(
            self._owner,
            [
                Event(
                    time_ms=now_ms,
                    code="emissions.recalculated",
                    subject=change.source,
                    severity=Severity.INFO,
                    detail=detail,
                )
            ],
        )


def _slices(connection: Connection, owner: Owner, config: SiteConfig) -> Iterator[Slice]:
    """Every source and month in which something is booked with another factor."""
    book, zone = SqliteBook(connection), ZoneInfo(config.site.timezone)
    for source in config.sources.values():
        span = book.booked_otherwise(owner, source.id, source.factor, bool(source.former))
        if span is None:
            continue
        day = local_date(span.from_ms, zone)
        year, month = day.year, day.month
        while True:
            start_ms, end_ms = local_month(year, month, zone)
            if start_ms >= span.to_ms:
                break
            part = Span(from_ms=start_ms, to_ms=end_ms)
            for stream in booked_streams(connection, owner, source.id, source.section.stream, part):
                yield Slice(source=source, stream=stream, span=part, month=f"{year}-{month:02}")
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)


def _revised(
    connection: Connection, owner: Owner, part: Slice
) -> tuple[MonthChange | None, RevisedEmissions | None]:
    """The new revisions of one source and month, and what they change."""
    source = part.source
    arrays = current_arrays(connection, owner, source.id, part.stream, part.span)
    factors, which = _factors_of(source, arrays.start_ms)
    stale = np.zeros(len(arrays.start_ms), np.bool_)
    for index, factor in enumerate(factors):
        number = SqliteBook(connection).factor_number(factor)
        stale |= (which == index) & (arrays.factor != (-1 if number is None else number))
    if not stale.any():
        return None, None
    chosen = arrays.only(stale)
    which = which[stale]
    shares = _booked_shares(connection, chosen, source.section.share)
    scale = shares * np.array([factor.value for factor in factors])[which]
    after = _scaled(chosen.value, scale)
    lower, upper = _intervals(source, chosen, scale)
    change = MonthChange(
        source=source.id,
        month=part.month,
        windows=len(after),
        before_kgco2e=float(np.nansum(chosen.kgco2e)),
        after_kgco2e=float(np.nansum(after)),
        factors=tuple(f"{factors[i].id} {factors[i].version}" for i in np.unique(which)),
    )
    revised = RevisedEmissions(
        arrays=chosen, factors=factors, which=which, kgco2e=after, lower=lower, upper=upper
    )
    return change, revised


def _intervals(source: SourcePlan, chosen: EmissionArrays, scale: Floats) -> tuple[Floats, Floats]:
    """Lower and upper ends, as `emission_of` computes them for a single window."""
    uncertainty_pct = source.section.uncertainty_activity_pct or 0.0
    if not uncertainty_pct and source.section.share >= 0:
        both = np.isnan(chosen.lower) | np.isnan(chosen.upper)
        lower, upper = _scaled(chosen.lower, scale), _scaled(chosen.upper, scale)
        lower[both] = upper[both] = np.nan
        return lower, upper
    ends = [
        interval_of(*window, one_scale, uncertainty_pct)
        for window, one_scale in zip(chosen.windows(), scale.tolist(), strict=True)
    ]
    lower = np.array([np.nan if low is None else low for low, _ in ends])
    upper = np.array([np.nan if high is None else high for _, high in ends])
    return lower, upper


def _booked_shares(connection: Connection, booked: EmissionArrays, share: float) -> Floats:
    """The share each emission was booked with: a changed share holds from then on only.

    It is what the figure says, taken as today's share where both agree to the last digits.
    """
    values = factor_values(connection)
    factors = np.array([values[number] for number in booked.factor.tolist()])
    full = booked.value * factors
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = booked.kgco2e / full
    unknown = ~np.isfinite(shares) | (np.abs(shares - share) <= SAME_SHARE * abs(share))
    return np.where(unknown, share, shares)


def _factors_of(
    source: SourcePlan, start_ms: npt.NDArray[np.int64]
) -> tuple[tuple[FactorRef, ...], npt.NDArray[np.int64]]:
    """The source's factors, oldest first, and which of them holds at each start."""
    ends = np.array([former.until_ms for former in source.former], np.int64)
    factors = (*(former.factor for former in source.former), source.factor)
    return factors, np.searchsorted(ends, start_ms, "right").astype(np.int64)


def _scaled(amounts: Floats, scale: Floats) -> Floats:
    result = np.empty(len(amounts), np.float64)
    kernels.run("emissions", np.ascontiguousarray(amounts), np.ascontiguousarray(scale), result)
    return result
