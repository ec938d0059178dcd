"""What the pages and the API show of factor packs, and what they may ask to be done."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class PackState(StrEnum):
    STAGED = "staged"  # waits for an approval
    APPROVED = "approved"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"  # a newer one came before anybody decided


class FactorDecision(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorValueChange:
    """One number that differs; ``change_pct`` where both are numbers and the old one is not 0."""

    row: str
    field: str
    old: str
    new: str
    change_pct: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorSetChange:
    """What one set of a pack changes against ``base``, the set it follows; rows are counted."""

    kind: str
    id: str
    version: str
    base: str | None
    changed: int
    added: int
    removed: int
    unchanged: int
    changes: tuple[FactorValueChange, ...]  # the first of them


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorMonth:
    """What approval would do to one source in one month of the site's calendar."""

    source: str
    month: str
    windows: int
    before_kgco2e: float
    after_kgco2e: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorPackView:
    """A factor pack and what has become of it."""

    hash: str
    issuer: str
    key_id: str
    serial: int
    issued: str
    note: str
    origin: str
    found_ms: int
    state: PackState
    sets: tuple[FactorSetChange, ...]
    months: tuple[FactorMonth, ...] | None  # None until it is computed
    decided_by: str
    decided_ms: int | None
    reason: str
    installed_ms: int | None

    @property
    def rows(self) -> int:
        """Rows that are changed, added or removed."""
        return sum(one.changed + one.added + one.removed for one in self.sets)


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorDecisionSubmission:
    """Who decides what about a pack, and why."""

    hash: str  # or its first 8 or more digits
    decision: FactorDecision
    by: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorTrouble:
    """What was not taken or not reached, and why."""

    subject: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorCheckOutcome:
    """What a look at all sources came to; ``staged`` are hashes."""

    sources: int
    staged: tuple[str, ...]
    troubles: tuple[FactorTrouble, ...]
