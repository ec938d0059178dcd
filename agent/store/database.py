"""The gateway's file: the book's tables and the gateway's own, in one sequence."""

from __future__ import annotations

from pathlib import Path

from agent.book.database import BOOK_MIGRATIONS, Database, migrations_from

STORE_MIGRATIONS = migrations_from("store", Path(__file__).parent / "migrations")


def open_store(path: Path | str) -> Database:
    """Open or create a gateway's database."""
    return Database(path, BOOK_MIGRATIONS, STORE_MIGRATIONS)
