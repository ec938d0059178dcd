"""What a report reads of the book: one series at a time, in the order of time, streamed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from agent.book.factors import Factors
from agent.book.ports import Owner, Span
from agent.core.model import FactorRef, Provenance
from agent.core.report.month import Month
from agent.core.report.sums import EmissionRow, WindowRow

if TYPE_CHECKING:
    from sqlite3 import Connection

_PROVENANCE = {kind.value: kind for kind in Provenance}


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedTime:
    """What a series comes to in a span: kgCO2e, and the time it was computed for."""

    kgco2e: float
    computed_ms: int


class ReportRows:
    """Current revisions of one book, for a report."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._factors = Factors(connection)

    def series(self, owner: Owner, kind: str) -> dict[str, int]:
        """Numbers of an owner's streams or sources by name."""
        rows = self._connection.execute(
            "SELECT name, id FROM series WHERE site = ? AND gateway = ? AND kind = ? ORDER BY name",
            (owner.site, owner.gateway, kind),
        )
        return {row[0]: row[1] for row in rows}

    def emissions(self, series: int, span: Span) -> Iterator[EmissionRow]:
        """The current emissions of one source."""
        rows = self._connection.execute(
            "SELECT start_ms, length_ms, max(revision), kgco2, kgch4, kgn2o, kgco2e, lower, "
            "upper, estimated_share, factor FROM emissions WHERE series = ? AND start_ms >= ? "
            "AND start_ms < ? GROUP BY start_ms, length_ms ORDER BY start_ms, length_ms",
            (series, span.from_ms, span.to_ms),
        )
        factors = self._factors
        for row in rows:
            start_ms, length_ms, revision, kgco2, kgch4, kgn2o, kgco2e, *rest = row
            low, high, share, factor = rest
            yield EmissionRow(
                start_ms=start_ms,
                length_ms=length_ms,
                revision=revision,
                kgco2=kgco2,
                kgch4=kgch4,
                kgn2o=kgn2o,
                kgco2e=kgco2e,
                lower=low,
                upper=high,
                estimated_share=share,
                factor=factors[factor],
            )

    def any_factor(self, series: int, span: Span) -> FactorRef | None:
        """A factor that a source was computed with in a span."""
        row = self._connection.execute(
            "SELECT factor FROM emissions WHERE series = ? AND start_ms >= ? AND start_ms < ? "
            "LIMIT 1",
            (series, span.from_ms, span.to_ms),
        ).fetchone()
        return None if row is None else self._factors[row[0]]

    def windows(self, series: int, span: Span) -> Iterator[WindowRow]:
        """The current windows of one stream."""
        rows = self._connection.execute(
            "SELECT start_ms, length_ms, value, provenance, method, coverage, lower, upper, "
            "max(revision) FROM windows WHERE series = ? AND start_ms >= ? AND start_ms < ? "
            "GROUP BY start_ms, length_ms ORDER BY start_ms, length_ms",
            (series, span.from_ms, span.to_ms),
        )
        for row in rows:
            yield WindowRow(
                start_ms=row[0],
                length_ms=row[1],
                value=row[2],
                provenance=_PROVENANCE[row[3]],
                method=row[4],
                coverage=row[5],
                lower=row[6],
                upper=row[7],
                revision=row[8],
            )

    def booked(self, series: int, span: Span) -> BookedTime | None:
        """The sum of one source in a span; None where nothing is booked."""
        count, kgco2e, computed_ms = self._connection.execute(
            "SELECT count(*), sum(kgco2e), sum(iif(kgco2e IS NULL, 0, length_ms)) FROM ("
            "SELECT kgco2e, length_ms, max(revision) FROM emissions WHERE series = ? "
            "AND start_ms >= ? AND start_ms < ? GROUP BY start_ms, length_ms)",
            (series, span.from_ms, span.to_ms),
        ).fetchone()
        return BookedTime(kgco2e=kgco2e or 0.0, computed_ms=computed_ms) if count else None

    def first_and_last_ms(self, owner: Owner) -> tuple[int, int] | None:
        """Starts of the first and last booked emission of an owner; None without any."""
        first: list[int] = []
        last: list[int] = []
        for series in self.series(owner, "source").values():
            row = self._connection.execute(
                "SELECT min(start_ms), max(start_ms) FROM emissions WHERE series = ?", (series,)
            ).fetchone()
            if row[0] is not None:
                first.append(row[0])
                last.append(row[1])
        return (min(first), max(last)) if first else None


def reported_months(
    connection: Connection, owners: Iterable[Owner], zone: ZoneInfo, now_ms: int
) -> tuple[Month, ...]:
    """The months with booked emissions up to now, newest first."""
    rows = ReportRows(connection)
    spans = [found for owner in owners if (found := rows.first_and_last_ms(owner))]
    if not spans:
        return ()
    month = Month.of(min(first for first, _ in spans), zone)
    last = Month.of(min(now_ms, max(end for _, end in spans)), zone)
    months = [month]
    while months[-1] < last:
        months.append(months[-1].shifted(1))
    return tuple(reversed(months))
