"""From outbox to receipt over real brokers, with everything killed in between."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from agent.core.chain import SigningKey
from agent.core.errors import StoreError
from agent.core.model import Receipt
from agent.core.receipt import encode_receipt
from agent.ledger.database import open_ledger
from agent.ledger.service import BrokerAccess, LedgerOptions, run_ledger
from agent.ledger.storage import LedgerStorage
from agent.ledger.verify import verify
from tests.conftest import Needs
from tests.sync.harness import (
    EPOCH,
    GATEWAY,
    LEDGER_KEY,
    OWNER,
    SITE,
    ChildBroker,
    Client,
    LedgerProcess,
    SystemClock,
    chain,
    embedded,
    gateway,
    ledger,
    mosquitto,
    new_ledger,
    target,
    until,
)


@pytest.fixture(params=["mosquitto", "embedded"])
def broker(request: pytest.FixtureRequest, needs: Needs, tmp_path: Path) -> Iterator[ChildBroker]:
    if request.param == "mosquitto":
        made = mosquitto(needs("mosquitto"), tmp_path)
    else:
        needs("python:iotcore")
        made = embedded(tmp_path)
    made.start()
    yield made
    made.kill()


@pytest.fixture
def plain(needs: Needs, tmp_path: Path) -> Iterator[ChildBroker]:
    made = mosquitto(needs("mosquitto"), tmp_path)
    made.start()
    yield made
    made.kill()


def assert_whole(path: Path, count: int) -> None:
    """The ledger's chain is whole, every record is booked once, and the bytes prove it."""
    database = open_ledger(path)
    try:
        report = verify(database)
        assert report.findings == []
        assert [(c.through, c.batches, c.held) for c in report.chains] == [(count, count, 0)]
        for table in ("windows", "emissions", "events"):
            booked = database.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            assert booked == count, table
    finally:
        database.close()


async def test_every_batch_is_receipted(broker: ChildBroker, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    async with (
        ledger(broker, path),
        gateway(target(broker), chain(60)) as sender,
    ):
        await until(lambda: len(sender.outbox.confirmed_seqs()) == 60)
        await until(lambda: sender.publisher.state.in_flight == 0)
    assert_whole(path, 60)


async def test_workers_share_the_subscription_and_agree(
    broker: ChildBroker, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.db"
    async with (
        ledger(broker, path) as one,
        ledger(broker, path) as two,
        gateway(target(broker), chain(60)) as sender,
    ):
        await until(lambda: len(sender.outbox.confirmed_seqs()) == 60)
        assert one.state.committed + two.state.committed == 60
        assert min(one.state.committed, two.state.committed) > 0
    assert_whole(path, 60)


async def test_the_service_as_it_is_started(broker: ChildBroker, tmp_path: Path) -> None:
    """Key made at the first start, pinned by the gateway, kept at the second."""
    path, key_file = tmp_path / "ledger.db", tmp_path / "ledger.key"
    new_ledger(path).close()
    options = LedgerOptions(database=path, key_file=key_file, access=BrokerAccess(url=broker.url))
    keys: list[str] = []
    for number in (1, 2):
        stop = asyncio.Event()
        task = asyncio.create_task(
            run_ledger(
                options,
                clock=SystemClock(),
                random=Random().random,
                stop=stop,
                started=lambda worker: keys.append(worker.state.ledger_key),
            )
        )
        await until(lambda n=number: len(keys) == n)
        async with gateway(target(broker, ledger_key=keys[0]), chain(5)) as sender:
            await until(lambda s=sender: len(s.outbox.confirmed_seqs()) == 5)
        stop.set()
        await task
    assert keys[0] == keys[1]
    assert_whole(path, 5)


async def test_what_cannot_be_stored_is_neither_acknowledged_nor_receipted(
    plain: ChildBroker, tmp_path: Path
) -> None:
    async with gateway(target(plain), chain(3)) as sender:
        with pytest.raises(StoreError):
            async with ledger(plain, tmp_path / "ledger.db") as worker:
                worker.database.connection.execute("PRAGMA query_only=ON")
                await until(lambda: not worker.state.connected)
        assert sender.outbox.confirmed_seqs() == []
        async with ledger(plain, tmp_path / "ledger.db"):
            await until(lambda: len(sender.outbox.confirmed_seqs()) == 3)


async def test_birth_and_status_are_kept_and_the_will_says_offline(
    broker: ChildBroker, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.db"
    async with ledger(broker, path):
        database = open_ledger(path)
        storage = LedgerStorage(database.connection)

        def status() -> bytes:
            return next((notice.payload for notice in storage.notices("status")), b"")

        async with gateway(target(broker)) as sender:
            sender.publisher.publish_birth({"devices": ["f103"]})
            sender.publisher.publish_status({"state": "online"})
            await until(lambda: b"online" in status())
            await until(lambda: [n.payload for n in storage.notices("birth")] != [])
            sender.publisher.publish_live({"f103": 1.5})
        await until(lambda: status() == b'{"state":"offline"}')
        database.close()


async def test_ledger_killed_in_mid_run(broker: ChildBroker, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    worker = LedgerProcess(broker, path)
    worker.start()
    try:
        async with gateway(target(broker, window=10), chain(120)) as sender:
            for wanted in (20, 70):
                await until(lambda w=wanted: len(sender.outbox.confirmed_seqs()) >= w)
                worker.kill()
                worker.start()
            await until(lambda: len(sender.outbox.confirmed_seqs()) == 120)
    finally:
        worker.kill()
    assert_whole(path, 120)


async def test_broker_killed_in_mid_run(broker: ChildBroker, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    async with (
        ledger(broker, path),
        gateway(target(broker, window=5), chain(120)) as sender,
    ):
        for wanted in (20, 60):
            await until(lambda w=wanted: len(sender.outbox.confirmed_seqs()) >= w)
            broker.kill()
            broker.start()
        await until(lambda: len(sender.outbox.confirmed_seqs()) == 120)
        assert "sync.blocked" not in sender.codes()
    assert_whole(path, 120)


async def test_puback_is_not_durability(plain: ChildBroker, tmp_path: Path) -> None:
    """Control: the same outage with PUBACK as confirmation loses batches, and the test sees it."""
    path = tmp_path / "ledger.db"
    subscriber = LedgerProcess(plain, path)
    subscriber.start()
    async with gateway(target(plain, confirm="puback", window=5), chain(200)) as sender:
        await until(lambda: len(sender.outbox.confirmed_seqs()) >= 10)
        # The subscriber stands still as a busy one would; the broker queues for it, then dies.
        assert subscriber.process is not None
        subscriber.process.send_signal(signal.SIGSTOP)
        await until(lambda: len(sender.outbox.confirmed_seqs()) >= 150)
        plain.kill()
        subscriber.process.send_signal(signal.SIGCONT)
        plain.start()
        await until(lambda: len(sender.outbox.confirmed_seqs()) == 200)
        await asyncio.sleep(1.0)
    subscriber.kill()
    database = open_ledger(path)
    stored = database.connection.execute("SELECT count(*) FROM batches").fetchone()[0]
    database.close()
    assert stored < 200


async def test_confirm_by_puback_needs_a_subscriber(plain: ChildBroker) -> None:
    """A broker that has nobody to give a batch to does not count as confirmation."""
    async with gateway(target(plain, confirm="puback"), chain(3)) as sender:
        await until(lambda: sender.publisher.state.sent >= 3)
        await asyncio.sleep(0.3)
        assert sender.outbox.confirmed_seqs() == []


async def test_unknown_gateway_gets_no_receipt(broker: ChildBroker, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    async with (
        ledger(broker, path, enrolled=False) as worker,
        gateway(target(broker), chain(3)) as sender,
    ):
        await until(lambda: worker.state.refused >= 3)
        assert sender.outbox.confirmed_seqs() == []
        assert worker.state.committed == 0


async def test_what_others_publish_on_the_topic_changes_nothing(
    broker: ChildBroker, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.db"
    batches = chain(12)
    foreign = [
        *(batch.data for batch in chain(6, key=SigningKey.generate())),
        chain(1, gateway="gw-02")[0].data,
        batches[0].data[:-1],
        b"",
        b"\xff" * 1000,
    ]
    topic = f"tanshu/v1/{SITE}/{GATEWAY}/batch"
    async with ledger(broker, path) as worker, Client(broker) as other:
        for data in foreign:
            other.publish(topic, data, qos=1)
        other.publish(topic, b"x", qos=1, user=[("content-encoding", "zstd")])
        other.publish(topic, b"x", qos=1, user=[("content-encoding", "gzip")])
        other.publish(topic, b"x", qos=1, user=[("parts", "2"), ("part", "3")])
        other.publish("tanshu/v1/a/b/batch", batches[0].data, qos=1)
        await until(lambda: worker.state.refused == len(foreign) + 4)
        async with gateway(target(broker), batches) as sender:
            await until(lambda: sender.outbox.confirmed_seqs() == list(range(1, 13)))
    assert_whole(path, 12)


async def test_one_batch_the_ledger_refuses_does_not_hold_the_others(
    broker: ChildBroker, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.db"
    batches = chain(40)
    damaged = batches[2]
    flipped = damaged.data.replace(b"measured", b"estimate")
    batches[2] = type(damaged)(
        link=damaged.link,
        data=flipped,
        count=damaged.count,
        window_from_ms=damaged.window_from_ms,
        window_to_ms=damaged.window_to_ms,
    )
    async with (
        ledger(broker, path),
        gateway(target(broker, window=4), batches) as sender,
    ):
        await until(lambda: len(sender.outbox.confirmed_seqs()) == 39)
        await until(lambda: "sync.blocked" in sender.codes())
        assert 3 not in sender.outbox.confirmed_seqs()
        database = open_ledger(path)
        receipt = LedgerStorage(database.connection).receipt(OWNER, EPOCH)
        database.close()
        assert (receipt.through, receipt.held) == (2, ((4, 40),))


async def test_forged_and_replayed_receipts_change_nothing(plain: ChildBroker) -> None:
    batches = chain(10)
    whole = Receipt(site=SITE, gateway=GATEWAY, epoch=EPOCH, through=10, hash=batches[9].link.hash)
    forged = [
        encode_receipt(whole, time_ms=1, key=SigningKey.generate()),
        encode_receipt(whole, time_ms=1, key=LEDGER_KEY).replace(b'"through":10', b'"through":11'),
        encode_receipt(
            Receipt(site=SITE, gateway="gw-02", epoch=EPOCH, through=10, hash=whole.hash),
            time_ms=1,
            key=LEDGER_KEY,
        ),
        encode_receipt(
            Receipt(site=SITE, gateway=GATEWAY, epoch=EPOCH, through=9, hash=whole.hash),
            time_ms=1,
            key=LEDGER_KEY,
        ),
        encode_receipt(
            Receipt(site=SITE, gateway=GATEWAY, epoch=EPOCH, through=99, hash=whole.hash),
            time_ms=1,
            key=LEDGER_KEY,
        ),
        b"",
        b"\xff\n\n",
    ]
    genuine = [
        encode_receipt(whole, time_ms=2, key=LEDGER_KEY),
        encode_receipt(
            Receipt(site=SITE, gateway=GATEWAY, epoch=EPOCH, through=4, hash=batches[3].link.hash),
            time_ms=1,
            key=LEDGER_KEY,
        ),
    ]
    async with gateway(target(plain), batches) as sender, Client(plain) as other:
        await until(lambda: sender.publisher.state.connected)
        for payload in forged:
            other.publish(f"tanshu/v1/{SITE}/{GATEWAY}/receipt", payload, qos=1)
        await until(lambda: sender.codes().count("sync.receipt_refused") == len(forged))
        assert sender.outbox.confirmed_seqs() == []
        for payload in genuine:
            other.publish(f"tanshu/v1/{SITE}/{GATEWAY}/receipt", payload, qos=1)
        await until(lambda: len(sender.outbox.confirmed_seqs()) == 10)
        await until(lambda: sender.publisher.state.in_flight == 0)


async def test_a_second_client_of_the_same_id_is_noticed_and_not_fought(
    plain: ChildBroker,
) -> None:
    section = target(plain, client_id="same")
    async with gateway(section) as sender:
        await until(lambda: sender.publisher.state.connected)
        async with Client(plain, "same"):
            await until(lambda: "sync.taken_over" in sender.codes())
            before = len(sender.events)
            await asyncio.sleep(1.5)
            assert not sender.publisher.state.connected
            assert len(sender.events) == before


@pytest.mark.parametrize(
    "setting", ["max_packet_size 20000", "message_size_limit 20000"], ids=str.split
)
async def test_a_batch_too_large_for_the_broker_travels_in_parts(
    needs: Needs, tmp_path: Path, setting: str
) -> None:
    broker = mosquitto(needs("mosquitto"), tmp_path, setting)
    broker.start()
    path = tmp_path / "ledger.db"
    try:
        batches = chain(30, sizes={7: 150_000})
        # Two workers on one shared subscription: each gets some of the parts.
        async with (
            ledger(broker, path),
            ledger(broker, path),
            gateway(target(broker), batches) as sender,
        ):
            await until(lambda: len(sender.outbox.confirmed_seqs()) == 30)
            losses = [code for code in sender.codes() if code == "sync.online"]
            assert len(losses) <= (0 if "max_packet" in setting else 1)
        assert_whole(path, 30)
    finally:
        broker.kill()


async def test_a_broker_that_drops_large_messages_without_a_word(
    needs: Needs, tmp_path: Path
) -> None:
    needs("python:iotcore")
    broker = embedded(tmp_path, max_payload=20_000)
    broker.start()
    path = tmp_path / "ledger.db"
    try:
        batches = chain(30, sizes={7: 150_000})
        async with ledger(broker, path), gateway(target(broker), batches) as sender:
            await until(lambda: len(sender.outbox.confirmed_seqs()) >= 29)
            await until(lambda: len(sender.outbox.confirmed_seqs()) == 30)
        assert_whole(path, 30)
    finally:
        broker.kill()
