"""What a gateway accepts as a receipt: signed by the pinned key, for batches it has sealed."""

from __future__ import annotations

from agent.core.chain import PublicKey
from agent.core.errors import ProofError
from agent.core.model import Receipt
from agent.core.receipt import TimedReceipt, decode_receipt
from agent.sync.outbox import Outbox
from agent.sync.topics import Topics

CLOCK_TOLERANCE_MS = 60_000


class Receipts:
    """Checks the receipts of one target against its pinned key and the gateway's own chain."""

    def __init__(self, ledger_key: PublicKey, topics: Topics, outbox: Outbox) -> None:
        self._key = ledger_key
        self._topics = topics
        self._outbox = outbox
        self._last: dict[str, TimedReceipt] = {}

    async def accept(self, payload: bytes) -> tuple[Receipt, str]:
        """The receipt in a message, and what the ledger seems to have lost (mostly nothing).

        Raises:
            ProofError: not signed by the pinned key, for another gateway, or about a batch that
                this gateway has not sealed.
        """
        timed = decode_receipt(payload, self._key)
        await self._check(timed.receipt)
        lost = self._step_back(timed)
        self._last[timed.receipt.epoch] = timed
        return timed.receipt, lost

    async def _check(self, receipt: Receipt) -> None:
        if (receipt.site, receipt.gateway) != (self._topics.site, self._topics.gateway):
            raise ProofError(f"the receipt is for {receipt.site}/{receipt.gateway}")
        if receipt.through == 0:
            return
        known = await self._outbox.hash_of(receipt.epoch, receipt.through)
        if known != receipt.hash:
            what = "another batch" if known else "a batch that this gateway has not sealed:"
            raise ProofError(
                f"the ledger holds {what} {receipt.epoch[:8]}/{receipt.through}",
                hint="another gateway may run with this gateway's key",
            )

    def _step_back(self, timed: TimedReceipt) -> str:
        last = self._last.get(timed.receipt.epoch)
        if (
            last is None
            or timed.receipt.through >= last.receipt.through
            or timed.time_ms <= last.time_ms + CLOCK_TOLERANCE_MS
        ):
            return ""
        return (
            f"the ledger held batches up to {last.receipt.through} of epoch "
            f"{timed.receipt.epoch[:8]} and now says {timed.receipt.through}; "
            "it may have been restored from an older copy"
        )
