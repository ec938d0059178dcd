"""Helpers for the tests of the house: the tracked files and the locked requirements."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.txt", "requirements-demo.txt", "requirements-test.txt")
ALL_LOCKS = (*LOCKS, "requirements-bench.txt")


def tracked_files() -> list[str]:
    """Paths that git tracks or would track, relative to the root."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return sorted(name for name in set(listing.split("\0")) if name and (ROOT / name).is_file())


def canonical(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def entries(lock: str) -> dict[str, tuple[str, str, list[str]]]:
    """Per distribution of a locked file: version, marker and hashes."""
    text = (ROOT / lock).read_text("utf-8").replace("\\\n", " ")
    found: dict[str, tuple[str, str, list[str]]] = {}
    for line in text.splitlines():
        match = re.match(r"([A-Za-z0-9._-]+)==([^\s;]+)\s*(?:;(.*?))?(?=\s--hash|$)", line)
        if match:
            hashes = re.findall(r"--hash=sha256:([0-9a-f]{64})\b", line)
            marker = (match[3] or "").strip()
            found[canonical(match[1])] = (match[2], marker, hashes)
    return found
