"""`python -m tests.sync.ledger_process URL DATABASE`: a ledger worker until it is killed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from random import Random

from agent.ledger.service import BrokerAccess, LedgerWorker
from tests.sync.harness import LEDGER_KEY, QUICK, SystemClock, new_ledger


async def main(url: str, path: Path) -> None:
    worker = LedgerWorker(
        database=new_ledger(path),
        broker=BrokerAccess(url=url).broker(Random().random),
        key=LEDGER_KEY,
        clock=SystemClock(),
        random=Random().random,
        patience=QUICK.patience,
    )
    await worker.run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
