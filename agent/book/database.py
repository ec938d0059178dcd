"""One SQLite file: opened with the durability the product promises, schema by migrations.

The schema is built by sqlite-utils, which is imported only when a step is pending: it holds 6 MB
that a resident gateway can do without. Like sqlite-utils, the connection prefers ``pysqlite3``
where a wheel exists. SQLite before 3.51.3 (save 3.50.7 and 3.44.6) has a fault in WAL
checkpointing with several connections,
so `Database.single_connection` tells callers to keep to this one.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.core.errors import StoreError

try:
    sqlite3 = importlib.import_module("pysqlite3.dbapi2")
except ImportError:
    sqlite3 = importlib.import_module("sqlite3")

if TYPE_CHECKING:
    from sqlite3 import Connection

    from sqlite_utils import Database as UtilsDatabase
    from sqlite_utils import Migrations as UtilsMigrations

FIXED_SQLITE = ((3, 51, 3), (3, 50, 7), (3, 44, 6))


def has_wal_reset_fault(version: tuple[int, int, int]) -> bool:
    """Whether this SQLite may corrupt a WAL file that several connections checkpoint.

    Source: SQLite release notes of 3.51.3; back-ported to 3.50.7 and 3.44.6.
    """
    newest, *backports = FIXED_SQLITE
    if version >= newest:
        return False
    return not any(version[:2] == fixed[:2] and version >= fixed for fixed in backports)


@dataclass(frozen=True, slots=True)
class Migrations:
    """A migration set: a folder's ``NNNN_name.sql`` files in order, applied once each."""

    name: str
    folder: Path

    def pending(self, connection: Connection) -> list[Path]:
        """The steps that this file has not seen."""
        known: set[str] = set()
        if connection.execute(
            "SELECT 1 FROM sqlite_master WHERE name = '_sqlite_migrations'"
        ).fetchone():
            rows = connection.execute(
                "SELECT name FROM _sqlite_migrations WHERE migration_set = ?", (self.name,)
            )
            known = {row[0] for row in rows}
        return [file for file in self._files() if file.stem not in known]

    def for_utils(self) -> UtilsMigrations:
        """The set as sqlite-utils applies it: each step and its record in one transaction."""
        from sqlite_utils import Migrations as UtilsMigrations

        migrations = UtilsMigrations(self.name)
        for file in self._files():
            text = file.read_text(encoding="utf-8")

            def step(database: UtilsDatabase, text: str = text) -> None:
                for statement in split_statements(text):
                    database.execute(statement)

            migrations(name=file.stem)(step)
        return migrations

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*.sql"))


def split_statements(text: str) -> list[str]:
    """The statements of a script, one by one: `executescript` would commit half-way."""
    statements: list[str] = []
    pending = ""
    for line in text.splitlines():
        if not pending and (not line.strip() or line.lstrip().startswith("--")):
            continue
        pending += line + "\n"
        if sqlite3.complete_statement(pending):
            statements.append(pending.strip())
            pending = ""
    if pending.strip():
        raise StoreError("a migration does not end in a whole statement", where=pending[:60])
    return statements


BOOK_MIGRATIONS = Migrations("book", Path(__file__).parent / "migrations")


class Database:
    """An open file with its one connection; `transaction` is the only way to write."""

    def __init__(self, path: Path | str, *migrations: Migrations) -> None:
        self.path = str(path)
        self.version = tuple(int(part) for part in sqlite3.sqlite_version.split("."))
        self.single_connection = has_wal_reset_fault(self.version)  # type: ignore[arg-type]
        try:
            self.connection: Connection = sqlite3.connect(self.path, isolation_level=None)
            for pragma in (
                "journal_mode=WAL",
                "synchronous=FULL",
                "foreign_keys=ON",
                "wal_autocheckpoint=1000",
                "cache_size=-2000",
                "temp_store=MEMORY",
                "trusted_schema=OFF",
            ):
                self.connection.execute(f"PRAGMA {pragma}")
            if any(migration_set.pending(self.connection) for migration_set in migrations):
                self._build(migrations)
        except sqlite3.Error as error:
            raise StoreError(
                f"cannot open the database: {error}",
                where=self.path,
                hint="check that the folder exists, is writable and the disk has space",
            ) from error

    def _build(self, migrations: tuple[Migrations, ...]) -> None:
        from sqlite_utils import Database as UtilsDatabase

        utils = UtilsDatabase(self.connection, execute_plugins=False)
        for migration_set in migrations:
            migration_set.for_utils().apply(utils)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction: committed when the block ends, rolled back when it raises."""
        try:
            self.connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise StoreError(
                f"cannot begin to write: {error}",
                where=self.path,
                hint="another process may hold the file; stop it",
            ) from error
        try:
            yield self.connection
            self.connection.execute("COMMIT")
        except BaseException as error:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise StoreError(
                    f"a write failed and was rolled back: {error}",
                    where=self.path,
                    hint="check disk space and health with `tanshu doctor`",
                ) from error
            raise

    def quick_check(self) -> str:
        """SQLite's own short consistency check: «ok», or what is wrong."""
        return str(self.connection.execute("PRAGMA quick_check(1)").fetchone()[0])

    def release_memory(self) -> None:
        """Drop cached pages that are not needed now; the system keeps them in its own cache."""
        self.connection.execute("PRAGMA shrink_memory")

    def close(self) -> None:
        self.connection.close()


def schema_text(database: Database) -> str:
    """The schema as SQL, in a fixed order, to compare with the committed snapshot."""
    rows = database.connection.execute(
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' "
        "ORDER BY type DESC, name"
    )
    return "\n\n".join(f"{row[0]};" for row in rows) + "\n"
