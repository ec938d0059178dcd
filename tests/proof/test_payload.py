"""What a batch may hold, what it refuses, and that nothing is lost in between."""

from __future__ import annotations

import json
from hashlib import sha256
from itertools import pairwise
from math import inf, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core import strict_json
from agent.core.chain import SigningKey, merkle_root
from agent.core.errors import ProofError
from agent.core.model import (
    Emission,
    Endpoint,
    Event,
    FactorRef,
    Provenance,
    Severity,
    Window,
)
from agent.core.payload import (
    Link,
    check_follows,
    decode_records,
    parse_batch,
    seal,
    signature_line,
    verify_batch,
)
from agent.core.receipt import spans_of
from agent.core.record import Record, Unknown

KEY = SigningKey.from_seed(b"k" * 32)
EPOCH = "0123456789abcdef" * 2
numbers = st.floats(allow_nan=False, allow_infinity=False)
maybe = st.none() | numbers
words = st.text(st.characters(codec="utf-8"), max_size=30)
times = st.integers(-(2**53), 2**53)
windows = st.builds(
    Window,
    stream=words,
    start_ms=times,
    length_ms=st.integers(1, 10**9),
    revision=st.integers(0, 2**31),
    value=maybe,
    provenance=st.sampled_from(Provenance),
    method=words,
    coverage=numbers,
    lower=maybe,
    upper=maybe,
    load=maybe,
    maintenance=st.booleans(),
)
emissions = st.builds(
    Emission,
    source=words,
    start_ms=times,
    length_ms=st.integers(1, 10**9),
    revision=st.integers(0, 2**31),
    kgco2=maybe,
    kgch4=maybe,
    kgn2o=maybe,
    kgco2e=maybe,
    lower=maybe,
    upper=maybe,
    estimated_share=numbers,
    factor=st.builds(FactorRef, id=words, version=words, value=numbers, unit=words),
    inputs=st.lists(st.tuples(words, st.integers(0, 2**31)), max_size=3).map(tuple),
)
endpoints = st.builds(
    Endpoint, stream=words, boundary_ms=times, time_ms=times, register=numbers, accumulated=numbers
)
events = st.builds(
    Event,
    time_ms=times,
    code=words,
    subject=words,
    severity=st.sampled_from(Severity),
    detail=words,
)


def sealed(records: list[Record], previous: Link | None = None) -> bytes:
    return seal(
        records, site="plant-1", gateway="gw-01", epoch=EPOCH, previous=previous, key=KEY
    ).data


def signed(header: dict[str, object], lines: list[bytes]) -> bytes:
    """A batch with any header, correctly rooted and signed: only its form can be wrong."""
    header = {**header, "root": merkle_root(lines).hex(), "count": len(lines)}
    line = strict_json.encode(header)
    last = signature_line("tanshu/v1/batch", sha256(line).digest(), KEY)
    return b"\n".join([line, *lines, last, b""])


HEADER: dict[str, object] = {
    "schema": "tanshu/v1/batch",
    "site": "plant-1",
    "gateway": "gw-01",
    "epoch": EPOCH,
    "seq": 1,
    "prev": None,
    "former": None,
    "window_from": None,
    "window_to": None,
    "columns": {"event": ["time", "code", "subject", "severity", "detail"]},
}
EVENT = b'["event",1,"a","b","info",""]'


@settings(max_examples=100)
@given(st.lists(windows | emissions | endpoints | events, max_size=20))
def test_what_is_sealed_is_what_is_read(records: list[Record]) -> None:
    batch = parse_batch(sealed(records))
    verify_batch(batch, KEY.public)
    check_follows(batch, None)
    assert list(decode_records(batch)) == records


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_no_number_that_json_lacks(value: float) -> None:
    endpoint = Endpoint(stream="a", boundary_ms=0, time_ms=0, register=value, accumulated=0.0)
    with pytest.raises(ProofError):
        sealed([endpoint])


def test_span_counts_windows_and_emissions_only() -> None:
    event = Event(time_ms=5, code="a", subject="b", severity=Severity.INFO)
    batch = seal([event], site="plant-1", gateway="gw-01", epoch=EPOCH, previous=None, key=KEY)
    assert (batch.window_from_ms, batch.window_to_ms) == (None, None)


def test_a_chain_cannot_be_sealed_across_epochs() -> None:
    other = Link(epoch="f" * 32, seq=3, hash="0" * 64)
    with pytest.raises(ProofError):
        sealed([], previous=other)
    with pytest.raises(ProofError):
        seal(
            [],
            site="plant-1",
            gateway="gw-01",
            epoch=EPOCH,
            previous=Link(epoch=EPOCH, seq=1, hash="0" * 64),
            former=other,
            key=KEY,
        )


def test_unknown_kinds_columns_and_header_keys_are_additions() -> None:
    columns = {
        "event": ["detail", "time", "new", "code", "subject", "severity"],
        "plan": ["material", "amount"],
    }
    lines = [b'["event","d",1,[9],"a","b","info"]', b'["plan","coal",3.50]']
    batch = parse_batch(signed({**HEADER, "columns": columns, "later": {"x": 1}}, lines))
    verify_batch(batch, KEY.public)
    event, plan = decode_records(batch)
    assert event == Event(time_ms=1, code="a", subject="b", severity=Severity.INFO, detail="d")
    assert plan == Unknown(kind="plan", line=b'["plan","coal",3.50]')


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "tanshu/v2/batch"},
        {"site": "Plant 1"},
        {"gateway": ""},
        {"gateway": "../gw"},
        {"epoch": EPOCH.upper()},
        {"seq": 0},
        {"seq": True},
        {"seq": 1.0},
        {"seq": 2},
        {"seq": 2**63},
        {"prev": "0" * 64},
        {"former": {"epoch": EPOCH, "seq": 1}},
        {"former": []},
        {"columns": []},
        {"columns": {"event": ["time", "time"]}},
        {"columns": {"Event!": []}},
        {"columns": {"event": "time"}},
        {"window_from": "now"},
    ],
)
def test_headers_of_another_form_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ProofError):
        parse_batch(signed({**HEADER, **change}, [EVENT]))


@pytest.mark.parametrize("key", [*HEADER])
def test_no_header_key_may_be_missing(key: str) -> None:
    if key == "former":
        return  # absent and null mean the same
    header = {name: value for name, value in HEADER.items() if name != key}
    with pytest.raises(ProofError):
        decode_records(parse_batch(signed(header, [EVENT])))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        b"[1]",
        b'["event"]',
        b'["window",1,2,3,4,5]',
        b'["event",1,"a","b","info","",null]',
        b'["event",1.0,"a","b","info",""]',
        b'["event",true,"a","b","info",""]',
        b'["event",1e999,"a","b","info",""]',
        b'["event",NaN,"a","b","info",""]',
        b'["event",9223372036854775808,"a","b","info",""]',
        b'["event",1,"a","b","worst",""]',
        b'["event",1,"a","b","info",null]',
        b'["event",1,"a","b","info",{"a":1,"a":2}]',
        b'["event",1,"\xff","b","info",""]',
        b'["event",1,"\\ud800","b","info",""]',
        b"[" * 100_000,
        b"[" + b"9" * 5_000 + b"]",
    ],
)
def test_records_of_another_form_are_refused(line: bytes) -> None:
    batch = parse_batch(signed(HEADER, [line]))
    with pytest.raises(ProofError):
        decode_records(batch)


def test_oversize_is_refused_before_it_is_read() -> None:
    with pytest.raises(ProofError):
        parse_batch(b" " * (16 * 1024 * 1024 + 1))


def test_follows_only_its_predecessor() -> None:
    first = parse_batch(sealed([]))
    second = parse_batch(sealed([], previous=first.link))
    check_follows(second, first.link)
    for wrong in (
        None,
        Link(epoch=EPOCH, seq=1, hash="0" * 64),
        Link(epoch="f" * 32, seq=1, hash=first.hash),
        Link(epoch=EPOCH, seq=2, hash=first.hash),
    ):
        with pytest.raises(ProofError):
            check_follows(second, wrong)


@given(st.sets(st.integers(1, 60)))
def test_spans_hold_exactly_their_numbers(numbers_held: set[int]) -> None:
    spans = spans_of(sorted(numbers_held))
    assert {n for first, last in spans for n in range(first, last + 1)} == numbers_held
    assert all(a[1] + 1 < b[0] for a, b in pairwise(spans))


def test_strict_json_writes_the_shortest_exact_float() -> None:
    line = strict_json.encode([0.1 + 0.2, 1e16, 5e-324])
    assert line == b"[0.30000000000000004,1e+16,5e-324]"
    assert json.loads(line) == [0.1 + 0.2, 1e16, 5e-324]
