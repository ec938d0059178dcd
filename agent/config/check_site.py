"""Checks of the tables that stand alone: the site's time, and the targets."""

from __future__ import annotations

import base64
import binascii
import datetime
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from agent.config import sections
from agent.config.draft import Draft, Item
from agent.config.faults import Faults, nearest
from agent.config.rules import Rules, RulesNotFound, rules_named

_HOUR_S = 3600
_OFFSET_YEARS = range(2020, 2038)  # as far as a 32-bit time reaches; rules of later years repeat
_KEY_PREFIX = "ed25519:"
_KEY_BYTES = 32
FILE_KEYS = ("ca", "certificate", "private_key", "password_file", "trust")


def zone_of(site: sections.Site) -> ZoneInfo:
    """The site's time zone; UTC where its name is a fault of its own."""
    try:
        return ZoneInfo(site.timezone)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def check_site(site: sections.Site, faults: Faults) -> Rules | None:
    """Time zone, window length and rule set; faults here are fatal. Returns the rule set."""
    _check_window(site, faults)
    try:
        return rules_named(site.rules)
    except RulesNotFound as error:
        faults.add("site.rules", error.what, error.hint, fatal=True)
        return None


def _check_window(site: sections.Site, faults: Faults) -> None:
    path = "site.window_s"
    if _HOUR_S % site.window_s:
        near = [str(length) for length in _near_divisors(site.window_s)]
        what = f"{site.window_s} s does not divide the hour"
        faults.add(path, what, f"nearest: {' or '.join(near)}", fatal=True)
        return
    try:
        zone = ZoneInfo(site.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        hint = nearest(site.timezone, available_timezones(), otherwise='such as "Asia/Shanghai"')
        faults.add("site.timezone", f'unknown time zone "{site.timezone}"', hint, fatal=True)
        return
    for offset_s in _utc_offsets_s(zone):
        if offset_s % site.window_s:
            what = f"{site.window_s} s does not divide the UTC offset of {site.timezone}"
            fits = max(n for n in _divisors() if offset_s % n == 0)
            faults.add(path, what, f"at most {fits} s for an offset of {offset_s} s", fatal=True)
            return


def _divisors() -> Iterator[int]:
    return (length for length in range(5, _HOUR_S + 1) if _HOUR_S % length == 0)


def _near_divisors(length_s: int) -> tuple[int, ...]:
    below = [fit for fit in _divisors() if fit < length_s]
    above = [fit for fit in _divisors() if fit > length_s]
    return tuple(below[-1:] + above[:1])


def _utc_offsets_s(zone: ZoneInfo) -> tuple[int, ...]:
    offsets = set()
    for year in _OFFSET_YEARS:
        for month in (1, 4, 7, 10):
            offset = datetime.datetime(year, month, 1, tzinfo=zone).utcoffset()
            offsets.add(int(offset.total_seconds()) if offset else 0)
    return tuple(sorted(offsets))


def check_targets(draft: Draft) -> None:
    """Address, trust and credentials of each target."""
    for item in draft.written("target", sections.Target):
        _check_address(draft, item)
        _check_trust(draft, item)
        _check_credentials(draft, item)


def _check_address(draft: Draft, item: Item[sections.Target]) -> None:
    url = item.section.url
    example = "mqtts://broker.example:8883"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        draft.reject(item, "url", f'"{url}" is not an address: {error}', f"such as {example}")
        return
    if parts.scheme not in ("mqtt", "mqtts"):
        scheme = parts.scheme or url
        draft.reject(item, "url", f'unknown scheme "{scheme}"', f"mqtt or mqtts, as in {example}")
    elif not host:
        draft.reject(item, "url", f'"{url}" names no host', f"such as {example}")
    elif port == 0:
        draft.reject(item, "url", "port 0 cannot be reached", f"such as {example}")
    elif parts.username or parts.password:
        draft.reject(
            item, "url", "carries a user or password", 'use the keys "user" and "password_file"'
        )
    elif parts.path not in ("", "/") or parts.query or parts.fragment:
        draft.reject(item, "url", f'"{url}" has a path', f"host and port only: {example}")


def _check_trust(draft: Draft, item: Item[sections.Target]) -> None:
    target = item.section
    if target.ledger_key is None:
        if target.confirm == "receipt":
            draft.reject(
                item,
                "ledger_key",
                'missing, and confirm = "receipt" needs it',
                'write the ledger\'s public key "ed25519:…", or confirm = "puback"',
            )
        return
    if not is_public_key(target.ledger_key):
        draft.reject(
            item,
            "ledger_key",
            "not a public key",
            '"ed25519:" and the base64 of 32 bytes, as the ledger prints it',
        )


def is_public_key(text: str) -> bool:
    """Whether ``text`` is a raw Ed25519 public key as ``ed25519:<base64>``."""
    if not text.startswith(_KEY_PREFIX):
        return False
    try:
        raw = base64.b64decode(text.removeprefix(_KEY_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return False
    return len(raw) == _KEY_BYTES


def _check_credentials(draft: Draft, item: Item[sections.Target]) -> None:
    target = item.section
    if (target.certificate is None) != (target.private_key is None):
        missing = "private_key" if target.private_key is None else "certificate"
        draft.reject(
            item, missing, "missing", "a device certificate and its private key come together"
        )
    if target.password_file is not None and target.user is None:
        draft.reject(item, "user", "missing", "a password file needs the user it belongs to")
    if target.url.startswith("mqtt:"):
        used = [key for key in ("ca", "certificate") if getattr(target, key) is not None]
        for key in used:
            draft.reject(item, key, "has no meaning without TLS", "write the url as mqtts://…")


def probe_files(draft: Draft, directory: Path) -> None:
    """Warn of files named by targets and OPC UA buses that cannot be read here and now."""
    items: list[Item[sections.Target] | Item[sections.Bus]] = [
        *draft.kept("target", sections.Target),
        *draft.kept("bus", sections.Bus),
    ]
    for item in items:
        for key in FILE_KEYS:
            name = getattr(item.section, key, None)
            if name is not None and not (directory / name).exists():
                draft.faults.add(
                    f"{item.path}.{key}",
                    f'"{name}" does not exist',
                    f"paths are relative to {directory}",
                    warning=True,
                )
