"""The `[factors]` table: whose packs are accepted, and where new ones are looked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from agent.config import sections
from agent.config.check_site import is_public_key
from agent.config.faults import Faults

LEDGER = "ledger"
_INDEX = "https://factors.example/SHA256SUMS"


def check_factors(
    section: sections.Factors, faults: Faults, folder: Path, *, has_targets: bool
) -> sections.Factors:
    """The table without what cannot be used; folders and files are made whole paths.

    Without a usable key there is no source: nothing found there could be trusted.
    """
    keys = _kept(section.keys, "factors.keys", faults, _fault_of_key)
    sources = _kept(section.sources, "factors.sources", faults, _fault_of_source)
    if not keys and (sources or section.usb):
        faults.add(
            "factors.keys",
            "no usable key, so no pack could be trusted",
            'write the issuer\'s public key "ed25519:…"; without one nothing is looked for',
        )
        sources, section = (), msgspec.structs.replace(section, usb=False)
    if LEDGER in sources and not has_targets:
        faults.add(
            "factors.sources",
            '"ledger" needs a target that packs come from',
            "add a [[target]], or take it out",
            warning=True,
        )
    return msgspec.structs.replace(
        section,
        keys=keys,
        sources=tuple(_whole(source, folder) for source in sources),
        ca=None if section.ca is None else str(folder / section.ca),
    )


def is_address(source: str) -> bool:
    """Whether a source is an HTTPS address; else it is a folder or the ledger."""
    return source.startswith("https://")


def _kept(
    written: tuple[str, ...],
    path: str,
    faults: Faults,
    fault_of: Callable[[str], tuple[str, str] | None],
) -> tuple[str, ...]:
    kept: list[str] = []
    for place, text in enumerate(written, start=1):
        fault = ("is listed twice", "take one out") if text in kept else fault_of(text)
        if fault is None:
            kept.append(text)
        else:
            faults.add(f"{path}[{place}]", *fault)
    return tuple(kept)


def _fault_of_key(text: str) -> tuple[str, str] | None:
    if is_public_key(text):
        return None
    return "not a public key", '"ed25519:" and the base64 of 32 bytes, as its issuer prints it'


def _fault_of_source(source: str) -> tuple[str, str] | None:
    if source == LEDGER:
        return None
    if "://" not in source:
        return None if source.strip() else ("is empty", 'a folder, "https://…" or "ledger"')
    try:
        parts = urlsplit(source)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        return f'"{source}" is not an address: {error}', f"such as {_INDEX}"
    if parts.scheme == "http":
        return "plain http can be changed on its way", f"use https, as in {_INDEX}"
    if parts.scheme != "https":
        return f'unknown scheme "{parts.scheme}"', f"a folder, or https as in {_INDEX}"
    if not host or port == 0:
        return f'"{source}" names no host', f"such as {_INDEX}"
    if parts.username or parts.password:
        return "carries a user or password", "packs are public: ask for an address without"
    if parts.path in ("", "/") or parts.path.endswith("/") or parts.query or parts.fragment:
        return f'"{source}" names no index file', f"such as {_INDEX}"
    return None


def _whole(source: str, folder: Path) -> str:
    return source if source == LEDGER or is_address(source) else str(folder / source)
