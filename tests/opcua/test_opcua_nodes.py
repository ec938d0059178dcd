"""Node texts against the client library's own reading of them."""

from __future__ import annotations

import base64
import uuid

import pytest
from asyncua import ua
from hypothesis import given
from hypothesis import strategies as st
from opcua_plant import bus_of, meter_of, point

from agent.core.model import PointRole
from drivers.opcua.nodes import node_points, parse_node

IDENTIFIERS = st.one_of(
    st.integers(0, 2**32 - 1),
    st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20),
    st.uuids(),
    st.binary(min_size=1, max_size=20),
)


def written(identifier: object) -> str:
    if isinstance(identifier, int):
        return f"i={identifier}"
    if isinstance(identifier, uuid.UUID):
        return f"g={identifier}"
    if isinstance(identifier, bytes):
        return f"b={base64.b64encode(identifier).decode()}"
    return f"s={identifier}"


@given(identifier=IDENTIFIERS, index=st.integers(0, 65535))
def test_reads_back_what_was_written(identifier: object, index: int) -> None:
    text = f"ns={index};{written(identifier)}"
    if text != text.strip():
        return  # surrounding blanks are no part of a node
    address = parse_node(text)
    assert (address.namespace_index, address.identifier) == (index, identifier)
    assert type(address.identifier) is type(identifier)


@given(index=st.integers(0, 65535), number=st.integers(0, 2**32 - 1))
def test_agrees_with_the_client_library(index: int, number: int) -> None:
    for text in (f"ns={index};i={number}", f"ns={index};s=F103.Load", "i=2258"):
        theirs = ua.NodeId.from_string(text)
        ours = parse_node(text)
        assert (ours.identifier, ours.namespace_index) == (theirs.Identifier, theirs.NamespaceIndex)


def test_a_uri_stays_a_uri_and_its_escapes_are_read() -> None:
    address = parse_node("nsu=http://dcs.example/a%3Bb%25;s=F103;Load=1")
    assert address.namespace_uri == "http://dcs.example/a;b%"
    assert address.identifier == "F103;Load=1"


@pytest.mark.parametrize(
    "text",
    ["", "F103.Load", "ns=2", "ns=-1;i=5", "ns=70000;i=5", "nsu=;s=a", "nsu=urn:a", "i=", "s=",
     "i=4294967296", "i=1e3", "g=nonsense", "b=%%%", "x=1", "ns=２;i=1"],
)  # fmt: skip
def test_refuses_what_is_no_node(text: str) -> None:
    with pytest.raises(ValueError):
        parse_node(text)


def test_a_bad_node_keeps_its_place_with_its_fault() -> None:
    bus = bus_of(4840)
    meter = meter_of(bus, point("a", "i=5"), point("b", "nonsense"), point("c", ""), period_s=5)
    table = node_points([meter])
    assert [entry.id for entry in table] == ["m.a", "m.b", "m.c"]
    assert [bool(entry.address) for entry in table] == [True, False, False]
    assert "i=number" in table[1].fault
    assert table[0].period_ms == 5000
    assert table[0].role is PointRole.GAUGE
