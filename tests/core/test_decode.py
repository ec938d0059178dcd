"""Every register format: what is encoded comes back, and what cannot be a value never is one."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agent.core.decode import (
    TYPES,
    WORD_ORDERS,
    RegisterBank,
    RegisterBlock,
    counter_modulus,
    decode,
    decode_point,
)
from agent.core.errors import DecodeError
from agent.core.model import PointRole, PointSpec, Quality, RegisterSpec

FORMS = {"u16": "H", "s16": "h", "u32": "I", "s32": "i", "u64": "Q", "s64": "q"}


def to_registers(data: bytes, order: str) -> tuple[int, ...]:
    """Bytes, most significant first, in the order a device of that kind sends them."""
    words = [data[at : at + 2] for at in range(0, len(data), 2)]
    if order in ("little", "little-byte"):
        words.reverse()
    if order in ("big-byte", "little-byte"):
        words = [word[::-1] for word in words]
    return tuple(int.from_bytes(word, "big") for word in words)


def bank(registers: tuple[int, ...], address: int = 100, function: int = 3) -> RegisterBank:
    return RegisterBank([RegisterBlock(function=function, address=address, registers=registers)])


def spec(kind: str, order: str = "big", address: int = 100, **more: object) -> RegisterSpec:
    return RegisterSpec(
        function=3,
        address=address,
        type=kind,
        word_order=order,
        **more,  # type: ignore[arg-type]
    )


orders = st.sampled_from(WORD_ORDERS)


@given(kind=st.sampled_from(sorted(FORMS)), order=orders, data=st.data())
def test_integers_come_back(kind: str, order: str, data: st.DataObject) -> None:
    bits = 16 * TYPES[kind].count
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if kind[0] == "s" else (0, (1 << bits) - 1)
    number = data.draw(st.integers(low, high))
    registers = to_registers(struct.pack(">" + FORMS[kind], number), order)
    decoded = decode(spec(kind, order), bank(registers))
    assert (decoded.value, decoded.quality) == (float(number), Quality.GOOD)


@given(number=st.floats(allow_nan=False, allow_infinity=False, width=32), order=orders)
def test_single_floats_come_back(number: float, order: str) -> None:
    decoded = decode(spec("f32", order), bank(to_registers(struct.pack(">f", number), order)))
    assert decoded.value == number


@given(number=st.floats(allow_nan=False, allow_infinity=False), order=orders)
def test_double_floats_come_back(number: float, order: str) -> None:
    decoded = decode(spec("f64", order), bank(to_registers(struct.pack(">d", number), order)))
    assert decoded.value == number


@given(count=st.integers(1, 4), order=orders, decimals=st.integers(0, 4), data=st.data())
def test_bcd_comes_back(count: int, order: str, decimals: int, data: st.DataObject) -> None:
    number = data.draw(st.integers(0, 10 ** (4 * count) - 1))
    registers = to_registers(bytes.fromhex(f"{number:0{4 * count}d}"), order)
    decoded = decode(spec(f"bcd{16 * count}", order, decimals=decimals), bank(registers))
    assert decoded.value == number / 10**decimals


@given(count=st.integers(1, 4), order=orders, raw=st.binary(min_size=8, max_size=8))
def test_a_bad_bcd_nibble_is_never_a_number(count: int, order: str, raw: bytes) -> None:
    raw = raw[: 2 * count]
    assume(not raw.hex().isdecimal())
    decoded = decode(spec(f"bcd{16 * count}", order), bank(to_registers(raw, order)))
    assert decoded.value is None
    assert decoded.quality is Quality.SUSPECT
    assert decoded.raw == raw.hex()


@given(
    whole=st.integers(-(2**31), 2**31 - 1),
    fraction=st.floats(0, 1, width=32, exclude_max=True),
    order=orders,
)
def test_integer_and_fraction_come_back(whole: int, fraction: float, order: str) -> None:
    registers = (
        *to_registers(struct.pack(">i", whole), order),
        *to_registers(struct.pack(">f", fraction), order),
    )
    decoded = decode(spec("s32+f32", order, fraction_address=102), bank(registers))
    assert decoded.value == whole + fraction


@given(mantissa=st.integers(-(2**31), 2**31 - 1), exponent=st.integers(-20, 20), order=orders)
def test_mantissa_and_exponent_come_back(mantissa: int, exponent: int, order: str) -> None:
    registers = to_registers(struct.pack(">ih", mantissa, exponent), order)
    decoded = decode(spec("s32e16", order), bank(registers))
    assert decoded.value is not None
    assert math.isclose(decoded.value, mantissa * 10.0**exponent, rel_tol=1e-12)


@given(value=st.integers(-(2**15), 2**15 - 1), exponent=st.integers(-10, 10))
def test_the_scale_factor_register_applies(value: int, exponent: int) -> None:
    registers = (value & 0xFFFF, 0, exponent & 0xFFFF)
    decoded = decode(spec("s16", scale_address=102), bank(registers))
    assert decoded.value is not None
    assert math.isclose(decoded.value, value * 10.0**exponent, rel_tol=1e-12)


@pytest.mark.parametrize("exponent", [0x8000, 0x7FFF, 31])
def test_a_scale_factor_that_cannot_be_is_suspect(exponent: int) -> None:
    decoded = decode(spec("s16", scale_address=101), bank((5, exponent)))
    assert (decoded.value, decoded.quality) == (None, Quality.SUSPECT)


def test_ratio_registers_multiply() -> None:
    registers = (0x0001, 0xE240, 100, 20)
    decoded = decode(spec("u32", scale=0.01, ratio_addresses=(102, 103)), bank(registers))
    assert decoded.value == 123456 * 2000 / 100


def test_a_ratio_of_zero_is_suspect() -> None:
    decoded = decode(spec("u16", ratio_addresses=(101,)), bank((7, 0)))
    assert (decoded.value, decoded.quality) == (None, Quality.SUSPECT)


@pytest.mark.parametrize("kind", ["f32", "f64"])
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_no_number_is_missing(kind: str, number: float) -> None:
    data = struct.pack(">f" if kind == "f32" else ">d", number)
    decoded = decode(spec(kind), bank(to_registers(data, "big")))
    assert (decoded.value, decoded.quality) == (None, Quality.MISSING)
    assert decoded.raw == data.hex()


def test_a_fraction_that_is_no_number_is_missing() -> None:
    registers = (0, 5, *to_registers(struct.pack(">f", math.nan), "big"))
    decoded = decode(spec("s32+f32", fraction_address=102), bank(registers))
    assert (decoded.value, decoded.quality) == (None, Quality.MISSING)


@given(order=orders)
def test_sentinels_are_missing_in_any_order(order: str) -> None:
    registers = to_registers(bytes.fromhex("7fffffff"), order)
    decoded = decode(spec("s32", order, sentinels=(0x7FFFFFFF,)), bank(registers))
    assert (decoded.value, decoded.quality) == (None, Quality.MISSING)


def test_text_ends_at_its_first_zero() -> None:
    registers = (0x4232, 0x3320, 0x0041)
    decoded = decode(spec("text3"), bank(registers))
    assert (decoded.text, decoded.value, decoded.quality) == ("B23", None, Quality.GOOD)
    empty = decode(spec("text1"), bank((0,)))
    assert (empty.text, empty.quality) == ("", Quality.MISSING)
    strange = decode(spec("text1"), bank((0xFFFE,)))
    assert strange.quality is Quality.SUSPECT


def test_registers_that_were_not_read_are_missing() -> None:
    for wanted in (spec("u32", address=99), spec("u16", address=200)):
        decoded = decode(wanted, bank((1, 2)))
        assert (decoded.value, decoded.quality) == (None, Quality.MISSING)
    other = decode(spec("u16"), bank((1,), function=4))
    assert other.quality is Quality.MISSING


@given(count=st.integers(0, 2**32 - 1), digits=st.integers(0, 4))
def test_decimal_scales_round_once(count: int, digits: int) -> None:
    registers = to_registers(struct.pack(">I", count), "big")
    decoded = decode(spec("u32", scale=10.0**-digits), bank(registers))
    assert decoded.value == count / 10**digits


def test_the_worked_example() -> None:
    assert decode(spec("u32", scale=0.1), bank((0x0001, 0xE240))).value == 12345.6


def test_outside_its_range_a_value_is_kept_but_suspect() -> None:
    point = PointSpec(
        id="voltage",
        quantity="voltage",
        unit="V",
        role=PointRole.GAUGE,
        register=spec("u16"),
        low=0.0,
        high=300.0,
    )
    assert decode_point(point, bank((230,))).quality is Quality.GOOD
    decoded = decode_point(point, bank((301,)))
    assert (decoded.value, decoded.quality, decoded.raw) == (301.0, Quality.SUSPECT, "012d")


def test_unknown_names_say_what_is_known() -> None:
    with pytest.raises(DecodeError, match="u16"):
        decode(spec("u24"), bank((1, 2)))
    with pytest.raises(DecodeError, match="little-byte"):
        decode(spec("u32", order="middle"), bank((1, 2)))


def test_the_wrap_follows_from_the_format() -> None:
    assert counter_modulus(spec("u32", scale=0.1)) == 429496729.6
    assert counter_modulus(spec("bcd48", decimals=4)) == 1e8
    assert counter_modulus(spec("u16")) == 65536
    for kind in ("f32", "f64", "s32", "s64"):
        assert counter_modulus(spec(kind)) is None
