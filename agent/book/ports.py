"""What a book can be asked, whatever database is behind it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from agent.core.activity import ActivityEntry, ActivityKind
from agent.core.model import Emission, Endpoint, Event, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who gives the revisions of a record."""

    site: str
    gateway: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Half-open time span [from_ms, to_ms) over window starts."""

    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EmissionSum:
    """Current emissions of one source in one bucket of time."""

    source: str
    start_ms: int
    kgco2e: float
    estimated_kgco2e: float
    windows: int
    missing: int  # windows without a value
    spread_kgco2e: float = 0.0  # from records longer than the bucket, evenly divided

    def __add__(self, other: EmissionSum) -> EmissionSum:
        """The sum of two parts of one source and bucket."""
        return EmissionSum(
            source=self.source,
            start_ms=self.start_ms,
            kgco2e=self.kgco2e + other.kgco2e,
            estimated_kgco2e=self.estimated_kgco2e + other.estimated_kgco2e,
            windows=self.windows + other.windows,
            missing=self.missing + other.missing,
            spread_kgco2e=self.spread_kgco2e + other.spread_kgco2e,
        )


class Book(Protocol):
    """Windows and emissions, append-only; callers own the transaction."""

    def add_windows(self, owner: Owner, windows: Iterable[Window]) -> int: ...

    def add_emissions(self, owner: Owner, emissions: Iterable[Emission]) -> int: ...

    def add_endpoints(self, owner: Owner, endpoints: Iterable[Endpoint]) -> int: ...

    def add_events(self, owner: Owner, events: Iterable[Event]) -> int: ...

    def current_windows(
        self, owner: Owner, span: Span, stream: str | None = None, limit: int | None = None
    ) -> Sequence[Window]: ...

    def current_emissions(
        self, owner: Owner, span: Span, source: str | None = None
    ) -> Sequence[Emission]: ...

    def emission_sums(
        self,
        owner: Owner,
        span: Span,
        bucket_ms: int,
        offset_ms: int = 0,
        periodic: Collection[str] = (),
    ) -> Sequence[EmissionSum]: ...

    def events(self, owner: Owner, span: Span, limit: int = 100) -> Sequence[Event]: ...

    def owners(self) -> Sequence[Owner]: ...


class ActivityBook(Protocol):
    """Activity entries, append-only; callers own the transaction."""

    def add_activity(self, owner: Owner, entries: Iterable[ActivityEntry]) -> int: ...

    def current_activity(
        self,
        owner: Owner,
        span: Span,
        kind: ActivityKind | None = None,
        *,
        retired: bool = False,
        limit: int | None = None,
    ) -> Sequence[ActivityEntry]: ...

    def unplaced_activity(
        self, owner: Owner, kind: ActivityKind | None = None
    ) -> Sequence[ActivityEntry]: ...

    def stream_activity(
        self, owner: Owner, stream: str, *, history: bool = False
    ) -> Sequence[ActivityEntry]: ...
