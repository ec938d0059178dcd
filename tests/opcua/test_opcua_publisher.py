"""The publish loop against a server that loses, repeats, ends and falls silent."""

from __future__ import annotations

import asyncio

import pytest

from agent.core.errors import PortError, ReplyTimeout
from drivers.opcua.errors import status_name
from drivers.opcua.publisher import SEQUENCE_MODULUS, Publisher, following
from drivers.opcua.wire import Publish


def message(sequence: int, *, keep_alive: bool = False, ended: int | None = None) -> Publish:
    changes = [] if keep_alive else [(0, float(sequence), 0, 0, 0)]
    return Publish(
        subscription=1,
        sequence=sequence,
        publish_ms=0,
        more=False,
        keep_alive=keep_alive,
        changes=changes,
        ended=ended,
    )


class Script:
    """A session whose notifications are written beforehand; it falls silent after them."""

    where = "bus dcs"

    def __init__(self, *messages: Publish, kept: tuple[int, ...] = ()) -> None:
        self.messages = list(messages)
        self.kept = set(kept)
        self.acknowledged: list[int | None] = []
        self.asked_again: list[int] = []

    async def publish(self, subscription: int, acknowledge: int | None) -> Publish:
        self.acknowledged.append(acknowledge)
        if not self.messages:
            await asyncio.Event().wait()
        return self.messages.pop(0)

    async def republish(self, subscription: int, sequence: int) -> Publish | None:
        self.asked_again.append(sequence)
        return message(sequence) if sequence in self.kept else None


async def heard(script: Script, count: int) -> tuple[list[int], Publisher]:
    publisher = Publisher(script, 1, 30.0, status_name)
    sequences: list[int] = []
    for _ in range(count):
        sequences += [m.sequence for m in await publisher.next()]
    await publisher.stop()
    return sequences, publisher


async def test_each_notification_is_acknowledged_with_the_next_request() -> None:
    script = Script(message(1), message(2), message(3, keep_alive=True), message(3))
    sequences, publisher = await heard(script, 4)
    assert sequences == [1, 2, 3, 3]
    assert script.acknowledged[:4] == [None, 1, 2, None]
    assert (publisher.lost, script.asked_again) == (0, [])


async def test_what_was_missed_is_fetched_and_comes_first() -> None:
    script = Script(message(1), message(4), kept=(2, 3))
    sequences, publisher = await heard(script, 2)
    assert sequences == [1, 2, 3, 4]
    assert publisher.lost == 0


async def test_a_keep_alive_shows_a_missed_notification_too() -> None:
    script = Script(message(1), message(3, keep_alive=True), message(3), kept=(2,))
    sequences, _ = await heard(script, 3)
    assert sequences == [1, 2, 3, 3]


async def test_what_the_server_has_no_more_is_counted_as_lost() -> None:
    sequences, publisher = await heard(Script(message(1), message(5), kept=(2,)), 2)
    assert sequences == [1, 2, 5]
    assert publisher.lost == 2


async def test_a_server_that_counts_anew_loses_nothing() -> None:
    script = Script(message(900), message(1), message(2))
    sequences, publisher = await heard(script, 3)
    assert sequences == [900, 1, 2]
    assert (publisher.lost, script.asked_again) == (0, [])


async def test_the_sequence_number_wraps_past_zero() -> None:
    last = SEQUENCE_MODULUS - 1
    assert following(last) == 1
    script = Script(message(last), message(1))
    sequences, publisher = await heard(script, 2)
    assert sequences == [last, 1]
    assert (publisher.lost, script.asked_again) == (0, [])


async def test_silence_and_the_end_of_the_subscription_are_bus_errors() -> None:
    publisher = Publisher(Script(), 1, 0.05, status_name)
    with pytest.raises(ReplyTimeout, match="no publish response"):
        await publisher.next()
    await publisher.stop()
    ended = Publisher(Script(message(1, ended=0x800A_0000)), 1, 30.0, status_name)
    with pytest.raises(PortError, match="BadTimeout"):
        await ended.next()


async def test_another_subscriptions_notification_is_left_alone() -> None:
    stranger = Publish(
        subscription=2,
        sequence=77,
        publish_ms=0,
        more=False,
        keep_alive=False,
        changes=[],
        ended=None,
    )
    sequences, publisher = await heard(Script(message(1), stranger, message(2)), 3)
    assert sequences == [1, 2]
    assert publisher.lost == 0


async def test_one_request_waits_while_the_last_answer_is_worked_on() -> None:
    script = Script(message(1), message(2), message(3))
    publisher = Publisher(script, 1, 30.0, status_name)
    await publisher.next()
    for _ in range(5):
        await asyncio.sleep(0)
    assert publisher.ready
    assert len(script.acknowledged) == 2  # never more than one answer undelivered
    await publisher.stop()
