"""The Modbus TCP endpoint, the DCS and the site file of a running plant."""

from __future__ import annotations

import asyncio
import math
import socket
import struct
import time
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from asyncua import Client, ua
from pymodbus.client import ModbusTcpClient

from drivers.virtual.definition import default_definition
from drivers.virtual.errors import PlantError
from drivers.virtual.plant import Plant, fill_site

RunPlant = Callable[..., AbstractContextManager[Plant]]


@pytest.fixture
def gas(plant: Plant) -> Iterator[ModbusTcpClient]:
    client = ModbusTcpClient("127.0.0.1", port=int(plant.endpoints["gas_port"]), timeout=2)
    assert client.connect()
    yield client
    client.close()


def standard_nm3(registers: list[int]) -> float:
    """The standard total out of registers 10 to 29."""
    return int("".join(f"{word:04x}" for word in registers[8:11])) / 10_000.0


def read_total(client: ModbusTcpClient) -> float:
    return standard_nm3(client.read_holding_registers(10, count=20, device_id=1).registers)


def test_the_gas_corrector_shows_the_truth(
    plant: Plant, gas: ModbusTcpClient, hand_clock: Any
) -> None:
    from_ms = plant.clock.now_ms()
    before = read_total(gas)
    hand_clock.forward(5.0)
    after = read_total(gas)
    truth = plant.meters["gas-f103"].counter.total(plant.clock.now_ms())
    booked = plant.books.amount("gas-f103", from_ms, plant.clock.now_ms())
    assert truth - 0.0001 - 1e-7 <= after <= truth + 1e-7
    assert after - before == pytest.approx(booked, abs=0.0001 + 1e-7)
    assert after - before > 3.0


def test_what_the_gas_corrector_refuses(gas: ModbusTcpClient) -> None:
    assert gas.read_holding_registers(0, count=2, device_id=1).exception_code == 2
    assert gas.read_input_registers(10, count=2, device_id=1).exception_code == 1
    assert gas.read_holding_registers(10, count=2, device_id=7).exception_code == 0x0B


def test_tcp_faults_of_the_counter(plant: Plant, gas: ModbusTcpClient, hand_clock: Any) -> None:
    before = read_total(gas)
    plant.faults.switch_on("zero:gas-f103")
    assert (read_total(gas), read_total(gas)) == (0.0, before)
    plant.faults.switch_on("rollover:gas-f103=5")
    assert 1e8 - read_total(gas) < 10.0
    hand_clock.forward(10.0)
    assert 0.0 < read_total(gas) < 10.0
    plant.faults.switch_on("reset:gas-f103")
    assert read_total(gas) == 0.0
    plant.faults.switch_on("nan:gas-f103")
    registers = gas.read_holding_registers(10, count=20, device_id=1).registers
    assert registers[8:11] == [0xFFFF] * 3
    assert registers[6] == 0x7FC0


def ask(port: socket.socket, transaction: int) -> None:
    port.sendall(struct.pack(">HHHBBHH", transaction, 0, 6, 1, 3, 18, 3))


def hear(port: socket.socket) -> bytes:
    """One reply, or what came before the timeout."""
    heard = b""
    with suppress(TimeoutError):
        while len(heard) < 15 and (data := port.recv(15 - len(heard))):
            heard += data
    return heard


def test_tcp_faults_of_the_reply(plant: Plant) -> None:
    address = ("127.0.0.1", int(plant.endpoints["gas_port"]))
    with socket.create_connection(address, timeout=0.5) as port:
        plant.faults.switch_on("dead:gas-f103")
        ask(port, 1)
        assert hear(port) == b""
        plant.faults.switch_off()
        plant.faults.switch_on("wrong-unit:gas-f103")
        ask(port, 2)
        assert hear(port)[6] != 1
        plant.faults.switch_off()
        plant.faults.switch_on("truncated:gas-f103")
        ask(port, 3)
        assert 1 <= len(hear(port)) < 15
        plant.faults.switch_off()
    with socket.create_connection(address, timeout=2.0) as port:
        plant.faults.switch_on("late:gas-f103=600")
        begin_s = time.monotonic()
        ask(port, 4)
        time.sleep(0.05)
        plant.faults.switch_off()
        ask(port, 5)
        order = [struct.unpack(">H", hear(port)[:2])[0] for _ in range(2)]
        assert time.monotonic() - begin_s >= 0.6
    assert order == [5, 4]


def test_connections_are_dropped(plant: Plant) -> None:
    address = ("127.0.0.1", int(plant.endpoints["gas_port"]))
    with socket.create_connection(address, timeout=5.0) as port:
        ask(port, 1)
        assert len(hear(port)) == 15
        plant.faults.switch_on("drop:gas")
        with suppress(ConnectionResetError):
            assert port.recv(1) == b""
    with socket.create_connection(address, timeout=5.0) as port:
        ask(port, 2)
        assert len(hear(port)) == 15
    assert plant.stats()["gas"]["dropped"] == 1


def test_nonsense_on_tcp_ends_the_connection(plant: Plant) -> None:
    address = ("127.0.0.1", int(plant.endpoints["gas_port"]))
    with socket.create_connection(address, timeout=5.0) as port:
        port.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with suppress(ConnectionResetError):
            assert port.recv(1) == b""


@asynccontextmanager
async def session(endpoint: str) -> AsyncIterator[tuple[Client, int]]:
    async with Client(endpoint) as client:
        yield client, await client.get_namespace_index("urn:tanshu:virtual-dcs")


async def until(probe: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(300):
        if await probe():
            return
        await asyncio.sleep(0.1)
    pytest.fail("it did not happen within 30 s")


async def _newer(node: Any, stamp: datetime) -> bool:
    return bool((await node.read_data_value()).SourceTimestamp > stamp)


async def _is_nan(node: Any) -> bool:
    return math.isnan(await node.read_value())


async def test_the_dcs_shows_loads_with_source_timestamps() -> None:
    async with Plant() as plant, session(plant.endpoints["dcs_endpoint"]) as (client, namespace):
        assert plant.dcs is not None
        for node in default_definition().tags:
            shown = await client.get_node(f"ns={namespace};s={node}").read_data_value()
            stamp = shown.SourceTimestamp
            t_ms = stamp.replace(tzinfo=UTC).timestamp() * 1000.0
            now_ms = datetime.now(UTC).timestamp() * 1000.0
            assert -60_000.0 < t_ms - now_ms <= 1.0
            truth = plant.dcs.value(node, t_ms)
            if isinstance(truth, str):
                assert shown.Value.Value == truth
            else:
                assert shown.Value.Value == pytest.approx(truth, abs=1e-3)
        load = client.get_node(f"ns={namespace};s=F103.Load")
        first = await load.read_data_value()
        await until(lambda: _newer(load, first.SourceTimestamp))
        assert 0.0 < first.Value.Value < 120.0

        plant.faults.switch_on("nan:F103.Load")
        await until(lambda: _is_nan(load))
        other = client.get_node(f"ns={namespace};s=R201.Load")
        assert not math.isnan(await other.read_value())


class Heard:
    """Notices when a subscription delivers its second change."""

    def __init__(self) -> None:
        self.changes = 0
        self.changing = asyncio.Event()

    def datachange_notification(self, _node: Any, _value: Any, _data: Any) -> None:
        self.changes += 1
        if self.changes == 2:
            self.changing.set()

    def status_change_notification(self, _status: Any) -> None:
        """The library asks for it."""


async def test_a_session_is_lost() -> None:
    async with Plant() as plant:
        assert plant.dcs is not None
        client = Client(plant.endpoints["dcs_endpoint"])
        lost = asyncio.Event()

        async def on_loss(_error: Exception) -> None:
            lost.set()

        client.connection_lost_callback = on_loss
        await client.connect()
        namespace = await client.get_namespace_index("urn:tanshu:virtual-dcs")
        heard = Heard()
        subscription = await client.create_subscription(100, heard)
        await subscription.subscribe_data_change(client.get_node(f"ns={namespace};s=F103.Load"))
        async with asyncio.timeout(30):
            await heard.changing.wait()
        plant.faults.switch_on("session-loss:dcs")
        async with asyncio.timeout(30):
            await lost.wait()
        with pytest.raises((ConnectionError, ua.UaError, TimeoutError)):
            await client.get_node(f"ns={namespace};s=F103.Load").read_value()
        client.disconnect_socket()
        assert plant.stats()["dcs"]["sessions_closed"] == 1
        async with session(plant.endpoints["dcs_endpoint"]) as (again, _):
            assert again is not client


async def test_security_can_be_demanded(tmp_path: Path) -> None:
    from cryptography.x509.oid import ExtendedKeyUsageOID

    from drivers.virtual.dcs import make_certificate

    trust = tmp_path / "trust"
    own: dict[str, tuple[Path, Path]] = {}
    for name, folder in (("known", trust), ("stranger", tmp_path / "stranger")):
        own[name] = make_certificate(
            folder,
            name=name,
            application_uri=f"urn:tanshu:{name}",
            use=ExtendedKeyUsageOID.CLIENT_AUTH,
        )
    async with Plant(
        dcs_security="Basic256Sha256/SignAndEncrypt",
        certificates=tmp_path / "plant",
        trust=trust,
    ) as plant:
        endpoint = plant.endpoints["dcs_endpoint"]
        assert plant.dcs is not None
        assert plant.dcs.certificate is not None
        with pytest.raises((ua.UaError, ConnectionError, TimeoutError)):
            async with Client(endpoint, timeout=2):
                pass
        for name in own:
            client = Client(endpoint, timeout=10)
            client.application_uri = f"urn:tanshu:{name}"
            key, certificate = own[name]
            await client.set_security_string(
                f"Basic256Sha256,SignAndEncrypt,{certificate},{key},{plant.dcs.certificate}"
            )
            if name == "known":
                async with client:
                    namespace = await client.get_namespace_index("urn:tanshu:virtual-dcs")
                    node = client.get_node(f"ns={namespace};s=B1.Load")
                    assert 0.0 < await node.read_value() < 120.0
            else:
                with pytest.raises((ua.UaError, ConnectionError, TimeoutError)):
                    await client.connect()
                client.disconnect_socket()


def test_security_without_a_folder_is_refused(run_plant: RunPlant) -> None:
    with (
        pytest.raises(PlantError, match="needs a folder"),
        run_plant(dcs_security="Basic256Sha256/SignAndEncrypt"),
    ):
        pass
    with (
        pytest.raises(PlantError, match="choose from"),
        run_plant(dcs_security="Basic128"),
    ):
        pass


async def test_the_site_file_names_what_stands_in_the_plant() -> None:
    definition = default_definition()
    target = '[[target]]\nid = "ledger"\nurl = "mqtt://127.0.0.1:1883"\n'
    async with Plant() as plant:
        site = tomllib.loads(fill_site(plant, 5, target))
        assert site["site"]["window_s"] == 5
        assert [entry["id"] for entry in site["target"]] == ["ledger"]
        buses = {bus["id"]: bus for bus in site["bus"]}
        assert buses["rs485-1"]["port"] == plant.endpoints["rs485_1"]
        assert buses["gas"]["port"] == int(plant.endpoints["gas_port"])
        assert buses["dcs"]["endpoint"] == plant.endpoints["dcs_endpoint"]
    meters = {meter["id"]: meter for meter in site["meter"]}
    for id_, meter in definition.meters.items():
        assert (meters[id_]["bus"], meters[id_]["unit"]) == (meter.bus, meter.unit)
        assert meters[id_]["template"] == meter.model
        if definition.buses[meter.bus].kind == "rtu":
            assert buses[meter.bus]["baud"] == definition.buses[meter.bus].baud
    nodes = {
        point["node"].split(";s=")[1] for m in meters.values() for point in m.get("points", ())
    }
    assert nodes == set(definition.tags)
    devices = {device["id"]: device for device in site["device"]}
    assert {(d["id"], d["name"], d["stage"]) for d in devices.values()} == {
        (d.id, d.name, d.stage) for d in definition.devices.values()
    }
    fed = {(source["device"], source["stream"].split(".")[0]) for source in site["source"]}
    assert fed == {(d.id, s.meter) for d in definition.devices.values() for s in d.sources}


def test_a_plant_without_opcua_has_a_site_without_dcs(plant: Plant) -> None:
    text = fill_site(plant, 900, "")
    site = tomllib.loads(text)
    assert [bus["id"] for bus in site["bus"]] == ["rs485-1", "rs485-2", "gas"]
    assert "target" not in site
    assert "dcs" not in "".join(str(device) for device in site["device"])
    assert len(site["meter"]) == 13


def test_a_site_needs_a_running_plant() -> None:
    with pytest.raises(PlantError, match="no endpoints yet"):
        fill_site(Plant(opcua=False), 5, "")
