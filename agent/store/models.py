"""Fitted models with their versions, and how far computed streams have come."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.core.indirect import Model

if TYPE_CHECKING:
    from sqlite3 import Connection

ALL = ""  # the mark that all computed streams share


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """A model in the store; it serves windows that start at or after ``since_ms``."""

    stream: str
    version: int
    since_ms: int
    fitted_ms: int
    model: Model


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedInputs:
    """What one revision of a computed window was computed from."""

    stream: str
    start_ms: int
    length_ms: int
    revision: int
    estimated_share: float
    inputs: Sequence[tuple[str, int | float]]  # a window's revision, or the mean of a point


class Models:
    """The models of the store; callers own the transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, stream: str, model: Model, *, since_ms: int, fitted_ms: int) -> ModelVersion:
        """Keep a model as the stream's next version; windows from ``since_ms`` on follow it."""
        version = 1 + max((known.version for known in self.versions(stream)), default=0)
        self._connection.execute(
            "INSERT INTO models (stream, version, since_ms, fitted_ms, body) "
            "VALUES (?, ?, ?, ?, ?)",
            (stream, version, since_ms, fitted_ms, model.to_json()),
        )
        return ModelVersion(
            stream=stream, version=version, since_ms=since_ms, fitted_ms=fitted_ms, model=model
        )

    def versions(self, stream: str | None = None) -> list[ModelVersion]:
        """All versions of a stream's model, or of all streams, oldest first."""
        rows = self._connection.execute(
            "SELECT stream, version, since_ms, fitted_ms, body FROM models "
            "WHERE ? IS NULL OR stream = ? ORDER BY stream, version",
            (stream, stream),
        )
        return [
            ModelVersion(
                stream=row[0],
                version=row[1],
                since_ms=row[2],
                fitted_ms=row[3],
                model=Model.from_json(row[4]),
            )
            for row in rows
        ]


class DerivedMarks:
    """How far computed streams have followed their inputs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def window_id(self) -> int | None:
        """The booking number of the last window that all of them have seen."""
        row = self._one(ALL, "window_id")
        return None if row is None else int(row)

    def set_window_id(self, number: int) -> None:
        self._set(ALL, "window_id", number)

    def closed_to_ms(self, stream: str) -> int | None:
        """How far a stream is computed that has no other stream to follow."""
        return self._one(stream, "closed_to_ms")

    def set_closed_to_ms(self, stream: str, time_ms: int) -> None:
        self._set(stream, "closed_to_ms", time_ms)

    def again_from_ms(self, stream: str) -> int | None:
        """From where on a stream is to be computed again, if it is."""
        return self._one(stream, "again_from_ms")

    def set_again_from_ms(self, stream: str, time_ms: int | None) -> None:
        self._set(stream, "again_from_ms", time_ms)

    def compute_again(self, stream: str, from_ms: int) -> None:
        """Have a stream computed again from a time on, or from an earlier one that was asked."""
        asked_ms = self.again_from_ms(stream)
        self.set_again_from_ms(stream, from_ms if asked_ms is None else min(asked_ms, from_ms))

    def pending(self) -> set[str]:
        """The streams that are still to be computed again."""
        rows = self._connection.execute(
            "SELECT stream FROM derived_marks WHERE again_from_ms IS NOT NULL"
        )
        return {row[0] for row in rows}

    def keep_inputs(self, rows: Iterable[DerivedInputs]) -> None:
        """Note what revisions of computed windows were computed from."""
        self._connection.executemany(
            "INSERT INTO derived_windows "
            "(stream, start_ms, length_ms, revision, estimated_share, inputs) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            [
                (
                    row.stream,
                    row.start_ms,
                    row.length_ms,
                    row.revision,
                    row.estimated_share,
                    json.dumps(row.inputs, separators=(",", ":")),
                )
                for row in rows
            ],
        )

    def _one(self, stream: str, column: str) -> int | None:
        row = self._connection.execute(
            f"SELECT {column} FROM derived_marks WHERE stream = ?", (stream,)
        ).fetchone()
        return None if row is None else row[0]

    def _set(self, stream: str, column: str, number: int | None) -> None:
        self._connection.execute(
            f"INSERT INTO derived_marks (stream, {column}) VALUES (?, ?) "
            f"ON CONFLICT (stream) DO UPDATE SET {column} = excluded.{column}",
            (stream, number),
        )
