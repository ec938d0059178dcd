"""`python -m agent.store.check FILE`: SQLite's short consistency check, in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

from agent.book.database import sqlite3


def quick_check(path: str) -> str:
    """«ok», or the first thing that is wrong with the file; nothing is written."""
    try:
        connection = sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True)
        try:
            return str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        finally:
            connection.close()
    except sqlite3.Error as error:
        return f"cannot be read: {error}"


if __name__ == "__main__":
    sys.stdout.write(quick_check(sys.argv[1]) + "\n")
