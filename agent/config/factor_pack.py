"""Factor packs: factor files in one signed file that is named by its SHA-256.

A pack is a header line, the exact bytes of one or several factor files one after the other, and
a signature line::

    {"schema":"tanshu/v1/factors","issuer":"…","serial":7,"issued":"2026-11-22","note":"…",
     "sets":[{"kind":"grid","id":"cn-2024","bytes":1234}]}          one line in the file
    …1234 bytes of TOML…
    {"key":"<first 16 hex digits of the key's SHA-256>","sig":"<Base64>"}

The signature is Ed25519 over ``tanshu/v1/factors``, a zero byte, and the SHA-256 of everything
before the signature line. Each line has one spelling only, so one pack has one hash.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Any

from agent.config.factor_files import Pack, parse_pack, stated_set
from agent.config.factor_install import FactorFile
from agent.config.factor_rows import ROWS
from agent.config.faults import Faults
from agent.core import strict_json
from agent.core.chain import PublicKey, SigningKey
from agent.core.errors import ConfigError, ProofError
from agent.core.payload import MAX_INTEGER, parse_signature_line, signature_line

SCHEMA = "tanshu/v1/factors"
SUFFIX = ".tanshu-factors"
MAX_PACK_BYTES = 4 * 1024 * 1024
MAX_SETS = 64
MAX_TEXT = 400  # characters of issuer and note

_HEADER_KEYS = ["schema", "issuer", "serial", "issued", "note", "sets"]
_SET_KEYS = ["kind", "id", "bytes"]
_NAME = re.compile(r"[0-9a-f]{64}" + re.escape(SUFFIX))


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorPack:
    """A pack whose signature holds; ``hash`` is the SHA-256 of its bytes in hex."""

    issuer: str
    serial: int  # counts up with every pack of the same key
    issued: str  # ISO date
    note: str
    sets: tuple[FactorFile, ...]
    key_id: str
    hash: str
    data: bytes


def pack_name(data: bytes) -> str:
    """The file name of a pack: its SHA-256 and the suffix."""
    return sha256(data).hexdigest() + SUFFIX


def is_pack_name(name: str) -> bool:
    """Whether a file could be a pack by its name; says nothing of what it holds."""
    return _NAME.fullmatch(name) is not None


def make_pack(
    files: Sequence[bytes],
    *,
    issuer: str,
    serial: int,
    issued: date,
    key: SigningKey,
    note: str = "",
) -> bytes:
    """The bytes of a pack of factor files; the same input gives the same bytes.

    Raises:
        ConfigError: a file is no factor file; all faults are named.
        ProofError: a value that a pack cannot hold, or the same set twice.
    """
    sets = [_checked_set(content, f"file {place}") for place, content in enumerate(files, start=1)]
    header = {
        "schema": SCHEMA,
        "issuer": issuer,
        "serial": serial,
        "issued": issued.isoformat(),
        "note": note,
        "sets": [
            {"kind": one.set.kind, "id": one.set.id, "bytes": len(content)}
            for one, content in zip(sets, files, strict=True)
        ],
    }
    _check_header(header)
    signed = strict_json.encode(header) + b"\n" + b"".join(files)
    data = signed + signature_line(SCHEMA, sha256(signed).digest(), key) + b"\n"
    if len(data) > MAX_PACK_BYTES:
        raise ProofError(
            f"a pack of {len(data)} bytes", hint=f"at most {MAX_PACK_BYTES}; make two packs"
        )
    return data


def open_pack(data: bytes, keys: Iterable[PublicKey], *, name: str | None = None) -> FactorPack:
    """Check name, form and signature of a pack; the factor files in it are not parsed yet.

    Parameters:
        data: the bytes of the pack.
        keys: the keys that packs are accepted from.
        name: the file name it was found under; checked against the hash where given.

    Raises:
        ProofError: too large, under a wrong name, of another form, or not signed by such a key.
    """
    if len(data) > MAX_PACK_BYTES:
        raise ProofError(f"larger than {MAX_PACK_BYTES} bytes", hint="a pack is smaller")
    if name is not None and name != pack_name(data):
        raise ProofError(
            "the content does not have the hash that the name says",
            hint="copy the file again; it is damaged or was changed",
        )
    body, last = _parted(data)
    key_id, signature = parse_signature_line(last)
    key = next((known for known in keys if known.id == key_id), None)
    if key is None:
        raise ProofError(
            f"signed by key {key_id}, which this gateway does not know",
            hint="if the issuer is to be trusted, add its public key to `factors.keys`",
        )
    key.verify(SCHEMA, sha256(body).digest(), signature)
    return _read(body, key_id, data)


def reopen_pack(data: bytes) -> FactorPack:
    """A pack as it is written, for one that was verified before or will be elsewhere.

    Raises:
        ProofError: not of the form of a pack; the signature itself is not checked.
    """
    if len(data) > MAX_PACK_BYTES:
        raise ProofError(f"larger than {MAX_PACK_BYTES} bytes", hint="a pack is smaller")
    body, last = _parted(data)
    key_id, _ = parse_signature_line(last)
    return _read(body, key_id, data)


def parsed_sets(pack: FactorPack) -> tuple[Pack, ...]:
    """The factor sets of a pack.

    Raises:
        ConfigError: a file in it is no factor file; all faults are named.
        ProofError: a file holds another set than the header says.
    """
    found = []
    for one in pack.sets:
        parsed = _checked_set(one.content, f"{one.kind} {one.id}")
        if (parsed.set.kind, parsed.set.id) != (one.kind, one.id):
            raise ProofError(
                f"says it holds {one.kind} {one.id} and holds {parsed.set.kind} {parsed.set.id}",
                hint="the issuer must make it again",
            )
        found.append(parsed)
    return tuple(found)


def _checked_set(content: bytes, where: str) -> Pack:
    faults = Faults(where)
    pack = parse_pack(content, faults)
    if pack is None or faults.errors:
        raise ConfigError(faults.errors)
    if stated_set(content) != (pack.set.kind, pack.set.id):
        raise ProofError(
            "another kind or id stands before those of the set",
            where=where,
            hint="begin the file with [set], kind and id",
        )
    return pack


def _parted(data: bytes) -> tuple[bytes, bytes]:
    """What the signature covers, and the signature line without its end."""
    marker = data.rfind(b'{"key":"')
    if marker <= 0 or not data.endswith(b"\n"):
        raise ProofError("not a factor pack", hint="`tanshu factors pack` makes one")
    return data[:marker], data[marker:-1]


def _read(body: bytes, key_id: str, data: bytes) -> FactorPack:
    line, ended, rest = body.partition(b"\n")
    header = strict_json.parse(line)
    sizes = _check_header(header)
    if not ended or strict_json.encode(header) != line:
        raise ProofError("the header line is not in its canonical spelling")
    if sum(sizes) != len(rest):
        raise ProofError(f"{len(rest)} bytes of factor files where the header says {sum(sizes)}")
    sets, start = [], 0
    for stated, size in zip(header["sets"], sizes, strict=True):
        content = rest[start : start + size]
        sets.append(FactorFile(kind=stated["kind"], id=stated["id"], content=content))
        start += size
    return FactorPack(
        issuer=header["issuer"],
        serial=header["serial"],
        issued=header["issued"],
        note=header["note"],
        sets=tuple(sets),
        key_id=key_id,
        hash=sha256(data).hexdigest(),
        data=data,
    )


def _check_header(header: Any) -> list[int]:
    """The sizes of the files, in order."""
    if not isinstance(header, dict) or list(header) != _HEADER_KEYS or header["schema"] != SCHEMA:
        raise ProofError(f"the first line is not a header of schema {SCHEMA}")
    for key in ("issuer", "note"):
        _check_text(header[key], key, empty=key == "note")
    serial, issued, sets = header["serial"], header["issued"], header["sets"]
    if type(serial) is not int or not 1 <= serial <= MAX_INTEGER:
        raise ProofError("serial is not a whole number from 1")
    if not isinstance(issued, str) or not _is_date(issued):
        raise ProofError("issued is not a date such as 2026-11-22")
    if not isinstance(sets, list) or not 1 <= len(sets) <= MAX_SETS:
        raise ProofError(f"a pack holds from 1 to {MAX_SETS} factor files")
    seen: set[tuple[str, str]] = set()
    for one in sets:
        if not isinstance(one, dict) or list(one) != _SET_KEYS:
            raise ProofError("a set of the header is an object of kind, id and bytes")
        _check_text(one["id"], "id of a set", empty=False)
        if not isinstance(one["kind"], str) or one["kind"] not in ROWS:
            raise ProofError("a set of a kind that this version does not know")
        if type(one["bytes"]) is not int or not 1 <= one["bytes"] <= MAX_PACK_BYTES:
            raise ProofError("bytes of a set is not a size")
        if (one["kind"], one["id"]) in seen:
            raise ProofError(f"holds {one['kind']} {one['id']} twice")
        seen.add((one["kind"], one["id"]))
    return [one["bytes"] for one in sets]


def _check_text(value: object, key: str, *, empty: bool) -> None:
    fits = isinstance(value, str) and len(value) <= MAX_TEXT and value.isprintable()
    if not fits or (not value and not empty):
        raise ProofError(f"{key} is not one line of at most {MAX_TEXT} characters")


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
