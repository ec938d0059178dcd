"""The way of activity data into a gateway's book: its API while it runs, else its file.

Two processes never write one database: the daemon alone checkpoints it.
"""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.cli.address import checked_url, page_address
from agent.config.site import SiteConfig
from agent.core.errors import StoreError, SyncError, UsageError
from agent.web.activity_view import ActivityOutcome, ActivitySubmission

if TYPE_CHECKING:
    from agent.book.database import Database

TIMEOUT_S = 60.0
LOOK_TIMEOUT_S = 3.0

# the gateway is on this machine or in the plant's own network, never behind the web's proxy
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def submit(
    config: SiteConfig, submission: ActivitySubmission, url: str | None, token_file: Path | None
) -> tuple[ActivityOutcome, str]:
    """Hand a submission to the running gateway, or to its file if none runs.

    Returns what came of it and where it went (an address, or the file).

    Raises:
        SyncError: the gateway that was named does not answer or refuses.
        StoreError: the file is in use by a process that does not answer, or cannot be written.
    """
    address = running_gateway(config) if url is None else checked_url(url)
    if address is None:
        return _into_file(config, submission)
    token = token_of(config, token_file)
    return _post(address, submission, token), address


def running_gateway(config: SiteConfig) -> str | None:
    """The address at which the gateway of this configuration answers, if it does."""
    if not config.web.enabled or config.web.port == 0:
        return None
    address = page_address(config)
    try:
        with _OPENER.open(f"{address}/api/v1/status", timeout=LOOK_TIMEOUT_S) as reply:
            site = json.load(reply)["site"]
    except urllib.error.HTTPError as error:
        raise SyncError(
            f"the gateway answers {error.code}", where=address, hint="see `tanshu status`"
        ) from error
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        return None
    own = (config.site.id, config.gateway.id)
    return address if (site.get("id"), site.get("gateway")) == own else None


def _into_file(config: SiteConfig, submission: ActivitySubmission) -> tuple[ActivityOutcome, str]:
    from agent.book.ports import Owner
    from agent.clock import SystemClock
    from agent.daemon.activity import enter

    owner = Owner(site=config.site.id, gateway=config.gateway.id)
    with own_file(config) as database:
        outcome = enter(database, owner, config, submission, SystemClock().now_ms())
        return outcome, database.path


@contextmanager
def own_file(config: SiteConfig) -> Iterator[Database]:
    """The gateway's database, to be written while no gateway runs.

    Raises:
        StoreError: another process has it open, or it is no database.
    """
    from agent.store.database import open_store

    path = config.path.parent / config.store.path
    refuse_if_open(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    database = open_store(path)
    try:
        yield database
    finally:
        database.close()


def refuse_if_open(path: Path) -> None:
    """Refuse a database that another process holds open.

    A connection that asks for exclusive locking before its first access gets it only if no
    other process has the file open in WAL mode.

    Raises:
        StoreError: another process has it open, or it is no database.
    """
    from agent.book.database import sqlite3

    if not path.exists():
        return
    try:
        connection = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("ROLLBACK")
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StoreError(
            f"is in use, but no gateway answers for it: {error}",
            where=str(path),
            hint="name the gateway's page with --url, or stop what has the file open",
        ) from error


def _post(address: str, submission: ActivitySubmission, token: str | None) -> ActivityOutcome:
    body = {
        "entries": [dict(entry) for entry in submission.entries],
        "files": encoded(submission.files),
        "keep_good": submission.keep_good,
        "dry_run": submission.dry_run,
    }
    return _outcome(post(address, "/api/v1/activity", body, token))


def encoded(files: Mapping[str, bytes]) -> dict[str, str]:
    """Documents as JSON carries them."""
    return {digest: base64.b64encode(data).decode() for digest, data in files.items()}


def post(address: str, path: str, body: Mapping[str, object], token: str | None) -> Any:
    """What a gateway answers to a request that writes, faults of the entries included.

    Raises:
        UsageError: what was asked cannot be.
        SyncError: no gateway answers, or it refuses.
    """
    request = urllib.request.Request(  # noqa: S310
        f"{address}{path}",
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    if token is not None:
        request.add_header("authorization", f"Bearer {token}")
    try:
        with _OPENER.open(request, timeout=TIMEOUT_S) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as error:
        return _refused(address, error)
    except (OSError, HTTPException, ValueError) as error:
        raise SyncError(
            f"no gateway answers: {error}", where=address, hint="is `tanshu run` running?"
        ) from error


def _refused(address: str, error: urllib.error.HTTPError) -> Any:
    """The faults of the entries, if that is why; else an error."""
    try:
        answer = json.load(error)
    except ValueError:
        answer = {}
    if error.code == 400 and isinstance(answer, dict):
        if "errors" in answer:
            return answer
        if "what" in answer:
            where, hint = answer.get("where", ""), answer.get("hint", "")
            raise UsageError(answer["what"], where=where, hint=hint) from error
    raise SyncError(
        f"the gateway refuses ({error.code}): {answer.get('what', error.reason)}",
        where=address,
        hint=answer.get("hint", "see `tanshu status`"),
    ) from error


def _outcome(answer: Any) -> ActivityOutcome:
    import msgspec

    known = {name: answer[name] for name in ("stored", "entries", "errors", "warnings")}
    return msgspec.convert(known, ActivityOutcome)


def token_of(config: SiteConfig, token_file: Path | None) -> str | None:
    """The token to show to a gateway: of the named file, else of the site file's."""
    from agent.daemon.activity import read_token

    if token_file is not None:
        return read_token(token_file)
    if config.web.token_file is None:
        return None
    try:
        return read_token(config.path.parent / config.web.token_file)
    except StoreError:
        return None  # without it this machine may still write


def evidence_of(path: Path) -> tuple[str, bytes]:
    """SHA-256 and content of a document.

    Raises:
        UsageError: it cannot be read or is too large.
    """
    from hashlib import sha256

    from agent.store.evidence import LARGEST_BYTES

    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot be read: {error.strerror}", where=str(path), hint="check the file name"
        ) from error
    if len(data) > LARGEST_BYTES:
        raise UsageError(
            f"has {len(data) / 1e6:.1f} MB",
            where=str(path),
            hint=f"at most {LARGEST_BYTES // 1024 // 1024} MB; scan it smaller",
        )
    return sha256(data).hexdigest(), data
