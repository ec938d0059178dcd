"""What the connection does with brokers that refuse, throw out, or hide behind TLS."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from agent.core.errors import ProofError, SyncError
from agent.sync.broker import split_url
from agent.sync.keys import load_key, load_or_create_key
from agent.sync.model import LossKind
from agent.sync.target import pinned_key
from tests.conftest import Needs
from tests.sync.harness import (
    LEDGER_KEY,
    Target,
    chain,
    gateway,
    ledger,
    mosquitto,
    target,
    until,
)

SUCCESS, NOT_AUTHORISED, TAKEN_OVER, BUSY = 0x00, 0x87, 0x8E, 0x89


class RudeBroker:
    """Accepts MQTT 5 clients with a CONNACK reason, then throws them out with another."""

    def __init__(self, connack: int, disconnect: int | None) -> None:
        self.connack = connack
        self.disconnect = disconnect
        self.connections = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._packet(reader)
            writer.write(bytes([0x20, 3, 0, self.connack, 0]))
            if self.connack == SUCCESS:
                subscribe = await self._packet(reader)
                writer.write(bytes([0x90, 4, subscribe[0], subscribe[1], 0, 1]))
                if self.disconnect is not None:
                    writer.write(bytes([0xE0, 2, self.disconnect, 0]))
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _packet(self, reader: asyncio.StreamReader) -> bytes:
        await reader.readexactly(1)
        length, shift = 0, 0
        while True:
            byte = (await reader.readexactly(1))[0]
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return await reader.readexactly(length)


@asynccontextmanager
async def rude(connack: int, disconnect: int | None = None) -> AsyncIterator[RudeBroker]:
    made = RudeBroker(connack, disconnect)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await server.wait_closed()


def at(port: int, **changes: object) -> Target:
    return Target(
        id="ledger",
        url=f"mqtt://127.0.0.1:{port}",
        ledger_key=LEDGER_KEY.public.text,
        **changes,  # type: ignore[arg-type]
    )


async def test_refused_credentials_are_not_tried_again_at_once() -> None:
    async with rude(NOT_AUTHORISED) as broker, gateway(at(broker.port), chain(2)) as sender:
        await until(lambda: "sync.refused" in sender.codes())
        await asyncio.sleep(1.0)
        assert broker.connections == 1


async def test_a_takeover_that_is_announced_is_not_fought() -> None:
    async with (
        rude(SUCCESS, TAKEN_OVER) as broker,
        gateway(at(broker.port), chain(2)) as sender,
    ):
        await until(lambda: "sync.taken_over" in sender.codes())
        await asyncio.sleep(1.0)
        assert broker.connections == 1


async def test_a_busy_broker_is_tried_again_with_growing_waits() -> None:
    async with rude(BUSY) as broker, gateway(at(broker.port), chain(2)) as sender:
        await until(lambda: broker.connections >= 4)
        assert sender.codes() == ["sync.closed"]  # one event, not one per attempt


async def test_a_broker_that_is_not_there_is_waited_for(needs: Needs, tmp_path: Path) -> None:
    broker = mosquitto(needs("mosquitto"), tmp_path)
    async with gateway(target(broker), chain(3)) as sender:
        await until(lambda: sender.codes() == [f"sync.{LossKind.UNREACHABLE.value}"])
        broker.start()
        try:
            async with ledger(broker, tmp_path / "ledger.db"):
                await until(lambda: len(sender.outbox.confirmed_seqs()) == 3)
        finally:
            broker.kill()


@pytest.mark.parametrize("url", ["http://x", "mqtt://", "broker:1883", "mqtt://x:99999", ""])
def test_urls_that_are_none_are_refused(url: str) -> None:
    with pytest.raises(SyncError):
        split_url(url)


def test_urls_have_the_standard_ports() -> None:
    assert split_url("mqtt://a") == ("a", 1883, False)
    assert split_url("mqtts://a.example") == ("a.example", 8883, True)
    assert split_url("mqtts://[::1]:9") == ("::1", 9, True)


def test_a_target_with_receipts_needs_the_ledgers_key() -> None:
    with pytest.raises(SyncError):
        pinned_key(Target(id="t", url="mqtt://a"))


def test_a_key_is_made_once_and_only_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "gateway.key"
    made = load_or_create_key(path)
    assert load_or_create_key(path).public == made.public
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["gateway.key"]
    path.chmod(0o644)
    with pytest.raises(ProofError, match="others may read"):
        load_key(path)


class Authority:
    """A certificate authority for one test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        self.name = name
        self.certificate = (
            self._builder(name, self.key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        self.path = folder / "ca.pem"
        self.path.write_bytes(self.certificate.public_bytes(Encoding.PEM))

    def _builder(
        self, subject: x509.Name, public: ec.EllipticCurvePublicKey
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )

    def issue(self, name: str) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        alternative = x509.SubjectAlternativeName(
            [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        )
        certificate = (
            self._builder(subject, key.public_key())
            .add_extension(alternative, critical=False)
            .sign(self.key, hashes.SHA256())
        )
        certificate_path, key_path = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate_path.write_bytes(certificate.public_bytes(Encoding.PEM))
        key_path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return certificate_path, key_path


async def test_tls_with_device_certificates(needs: Needs, tmp_path: Path) -> None:
    authority, foreign = Authority(tmp_path), Authority(_made(tmp_path / "foreign"))
    server, server_key = authority.issue("server")
    device, device_key = authority.issue("gw-01")
    broker = mosquitto(
        needs("mosquitto"),
        tmp_path,
        f"cafile {authority.path}",
        f"certfile {server}",
        f"keyfile {server_key}",
        "require_certificate true",
        "user root",
    )
    broker.start()
    url = broker.url.replace("mqtt:", "mqtts:")
    good = {"url": url, "certificate": str(device), "private_key": str(device_key)}
    try:
        async with gateway(target(broker, ca=str(authority.path), **good), chain(3)) as sender:
            await until(lambda: sender.publisher.state.connected)
            await until(lambda: sender.publisher.state.sent >= 3)
        async with gateway(target(broker, ca=str(foreign.path), **good), chain(1)) as sender:
            await until(lambda: "sync.unreachable" in sender.codes())
            assert "certificate" in sender.publisher.state.last_loss.lower()
        async with gateway(target(broker, url=url, ca=str(authority.path)), chain(1)) as sender:
            await until(lambda: sender.codes() != [])
            assert not sender.publisher.state.connected
    finally:
        broker.kill()


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
