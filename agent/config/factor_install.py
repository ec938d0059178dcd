"""Factor files in the site's folder: how they are named, and replaced so that each is whole."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from agent.config.factor_files import VERSION_DIGITS, stated_set
from agent.core.errors import StoreError


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorFile:
    """The bytes of one factor file, and which set they are."""

    kind: str
    id: str
    content: bytes

    @property
    def name(self) -> str:
        """How the site's folder names the file of a set."""
        return file_name(self.kind, self.id)


def file_name(kind: str, set_id: str) -> str:
    """How the site's folder names the file of a set."""
    slug = re.sub(r"[^a-z0-9]+", "-", set_id.casefold()).strip("-")
    return f"{kind}-{slug}.toml"


def prepare(folder: Path, files: Sequence[FactorFile]) -> None:
    """Write files beside their place, so that `install` only has to rename them.

    Raises:
        StoreError: the folder cannot be written, or another file in it holds such a set.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_doubles(folder, files)
        for file in files:
            _write_draft(folder, file)
    except OSError as error:
        raise _unwritable(folder, error) from error


def install(folder: Path, files: Sequence[FactorFile]) -> tuple[Path, ...]:
    """Put files in their place; what they replace is kept under its version.

    It may be interrupted at any instant and done again: each file is either the former or the
    new one, whole.

    Raises:
        StoreError: the folder cannot be written.
    """
    targets = tuple(folder / file.name for file in files)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, target in zip(files, targets, strict=True):
            if target.exists():
                if target.read_bytes() == file.content:
                    continue
                _keep_former(target)
            _write_draft(folder, file).replace(target)
        _sync_folder(folder)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return targets


def _write_draft(folder: Path, file: FactorFile) -> Path:
    draft = folder / f".{file.name}.new"
    with draft.open("wb") as stream:
        stream.write(file.content)
        stream.flush()
        os.fsync(stream.fileno())
    return draft


def _keep_former(target: Path) -> None:
    version = sha256(target.read_bytes()).hexdigest()[:VERSION_DIGITS]
    kept = target.with_name(f"{target.name}.{version}")
    if not kept.exists():
        os.link(target, kept)


def _refuse_doubles(folder: Path, files: Sequence[FactorFile]) -> None:
    """Two files of one set would decide by name which holds; two sets of one name cannot be."""
    places = {(file.kind, file.id): file.name for file in files}
    taken = set(places.values())
    for path in sorted(folder.glob("*.toml")):
        stated = stated_set(path.read_bytes())
        if stated in places and path.name != places[stated]:
            raise StoreError(
                "holds the same factor set under another name",
                where=str(path),
                hint=f"remove it or rename it to {places[stated]}, then try again",
            )
        if path.name in taken and all(stated) and stated not in places:
            raise StoreError(
                f"holds another set ({' '.join(stated)}) whose file has the same name",
                where=str(path),
                hint="the new set needs an id of other letters",
            )
    if len(taken) != len(files):
        raise StoreError("two sets would have the same file name", where=", ".join(sorted(taken)))


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unwritable(folder: Path, error: OSError) -> StoreError:
    return StoreError(
        f"cannot be written: {error.strerror}",
        where=str(error.filename or folder),
        hint="name a folder that may be written with --to or $TANSHU_FACTORS",
    )
