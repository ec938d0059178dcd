"""Looking for factor packs in a folder, on removable media and behind an HTTPS address.

A share may hang and a server may send for ever, so this runs in a process of its own
(`agent.daemon.factor_worker`), and everything it reads is bounded.
"""

from __future__ import annotations

import os
import re
import ssl
import stat
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from glob import glob
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.parse import urljoin, urlsplit

from agent.config.factor_pack import MAX_PACK_BYTES, SUFFIX, is_pack_name
from agent.core.errors import SyncError

MOST_FILES = 64  # packs looked at in one source
MAX_INDEX_BYTES = 256 * 1024
REQUEST_TIMEOUT_S = 10.0  # without a byte
FETCH_LIMIT_S = 60.0  # for one file
MOST_REDIRECTS = 3

_INDEX_LINE = re.compile(r"([0-9a-f]{64}) [ *](\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A file that may be a pack: nothing in it has been checked."""

    origin: str
    name: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why something was not taken; a source that cannot be reached at all is ``unreachable``."""

    subject: str
    reason: str
    unreachable: bool = False


Found = Iterator[Candidate | Trouble]


def look_in_folder(folder: Path, known: Collection[str]) -> Found:
    """The packs in a folder whose hashes are not known yet."""
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.name.endswith(SUFFIX))
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        yield Trouble(subject=str(folder), reason=reason, unreachable=True)
        return
    wanted = []
    for name in names:
        if not is_pack_name(name):
            reason = "is not named by its SHA-256; copy it under its own name"
            yield Trouble(subject=str(folder / name), reason=reason)
        elif name.removesuffix(SUFFIX) not in known:
            wanted.append(name)
    yield from _too_many(str(folder), wanted)
    for name in wanted[:MOST_FILES]:
        yield _read_file(folder / name)


def look_on_media(patterns: Sequence[str], known: Collection[str]) -> Found:
    """The packs in the folders that match, such as those of a mounted USB stick."""
    for pattern in patterns:
        for folder in sorted(glob(pattern)):
            yield from look_in_folder(Path(folder), known)


def look_at_index(
    address: str, ca: str | None, known: Collection[str], monotonic_ns: Callable[[], int]
) -> Found:
    """The packs that a `SHA256SUMS` file behind an HTTPS address lists, read from beside it.

    Each line is a hash, two spaces (or a space and ``*``) and a name, as `sha256sum` writes it.
    """
    try:
        opener = _opener(ca)
        index = _fetch(opener, address, MAX_INDEX_BYTES, monotonic_ns)
        names = list(dict.fromkeys(_listed(index)))
    except SyncError as fault:
        yield Trouble(subject=address, reason=str(fault), unreachable=True)
        return
    wanted = [name for name in names if name.removesuffix(SUFFIX) not in known]
    yield from _too_many(address, wanted)
    for name in wanted[:MOST_FILES]:
        try:
            data = _fetch(opener, urljoin(address, name), MAX_PACK_BYTES, monotonic_ns)
        except SyncError as fault:
            yield Trouble(subject=f"{address} {name}", reason=str(fault))
        else:
            yield Candidate(origin=address, name=name, data=data)


def _too_many(source: str, wanted: Sequence[str]) -> Found:
    if len(wanted) > MOST_FILES:
        reason = f"holds {len(wanted)} new packs; {MOST_FILES} are looked at"
        yield Trouble(subject=source, reason=reason)


def _read_file(path: Path) -> Candidate | Trouble:
    """A regular file up to the largest size; never a link, a pipe or a device."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                return Trouble(subject=str(path), reason="is no regular file")
            if status.st_size > MAX_PACK_BYTES:
                return Trouble(subject=str(path), reason=f"is larger than {MAX_PACK_BYTES} bytes")
            data = file.read(MAX_PACK_BYTES + 1)
    except OSError as error:
        return Trouble(subject=str(path), reason=f"cannot be read: {error.strerror}")
    return Candidate(origin=str(path.parent), name=path.name, data=data)


def _listed(index: bytes) -> Iterator[str]:
    """The packs an index lists; other files in it are left alone.

    Raises:
        SyncError: a line is none of `sha256sum`, or a name leads elsewhere.
    """
    for number, line in enumerate(index.decode("utf-8", "replace").splitlines(), start=1):
        if not line.strip():
            continue
        found = _INDEX_LINE.fullmatch(line)
        if found is None or "/" in found[2] or "\\" in found[2]:
            raise SyncError(
                f"line {number} is not a hash and a file name",
                hint=f"as `sha256sum *{SUFFIX} > SHA256SUMS` writes it",
            )
        if not found[2].endswith(SUFFIX):
            continue
        if found[2] != found[1] + SUFFIX:
            raise SyncError(f"line {number} names a pack by another hash than its own")
        yield found[2]


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    max_redirections = MOST_REDIRECTS
    max_repeats = MOST_REDIRECTS

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).scheme != "https":
            raise SyncError("leads on to an address without https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(ca: str | None) -> urllib.request.OpenerDirector:
    try:
        context = ssl.create_default_context(cafile=ca)
    except (OSError, ValueError) as error:
        raise SyncError(
            f"the authority cannot be read: {error}", where=str(ca), hint="check factors.ca"
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), _OnlyHttps())


def _fetch(
    opener: urllib.request.OpenerDirector,
    address: str,
    most_bytes: int,
    monotonic_ns: Callable[[], int],
) -> bytes:
    limit_ns = monotonic_ns() + int(FETCH_LIMIT_S * 1e9)
    content = bytearray()
    try:
        with opener.open(address, timeout=REQUEST_TIMEOUT_S) as reply:
            assert isinstance(reply, HTTPResponse)
            while piece := reply.read1(65536):
                content += piece
                if len(content) > most_bytes:
                    raise SyncError(f"sends more than {most_bytes} bytes")
                if monotonic_ns() > limit_ns:
                    raise SyncError(f"was not there within {FETCH_LIMIT_S:g} s")
    except urllib.error.HTTPError as error:
        error.close()
        raise SyncError(f"answers {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise SyncError(f"cannot be reached: {error.reason}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise SyncError(f"cannot be reached: {error or type(error).__name__}") from error
    return bytes(content)
