"""Small states that make the pipeline restart-safe: streams, calendar jobs, clock, audit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite3 import Connection


class StreamStates:
    """Where the counting of each stream stands, as the core's own JSON."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def register(self, streams: Iterable[str], since_ms: int) -> None:
        """Note when a stream was first known; its windows begin with readings after that."""
        self._connection.executemany(
            "INSERT INTO stream_states (stream, since_ms) VALUES (?, ?) ON CONFLICT DO NOTHING",
            [(stream, since_ms) for stream in streams],
        )

    def begin_all(self, since_ms: int, *, earliest_ms: int, latest_ms: int) -> None:
        """Let streams that were registered under a wrong clock begin when it came right."""
        self._connection.execute(
            "UPDATE stream_states SET since_ms = ? WHERE state IS NULL "
            "AND (since_ms < ? OR since_ms > ?)",
            (since_ms, earliest_ms, latest_ms),
        )

    def begin_at(self, stream: str, since_ms: int) -> None:
        """Let a stream that was never read begin later: what was before is booked as missing."""
        self._connection.execute(
            "UPDATE stream_states SET since_ms = ? WHERE stream = ? AND state IS NULL",
            (since_ms, stream),
        )

    def begin_anew(self, stream: str, since_ms: int) -> None:
        """Forget where a stream stands: what it counts is something else from now on."""
        self._connection.execute(
            "UPDATE stream_states SET since_ms = ?, state = NULL WHERE stream = ?",
            (since_ms, stream),
        )

    def load(self) -> dict[str, tuple[int, str | None]]:
        """Of every stream: since when it is known, and its state."""
        rows = self._connection.execute("SELECT stream, since_ms, state FROM stream_states")
        return {row[0]: (row[1], row[2]) for row in rows}

    def save(self, states: Mapping[str, str]) -> None:
        """Replace the states of these streams."""
        self._connection.executemany(
            "UPDATE stream_states SET state = ? WHERE stream = ?",
            [(state, stream) for stream, state in states.items()],
        )


class JobRuns:
    """Which periods of which calendar job are done."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def last(self, job: str) -> int | None:
        """The latest period of the job that is done."""
        row = self._connection.execute(
            "SELECT max(period_ms) FROM job_runs WHERE job = ?", (job,)
        ).fetchone()
        return None if row[0] is None else int(row[0])

    def record(self, job: str, period_ms: int, ran_at_ms: int) -> None:
        """Mark one period as done; a period can be marked once only."""
        self._connection.execute(
            "INSERT INTO job_runs (job, period_ms, ran_at_ms) VALUES (?, ?, ?)",
            (job, period_ms, ran_at_ms),
        )

    def forget_before(self, job: str, period_ms: int) -> None:
        """Drop marks that no catch-up can need; the latest always stays."""
        self._connection.execute(
            "DELETE FROM job_runs WHERE job = ? AND period_ms < ? AND period_ms < "
            "(SELECT max(period_ms) FROM job_runs WHERE job = ?)",
            (job, period_ms, job),
        )


class FactorMarks:
    """With which factors over time each source's emissions were last found to be booked."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def load(self) -> dict[str, str]:
        """The mark of every source."""
        return dict(self._connection.execute("SELECT source, factors FROM factor_marks").fetchall())

    def save(self, marks: Mapping[str, str]) -> None:
        """Set the marks of these sources."""
        self._connection.executemany(
            "INSERT INTO factor_marks (source, factors) VALUES (?, ?) "
            "ON CONFLICT (source) DO UPDATE SET factors = excluded.factors",
            list(marks.items()),
        )


class ClockMarks:
    """Which wall time the monotonic time of a boot stood for."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def record(self, boot: str, monotonic_ns: int, wall_ms: int, quality: str) -> None:
        self._connection.execute(
            "INSERT INTO clock_marks (boot, monotonic_ns, wall_ms, quality) VALUES (?, ?, ?, ?)",
            (boot, monotonic_ns, wall_ms, quality),
        )


class Audit:
    """What people and commands changed: who, what, why."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def record(self, time_ms: int, actor: str, action: str, subject: str, detail: str) -> None:
        self._connection.execute(
            "INSERT INTO audit (time_ms, actor, action, subject, detail) VALUES (?, ?, ?, ?, ?)",
            (time_ms, actor, action, subject, detail),
        )
