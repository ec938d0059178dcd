"""What the daemon tells the pages of meters and factors, on the example of a site."""

from __future__ import annotations

from pathlib import Path

from agent.config.load import load_site
from agent.core.model import FactorRef
from agent.daemon.buses import bus_view, device_meters
from agent.daemon.factor_source import FactorSources
from agent.poll.live import BusStatus, MeterStatus
from agent.web.view import DeviceState
from tests.fake_clock import FakeClock

EXAMPLE = Path(__file__).parents[2] / "config" / "site.example.toml"
SITE = load_site(EXAMPLE)


def test_a_meter_of_nodes_has_points_instead_of_an_address() -> None:
    shown = {
        meter.id: meter
        for bus in SITE.buses
        for meter in bus_view(SITE, bus, None, FakeClock()).meters
    }
    assert (shown["dcs-f103"].address, shown["dcs-f103"].points) == (
        "",
        len(SITE.meters["dcs-f103"].points),
    )
    assert shown["gas-f103"].address == str(SITE.meters["gas-f103"].section.unit)


def test_a_device_knows_which_of_its_meters_is_silent() -> None:
    clock = FakeClock()
    furnace = next(device for device in SITE.devices if device.id == "f103")
    answering = MeterStatus(id="gas-f103", answered=True, last_answer_ms=clock.now_ms())
    dead = MeterStatus(id="em-fan-f103", dead=True, last_answer_ms=clock.now_ms() - 40_000)
    status = BusStatus(
        id="rs485-1", driver="modbus-rtu", meters={answering.id: answering, dead.id: dead}
    )
    meters = device_meters(SITE, furnace, {"rs485-1": status}, clock)
    assert {meter.id: (meter.state, meter.age_s) for meter in meters} == {
        "gas-f103": (DeviceState.OK, 0.0),
        "em-fan-f103": (DeviceState.DEAD, 40.0),
    }


def test_every_factor_of_the_library_has_its_document() -> None:
    sources = FactorSources()
    for source in SITE.sources.values():
        known = sources.of(source.factor)
        assert ("·" in known) == (not source.factor.id.endswith("@user"))
        assert sources.of(source.factor) is known
    own = FactorRef(id="heat@user", version="user", value=110.0, unit="kgCO2e/GJ")
    assert sources.of(own) == ""
