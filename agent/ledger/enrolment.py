"""Registering the keys of gateways: the only way a ledger comes to trust one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agent.book.database import Database
from agent.book.ports import Owner
from agent.core import strict_json
from agent.core.chain import PublicKey
from agent.core.errors import ProofError, StoreError
from agent.ledger.storage import LedgerStorage
from agent.sync.topics import Topics, parse_topic


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """A gateway and a public key of it."""

    owner: Owner
    key: PublicKey


def read_enrolment(file: Path) -> Enrolment:
    """Read an enrolment file: one JSON object of site, gateway and key.

    Raises:
        StoreError: the file cannot be read.
        ProofError: it holds something else.
    """
    try:
        data = file.read_bytes()
    except OSError as fault:
        raise StoreError(f"cannot be read: {fault}", where=str(file)) from fault
    hint = 'a gateway\'s file holds {"site": ..., "gateway": ..., "key": "ed25519:..."}'
    try:
        value = strict_json.parse(data)
        if not isinstance(value, dict) or not all(
            isinstance(value.get(name), str) for name in ("site", "gateway", "key")
        ):
            raise ProofError("site, gateway or key is missing")
        topics = Topics(site=value["site"], gateway=value["gateway"])
        if parse_topic(topics["batch"]) != (topics, "batch") or not topics.site:
            raise ProofError("site or gateway is not an id")
        key = PublicKey.from_text(value["key"])
    except ProofError as fault:
        raise ProofError(f"not an enrolment: {fault.what}", where=str(file), hint=hint) from fault
    return Enrolment(owner=Owner(site=topics.site, gateway=topics.gateway), key=key)


def enrol(database: Database, file: Path, *, now_ms: int) -> tuple[Enrolment, bool]:
    """Register the key in a file; False if it was registered before.

    Raises:
        StoreError: the file cannot be read or the database not written.
        ProofError: the file is no enrolment.
    """
    enrolment = read_enrolment(file)
    with database.transaction() as connection:
        new = LedgerStorage(connection).enrol(enrolment.owner, enrolment.key, now_ms)
    return enrolment, new
