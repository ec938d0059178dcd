"""Rules of the house that no linter knows, over the files git tracks.

Unfinished marks, paths of one machine, package index addresses, addresses in locked files, and
files that outgrew what one sitting can read.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

LINES_TO_MENTION = 400
LINES_TO_REFUSE = 600
TEST_LINES_TO_REFUSE = 800  # tests carry their samples with them
LARGEST_BYTES = 300_000

# Each mark is written so that this file does not find itself.
_UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX|NotImplemented" r"Error)\b")
_FORGIVING_TEST = re.compile(r"pytest\.mark\.(skip|xfail)" r"\b|\bassert True" r"\b")
_MACHINE_PATH = re.compile(r"(?<![\w.$}/-])/(work|root|home/\w+|Users/\w+)" r"/")
_PACKAGE_INDEX = re.compile(r"https?://[^\s/]*(pypi|python" r"hosted|npm" r"js)", re.I)
_ADDRESS = re.compile(r"https?://|--(extra-)?index-url|--find-links")
_LOCKED = re.compile(r"(^|/)(requirements[\w-]*\.(txt|in)|[\w-]*lock[\w-]*\.json|\.npmrc)$")


def tracked_files() -> list[str]:
    """Paths of the files that git tracks, without links and deleted ones."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    return [name for name in listing.split("\0") if name and (ROOT / name).is_file()]


def faults_in(name: str, text: str) -> Iterator[str]:
    """One line per broken rule in a file's text."""
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{name}:{number}:"
        if name.endswith((".py", ".sh")) or name.startswith("scripts/"):
            if found := _UNFINISHED.search(line):
                yield f"{where} unfinished mark {found[0]!r}: finish it or take it out"
            if found := _FORGIVING_TEST.search(line):
                yield f"{where} {found[0]!r}: let the test say what must hold, or use needs()"
        if found := _MACHINE_PATH.search(line):
            yield f"{where} path of one machine {found[0]!r}: take it from the caller"
        if found := _PACKAGE_INDEX.search(line):
            yield f"{where} address of a package index: name the package only"
        if _LOCKED.search(name) and (found := _ADDRESS.search(line)):
            yield f"{where} {found[0]!r} in a locked file: versions and hashes only"


def length_faults(name: str, lines: int) -> Iterator[str]:
    most = TEST_LINES_TO_REFUSE if name.startswith("tests/") else LINES_TO_REFUSE
    if name.endswith(".py") and lines > most:
        yield f"{name}: {lines} lines, more than {most}: split it"


def main() -> int:
    faults: list[str] = []
    long_files: list[tuple[int, str]] = []
    for name in tracked_files():
        content = (ROOT / name).read_bytes()
        if len(content) > LARGEST_BYTES:
            faults.append(f"{name}: {len(content)} bytes: too large for the repository")
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            continue
        faults.extend(faults_in(name, text))
        lines = text.count("\n")
        faults.extend(length_faults(name, lines))
        if name.endswith(".py") and lines > LINES_TO_MENTION:
            long_files.append((lines, name))
    for lines, name in sorted(long_files, reverse=True):
        print(f"long: {name} has {lines} lines (aim: below {LINES_TO_MENTION})")
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
