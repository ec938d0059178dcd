"""Every day: gaps that no method may fill, filled by a rule of substitution if one is asked for.

Only a rule set that names a rule has this; otherwise such gaps stay missing. What is booked here is
estimated, names its rule, and gives way to any later measurement or verified value.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from agent.book.ports import Owner, Span
from agent.book.sqlite import SqliteBook
from agent.config.rules import rules_named
from agent.config.site import SiteConfig
from agent.config.substitution import substitution_named
from agent.core.adjustment import Reason
from agent.core.availability import KNOWN
from agent.core.gaps.booked import REFUSED
from agent.core.gaps.conservative import SubstitutionRule, substitute
from agent.core.kernels.arrays import Floats
from agent.core.model import Provenance, StreamSpec, Window
from agent.core.timebase import DAY_MS, HOUR_MS
from agent.pipeline.adjust import Cause, Revising

if TYPE_CHECKING:
    from sqlite3 import Connection

METHOD = "substitute-"
REACH_MS = 31 * DAY_MS  # how far back a gap may have begun that a day looks at
AVAILABILITY_MS = 365 * DAY_MS  # the hours over which availability is counted (40 CFR 75.32)


class DailySubstitution:
    """Gives the missing windows of closed gaps their conservative value."""

    def __init__(self, config: SiteConfig, owner: Owner) -> None:
        name = rules_named(config.site.rules).substitution
        self._rule = substitution_named(name) if name else None
        self._streams = config.metered
        self._owner = owner
        self._revising = Revising(config, owner)

    def __call__(self, connection: Connection, day_ms: int) -> None:
        """Fill what is missing in gaps that ended by the end of the local day."""
        if self._rule is None:
            return
        book = SqliteBook(connection)
        seen = Span(from_ms=day_ms - REACH_MS, to_ms=day_ms + DAY_MS)
        for spec in self._streams.values():
            windows = book.current_windows(self._owner, seen, spec.id)
            for gap in missing_gaps(windows):
                drafts = self._filled(book, self._rule, spec, gap)
                ended_ms = day_ms + DAY_MS  # it is done after the day
                cause = Cause(reason=Reason.SUBSTITUTED, author=self._rule.id, now_ms=ended_ms)
                self._revising.book(connection, drafts, cause)

    def _filled(
        self, book: SqliteBook, rule: SubstitutionRule, spec: StreamSpec, gap: Sequence[Window]
    ) -> list[Window]:
        start_ms, end_ms = gap[0].start_ms, gap[-1].end_ms
        year = book.current_windows(
            self._owner, Span(from_ms=start_ms - AVAILABILITY_MS, to_ms=start_ms), spec.id
        )
        after = book.current_windows(
            self._owner, Span(from_ms=end_ms, to_ms=end_ms + HOUR_MS), spec.id
        )
        booked_ms = sum(each.length_ms for each in year)
        if booked_ms == 0:
            return []
        known_ms = sum(each.length_ms for each in year if each.provenance in KNOWN)
        before = [each for each in year if each.start_ms >= start_ms - HOUR_MS]
        found = substitute(
            rule,
            gap_h=(end_ms - start_ms) / HOUR_MS,
            before=_rate(before),
            after=_rate(after),
            look_back=hourly_rates(year),
            availability_pct=100 * known_ms / booked_ms,
            max_rate_per_h=spec.max_rate_per_h,
        )
        if found is None:
            return []
        return [
            replace(
                window,
                value=round(found.rate_per_h * window.length_ms / HOUR_MS, 6),
                provenance=Provenance.ESTIMATED,
                method=METHOD + rule.id,
            )
            for window in gap
        ]


def missing_gaps(windows: Sequence[Window]) -> Iterator[list[Window]]:
    """Neighbouring windows between two that have a value, which the ladder refused to fill."""
    gap: list[Window] = []
    begun = False
    for window in windows:
        is_missing = window.method.startswith(REFUSED) and not window.maintenance
        if is_missing and begun and (not gap or gap[-1].end_ms == window.start_ms):
            gap.append(window)
            continue
        if gap and window.value is not None and gap[-1].end_ms == window.start_ms:
            yield gap
        gap = []
        begun = window.value is not None
    # a gap that reaches the end is still open


def hourly_rates(windows: Sequence[Window]) -> Floats:
    """Amounts of the whole hours that were measured, oldest first."""
    hours: dict[int, list[Window]] = {}
    for window in windows:
        if window.provenance in KNOWN and window.value is not None:
            hours.setdefault(window.start_ms // HOUR_MS, []).append(window)
    return np.array(
        [
            sum(each.value or 0.0 for each in parts)
            for _, parts in sorted(hours.items())
            if sum(each.length_ms for each in parts) == HOUR_MS
        ],
        np.float64,
    )


def _rate(windows: Sequence[Window]) -> float | None:
    """Mean rate per hour of what was measured of an hour."""
    known = [each for each in windows if each.provenance in KNOWN and each.value is not None]
    length_ms = sum(each.length_ms for each in known)
    return sum(each.value or 0.0 for each in known) * HOUR_MS / length_ms if length_ms else None
