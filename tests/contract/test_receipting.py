"""A central system of another make sends receipts as the guide says, and the gateway takes them."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.conftest import Needs
from tests.contract.central import Listener
from tests.contract.contract import faults
from tests.sync.harness import EPOCH, GATEWAY, SITE, chain, gateway, mosquitto, target, until

KEY = Ed25519PrivateKey.from_private_bytes(b"key of another central system...")


def line(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def receipt_of(through: int, digest: str | None, held: list[list[int]], time_ms: int) -> bytes:
    first = line(
        {
            "schema": "tanshu/v1/receipt", "site": SITE, "gateway": GATEWAY, "epoch": EPOCH,
            "through": through, "hash": digest, "held": held, "time": time_ms,
        }
    )  # fmt: skip
    assert faults("receipt", json.loads(first)) == []
    signature = KEY.sign(b"tanshu/v1/receipt\0" + sha256(first).digest())
    key_id = sha256(KEY.public_key().public_bytes_raw()).hexdigest()[:16]
    last = line({"key": key_id, "sig": b64encode(signature).decode()})
    return b"\n".join([first, last, b""])


async def test_batches_leave_the_outbox_by_its_receipts(needs: Needs, tmp_path: Path) -> None:
    broker = mosquitto(needs("mosquitto"), tmp_path)
    broker.start()
    key = "ed25519:" + b64encode(KEY.public_key().public_bytes_raw()).decode()
    batches = chain(4)
    try:
        with Listener(broker.port) as central:
            async with gateway(target(broker, ledger_key=key), batches) as sender:
                await until(lambda: len(central.of("batch")) >= 4)
                digest = batches[1].link.hash
                await send(central, receipt_of(2, digest, [[4, 4]], 1_767_225_600_000))
                await until(lambda: sender.outbox.confirmed_seqs() == [1, 2, 4])
                await send(central, receipt_of(3, "0" * 64, [], 1_767_225_601_000))
                await until(lambda: "sync.receipt_refused" in sender.codes())
                assert sender.outbox.confirmed_seqs() == [1, 2, 4]
                digest = batches[3].link.hash
                await send(central, receipt_of(4, digest, [], 1_767_225_602_000))
                await until(lambda: sender.outbox.confirmed_seqs() == [1, 2, 3, 4])
    finally:
        broker.kill()


async def send(central: Listener, receipt: bytes) -> None:
    await asyncio.to_thread(central.publish, "receipt", receipt)


def test_a_receipt_of_nothing_has_no_hash() -> None:
    assert receipt_of(0, None, [[2, 3]], 0)
    with pytest.raises(AssertionError):
        receipt_of(0, "0" * 64, [], 0)
    with pytest.raises(AssertionError):
        receipt_of(1, None, [], 0)
