"""The folder of a demo: claimed under a lock, emptied only if the demo made it."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from pathlib import Path
from typing import TextIO

MARKER = ".tanshu-demo"
MARK = "Made by scripts/demo, which empties this folder at each start."
# What versions without a marker left behind; a real gateway's folder never holds a broker.toml.
EARLIER = re.compile(
    r"(broker|tail|site)\.toml|(broker|plant|ledger|gateway)\.log|\.?(ledger|gateway)\.key(\.\d+)?"
    r"|(ledger|gateway)\.db(-wal|-shm|\.lock)?|enrolment\.json|page\.port|evidence"
)


class FolderRefusedError(Exception):
    """A folder that the demo must not touch, with the reason in one line."""


def claim(folder: Path, *, earlier: bool) -> TextIO:
    """Make the folder new and hold it: the lock lasts as long as the returned marker is open.

    ``earlier`` also accepts what a version without a marker left behind.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        foreign = _is_foreign(folder, earlier=earlier)
        if foreign and not os.path.lexists(folder / MARKER):
            raise _not_ours(folder)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        marker = os.fdopen(os.open(folder / MARKER, flags, 0o644), "r+", encoding="utf-8")
        try:
            _hold(folder, marker, foreign=foreign)
            _empty(folder)
        except BaseException:
            marker.close()
            raise
    except (OSError, UnicodeDecodeError) as error:
        raise FolderRefusedError(f"{folder} cannot be used: {error}") from error
    return marker


def _is_foreign(folder: Path, *, earlier: bool) -> bool:
    names = set(os.listdir(folder)) - {MARKER}
    if earlier and "broker.toml" in names:
        return not all(EARLIER.fullmatch(name) for name in names)
    return bool(names)


def _hold(folder: Path, marker: TextIO, *, foreign: bool) -> None:
    """Lock the marker, make sure that the demo wrote it, and sign it with our process."""
    try:
        fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = re.search(r"^pid (\d+)$", marker.read(), re.MULTILINE)
        holder = f" (pid {pid[1]})" if pid else ""
        raise FolderRefusedError(
            f"a demo runs here{holder}: {folder}; end it or choose another --folder"
        ) from None
    text = marker.read()
    if not text.startswith(MARK) and (text or foreign):
        raise _not_ours(folder)
    marker.seek(0)
    marker.truncate()
    marker.write(f"{MARK}\npid {os.getpid()}\n")
    marker.flush()


def _not_ours(folder: Path) -> FolderRefusedError:
    return FolderRefusedError(
        f"{folder} holds files that no demo made; choose a new or an empty --folder"
    )


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.name == MARKER:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
