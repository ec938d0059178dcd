"""The line in time, with a clock made by hand: nothing travels faster than the baud rate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.virtual.line import (
    BadRequestError,
    Line,
    Reply,
    char_s,
    crc16,
    framed,
    silence_s,
)

CHAR_S = 11 / 9600
SILENCE_S = 3.5 * CHAR_S
TURNAROUND_S = 0.005
REQUEST = framed(1, bytes.fromhex("0300000002"))
REPLY = framed(1, bytes.fromhex("030400010002"))


def line(fifo: int = 1, delay_s: float = 0.0, **options: float) -> Line:
    """A line whose units 1 and 2 answer; ``delay_s`` makes unit 1 late."""

    def respond(frame: bytes, taken_s: float) -> Reply | None:
        if crc16(frame) != 0:
            raise BadRequestError
        if frame[0] not in (1, 2):
            return None
        reply = framed(frame[0], bytes.fromhex("030400010002"))
        return Reply(unit=frame[0], frame=reply, delay_s=delay_s if frame[0] == 1 else 0.0)

    return Line(
        baud=int(options.get("baud", 9600)),
        bits_per_char=11,
        turnaround_s=TURNAROUND_S,
        fifo=fifo,
        respond=respond,
    )


def drain(wire: Line, until_s: float = float("inf")) -> list[tuple[float, bytes]]:
    """Let the line run; what was handed over and when."""
    heard = []
    while (event_s := wire.next_event_s()) is not None and event_s <= until_s:
        data = wire.advance(event_s)
        if data:
            heard.append((event_s, data))
    return heard


def test_an_exchange_takes_the_time_of_its_characters() -> None:
    wire = line()
    wire.receive(10.0, REQUEST)
    heard = drain(wire)
    assert b"".join(data for _, data in heard) == REPLY
    reply_starts_s = 10.0 + 8 * CHAR_S + SILENCE_S + TURNAROUND_S
    assert heard[0][0] == pytest.approx(reply_starts_s + CHAR_S)
    assert heard[-1][0] == pytest.approx(reply_starts_s + len(REPLY) * CHAR_S)
    assert wire.stats.occupied_s == pytest.approx((8 + len(REPLY)) * CHAR_S)


@given(
    st.integers(1, 16),
    st.sampled_from([1200, 9600, 19200, 115200]),
    st.lists(st.floats(0.0, 0.5), min_size=1, max_size=12),
)
def test_nothing_is_faster_than_the_baud_rate(fifo: int, baud: int, pauses: list[float]) -> None:
    wire = line(fifo=fifo, baud=baud)
    now_s = 0.0
    exchange_s = (8 + len(REPLY)) * char_s(baud, 11) + silence_s(baud, 11) + TURNAROUND_S
    for pause_s in pauses:
        begin_s = now_s + silence_s(baud, 11) + pause_s
        wire.receive(begin_s, REQUEST)
        heard = drain(wire)
        assert b"".join(data for _, data in heard) == REPLY
        for i, (at_s, _) in enumerate(heard):
            count = min((i + 1) * fifo, len(REPLY))
            earliest_s = begin_s + exchange_s - (len(REPLY) - count) * char_s(baud, 11)
            assert at_s == pytest.approx(earliest_s, abs=1e-9)
        now_s = heard[-1][0]
    assert wire.stats.silence_violations == 0
    assert wire.stats.replies == len(pauses)


@given(st.integers(1, 16))
def test_bytes_come_in_pieces_of_the_fifo(fifo: int) -> None:
    wire = line(fifo=fifo)
    wire.receive(0.0, REQUEST)
    sizes = [len(data) for _, data in drain(wire)]
    assert sizes[:-1] == [fifo] * (len(sizes) - 1)
    assert sum(sizes) == len(REPLY)


@pytest.mark.parametrize(
    ("baud", "seconds"), [(9600, 3.5 * 11 / 9600), (19200, 3.5 * 11 / 19200), (115200, 0.00175)]
)
def test_the_silence_of_a_baud_rate(baud: int, seconds: float) -> None:
    assert silence_s(baud, 11) == pytest.approx(seconds)


def test_a_request_too_soon_after_a_reply_breaks_the_silence() -> None:
    wire = line()
    wire.receive(0.0, REQUEST)
    end_s = drain(wire)[-1][0]
    wire.receive(end_s + 0.9 * SILENCE_S, REQUEST)
    assert wire.stats.silence_violations == 1
    end_s = drain(wire)[-1][0]
    wire.receive(end_s + 1.01 * SILENCE_S, REQUEST)
    assert wire.stats.silence_violations == 1


def test_a_second_request_right_behind_the_first_merges_with_it() -> None:
    wire = line()
    wire.receive(0.0, REQUEST)
    wire.receive(8 * CHAR_S + 0.5 * SILENCE_S, REQUEST)
    assert drain(wire) == []
    assert wire.stats.silence_violations == 1
    assert wire.stats.bad_requests == 1


def test_bytes_of_one_request_may_arrive_in_parts() -> None:
    wire = line()
    wire.receive(0.0, REQUEST[:3])
    wire.receive(0.001, REQUEST[3:])
    heard = drain(wire)
    assert b"".join(data for _, data in heard) == REPLY
    earliest_s = 8 * CHAR_S + SILENCE_S + TURNAROUND_S + len(REPLY) * CHAR_S
    assert heard[-1][0] == pytest.approx(earliest_s)
    assert wire.stats.silence_violations == 0


def test_a_request_into_a_reply_garbles_both() -> None:
    wire = line()
    wire.receive(0.0, REQUEST)
    reply_starts_s = 8 * CHAR_S + SILENCE_S + TURNAROUND_S
    before = drain(wire, until_s=reply_starts_s + 3.5 * CHAR_S)
    wire.receive(reply_starts_s + 3.5 * CHAR_S, REQUEST)
    after = drain(wire)
    heard = b"".join(data for _, data in before + after)
    assert heard[:3] == REPLY[:3]
    assert len(heard) == len(REPLY)
    assert crc16(heard) != 0
    assert wire.stats.collisions == 1
    assert wire.stats.bad_requests == 1
    assert wire.stats.silence_violations == 0


def test_a_late_reply_arrives_after_the_master_gave_up() -> None:
    """The master asks unit 2 after its timeout; the late reply of unit 1 comes first."""
    wire = line(delay_s=0.3)
    wire.receive(0.0, REQUEST)
    late_s = 8 * CHAR_S + SILENCE_S + TURNAROUND_S + 0.3
    assert drain(wire, until_s=0.2) == []
    wire.receive(0.35, framed(2, bytes.fromhex("0300000002")))
    heard = drain(wire)
    data = b"".join(piece for _, piece in heard)
    assert data == REPLY + framed(2, REPLY[1:-2])
    assert heard[0][0] == pytest.approx(late_s + CHAR_S)


def test_a_late_reply_into_the_next_reply_garbles_both() -> None:
    other_starts_s = 0.2 + 8 * CHAR_S + SILENCE_S + TURNAROUND_S
    wire = line(delay_s=other_starts_s - 2 * CHAR_S - 8 * CHAR_S - SILENCE_S - TURNAROUND_S)
    wire.receive(0.0, REQUEST)
    drain(wire, until_s=0.1)
    wire.receive(0.2, framed(2, bytes.fromhex("0300000002")))
    heard = b"".join(data for _, data in drain(wire))
    assert heard[:2] == REPLY[:2]
    assert REPLY not in heard
    assert framed(2, REPLY[1:-2]) not in heard
    assert len(heard) == len(REPLY) + 2  # one receiver hears one stream of characters
    assert wire.stats.collisions == 2


def test_a_slave_sends_its_late_reply_before_the_next_one() -> None:
    wire = line(delay_s=0.1)
    wire.receive(0.0, REQUEST)
    drain(wire, until_s=0.05)
    wire.receive(0.06, REQUEST)
    heard = b"".join(data for _, data in drain(wire))
    assert heard == REPLY + REPLY
    assert wire.stats.collisions == 0


def test_damaged_and_foreign_requests_stay_unanswered() -> None:
    wire = line()
    wire.receive(0.0, REQUEST[:-1] + b"\x00")
    assert drain(wire) == []
    wire.receive(2.0, framed(9, bytes.fromhex("0300000002")))
    assert drain(wire) == []
    assert (wire.stats.bad_requests, wire.stats.unanswered) == (1, 1)


def test_a_long_run_forgets_its_past() -> None:
    wire = line(fifo=16)
    now_s = 0.0
    for _ in range(2000):
        wire.receive(now_s, REQUEST)
        now_s = drain(wire)[-1][0] + 2 * SILENCE_S
    assert wire.stats.replies == 2000
    assert len(wire._sendings) < 100
    assert len(wire._requests) < 100


def test_the_crc_of_the_standard() -> None:
    assert framed(1, bytes.fromhex("0300000001")).hex() == "010300000001840a"
    assert crc16(bytes.fromhex("010300000001")) == 0x0A84
    assert crc16(bytes.fromhex("010300000001840a")) == 0
