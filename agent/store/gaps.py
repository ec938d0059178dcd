"""Gaps in the gateway's file: how far looked at, what was learned, what became of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from agent.core.gaps.booked import ALLOCATED, GapFill, GapRun

if TYPE_CHECKING:
    from sqlite3 import Connection

_SAME = 1e-5
ALL = ""  # the mark that all streams share


class GapMarks:
    """How far booked windows have been looked at for gaps; callers own the transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def window_id(self) -> int | None:
        """The booking number of the last window that was seen."""
        row = self._connection.execute(
            "SELECT window_id FROM gap_marks WHERE stream = ?", (ALL,)
        ).fetchone()
        return None if row is None else row[0]

    def set_window_id(self, number: int) -> None:
        self._connection.execute(
            "INSERT INTO gap_marks (stream, window_id) VALUES (?, ?) "
            "ON CONFLICT (stream) DO UPDATE SET window_id = excluded.window_id",
            (ALL, number),
        )

    def waiting(self) -> dict[str, int]:
        """From when on gaps of a stream are to be looked at, by stream."""
        rows = self._connection.execute(
            "SELECT stream, from_ms FROM gap_marks WHERE from_ms IS NOT NULL"
        )
        return {row[0]: row[1] for row in rows}

    def wait(self, stream: str, from_ms: int | None) -> None:
        """Look at a stream from a time on next; no more without one."""
        if from_ms is None:
            self._connection.execute("DELETE FROM gap_marks WHERE stream = ?", (stream,))
            return
        self._connection.execute(
            "INSERT INTO gap_marks (stream, from_ms) VALUES (?, ?) "
            "ON CONFLICT (stream) DO UPDATE SET from_ms = excluded.from_ms",
            (stream, from_ms),
        )


class GapPlans:
    """Learned plans as records, by stream and kind of gap."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of(self, stream: str) -> list[tuple[int, dict[str, Any]]]:
        """Each plan of a stream with the time up to which it knew the past."""
        rows = self._connection.execute(
            "SELECT known_to_ms, body FROM gap_plans WHERE stream = ? ORDER BY kind", (stream,)
        )
        return [(row[0], json.loads(row[1])) for row in rows]

    def keep(self, stream: str, plans: Iterable[tuple[int, Mapping[str, Any]]]) -> None:
        """Keep plans in place of those of the same kind."""
        self._connection.executemany(
            "INSERT INTO gap_plans (stream, kind, known_to_ms, body) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (stream, kind) DO UPDATE SET known_to_ms = excluded.known_to_ms, "
            "body = excluded.body",
            [
                (
                    stream,
                    json.dumps([plan["kind"], plan["conditions"]], sort_keys=True),
                    known_to_ms,
                    json.dumps(plan, separators=(",", ":")),
                )
                for known_to_ms, plan in plans
            ],
        )


class GapFills:
    """What became of gaps."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def keep(self, fill: GapFill, filled_ms: int) -> None:
        """Keep what became of a gap in place of what was kept of it before."""
        self._connection.execute(
            "DELETE FROM gap_fills WHERE stream = ? AND start_ms >= ? AND end_ms <= ?",
            (fill.stream, fill.start_ms, fill.end_ms),
        )
        self._connection.execute(
            "INSERT INTO gap_fills (stream, start_ms, end_ms, filled_ms, body) "
            "VALUES (?, ?, ?, ?, ?) ON CONFLICT (stream, start_ms) DO UPDATE SET "
            "end_ms = excluded.end_ms, filled_ms = excluded.filled_ms, body = excluded.body",
            (
                fill.stream,
                fill.start_ms,
                fill.end_ms,
                filled_ms,
                json.dumps(fill.as_record(), separators=(",", ":")),
            ),
        )

    def stands(self, run: GapRun) -> bool:
        """Whether the run was looked at as it is, and what the cut says of it was found best."""
        row = self._connection.execute(
            "SELECT body FROM gap_fills WHERE stream = ? AND start_ms = ? AND end_ms = ?",
            (run.windows[0].stream, run.start_ms, run.end_ms),
        ).fetchone()
        if row is None:
            return False
        fill = GapFill.from_record(json.loads(row[0]))
        if fill.method != ALLOCATED or fill.total is None or run.total is None:
            return False
        return abs(fill.total - run.total) < _SAME

    def filled_ms(self, stream: str, start_ms: int) -> int | None:
        """When the gap that begins at a time was last looked at."""
        row = self._connection.execute(
            "SELECT filled_ms FROM gap_fills WHERE stream = ? AND start_ms = ?", (stream, start_ms)
        ).fetchone()
        return None if row is None else row[0]

    def between(self, from_ms: int, to_ms: int) -> list[GapFill]:
        """The gaps that touch a span, by beginning and stream."""
        rows = self._connection.execute(
            "SELECT body FROM gap_fills WHERE end_ms > ? AND start_ms < ? "
            "ORDER BY start_ms, stream",
            (from_ms, to_ms),
        )
        return [GapFill.from_record(json.loads(row[0])) for row in rows]
