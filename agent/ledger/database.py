"""The ledger's file: the book's tables and its own."""

from __future__ import annotations

from pathlib import Path

from agent.book.database import BOOK_MIGRATIONS, Database, Migrations

LEDGER_MIGRATIONS = Migrations("ledger", Path(__file__).parent / "migrations")


def open_ledger(path: Path | str) -> Database:
    """Open or create a ledger's database.

    Raises:
        StoreError: the file cannot be opened or is not a database.
    """
    return Database(path, BOOK_MIGRATIONS, LEDGER_MIGRATIONS)
