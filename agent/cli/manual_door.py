"""The way of readings and verifications: the API of the running gateway, else its own file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.book.ports import Owner, Span
from agent.cli.activity_door import encoded, own_file, post, running_gateway, token_of
from agent.cli.address import checked_url
from agent.config.site import SiteConfig
from agent.core.errors import StoreError
from agent.core.manual import ManualEntry
from agent.web.manual_view import (
    ManualOutcome,
    ManualSubmission,
    ManualTasks,
    VerifyOutcome,
    VerifySubmission,
)

if TYPE_CHECKING:
    from sqlite3 import Connection

    from agent.book.verifications import Verification


def submit(
    config: SiteConfig, submission: ManualSubmission, url: str | None, token_file: Path | None
) -> tuple[ManualOutcome, str]:
    """Hand readings to the running gateway, or to its file if none runs; and where they went.

    Raises:
        SyncError: the gateway that was named does not answer or refuses.
        StoreError: the file is in use by a process that does not answer, or cannot be written.
    """
    import msgspec

    address = running_gateway(config) if url is None else checked_url(url)
    if address is not None:
        body = {
            "entries": [dict(entry) for entry in submission.entries],
            "files": encoded(submission.files),
            "dry_run": submission.dry_run,
        }
        answer = post(address, "/api/v1/manual", body, token_of(config, token_file))
        known = {name: answer[name] for name in ("stored", "entries", "errors", "warnings")}
        return msgspec.convert(known, ManualOutcome), address
    from agent.clock import SystemClock
    from agent.daemon.manual import enter_readings

    with own_file(config) as database:
        now_ms = SystemClock().now_ms()
        outcome = enter_readings(database, _owner(config), config, submission, now_ms)
        return outcome, database.path


def verify(
    config: SiteConfig, submission: VerifySubmission, url: str | None, token_file: Path | None
) -> VerifyOutcome:
    """Settle a verification task, at the running gateway or in its file.

    Raises:
        UsageError: there is no such task, or what is said of it cannot be.
        SyncError: the gateway that was named does not answer or refuses.
        StoreError: the file is in use by a process that does not answer, or cannot be written.
    """
    import msgspec

    address = running_gateway(config) if url is None else checked_url(url)
    if address is not None:
        token = token_of(config, token_file)
        answer: Any = post(address, "/api/v1/manual/verify", asdict(submission), token)
        return msgspec.convert(answer, VerifyOutcome)
    from agent.clock import SystemClock
    from agent.daemon.manual_tasks import settle

    with own_file(config) as database:
        now_ms = SystemClock().now_ms()
        return settle(database, _owner(config), config, submission, now_ms)


def read_tasks(config: SiteConfig) -> ManualTasks:
    """What people have to do, from the gateway's file, beside a running gateway too."""
    from agent.clock import SystemClock
    from agent.daemon.manual_tasks import tasks_of_gateway

    with _reading(config) as connection:
        return tasks_of_gateway(connection, _owner(config), config, SystemClock().now_ms())


def read_settled(config: SiteConfig) -> list[Verification]:
    """Every task that was settled, and by whom."""
    from agent.book.verifications import verifications_of

    with _reading(config) as connection:
        return verifications_of(connection, _owner(config))


def read_entries(
    config: SiteConfig, from_ms: int, to_ms: int, stream: str | None, *, history: bool
) -> Sequence[ManualEntry]:
    """Current entries of a span, or every revision of one stream."""
    from agent.book.manual import SqliteManual

    with _reading(config) as connection:
        manual, owner = SqliteManual(connection), _owner(config)
        if history and stream is not None:
            return manual.history(owner, stream)
        return manual.current_entries(owner, Span(from_ms=from_ms, to_ms=to_ms), stream)


def _owner(config: SiteConfig) -> Owner:
    return Owner(site=config.site.id, gateway=config.gateway.id)


@contextmanager
def _reading(config: SiteConfig) -> Iterator[Connection]:
    """A connection that only reads; errors of the database are told as ``StoreError``."""
    from agent.book.database import sqlite3

    path = config.path.parent / config.store.path
    if not path.exists():
        raise StoreError(
            "there is no such database", where=str(path), hint="nothing was stored yet"
        )
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        try:
            yield connection
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StoreError(
            f"cannot be read: {error}",
            where=str(path),
            hint="start the gateway once, so that its file takes this version's form",
        ) from error
