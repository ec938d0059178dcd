"""Whatever is changed in a sealed chain or a receipt, both verifiers see it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.chain import PublicKey
from agent.core.errors import ProofError
from agent.core.payload import Link, check_follows, decode_records, parse_batch, verify_batch
from agent.core.receipt import decode_receipt
from tests.proof.evidence import ROOT, facts, golden, load_script

verifier = load_script(ROOT / "scripts" / "verify_batches.py")
KEY = PublicKey.from_text(facts()["gateway_key"])
LEDGER = PublicKey.from_text(facts()["ledger_key"])
ENROLLED = [{"site": "plant-1", "gateway": "gw-01", "key": facts()["gateway_key"]}]
BATCHES = [golden(f"batch-{number}.txt") for number in (1, 2, 3)]


def package_accepts(batches: list[bytes]) -> bool:
    previous: Link | None = None
    try:
        for data in batches:
            batch = parse_batch(data)
            verify_batch(batch, KEY)
            check_follows(batch, previous)
            decode_records(batch)
            previous = batch.link
    except ProofError:
        return False
    # The receipt is the witness of the head.
    witness = decode_receipt(golden("receipt-whole.txt"), LEDGER).receipt
    return previous is not None and (witness.through, witness.hash) == (
        previous.seq,
        previous.hash,
    )


def script_accepts(batches: list[bytes]) -> bool:
    receipts = [golden("receipt-whole.txt")]
    try:
        verifier.verify(batches, ENROLLED, receipts, facts()["ledger_key"])
    except verifier.Broken:
        return False
    return True


def flip(data: bytes, random: Random) -> bytes:
    position = random.randrange(len(data))
    changed = data[position] ^ (1 << random.randrange(8))
    return data[:position] + bytes([changed]) + data[position + 1 :]


def delete(data: bytes, random: Random) -> bytes:
    first = random.randrange(len(data))
    return data[:first] + data[first + random.randint(1, 8) :]


def insert(data: bytes, random: Random) -> bytes:
    position = random.randrange(len(data) + 1)
    extra = random.choice([b" ", b"\n", b"\r", b"0", b"=", b"\x00", random.randbytes(3)])
    return data[:position] + extra + data[position:]


def swap_lines(data: bytes, random: Random) -> bytes:
    lines = data.split(b"\n")
    first, second = random.sample(range(len(lines)), 2)
    lines[first], lines[second] = lines[second], lines[first]
    return b"\n".join(lines)


def repeat_line(data: bytes, random: Random) -> bytes:
    lines = data.split(b"\n")
    lines.insert(random.randrange(len(lines)), random.choice(lines[:-1]))
    return b"\n".join(lines)


def drop_line(data: bytes, random: Random) -> bytes:
    lines = data.split(b"\n")
    del lines[random.randrange(len(lines) - 1)]
    return b"\n".join(lines)


def cut(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data))]


def flip_space(data: bytes, random: Random) -> bytes:
    """White space that JSON would not mind."""
    places = [n for n, byte in enumerate(data) if byte in b",:{["]
    position = random.choice(places) + 1
    return data[:position] + b" " + data[position:]


MUTATIONS = [flip, delete, insert, swap_lines, repeat_line, drop_line, cut, flip_space]


def test_the_untouched_chain_is_accepted() -> None:
    assert package_accepts(BATCHES)
    assert script_accepts(BATCHES)


@settings(max_examples=400)
@given(st.sampled_from(MUTATIONS), st.integers(0, 2), st.integers(0, 2**32))
def test_a_changed_batch_is_seen(
    mutate: Callable[[bytes, Random], bytes], which: int, seed: int
) -> None:
    changed = mutate(BATCHES[which], Random(seed))
    batches = [changed if n == which else data for n, data in enumerate(BATCHES)]
    if batches != BATCHES:
        assert not package_accepts(batches)
        assert not script_accepts(batches)


@pytest.mark.parametrize(
    "order", [[0, 1], [0, 2], [1, 2], [0], [2], [0, 0, 1, 2], [0, 1, 1, 2], [0, 1, 2, 2]]
)
def test_missing_and_doubled_batches_are_seen(order: list[int]) -> None:
    batches = [BATCHES[n] for n in order]
    assert not package_accepts(batches)
    assert not script_accepts(batches)


@settings(max_examples=200)
@given(st.sampled_from(MUTATIONS), st.integers(0, 2**32))
def test_a_changed_receipt_is_seen(mutate: Callable[[bytes, Random], bytes], seed: int) -> None:
    data = golden("receipt.txt")
    changed = mutate(data, Random(seed))
    if changed != data:
        with pytest.raises(ProofError):
            decode_receipt(changed, LEDGER)
        with pytest.raises(verifier.Broken):
            verifier.check_receipt(changed, dict([verifier.load_key(facts()["ledger_key"])]))
