"""Which batches are under way, when to send each again, and which to set aside. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from agent.core.model import Receipt
from agent.sync.backoff import Backoff
from agent.sync.outbox import OutboxBatch

Key = tuple[str, int]  # (epoch, seq)

MOST_BLOCKED = 100
LATE_BEFORE_BLOCKED = 3
ATTEMPTS_BEFORE_PROBE = 3
SMALLEST_PART_LIMIT = 1024


@dataclass(slots=True, kw_only=True)
class Shipment:
    """One batch between its first sending and its receipt."""

    position: int
    key: Key
    data: bytes | None  # dropped while the batch is set aside, and read again from the outbox
    due_ns: int
    sent_ns: int | None = None
    attempts: int = 0
    late: int = 0  # how many times it was sent while a later batch was already receipted
    strikes: int = 0
    blocked: bool = False
    part_limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlightRules:
    """When a batch is sent again; all of it in seconds of the monotonic clock."""

    window: int = 20
    receipt: Backoff = field(
        default_factory=lambda: Backoff(first_s=30.0, most_s=600.0, jitter=0.25)
    )
    strike: Backoff = field(default_factory=lambda: Backoff(first_s=2.0, most_s=3600.0))
    overtaken_s: float = 2.0  # a later batch is receipted, so this one is probably lost


class Flight:
    """The batches of one target that are under way.

    A batch that was overtaken, refused or cost the connection again and again is *blocked*: it
    no longer takes a place in the window and is tried again ever more rarely.
    """

    def __init__(self, rules: FlightRules, random: Callable[[], float]) -> None:
        self.rules = rules
        self.cursor = 0  # position of the last batch taken from the outbox
        self._random = random
        self._highest: dict[str, int] = {}  # last receipted seq of each epoch
        self._shipments: dict[Key, Shipment] = {}

    def __len__(self) -> int:
        return len(self._shipments)

    def __contains__(self, key: Key) -> bool:
        return key in self._shipments

    @property
    def blocked(self) -> int:
        """How many batches are set aside."""
        return sum(shipment.blocked for shipment in self._shipments.values())

    @property
    def room(self) -> int:
        """How many batches may be taken from the outbox now."""
        active = len(self._shipments) - self.blocked
        # With this many set aside the fault is not in single batches.
        if self.blocked >= MOST_BLOCKED:
            return 0
        if active >= self.rules.window and self._all_stuck():
            # One probe beyond the window: if it is receipted, those before it are at fault.
            return self.rules.window + 1 - active
        return self.rules.window - active

    def admit(self, batches: Iterable[OutboxBatch], now_ns: int) -> None:
        """Take batches from the outbox; each is due at once."""
        for batch in batches:
            key = (batch.link.epoch, batch.link.seq)
            self.cursor = max(self.cursor, batch.position)
            self._shipments.setdefault(
                key,
                Shipment(position=batch.position, key=key, data=batch.data, due_ns=now_ns),
            )

    def next_due(self, now_ns: int) -> Shipment | None:
        """The oldest batch that is due, those set aside last."""
        due = [item for item in self._shipments.values() if item.due_ns <= now_ns]
        return min(due, key=lambda item: (item.blocked, item.position), default=None)

    def next_due_ns(self) -> int | None:
        """When the next batch is due."""
        return min((item.due_ns for item in self._shipments.values()), default=None)

    def sent(self, shipment: Shipment, now_ns: int) -> bool:
        """The batch was handed to the broker; it is due again if no receipt comes.

        Returns whether it was set aside just now: sent again and again without a receipt, while
        later batches have theirs.
        """
        delay_s = self.rules.receipt.delay_s(shipment.attempts, self._random())
        shipment.attempts += 1
        shipment.sent_ns = now_ns
        shipment.due_ns = now_ns + int(delay_s * 1e9)
        if shipment.blocked:
            self._block(shipment, now_ns)
            return False
        epoch, seq = shipment.key
        if seq < self._highest.get(epoch, 0):
            shipment.late += 1
        if shipment.late <= LATE_BEFORE_BLOCKED:
            return False
        self._block(shipment, now_ns)
        return True

    def postponed(self, shipment: Shipment, now_ns: int) -> None:
        """The batch could not be sent just now; the connection will say when it can."""
        shipment.due_ns = now_ns + int(0.2e9)

    def receipted(self, receipt: Receipt, now_ns: int) -> list[Key]:
        """Take off what a receipt covers and return it.

        What was sent before a batch that is now receipted, and is not receipted itself, was
        probably lost or refused: it is due again soon.
        """
        done = [self._shipments.pop(key) for key in [*self._shipments] if covers(receipt, key)]
        answered_ns = max((item.sent_ns for item in done if item.sent_ns is not None), default=0)
        highest = max([receipt.through, *(last for _, last in receipt.held)])
        self._highest[receipt.epoch] = max(self._highest.get(receipt.epoch, 0), highest)
        for item in self._shipments.values():
            if item.key[0] != receipt.epoch or item.sent_ns is None or item.blocked:
                continue
            if item.sent_ns < answered_ns:
                again_ns = item.sent_ns + int(self.rules.overtaken_s * 1e9)
                item.due_ns = max(now_ns, min(item.due_ns, again_ns))
        return [item.key for item in done]

    def strike(self, key: Key, now_ns: int, *, size: int | None, certain: bool) -> bool:
        """The broker refused this batch, or the connection was lost over it.

        ``size`` is the largest message sent if it was too large; the next attempt uses smaller
        parts. ``certain`` is whether the broker said so; otherwise the first time is put down to
        the network. Returns whether the batch was set aside just now.
        """
        item = self._shipments.get(key)
        if item is None:
            return False
        if size is not None:
            item.part_limit = max(SMALLEST_PART_LIMIT, size // 4)
        if item.blocked or certain or item.strikes:
            newly = not item.blocked
            self._block(item, now_ns)
            return newly
        item.strikes += 1
        item.due_ns = now_ns + int(self._strike_delay_s(item) * 1e9)
        return False

    def connection_lost(self, now_ns: int) -> None:
        """Everything sent and not receipted is due at the next connection, but not what is
        set aside or has just cost a connection."""
        for item in self._shipments.values():
            if item.sent_ns is not None and not item.blocked and not item.strikes:
                item.due_ns = min(item.due_ns, now_ns)

    def _block(self, item: Shipment, now_ns: int) -> None:
        item.blocked = True
        item.data = None
        item.strikes += 1
        item.due_ns = now_ns + int(self._strike_delay_s(item) * 1e9)

    def _strike_delay_s(self, item: Shipment) -> float:
        return self.rules.strike.delay_s(max(0, item.strikes - 1), self._random())

    def _all_stuck(self) -> bool:
        return all(
            item.attempts >= ATTEMPTS_BEFORE_PROBE
            for item in self._shipments.values()
            if not item.blocked
        )


def covers(receipt: Receipt, key: Key) -> bool:
    """Whether a receipt says that a batch is committed.

    Example:
        >>> covers(Receipt(site="s", gateway="g", epoch="e", through=2, hash="h",
        ...                held=((5, 6),)), ("e", 5))
        True
    """
    epoch, seq = key
    if epoch != receipt.epoch:
        return False
    return seq <= receipt.through or any(first <= seq <= last for first, last in receipt.held)
