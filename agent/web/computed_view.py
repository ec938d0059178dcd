"""What pages and API show of the meter tree and of fitted models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from agent.core.balance import Verdict
from agent.core.indirect import Model


class BalancePeriod(StrEnum):
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceQuery:
    """Balances of periods that touch [from_ms, to_ms)."""

    from_ms: int
    to_ms: int
    limit: int
    period: BalancePeriod = BalancePeriod.DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancePart:
    """One stream of a balance; ``whole``: nothing of it is missing or estimated."""

    stream: str
    amount: float
    half_90: float
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceRow:
    """A master against what is below it; ``end_ms`` is how far the period is closed."""

    start_ms: int
    end_ms: int
    unit: str
    master: BalancePart
    parts: tuple[BalancePart, ...]
    below: float
    unmetered: float | None
    unmetered_share: float | None
    lower: float | None
    upper: float | None
    verdict: Verdict
    class_assumed: tuple[str, ...]  # meters without an accuracy class in the site file


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """One version of a fitted model; it serves windows that start at or after ``since_ms``."""

    stream: str
    version: int
    since_ms: int
    fitted_ms: int
    model: Model


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSubmission:
    """A fitted model to keep; with ``again`` what is booked since ``since_ms`` is recomputed.

    Without ``since_ms`` it serves from now on.
    """

    stream: str
    model: Model
    by: str
    since_ms: int | None = None
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Balances:
    """``truncated``: the limit was reached, ask for a shorter span."""

    from_ms: int
    to_ms: int
    period: BalancePeriod
    truncated: bool
    balances: tuple[BalanceRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelList:
    models: tuple[ModelRow, ...]


class ComputedView(Protocol):
    """Computed streams as the web asks for them; every call may raise a ``TanshuError``."""

    async def balances(self, query: BalanceQuery) -> Sequence[BalanceRow]:
        """Balances by start and master."""
        ...

    async def models(self, stream: str | None) -> Sequence[ModelRow]:
        """All versions of the models of a stream, or of all."""
        ...

    async def add_model(self, submission: ModelSubmission) -> ModelRow:
        """Keep a model as the next version."""
        ...
