"""The `[factors]` table: what is good is used, what is not is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config.load import read_site
from agent.config.sections import Factors
from agent.core.errors import Fault
from tests.factors.packs import ISSUER_KEY
from tests.pipeline.site import ENERGY, SITE

KEY = f'keys = ["{ISSUER_KEY.public.text}"]'


def read(folder: Path, table: str) -> tuple[Factors, tuple[Fault, ...]]:
    path = folder / "site.toml"
    path.write_text(SITE.replace("@energy@", ENERGY) + "[factors]\n" + table, encoding="utf-8")
    config, faults = read_site(path)
    assert config is not None
    return config.factors, faults


def test_folders_are_relative_to_the_site_file_and_addresses_stay(tmp_path: Path) -> None:
    sources = '["packs", "/mnt/share", "https://factors.example/SHA256SUMS"]'
    section, faults = read(tmp_path, f'{KEY}\nsources = {sources}\nusb = true\nca = "ca.pem"\n')
    assert faults == ()
    assert section.sources == (
        str(tmp_path / "packs"),
        "/mnt/share",
        "https://factors.example/SHA256SUMS",
    )
    assert (section.usb, section.check, section.ca) == (True, "daily", str(tmp_path / "ca.pem"))


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("http://factors.example/SHA256SUMS", "plain http"),
        ("ftp://factors.example/SHA256SUMS", "unknown scheme"),
        ("https:///SHA256SUMS", "no host"),
        ("https://factors.example/", "no index"),
        ("https://factors.example/x?y=1", "no index"),
        ("https://me:secret@factors.example/x", "user or password"),
        ("https://[::1/x", "not an address"),
        ("", "empty"),
    ],
)
def test_a_source_that_cannot_be_used_is_left_out(tmp_path: Path, source: str, what: str) -> None:
    section, faults = read(tmp_path, f'{KEY}\nsources = ["{source}", "/mnt/share"]\n')
    assert section.sources == ("/mnt/share",)
    assert [(fault.path, fault.fatal) for fault in faults] == [("factors.sources[1]", False)]
    assert what in faults[0].what


def test_without_a_key_nothing_is_looked_for(tmp_path: Path) -> None:
    section, faults = read(tmp_path, 'keys = ["ed25519:AAAA"]\nsources = ["/mnt/share"]\n')
    assert (section.keys, section.sources, section.usb) == ((), (), False)
    assert [fault.path for fault in faults] == ["factors.keys[1]", "factors.keys"]


def test_the_ledger_as_a_source_needs_a_target(tmp_path: Path) -> None:
    section, faults = read(tmp_path, f'{KEY}\nsources = ["ledger"]\ncheck = "hourly"\n')
    assert section.sources == ("ledger",)
    assert section.check == "daily"
    assert {fault.path for fault in faults} == {"factors.sources", "factors.check"}
