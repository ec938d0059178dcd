"""The address of a gateway's page, as --url of three commands takes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.cli.address import checked_url
from agent.core.errors import UsageError

Tanshu = Callable[..., Any]
SITE = Path(__file__).resolve().parents[2] / "config" / "site.example.toml"
BAD = ("", "127.0.0.1:8080", "ftp://gw", "file:///etc/passwd", "http://", "http://[::1",
       "http://a b", "http://gw:99999")  # fmt: skip


@pytest.mark.parametrize("url", BAD)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(UsageError, match="no address"):
        checked_url(url)


def test_an_address_loses_its_last_slash() -> None:
    assert checked_url("https://gw.example/tanshu/") == "https://gw.example/tanshu"
    assert checked_url("http://[::1]:8080") == "http://[::1]:8080"


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("activity", "add", "raw-material", "coal", "1", "t", "-c", SITE),
        ("report", "review", "--month", "2026-03", "--department", "production", "--name", "Li",
         "--accept", "-c", SITE),
    ],
)  # fmt: skip
def test_every_command_refuses_it(words: tuple[str, ...], tanshu: Tanshu) -> None:
    done = tanshu(*words, "--url", "gateway:8080")
    assert (done.code, done.err.count("\n")) == (2, 1), done.err
    assert "no address" in done.err


def test_status_of_a_port_chosen_at_start(tmp_path: Path, tanshu: Tanshu) -> None:
    text = SITE.read_text(encoding="utf-8")
    assert "port = 8600" in text
    (tmp_path / "site.toml").write_text(text.replace("port = 8600", "port = 0"), "utf-8")
    done = tanshu("status", "-c", tmp_path / "site.toml")
    assert done.code == 2
    assert "--url" in done.err
