"""A book opened for reading beside whoever writes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from agent.core.errors import StoreError

if TYPE_CHECKING:
    from sqlite3 import Connection


@contextmanager
def read_only(path: Path, hint: str) -> Iterator[Connection]:
    """One state of a database for as long as it is read, as `tanshu db query` opens it.

    Raises:
        StoreError: there is none (``hint`` says what may be the matter), or it cannot be read.
    """
    from sqlite_utils.utils import sqlite3

    if not path.exists():
        raise StoreError("there is no such database", where=str(path), hint=hint)
    try:
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None
        )
        try:
            connection.execute("PRAGMA query_only=ON")
            connection.execute("BEGIN")
            yield connection
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StoreError(
            f"cannot be read: {error}", where=str(path), hint="check it with `tanshu doctor`"
        ) from error
