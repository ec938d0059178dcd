"""Register maps of the virtual plant's meters, tabled from the makers' documents.

Addresses are wire addresses (counted from 0). Sources:

- Acrel ADL400: secondary-side block from 0x000A, primary-side block from 0x0800.
- CHINT DTSU666: manual table 11; energy at 0x101E (older firmware 0x401E).
- TUF-2000: manual, REG 1-2 flow, REG 3-4 energy flow, integer + fraction totals, low word first.
- Endress+Hauser Proline Promass: 2007, 2017 and 2610 as printed, counted from 1; factory byte
  order 1-0-3-2, that is low word first.
- Chinese gas corrector («ZY» family): f32 values and BCD totals of 12 digits, 4 of them decimals.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

NAN_WORDS = (0x7FC0, 0x0000)
STANDARD_KPA = 101.325
ZERO_CELSIUS_K = 273.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a meter knows at one moment: its rate per hour and its counter (already wrapped).

    ``broken`` makes every measured value read as not available.
    """

    t_ms: float
    rate: float
    total: float
    broken: bool = False
    options: dict[str, float] = field(default_factory=dict)


def floor_f32(value: float) -> float:
    """The largest single-precision number not above ``value``."""
    bits = struct.unpack(">f", struct.pack(">f", value))[0]
    if bits <= value:
        return float(bits)
    pattern = struct.unpack(">I", struct.pack(">f", bits))[0]
    step = -1 if bits > 0 else 1
    return float(struct.unpack(">f", struct.pack(">I", pattern + step))[0])


def ulp_f32(value: float) -> float:
    """Distance between neighbouring single-precision numbers at ``value``."""
    return 2.0 ** (math.frexp(value)[1] - 24)


class Registers:
    """16-bit words by wire address, written in the encodings that meters use."""

    def __init__(self, *, broken: bool = False) -> None:
        self.words: dict[int, int] = {}
        self._broken = broken

    def reserve(self, first: int, last: int) -> None:
        """Addresses that answer 0 unless something is written there."""
        for address in range(first, last + 1):
            self.words.setdefault(address, 0)

    def constant(self, address: int, value: int) -> None:
        """A setting: it reads the same even when the measurement is broken."""
        self.words[address] = value & 0xFFFF

    def u16(self, address: int, value: float) -> None:
        self._put(address, (int(value) & 0xFFFF,), all_ones=True)

    def s32(self, address: int, value: float) -> None:
        self._long(address, int(value) & 0xFFFFFFFF)

    def u32(self, address: int, value: float) -> None:
        self._long(address, int(value) & 0xFFFFFFFF)

    def s32sw(self, address: int, value: float) -> None:
        word = int(value) & 0xFFFFFFFF
        self._put(address, (word & 0xFFFF, word >> 16), all_ones=True)

    def f32(self, address: int, value: float) -> None:
        words = struct.unpack(">HH", struct.pack(">f", value))
        self._put(address, words, all_ones=False)

    def f32sw(self, address: int, value: float) -> None:
        high, low = struct.unpack(">HH", struct.pack(">f", value))
        self.words[address], self.words[address + 1] = (
            (NAN_WORDS[1], NAN_WORDS[0]) if self._broken else (low, high)
        )

    def bcd6(self, address: int, count: int) -> None:
        """Twelve decimal digits in three registers, most significant first."""
        digits = f"{count:012d}"
        words = tuple(int(digits[i : i + 4], 16) for i in (0, 4, 8))
        self._put(address, words, all_ones=True)

    def _long(self, address: int, word: int) -> None:
        self._put(address, (word >> 16, word & 0xFFFF), all_ones=True)

    def _put(self, address: int, words: tuple[int, ...], *, all_ones: bool) -> None:
        if self._broken:
            words = (0xFFFF,) * len(words) if all_ones else NAN_WORDS
        for offset, word in enumerate(words):
            self.words[address + offset] = word


@dataclass(frozen=True, slots=True, kw_only=True)
class Electrical:
    """Three balanced phases that carry a power; the phases differ by a fixed per mille."""

    power_kw: float
    voltages: tuple[float, float, float]
    currents: tuple[float, float, float]
    power_factor: float
    reactive_kvar: float
    apparent_kva: float
    frequency_hz: float


def electrical(snapshot: Snapshot) -> Electrical:
    """Voltages, currents and reactive power which belong to a three-phase power."""
    volts = snapshot.options.get("voltage", 230.0)
    power_factor = snapshot.options.get("power_factor", 0.9)
    apparent_kva = snapshot.rate / power_factor
    voltages = (volts, volts * 1.002, volts * 0.997)
    current = apparent_kva * 1000.0 / 3.0
    return Electrical(
        power_kw=snapshot.rate,
        voltages=voltages,
        currents=(current / voltages[0], current / voltages[1], current / voltages[2]),
        power_factor=power_factor,
        reactive_kvar=math.sqrt(max(0.0, apparent_kva**2 - snapshot.rate**2)),
        apparent_kva=apparent_kva,
        frequency_hz=50.0 + 0.02 * math.sin(math.tau * math.fmod(snapshot.t_ms, 4.1e4) / 4.1e4),
    )


def acrel_adl400(snapshot: Snapshot) -> Registers:
    """Acrel ADL400: secondary-side block with CT/PT registers and primary-side block."""
    registers = Registers(broken=snapshot.broken)
    _adl400_secondary(registers, snapshot)
    _adl400_primary(registers, snapshot)
    return registers


def _adl400_secondary(registers: Registers, snapshot: Snapshot) -> None:
    line = electrical(snapshot)
    ct, pt = snapshot.options.get("ct", 1.0), snapshot.options.get("pt", 1.0)
    registers.reserve(0x0000, 0x0013)
    registers.reserve(0x0061, 0x0077)
    registers.reserve(0x0164, 0x0180)
    registers.u32(0x000A, math.floor(snapshot.total / (ct * pt) * 100.0))
    for phase in range(3):
        registers.u16(0x0061 + phase, line.voltages[phase] / pt * 10.0)
        registers.u16(0x0064 + phase, line.currents[phase] / ct * 100.0)
        registers.s32(0x0164 + 2 * phase, line.power_kw / (3.0 * ct * pt) * 1000.0)
    registers.u16(0x0077, line.frequency_hz * 100.0)
    registers.constant(0x008D, int(pt))
    registers.constant(0x008E, int(ct))
    registers.s32(0x016A, line.power_kw / (ct * pt) * 1000.0)
    registers.u16(0x017F, line.power_factor * 1000.0)


def _adl400_primary(registers: Registers, snapshot: Snapshot) -> None:
    line = electrical(snapshot)
    registers.reserve(0x0800, 0x0835)
    registers.reserve(0x0842, 0x0857)
    for phase in range(3):
        registers.f32(0x0800 + 2 * phase, line.voltages[phase])
        registers.f32(0x0806 + 2 * phase, line.voltages[phase] * math.sqrt(3.0))
        registers.f32(0x080C + 2 * phase, line.currents[phase])
        registers.f32(0x0814 + 2 * phase, line.power_kw / 3.0)
        registers.f32(0x081C + 2 * phase, line.reactive_kvar / 3.0)
        registers.f32(0x0824 + 2 * phase, line.apparent_kva / 3.0)
        registers.f32(0x082C + 2 * phase, line.power_factor)
    registers.f32(0x081A, line.power_kw)
    registers.f32(0x0822, line.reactive_kvar)
    registers.f32(0x082A, line.apparent_kva)
    registers.f32(0x0832, line.power_factor)
    registers.f32(0x0834, line.frequency_hz)
    count = math.floor(snapshot.total / 0.1)
    registers.u32(0x0842, count)
    registers.u32(0x084C, count)


def chint_dtsu666(snapshot: Snapshot) -> Registers:
    """CHINT DTSU666 with ratio registers at 1: its values are primary values."""
    line = electrical(snapshot)
    registers = Registers(broken=snapshot.broken)
    registers.reserve(0x0000, 0x000C)
    registers.constant(0x0000, 204)
    registers.constant(0x0001, 701)
    registers.constant(0x0006, 1)
    registers.constant(0x0007, 10)
    registers.reserve(0x2000, 0x2051)
    for phase in range(3):
        registers.f32(0x2000 + 2 * phase, line.voltages[phase] * math.sqrt(3.0) * 10.0)
        registers.f32(0x2006 + 2 * phase, line.voltages[phase] * 10.0)
        registers.f32(0x200C + 2 * phase, line.currents[phase] * 1000.0)
        registers.f32(0x2014 + 2 * phase, line.power_kw / 3.0 * 10_000.0)
        registers.f32(0x201C + 2 * phase, line.reactive_kvar / 3.0 * 10_000.0)
        registers.f32(0x202C + 2 * phase, line.power_factor * 1000.0)
    registers.f32(0x2012, line.power_kw * 10_000.0)
    registers.f32(0x201A, line.reactive_kvar * 10_000.0)
    registers.f32(0x202A, line.power_factor * 1000.0)
    registers.f32(0x2044, line.frequency_hz * 100.0)
    energy = 0x401E if snapshot.options.get("old_firmware") else 0x101E
    registers.reserve(energy, energy + 11)
    registers.f32(energy, floor_f32(math.floor(snapshot.total * 100.0) / 100.0))
    registers.f32(energy + 10, 0.0)
    return registers


def tuf_2000(snapshot: Snapshot) -> Registers:
    """TUF-2000 heat meter: totals as a signed integer and a float fraction."""
    m3_per_gj = snapshot.options.get("m3_per_gj", 4.0)
    registers = Registers(broken=snapshot.broken)
    registers.reserve(0, 47)
    flow_m3_h = snapshot.rate * m3_per_gj
    registers.f32sw(0, flow_m3_h)
    registers.f32sw(2, snapshot.rate)
    registers.f32sw(4, flow_m3_h / 180.0)
    for address, total in ((8, snapshot.total * m3_per_gj), (16, snapshot.total)):
        whole, thousandths = divmod(math.floor(total * 1000.0), 1000)
        registers.s32sw(address, whole)
        registers.f32sw(address + 2, floor_f32(thousandths / 1000.0))
    return registers


def eh_promass(snapshot: Snapshot) -> Registers:
    """Endress+Hauser Promass: mass flow 2007, temperature 2017, totaliser 2610 (from 1)."""
    registers = Registers(broken=snapshot.broken)
    registers.reserve(2006, 2007)
    registers.f32sw(2006, snapshot.rate)
    registers.f32sw(2016, snapshot.options.get("temperature_c", 20.0))
    registers.f32sw(2609, floor_f32(snapshot.total))
    return registers


def cn_gas_corrector(snapshot: Snapshot) -> Registers:
    """Chinese gas volume corrector; the standard volume is at 0 °C and 101.325 kPa."""
    temperature_c = snapshot.options.get("temperature_c", 20.0)
    pressure_kpa = snapshot.options.get("pressure_kpa", STANDARD_KPA)
    working = working_m3_per_nm3(temperature_c, pressure_kpa)
    registers = Registers(broken=snapshot.broken)
    registers.reserve(10, 29)
    registers.f32(10, floor_f32(snapshot.total * working))
    registers.f32(12, floor_f32(snapshot.total))
    registers.f32(16, snapshot.rate)
    registers.bcd6(18, math.floor(snapshot.total * 10_000.0))
    registers.f32(21, snapshot.rate * working)
    registers.bcd6(23, math.floor(snapshot.total * working * 10_000.0))
    registers.f32(26, temperature_c)
    registers.f32(28, pressure_kpa)
    return registers


def working_m3_per_nm3(temperature_c: float, pressure_kpa: float) -> float:
    """Working volume [m3] of one Nm3 of an ideal gas at a temperature [°C] and an absolute
    pressure [kPa]; at 0 °C and 101.325 kPa it is 1."""
    return STANDARD_KPA / pressure_kpa * (temperature_c + ZERO_CELSIUS_K) / ZERO_CELSIUS_K


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A family of meters: its register map, function codes and how its counter wraps.

    ``step`` is one count of the counter in the meter's unit, 0 if only the float limits it;
    ``single`` says that the counter is kept in single precision; ``counters`` are the addresses
    where counters begin.
    """

    build: Callable[[Snapshot], Registers]
    unit: str
    quantity: str
    functions: frozenset[int]
    step: float
    single: bool
    modulus: float
    counters: tuple[int, ...]

    def resolution(self, total: float) -> float:
        """How far the register may lie below the true counter."""
        return self.step + (ulp_f32(total) if self.single else 0.0)


MODELS: dict[str, Model] = {
    "acrel-adl400": Model(
        build=acrel_adl400,
        unit="kWh",
        quantity="electricity",
        functions=frozenset({3}),
        step=0.1,
        single=False,
        modulus=2.0**32 / 10.0,
        counters=(0x000A, 0x0842, 0x084C),
    ),
    "chint-dtsu666": Model(
        build=chint_dtsu666,
        unit="kWh",
        quantity="electricity",
        functions=frozenset({3}),
        step=0.01,
        single=True,
        modulus=1_000_000.0,
        counters=(0x101E, 0x401E),
    ),
    "tuf-2000": Model(
        build=tuf_2000,
        unit="GJ",
        quantity="heat",
        functions=frozenset({3}),
        step=0.001,
        single=False,
        modulus=2.0**31,
        counters=(8, 10, 16, 18),
    ),
    "eh-promass": Model(
        build=eh_promass,
        unit="t",
        quantity="mass",
        functions=frozenset({3, 4}),
        step=0.0,
        single=True,
        modulus=1_000_000.0,
        counters=(2609,),
    ),
    "cn-gas-corrector": Model(
        build=cn_gas_corrector,
        unit="Nm3",
        quantity="gas",
        functions=frozenset({3}),
        step=0.0001,
        single=False,
        modulus=1e8,
        counters=(10, 12, 18, 23),
    ),
}
