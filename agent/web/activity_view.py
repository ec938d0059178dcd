"""What is asked and answered about activity data that no meter reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.core.activity import ActivityKind, Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityQuery:
    """Current entries whose period touches [from_ms, to_ms)."""

    from_ms: int
    to_ms: int
    limit: int
    kind: ActivityKind | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivitySubmission:
    """Entries as written, with the documents they refer to by SHA-256.

    Nothing is stored unless all are good, or ``keep_good`` says that the good ones shall be;
    ``dry_run`` only checks.
    """

    entries: tuple[Mapping[str, object], ...]
    files: Mapping[str, bytes] = field(default_factory=dict)
    origin: Origin = Origin.API
    author: str = ""
    keep_good: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityRemark:
    """What is wrong or odd with one entry; ``index`` counts from 0, ``where`` is the field.

    ``other`` is the index of an earlier entry of the submission that it contradicts.
    """

    index: int
    what: str
    where: str
    hint: str
    other: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityResult:
    """What one entry came to; ``change`` is added, revised, retired or unchanged."""

    index: int
    stream: str
    revision: int
    change: str
    amount: float | None
    unit: str
    former_amount: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityOutcome:
    """What a submission came to; with ``stored`` false nothing of it was written."""

    stored: bool
    entries: tuple[ActivityResult, ...]
    errors: tuple[ActivityRemark, ...]
    warnings: tuple[ActivityRemark, ...]
