"""The driver against a server that shares no code with it (node-opcua)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from opcua_plant import bus_of, driver_of, free_port, listening, point
from third_party import URI, third_party

from agent.core.errors import BusError, PortError
from agent.core.model import PointRole, PointSpec, Quality


def theirs(name: str, role: PointRole = PointRole.GAUGE) -> PointSpec:
    return point(name, node=f"nsu={URI};s={name}", role=role)


@pytest.fixture
def package(needs: Callable[[str], str]) -> str:
    return needs("node:node-opcua-server")


async def test_nothing_is_lost_and_the_session_is_given_back(package: str) -> None:
    names = [f"V{i}" for i in range(20)]
    points = [theirs(name) for name in names]
    extra = [theirs("Grade", PointRole.TEXT), theirs("Broken"), theirs("Absent")]
    async with third_party(package, len(names), 250) as server:
        driver = driver_of(bus_of(server.port), *points, *extra, period_s=0.05)
        async with listening(driver) as heard:
            await heard.until(lambda: all(len(set(heard.values(n))) >= 8 for n in names))
            count = await server.ask("stop")
            last = float(count["round"])
            assert count["sessions"] == 1
            await heard.until(lambda: all(last in heard.values(n) for n in names))
            for name in names:
                rounds = list(dict.fromkeys(heard.values(name)))
                assert rounds == [float(r) for r in range(int(rounds[0] or 0), int(last) + 1)]
            assert heard.of("Grade")[0].text == "PX-2 对二甲苯"
            assert heard.of("Broken")[0].quality is Quality.MISSING
            assert heard.of("Broken")[0].raw == "BadSensorFailure"
            assert "BadNodeIdUnknown" in driver.statistics.bad_nodes["m.Absent"]
            assert driver.statistics.overflows == driver.statistics.lost_notifications == 0
        assert (await server.ask())["sessions"] == 0


async def test_a_killed_server_is_lost_and_found_again(package: str) -> None:
    port = free_port()
    driver = driver_of(bus_of(port), theirs("V0"))
    async with third_party(package, 1, 100, port) as server, listening(driver) as heard:
        await heard.until(lambda: len(heard.of("V0")) >= 3)
        server.process.kill()
        await heard.until(lambda: heard.ended)
        assert isinstance(heard.ended, BusError)
    async with third_party(package, 1, 100, port), listening(driver) as again:
        await again.until(lambda: len(again.of("V0")) >= 3)


async def test_trust_and_encryption(package: str, tmp_path: Path) -> None:
    trust = tmp_path / "trust"
    trust.mkdir()
    async with third_party(package, 1, 100) as server:
        bus = bus_of(
            server.port,
            security="Basic256Sha256/SignAndEncrypt",
            trust=str(trust),
            certificate=str(tmp_path / "gateway.der"),
            private_key=str(tmp_path / "gateway.pem"),
        )
        driver = driver_of(bus, theirs("V0"))
        with pytest.raises(PortError, match="not trusted"):
            await driver.open()
        (rejected,) = (trust / "rejected").iterdir()
        rejected.rename(trust / rejected.name)
        async with listening(driver) as heard:
            await heard.until(lambda: len(heard.of("V0")) >= 3)
        assert (await server.ask())["sessions"] == 0
