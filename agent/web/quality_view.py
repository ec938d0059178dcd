"""Data completeness and corrections of meters, as the web asks for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from agent.core.availability import Completeness
from agent.core.gaps.booked import GapFill

LONGEST_DAYS = 400


class CompletenessBy(StrEnum):
    """Whose time is looked at."""

    STREAM = "stream"
    METER = "meter"
    DEVICE = "device"


class CompletenessPeriod(StrEnum):
    """Length of the periods, in the site's time."""

    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletenessQuery:
    """Whole periods that the span touches."""

    from_ms: int
    to_ms: int
    by: CompletenessBy
    period: CompletenessPeriod


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletenessAnswer:
    """Shares 0..1 of the booked time, by period and subject."""

    from_ms: int
    to_ms: int
    by: CompletenessBy
    period: CompletenessPeriod
    periods: tuple[Completeness, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """What was booked, in one line; windows follow with the next closing."""

    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GapsAnswer:
    """Gaps that were looked at, by beginning and stream; ``truncated``: ask for a shorter span."""

    from_ms: int
    to_ms: int
    truncated: bool
    gaps: tuple[GapFill, ...]


class QualityView(Protocol):
    """Data quality as the web asks for it; every call may raise a ``TanshuError``."""

    async def completeness(self, query: CompletenessQuery) -> Sequence[Completeness]:
        """Completeness by period and subject."""
        ...

    async def gaps(self, from_ms: int, to_ms: int) -> Sequence[GapFill]:
        """What became of the gaps that touch a span."""
        ...

    async def correct(self, fields: Mapping[str, object]) -> Corrected:
        """Declare a replaced meter or repair a reading."""
        ...
