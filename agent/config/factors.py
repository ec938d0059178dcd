"""The factor library: emission factors as data, each with its source, looked up by name.

A factor set is one TOML file in ``config/factors/``; its version is the start of the SHA-256 of
the file's bytes, so that two gateways with the same version used the same numbers. A file is
parsed when the first factor of its kind is asked for.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TypeVar

import msgspec

from agent.config.factor_rows import (
    KIND_OF,
    ROWS,
    Abatement,
    AcidN2o,
    Basis,
    Carbonate,
    FactorSet,
    Fuel,
    Grid,
    Gwp,
    Heat,
    Material,
    Named,
    Parameter,
    Process,
)
from agent.config.faults import Faults, nearest
from agent.config.resources import resource_dir
from agent.config.rules import Rules
from agent.config.tables import read_table
from agent.config.toml import read_toml
from agent.core.errors import ConfigError, Fault, TanshuError

VERSION_DIGITS = 12
SITE_FACTORS = "TANSHU_FACTORS"  # folder of factor files that the site imported
SITE_FACTORS_DIR = Path("/etc/tanshu/factors")

_NOT_FINITE = re.compile(rb"=\s*\[?[^\"\n]*\b(nan|inf)\b")
_RANK = re.compile("(?<=..)(省|市|电网|区域电网|(壮族|回族|维吾尔)?自治区)$")
_KIND = re.compile(rb'^kind\s*=\s*"([a-z0-9-]+)"', re.MULTILINE)

__all__ = [
    "Basis",
    "FactorNotFound",
    "FactorSet",
    "Fuel",
    "Grid",
    "GridChoice",
    "Gwp",
    "Heat",
    "Library",
    "Pack",
    "library",
    "load_library",
    "read_pack",
    "site_factors_dir",
]


class FactorNotFound(TanshuError):
    """No factor of that name, year or basis in the sets that the rules use."""


R = TypeVar("R", bound=Named)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """One file: its set and rows."""

    set: FactorSet
    rows: tuple[Named, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GridChoice:
    """The grid factor used for a year; ``data_year`` is earlier where none is published yet."""

    row: Grid
    set: FactorSet
    data_year: int

    @property
    def id(self) -> str:
        return f"grid/{self.row.id}/{self.row.basis}/{self.data_year}@{self.set.id}"


class Library:
    """All factor sets of one or more directories; later ones replace sets of the same id."""

    def __init__(self, *directories: Path) -> None:
        self.directories = directories
        self._parsed: dict[str, tuple[Pack, ...]] = {}

    @cached_property
    def _files(self) -> tuple[tuple[Path, bytes], ...]:
        paths = [path for folder in self.directories for path in sorted(folder.glob("*.toml"))]
        return tuple((path, path.read_bytes()) for path in paths)

    @cached_property
    def version(self) -> str:
        """The version of all files together."""
        digest = hashlib.sha256()
        for path, content in self._files:
            digest.update(path.name.encode() + b"\0" + hashlib.sha256(content).digest())
        return digest.hexdigest()[:VERSION_DIGITS]

    @property
    def packs(self) -> tuple[Pack, ...]:
        """Every set of every kind."""
        return tuple(pack for kind in ROWS for pack in self._packs(kind))

    def fuel(self, name: str, rules: Rules) -> tuple[Fuel, FactorSet]:
        """The fuel with that id or name in the set that ``rules`` use."""
        pack = self._pack("fuel", rules.fuel_set)
        return _named(name, _of(Fuel, pack.rows), "fuel"), pack.set

    def heat(self, rules: Rules, name: str = "default") -> tuple[Heat, FactorSet]:
        """The default factor of purchased heat under ``rules``."""
        pack = self._pack("heat", rules.heat_set)
        return _named(name, _of(Heat, pack.rows), "heat factor"), pack.set

    def gwp(self, name: str) -> tuple[Gwp, FactorSet]:
        """The warming potentials of one assessment report: SAR, AR4, AR5 or AR6."""
        return self.row(Gwp, name, "set of warming potentials")

    def material(self, name: str, rules: Rules) -> tuple[Material, FactorSet]:
        """The carbon content of a material, from the first set of ``rules`` that has it."""
        return self.row(Material, name, "material", rules.material_sets)

    def carbonate(self, name: str, rules: Rules) -> tuple[Carbonate, FactorSet]:
        """The CO2 of a carbonate, by formula or name, in the set that ``rules`` use."""
        return self.row(Carbonate, name, "carbonate", (rules.carbonate_set,))

    def acid_n2o(self, process: Process, name: str, rules: Rules) -> tuple[AcidN2o, FactorSet]:
        """The N2O of a technology of nitric or adipic acid in the set that ``rules`` use."""
        pack = self._pack("n2o", rules.n2o_set)
        rows = [row for row in _of(AcidN2o, pack.rows) if row.process == process]
        return _named(name, rows, f"technology of {process} acid"), pack.set

    def abatement(self, process: Process, name: str) -> tuple[Abatement, FactorSet]:
        """What an N2O abatement plant of that kind removes."""
        for pack in self._packs("abatement"):
            rows = [row for row in _of(Abatement, pack.rows) if row.process == process]
            return _named(name, rows, f"abatement of {process} acid plants"), pack.set
        raise _no_sets("abatement")

    def parameter(self, name: str) -> tuple[Parameter, FactorSet]:
        """A single number of a guide, by its id."""
        return self.row(Parameter, name, "parameter")

    def row(
        self, kind: type[R], name: str, what: str, sets: tuple[str, ...] | None = None
    ) -> tuple[R, FactorSet]:
        """The row of that id or name in the named sets (in their order), or in any."""
        table = KIND_OF[kind]
        packs = (
            list(self._packs(table)) if sets is None else [self._pack(table, one) for one in sets]
        )
        for pack in packs:
            for row in _of(kind, pack.rows):
                if _answers_to(row, name):
                    return row, pack.set
        if not packs:
            raise _no_sets(table)
        rows = [row for pack in packs for row in _of(kind, pack.rows)]
        return _named(name, rows, what), packs[0].set

    def table(self, kind: type[R]) -> tuple[tuple[R, ...], FactorSet]:
        """All rows of the first set of a kind, such as a steam table."""
        for pack in self._packs(KIND_OF[kind]):
            return tuple(_of(kind, pack.rows)), pack.set
        raise _no_sets(KIND_OF[kind])

    def grid(self, region: str, year: int | None = None, basis: Basis = "average") -> GridChoice:
        """The electricity factor of a region for a year.

        ``region`` is a Chinese or pinyin name. Without ``year`` the latest data year is taken; a
        year without a published factor takes the latest earlier one, which ``data_year`` says.
        """
        region = _plain_region(region)
        published: dict[int, GridChoice] = {}
        regions: list[Grid] = []
        for pack in self._packs("grid"):
            rows = tuple(_of(Grid, pack.rows))
            regions += rows
            for row in rows:
                if _answers_to(row, region) and row.basis == basis and pack.set.data_year:
                    published[pack.set.data_year] = GridChoice(
                        row=row, set=pack.set, data_year=pack.set.data_year
                    )
        if not published:
            self._refuse_grid(region, basis, regions)
        usable = [known for known in published if year is None or known <= year]
        if not usable:
            raise FactorNotFound(
                f'no factor of "{region}" for {year} or earlier',
                hint=f"the earliest data year is {min(published)}",
            )
        return published[max(usable)]

    def grid_years(self, region: str, basis: Basis = "average") -> tuple[int, ...]:
        """The data years that have a factor of the region, in order; at least one."""
        region = _plain_region(region)
        years = {
            pack.set.data_year
            for pack in self._packs("grid")
            for row in _of(Grid, pack.rows)
            if pack.set.data_year and row.basis == basis and _answers_to(row, region)
        }
        if not years:
            self.grid(region, None, basis)  # says what is wrong with the name or the basis
        return tuple(sorted(years))

    def successors(self, kind: str, base: str) -> tuple[FactorSet, ...]:
        """The sets that came after ``base``, oldest first: each names what it supersedes."""
        found: list[FactorSet] = []
        known = {base}
        sets = [pack.set for pack in self._packs(kind)]
        while following := next(
            (one for one in sets if one.supersedes in known and one.id not in known), None
        ):
            found.append(following)
            known.add(following.id)
        return tuple(sorted(found, key=lambda one: str(one.valid_from or "")))

    def _refuse_grid(self, region: str, basis: Basis, rows: Iterable[Grid]) -> None:
        known = list(rows)
        row = _named(region, known, "region")
        bases = sorted({entry.basis for entry in known if entry.id == row.id})
        raise FactorNotFound(
            f'"{region}" has no {basis} factor', hint=f"published for it: {', '.join(bases)}"
        )

    def _packs(self, kind: str) -> tuple[Pack, ...]:
        if kind not in self._parsed:
            self._parsed[kind] = self._parse(kind)
        return self._parsed[kind]

    def _parse(self, kind: str) -> tuple[Pack, ...]:
        packs: dict[str, Pack] = {}
        found: list[Fault] = []
        for path, content in self._files:
            stated = _KIND.search(content)
            if (stated[1].decode() if stated is not None else "") not in (kind, *_unknown(stated)):
                continue
            faults = Faults(path.name)
            pack = read_pack(path, faults)
            found += faults.found
            if pack is not None and pack.set.kind == kind:
                packs[pack.set.id] = pack
        if found:
            raise ConfigError(tuple(found))
        return tuple(packs.values())

    def _pack(self, kind: str, name: str) -> Pack:
        for pack in self._packs(kind):
            if pack.set.id == name:
                return pack
        raise FactorNotFound(
            f'no {kind} factor set "{name}"',
            hint=nearest(name, (pack.set.id for pack in self._packs(kind))),
        )


def load_library(*directories: Path) -> Library:
    """Read every factor file of the directories; ``ConfigError`` with all faults of a kind."""
    read = Library(*directories)
    found: list[Fault] = []
    for kind in ROWS:
        try:
            read._packs(kind)
        except ConfigError as error:
            found += [fault for fault in error.faults if fault not in found]
    if found:
        raise ConfigError(tuple(found))
    return read


def site_factors_dir() -> Path:
    """Where the site keeps imported factor files: $TANSHU_FACTORS or /etc/tanshu/factors."""
    named = os.environ.get(SITE_FACTORS)
    return Path(named) if named else SITE_FACTORS_DIR


@lru_cache(maxsize=4)
def _library(*directories: Path) -> Library:
    return Library(*directories)


def library() -> Library:
    """The factor library that comes with the product, with the sets that the site imported."""
    imported = site_factors_dir()
    folders = (resource_dir() / "factors", *((imported,) if imported.is_dir() else ()))
    return _library(*folders)


def read_pack(path: Path, faults: Faults) -> Pack | None:
    """One factor file; None with its faults noted if it cannot be used."""
    read = read_toml(path, faults)
    if read is None:
        return None
    content, tables = read
    version = hashlib.sha256(content).hexdigest()[:VERSION_DIGITS]
    head = tables.get("set")
    written = {**head, "version": version} if isinstance(head, dict) else head
    factor_set = read_table(FactorSet, written, "set", faults)
    if factor_set is None:
        return None
    for key in tables:
        if key not in ("set", factor_set.kind):
            faults.add(key, "unknown table", f"a {factor_set.kind} file has [[{factor_set.kind}]]")
    listed = tables.get(factor_set.kind, ())
    if not isinstance(listed, list):
        faults.add(factor_set.kind, "is not an array", f"write [[{factor_set.kind}]]")
        return None
    rows = _all_rows(ROWS[factor_set.kind], content, listed)
    if rows is None:
        where = factor_set.kind
        read_rows = (
            read_table(ROWS[where], table, f"{where}[{place}]", faults)
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


def _unknown(stated: re.Match[bytes] | None) -> tuple[str, ...]:
    """A file without a known kind is read with every kind, so that its fault shows."""
    text = stated[1].decode() if stated is not None else ""
    return () if text in ROWS else (text,)


def _plain_region(name: str) -> str:
    """A region without the word for its rank: 四川省, 北京市, 广西壮族自治区, 华东电网."""
    return _RANK.sub("", name.strip())


def _no_sets(kind: str) -> FactorNotFound:
    return FactorNotFound(f"no {kind} factors", hint="restore the files of config/factors")


def _of(kind: type[R], rows: Iterable[Named]) -> Iterator[R]:
    return (row for row in rows if isinstance(row, kind))


def _answers_to(row: Named, name: str) -> bool:
    wanted = name.strip().casefold()
    return wanted in (known.casefold() for known in _names(row))


def _names(row: Named) -> tuple[str, ...]:
    return (row.id, row.name_zh, row.name_en, *row.aliases)


def _named(name: str, rows: Iterable[R], what: str) -> R:
    known = list(rows)
    for row in known:
        if _answers_to(row, name):
            return row
    listed = dict.fromkeys(row.id if name.isascii() else row.name_zh for row in known)
    raise FactorNotFound(
        f'unknown {what} "{name}"',
        hint=nearest(
            name,
            (word for row in known for word in _names(row)),
            otherwise="known: " + ", ".join(listed),
        ),
    )
