"""What other factors would do to the booked figures of period sources; nothing is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.book.ports import Owner
from agent.book.sqlite import SqliteBook
from agent.config.site import SiteConfig
from agent.pipeline.period_sources import PeriodSources
from agent.pipeline.recalculate import MonthChange

if TYPE_CHECKING:
    from sqlite3 import Connection


def preview_periods(config: SiteConfig, owner: Owner, connection: Connection) -> list[MonthChange]:
    """Differences per source and period under the factors that the library has now.

    A period of a day is told by its day.
    """
    periods, book = PeriodSources(config, owner), SqliteBook(connection)
    changes = []
    for plan in config.period_sources.values():
        for period in periods.booked_periods(connection, plan):
            draft = periods.draft(connection, plan, period).emission
            booked = [
                one
                for one in book.current_emissions(owner, period, plan.id)
                if one.length_ms == draft.length_ms
            ]
            before = booked[0].kgco2e if booked else None
            if booked and draft.kgco2e != before:
                changes.append(
                    MonthChange(
                        source=plan.id,
                        month=periods.label(plan, period),
                        windows=1,
                        before_kgco2e=before or 0.0,
                        after_kgco2e=draft.kgco2e or 0.0,
                        factors=(f"{draft.factor.id} {draft.factor.version}",),
                    )
                )
    return changes
