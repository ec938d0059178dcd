"""One gateway per database: a lock that ends with its process."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from agent.core.errors import StoreError


def lock_store(store: Path) -> IO[str]:
    """Hold ``<store>.lock`` for as long as the returned file is open.

    Raises:
        StoreError: another gateway holds it, or it cannot be made.
    """
    path = store.with_name(store.name + ".lock")
    try:
        file = path.open("a+", encoding="ascii")
    except OSError as error:
        raise StoreError(
            f"the database cannot be locked: {error.strerror}",
            where=str(path),
            hint="the folder must exist and be writable for this service",
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise StoreError(
            f"another gateway has this database open (process {holder})",
            where=str(store),
            hint="stop it first; two writers would close the same windows",
        ) from error
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file
