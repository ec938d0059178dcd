"""The order, the window and the setting aside of batches, without any network."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent.core.model import Receipt
from agent.core.payload import Link
from agent.core.receipt import spans_of
from agent.sync.backoff import Backoff
from agent.sync.flight import Flight, FlightRules, covers
from agent.sync.outbox import OutboxBatch

RULES = FlightRules(
    window=4,
    receipt=Backoff(first_s=30.0, most_s=600.0, jitter=0.25),
    strike=Backoff(first_s=2.0, most_s=3600.0),
    overtaken_s=2.0,
)
S = 1_000_000_000


def batch(seq: int, epoch: str = "a") -> OutboxBatch:
    return OutboxBatch(position=seq, link=Link(epoch=epoch, seq=seq, hash=""), data=b"x")


def receipt(through: int, *held: tuple[int, int], epoch: str = "a") -> Receipt:
    return Receipt(site="s", gateway="g", epoch=epoch, through=through, hash="h", held=held)


def flight(*seqs: int) -> Flight:
    made = Flight(RULES, lambda: 0.0)
    made.admit([batch(seq) for seq in seqs], 0)
    return made


def send_all(made: Flight, now_ns: int) -> list[int]:
    sent = []
    while (shipment := made.next_due(now_ns)) is not None:
        made.sent(shipment, now_ns)
        sent.append(shipment.key[1])
    return sent


def test_oldest_first_and_again_when_no_receipt_comes() -> None:
    made = flight(2, 1, 3)
    assert send_all(made, 0) == [1, 2, 3]
    assert send_all(made, 29 * S) == []
    assert send_all(made, 30 * S) == [1, 2, 3]
    assert send_all(made, 89 * S) == []
    assert send_all(made, 90 * S) == [1, 2, 3]


def test_the_overtaken_is_sent_again_soon_and_later_set_aside() -> None:
    made = flight(1, 2, 3)
    for now_ns in (1, 2, 3):
        shipment = made.next_due(now_ns)
        assert shipment is not None
        made.sent(shipment, now_ns)
    assert made.receipted(receipt(1, (3, 3)), 4) == [("a", 1), ("a", 3)]
    assert send_all(made, 1 * S) == []
    aside = []
    now_ns = 3 * S
    while not aside:
        shipment = made.next_due(now_ns)
        if shipment is not None and made.sent(shipment, now_ns):
            aside.append(shipment.key)
        now_ns += S
    assert aside == [("a", 2)]
    assert made.blocked == 1
    assert made.room == RULES.window


def test_without_receipts_the_window_does_not_move_but_for_one_probe() -> None:
    made = flight(1, 2, 3, 4)
    now_ns = 0
    for _ in range(8):
        send_all(made, now_ns)
        now_ns += 700 * S
    assert made.blocked == 0
    assert made.room == 1
    made.admit([batch(5)], now_ns)
    assert made.room <= 0


def test_a_refused_batch_lets_the_others_pass() -> None:
    made = flight(1, 2)
    send_all(made, 0)
    assert made.strike(("a", 1), 0, size=8000, certain=True)
    assert made.room == 3
    made.connection_lost(S)
    assert send_all(made, S) == [2]
    shipment = made.next_due(3 * S)
    assert shipment is not None
    assert (shipment.key, shipment.part_limit) == (("a", 1), 2000)


def test_one_unexplained_loss_is_put_down_to_the_network() -> None:
    made = flight(1)
    send_all(made, 0)
    assert not made.strike(("a", 1), 0, size=8000, certain=False)
    assert made.blocked == 0
    assert made.strike(("a", 1), 0, size=8000, certain=False)
    assert made.blocked == 1


def test_many_blocked_batches_stop_the_flood() -> None:
    made = Flight(RULES, lambda: 0.0)
    for seq in range(1, 201):
        if made.room > 0:
            made.admit([batch(seq)], 0)
            made.strike(("a", seq), 0, size=None, certain=True)
    assert made.blocked == 100
    assert made.room == 0


def test_a_receipt_of_another_epoch_says_nothing() -> None:
    made = flight(1, 2)
    send_all(made, 0)
    assert made.receipted(receipt(2, epoch="b"), 1) == []
    assert len(made) == 2


@given(st.integers(0, 20), st.sets(st.integers(1, 40)), st.integers(1, 40))
def test_covers_is_through_or_held(through: int, above: set[int], seq: int) -> None:
    held = {number for number in above if number > through}
    said = receipt(through, *spans_of(sorted(held)))
    assert covers(said, ("a", seq)) == (seq <= through or seq in held)


class Delivery(RuleBasedStateMachine):
    """Whatever the broker and ledger do, nothing is dropped before its receipt."""

    def __init__(self) -> None:
        super().__init__()
        self.flight = Flight(RULES, lambda: 0.5)
        self.now_ns = 0
        self.next_seq = 1
        self.committed: set[int] = set()
        self.receipted: set[int] = set()
        self.admitted: set[int] = set()

    @rule()
    def refill(self) -> None:
        while self.flight.room > 0 and self.next_seq <= 60:
            self.flight.admit([batch(self.next_seq)], self.now_ns)
            self.admitted.add(self.next_seq)
            self.next_seq += 1

    @rule(arrives=st.booleans())
    def send(self, arrives: bool) -> None:
        shipment = self.flight.next_due(self.now_ns)
        if shipment is not None:
            self.flight.sent(shipment, self.now_ns)
            if arrives:
                self.committed.add(shipment.key[1])

    @rule(seconds=st.integers(1, 4000))
    def wait(self, seconds: int) -> None:
        self.now_ns += seconds * S

    @rule()
    def lose_connection(self) -> None:
        self.flight.connection_lost(self.now_ns)

    @precondition(lambda self: self.admitted)
    @rule(data=st.data(), certain=st.booleans())
    def strike(self, data: st.DataObject, certain: bool) -> None:
        seq = data.draw(st.sampled_from(sorted(self.admitted)))
        self.flight.strike(("a", seq), self.now_ns, size=5000, certain=certain)

    @rule()
    def receive(self) -> None:
        through = 0
        while through + 1 in self.committed:
            through += 1
        held = sorted(seq for seq in self.committed if seq > through)
        self.flight.receipted(receipt(through, *spans_of(held)), self.now_ns)
        self.receipted |= self.committed

    @invariant()
    def nothing_is_dropped(self) -> None:
        waiting = {seq for seq in self.admitted if ("a", seq) in self.flight}
        assert waiting == self.admitted - self.receipted

    @invariant()
    def window_holds(self) -> None:
        assert len(self.flight) - self.flight.blocked <= RULES.window + 1

    @invariant()
    def everything_will_be_tried_again(self) -> None:
        if len(self.flight):
            due_ns = self.flight.next_due_ns()
            assert due_ns is not None
            assert due_ns - self.now_ns <= 3600 * S


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(max_examples=60, stateful_step_count=40)
