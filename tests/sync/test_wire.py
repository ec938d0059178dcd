"""Batches as messages: whole, compressed, in parts, and broken."""

from __future__ import annotations

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from agent.core.errors import ProofError, SyncError
from agent.core.payload import MAX_BATCH_BYTES, Link
from agent.sync.wire import decode_body, join, overhead, packets, part_of

LINK = Link(epoch="ab" * 16, seq=12, hash="")
TOPIC = "tanshu/v1/plant-1/gw-01/batch"


@given(st.binary(max_size=5000), st.booleans(), st.none() | st.integers(400, 3000))
def test_what_is_sent_is_what_is_joined(data: bytes, compress: bool, limit: int | None) -> None:
    made = packets(data, link=LINK, topic=TOPIC, compress=compress, limit=limit)
    if limit is not None:
        assert all(len(p.payload) + overhead(TOPIC, p.user) <= limit for p in made)
    users = [dict(packet.user) for packet in made]
    if len(made) == 1:
        assert part_of(users[0]) is None
        body = made[0].payload
    else:
        found = [part_of(user) for user in users]
        first = found[0]
        assert first is not None
        assert [part.number for part in found if part] == list(range(1, first.parts + 1))
        assert {part.batch for part in found if part} == {f"{LINK.epoch}/12"}
        body = join(first, [packet.payload for packet in made])
    assert decode_body(body, users[0]) == data


def test_a_limit_without_room_is_an_error() -> None:
    with pytest.raises(SyncError):
        packets(b"x" * 10_000, link=LINK, topic=TOPIC, compress=False, limit=200)


@pytest.mark.parametrize(
    "user",
    [
        {"parts": "2"},
        {"parts": "2", "part": "0", "size": "9", "batch": "a/1"},
        {"parts": "2", "part": "3", "size": "9", "batch": "a/1"},
        {"parts": "99999", "part": "1", "size": "9", "batch": "a/1"},
        {"parts": "2", "part": "1", "size": str(MAX_BATCH_BYTES + 1), "batch": "a/1"},
        {"parts": "2", "part": "x", "size": "9", "batch": "a/1"},
        {"parts": "2", "part": "1", "size": "9", "batch": "a" * 65},
    ],
)
def test_parts_that_make_no_sense_are_refused(user: dict[str, str]) -> None:
    with pytest.raises(ProofError):
        part_of(user)


def test_a_compression_bomb_is_refused_before_it_unfolds() -> None:
    bomb = zstandard.ZstdCompressor().compress(b"\0" * (MAX_BATCH_BYTES + 1))
    unsized = zstandard.ZstdCompressor(write_content_size=False).compress(b"\0" * 100)
    good = zstandard.ZstdCompressor().compress(b"\0" * 100)
    for data in (bomb, unsized, good[:-1], good + b"x", b""):
        with pytest.raises(ProofError):
            decode_body(data, {"content-encoding": "zstd"})
    assert decode_body(good, {"content-encoding": "zstd"}) == b"\0" * 100
