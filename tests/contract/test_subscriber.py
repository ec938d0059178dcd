"""The example subscriber takes what is genuine, joins it, revises by it, and refuses the rest."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.model import Emission
from agent.core.payload import Link, SealedBatch, seal
from agent.sync.wire import packets
from tests.conftest import Needs
from tests.contract.central import EXAMPLE, Example, Listener, until
from tests.sync.harness import (
    EPOCH,
    GATEWAY,
    GATEWAY_KEY,
    LEDGER_KEY,
    SITE,
    chain,
    mosquitto,
    records_of,
)

SOURCE = "f103-gas"


@pytest.fixture(scope="module")
def broker_port(needs: Needs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    broker = mosquitto(needs("mosquitto"), tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker.port
    broker.kill()


@pytest.fixture
def central(broker_port: int) -> Iterator[tuple[Listener, Example]]:
    with Listener(broker_port) as listener, Example(broker_port, GATEWAY_KEY.public) as example:
        ready(listener, example)
        yield listener, example


def ready(listener: Listener, example: Example) -> None:
    """Wait until the example has subscribed: from then on it names unknown keys."""

    def heard() -> bool:
        mark(listener, "ready")
        return any("ready" in line for line in example.refused)

    until(heard, "the example")
    settled(listener, example)


def mark(listener: Listener, name: str) -> None:
    """Send a batch that is refused by its key, which has this name."""
    lines = [{"site": SITE, "gateway": GATEWAY}, {"key": name}]
    listener.publish("batch", b"".join(json.dumps(line).encode() + b"\n" for line in lines))


def settled(listener: Listener, example: Example) -> None:
    """Wait until the example has judged all that was sent: a broker keeps the order."""
    name = f"mark-{len(example.refused)}-{example.lines}"
    mark(listener, name)
    until(lambda: any(name in line for line in example.refused), "the example's answer")


def shows(example: Example, total: float) -> None:
    until(lambda: example.totals == {SOURCE: pytest.approx(total)}, f"a total of {total}")


def emissions(seq: int) -> float:
    return seq / 3


def extended(batches: list[SealedBatch], *records: Emission) -> list[SealedBatch]:
    more = seal(
        records,
        site=SITE, gateway=GATEWAY, epoch=EPOCH, previous=batches[-1].link, key=GATEWAY_KEY,
    )  # fmt: skip
    return [*batches, more]


def emission_of(seq: int) -> Emission:
    return next(one for one in records_of(seq) if isinstance(one, Emission))


def test_it_fits_on_a_page_and_needs_no_code_of_the_package() -> None:
    text = EXAMPLE.read_text("utf-8")
    assert text.count("\n") <= 60
    tree = ast.walk(ast.parse(text))
    names = {
        name.split(".")[0]
        for node in tree
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert names - set(sys.stdlib_module_names) == {"paho", "cryptography", "zstandard"}


def send(
    listener: Listener, batch: SealedBatch, *, compress: bool = True, limit: int | None = None
) -> None:
    link = Link(epoch=batch.link.epoch, seq=batch.link.seq, hash="")
    topic = f"tanshu/v1/{SITE}/{GATEWAY}/batch"
    for packet in packets(batch.data, link=link, topic=topic, compress=compress, limit=limit):
        listener.publish("batch", packet.payload, packet.user)


def test_it_sums_the_highest_revisions_in_any_order(central: tuple[Listener, Example]) -> None:
    listener, example = central
    batches = chain(3, sizes={2: 5000})
    batches = extended(batches, replace(emission_of(1), kgco2e=7.0, revision=2))
    batches = extended(batches, replace(emission_of(1), kgco2e=99.0, revision=1))
    batches = extended(batches, replace(emission_of(2), kgco2e=None, revision=1))
    first, second, third, revised, late, retired = batches
    send(listener, first)
    send(listener, third, compress=False)
    send(listener, second, limit=1500)
    send(listener, first)
    shows(example, emissions(1) + emissions(2) + emissions(3))
    for batch in (revised, late, retired):
        send(listener, batch)
    shows(example, 7.0 + emissions(3))


def forgeries(batches: list[SealedBatch]) -> Iterator[tuple[str, bytes]]:
    data = batches[1].data
    head, window, emission, event, tail, _ = data.split(b"\n")
    yield "another value", data.replace(b"0.6666666666666666", b"0.1666666666666666")
    yield "a line less", b"\n".join([head, window, emission, tail, b""])
    yield "a line twice", b"\n".join([head, window, emission, emission, event, tail, b""])
    yield "lines exchanged", b"\n".join([head, emission, window, event, tail, b""])
    yield "another gateway's name", data.replace(b'"gw-01"', b'"gw-02"')
    yield "another number", data.replace(b'"seq":2', b'"seq":3')
    yield "another batch's signature", data.replace(tail, batches[0].data.split(b"\n")[-2])
    yield "cut off", data[:-40]
    yield "another key", chain(2, key=LEDGER_KEY)[1].data
    changed = [replace(emission_of(2), kgco2e=1.0)]
    other = seal(
        changed,
        site=SITE, gateway=GATEWAY, epoch=EPOCH, previous=batches[0].link, key=GATEWAY_KEY,
    )  # fmt: skip
    yield "a second batch of that number", other.data
    stray = Link(epoch=EPOCH, seq=3, hash="0" * 64)
    unlinked = seal(
        [replace(emission_of(4), kgco2e=1.0)],
        site=SITE, gateway=GATEWAY, epoch=EPOCH, previous=stray, key=GATEWAY_KEY,
    )  # fmt: skip
    yield "a batch that follows another one", unlinked.data


def test_it_takes_nothing_that_was_changed(central: tuple[Listener, Example]) -> None:
    listener, example = central
    batches = chain(3)
    for batch in batches:
        send(listener, batch)
    shows(example, sum(map(emissions, (1, 2, 3))))
    genuine, printed = dict(example.totals), example.lines
    for what, data in forgeries(batches):
        assert data not in {batch.data for batch in batches}, what
        refused = len(example.refused)
        listener.publish("batch", data)
        until(lambda known=refused: len(example.refused) > known, f"refusal of {what}")
    send(listener, batches[0])
    until(lambda: example.lines > printed, "the totals once more")
    assert (example.lines, example.totals) == (printed + 1, genuine)


def test_the_command_of_the_guide_is_the_one_that_is_tested(broker_port: int) -> None:
    guide = Path(EXAMPLE.parents[2], "docs", "subscribing.md").read_text("utf-8")
    assert "python -u scripts/examples/subscriber.py HOST PORT < keys.json" in guide
