"""A short-lived process that reads a month from the book and writes its report to standard output.

A month of a large site takes seconds and a workbook takes memory; neither belongs into the
process that polls. ``… SITE MONTH FORM LANGUAGE NOW_MS``; on failure the error is one JSON line
on standard error.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from agent.book.ports import Owner
from agent.book.read_only import read_only as book_read_only
from agent.book.reports import month_report
from agent.book.reviews import ReviewBasis
from agent.config.load import read_site
from agent.config.report_site import report_reference
from agent.config.site import SiteConfig
from agent.core.errors import ConfigError, TanshuError
from agent.core.report.model import MonthReport
from agent.core.report.month import Month
from agent.daemon.review_basis import BASIS, basis_bytes
from agent.web.report.forms import rendered
from agent.web.report_view import ReportForm

if TYPE_CHECKING:
    from sqlite3 import Connection

NICE = 10


def load_config(site_file: Path) -> SiteConfig:
    """The part of a site file that can be used."""
    config, faults = read_site(site_file)
    if config is None:
        raise ConfigError(tuple(fault for fault in faults if not fault.warning))
    return config


def owner_of(config: SiteConfig) -> Owner:
    return Owner(site=config.site.id, gateway=config.gateway.id)


def read_only(config: SiteConfig) -> AbstractContextManager[Connection]:
    """The gateway's database for reading; ``StoreError`` if there is none."""
    return book_read_only(config.path.parent / config.store.path, "has the gateway run yet?")


def read_report(config: SiteConfig, month: Month, now_ms: int) -> MonthReport:
    """The report of a month of this gateway."""
    with read_only(config) as connection:
        return month_report(connection, report_reference(config), [owner_of(config)], month, now_ms)


def main(arguments: Sequence[str]) -> int:
    """Write one report, or what a review of it needs."""
    site_file, month, form, language, now_ms = arguments
    os.nice(NICE)
    try:
        report = read_report(load_config(Path(site_file)), Month.parse(month), int(now_ms))
        if form == BASIS:
            content = basis_bytes(ReviewBasis.of(report))
        else:
            content = rendered(report, ReportForm(form), language)
    except TanshuError as error:
        words = {"what": error.what, "where": error.where, "hint": error.hint}
        sys.stderr.write(json.dumps(words) + "\n")
        return 1
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
