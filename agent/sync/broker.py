"""Where a broker is and how to reach it: address, TLS, credentials, a connected socket."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from agent.core.errors import SyncError

SCHEMES = {"mqtt": (False, 1883), "mqtts": (True, 8883)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Address and credentials of a broker; files are read at every attempt to connect."""

    host: str
    port: int
    tls: bool
    client_id: str
    ca: str | None = None
    certificate: str | None = None
    private_key: str | None = None
    user: str | None = None
    password_file: str | None = None
    keepalive_s: int = 20
    connect_timeout_s: float = 10.0

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def password(self) -> str | None:
        """The first line of the password file.

        Raises:
            SyncError: the file cannot be read.
        """
        if self.password_file is None:
            return None
        try:
            return Path(self.password_file).read_text(encoding="utf-8").partition("\n")[0]
        except (OSError, UnicodeDecodeError) as fault:
            raise SyncError(
                f"the password file cannot be read: {fault}",
                where=self.password_file,
                hint="password_file names a text file that this service may read",
            ) from fault

    def tls_context(self) -> ssl.SSLContext:
        """TLS 1.2 or newer, verified against ``ca`` or the system's authorities.

        Raises:
            SyncError: a certificate or key file cannot be read.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if self.certificate:
                context.load_cert_chain(self.certificate, self.private_key)
        except (OSError, ValueError) as fault:
            raise SyncError(
                f"the TLS files cannot be used: {fault}",
                where=self.address,
                hint="check ca, certificate and private_key of the target",
            ) from fault
        return context


def split_url(url: str) -> tuple[str, int, bool]:
    """Host, port and whether TLS is used, from ``mqtt://host[:port]`` or ``mqtts://...``.

    Raises:
        SyncError: another scheme, or no host.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as fault:
        raise SyncError(f"not a broker address: {fault}", where=url) from fault
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise SyncError(
            "not a broker address", where=url, hint="mqtt://host:1883 or mqtts://host:8883"
        )
    tls, default_port = SCHEMES[parts.scheme]
    return parts.hostname, port or default_port, tls


async def open_socket(broker: Broker) -> socket.socket:
    """A connected non-blocking socket, after the TLS handshake where TLS is used.

    Raises:
        OSError: not reachable, refused, or the certificate does not verify.
        TimeoutError: no connection within ``connect_timeout_s``.
        SyncError: a TLS file cannot be read.
    """
    async with asyncio.timeout(broker.connect_timeout_s):
        raw = await _connect(broker.host, broker.port)
        if not broker.tls:
            return raw
        try:
            wrapped = broker.tls_context().wrap_socket(
                raw, server_hostname=broker.host, do_handshake_on_connect=False
            )
        except BaseException:
            raw.close()
            raise
        try:
            await _handshake(wrapped)
        except BaseException:
            wrapped.close()
            raise
        return wrapped


async def _connect(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    fault: OSError = OSError(f"{host} has no address")
    try:
        addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a label that is empty or too long
        raise OSError(f"{host} is not a host name: {error}") from error
    for family, kind, protocol, _, address in addresses:
        connection = socket.socket(family, kind, protocol)
        try:
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(connection, address)
        except OSError as error:
            connection.close()
            fault = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise fault


async def _handshake(connection: ssl.SSLSocket) -> None:
    loop = asyncio.get_running_loop()
    while True:
        try:
            connection.do_handshake()
        except ssl.SSLWantReadError:
            await _ready(connection, loop.add_reader, loop.remove_reader)
        except ssl.SSLWantWriteError:
            await _ready(connection, loop.add_writer, loop.remove_writer)
        else:
            return


async def _ready(
    connection: socket.socket,
    watch: Callable[..., object],
    forget: Callable[[int], object],
) -> None:
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def settle() -> None:
        if not ready.done():
            ready.set_result(None)

    watch(connection.fileno(), settle)
    try:
        await ready
    finally:
        forget(connection.fileno())
