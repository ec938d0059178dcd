"""Adjustments of signed months, as they were booked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.book.ports import Owner
from agent.book.sqlite import event_of
from agent.core.adjustment import ADJUSTED, Adjustment
from agent.core.report.month import Month

if TYPE_CHECKING:
    from sqlite3 import Connection


def adjustments_of(connection: Connection, owner: Owner, month: Month) -> list[Adjustment]:
    """What changed in a month after it was signed, oldest first."""
    rows = connection.execute(
        "SELECT time_ms, code, subject, severity, detail FROM events WHERE site = ? "
        f"AND gateway = ? AND code = '{ADJUSTED}' AND json_extract(detail, '$.month') = ? "
        "ORDER BY time_ms, id",
        (owner.site, owner.gateway, str(month)),
    )
    return [Adjustment.of(event_of(row)) for row in rows]


def signed_months(connection: Connection, owner: Owner) -> dict[Month, str]:
    """The months whose latest review of some department accepted them, with the figures' hash."""
    rows = connection.execute(
        "SELECT month, figures, decision, max(id) FROM reviews WHERE site = ? AND gateway = ? "
        "GROUP BY month, department ORDER BY id",
        (owner.site, owner.gateway),
    )
    return {Month.parse(row[0]): row[1] for row in rows if row[2] == "accepted"}
