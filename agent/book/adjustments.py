"""Adjustments of signed months, as they were booked."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from agent.book.ports import Owner
from agent.book.sqlite import event_of
from agent.core.adjustment import ADJUSTED, Adjustment
from agent.core.report.month import Month

if TYPE_CHECKING:
    from sqlite3 import Connection


def adjustments_of(connection: Connection, owner: Owner, month: Month) -> list[Adjustment]:
    """What changed in a month after it was signed, oldest first.

    A detail of another form, of a gateway of another version, is left out: one does not stop a
    report of all gateways.
    """
    rows = connection.execute(
        "SELECT time_ms, code, subject, severity, detail FROM events WHERE site = ? "
        f"AND gateway = ? AND code = '{ADJUSTED}' ORDER BY time_ms, id",
        (owner.site, owner.gateway),
    )
    found = []
    for row in rows:
        with suppress(ValueError):
            found.append(Adjustment.of(event_of(row)))
    return [one for one in found if one.month == month]


def signed_months(connection: Connection, owner: Owner) -> dict[Month, str]:
    """The months whose latest review of some department accepted them, with the figures' hash."""
    rows = connection.execute(
        "SELECT month, figures, decision, max(id) FROM reviews WHERE site = ? AND gateway = ? "
        "GROUP BY month, department ORDER BY id",
        (owner.site, owner.gateway),
    )
    return {Month.parse(row[0]): row[1] for row in rows if row[2] == "accepted"}
