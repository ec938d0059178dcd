"""The gateway's file: the book's tables and the gateway's own, in one sequence."""

from __future__ import annotations

from pathlib import Path

from agent.book.database import BOOK_MIGRATIONS, Database, Migrations, sqlite3

STORE_MIGRATIONS = Migrations("store", Path(__file__).parent / "migrations")


def open_store(path: Path | str) -> Database:
    """Open or create a gateway's database."""
    return Database(path, BOOK_MIGRATIONS, STORE_MIGRATIONS)


def is_current(path: Path) -> bool:
    """Whether a gateway's file is there with the newest schema."""
    if not path.exists():
        return False
    connection = sqlite3.connect(path)
    try:
        sets = (BOOK_MIGRATIONS, STORE_MIGRATIONS)
        return not any(migrations.pending(connection) for migrations in sets)
    except sqlite3.Error:
        return False
    finally:
        connection.close()
