"""Factor files on disk: which set each holds, and its rows when somebody asks for them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import msgspec

from agent.config.factor_rows import ROWS, FactorSet, Named
from agent.config.faults import Faults
from agent.config.tables import read_table
from agent.config.toml import parse_toml, read_content
from agent.core.errors import ConfigError, Fault

VERSION_DIGITS = 12

R = TypeVar("R", bound=Named)

# The head of a file tells whether it is worth parsing; parsing then decides what it holds.
_KIND = re.compile(rb'^kind\s*=\s*"([^"\n]*)"', re.MULTILINE)
_ID = re.compile(rb'^id\s*=\s*"([^"\n]*)"', re.MULTILINE)
_DATA_YEAR = re.compile(rb"^data_year\s*=\s*(\d{4})\b", re.MULTILINE)
_NOT_FINITE = re.compile(rb"=\s*\[?[^\"\n]*\b(nan|inf)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """One file: its set and rows."""

    set: FactorSet
    rows: tuple[Named, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """What the head of a file states, before it is parsed."""

    path: Path
    kind: str
    id: str
    data_year: int | None


class FactorFiles:
    """The factor files of some directories; a later set takes the place of one of its id."""

    def __init__(self, *directories: Path, without: frozenset[Path] = frozenset()) -> None:
        self._directories = directories
        self._without = without
        self._parsed: dict[Path, Pack] = {}

    @cached_property
    def _contents(self) -> tuple[tuple[Path, bytes], ...]:
        paths = [path for folder in self._directories for path in sorted(folder.glob("*.toml"))]
        return tuple((path, path.read_bytes()) for path in paths if path not in self._without)

    @cached_property
    def _heads(self) -> tuple[_Head, ...]:
        heads: dict[tuple[str, str], _Head] = {}
        for path, content in self._contents:
            kind, name = stated_set(content)
            year = _stated(_DATA_YEAR, content)
            head = _Head(path=path, kind=kind, id=name, data_year=int(year) if year else None)
            heads[kind, name or str(path)] = head
        return tuple(heads.values())

    @property
    def version(self) -> str:
        """The version of all files together."""
        digest = hashlib.sha256()
        for path, content in self._contents:
            digest.update(path.name.encode() + b"\0" + hashlib.sha256(content).digest())
        return digest.hexdigest()[:VERSION_DIGITS]

    def packs(self, kind: str) -> tuple[Pack, ...]:
        """Every set of a kind; ``ConfigError`` with all faults of its files."""
        found: dict[str, Pack] = {}
        faults: list[Fault] = []
        for head in self._of(kind):
            try:
                pack = self._read(head)
            except ConfigError as error:
                faults += error.faults
                continue
            if pack.set.kind == kind:
                found[pack.set.id] = pack
        if faults:
            raise ConfigError(tuple(faults))
        return tuple(found.values())

    def pack(self, kind: str, name: str) -> Pack | None:
        """The set of that id."""
        stated = [head for head in self._of(kind) if head.id == name]
        for pack in (*map(self._read, stated), *(() if stated else self.packs(kind))):
            if (pack.set.kind, pack.set.id) == (kind, name):
                return pack
        return None

    def newest_first(self, kind: str, year: int | None) -> Iterator[Pack]:
        """The sets with a data year up to ``year``, the latest first, each parsed when reached."""
        dated = [(head.data_year or 9999, place) for place, head in enumerate(self._of(kind))]
        for stated, place in sorted(dated, reverse=True):
            if stated == 9999 or year is None or stated <= year:
                pack = self._read(self._of(kind)[place])
                known = pack.set.data_year
                if pack.set.kind == kind and known and (year is None or known <= year):
                    yield pack

    def _of(self, kind: str) -> list[_Head]:
        """The files of a kind, and those that state none we know, so that their faults show."""
        return [head for head in self._heads if head.kind == kind or head.kind not in ROWS]

    def _read(self, head: _Head) -> Pack:
        if head.path not in self._parsed:
            faults = Faults(head.path.name)
            pack = read_pack(head.path, faults)
            if pack is None or faults.found:
                raise ConfigError(faults.found)
            self._parsed[head.path] = pack
        return self._parsed[head.path]


def stated_set(content: bytes) -> tuple[str, str]:
    """Kind and id that the head of a factor file states; empty where it states none."""
    return _stated(_KIND, content), _stated(_ID, content)


def _stated(wanted: re.Pattern[bytes], content: bytes) -> str:
    found = wanted.search(content)
    return found[1].decode("utf-8", "replace") if found else ""


def read_pack(path: Path, faults: Faults) -> Pack | None:
    """One factor file; None with its faults noted if it cannot be used."""
    content = read_content(path, faults)
    return None if content is None else parse_pack(content, faults)


def parse_pack(content: bytes, faults: Faults) -> Pack | None:
    """The set of a factor file's bytes; None with its faults noted if it cannot be used."""
    tables = parse_toml(content, faults)
    if tables is None:
        return None
    version = hashlib.sha256(content).hexdigest()[:VERSION_DIGITS]
    head = tables.get("set")
    written = {**head, "version": version} if isinstance(head, dict) else head
    factor_set = read_table(FactorSet, written, "set", faults)
    if factor_set is None:
        return None
    kind = factor_set.kind
    for key in tables:
        if key not in ("set", kind):
            faults.add(key, "unknown table", f"a {kind} file has [[{kind}]]")
    listed = tables.get(kind, [])
    if not isinstance(listed, list):
        faults.add(kind, "is not an array", f"write [[{kind}]]")
        return None
    rows = _all_rows(ROWS[kind], content, listed)
    if rows is None:
        read_rows = (
            read_table(ROWS[kind], table, f"{kind}[{place}]", faults)
            for place, table in enumerate(listed, start=1)
        )
        rows = tuple(row for row in read_rows if row is not None)
    return Pack(set=factor_set, rows=rows)


def _all_rows(kind: type[R], content: bytes, listed: list[object]) -> tuple[R, ...] | None:
    """All rows at once; None if any of them has a fault, which only a closer look can name."""
    if _NOT_FINITE.search(content):
        return None
    try:
        return tuple(msgspec.convert(listed, list[kind]))  # type: ignore[valid-type]
    except msgspec.ValidationError:
        return None
