"""The serial buses as a master sees them: pymodbus's own client and a plain serial port."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
import serial
from pymodbus.client import ModbusSerialClient

from drivers.virtual.line import char_s, crc16, framed, silence_s
from drivers.virtual.plant import Plant

RunPlant = Callable[..., AbstractContextManager[Plant]]

ENERGY = {  # meter: bus, unit, address and words of its counter
    "em-crusher": ("rs485_1", 1, 0x84C),
    "em-reactor": ("rs485_1", 3, 0x101E),
    "em-lighting": ("rs485_2", 6, 0x101E),
    "oil-boiler": ("rs485_2", 5, 2609),
}


def request(unit: int, address: int, count: int, function: int = 3) -> bytes:
    return framed(unit, struct.pack(">BHH", function, address, count))


def decode(meter: str, data: bytes) -> float:
    """The counter in the data of a reply to two registers."""
    if meter == "em-crusher":
        return float(struct.unpack(">I", data)[0]) * 0.1
    if meter == "oil-boiler":
        return float(struct.unpack(">f", data[2:] + data[:2])[0])
    return float(struct.unpack(">f", data)[0])


@contextmanager
def opened(plant: Plant, bus: str, timeout_s: float = 1.0) -> Iterator[serial.Serial]:
    baud = {"rs485_1": 9600, "rs485_2": 19200}[bus]
    with serial.Serial(
        plant.endpoints[bus], baud, parity=serial.PARITY_EVEN, timeout=timeout_s
    ) as port:
        yield port


def exchange(port: serial.Serial, frame: bytes, size: int) -> bytes:
    """Send after a silence, read up to ``size`` bytes or until the timeout."""
    time.sleep(0.006)
    port.write(frame)
    return bytes(port.read(size))


def read_counter(plant: Plant, port: serial.Serial, meter: str) -> float:
    _, unit, address = ENERGY[meter]
    reply = exchange(port, request(unit, address, 2), 9)
    assert len(reply) == 9
    assert crc16(reply) == 0
    assert reply[:3] == bytes((unit, 3, 4))
    return decode(meter, reply[3:7])


@pytest.mark.parametrize("meter", sorted(ENERGY))
def test_pymodbus_reads_the_truth(plant: Plant, meter: str) -> None:
    bus, unit, address = ENERGY[meter]
    client = ModbusSerialClient(
        plant.endpoints[bus], baudrate=9600 if bus == "rs485_1" else 19200, timeout=2, retries=0
    )
    assert client.connect()
    try:
        reply = client.read_holding_registers(address, count=2, device_id=unit)
        data = b"".join(word.to_bytes(2, "big") for word in reply.registers)
        refused = client.read_holding_registers(0x0836, count=2, device_id=1)
        coils = client.read_coils(0, count=8, device_id=unit)
    finally:
        client.close()
    now_ms = plant.clock.now_ms()
    truth = plant.meters[meter].counter.total(now_ms)
    assert truth - plant.meters[meter].resolution(now_ms) <= decode(meter, data) <= truth + 1e-7
    if bus == "rs485_1":
        assert refused.exception_code == 2
    assert coils.exception_code == 1


def test_a_port_reads_what_was_counted_between_two_moments(plant: Plant, hand_clock: Any) -> None:
    """Twenty minutes on all serial meters' buses: the differences are the books' amounts."""
    for meter, (bus, _, _) in ENERGY.items():
        with opened(plant, bus) as port:
            from_ms = plant.clock.now_ms()
            before = read_counter(plant, port, meter)
            hand_clock.forward(1200.0)
            after = read_counter(plant, port, meter)
            booked = plant.books.amount(meter, from_ms, plant.clock.now_ms())
            resolution = plant.meters[meter].resolution(plant.clock.now_ms())
            assert after - before == pytest.approx(booked, abs=resolution + 1e-7)


def test_exchanges_are_never_faster_than_the_wire(plant: Plant) -> None:
    """At 9600 and 19200 baud; only the lower side counts, a busy machine may be slower."""
    for bus, baud, unit, address in (("rs485_1", 9600, 3, 0x2006), ("rs485_2", 19200, 3, 0x2006)):
        count, rounds = 20, 5
        size = 5 + 2 * count
        least_s = (8 + size) * char_s(baud, 11) + silence_s(baud, 11) + 0.005
        with opened(plant, bus) as port:
            for _ in range(rounds):
                time.sleep(0.006)
                begin_s = time.monotonic()
                port.write(request(unit, address, count))
                reply = port.read(size)
                assert len(reply) == size
                assert time.monotonic() - begin_s >= least_s
        stats = plant.stats()[bus.replace("_", "-")]
        assert stats["requests"] == stats["replies"] == rounds
        assert stats["bytes_in"] == 8 * rounds
        assert stats["bytes_out"] == size * rounds
        assert stats["silence_violations"] == 0


def test_a_plant_may_run_at_another_baud_rate(run_plant: RunPlant) -> None:
    with (
        run_plant(opcua=False, baud=115_200, turnaround_ms=20.0) as plant,
        opened(plant, "rs485_1") as port,
    ):
        least_s = 17 * char_s(115_200, 11) + 0.00175 + 0.020
        begin_s = time.monotonic()
        read_counter(plant, port, "em-crusher")
        assert time.monotonic() - begin_s >= least_s
        line = plant.serial["rs485-1"].line
        assert line.char_s == 11 / 115_200
        assert line.turnaround_s == 0.020


def test_bytes_arrive_in_pieces(run_plant: RunPlant) -> None:
    """The machine may pause the reader, so some tries may see fewer pieces."""
    with run_plant(opcua=False, fifo=4) as plant, opened(plant, "rs485_1") as port:
        for _ in range(20):
            time.sleep(0.006)
            port.write(request(3, 0x2006, 12))
            sizes: list[int] = []
            while sum(sizes) < 29:
                data = port.read(1)
                assert data
                sizes.append(len(data + port.read(port.in_waiting)))
            if sizes == [4] * 7 + [1]:
                return
    pytest.fail(f"29 bytes never came as 7 pieces of 4 and the rest, last {sizes}")


def test_a_request_without_silence_is_counted_and_answered(plant: Plant) -> None:
    """The machine may pause the sender for 3.5 characters, so it tries more than once."""
    with opened(plant, "rs485_1") as port:
        for _ in range(50):
            port.write(request(3, 0x101E, 2))
            assert len(port.read(9)) == 9
            stats = plant.stats()["rs485-1"]
            if stats["silence_violations"]:
                break
    assert stats["silence_violations"] == 1
    assert stats["replies"] == stats["requests"] > 1


def test_a_request_into_a_reply_is_a_collision(plant: Plant) -> None:
    with opened(plant, "rs485_1", timeout_s=0.5) as port:
        port.write(request(3, 0x2006, 60))
        head = port.read(8)
        port.write(request(1, 0x84C, 2))
        rest = port.read(125 - len(head) + 9)
    stats = plant.stats()["rs485-1"]
    assert stats["collisions"] == 1
    assert stats["bad_requests"] == 1
    assert len(head + rest) == 125
    assert crc16(head + rest) != 0


def test_foreign_units_and_damaged_frames_stay_unanswered(plant: Plant) -> None:
    with opened(plant, "rs485_1", timeout_s=0.1) as port:
        assert exchange(port, request(9, 0, 2), 1) == b""
        assert exchange(port, request(0, 0x84C, 2), 1) == b""
        assert exchange(port, request(1, 0x84C, 2)[:-1] + b"\x00", 1) == b""
        assert exchange(port, b"\x01", 1) == b""
    stats = plant.stats()["rs485-1"]
    assert (stats["unanswered"], stats["bad_requests"]) == (2, 2)


def test_the_port_can_be_opened_again_with_the_same_settings(plant: Plant) -> None:
    for _ in range(3):
        with opened(plant, "rs485_1") as port:
            read_counter(plant, port, "em-crusher")


def test_a_dead_slave_is_silent_until_it_is_switched_on(plant: Plant) -> None:
    plant.faults.switch_on("dead:em-reactor")
    with opened(plant, "rs485_1", timeout_s=0.5) as port:
        assert exchange(port, request(3, 0x101E, 2), 9) == b""
        read_counter(plant, port, "em-crusher")
        plant.faults.switch_off("dead", "em-reactor")
        read_counter(plant, port, "em-reactor")


def test_a_late_reply_comes_after_the_next_request(plant: Plant) -> None:
    plant.faults.switch_on("late:em-reactor=600")
    with opened(plant, "rs485_1", timeout_s=3.0) as port:
        begin_s = time.monotonic()
        reply = exchange(port, request(3, 0x101E, 2), 9)
        assert len(reply) == 9
        assert time.monotonic() - begin_s >= 0.6
        time.sleep(0.006)
        port.write(request(3, 0x101E, 2))
        time.sleep(0.1)  # the master gives up and asks the next slave
        port.write(request(1, 0x84C, 2))
        heard = port.read(18)
    assert len(heard) == 18
    assert heard[:3] == bytes((1, 3, 4))
    assert heard[9:12] == bytes((3, 3, 4))
    assert crc16(heard[:9]) == crc16(heard[9:]) == 0
    assert plant.stats()["rs485-1"]["collisions"] == 0


def test_noise_breaks_the_crc(plant: Plant) -> None:
    plant.faults.switch_on("noise:em-crusher")
    with opened(plant, "rs485_1") as port:
        for _ in range(5):
            reply = exchange(port, request(1, 0x84C, 2), 9)
            assert len(reply) == 9
            assert crc16(reply) != 0


def test_a_wrong_unit_carries_a_valid_crc(plant: Plant) -> None:
    plant.faults.switch_on("wrong-unit:em-crusher")
    with opened(plant, "rs485_1") as port:
        for _ in range(5):
            reply = exchange(port, request(1, 0x84C, 2), 9)
            assert crc16(reply) == 0
            assert reply[0] in (2, 3, 4, 5)


def test_a_truncated_reply_is_short(plant: Plant) -> None:
    plant.faults.switch_on("truncated:em-crusher")
    with opened(plant, "rs485_1", timeout_s=0.4) as port:
        for _ in range(3):
            assert 1 <= len(exchange(port, request(1, 0x84C, 2), 9)) < 9


def test_a_probability_strikes_some_replies(run_plant: RunPlant) -> None:
    faults = ["noise:rs485-2=0.5"]
    with (
        run_plant(opcua=False, faults=faults) as plant,
        opened(plant, "rs485_2") as port,
    ):
        good = sum(crc16(exchange(port, request(6, 0x2012, 2), 9)) == 0 for _ in range(30))
    assert 3 < good < 27


@pytest.mark.parametrize("meter", sorted(ENERGY))
def test_a_counter_rolls_over(plant: Plant, hand_clock: Any, meter: str) -> None:
    modulus = plant.meters[meter].model.modulus
    with opened(plant, ENERGY[meter][0]) as port:
        plant.faults.switch_on(f"rollover:{meter}=10")
        near = read_counter(plant, port, meter)
        ahead = plant.books.amount(meter, plant.clock.now_ms(), plant.clock.now_ms() + 10_000)
        assert modulus - near == pytest.approx(ahead, abs=0.2)
        hand_clock.forward(3600.0)
        booked = plant.books.amount(meter, plant.clock.now_ms() - 3_600_000, plant.clock.now_ms())
        assert read_counter(plant, port, meter) == pytest.approx(booked - ahead, abs=0.2)


@pytest.mark.parametrize("meter", sorted(ENERGY))
def test_a_counter_is_reset(plant: Plant, hand_clock: Any, meter: str) -> None:
    with opened(plant, ENERGY[meter][0]) as port:
        assert read_counter(plant, port, meter) > 1.0
        plant.faults.switch_on(f"reset:{meter}")
        assert read_counter(plant, port, meter) == 0.0
        hand_clock.forward(3600.0)
        booked = plant.books.amount(meter, plant.clock.now_ms() - 3_600_000, plant.clock.now_ms())
        assert read_counter(plant, port, meter) == pytest.approx(booked, abs=0.2)


def test_a_transient_zero_lasts_one_reading_of_the_counter(plant: Plant) -> None:
    with opened(plant, "rs485_1") as port:
        before = read_counter(plant, port, "em-crusher")
        plant.faults.switch_on("zero:em-crusher")
        power = exchange(port, request(1, 0x81A, 2), 9)
        assert struct.unpack(">f", power[3:7])[0] > 100.0
        assert read_counter(plant, port, "em-crusher") == 0.0
        assert read_counter(plant, port, "em-crusher") == before


def test_nan_is_what_the_meter_says(plant: Plant) -> None:
    plant.faults.switch_on("nan:rs485-1")
    with opened(plant, "rs485_1") as port:
        reactor = read_counter(plant, port, "em-reactor")
        crusher = exchange(port, request(1, 0x84C, 2), 9)
        power = exchange(port, request(1, 0x81A, 2), 9)
    assert reactor != reactor
    assert crusher[3:7] == b"\xff\xff\xff\xff"
    assert power[3:7] == bytes.fromhex("7fc00000")


def test_faults_are_scheduled_from_the_start(run_plant: RunPlant, hand_clock: Any) -> None:
    with (
        run_plant(opcua=False, clock=hand_clock, faults=["dead:em-crusher@10+20"]) as plant,
        opened(plant, "rs485_1", timeout_s=0.5) as port,
    ):
        heard = []
        for _ in range(4):
            heard.append(len(exchange(port, request(1, 0x84C, 2), 9)))
            hand_clock.forward(10.0)
    assert heard == [9, 0, 0, 9]
