"""Who is let in: trust, validity and the gateway's own certificate, on paper and on the wire."""

from __future__ import annotations

import stat
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asyncua import Server, ua
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.user_managers import UserManager
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from opcua_plant import Dcs, bus_of, dcs, driver_of, listening, point

from agent.config import sections
from agent.core.errors import PortError
from drivers.opcua import security
from drivers.opcua import session as session_module

NOW_MS = time.time_ns() // 1_000_000
YEAR_MS = 365 * 86_400_000


def secured(port: int, folder: Path, **keys: Any) -> sections.Bus:
    (folder / "trust").mkdir(exist_ok=True)
    return bus_of(
        port,
        **{
            "security": "Basic256Sha256/SignAndEncrypt",
            "trust": str(folder / "trust"),
            "certificate": str(folder / "own" / "gateway.der"),
            "private_key": str(folder / "own" / "gateway.pem"),
        }
        | keys,
    )


def der_of(folder: Path, now_ms: int = NOW_MS) -> bytes:
    """A certificate of some server, made ``now_ms``."""
    folder.mkdir(parents=True, exist_ok=True)
    security.make_identity(folder / "s.der", folder / "s.pem", now_ms)
    return (folder / "s.der").read_bytes()


class TestTrust:
    """The trust folder without a network."""

    def test_a_certificate_is_trusted_in_der_and_in_pem(self, tmp_path: Path) -> None:
        der = der_of(tmp_path / "server")
        pem = x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM)
        for name, content in [("server.der", der), ("server.pem", pem), ("server.CRT", pem)]:
            trust = tmp_path / name
            trust.mkdir()
            (trust / name).write_bytes(content)
            end_ms = security.check_server(der, trust, NOW_MS, "bus dcs")
            assert end_ms > NOW_MS + 9 * YEAR_MS

    def test_a_chain_counts_by_its_first_certificate(self, tmp_path: Path) -> None:
        leaf, issuer = der_of(tmp_path / "a"), der_of(tmp_path / "b")
        assert security.first_certificate(leaf + issuer) == leaf
        trust = tmp_path / "trust"
        trust.mkdir()
        (trust / "issuer.der").write_bytes(issuer)
        with pytest.raises(PortError, match="not trusted"):
            security.check_server(leaf + issuer, trust, NOW_MS, "bus dcs")

    def test_an_unknown_certificate_is_laid_aside_and_moving_it_trusts_it(
        self, tmp_path: Path
    ) -> None:
        der = der_of(tmp_path / "server")
        trust = tmp_path / "trust"
        trust.mkdir()
        with pytest.raises(PortError) as caught:
            security.check_server(der, trust, NOW_MS, "bus dcs")
        assert security.fingerprint(der) in caught.value.what
        (rejected,) = (trust / "rejected").iterdir()
        assert str(rejected) in caught.value.hint
        rejected.rename(trust / rejected.name)
        security.check_server(der, trust, NOW_MS, "bus dcs")

    def test_rejected_certificates_cannot_fill_the_disk(self, tmp_path: Path) -> None:
        (tmp_path / "rejected").mkdir()
        for number in range(security.REJECTED_KEPT):
            (tmp_path / "rejected" / f"{number}.der").write_bytes(b"x")
        with pytest.raises(PortError) as caught:
            security.check_server(der_of(tmp_path / "s"), tmp_path, NOW_MS, "bus dcs")
        assert "empty" in caught.value.hint
        assert len(list((tmp_path / "rejected").iterdir())) == security.REJECTED_KEPT

    @pytest.mark.parametrize("shift_ms", [-YEAR_MS, 11 * YEAR_MS])
    def test_a_trusted_certificate_must_be_valid_now(self, tmp_path: Path, shift_ms: int) -> None:
        der = der_of(tmp_path / "server")
        (tmp_path / "server.der").write_bytes(der)
        with pytest.raises(PortError, match="is valid from") as caught:
            security.check_server(der, tmp_path, NOW_MS + shift_ms, "bus dcs")
        assert "clock" in caught.value.hint

    def test_an_unreadable_trust_folder_is_no_silent_no(self, tmp_path: Path) -> None:
        with pytest.raises(PortError, match="does not exist"):
            security.trusted_fingerprints(tmp_path / "none", "bus dcs")
        (tmp_path / "broken.der").write_bytes(b"no certificate")
        with pytest.raises(PortError, match=r"broken\.der cannot be read"):
            security.trusted_fingerprints(tmp_path, "bus dcs")

    def test_what_is_no_certificate_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(PortError, match="cannot be read"):
            security.check_server(b"\x30\x82\x00\x04abcd", tmp_path, NOW_MS, "bus dcs")


class TestConfiguration:
    """What a bus must say for a secure channel."""

    def test_none_is_an_open_channel(self) -> None:
        assert security.security_of(bus_of(4840)) is None

    @pytest.mark.parametrize(
        ("keys", "what"),
        [
            ({"security": "Basic128Rsa15/Sign"}, "not known"),
            ({"security": "Basic256Sha256"}, "not known"),
            ({"security": "none"}, "not known"),
            ({"trust": None}, "trusted server certificates"),
            ({"private_key": None}, "own certificate"),
        ],
    )
    def test_half_a_configuration_is_refused(
        self, tmp_path: Path, keys: dict[str, Any], what: str
    ) -> None:
        with pytest.raises(PortError, match=what):
            security.security_of(secured(4840, tmp_path, **keys))

    def test_the_gateways_pair_is_made_once_and_kept_private(self, tmp_path: Path) -> None:
        wanted = security.security_of(secured(4840, tmp_path))
        assert wanted is not None
        first = security.load_identity(wanted, NOW_MS, "bus dcs")
        assert first == security.load_identity(wanted, NOW_MS, "bus dcs")
        assert stat.S_IMODE(wanted.private_key.stat().st_mode) == 0o600
        assert first.application_uri.startswith("urn:")

    def test_a_pair_that_does_not_match_or_ended_is_refused(self, tmp_path: Path) -> None:
        wanted = security.security_of(secured(4840, tmp_path))
        assert wanted is not None
        security.load_identity(wanted, NOW_MS, "bus dcs")
        with pytest.raises(PortError, match="ended on"):
            security.load_identity(wanted, NOW_MS + 11 * YEAR_MS, "bus dcs")
        der_of(tmp_path / "other")
        wanted.private_key.write_bytes((tmp_path / "other" / "s.pem").read_bytes())
        with pytest.raises(PortError, match="is not the key of"):
            security.load_identity(wanted, NOW_MS, "bus dcs")
        wanted.private_key.write_text("nonsense")
        with pytest.raises(PortError, match="cannot be read"):
            security.load_identity(wanted, NOW_MS, "bus dcs")


POLICIES = [
    ua.SecurityPolicyType.NoSecurity,
    ua.SecurityPolicyType.Basic256Sha256_Sign,
    ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
    ua.SecurityPolicyType.Aes128Sha256RsaOaep_SignAndEncrypt,
    ua.SecurityPolicyType.Aes256Sha256RsaPss_SignAndEncrypt,
]


class Operators(UserManager):
    """One known user; nobody comes in without a name."""

    def get_user(
        self, iserver: Any, username: Any = None, password: Any = None, certificate: Any = None
    ) -> User | None:
        if (username, password) == ("gateway", "geheim 密码"):
            return User(role=UserRole.User)
        return None


@pytest.fixture(scope="module")
def server_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("server")
    der_of(folder)
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(server_folder: Path) -> AsyncIterator[Dcs]:
    async def prepare(server: Server) -> None:
        certificate = x509.load_der_x509_certificate((server_folder / "s.der").read_bytes())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        uri = names.value.get_values_for_type(x509.UniformResourceIdentifier)[0]
        await server.set_application_uri(uri)
        server.set_security_policy(POLICIES)
        await server.load_certificate(str(server_folder / "s.der"))
        await server.load_private_key(str(server_folder / "s.pem"))

    async with dcs({"load": 1.0}, prepare=prepare) as plant:
        yield plant


@pytest.mark.asyncio(loop_scope="module")
class TestWire:
    """A secured server on a real socket."""

    async def test_an_unknown_server_is_refused_before_anything_is_sent(
        self, server: Dcs, tmp_path: Path
    ) -> None:
        driver = driver_of(secured(server.port, tmp_path), point("load"))
        with pytest.raises(PortError, match="not trusted"):
            await driver.open()
        assert server.sessions == 0

    @pytest.mark.parametrize(
        "channel",
        [
            "Basic256Sha256/Sign",
            "Basic256Sha256/SignAndEncrypt",
            "Aes128Sha256RsaOaep/SignAndEncrypt",
            "Aes256Sha256RsaPss/SignAndEncrypt",
        ],
    )
    async def test_a_trusted_server_is_read_under_every_policy(
        self, server: Dcs, server_folder: Path, tmp_path: Path, channel: str
    ) -> None:
        bus = secured(server.port, tmp_path, security=channel)
        (tmp_path / "trust" / "server.der").write_bytes((server_folder / "s.der").read_bytes())
        driver = driver_of(bus, point("load"))
        async with listening(driver) as heard:
            await heard.until(lambda: heard.of("load"))
            await server.write("load", 2.0)
            await heard.until(lambda: heard.values("load")[-1] == 2.0)
            await server.write("load", 1.0)
            assert driver.statistics.certificate_end_ms is not None
        assert server.sessions == 0

    async def test_a_policy_that_the_server_lacks_is_named_with_what_it_offers(
        self, server: Dcs, tmp_path: Path
    ) -> None:
        bus = secured(server.port, tmp_path, security="Aes256Sha256RsaPss/Sign")
        with pytest.raises(PortError, match="does not offer") as caught:
            await driver_of(bus, point("load")).open()
        assert "Basic256Sha256/SignAndEncrypt" in caught.value.hint

    async def test_the_keys_of_the_channel_are_renewed_while_values_go_on(
        self,
        server: Dcs,
        server_folder: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(session_module, "CHANNEL_LIFETIME_MS", 2000)
        renewals: list[bool] = []
        opening = session_module.Client.open_secure_channel

        async def counted(client: Any, renew: bool = False) -> None:
            renewals.append(renew)
            await opening(client, renew)

        monkeypatch.setattr(session_module.Client, "open_secure_channel", counted)
        bus = secured(server.port, tmp_path)
        (tmp_path / "trust" / "server.der").write_bytes((server_folder / "s.der").read_bytes())
        async with listening(driver_of(bus, point("load"))) as heard:
            for value in range(3, 100):
                await server.write("load", float(value))
                await heard.until(lambda v=value: float(v) in heard.values("load"))
                if sum(renewals) >= 2:
                    break
        assert sum(renewals) >= 2

    async def test_user_and_password_file(
        self, server: Dcs, server_folder: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "password").write_text("geheim 密码\n", encoding="utf-8")
        keys = {"user": "gateway", "password_file": str(tmp_path / "password")}
        bus = secured(server.port, tmp_path, **keys)
        (tmp_path / "trust" / "server.der").write_bytes((server_folder / "s.der").read_bytes())
        before = server.server.iserver.user_manager
        server.server.iserver.user_manager = Operators()
        try:
            async with listening(driver_of(bus, point("load"))) as heard:
                await heard.until(lambda: heard.of("load"))
            (tmp_path / "password").write_text("wrong\n", encoding="utf-8")
            with pytest.raises(PortError, match="refuses the user"):
                await driver_of(bus, point("load")).open()
            (tmp_path / "password").unlink()
            with pytest.raises(PortError, match="password file"):
                await driver_of(bus, point("load")).open()
        finally:
            server.server.iserver.user_manager = before
        assert server.sessions == 0
