"""Device templates: each is proven by its captures, and every fault in one is told at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config import sections
from agent.config.captures import capture_bank, check_captures
from agent.config.resources import resource_dir
from agent.config.templates import (
    load_template,
    probe_fits,
    read_template,
    template_dir,
    template_ids,
    template_points,
)
from agent.core.bustime import MeterDemand, SerialLine, bus_budget
from agent.core.errors import ConfigError
from agent.core.model import PointSpec
from agent.core.readplan import plan_reads
from drivers.modbus.frames import crc_holds

METER = sections.Meter(id="m", bus="b")

EVERY = template_ids()


def points(name: str, variant: str | None = None, **meter: object) -> dict[str, PointSpec]:
    section = sections.Meter(id="m", bus="b", **meter)  # type: ignore[arg-type]
    return {point.id: point for point in template_points(load_template(name), variant, section)}


def test_the_families_of_the_virtual_plant_are_there() -> None:
    assert {"acrel-adl400", "chint-dtsu666", "tuf-2000", "eh-promass", "cn-gas-corrector"} <= set(
        EVERY
    )
    assert template_dir().parent == resource_dir()


@pytest.mark.parametrize("name", EVERY)
def test_a_template_is_whole_and_its_captures_decode_to_what_they_say(name: str) -> None:
    template, faults = read_template(template_dir() / f"{name}.toml")
    assert faults == ()
    assert template is not None
    assert template.captures
    assert [str(fault) for fault in check_captures(template)] == []
    for capture in template.captures:
        for exchange in capture.exchanges:
            assert crc_holds(bytes.fromhex(exchange.request))
            assert crc_holds(bytes.fromhex(exchange.response))
        assert capture.expected
        assert all(value != 0 for value in capture.expected.values())


@pytest.mark.parametrize("name", EVERY)
def test_every_counter_is_bounded(name: str) -> None:
    for point in points(name).values():
        if point.role == "counter":
            assert point.resolution > 0
            assert point.max_rate_per_h


@pytest.mark.parametrize("name", EVERY)
def test_a_meter_can_be_read_once_a_second_at_9600_baud(name: str) -> None:
    plan = plan_reads(tuple(points(name).values()), max_hole=16)
    demand = MeterDemand(
        meter="m",
        counts=tuple(block.count for block in plan.blocks),
        period_s=1.0,
        timeout_s=0.3,
    )
    assert bus_budget(SerialLine(baud=9600), [demand], slowest_reply_s=1.0).cycle_s < 0.5


def test_the_ratio_applies_where_the_register_lacks_it() -> None:
    plain, scaled = points("chint-dtsu666"), points("chint-dtsu666", ratio=80.0)
    for name in ("energy", "power"):
        first, second = plain[name].register, scaled[name].register
        assert first is not None
        assert second is not None
        assert second.scale == first.scale * 80
    assert scaled["energy"].resolution == plain["energy"].resolution * 80
    assert scaled["energy"].modulus == 80e6
    assert scaled["voltage-l1"].register == plain["voltage-l1"].register
    primary = points("acrel-adl400", ratio=80.0)["energy"]
    assert primary.modulus == 429496729.6


def test_the_largest_power_bounds_power_and_energy() -> None:
    wide = points("acrel-adl400")
    assert (wide["energy"].max_rate_per_h, wide["power"].high) == (5000.0, 5000.0)
    narrow = points("acrel-adl400", max_power_kw=800.0)
    assert narrow["energy"].max_rate_per_h == 800.0
    assert (narrow["power"].low, narrow["power"].high) == (-800.0, 800.0)
    heat = points("tuf-2000", max_power_kw=1000.0)
    assert heat["heat"].max_rate_per_h == pytest.approx(3.6)
    assert heat["heat-flow"].high == pytest.approx(3.6)


def test_addresses_counted_from_one_become_wire_addresses() -> None:
    register = points("eh-promass")["mass"].register
    assert register is not None
    assert register.address == 2609


def test_a_variant_replaces_points_of_the_same_id() -> None:
    newer, older = points("chint-dtsu666"), points("chint-dtsu666", "energy-401e")
    addresses = [item["energy"].register for item in (newer, older)]
    assert [register.address for register in addresses if register] == [0x101E, 0x401E]
    assert newer.keys() == older.keys()


def test_probes_tell_the_variants_apart() -> None:
    for name in ("acrel-adl400", "chint-dtsu666"):
        template = load_template(name)
        for capture in template.captures:
            fitting = [
                variant.id
                for variant in template.variants
                if probe_fits(variant.probe, capture_bank(capture))
            ]
            assert fitting == [capture.variant]


def test_unknown_names_suggest_the_closest() -> None:
    with pytest.raises(ConfigError, match='did you mean "acrel-adl400"'):
        load_template("acrel-adl40")
    with pytest.raises(ConfigError, match='did you mean "energy-401e"'):
        template_points(load_template("chint-dtsu666"), "energy-402e", METER)


GOOD = """
id = "box"
title = "Box"
manufacturer = "Maker"
status = "draft"
source = "manual p. 1"
[[point]]
id = "energy"
quantity = "energy"
unit = "kWh"
role = "counter"
function = 3
address = 16
type = "u32"
resolution = 1.0
power_limited = true
[[capture]]
origin = "manual"
source = "manual p. 2"
[capture.expected]
energy = 65538
[[capture.exchange]]
request = "01 03 00 10 00 02 c5 ce"
response = "01 03 04 00 01 00 02 2a 32"
"""


def written(folder: Path, text: str, name: str = "box") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_good_template_is_good(tmp_path: Path) -> None:
    template, faults = read_template(written(tmp_path, GOOD))
    assert faults == ()
    assert template is not None
    assert check_captures(template) == ()


def test_a_capture_that_contradicts_is_told(tmp_path: Path) -> None:
    template, _ = read_template(written(tmp_path, GOOD.replace("65538", "65539")))
    assert template is not None
    told = [str(fault) for fault in check_captures(template)]
    assert len(told) == 1
    assert "capture[1].expected.energy" in told[0]
    assert "65538" in told[0]


def test_without_a_capture_a_template_fails(tmp_path: Path) -> None:
    template, faults = read_template(written(tmp_path, GOOD[: GOOD.index("[[capture]]")]))
    assert template is None
    assert [fault.path for fault in faults] == ["capture"]


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ('type = "u32"', 'type = "u31"', "point[energy].type"),
        ("address = 16", "address = 70000", "template.point[energy].address"),
        ("address = 16", "address = 0\naddress_base = 1", "point[energy].address"),
        ("resolution = 1.0", "", "point[energy].resolution"),
        ("power_limited = true", "", "point[energy].max_rate_per_h"),
        ('unit = "kWh"', 'unit = "m3"', "point[energy].power_limited"),
        ('status = "draft"', 'status = "sure"', "template.status"),
        ('title = "Box"', 'titel = "Box"', "template.titel"),
        ("energy = 65538", "enrgy = 65538", "capture[1].expected.enrgy"),
        ('role = "counter"', 'role = "text"', "point[energy].type"),
        ('type = "u32"', 'type = "s32+f32"', "point[energy].fraction_address"),
        ('id = "box"', 'id = "bax"', "id"),
    ],
)
def test_each_fault_names_its_place(tmp_path: Path, old: str, new: str, path: str) -> None:
    assert old in GOOD
    template, faults = read_template(written(tmp_path, GOOD.replace(old, new, 1)))
    assert template is None
    assert path in [fault.path for fault in faults]
    assert all(fault.hint for fault in faults)


def test_all_faults_show_at_once(tmp_path: Path) -> None:
    text = (
        GOOD.replace('type = "u32"', 'type = "u31"')
        .replace("enrgy", "")
        .replace("energy = 65538", "other = 1")
    )
    _, faults = read_template(written(tmp_path, text, name="bax"))
    assert {fault.path for fault in faults} == {
        "id",
        "point[energy].type",
        "capture[1].expected.other",
    }


def test_two_points_on_the_same_registers_are_told(tmp_path: Path) -> None:
    more = """
[[point]]
id = "half"
quantity = "any"
unit = "1"
role = "gauge"
function = 3
address = 17
type = "u16"
"""
    _, faults = read_template(written(tmp_path, GOOD + more))
    assert [fault.path for fault in faults] == ["point[half].address"]
