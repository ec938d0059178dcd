"""What has to be remembered between two closings of a stream's windows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from agent.core.counters import CounterState
from agent.core.model import Provenance, StreamKind


@dataclass(frozen=True, slots=True, kw_only=True)
class RateState:
    """All that is needed to go on integrating from a reading of a rate."""

    time_ms: int
    rate: float
    accumulated: float
    segment: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A run of neighbouring windows that were issued alike and may still change."""

    start_ms: int
    count: int
    value: float | None
    provenance: Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamState:
    """Where a stream stands: the next readings to load are those after ``resume_ms``.

    ``anchor`` is the reading to go on from; it lies an edge window before the last firm boundary,
    so that an estimate finds how the stream ran before a gap. Windows from ``open_from_ms`` to
    ``closed_to_ms`` have been issued and may still be superseded; ``issued`` says as what.
    ``boundary_accumulated`` is the accumulated amount at ``open_from_ms``, None while that lies in
    an open gap at the very beginning.
    """

    length_ms: int
    anchor: CounterState | RateState
    decided_ms: int
    open_from_ms: int
    closed_to_ms: int
    boundary_accumulated: float | None
    gap_opened_ms: int | None = None
    issued: tuple[Issued, ...] = ()

    @property
    def resume_ms(self) -> int:
        """Readings up to this time are no longer needed."""
        return self.anchor.time_ms

    @property
    def kind(self) -> StreamKind:
        """What was read: a register that counts, or a rate."""
        return StreamKind.COUNTER if isinstance(self.anchor, CounterState) else StreamKind.RATE

    def for_length(self, length_ms: int) -> StreamState:
        """The same state for windows of another length, where one boundary ends both.

        While windows are provisional, or the new boundaries do not meet the old, it stays.
        """
        settled = self.open_from_ms == self.closed_to_ms
        if settled and self.closed_to_ms % length_ms == 0:
            return replace(self, length_ms=length_ms, issued=())
        return self

    def to_json(self) -> str:
        """One line of JSON; numbers survive to the bit."""
        return json.dumps(
            {"kind": self.kind.value, **asdict(self)},
            separators=(",", ":"),
            sort_keys=True,
            allow_nan=False,
        )

    @classmethod
    def from_json(cls, text: str) -> StreamState:
        """Inverse of `to_json`."""
        fields: dict[str, Any] = json.loads(text)
        kind = fields.pop("kind")
        anchor = fields.pop("anchor")
        issued = [
            Issued(
                start_ms=run["start_ms"],
                count=run["count"],
                value=run["value"],
                provenance=Provenance(run["provenance"]),
            )
            for run in fields.pop("issued")
        ]
        return cls(
            anchor=CounterState(**anchor) if kind == "counter" else RateState(**anchor),
            issued=tuple(issued),
            **fields,
        )


def unfold(issued: Iterable[Issued], length_ms: int) -> dict[int, tuple[float | None, Provenance]]:
    """Value and provenance of each issued window by its start."""
    return {
        run.start_ms + index * length_ms: (run.value, run.provenance)
        for run in issued
        for index in range(run.count)
    }


def fold(
    windows: Mapping[int, tuple[float | None, Provenance]], length_ms: int
) -> tuple[Issued, ...]:
    """Inverse of `unfold`: neighbours that are alike become one run."""
    runs: list[Issued] = []
    for start_ms in sorted(windows):
        value, provenance = windows[start_ms]
        last = runs[-1] if runs else None
        if (
            last is not None
            and (last.value, last.provenance) == (value, provenance)
            and last.start_ms + last.count * length_ms == start_ms
        ):
            runs[-1] = Issued(
                start_ms=last.start_ms,
                count=last.count + 1,
                value=value,
                provenance=provenance,
            )
        else:
            runs.append(Issued(start_ms=start_ms, count=1, value=value, provenance=provenance))
    return tuple(runs)
