"""Registers decode to the truth: never above it and within one resolution below."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.virtual.books import meters_of
from drivers.virtual.definition import default_definition
from drivers.virtual.registers import MODELS, Registers, Snapshot, floor_f32, ulp_f32
from drivers.virtual.slave import answer

PLANT = default_definition()
START_MS = 1_795_000_000_000.0
METERS = meters_of(PLANT, start_ms=START_MS, seed=1)
MOMENTS = st.integers(0, 7 * 86_400_000).map(lambda ms: START_MS + ms)


def f32(words: dict[int, int], address: int) -> float:
    return float(struct.unpack(">f", struct.pack(">HH", words[address], words[address + 1]))[0])


def f32sw(words: dict[int, int], address: int) -> float:
    return float(struct.unpack(">f", struct.pack(">HH", words[address + 1], words[address]))[0])


def u32(words: dict[int, int], address: int) -> int:
    return words[address] << 16 | words[address + 1]


def u32sw(words: dict[int, int], address: int) -> int:
    return words[address + 1] << 16 | words[address]


def bcd(words: dict[int, int], address: int) -> int:
    return int("".join(f"{words[address + i]:04x}" for i in range(3)))


def counter(model: str, words: dict[int, int]) -> float:
    """The counter as a reader of the manual would decode it."""
    if model == "acrel-adl400":
        return u32(words, 0x84C) * 0.1
    if model == "chint-dtsu666":
        return f32(words, 0x101E)
    if model == "tuf-2000":
        return u32sw(words, 16) + f32sw(words, 18)
    if model == "eh-promass":
        return f32sw(words, 2609)
    return bcd(words, 18) / 10_000.0


def rate(model: str, words: dict[int, int]) -> float:
    if model == "acrel-adl400":
        return f32(words, 0x81A)
    if model == "chint-dtsu666":
        return f32(words, 0x2012) * 0.1 / 1000.0
    if model == "tuf-2000":
        return f32sw(words, 2)
    if model == "eh-promass":
        return f32sw(words, 2006)
    return f32(words, 16)


@given(st.sampled_from(sorted(METERS)), MOMENTS)
def test_a_counter_shows_the_truth_rounded_down(meter_id: str, t_ms: float) -> None:
    meter = METERS[meter_id]
    truth = meter.counter.total(t_ms)
    shown = counter(meter.definition.model, meter.registers(t_ms).words)
    assert shown <= truth + 1e-7
    assert truth - shown < meter.resolution(t_ms) + 1e-7


@given(st.sampled_from(sorted(METERS)), MOMENTS)
def test_a_rate_shows_the_load(meter_id: str, t_ms: float) -> None:
    meter = METERS[meter_id]
    shown = rate(meter.definition.model, meter.registers(t_ms).words)
    assert shown == pytest.approx(meter.profile.rate(t_ms), rel=1e-6)


def test_a_month_does_not_starve_the_float_counters() -> None:
    """A float counter must still resolve a window of 5 s at the end of the month."""
    month_end_ms = START_MS + 12 * 86_400_000
    for meter in METERS.values():
        assert meter.resolution(month_end_ms) < meter.profile.nominal * 5.0 / 3600.0


def test_the_two_maps_of_the_adl400_agree() -> None:
    meter = METERS["em-crusher"]
    words = meter.registers(START_MS).words
    ratio = words[0x8D] * words[0x8E]
    assert ratio == 200
    assert u32(words, 0x0A) * 0.01 * ratio == pytest.approx(u32(words, 0x84C) * 0.1, abs=2.1)
    assert u32(words, 0x16A) * 0.001 * ratio == pytest.approx(f32(words, 0x81A), abs=0.21)
    assert words[0x61] * 0.1 == pytest.approx(f32(words, 0x800), abs=0.11)
    assert words[0x64] * 0.01 * words[0x8E] == pytest.approx(f32(words, 0x80C), abs=2.1)
    assert 45.0 < f32(words, 0x834) < 65.0
    assert words[0x77] * 0.01 == pytest.approx(f32(words, 0x834), abs=0.011)


def test_power_voltage_and_current_belong_together() -> None:
    words = METERS["em-reactor"].registers(START_MS).words
    power_kw = f32(words, 0x2012) * 0.1 / 1000.0
    apparent = sum(
        f32(words, 0x2006 + 2 * i) * 0.1 * f32(words, 0x200C + 2 * i) * 0.001 for i in range(3)
    )
    assert power_kw == pytest.approx(apparent / 1000.0 * f32(words, 0x202A) * 0.001, rel=1e-5)
    assert f32(words, 0x2044) * 0.01 == pytest.approx(50.0, abs=0.1)


def test_the_gas_corrector_converts_working_to_standard_volume() -> None:
    words = METERS["gas-f103"].registers(START_MS).words
    temperature_c, pressure_kpa = f32(words, 26), f32(words, 28)
    to_standard = pressure_kpa / 101.325 * 273.15 / (273.15 + temperature_c)
    assert bcd(words, 23) / 1e4 * to_standard == pytest.approx(bcd(words, 18) / 1e4, rel=1e-6)
    assert f32(words, 21) * to_standard == pytest.approx(f32(words, 16), rel=1e-5)
    assert f32(words, 12) == pytest.approx(bcd(words, 18) / 1e4, rel=1e-6)
    assert f32(words, 10) == pytest.approx(bcd(words, 23) / 1e4, rel=1e-6)


def test_the_heat_meter_counts_volume_beside_heat() -> None:
    words = METERS["heat-column"].registers(START_MS).words
    volume_m3 = u32sw(words, 8) + f32sw(words, 10)
    assert volume_m3 == pytest.approx((u32sw(words, 16) + f32sw(words, 18)) * 3.98, rel=1e-6)


def test_a_broken_meter_shows_nothing_but_its_settings() -> None:
    for model_id, model in MODELS.items():
        snapshot = Snapshot(t_ms=START_MS, rate=10.0, total=5.0, broken=True)
        words = model.build(snapshot).words
        if model_id in ("acrel-adl400", "cn-gas-corrector"):
            address = 0x84C if model_id == "acrel-adl400" else 18
            assert words[address] == words[address + 1] == 0xFFFF
        else:
            assert math.isnan(rate(model_id, words))
    assert (
        MODELS["acrel-adl400"]
        .build(Snapshot(t_ms=0.0, rate=1.0, total=1.0, broken=True, options={"ct": 200.0}))
        .words[0x8E]
        == 200
    )


def test_the_older_firmware_answers_elsewhere() -> None:
    meter = METERS["em-reactor"]
    old = Snapshot(t_ms=START_MS, rate=1.0, total=777.77, options={"old_firmware": 1.0})
    words = meter.model.build(old).words
    assert f32(words, 0x401E) == pytest.approx(777.77, abs=0.011)
    assert 0x101E not in words
    assert 0x401E not in meter.registers(START_MS).words


@pytest.mark.parametrize(
    ("meter_id", "request_pdu", "reply"),
    [
        ("em-crusher", "03083600 02", "8302"),  # the hole between values and energies
        ("em-crusher", "0308000080", "8303"),  # 128 registers
        ("em-crusher", "0308000000", "8303"),
        ("em-crusher", "03080000", "8303"),  # too short
        ("em-crusher", "0408000002", "8401"),
        ("em-crusher", "060800 0002", "8601"),
        ("em-reactor", "03401E0002", "8302"),  # the older firmware's address
        ("gas-f103", "03001E0001", "8302"),
    ],
)
def test_what_a_meter_does_not_know_is_an_exception(
    meter_id: str, request_pdu: str, reply: str
) -> None:
    assert answer(bytes.fromhex(request_pdu), METERS[meter_id], START_MS).hex() == reply


def test_the_flow_meter_answers_both_functions() -> None:
    request = struct.pack(">HH", 2609, 2)
    replies = [answer(bytes((fc,)) + request, METERS["oil-boiler"], START_MS) for fc in (3, 4)]
    assert replies[0][1:] == replies[1][1:]
    assert len(replies[0]) == 6


@given(st.floats(0.0, 1e7, allow_nan=False))
def test_floor_f32_is_the_nearest_float_below(value: float) -> None:
    below = floor_f32(value)
    assert below <= value
    assert struct.unpack(">f", struct.pack(">f", below))[0] == below
    if value > 1.0:
        assert value - below < ulp_f32(value)


def test_bcd_keeps_twelve_digits() -> None:
    registers = Registers()
    registers.bcd6(18, 123456789012)
    assert [registers.words[18 + i] for i in range(3)] == [0x1234, 0x5678, 0x9012]
