"""Documents behind entries: kept whole beside the database, each under its own SHA-256."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

from agent.core.errors import StoreError

FOLDER = "evidence"
LARGEST_BYTES = 8 * 1024 * 1024


class EvidenceFolder:
    """The folder ``evidence`` beside a database; what is in it never changes."""

    def __init__(self, database: Path) -> None:
        self.path = database.parent / FOLDER

    def keep(self, data: bytes) -> str:
        """Keep a document and return its SHA-256 in hex; it is on the disk when this returns.

        Raises:
            StoreError: the folder cannot be written.
        """
        digest = sha256(data).hexdigest()
        if self.holds(digest):
            return digest
        target = self.path / digest
        temporary = self.path / f".{digest}.{os.getpid()}"
        try:
            self.path.mkdir(exist_ok=True)
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
            self._sync()
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise StoreError(
                f"the evidence cannot be kept: {error}",
                where=str(target),
                hint="check that the folder is writable and the disk has space",
            ) from error
        return digest

    def holds(self, digest: str) -> bool:
        """Whether a document of this SHA-256 is kept, whole and unchanged."""
        data = self.read(digest)
        return data is not None and sha256(data).hexdigest() == digest

    def read(self, digest: str) -> bytes | None:
        """A kept document, or ``None``."""
        if len(digest) != 64 or not digest.isalnum():
            return None
        try:
            return (self.path / digest).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(
                f"the evidence cannot be read: {error}", where=str(self.path / digest)
            ) from error

    def _sync(self) -> None:
        folder = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
