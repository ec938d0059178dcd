"""What the owner of a connection is told, and what it may set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from agent.sync.backoff import Backoff


class LossKind(StrEnum):
    """Why there is no connection."""

    UNREACHABLE = "unreachable"
    CLOSED = "closed"
    REFUSED = "refused"
    TAKEN_OVER = "taken_over"
    TOO_LARGE = "too_large"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """The end of a connection, or of an attempt."""

    kind: LossKind
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message from the broker; ``user`` are its user properties."""

    topic: str
    payload: bytes
    qos: int
    message_id: int
    session: int  # which connection it came by: a PUBACK is good on that one only
    retain: bool
    user: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Will:
    """What the broker publishes, retained, when this client is gone."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Handlers:
    """What the owner of a connection is told; all are called on the event loop."""

    message: Callable[[Message], None]
    online: Callable[[], None]
    lost: Callable[[Loss], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Waits between attempts: ordinary loss, and loss that a person has to clear."""

    ordinary: Backoff = field(default_factory=lambda: Backoff(first_s=0.5, most_s=60.0))
    severe: Backoff = field(default_factory=lambda: Backoff(first_s=300.0, most_s=3600.0))
    steady_s: float = 60.0  # a connection that held this long counts as good
