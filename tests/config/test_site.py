"""What a checked site holds, and what is left of a faulty one."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path
from string import Template
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.config.faults import Faults
from agent.config.load import load_site, read_site
from agent.config.site import SiteConfig
from agent.config.toml import read_toml
from agent.core.errors import ConfigError
from agent.core.model import PointRole, StreamKind

ROOT = Path(__file__).parents[2]
CASES = Path(__file__).parent / "cases"
EXAMPLE = ROOT / "config" / "site.example.toml"


def case(name: str) -> SiteConfig:
    site, _ = read_site(CASES / name / "site.toml")
    assert site is not None
    return site


def test_the_example_has_no_fault() -> None:
    site, faults = read_site(EXAMPLE)
    assert faults == ()
    assert site is not None
    assert site.hash == hashlib.sha256(EXAMPLE.read_bytes()).hexdigest()
    assert site.window_ms == 900_000
    assert [plan.id for plan in site.meters_of("rs485-1")] == ["gas-f103", "em-fan-f103"]
    assert "dcs-f103.feed-grade" in site.points


def test_the_virtual_plants_site_has_no_fault(tmp_path: Path) -> None:
    text = (ROOT / "drivers" / "virtual" / "site.toml").read_text(encoding="utf-8")
    values = {
        "rs485_1": "/dev/pts/4",
        "rs485_2": "/dev/pts/5",
        "gas_host": "127.0.0.1",
        "gas_port": "5020",
        "dcs_endpoint": "opc.tcp://127.0.0.1:4840",
        "window_s": "5",
        "targets": "",
    }
    path = tmp_path / "site.toml"
    path.write_text(Template(text).substitute(values), encoding="utf-8")
    site = load_site(path)
    assert len(site.sources) == 13
    assert {stream.unit for stream in site.streams.values()} == {"kWh", "GJ", "Nm3", "t"}


def test_gas_counted_at_20_degrees_becomes_normal_cubic_metres() -> None:
    site = load_site(EXAMPLE)
    volume = site.points["gas-f103.volume"]
    factor = 273.15 / 293.15
    assert volume.register is not None
    assert volume.unit == "Nm3"
    assert volume.register.scale == pytest.approx(factor, rel=1e-15)
    assert volume.resolution == pytest.approx(0.0001 * factor, rel=1e-15)
    assert volume.modulus == pytest.approx(1e8 * factor, rel=1e-15)
    stream = site.streams["gas-f103.volume"]
    assert (stream.resolution, stream.modulus) == (volume.resolution, volume.modulus)
    working = site.points["gas-f103.volume-working"]
    assert working.unit == "m3"
    assert working.register is not None
    assert working.register.scale == 1.0


def test_only_used_streams_are_cut_and_carry_the_load() -> None:
    site = load_site(EXAMPLE)
    assert set(site.metered) == {"gas-f103.volume", "em-fan-f103.energy"}
    derived = {plan.id for plan in site.derived}
    assert set(site.streams) == {*site.metered, *site.manual, *derived}
    loads = {site.streams[name].load for name in (*site.metered, *site.manual)}
    assert loads == {"dcs-f103.load"}
    energy = site.streams["em-fan-f103.energy"]
    assert energy.kind is StreamKind.COUNTER
    assert energy.max_rate_per_h == 400.0
    assert energy.period_ms == 1000


def test_a_rate_stream_is_an_amount() -> None:
    stream = case("meter-booked-twice").streams["em-1.power"]
    assert (stream.kind, stream.unit) == (StreamKind.RATE, "kWh")
    assert (stream.resolution, stream.modulus) == (0.0, None)


def test_a_node_in_megawatt_hours_is_scaled_to_kilowatt_hours() -> None:
    point = case("what-goes-with-a-bus").points["dcs-1.energy"]
    assert (point.unit, point.scale, point.role) == ("kWh", 1000.0, PointRole.COUNTER)


def test_sources_take_the_devices_share_and_the_rules_factor() -> None:
    sources = case("good-shared-meter").sources
    assert sources["fan-electricity"].section.share == 0.6
    assert sources["pump-electricity"].section.share == 0.4
    factor = sources["fan-electricity"].factor
    assert factor.id == "grid/quanguo/average/2023@MEE-2025-47"
    assert (factor.value, factor.unit) == (0.5306, "kgCO2e/kWh")
    assert sources["fan-electricity"].uncertainty_factor_pct == 5.0


def test_factors_are_per_stream_unit() -> None:
    gas = load_site(EXAMPLE).sources["f103-gas"].factor
    assert gas.id == "fuel/natural-gas@GB/T-32151.34-2024"
    assert gas.unit == "kgCO2e/Nm3"
    assert gas.value == pytest.approx(2.1621888, rel=1e-7)


def _with_source(tmp_path: Path, keys: str) -> SiteConfig:
    path = tmp_path / "site.toml"
    text = EXAMPLE.read_text(encoding="utf-8")
    path.write_text(text.replace('fuel = "natural-gas"\n', keys), encoding="utf-8")
    return load_site(path)


def ms(day: str) -> int:
    return int(datetime.fromisoformat(day).timestamp() * 1000)


def test_a_factor_that_changes_on_1_july_leaves_windows_before_it_alone(tmp_path: Path) -> None:
    site = _with_source(
        tmp_path,
        'fuel = "natural-gas"\nfactor = 2.0\nchanges = [{ since = 2026-07-01, factor = 2.5 }]\n',
    )
    plan = site.sources["f103-gas"]
    midnight = ms("2026-07-01T00:00:00+08:00")
    assert plan.factor_at(midnight - 1).value == pytest.approx(2.0 * 1000 / 10_000)
    assert plan.factor_at(midnight).value == pytest.approx(2.5 * 1000 / 10_000)
    assert plan.factor == plan.factor_at(midnight)


def test_changes_need_a_factor_to_change_and_their_order(tmp_path: Path) -> None:
    for keys, what in (
        ("changes = [{ since = 2026-07-01, factor = 2.5 }]", "needs a factor"),
        (
            "factor = 2.0\nchanges = [{ since = 2026-07-01, factor = 2.5 }, "
            "{ since = 2026-01-01, factor = 2.2 }]",
            "not in the order",
        ),
    ):
        with pytest.raises(ConfigError, match=what):
            _with_source(tmp_path, 'fuel = "natural-gas"\n' + keys + "\n")


def test_the_sites_own_factor_names_itself(tmp_path: Path) -> None:
    keys = 'fuel = "天然气"\nfactor = 21.0\nuncertainty_factor_pct = 2\n'
    plan = _with_source(tmp_path, keys).sources["f103-gas"]
    assert plan.factor.id == "fuel/natural-gas@user"
    assert plan.factor.value == pytest.approx(2.1)
    assert plan.uncertainty_factor_pct == 2.0


def test_a_measured_calorific_value_keeps_the_rest_of_the_table(tmp_path: Path) -> None:
    factor = (
        _with_source(tmp_path, 'fuel = "natural-gas"\nncv = 400.0\n').sources["f103-gas"].factor
    )
    assert factor.id == "fuel/natural-gas@GB/T-32151.34-2024+user"
    assert factor.value == pytest.approx(400.0 * 0.0153 * 0.99 * 44 / 12 / 10)


def test_the_older_rules_use_the_older_fuel_table(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    text = EXAMPLE.read_text(encoding="utf-8").replace('"GB/T 32151.10-2023"', '"NDRC-2013"')
    path.write_text(text, encoding="utf-8")
    assert load_site(path).sources["f103-gas"].factor.id == "fuel/natural-gas@NDRC-2013"


def test_a_broken_bus_leaves_the_rest_running() -> None:
    site = case("what-goes-with-a-bus")
    assert [bus.id for bus in site.buses] == ["dcs"]
    assert list(site.meters) == ["dcs-1"]
    pump = site.devices[0]
    assert pump.id == "pump"
    assert [part.stream for part in pump.streams] == ["dcs-1.energy"]
    assert pump.load is None
    assert pump.conditions == ("dcs-1.load",)
    assert list(site.sources) == ["pump-b"]


def test_meters_with_one_address_are_both_left_out() -> None:
    assert list(case("duplicate-slave-address").meters) == ["em-3"]


def test_a_ring_of_parents_is_cut() -> None:
    meters = case("parent-cycle").meters
    assert {name: plan.section.parent for name, plan in meters.items()} == {
        "em-1": None,
        "em-2": None,
        "em-3": None,
        "em-4": "em-1",
    }


def test_impossible_bus_time_still_reads_every_meter() -> None:
    assert len(case("impossible-bus-time").meters) == 5


def test_tcp_has_the_modbus_port_by_default() -> None:
    ports = {bus.id: bus.port for bus in case("same-port-twice").buses}
    assert ports["tcp-1"] == 502


def test_file_names_are_relative_to_the_site_file(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    text = EXAMPLE.read_text(encoding="utf-8")
    assert 'trust = "trusted-servers"' in text
    path.write_text(
        text.replace('trust = "trusted-servers"', 'trust = "keys/dcs"'), encoding="utf-8"
    )
    site = load_site(path)
    assert [bus.trust for bus in site.buses if bus.trust] == [str(tmp_path / "keys" / "dcs")]


def test_a_broken_factor_file_of_the_site_stops_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TANSHU_FACTORS", str(tmp_path))
    (tmp_path / "grid.toml").write_text("broken = [", encoding="utf-8")
    site, faults = read_site(EXAMPLE)
    assert site is not None
    assert site.sources == load_example(monkeypatch).sources
    assert [fault.file for fault in faults] == [str(tmp_path / "grid.toml")]
    assert not faults[0].fatal
    assert not faults[0].warning


def load_example(monkeypatch: pytest.MonkeyPatch) -> SiteConfig:
    monkeypatch.delenv("TANSHU_FACTORS")
    return load_site(EXAMPLE)


def test_a_file_that_is_not_there() -> None:
    site, faults = read_site(Path("/nonexistent/site.toml"))
    assert site is None
    assert [fault.what for fault in faults] == ["cannot be read: No such file or directory"]


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_bytes('[site]\nid = "plant-1"\nname = "厂"\n'.encode("gbk"))
    site, faults = read_site(path)
    assert site is None
    assert [(fault.path, fault.what) for fault in faults] == [("line 3", "not UTF-8")]


def test_ports_are_probed_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    text = EXAMPLE.read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    assert read_site(path)[1] == ()
    faults = read_site(path, probe_ports=True)[1]
    assert [(fault.path, fault.warning) for fault in faults] == [
        ("bus[rs485-1].port", False),
        ("bus[dcs].trust", True),
    ]
    port = tmp_path / "port"
    port.touch()
    port.chmod(0o600)
    (tmp_path / "trusted-servers").mkdir()
    there = text.replace("/dev/serial/by-path/platform-rs485-1", str(port))
    path.write_text(there, encoding="utf-8")
    assert read_site(path, probe_ports=True)[1] == ()


# Any value anywhere: faults, never a crash, and no fault without a path.

_ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "x", "rs485-1", "gas-f103.volume", "GJ", "天然气", "a.b.c", "ü\n"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.sampled_from(["id", "stream", "unit"]), st.integers(), max_size=2),
)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        pairs = (f"{json.dumps(key)} = {_toml(part)}" for key, part in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(part) for part in value) + "]"
    if isinstance(value, float):
        return repr(value) if "." in repr(value) or "e" in repr(value) else f"{value!r}.0"
    return json.dumps(value)


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        for key, part in value.items():
            found += _leaves(part, (*path, key))
    elif isinstance(value, list):
        for place, part in enumerate(value):
            found += _leaves(part, (*path, place))
    return found


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_mutation_of_a_site_crashes_the_check(tmp_path: Path, data: st.DataObject) -> None:
    read = read_toml(EXAMPLE, Faults("example"))
    assert read is not None
    tables = read[1]
    for _ in range(data.draw(st.integers(1, 3))):
        *parents, last = data.draw(st.sampled_from(_leaves(tables)))
        place: Any = tables
        for step in parents:
            place = place[step]
        odd = data.draw(_ODD)
        if odd is None:
            del place[last]
        else:
            place[last] = odd
    path = tmp_path / "site.toml"
    path.write_text("\n".join(f"{key} = {_toml(part)}" for key, part in tables.items()))
    site, faults = read_site(path)
    assert site is not None or any(fault.fatal for fault in faults)
    for fault in faults:
        assert fault.path
        assert fault.what
        assert fault.hint
        assert "\n" not in str(fault)
    if site is not None:
        _holds_together(site)


def _holds_together(site: SiteConfig) -> None:
    buses = {bus.id for bus in site.buses}
    units = {unit.id for unit in site.units}
    devices = {device.id for device in site.devices}
    assert all(plan.bus.id in buses for plan in site.meters.values())
    assert all(plan.section.parent in (None, *site.meters) for plan in site.meters.values())
    assert {unit.area for unit in site.units} <= {area.id for area in site.areas}
    assert all(stream in site.points for stream in site.metered)
    assert set(site.manual) <= set(site.streams)
    assert all(peer in site.streams for spec in site.manual.values() for peer in spec.peers)
    assert all(stream.load in (None, *site.points) for stream in site.streams.values())
    for device in site.devices:
        assert device.unit in units
        assert {part.stream for part in device.streams} <= set(site.streams)
        assert {*device.conditions, *([device.load] if device.load else [])} <= set(site.points)
    for source in site.sources.values():
        assert source.section.device in devices
        assert source.section.stream in site.streams
        assert source.factor.unit == f"kgCO2e/{site.streams[source.section.stream].unit}"
