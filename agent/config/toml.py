"""Reading a TOML file, with its syntax errors as faults."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from agent.config.faults import Faults

_PLACE = re.compile(r"\s*\((?:at )?(line \d+, column \d+|end of document)\)\s*$", re.IGNORECASE)


def read_toml(path: Path, faults: Faults) -> tuple[bytes, dict[str, Any]] | None:
    """The file's bytes and tables; None with a fatal fault if it cannot be read or parsed."""
    content = read_content(path, faults)
    tables = None if content is None else parse_toml(content, faults)
    return None if content is None or tables is None else (content, tables)


def read_content(path: Path, faults: Faults) -> bytes | None:
    """The file's bytes; None with a fatal fault if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        faults.add("-", f"cannot be read: {reason}", f"check {path}", fatal=True)
        return None


def parse_toml(content: bytes, faults: Faults) -> dict[str, Any] | None:
    """The tables of a TOML text; None with a fatal fault if it cannot be parsed."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        faults.add(f"line {line}", "not UTF-8", "save the file as UTF-8", fatal=True)
        return None
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        message = str(error)
        place = _PLACE.search(message)
        faults.add(
            place.group(1).lower() if place else "-",
            _PLACE.sub("", message),
            "the file must be valid TOML 1.0 (https://toml.io)",
            fatal=True,
        )
        return None
