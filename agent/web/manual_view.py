"""What is asked and answered about readings that people take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from agent.core.activity import Origin
from agent.core.manual import ManualEntry
from agent.web.activity_view import ActivityRemark


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualQuery:
    """Current entries with a time in [from_ms, to_ms), of one stream or of all."""

    from_ms: int
    to_ms: int
    limit: int
    stream: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualSubmission:
    """Entries as written, with the documents they refer to by SHA-256.

    Nothing is stored unless all are good; ``dry_run`` only checks.
    """

    entries: tuple[Mapping[str, object], ...]
    files: Mapping[str, bytes] = field(default_factory=dict)
    origin: Origin = Origin.API
    author: str = ""
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualResult:
    """What one entry came to; ``change`` is added, revised, retired or unchanged."""

    index: int
    stream: str
    time_ms: int
    revision: int
    change: str
    value: float | None
    unit: str
    former_value: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualOutcome:
    """What a submission came to; with ``stored`` false nothing of it was written."""

    stored: bool
    entries: tuple[ManualResult, ...]
    errors: tuple[ActivityRemark, ...]
    warnings: tuple[ActivityRemark, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualEntries:
    """``truncated``: the limit was reached, ask for a shorter span."""

    from_ms: int
    to_ms: int
    truncated: bool
    entries: tuple[ManualEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualNotStored:
    """Readings that were refused: all faults; the first of them is in what, where and hint."""

    what: str
    where: str
    hint: str
    stored: bool
    entries: tuple[ManualResult, ...]
    errors: tuple[ActivityRemark, ...]
    warnings: tuple[ActivityRemark, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OverdueReading:
    """A reading that should be there: of which stream, and since when."""

    stream: str
    name: str
    due_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskView:
    """Windows of a meter that was silent, to be verified; ``estimate`` is their sum now."""

    id: str
    stream: str
    start_ms: int
    end_ms: int
    windows: int
    missing: int
    estimate: float | None
    unit: str
    methods: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualTasks:
    """What people have to do: readings that are overdue, estimates to verify."""

    overdue: tuple[OverdueReading, ...]
    to_verify: tuple[TaskView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualCounts:
    """How much people have to do; ``names`` are the meters whose readings are overdue."""

    overdue: int = 0
    names: tuple[str, ...] = ()
    to_verify: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifySubmission:
    """What a person says of a task: its measured total, or that the estimate stands."""

    task: str
    author: str
    value: float | None = None
    unit: str = ""
    accept: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyOutcome:
    """What became of a task; ``adjusted`` are the signed months whose figures changed by it."""

    task: str
    decision: str
    before: float | None
    after: float | None
    unit: str
    windows: int
    adjusted: tuple[str, ...]


class ManualView(Protocol):
    """Readings that people take, of a running gateway."""

    async def current(self, query: ManualQuery) -> Sequence[ManualEntry]:
        """Current entries of a span, by time and stream."""
        ...

    async def add(self, submission: ManualSubmission) -> ManualOutcome:
        """Check and book what a person, sheet or program enters."""
        ...

    async def tasks(self) -> ManualTasks:
        """What people have to do."""
        ...

    async def verify(self, submission: VerifySubmission) -> VerifyOutcome:
        """Settle a verification task; a ``UsageError`` says why it cannot be."""
        ...
