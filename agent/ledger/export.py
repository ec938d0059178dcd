"""The evidence as plain files, for `scripts/verify_batches.py` or anyone else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from agent.book.database import Database
from agent.core.chain import SigningKey
from agent.core.errors import StoreError
from agent.core.receipt import encode_receipt
from agent.ledger.storage import LedgerStorage


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What was written: batch files, one receipt per chain, the registered keys."""

    folder: Path
    batches: int
    files: tuple[Path, ...]


def export(database: Database, folder: Path, *, key: SigningKey, now_ms: int) -> Export:
    """Write every stored batch, a receipt for each chain, and the keys, into a folder.

    ``{site}.{gateway}.{epoch}.batches`` holds the batches of an epoch one after the other, exactly
    as they were signed; ``….receipt`` is the ledger's word on them, the witness of the chain's
    end; ``keys.json`` lists the registered keys and ``ledger-key.txt`` the ledger's own.

    Raises:
        StoreError: a file cannot be written.
    """
    storage = LedgerStorage(database.connection)
    files: list[Path] = []
    count = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for chain in storage.chains():
            owner = chain.owner
            stem = f"{owner.site}.{owner.gateway}.{chain.epoch}"
            target = folder / f"{stem}.batches"
            with target.open("wb") as file:
                for stored in storage.batches(owner, chain.epoch):
                    file.write(stored.data)
                    count += 1
            receipt = folder / f"{stem}.receipt"
            receipt.write_bytes(
                encode_receipt(storage.receipt(owner, chain.epoch), time_ms=now_ms, key=key)
            )
            files += [target, receipt]
        keys = [
            {"site": owner.site, "gateway": owner.gateway, "key": public.text}
            for owner, public in storage.enrolled()
        ]
        (folder / "keys.json").write_text(json.dumps(keys, indent=2) + "\n", encoding="utf-8")
        (folder / "ledger-key.txt").write_text(key.public.text + "\n", encoding="utf-8")
    except OSError as fault:
        raise StoreError(
            f"the export cannot be written: {fault}",
            where=str(folder),
            hint="name a folder that this user may write",
        ) from fault
    return Export(
        folder=folder,
        batches=count,
        files=(*files, folder / "keys.json", folder / "ledger-key.txt"),
    )
