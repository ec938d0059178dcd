"""The month's report of a site at the ledger, over all the gateways that booked something."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from agent.book.ports import Owner, Span
from agent.book.read_only import read_only
from agent.book.report_unplaced import unplaced_reference
from agent.book.reports import month_report
from agent.book.sqlite import SqliteBook
from agent.config.report_site import (
    PlaceConflict,
    ReportReference,
    place_conflicts,
    report_reference,
)
from agent.config.sections import Site
from agent.config.site import SiteConfig
from agent.core.errors import UsageError
from agent.core.report.model import MonthReport
from agent.core.report.month import Month
from agent.ledger.storage import LedgerStorage

if TYPE_CHECKING:
    from sqlite3 import Connection


def ledger_report(
    database: Path,
    configs: Sequence[SiteConfig],
    gateways: Sequence[str],
    month: Month | None,
    now_ms: int,
) -> MonthReport:
    """The report of a month of one site, from the ledger's book.

    ``configs`` are the site's files, the one that owns areas and units first; without any, only
    what the batches carry is known. ``gateways`` narrows the report; without a month it is that
    of the last month that is over.

    Raises:
        StoreError: there is no such database, or it cannot be read.
        UsageError: the site or a gateway is not in it, or it holds several sites and none is named.
    """
    zone = ZoneInfo(configs[0].site.timezone if configs else Site(id="site").timezone)
    of = month or Month.of(now_ms, zone).shifted(-1)
    with read_only(database, "name the ledger's database with --db") as connection:
        owners = _owners(connection, configs, gateways)
        if configs:
            reference = report_reference(*configs)
            described = _birth_conflicts(connection, configs[0], owners)
            conflicts = dict.fromkeys((*reference.conflicts, *described))
            reference = replace(reference, conflicts=tuple(conflicts))
        else:
            from_ms, to_ms = of.span(zone)
            span = Span(from_ms=from_ms, to_ms=to_ms)
            reference = unplaced_reference(connection, owners, of, span)
        return month_report(connection, _narrowed(reference, owners), owners, of, now_ms)


def _owners(
    connection: Connection, configs: Sequence[SiteConfig], gateways: Sequence[str]
) -> list[Owner]:
    booked = SqliteBook(connection).owners()
    sites = sorted({owner.site for owner in booked})
    named = {config.site.id for config in configs}
    if len(named) > 1:
        raise UsageError(
            f"the files are of several sites: {', '.join(sorted(named))}",
            where="--site",
            hint="one report is of one site; name the files of its gateways",
        )
    if not named and len(sites) != 1:
        raise UsageError(
            f"the ledger holds {', '.join(sites) or 'no site'}",
            where="--site",
            hint="name the site file of the one to report",
        )
    site = next(iter(named or sites))
    owners = [owner for owner in booked if owner.site == site]
    known = ", ".join(owner.gateway for owner in owners)
    if not owners:
        raise UsageError(
            f"nothing is booked for site {site}",
            where="--site",
            hint=f"booked are {', '.join(sites)}" if sites else "has a gateway delivered yet?",
        )
    for gateway in gateways:
        if gateway not in {owner.gateway for owner in owners}:
            raise UsageError(
                f"nothing is booked for gateway {gateway}",
                where="--gateway",
                hint=f"of {site} there are {known}",
            )
    return [owner for owner in owners if not gateways or owner.gateway in gateways]


def _narrowed(reference: ReportReference, owners: Sequence[Owner]) -> ReportReference:
    """Without the sources and streams of gateways that the report leaves out."""
    every = {place.gateway for place in reference.site.sources}
    left_out = every - {owner.gateway for owner in owners}
    if every == left_out:  # one file for a site whose gateways all bear other ids
        return reference
    site = reference.site
    return replace(
        reference,
        site=replace(
            site,
            sources=tuple(place for place in site.sources if place.gateway not in left_out),
            streams=tuple(place for place in site.streams if place.gateway not in left_out),
        ),
    )


def _birth_conflicts(
    connection: Connection, owner: SiteConfig, gateways: Iterable[Owner]
) -> Iterator[PlaceConflict]:
    """Where a gateway's own description, as it last sent it, differs from the owning file."""
    wanted = {(one.site, one.gateway) for one in gateways}
    for notice in LedgerStorage(connection).notices("birth"):
        gateway = notice.owner
        if (gateway.site, gateway.gateway) in wanted:
            yield from place_conflicts(owner, gateway.gateway, _birth_places(notice.payload))


def _birth_places(payload: bytes) -> dict[str, str]:
    """Areas and units of a birth message; nothing of one that is not in form."""
    try:
        birth = json.loads(payload)
        site = birth["site"]
        return {
            "rules": f"{site['rules']}, {site['gwp']}",
            **{area["id"]: area["name"] or area["id"] for area in birth["areas"]},
            **{
                unit["id"]: f"{unit['name'] or unit['id']} ({unit['area']})"
                for unit in birth["units"]
            },
        }
    except (ValueError, KeyError, TypeError):
        return {}
