"""What the process that fills gaps is asked, and what it answers: plain values for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from agent.core.gaps.booked import GapFill
from agent.core.model import Provenance, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A point that tells how a device ran, and how long one of its readings holds."""

    point: str
    holds_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DueGap:
    """A run of booked windows that is to be filled."""

    start_ms: int
    end_ms: int
    known_total: bool
    closed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Balanced:
    """The balance that a stream is part of."""

    master: str
    parts: tuple[str, ...]
    class_pct: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class FillJob:
    """The gaps of one stream, in order of time, and what is needed to fill them."""

    database: str
    site: str
    gateway: str
    stream: str
    unit: str
    timezone: str
    step_ms: int
    resolution: float
    max_rate_per_h: float | None
    gaps: tuple[DueGap, ...]
    load: Condition | None = None
    conditions: tuple[Condition, ...] = ()
    balance: Balanced | None = None
    plans: tuple[tuple[int, dict[str, Any]], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a window is to be booked as."""

    start_ms: int
    value: float | None
    provenance: Provenance
    method: str
    lower: float | None
    upper: float | None

    @classmethod
    def of(cls, window: Window) -> Draft:
        return cls(**{name: getattr(window, name) for name in cls.__slots__})


@dataclass(frozen=True, slots=True, kw_only=True)
class GapAnswer:
    """One gap: the revisions of its windows that were looked at, and what they are to become."""

    gap: DueGap
    revisions: tuple[tuple[int, int], ...]  # start and revision of every window
    drafts: tuple[Draft, ...]
    fill: GapFill


@dataclass(frozen=True, slots=True, kw_only=True)
class FillAnswer:
    """All gaps of a job that could be read, and the plans that were used."""

    gaps: tuple[GapAnswer, ...]
    plans: tuple[tuple[int, dict[str, Any]], ...]


def job_bytes(job: FillJob) -> bytes:
    return msgspec.json.encode(job)


def job_of(data: bytes) -> FillJob:
    return msgspec.json.decode(data, type=FillJob)


def answer_bytes(answer: FillAnswer) -> bytes:
    return msgspec.json.encode(answer)


def answer_of(data: bytes) -> FillAnswer:
    return msgspec.json.decode(data, type=FillAnswer)
