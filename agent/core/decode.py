"""Registers to values: every encoding that a template can name, as pure functions."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from agent.core.errors import DecodeError
from agent.core.model import PointSpec, Quality, RegisterSpec

Number = int | float


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterType:
    """One encoding: how many registers it takes and how its bytes become a number or text.

    ``parse`` takes the bytes in big-endian order and returns the number, or None when the bytes
    cannot be a value of the type. ``digits`` is set for BCD, ``signed`` and ``is_float`` tell
    the wrap width of a counter and the resolution of a totaliser.
    """

    name: str
    count: int
    parse: Callable[[bytes], Number | None]
    signed: bool = False
    is_float: bool = False
    digits: int = 0
    is_text: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterBlock:
    """Registers that one exchange brought: function code, first wire address, contents."""

    function: int
    address: int
    registers: tuple[int, ...]


class RegisterBank:
    """The registers of one meter that were read together."""

    __slots__ = ("_blocks",)

    def __init__(self, blocks: Sequence[RegisterBlock]) -> None:
        self._blocks = tuple(blocks)

    def get(self, function: int, address: int, count: int) -> tuple[int, ...] | None:
        """The registers from a wire address on, or None when they were not read together."""
        for block in self._blocks:
            offset = address - block.address
            if (
                block.function == function
                and offset >= 0
                and offset + count <= len(block.registers)
            ):
                return block.registers[offset : offset + count]
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """A decoded point; ``raw`` is the registers in hex and only kept when not good."""

    value: float | None
    quality: Quality
    raw: str = ""
    text: str | None = None


def _unpack(form: str) -> Callable[[bytes], Number]:
    packer = struct.Struct(form)

    def parse(data: bytes) -> Number:
        number: Number = packer.unpack(data)[0]
        return number

    return parse


def _parse_bcd(data: bytes) -> int | None:
    digits = data.hex()
    return int(digits) if digits.isdecimal() else None


def _parse_mantissa_exponent(data: bytes) -> float | None:
    mantissa = int.from_bytes(data[:-2], "big", signed=True)
    exponent = int.from_bytes(data[-2:], "big", signed=True)
    return _times_power_of_ten(mantissa, exponent)


def _parse_text(_data: bytes) -> None:
    return None


def _number(name: str, count: int, form: str, *, signed: bool, is_float: bool) -> RegisterType:
    return RegisterType(
        name=name, count=count, parse=_unpack(form), signed=signed, is_float=is_float
    )


def _types() -> dict[str, RegisterType]:
    numbers = [
        _number("u16", 1, ">H", signed=False, is_float=False),
        _number("s16", 1, ">h", signed=True, is_float=False),
        _number("u32", 2, ">I", signed=False, is_float=False),
        _number("s32", 2, ">i", signed=True, is_float=False),
        _number("u64", 4, ">Q", signed=False, is_float=False),
        _number("s64", 4, ">q", signed=True, is_float=False),
        _number("f32", 2, ">f", signed=True, is_float=True),
        _number("f64", 4, ">d", signed=True, is_float=True),
    ]
    bcd = [
        RegisterType(name=f"bcd{16 * count}", count=count, parse=_parse_bcd, digits=4 * count)
        for count in (1, 2, 3, 4)
    ]
    exponent = [
        RegisterType(
            name=f"s{16 * (count - 1)}e16",
            count=count,
            parse=_parse_mantissa_exponent,
            signed=True,
        )
        for count in (2, 3)
    ]
    pair = RegisterType(name="s32+f32", count=2, parse=_unpack(">i"), signed=True)
    text = [
        RegisterType(name=f"text{count}", count=count, parse=_parse_text, is_text=True)
        for count in range(1, 33)
    ]
    return {kind.name: kind for kind in (*numbers, *bcd, *exponent, pair, *text)}


TYPES: Mapping[str, RegisterType] = MappingProxyType(_types())
"""Every encoding by name.

``u16 s16 u32 s32 u64 s64`` integers, ``f32 f64`` IEEE 754, ``bcd16 … bcd64`` packed decimal
(4 digits per register), ``s16e16 s32e16`` mantissa followed by a signed power-of-ten register,
``s32+f32`` an integer part with its fraction as a float at ``fraction_address`` (TUF-2000),
``text1 … text32`` ASCII of that many registers.
"""

WORD_ORDERS = ("big", "little", "little-byte", "big-byte")
"""ABCD, CDAB, DCBA, BADC: order of the registers, and of the bytes in each."""

FRACTION_REGISTERS = 2
EXPONENT_LIMIT = 30


def register_type(name: str) -> RegisterType:
    """The encoding of that name; an unknown one is a DecodeError that lists the known ones."""
    kind = TYPES.get(name)
    if kind is None:
        known = ", ".join(name for name in TYPES if not name.startswith("text"))
        raise DecodeError(f"unknown register type {name!r}", hint=f"one of {known}, text1…text32")
    return kind


def ordered_bytes(registers: Sequence[int], word_order: str) -> bytes:
    """The bytes of a value, most significant first, whatever order the device sends them in.

    Example: 0x42C8 0x0000 is 100.0; a «little» (CDAB) device sends 0x0000 0x42C8.
    """
    if word_order == "big":
        return struct.pack(f">{len(registers)}H", *registers)
    if word_order == "little":
        return struct.pack(f">{len(registers)}H", *reversed(registers))
    if word_order == "big-byte":
        return struct.pack(f"<{len(registers)}H", *registers)
    if word_order == "little-byte":
        return struct.pack(f"<{len(registers)}H", *reversed(registers))
    raise DecodeError(f"unknown word order {word_order!r}", hint=f"one of {', '.join(WORD_ORDERS)}")


@lru_cache(maxsize=256)
def _divisor(scale: float) -> int | None:
    # Dividing by a whole number rounds once; multiplying by 0.1 rounds twice (3 x 0.1 != 0.3).
    if not 0 < scale < 1:
        return None
    divisor = round(1 / scale)
    return divisor if math.isclose(divisor * scale, 1.0, rel_tol=1e-12) else None


def _scaled(number: Number, scale: float) -> float:
    if scale == 1.0:
        return float(number)
    divisor = _divisor(scale)
    return number / divisor if divisor is not None else number * scale


def _times_power_of_ten(number: Number, exponent: int) -> float | None:
    if abs(exponent) > EXPONENT_LIMIT:
        return None
    factor = 10 ** abs(exponent)
    return number / factor if exponent < 0 else float(number * factor)


def _fraction(spec: RegisterSpec, bank: RegisterBank) -> tuple[float | None, bytes]:
    address = spec.fraction_address
    if address is None:
        raise DecodeError(
            f"type {spec.type} at {spec.address} has no fraction_address",
            hint="give the wire address of the fraction's float",
        )
    registers = bank.get(spec.function, address, FRACTION_REGISTERS)
    if registers is None:
        return None, b""
    data = ordered_bytes(registers, spec.word_order)
    return struct.unpack(">f", data)[0], data


def _apply_registers(spec: RegisterSpec, number: Number, bank: RegisterBank) -> Number | None:
    """The number times its CT/PT ratio registers and its power-of-ten register."""
    for address in spec.ratio_addresses:
        ratio = bank.get(spec.function, address, 1)
        if ratio is None or ratio[0] == 0:
            return None
        number *= ratio[0]
    if spec.scale_address is None:
        return number
    exponent = bank.get(spec.function, spec.scale_address, 1)
    if exponent is None:
        return None
    signed = exponent[0] - 0x10000 if exponent[0] & 0x8000 else exponent[0]
    return _times_power_of_ten(number, signed)


def _decode_text(data: bytes) -> Decoded:
    text = data.split(b"\0", 1)[0].decode("ascii", errors="replace").strip()
    if not text:
        return Decoded(value=None, quality=Quality.MISSING, raw=data.hex(), text="")
    quality = Quality.SUSPECT if "�" in text else Quality.GOOD
    raw = "" if quality is Quality.GOOD else data.hex()
    return Decoded(value=None, quality=quality, raw=raw, text=text)


def decode(spec: RegisterSpec, bank: RegisterBank) -> Decoded:
    """The value of a point in its unit, from the registers that were read.

    The number read is multiplied by its CT/PT ratio registers and by ten to the power of its
    scale-factor register, divided by ten to the power of ``decimals``, then multiplied by
    ``scale`` and increased by ``offset``.

    Quality: *missing* when the registers were not read, hold a sentinel, or are NaN or infinite;
    *suspect* without a value when they cannot be the type (a BCD nibble above 9, a CT ratio
    of 0, an exponent beyond ±30); else *good*.

    Errors: DecodeError for a type or word order that does not exist.

    Example: Acrel ADL400, import energy at 0x84C, ``u32`` with scale 0.1: registers 0x0001 0xE240
    are 123456, hence 12345.6 kWh.
    """
    kind = register_type(spec.type)
    registers = bank.get(spec.function, spec.address, kind.count)
    if registers is None:
        return Decoded(value=None, quality=Quality.MISSING)
    data = ordered_bytes(registers, spec.word_order)
    if kind.is_text:
        return _decode_text(data)
    if spec.sentinels and int.from_bytes(data, "big") in spec.sentinels:
        return Decoded(value=None, quality=Quality.MISSING, raw=data.hex())
    number = kind.parse(data)
    if spec.fraction_address is not None or spec.type == "s32+f32":
        fraction, fraction_data = _fraction(spec, bank)
        data += fraction_data
        if fraction is None:
            return Decoded(value=None, quality=Quality.MISSING, raw=data.hex())
        number = (number or 0) + fraction
    if number is not None and not math.isfinite(number):
        return Decoded(value=None, quality=Quality.MISSING, raw=data.hex())
    if number is not None and (spec.ratio_addresses or spec.scale_address is not None):
        number = _apply_registers(spec, number, bank)
    if number is None:
        return Decoded(value=None, quality=Quality.SUSPECT, raw=data.hex())
    if spec.decimals:
        number = number / 10**spec.decimals
    value = _scaled(number, spec.scale) + spec.offset
    if not math.isfinite(value):
        return Decoded(value=None, quality=Quality.MISSING, raw=data.hex())
    return Decoded(value=value, quality=Quality.GOOD)


def decode_point(point: PointSpec, bank: RegisterBank) -> Decoded:
    """A point's value, marked *suspect* when it lies outside the point's ``low`` … ``high``."""
    spec = point.register
    if spec is None:
        raise DecodeError(f"point {point.id} has no register", hint="give address and type")
    decoded = decode(spec, bank)
    value = decoded.value
    if value is None or decoded.quality is not Quality.GOOD:
        return decoded
    too_low = point.low is not None and value < point.low
    too_high = point.high is not None and value > point.high
    if not (too_low or too_high):
        return decoded
    registers = bank.get(spec.function, spec.address, register_type(spec.type).count) or ()
    raw = ordered_bytes(registers, spec.word_order).hex()
    return Decoded(value=value, quality=Quality.SUSPECT, raw=raw)


def counter_modulus(spec: RegisterSpec) -> float | None:
    """The value at which a counter register wraps, in the point's unit, from its format.

    Unsigned integers wrap at 2^bits, BCD at 10^digits; signed, floating and paired totalisers
    have no wrap that follows from the format.

    Example: ``u32`` with scale 0.1 wraps at 429 496 729.6; ``bcd48`` with 4 decimals at 10^8.
    """
    kind = register_type(spec.type)
    if kind.is_text or kind.is_float or kind.signed or spec.scale_address is not None:
        return None
    if spec.ratio_addresses:
        return None
    counts = 10**kind.digits if kind.digits else 1 << (16 * kind.count)
    number = counts / 10**spec.decimals if spec.decimals else counts
    return _scaled(number, spec.scale)
