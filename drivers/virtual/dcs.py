"""The DCS of the virtual plant: an OPC UA server with loads and process values.

Imported only when the plant serves OPC UA: the library alone costs some 20 MB and half a second.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from asyncua import Server, ua
from asyncua.common.utils import ServiceError
from asyncua.crypto import cert_gen
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from drivers.virtual.clock import PlantClock
from drivers.virtual.definition import TagDefinition
from drivers.virtual.errors import PlantError
from drivers.virtual.faults import Faults
from drivers.virtual.meter import Meter

NAMESPACE = "urn:tanshu:virtual-dcs"
APPLICATION_URI = "urn:tanshu:virtual-dcs:server"
PERIOD_S = 1.0
TICK_S = 0.1
SECURITIES: dict[str, list[Any]] = {
    "None": [ua.SecurityPolicyType.NoSecurity],
    "Basic256Sha256/SignAndEncrypt": [ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt],
    "any": [
        ua.SecurityPolicyType.NoSecurity,
        ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
    ],
}


@dataclass(slots=True, kw_only=True)
class DcsStats:
    """What the OPC UA server did since its start."""

    updates: int = 0
    values: int = 0
    sessions_closed: int = 0


class Dcs:
    """Serves the plant's tags as variables ``ns=<NAMESPACE>;s=<tag>`` of the Objects folder.

    ``security`` is "None", "Basic256Sha256/SignAndEncrypt" or "any" of both; with certificates
    made by the server itself in ``certificates``. ``trust`` is a folder with the DER certificates
    of the clients it accepts; without it every client certificate is accepted.
    """

    def __init__(
        self,
        bus_id: str,
        tags: Mapping[str, TagDefinition],
        meters: Mapping[str, Meter],
        *,
        clock: PlantClock,
        faults: Faults,
        host: str = "127.0.0.1",
        port: int = 0,
        security: str = "None",
        certificates: Path | None = None,
        trust: Path | None = None,
    ) -> None:
        if security not in SECURITIES:
            raise PlantError(f"OPC UA security {security!r}: choose from {', '.join(SECURITIES)}")
        if security != "None" and certificates is None:
            raise PlantError(f"OPC UA security {security!r} needs a folder for certificates")
        self.id = bus_id
        self._tags = tags
        self._meters = meters
        self._clock = clock
        self._faults = faults
        self._host = host
        self._port = port
        self._security = security
        self._certificates = certificates
        self._trust = trust
        self._server: Any = None
        self._nodes: dict[str, Any] = {}
        self._stats = DcsStats()
        self.endpoint = ""
        self.certificate: Path | None = None

    async def start(self) -> None:
        """Listen; `endpoint` then holds the address."""
        server = Server()
        await server.init()
        server.set_server_name("Virtual DCS")
        server.set_endpoint(f"opc.tcp://{self._host}:{self._port}/tanshu/")
        await server.set_application_uri(APPLICATION_URI)
        server.set_security_policy(SECURITIES[self._security])
        server.set_identity_tokens([ua.AnonymousIdentityToken])
        if self._certificates is not None:
            await self._secure(server, self._certificates)
        namespace = await server.register_namespace(NAMESPACE)
        for node, tag in self._tags.items():
            node_id = ua.NodeId(node, namespace)
            kind = ua.VariantType.String if tag.grades else ua.VariantType.Double
            value = "" if tag.grades else 0.0
            self._nodes[node] = await server.nodes.objects.add_variable(
                node_id, ua.QualifiedName(node, namespace), value, kind
            )
        self._server = server
        await self._publish()
        await server.start()
        self.endpoint = f"opc.tcp://{self._host}:{server.bserver.port}/tanshu/"

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop()
            self._server = None

    async def run(self) -> None:
        """Write all tags once per second of the plant and close sessions where a fault says so."""
        written = math.floor(self._clock.now_ms() / 1000.0 / PERIOD_S)
        while True:
            await asyncio.sleep(TICK_S)
            if self._faults.take("session-loss", self.id) is not None or self._closed():
                await self.close_sessions()
            second = math.floor(self._clock.now_ms() / 1000.0 / PERIOD_S)
            if second != written:
                written = second
                await self._publish()

    def stats(self) -> DcsStats:
        return replace(self._stats)

    def value(self, node: str, t_ms: float) -> float | str:
        """What a tag shows at a time, faults aside."""
        tag = self._tags[node]
        if tag.grades:
            return tag.grades[int(t_ms / 1000.0 / tag.hold_s) % len(tag.grades)]
        profile = self._meters[tag.meter or ""].profile
        return tag.base + tag.gain * profile.rate(t_ms) / profile.nominal

    async def close_sessions(self) -> None:
        """Forget every session with its subscriptions and cut the connections."""
        for client in list(self._server.bserver.clients):
            session = client.processor.session
            if session is not None:
                await session.close_session(True)
                self._stats.sessions_closed += 1
            client.transport.abort()

    def _closed(self) -> bool:
        """Whether a session loss still lasts: whoever comes back meanwhile is sent away."""
        fault = self._faults.active("session-loss", self.id)
        return fault is not None and fault.for_s is not None

    async def _publish(self) -> None:
        t_ms = self._clock.now_ms()
        stamp = datetime.fromtimestamp(t_ms / 1000.0, UTC)
        for node in self._tags:
            value = self.value(node, t_ms)
            if isinstance(value, str):
                variant = ua.Variant(value, ua.VariantType.String)
            else:
                broken = self._faults.active("nan", node) is not None
                variant = ua.Variant(math.nan if broken else value, ua.VariantType.Double)
            await self._server.write_attribute_value(
                self._nodes[node].nodeid,
                ua.DataValue(variant, SourceTimestamp=stamp, ServerTimestamp=stamp),
            )
            self._stats.values += 1
        self._stats.updates += 1

    async def _secure(self, server: Any, folder: Path) -> None:
        key_file, certificate_file = make_certificate(
            folder,
            name="virtual-dcs",
            application_uri=APPLICATION_URI,
            use=ExtendedKeyUsageOID.SERVER_AUTH,
        )
        await server.load_certificate(certificate_file)
        await server.load_private_key(key_file)
        self.certificate = certificate_file
        if self._trust is not None:
            server.set_certificate_validator(_only_from(self._trust))


def make_certificate(
    folder: Path, *, name: str, application_uri: str, use: x509.ObjectIdentifier
) -> tuple[Path, Path]:
    """A key (PEM) and a self-signed certificate (DER) for one year, made once per folder."""
    folder.mkdir(parents=True, exist_ok=True)
    key_file, certificate_file = folder / f"{name}.pem", folder / f"{name}.der"
    if not (key_file.exists() and certificate_file.exists()):
        key = cert_gen.generate_private_key()
        certificate = cert_gen.generate_self_signed_app_certificate(
            key,
            name,
            {"organizationName": "Tanshu"},
            [
                x509.UniformResourceIdentifier(application_uri),
                x509.DNSName(socket.gethostname()),
                x509.DNSName("localhost"),
                x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
            ],
            extended=[use],
        )
        key_file.touch(mode=0o600)
        key_file.write_bytes(cert_gen.dump_private_key_as_pem(key))
        certificate_file.write_bytes(certificate.public_bytes(Encoding.DER))
    return key_file, certificate_file


def _only_from(folder: Path) -> Callable[[x509.Certificate, Any], Any]:
    """A validator that accepts exactly the certificates which lie in a folder now."""

    async def validate(certificate: x509.Certificate, _application: Any) -> None:
        if certificate.public_bytes(Encoding.DER) not in _certificates_in(folder):
            raise ServiceError(ua.StatusCodes.BadCertificateUntrusted)

    return validate


def _certificates_in(folder: Path) -> frozenset[bytes]:
    return frozenset(file.read_bytes() for file in folder.glob("*.der"))
