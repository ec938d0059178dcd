"""Who may be talked to: the trust folder, the server's certificate and the gateway's own."""

from __future__ import annotations

import datetime
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.config import sections
from agent.core.errors import PortError

POLICIES = ("Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss")
MODES = ("Sign", "SignAndEncrypt")
CERTIFICATE_SUFFIXES = frozenset({".der", ".pem", ".crt", ".cer"})
VALID_FOR_DAYS = 3650
REJECTED_KEPT = 10  # a hostile network must not fill the disk with certificates


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """Policy and mode of a secure channel; ``None`` instead of this means an open one."""

    policy: str
    mode: str
    trust: Path
    certificate: Path
    private_key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The gateway's application certificate as the wire wants it."""

    certificate_der: bytes
    private_key_der: bytes
    application_uri: str


def security_of(bus: sections.Bus) -> Security | None:
    """What ``bus.security`` asks for; raises PortError for half a configuration."""
    if bus.security == "None":
        return None
    where = f"bus {bus.id}"
    policy, _, mode = bus.security.partition("/")
    if policy not in POLICIES or mode not in MODES:
        raise PortError(
            f"security {bus.security!r} is not known",
            where=where,
            hint=f'write "None" or one of {", ".join(POLICIES)} and "/" and {" or ".join(MODES)}',
        )
    if not bus.trust:
        raise PortError(
            f"security {bus.security!r} needs a folder of trusted server certificates",
            where=where,
            hint='set trust = "FOLDER" and put the server\'s certificate into it',
        )
    if not bus.certificate or not bus.private_key:
        raise PortError(
            f"security {bus.security!r} needs the gateway's own certificate",
            where=where,
            hint="set certificate and private_key; a pair is made where neither file exists",
        )
    return Security(
        policy=policy,
        mode=mode,
        trust=Path(bus.trust),
        certificate=Path(bus.certificate),
        private_key=Path(bus.private_key),
    )


def fingerprint(certificate_der: bytes) -> str:
    """SHA-256 of a certificate as people compare it: pairs of hex digits with colons."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(certificate_der)
    return digest.finalize().hex(":").upper()


def check_server(certificate_der: bytes, trust: Path, now_ms: int, where: str) -> int:
    """Require that the server's certificate lies in ``trust`` and is valid now.

    Returns the end of its validity (UTC ms). The certificate itself is pinned, byte for byte; an
    issuer in the folder vouches for nobody. Raises PortError that says how to trust it.
    """
    leaf = first_certificate(certificate_der)
    try:
        certificate = x509.load_der_x509_certificate(leaf)
    except ValueError as error:
        raise PortError(
            f"the server's certificate cannot be read: {error}",
            where=where,
            hint="renew the certificate of the server",
        ) from error
    print_sha256 = fingerprint(leaf)
    if print_sha256 not in trusted_fingerprints(trust, where):
        place = _keep_rejected(leaf, trust, print_sha256)
        raise PortError(
            f"the server's certificate is not trusted: {certificate.subject.rfc4514_string()}, "
            f"SHA-256 {print_sha256}",
            where=where,
            hint=f"compare the fingerprint with the server's own display, then {place}",
        )
    start_ms = _milliseconds(certificate.not_valid_before_utc)
    end_ms = _milliseconds(certificate.not_valid_after_utc)
    if not start_ms <= now_ms <= end_ms:
        raise PortError(
            f"the server's certificate is valid from {certificate.not_valid_before_utc:%Y-%m-%d} "
            f"to {certificate.not_valid_after_utc:%Y-%m-%d} only, SHA-256 {print_sha256}",
            where=where,
            hint="check the gateway's clock, then renew the certificate of the server",
        )
    return end_ms


def first_certificate(chain_der: bytes) -> bytes:
    """The leaf of a certificate chain: the first DER SEQUENCE (OPC 10000-6 §6.2.6)."""
    if len(chain_der) < 4 or chain_der[:2] != b"\x30\x82":
        return chain_der
    return chain_der[: int.from_bytes(chain_der[2:4], "big") + 4]


def trusted_fingerprints(trust: Path, where: str) -> frozenset[str]:
    """Fingerprints of all certificates in the folder; an unreadable file is an error, not a no."""
    if not trust.is_dir():
        raise PortError(
            f"the trust folder {trust} does not exist",
            where=where,
            hint="create it and put the server's certificate into it",
        )
    found = set()
    for path in sorted(trust.iterdir()):
        if path.suffix.lower() in CERTIFICATE_SUFFIXES and path.is_file():
            certificate = _load_certificate(path, where)
            found.add(fingerprint(certificate.public_bytes(serialization.Encoding.DER)))
    return frozenset(found)


def load_identity(security: Security, now_ms: int, where: str) -> Identity:
    """The gateway's certificate and key from their files; makes the pair where neither exists."""
    if not security.certificate.exists() and not security.private_key.exists():
        try:
            make_identity(security.certificate, security.private_key, now_ms)
        except OSError as error:
            raise PortError(
                f"the gateway's certificate cannot be made: {error}",
                where=where,
                hint="make the folder writable or put a certificate and its key there",
            ) from error
    certificate = _load_certificate(security.certificate, where)
    key = _load_key(security.private_key, where)
    if key.public_key() != certificate.public_key():
        raise PortError(
            f"{security.private_key} is not the key of {security.certificate}",
            where=where,
            hint="put the matching pair there",
        )
    end_ms = _milliseconds(certificate.not_valid_after_utc)
    if end_ms < now_ms:
        raise PortError(
            f"the gateway's certificate {security.certificate} ended on "
            f"{certificate.not_valid_after_utc:%Y-%m-%d}",
            where=where,
            hint="remove both files to have a new pair made, then trust it at the server",
        )
    return Identity(
        certificate_der=certificate.public_bytes(serialization.Encoding.DER),
        private_key_der=key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        application_uri=_application_uri(certificate),
    )


def make_identity(certificate_path: Path, key_path: Path, now_ms: int) -> None:
    """Write a self-signed application certificate and its key (RSA 2048, key readable by owner).

    Fields: OPC 10000-6 §6.2.2 (application URI and host name as alternative names, the four key
    usages, client authentication).
    """
    host = socket.gethostname()
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, f"Tanshu gateway {host}"[:64]),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Tanshu"),
        ]
    )
    start = datetime.datetime.fromtimestamp(now_ms / 1000, datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - datetime.timedelta(days=1))
        .not_valid_after(start + datetime.timedelta(days=VALID_FOR_DAYS))
    )
    names = [x509.UniformResourceIdentifier(f"urn:{host}:tanshu:gateway"), x509.DNSName(host)]
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write_private(
        key_path,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
    certificate_path.parent.mkdir(parents=True, exist_ok=True)
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.DER))


def read_password(bus: sections.Bus) -> str | None:
    """The password in ``bus.password_file`` without its line end."""
    if bus.password_file is None:
        return None
    try:
        return Path(bus.password_file).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise PortError(
            f"the password file cannot be read: {error}",
            where=f"bus {bus.id}",
            hint="check password_file and its permissions",
        ) from error


def _keep_rejected(leaf: bytes, trust: Path, print_sha256: str) -> str:
    """Lay the certificate where a person can move it into trust; returns what to do."""
    folder = trust / "rejected"
    path = folder / f"{print_sha256.replace(':', '')[:32]}.der"
    try:
        folder.mkdir(exist_ok=True)
        if not path.exists() and len(list(folder.iterdir())) < REJECTED_KEPT:
            path.write_bytes(leaf)
    except OSError:
        return f"copy the server's certificate as a .der or .pem file into {trust}"
    if not path.exists():
        return f"empty {folder} and try again to find the certificate there"
    return f"move {path} to {trust}"


def _write_private(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _load_certificate(path: Path, where: str) -> x509.Certificate:
    try:
        content = path.read_bytes()
        if b"-----BEGIN" in content:
            return x509.load_pem_x509_certificate(content)
        return x509.load_der_x509_certificate(content)
    except (OSError, ValueError) as error:
        raise PortError(
            f"the certificate {path} cannot be read: {error}",
            where=where,
            hint="put a certificate in DER or PEM form there, or remove the file",
        ) from error


def _load_key(path: Path, where: str) -> rsa.RSAPrivateKey:
    hint = "put an RSA key without password in DER or PEM form there"
    try:
        content = path.read_bytes()
        if b"-----BEGIN" in content:
            key = serialization.load_pem_private_key(content, None)
        else:
            key = serialization.load_der_private_key(content, None)
    except (OSError, ValueError, TypeError) as error:
        raise PortError(
            f"the key {path} cannot be read: {error}", where=where, hint=hint
        ) from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise PortError(f"the key {path} is not RSA", where=where, hint=hint)
    return key


def _application_uri(certificate: x509.Certificate) -> str:
    """The URI in the certificate: a server refuses a client that calls itself otherwise."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ""
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return uris[0] if uris else ""


def _milliseconds(moment: datetime.datetime) -> int:
    return round(moment.timestamp() * 1000)
