"""The book on SQLite. Nothing here commits: the caller's transaction decides."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from agent.book.factors import Factors
from agent.book.ports import EmissionSum, Owner, Span
from agent.book.spread import LONGEST_MS, spread_sums, summed
from agent.core.model import (
    Emission,
    Endpoint,
    Event,
    FactorRef,
    Provenance,
    Severity,
    Window,
)

if TYPE_CHECKING:
    from sqlite3 import Connection

WINDOW_COLUMNS = (
    "start_ms, length_ms, revision, value, provenance, method, coverage, lower, upper, "
    "load, maintenance"
)
EMISSION_COLUMNS = (
    "start_ms, length_ms, revision, kgco2, kgch4, kgn2o, kgco2e, lower, upper, "
    "estimated_share, factor, inputs"
)

# a key that is there stays as it is; two records of one booking number would be an error
ONCE = "ON CONFLICT (series, start_ms, length_ms, revision) DO NOTHING"


class SqliteBook:
    """Windows, emissions, end points and events of one or many gateways in one file."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def series(self, owner: Owner, kind: str, name: str) -> int:
        """The number of a stream or source, given on first use.

        Not cached: a number given in a transaction that is rolled back would be wrong later.
        """
        number = self.number(owner, kind, name)
        if number is not None:
            return number
        self._connection.execute(
            "INSERT INTO series (site, gateway, kind, name) VALUES (?, ?, ?, ?)",
            (owner.site, owner.gateway, kind, name),
        )
        return self.series(owner, kind, name)

    def number(self, owner: Owner, kind: str, name: str) -> int | None:
        """The number of a stream or source, if it has one."""
        row = self._connection.execute(
            "SELECT id FROM series WHERE site = ? AND gateway = ? AND kind = ? AND name = ?",
            (owner.site, owner.gateway, kind, name),
        ).fetchone()
        return None if row is None else int(row[0])

    def next_id(self, table: str) -> int:
        """The next booking number of windows or emissions."""
        number = f"SELECT max(id) AS id FROM {table} WHERE id > 0"
        if table == "emissions":  # recalculations stand in the same order
            number = f"SELECT max(id) FROM ({number} UNION ALL SELECT max(id) FROM recalculations)"
        row = self._connection.execute(number).fetchone()
        return 1 if row[0] is None else int(row[0]) + 1

    def add_windows(self, owner: Owner, windows: Iterable[Window]) -> int:
        """Insert windows; a key that is already there stays as it is. Returns rows added."""
        numbers: dict[str, int] = {}
        rows = []
        for entry, window in enumerate(windows, start=self.next_id("windows")):
            if window.stream not in numbers:
                numbers[window.stream] = self.series(owner, "stream", window.stream)
            rows.append(
                (
                    entry,
                    numbers[window.stream],
                    window.start_ms,
                    window.length_ms,
                    window.revision,
                    window.value,
                    window.provenance.value,
                    window.method,
                    window.coverage,
                    window.lower,
                    window.upper,
                    window.load,
                    int(window.maintenance),
                )
            )
        return self._insert(
            f"INSERT INTO windows (id, series, {WINDOW_COLUMNS}) "
            f"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) {ONCE}",
            rows,
        )

    def add_emissions(self, owner: Owner, emissions: Iterable[Emission]) -> int:
        """Insert emissions with their factor; existing keys stay. Returns rows added."""
        numbers: dict[str, int] = {}
        factors: dict[FactorRef, int] = {}
        rows = []
        for entry, emission in enumerate(emissions, start=self.next_id("emissions")):
            if emission.source not in numbers:
                numbers[emission.source] = self.series(owner, "source", emission.source)
            if emission.factor not in factors:
                factors[emission.factor] = self.add_factor(emission.factor)
            rows.append(
                (
                    entry,
                    numbers[emission.source],
                    emission.start_ms,
                    emission.length_ms,
                    emission.revision,
                    emission.kgco2,
                    emission.kgch4,
                    emission.kgn2o,
                    emission.kgco2e,
                    emission.lower,
                    emission.upper,
                    emission.estimated_share,
                    factors[emission.factor],
                    json.dumps(emission.inputs, separators=(",", ":")),
                )
            )
        return self._insert(
            f"INSERT INTO emissions (id, series, {EMISSION_COLUMNS}) "
            f"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) {ONCE}",
            rows,
        )

    def add_endpoints(self, owner: Owner, endpoints: Iterable[Endpoint]) -> int:
        """Insert counter end points; existing ones stay. Returns rows added."""
        rows = [
            (
                self.series(owner, "stream", endpoint.stream),
                endpoint.boundary_ms,
                endpoint.time_ms,
                endpoint.register,
                endpoint.accumulated,
            )
            for endpoint in endpoints
        ]
        return self._insert(
            "INSERT INTO endpoints (series, boundary_ms, time_ms, register, accumulated) "
            "VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            rows,
        )

    def add_events(self, owner: Owner, events: Iterable[Event]) -> int:
        """Append events. Returns rows added."""
        rows = [
            (
                owner.site,
                owner.gateway,
                event.time_ms,
                event.code,
                event.subject,
                event.severity.value,
                event.detail,
            )
            for event in events
        ]
        return self._insert(
            "INSERT INTO events (site, gateway, time_ms, code, subject, severity, detail) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            rows,
        )

    def current_windows(
        self, owner: Owner, span: Span, stream: str | None = None, limit: int | None = None
    ) -> Sequence[Window]:
        """The highest revision of each window that starts in the span, by time and stream."""
        where, parameters = self._scope(owner, "stream", span, stream)
        rows = self._connection.execute(
            f"SELECT name, {WINDOW_COLUMNS}, max(revision) FROM series "
            f"CROSS JOIN windows ON series.id = windows.series WHERE {where} "
            "GROUP BY series, start_ms, length_ms ORDER BY start_ms, name LIMIT ?",
            (*parameters, -1 if limit is None else limit),
        )
        return [window_of(row) for row in rows]

    def current_emissions(
        self, owner: Owner, span: Span, source: str | None = None
    ) -> Sequence[Emission]:
        """The highest revision of each emission that starts in the span, by time and source."""
        where, parameters = self._scope(owner, "source", span, source)
        factors = Factors(self._connection)
        rows = self._connection.execute(
            f"SELECT series.name, {EMISSION_COLUMNS}, max(revision) FROM series "
            f"CROSS JOIN emissions ON series.id = emissions.series WHERE {where} "
            "GROUP BY series, start_ms, length_ms ORDER BY start_ms, series.name",
            parameters,
        )
        return [emission_of(row, factors) for row in rows]

    def emission_sums(
        self,
        owner: Owner,
        span: Span,
        bucket_ms: int,
        offset_ms: int = 0,
        periodic: Collection[str] = (),
    ) -> Sequence[EmissionSum]:
        """Sums of current emissions per source and bucket; buckets are aligned to local time.

        ``offset_ms`` is how far local time is ahead of UTC. ``periodic`` names the sources whose
        records are longer than windows: each counts in every bucket by the time it shares with it.
        """
        rows = self._connection.execute(
            "SELECT name, (start_ms + :offset) / :bucket * :bucket - :offset AS bucket, "
            "coalesce(sum(kgco2e), 0.0), coalesce(sum(kgco2e * estimated_share), 0.0), "
            "count(*), sum(kgco2e IS NULL) FROM ("
            "SELECT name, start_ms, kgco2e, estimated_share, max(revision) FROM series "
            "CROSS JOIN emissions ON series.id = emissions.series "
            "WHERE site = :site AND gateway = :gateway AND kind = 'source' "
            "AND start_ms >= :from_ms AND start_ms < :to_ms "
            "AND name NOT IN (SELECT value FROM json_each(:periodic)) "
            "GROUP BY series, start_ms, length_ms"
            ") GROUP BY name, bucket ORDER BY bucket, name",
            {
                "offset": offset_ms,
                "bucket": bucket_ms,
                "from_ms": span.from_ms,
                "to_ms": span.to_ms,
                "site": owner.site,
                "gateway": owner.gateway,
                "periodic": json.dumps(list(periodic)),
            },
        )
        sums = [
            EmissionSum(
                source=row[0],
                start_ms=row[1],
                kgco2e=row[2],
                estimated_kgco2e=row[3],
                windows=row[4],
                missing=row[5],
            )
            for row in rows
        ]
        if not periodic:
            return sums
        reach = Span(from_ms=span.from_ms - LONGEST_MS, to_ms=span.to_ms)
        long = [one for name in periodic for one in self.current_emissions(owner, reach, name)]
        return summed([*sums, *spread_sums(long, span, bucket_ms, offset_ms)])

    def emissions_changed_after(self, after: int) -> tuple[int, int | None, int | None]:
        """The newest booking number, and the span of time of what was booked after another."""
        row = self._connection.execute(
            "SELECT max(id), min(from_ms), max(to_ms) FROM ("
            "SELECT id, start_ms AS from_ms, start_ms + length_ms - 1 AS to_ms "
            "FROM emissions WHERE id > :after "
            "UNION ALL SELECT id, from_ms, to_ms - 1 FROM recalculations WHERE id > :after)",
            {"after": after},
        ).fetchone()
        return (after, None, None) if row[0] is None else (row[0], row[1], row[2])

    def windows_after(self, owner: Owner, after: int, limit: int) -> list[tuple[int, Window]]:
        """All revisions in the order they were booked, from a row number on: for sealing."""
        # CROSS: the outer loop is that of the booking numbers, however few gateways there are
        rows = self._connection.execute(
            f"SELECT windows.id, name, {WINDOW_COLUMNS} FROM windows "
            "CROSS JOIN series ON series.id = windows.series WHERE windows.id > ? "
            "AND site = ? AND gateway = ? ORDER BY windows.id LIMIT ?",
            (after, owner.site, owner.gateway, limit),
        )
        return [(row[0], window_of(row[1:])) for row in rows]

    def emissions_after(self, owner: Owner, after: int, limit: int) -> list[tuple[int, Emission]]:
        """All revisions in the order they were booked, without those of recalculations."""
        factors = Factors(self._connection)
        rows = self._connection.execute(
            f"SELECT emissions.id, series.name, {EMISSION_COLUMNS} FROM emissions "
            "CROSS JOIN series ON series.id = emissions.series WHERE emissions.id > ? "
            "AND site = ? AND gateway = ? ORDER BY emissions.id LIMIT ?",
            (after, owner.site, owner.gateway, limit),
        )
        return [(row[0], emission_of(row[1:], factors)) for row in rows]

    def endpoints_after(self, owner: Owner, after: int, limit: int) -> list[tuple[int, Endpoint]]:
        """Counter end points in the order they were booked, from a row number on."""
        rows = self._connection.execute(
            "SELECT endpoints.id, name, boundary_ms, time_ms, register, accumulated "
            "FROM endpoints CROSS JOIN series ON series.id = endpoints.series "
            "WHERE endpoints.id > ? "
            "AND site = ? AND gateway = ? ORDER BY endpoints.id LIMIT ?",
            (after, owner.site, owner.gateway, limit),
        )
        return [
            (
                row[0],
                Endpoint(
                    stream=row[1],
                    boundary_ms=row[2],
                    time_ms=row[3],
                    register=row[4],
                    accumulated=row[5],
                ),
            )
            for row in rows
        ]

    def events_after(self, owner: Owner, after: int, limit: int) -> list[tuple[int, Event]]:
        """Events in the order they were booked, from a row number on."""
        rows = self._connection.execute(
            "SELECT id, time_ms, code, subject, severity, detail FROM events WHERE id > ? "
            "AND site = ? AND gateway = ? ORDER BY id LIMIT ?",
            (after, owner.site, owner.gateway, limit),
        )
        return [(row[0], event_of(row[1:])) for row in rows]

    def events(
        self, owner: Owner, span: Span, limit: int = 100, codes: Sequence[str] = ()
    ) -> Sequence[Event]:
        """The latest events of the span, newest first; only of some codes if they are given."""
        chosen = f"AND code IN ({', '.join('?' * len(codes))}) " if codes else ""
        rows = self._connection.execute(
            "SELECT time_ms, code, subject, severity, detail FROM events WHERE site = ? "
            f"AND gateway = ? AND time_ms >= ? AND time_ms < ? {chosen}"
            "ORDER BY time_ms DESC, id DESC LIMIT ?",
            (owner.site, owner.gateway, span.from_ms, span.to_ms, *codes, limit),
        )
        return [event_of(row) for row in rows]

    def next_revisions(
        self, owner: Owner, kind: str, keys: Iterable[tuple[str, int, int]]
    ) -> dict[tuple[str, int, int], int]:
        """For each (stream or source, start, length): the revision a new record must carry."""
        table = "windows" if kind == "stream" else "emissions"
        numbers: dict[str, int] = {}
        revisions: dict[tuple[str, int, int], int] = {}
        for key in keys:
            name, start_ms, length_ms = key
            if name not in numbers:
                numbers[name] = self.series(owner, kind, name)
            row = self._connection.execute(
                f"SELECT max(revision) FROM {table} WHERE series = ? "
                "AND start_ms = ? AND length_ms = ?",
                (numbers[name], start_ms, length_ms),
            ).fetchone()
            revisions[key] = 0 if row[0] is None else int(row[0]) + 1
        return revisions

    def owners(self) -> Sequence[Owner]:
        """Every gateway that has booked something."""
        rows = self._connection.execute("SELECT DISTINCT site, gateway FROM series ORDER BY 1, 2")
        return [Owner(site=row[0], gateway=row[1]) for row in rows]

    def _insert(self, statement: str, rows: Sequence[tuple[object, ...]]) -> int:
        if not rows:
            return 0
        before = self._connection.total_changes
        self._connection.executemany(statement, rows)
        return self._connection.total_changes - before

    def add_factor(self, factor: FactorRef) -> int:
        """The number of a factor, given on first use."""
        number = self.factor_number(factor)
        if number is not None:
            return number
        self._connection.execute(
            "INSERT INTO factors (name, version, value, unit) VALUES (?, ?, ?, ?)",
            (factor.id, factor.version, factor.value, factor.unit),
        )
        return self.add_factor(factor)

    def factor_number(self, factor: FactorRef) -> int | None:
        """The number of a factor, if anything was booked with it."""
        row = self._connection.execute(
            "SELECT id FROM factors WHERE name = ? AND version = ? AND value = ? AND unit = ?",
            (factor.id, factor.version, factor.value, factor.unit),
        ).fetchone()
        return None if row is None else int(row[0])

    def booked_otherwise(
        self, owner: Owner, source: str, factor: FactorRef, several: bool
    ) -> Span | None:
        """The span in which a source has emissions booked with another factor than this one.

        With ``several`` factors over time the whole booked span is returned: the caller looks.
        """
        number = self.factor_number(factor)
        # a factor that nothing was booked with needs no look at each emission
        condition = "" if several or number is None else " AND factor <> :factor"
        first, last = (
            f"SELECT {end}(start_ms) FROM emissions WHERE series = :series{condition}"
            for end in ("min", "max")
        )
        row = self._connection.execute(
            f"SELECT ({first}), ({last})",
            {"series": self.number(owner, "source", source), "factor": number},
        ).fetchone()
        return None if row[0] is None else Span(from_ms=row[0], to_ms=row[1] + 1)

    @staticmethod
    def _scope(
        owner: Owner, kind: str, span: Span, name: str | None
    ) -> tuple[str, tuple[object, ...]]:
        where = "site = ? AND gateway = ? AND kind = ? AND start_ms >= ? AND start_ms < ?"
        parameters: tuple[object, ...] = (
            owner.site,
            owner.gateway,
            kind,
            span.from_ms,
            span.to_ms,
        )
        if name is not None:
            return where + " AND series.name = ?", (*parameters, name)
        return where, parameters


def window_of(row: Sequence[Any]) -> Window:
    """A window from (name, *WINDOW_COLUMNS)."""
    name, start_ms, length_ms, revision, value, provenance, method, coverage, *rest = row[:12]
    return Window(
        stream=name,
        start_ms=start_ms,
        length_ms=length_ms,
        revision=revision,
        value=value,
        provenance=Provenance(provenance),
        method=method,
        coverage=coverage,
        lower=rest[0],
        upper=rest[1],
        load=rest[2],
        maintenance=bool(rest[3]),
    )


def emission_of(row: Sequence[Any], factors: dict[int, FactorRef]) -> Emission:
    """An emission from (name, *EMISSION_COLUMNS)."""
    name, start_ms, length_ms, revision, kgco2, kgch4, kgn2o, kgco2e, *rest = row[:13]
    inputs = json.loads(rest[4])
    return Emission(
        source=name,
        start_ms=start_ms,
        length_ms=length_ms,
        revision=revision,
        kgco2=kgco2,
        kgch4=kgch4,
        kgn2o=kgn2o,
        kgco2e=kgco2e,
        lower=rest[0],
        upper=rest[1],
        estimated_share=rest[2],
        factor=factors[rest[3]],
        inputs=tuple((stream, revision) for stream, revision in inputs),
    )


def event_of(row: Sequence[Any]) -> Event:
    """An event from (time_ms, code, subject, severity, detail)."""
    time_ms, code, subject, severity, detail = row
    return Event(
        time_ms=time_ms,
        code=code,
        subject=subject,
        severity=Severity(severity),
        detail=detail,
    )
