"""The books: additive, made from the factors, and written so that others can read them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.virtual.books import open_books
from drivers.virtual.definition import default_definition
from drivers.virtual.errors import PlantError
from drivers.virtual.profile import Profile

START_MS = 1_795_000_000_000
PLANT = default_definition()
BOOKS = open_books(START_MS)
DEVICES = st.sampled_from(sorted(PLANT.devices))


@pytest.mark.parametrize(
    ("factor", "kgco2_per_unit"),
    [
        ("electricity", 0.5306),
        ("heat", 110.0),
        ("natural-gas", 2.1621888),  # 21.621888 tCO2 per 10^4 Nm3
        ("fuel-oil", 3170.461),
    ],
)
def test_factors_are_the_published_ones(factor: str, kgco2_per_unit: float) -> None:
    assert PLANT.factors[factor].kgco2_per_unit == pytest.approx(kgco2_per_unit, rel=1e-6)
    assert PLANT.factors[factor].source


@given(
    DEVICES, st.integers(0, 86_400_000), st.lists(st.integers(1, 900_000), min_size=2, max_size=9)
)
def test_windows_add_up(device: str, offset_ms: int, lengths_ms: list[int]) -> None:
    begin_ms = end_ms = START_MS + offset_ms
    parts = 0.0
    for length_ms in lengths_ms:
        parts += BOOKS.window(device, end_ms, end_ms + length_ms)
        end_ms += length_ms
    assert parts == pytest.approx(BOOKS.window(device, begin_ms, end_ms), rel=1e-9)


@given(DEVICES, st.integers(0, 86_400_000))
def test_a_device_emits_what_its_sources_emit(device: str, offset_ms: int) -> None:
    begin_ms = START_MS + offset_ms
    sources = BOOKS.sources(device, begin_ms, begin_ms + 60_000)
    by_hand = sum(
        BOOKS.amount(source.meter, begin_ms, begin_ms + 60_000) * source.kgco2_per_unit
        for source in sources
    )
    assert BOOKS.window(device, begin_ms, begin_ms + 60_000) == pytest.approx(by_hand, rel=1e-12)


def test_every_meter_is_booked_once() -> None:
    booked = [source.meter for device in PLANT.devices.values() for source in device.sources]
    assert sorted(booked) == sorted(PLANT.meters)


def test_the_bound_is_resolution_and_timing() -> None:
    end_ms = START_MS + 90_000
    bound = BOOKS.bound_kgco2e("crusher", START_MS, end_ms, 1.0, 0.2)
    load = Profile(PLANT.meters["em-crusher"], seed=1, utc_offset_h=8.0)
    timing_kwh = load.swing(START_MS, end_ms) / 3600.0 * 1.2
    assert bound == pytest.approx(0.5306 * (2 * 0.1 + timing_kwh))
    assert BOOKS.bound_kgco2e("crusher", START_MS, end_ms, 5.0, 0.2) > bound


@pytest.mark.parametrize("device", sorted(PLANT.devices))
def test_the_bound_is_small_beside_ninety_seconds(device: str) -> None:
    end_ms = START_MS + 90_000
    bound = BOOKS.bound_kgco2e(device, START_MS, end_ms, 1.0, 0.3)
    assert 0.0 < bound < 0.1 * BOOKS.window(device, START_MS, end_ms)


def test_another_process_keeps_the_same_books() -> None:
    again = open_books(START_MS + 5_000)
    other_seed = open_books(START_MS, seed=2)
    span = ("f103", START_MS, START_MS + 60_000)
    assert again.window(*span) == BOOKS.window(*span)
    assert other_seed.window(*span) != BOOKS.window(*span)


def test_written_books_hold_devices_sources_and_windows(tmp_path: Path) -> None:
    path = tmp_path / "books.json"
    BOOKS.write(path, START_MS + 1_000, START_MS + 61_000, 5)
    books = json.loads(path.read_text(encoding="utf-8"))
    assert sorted(books["devices"]) == sorted(PLANT.devices)
    f103 = books["devices"]["f103"]
    assert [source["meter"] for source in f103["sources"]] == ["gas-f103", "em-fan"]
    assert f103["kgco2e"] == pytest.approx(sum(source["kgco2e"] for source in f103["sources"]))
    starts = [window["start_ms"] for window in f103["windows"]]
    assert all(start % 5_000 == 0 for start in starts)
    assert starts[0] >= START_MS + 1_000
    assert starts[-1] + 5_000 <= START_MS + 61_000
    assert len(starts) == 11
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_not_in_the_plant_is_named() -> None:
    with pytest.raises(PlantError, match="no device 'f999'"):
        BOOKS.window("f999", START_MS, START_MS + 1)
    with pytest.raises(PlantError, match="no meter 'em-nothing'"):
        BOOKS.amount("em-nothing", START_MS, START_MS + 1)
    with pytest.raises(PlantError, match="positive window"):
        BOOKS.as_dict(START_MS, START_MS + 1, 0)
