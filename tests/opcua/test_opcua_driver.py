"""The driver against a real server on a real socket: values, faults, losses, gaps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from asyncua import Client, ua
from asyncua.client.ua_client import UaClient
from asyncua.common.callback import CallbackType
from asyncua.common.utils import ServiceError
from asyncua.server.monitored_item_service import MonitoredItemService
from opcua_plant import URI, Dcs, bus_of, dcs, driver_of, free_port, listening, point, wire_to

from agent.core.errors import BusError, PortError, ReplyTimeout
from agent.core.model import PointRole, Quality
from drivers.opcua import driver as driver_module

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Dcs]:
    """One server for the tests of this file: it takes seconds to build."""
    async with dcs({}) as plant:
        yield plant


async def test_changes_arrive_with_value_text_quality_and_source_time(server: Dcs) -> None:
    grade = point("grade", role=PointRole.TEXT)
    async with server.having({"load": 1.0, "grade": "A", "flow": 2, "on": True}) as plant:
        bus = bus_of(plant.port)
        points = (point("load", scale=10.0), grade, point("flow"), point("on"))
        async with listening(driver_of(bus, *points)) as heard:
            await heard.until(lambda: len({s.point for s in heard.samples}) == 4)
            assert heard.of("grade")[0].text == "A"
            assert heard.values("load")[0] == 10.0
            assert heard.values("flow")[0] == 2.0
            assert heard.values("on")[0] == 1.0
            await plant.write("load", 9.5)
            await plant.write("grade", "B 乙")
            await heard.until(lambda: heard.values("load")[-1] == 95.0)
            await heard.until(lambda: heard.of("grade")[-1].text == "B 乙")
            written = (await plant.nodes["load"].read_data_value()).SourceTimestamp
            times = [s.time_ms for s in heard.of("load") if s.value == 95.0]
            assert times[0] == int(written.timestamp() * 1000)


@pytest.mark.parametrize(
    ("status", "quality", "value"),
    [
        (ua.StatusCodes.UncertainLastUsableValue, Quality.SUSPECT, 7.0),
        (ua.StatusCodes.BadNoCommunication, Quality.MISSING, None),
    ],
)
async def test_the_servers_status_becomes_quality(
    server: Dcs, status: int, quality: Quality, value: float | None
) -> None:
    driver = driver_of(bus_of(server.port), point("load"))
    async with server.having({"load": 1.0}) as plant, listening(driver) as heard:
        await heard.until(lambda: heard.of("load"))
        await plant.write("load", 7.0, status)
        await heard.until(lambda: heard.of("load")[-1].quality is quality)
        last = heard.of("load")[-1]
        assert (last.value, last.raw) == (value, ua.StatusCode(status).name)
        await plant.write("load", 8.0)
        await heard.until(lambda: heard.values("load")[-1] == 8.0)


async def test_one_bad_node_does_not_stop_the_others(server: Dcs) -> None:
    bad = (
        point("gone"),
        point("foreign", node="nsu=urn:not:here;s=load"),
        point("nonsense", node="load"),
    )
    async with server.having({"load": 1.0}) as plant:
        driver = driver_of(bus_of(plant.port), bad[0], point("load"), *bad[1:])
        async with listening(driver) as heard:
            await heard.until(lambda: heard.of("load"))
            for name, reason in [
                ("gone", "BadNodeIdUnknown"),
                ("foreign", "namespace not on the server"),
                ("nonsense", "the identifier must be"),
            ]:
                sample = heard.of(name)[0]
                assert (sample.value, sample.quality) == (None, Quality.MISSING)
                assert reason in sample.raw
                assert reason in driver.statistics.bad_nodes[f"m.{name}"]
            assert driver.statistics.refused == 3


async def test_a_node_that_appears_later_is_found(
    server: Dcs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_module, "RETRY_NODES_NS", 0)
    async with server.having({"load": 1.0}) as plant:
        driver = driver_of(bus_of(plant.port), point("load"), point("late"))
        async with listening(driver) as heard:
            await heard.until(lambda: heard.of("load"))
            assert "m.late" in driver.statistics.bad_nodes
            index = await plant.server.get_namespace_index(URI)
            await plant.server.nodes.objects.add_variable(ua.NodeId("late", index), "late", 4.0)
            await heard.until(lambda: 4.0 in heard.values("late"))
            assert driver.statistics.bad_nodes == {}


async def test_a_value_that_stands_still_is_confirmed(server: Dcs) -> None:
    async with server.having({"load": 3.0}) as plant:
        driver = driver_of(bus_of(plant.port), point("load"), period_s=0.2)
        async with listening(driver) as heard:
            await heard.until(lambda: len(heard.of("load")) >= 4)
            assert set(heard.values("load")) == {3.0}
            times = [sample.time_ms for sample in heard.of("load")]
            assert times == sorted(set(times))
            assert driver.statistics.changes == 1


async def test_no_change_is_lost_at_hundreds_per_second(server: Dcs) -> None:
    names = [f"v{i}" for i in range(40)]
    rounds = 30
    async with server.having(dict.fromkeys(names, 0.0)) as plant:
        driver = driver_of(bus_of(plant.port), *(point(name) for name in names))
        async with listening(driver) as heard:
            await heard.until(lambda: len({s.point for s in heard.samples}) == len(names))
            for value in range(1, rounds + 1):
                for name in names:
                    await plant.write(name, float(value))
                await asyncio.sleep(0.05)
            await heard.until(
                lambda: all(float(rounds) in heard.values(name)[-3:] for name in names)
            )
            expected = [float(value) for value in range(1, rounds + 1)]
            for name in names:
                new = dict.fromkeys(v for v in heard.values(name) if v)
                assert list(new) == expected
            assert driver.statistics.overflows == driver.statistics.lost_notifications == 0


async def test_a_cut_connection_is_a_bus_error_and_opening_again_goes_on(server: Dcs) -> None:
    async with server.having({"load": 1.0}) as plant, wire_to(plant.port) as wire:
        driver = driver_of(bus_of(wire.port), point("load"))
        async with listening(driver) as heard:
            await heard.until(lambda: heard.of("load"))
            wire.cut()
            await heard.until(lambda: heard.ended)
            assert isinstance(heard.ended, BusError)
        async with listening(driver) as again:
            await plant.write("load", 2.0)
            await again.until(lambda: 2.0 in again.values("load"))
        assert driver.statistics.sessions == 2
        assert plant.sessions == 0


async def test_a_silent_server_is_a_lost_server(
    server: Dcs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_module, "PATIENCE_FLOOR_S", 0.5)
    monkeypatch.setattr(driver_module, "KEEP_ALIVE_MS", 100)
    async with server.having({"load": 1.0}) as plant, wire_to(plant.port) as wire:
        driver = driver_of(bus_of(wire.port), point("load"))
        async with listening(driver) as heard:
            await heard.until(lambda: heard.of("load"))
            wire.freeze()
            await heard.until(lambda: heard.ended)
            assert isinstance(heard.ended, ReplyTimeout)
            assert driver.statistics.timeouts == 1
            wire.thaw()


async def test_a_restarted_server_may_number_its_namespaces_anew() -> None:
    port = free_port()
    driver = driver_of(bus_of(port), point("load"))
    async with dcs({"load": 1.0}, port=port), listening(driver) as heard:
        await heard.until(lambda: heard.of("load"))
    with pytest.raises(PortError, match="while connecting"):
        await driver.open()
    anew = dcs({"load": 5.0}, port=port, namespaces_before=["urn:a", "urn:b"])
    async with anew, listening(driver) as heard:
        await heard.until(lambda: 5.0 in heard.values("load"))
    assert driver.statistics.bad_nodes == {}


async def test_history_fills_the_gap_once_and_in_order(server: Dcs) -> None:
    async with (
        server.having({"load": 0.0, "fresh": 0.0}, historize=["load"]) as plant,
        wire_to(plant.port) as wire,
    ):
        driver = driver_of(bus_of(wire.port), point("load"), point("fresh"))
        async with listening(driver) as heard:
            await plant.write("load", 1.0)
            await plant.write("fresh", 1.0)
            await heard.until(lambda: 1.0 in heard.values("load"))
            await heard.until(lambda: 1.0 in heard.values("fresh"))
            wire.cut()
            await heard.until(lambda: heard.ended)
        for value in range(2, 1500):  # more than one read's worth
            await plant.write("load", float(value))
            if value % 250 == 0:
                await asyncio.sleep(0.01)
        await plant.write("fresh", 2.0)
        async with listening(driver) as again:
            await again.until(lambda: 2.0 in again.values("fresh"))
            await plant.write("load", 9999.0)
            await again.until(lambda: 9999.0 in again.values("load"))
            times = [sample.time_ms for sample in again.of("load")]
            assert times == sorted(times)
            values = [v for v in again.values("load") if v is not None and 2 <= v <= 1499]
            ordered = list(dict.fromkeys(values))
            assert ordered == sorted(ordered)
            # Values of one millisecond at the seam of two reads cannot be told apart.
            assert len(ordered) >= 1490
            assert driver.statistics.history_values >= 1490


async def test_closing_gives_the_session_back_even_after_a_failed_login(server: Dcs) -> None:
    async with server.having({"load": 1.0}) as plant:
        for _ in range(3):
            async with listening(driver_of(bus_of(plant.port), point("load"))) as heard:
                await heard.until(lambda: heard.of("load"))
                assert plant.sessions == 1
            assert plant.sessions == 0

        def refuse(event: Any, dispatcher: Any) -> None:
            raise ua.uaerrors.BadUserAccessDenied

        plant.server.iserver.callback_service.addListener(CallbackType.PreRead, refuse)
        try:
            with pytest.raises(BusError):
                await driver_of(bus_of(plant.port), point("load")).open()
        finally:
            plant.server.iserver.callback_service.removeListener(CallbackType.PreRead, refuse)
        assert plant.sessions == 0


async def test_a_server_without_a_free_session_says_what_to_do(
    server: Dcs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with server.having({"load": 1.0}) as plant:

        async def full(*arguments: Any, **keys: Any) -> Any:
            raise ua.uaerrors.BadTooManySessions

        monkeypatch.setattr(Client, "create_session", full)
        with pytest.raises(PortError, match="no free session") as caught:
            await driver_of(bus_of(plant.port), point("load")).open()
        assert "stale sessions" in caught.value.hint
        assert plant.sessions == 0


async def test_what_is_no_server_is_a_port_error() -> None:
    with pytest.raises(PortError, match="while connecting"):
        await driver_of(bus_of(free_port()), point("load")).open()
    for endpoint in ("opc.tcp://", "http://127.0.0.1:4840", "opc.tcp://u:p@127.0.0.1", None):
        with pytest.raises(PortError, match="no OPC UA address"):
            driver = driver_of(bus_of(1, endpoint=endpoint), point("load"))
            await driver.open()
    with pytest.raises(PortError, match="not open"):
        async for _ in driver_of(bus_of(1), point("load")).batches():
            pass


async def test_an_undecodable_value_costs_one_session_and_not_the_others(
    server: Dcs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from drivers.opcua import session as session_module
    from drivers.opcua.wire import WireError

    def refuse(data: bytes, at: int) -> tuple[Any, int]:
        raise WireError("value of an unknown structure")

    monkeypatch.setattr(session_module, "decode_other", refuse)
    async with server.having({"odd": [1.0, 2.0], "load": 1.0}) as plant:
        driver = driver_of(bus_of(plant.port), point("odd"), point("load"))
        async with listening(driver) as heard:
            await heard.until(lambda: heard.ended)
            assert "cannot be decoded" in str(heard.ended)
        async with listening(driver) as heard:
            await heard.until(lambda: heard.of("load"))
            assert heard.of("odd")[0].quality is Quality.MISSING
        assert driver.statistics.invalid == 1
        assert "cannot be decoded" in driver.statistics.bad_nodes["m.odd"]


async def test_a_server_that_refuses_history_still_gives_its_changes(
    server: Dcs, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    async def refuse(client: Any, parameters: ua.HistoryReadParameters) -> Any:
        calls.append(len(parameters.NodesToRead))
        raise ua.uaerrors.BadHistoryOperationUnsupported

    names = ["a", "b", "c"]
    async with server.having(dict.fromkeys(names, 0.0), historize=names) as plant:
        driver = driver_of(bus_of(plant.port), *map(point, names))
        async with listening(driver) as heard:
            await heard.until(lambda: all(heard.of(name) for name in names))
        monkeypatch.setattr(UaClient, "history_read", refuse)
        async with listening(driver) as heard:
            await plant.write("a", 5.0)
            await heard.until(lambda: 5.0 in heard.values("a"))
    assert sorted(calls) == [1, 1, 1, 2, 3]
    assert set(driver.statistics.history_refused) == {"m.a", "m.b", "m.c"}
    assert "BadHistoryOperationUnsupported" in driver.statistics.history_refused["m.a"]


async def test_a_server_that_takes_few_nodes_per_call_gets_few(
    server: Dcs, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = MonitoredItemService.create_monitored_items

    async def few(service: Any, parameters: ua.CreateMonitoredItemsParameters) -> Any:
        if len(parameters.ItemsToCreate) > 3:
            raise ServiceError(ua.StatusCodes.BadTooManyOperations)
        return await create(service, parameters)

    monkeypatch.setattr(MonitoredItemService, "create_monitored_items", few)
    names = [f"v{i}" for i in range(10)]
    async with server.having(dict.fromkeys(names, 1.0)) as plant:
        driver = driver_of(bus_of(plant.port), *map(point, names))
        async with listening(driver) as heard:
            await heard.until(lambda: all(heard.of(name) for name in names))
        assert driver.statistics.bad_nodes == {}
