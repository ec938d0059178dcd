"""Looking at folders and addresses: bounded, and never led elsewhere."""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from agent.clock import SystemClock
from agent.config.factor_pack import MAX_PACK_BYTES, pack_name
from agent.daemon import factor_look
from agent.daemon.factor_look import (
    Candidate,
    Trouble,
    look_at_index,
    look_in_folder,
    look_on_media,
)
from tests.factors.packs import grid_table, pack, put

FIRST, SECOND = pack(serial=1), pack(grid_table(0.5), serial=2)
Answer = Callable[[BaseHTTPRequestHandler], None]


def test_a_folder_gives_what_is_not_known(tmp_path: Path) -> None:
    put(tmp_path, FIRST)
    put(tmp_path, SECOND)
    (tmp_path / "notes.txt").write_text("not ours")
    known = {pack_name(FIRST).removesuffix(".tanshu-factors")}
    found = list(look_in_folder(tmp_path, known))
    assert found == [Candidate(origin=str(tmp_path), name=pack_name(SECOND), data=SECOND)]


def test_odd_files_are_told_and_never_opened(tmp_path: Path) -> None:
    (tmp_path / "grid.tanshu-factors").write_bytes(FIRST)
    os.mkfifo(tmp_path / f"{'0' * 64}.tanshu-factors")
    (tmp_path / f"{'1' * 64}.tanshu-factors").symlink_to("/dev/zero")
    (tmp_path / f"{'2' * 64}.tanshu-factors").mkdir()
    with (tmp_path / f"{'3' * 64}.tanshu-factors").open("wb") as file:
        file.truncate(MAX_PACK_BYTES + 1)
    found = list(look_in_folder(tmp_path, ()))
    assert all(isinstance(one, Trouble) for one in found)
    assert len(found) == 5


def test_a_share_that_is_not_mounted_is_unreachable(tmp_path: Path) -> None:
    (trouble,) = look_in_folder(tmp_path / "share", ())
    assert isinstance(trouble, Trouble)
    assert trouble.unreachable


def test_a_stick_is_found_where_it_is_mounted(tmp_path: Path) -> None:
    put(tmp_path / "media" / "STICK" / "tanshu-factors", FIRST)
    patterns = (f"{tmp_path}/media/*/tanshu-factors", f"{tmp_path}/none/*/tanshu-factors")
    assert [one.data for one in look_on_media(patterns, ()) if isinstance(one, Candidate)] == [
        FIRST
    ]


class Authority:
    """A certificate authority of this machine's loopback address."""

    def __init__(self, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]),
                critical=False,
            )
            .sign(key, hashes.SHA256())
        )
        self.certificate = folder / "ca.pem"
        self.key = folder / "ca.key"
        self.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
        self.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@contextmanager
def serving(authority: Authority, answers: dict[str, bytes | Answer]) -> Iterator[str]:
    """An HTTPS server on loopback; gives the address of its index."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = answers.get(self.path.rpartition("/")[2])
            if callable(answer):
                answer(self)
            elif answer is None:
                self.send_error(404)
            else:
                self.send_response(200)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.certificate, authority.key)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}/packs/SHA256SUMS"
    finally:
        server.shutdown()
        thread.join(30)
        server.server_close()


def listing(*packs: bytes) -> bytes:
    lines = (
        f"{pack_name(data).removesuffix('.tanshu-factors')}  {pack_name(data)}" for data in packs
    )
    return ("\n".join([*lines, f"{'f' * 64}  README.txt"]) + "\n").encode()


def look(
    authority: Authority, answers: dict[str, bytes | Answer], *, ca: bool = True
) -> list[Candidate | Trouble]:
    trusted = str(authority.certificate) if ca else None
    with serving(authority, answers) as address:
        return list(look_at_index(address, trusted, (), SystemClock().monotonic_ns))


def reason(found: list[Candidate | Trouble]) -> str:
    (trouble,) = found
    assert isinstance(trouble, Trouble)
    return trouble.reason


def test_the_packs_of_an_index_are_fetched_from_beside_it(authority: Authority) -> None:
    answers: dict[str, bytes | Answer] = {
        "SHA256SUMS": listing(FIRST, SECOND),
        pack_name(FIRST): FIRST,
        pack_name(SECOND): SECOND,
    }
    found = look(authority, answers)
    assert [one.data for one in found if isinstance(one, Candidate)] == [FIRST, SECOND]


def test_a_server_without_a_trusted_certificate_is_not_asked(authority: Authority) -> None:
    assert (
        "certificate" in reason(look(authority, {"SHA256SUMS": listing(FIRST)}, ca=False)).lower()
    )


@pytest.mark.parametrize(
    "line",
    [
        f"{'0' * 64}  ../../etc/{'0' * 64}.tanshu-factors",
        f"{'0' * 64}  /etc/{'0' * 64}.tanshu-factors",
        f"{'0' * 64}  https://elsewhere.example/{'0' * 64}.tanshu-factors",
        f"{'0' * 64}  {'1' * 64}.tanshu-factors",
        "<html>",
        "\x00\x01\x02",
    ],
)
def test_an_index_that_leads_elsewhere_is_refused(authority: Authority, line: str) -> None:
    (trouble,) = look(authority, {"SHA256SUMS": line.encode()})
    assert isinstance(trouble, Trouble)
    assert trouble.unreachable


def redirect(to: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("location", to)
        request.send_header("content-length", "0")
        request.end_headers()

    return answer


@pytest.mark.parametrize("to", ["http://127.0.0.1:9/SHA256SUMS", "ftp://127.0.0.1/x"])
def test_a_redirect_away_from_https_is_not_followed(authority: Authority, to: str) -> None:
    assert "without https" in reason(look(authority, {"SHA256SUMS": redirect(to)}))


def test_a_file_address_or_an_endless_redirect_leads_nowhere(authority: Authority) -> None:
    assert "answers 302" in reason(look(authority, {"SHA256SUMS": redirect("file:///etc/passwd")}))
    assert "redirect" in reason(look(authority, {"SHA256SUMS": redirect("SHA256SUMS")}))


def test_an_endless_answer_is_cut_off(authority: Authority) -> None:
    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        while True:
            request.wfile.write(b"x" * 65536)

    assert "more than" in reason(look(authority, {"SHA256SUMS": endless}))
    (trouble,) = look(authority, {"SHA256SUMS": listing(FIRST), pack_name(FIRST): endless})
    assert isinstance(trouble, Trouble)
    assert not trouble.unreachable


def test_a_slow_answer_is_given_up(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    done = threading.Event()

    def dripping(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        while not done.wait(0.05):
            request.wfile.write(b"0")

    def silent(request: BaseHTTPRequestHandler) -> None:
        done.wait(30)

    monkeypatch.setattr(factor_look, "REQUEST_TIMEOUT_S", 0.5)
    monkeypatch.setattr(factor_look, "FETCH_LIMIT_S", 0.5)
    with serving(authority, {"SHA256SUMS": dripping, "silent": silent}) as address:
        trusted = str(authority.certificate)
        clock = SystemClock().monotonic_ns
        assert "not there within" in reason(list(look_at_index(address, trusted, (), clock)))
        other = address.replace("SHA256SUMS", "silent")
        assert "reached" in reason(list(look_at_index(other, trusted, (), clock)))
        done.set()


def test_a_server_that_answers_with_an_error_or_not_at_all(authority: Authority) -> None:
    assert "answers 404" in reason(look(authority, {}))
    with serving(authority, {}) as address:
        pass
    clock = SystemClock().monotonic_ns
    assert "reached" in reason(list(look_at_index(address, None, (), clock)))
    assert "authority" in reason(list(look_at_index(address, "/no/such/file", (), clock)))
