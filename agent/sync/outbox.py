"""What the publisher needs from the store that keeps the sealed batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from agent.core.model import Receipt
from agent.core.payload import Link


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxBatch:
    """A sealed batch; ``position`` grows in the order of sealing, over all epochs."""

    position: int
    link: Link
    data: bytes


class Outbox(Protocol):
    """Sealed batches and what each target has confirmed of them."""

    async def pending(self, target: str, after: int, limit: int) -> Sequence[OutboxBatch]:
        """Unconfirmed batches above a position, oldest first; 0 begins at the oldest."""
        ...

    async def hash_of(self, epoch: str, seq: int) -> str | None:
        """The hash of a batch that this gateway has sealed, confirmed or not."""
        ...

    async def confirm(self, target: str, receipt: Receipt) -> None:
        """Mark every batch of the receipt's epoch up to ``through`` and in ``held`` as confirmed.

        Never takes a confirmation back: an older receipt changes nothing. Durable on return.
        """
        ...
