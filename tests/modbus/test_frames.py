"""Frames: captured bytes are recognised for what they are, and the samples are valid."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slaves import Device, crc, rtu_answer

import drivers.modbus
from agent.config import sections
from agent.config.faults import Faults
from agent.config.tables import read_table
from agent.config.templates import load_template, template_points
from agent.core.errors import UsageError
from drivers.modbus.frames import crc_holds, explain, find_reply, read_request

FOLDER = Path(drivers.modbus.__file__).parent
CAPTURES: list[dict[str, Any]] = tomllib.loads(
    (FOLDER / "captures" / "rtu.toml").read_text(encoding="utf-8")
)["capture"]


@pytest.mark.parametrize("capture", CAPTURES, ids=[capture["id"] for capture in CAPTURES])
def test_a_capture_is_what_it_says(capture: dict[str, Any]) -> None:
    frame = bytes.fromhex(capture["request"])
    request = read_request(
        frame[0], frame[1], int.from_bytes(frame[2:4], "big"), int.from_bytes(frame[4:6], "big")
    )
    assert request.frame == frame
    received = bytes.fromhex(capture["received"])
    match = find_reply(received, request)
    if "explanation" in capture:
        assert match is None
        assert explain(received, request) == capture["explanation"]
        return
    assert match is not None
    assert list(match.registers) == capture.get("registers", [])
    assert match.code == capture.get("code", 0)


@given(
    unit=st.integers(1, 247),
    function=st.sampled_from([3, 4]),
    address=st.integers(0, 60000),
    count=st.integers(1, 125),
    before=st.binary(max_size=6),
    after=st.binary(max_size=3),
)
def test_the_reply_is_found_among_other_bytes(
    unit: int, function: int, address: int, count: int, before: bytes, after: bytes
) -> None:
    request = read_request(unit, function, address, count)
    reply = rtu_answer({unit: Device()}, request.frame)
    assert reply is not None
    match = find_reply(before + reply + after, request)
    assert match is not None
    assert crc_holds(reply)
    if match.start == len(before):
        assert len(match.registers) == count


@given(data=st.binary(max_size=64), function=st.sampled_from([3, 4]), count=st.integers(1, 10))
def test_no_bytes_raise(data: bytes, function: int, count: int) -> None:
    request = read_request(1, function, 0, count)
    match = find_reply(data, request)
    if match is None:
        assert explain(data, request)
    else:
        assert crc_holds(data[match.start : match.end])


@given(frame=st.binary(min_size=1, max_size=260))
def test_the_crc_is_that_of_the_standard(frame: bytes) -> None:
    assert crc_holds(frame + crc(frame))
    assert not crc_holds(frame + bytes(byte ^ 1 for byte in crc(frame)))


@pytest.mark.parametrize(("function", "count"), [(3, 0), (3, 126), (6, 1)])
def test_impossible_requests_are_told(function: int, count: int) -> None:
    with pytest.raises(UsageError):
        read_request(1, function, 0, count)


def test_the_sample_is_a_valid_piece_of_a_site_file() -> None:
    tables = tomllib.loads((FOLDER / "sample.toml").read_text(encoding="utf-8"))
    faults = Faults("sample.toml")
    for table in tables["bus"]:
        assert read_table(sections.Bus, table, f"bus[{table['id']}]", faults)
    for table in tables["meter"]:
        meter = read_table(sections.Meter, table, f"meter[{table['id']}]", faults)
        assert meter is not None
        assert meter.template
        assert template_points(load_template(meter.template), meter.variant, meter)
    assert faults.found == ()
