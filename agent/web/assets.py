"""The stylesheet, script and icon: read once, compressed once, named by their content."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "static"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    media_type: str
    version: str
    plain: bytes
    packed: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Assets:
    files: Mapping[str, Asset]

    def url(self, name: str) -> str:
        """The address of a file; it changes with the content, so it may be cached for ever."""
        return f"/static/{name}?v={self.files[name].version}"


def load_assets(folder: Path = FOLDER) -> Assets:
    files = {}
    for path in sorted(folder.iterdir()):
        media_type = MEDIA_TYPES.get(path.suffix)
        if media_type is None:
            continue
        plain = path.read_bytes()
        files[path.name] = Asset(
            media_type=media_type,
            version=hashlib.sha256(plain).hexdigest()[:12],
            plain=plain,
            packed=gzip.compress(plain, 9, mtime=0),
        )
    return Assets(files=files)
