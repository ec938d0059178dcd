"""The factor library: emission factors as data, each with its source, looked up by name.

A factor set is one TOML file in ``config/factors/``; its version is the start of the SHA-256 of
the file's bytes, so that two gateways with the same version used the same numbers. A file is
parsed when the first factor of its kind is asked for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from agent.config.factor_files import FactorFiles, Pack, read_pack
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
from agent.core.errors import ConfigError, Fault, TanshuError

SITE_FACTORS = "TANSHU_FACTORS"  # folder of factor files that the site imported
SITE_FACTORS_DIR = Path("/etc/tanshu/factors")

_RANK = re.compile("(?<=..)(省|市|电网|区域电网|(壮族|回族|维吾尔)?自治区)$")

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

    def __init__(self, *directories: Path, without: frozenset[Path] = frozenset()) -> None:
        self._files = FactorFiles(*directories, without=without)

    @property
    def version(self) -> str:
        """The version of all files together."""
        return self._files.version

    @property
    def packs(self) -> tuple[Pack, ...]:
        """Every set of every kind; ``ConfigError`` with all faults if any file is wrong."""
        packs: list[Pack] = []
        found: list[Fault] = []
        for kind in ROWS:
            try:
                packs += self._packs(kind)
            except ConfigError as error:
                found += [fault for fault in error.faults if fault not in found]
        if found:
            raise ConfigError(tuple(found))
        return tuple(packs)

    def fuel(self, name: str, rules: Rules) -> tuple[Fuel, FactorSet]:
        """The fuel with that id or name in the set that ``rules`` use, else in any other."""
        own = self._pack("fuel", rules.fuel_set)
        others = (pack for pack in self._packs("fuel") if pack is not own)
        for pack in (own, *others):
            for row in _of(Fuel, pack.rows):
                if _answers_to(row, name):
                    return row, pack.set
        return _named(name, _of(Fuel, own.rows), "fuel"), own.set  # raises with the nearest names

    def has_fuel(self, fuel: Fuel, rules: Rules) -> bool:
        """Whether a fuel stands in the set that ``rules`` use."""
        return fuel in self._pack("fuel", rules.fuel_set).rows

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
        for pack in self._files.newest_first("grid", year):
            for row in _of(Grid, pack.rows):
                if row.basis == basis and _answers_to(row, region):
                    assert pack.set.data_year is not None
                    return GridChoice(row=row, set=pack.set, data_year=pack.set.data_year)
        raise self._no_grid(region, year, basis)

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

    def _no_grid(self, region: str, year: int | None, basis: Basis) -> FactorNotFound:
        """Why there is no factor: the region, the basis or the year."""
        rows = [(pack.set, row) for pack in self._packs("grid") for row in _of(Grid, pack.rows)]
        named = _named(region, [row for _, row in rows], "region")
        own = [(one, row) for one, row in rows if row.id == named.id]
        years = [one.data_year for one, row in own if row.basis == basis and one.data_year]
        if years:
            return FactorNotFound(
                f'no factor of "{region}" for {year} or earlier',
                hint=f"the earliest data year is {min(years)}",
            )
        bases = sorted({row.basis for _, row in own})
        return FactorNotFound(
            f'"{region}" has no {basis} factor', hint=f"published for it: {', '.join(bases)}"
        )

    def _packs(self, kind: str) -> tuple[Pack, ...]:
        return self._files.packs(kind)

    def _pack(self, kind: str, name: str) -> Pack:
        pack = self._files.pack(kind, name)
        if pack is None:
            raise FactorNotFound(
                f'no {kind} factor set "{name}"',
                hint=nearest(name, (known.set.id for known in self._packs(kind))),
            )
        return pack


def load_library(*directories: Path) -> Library:
    """Read every factor file of the directories; ``ConfigError`` with all faults of any."""
    read = Library(*directories)
    _ = read.packs
    return read


def site_factors_dir() -> Path:
    """Where the site keeps imported factor files: $TANSHU_FACTORS or /etc/tanshu/factors."""
    named = os.environ.get(SITE_FACTORS)
    return Path(named) if named else SITE_FACTORS_DIR


@lru_cache(maxsize=4)
def _library(*directories: Path, without: frozenset[Path] = frozenset()) -> Library:
    return Library(*directories, without=without)


def usable_library() -> tuple[Library, tuple[Fault, ...]]:
    """The library without imported files that are broken, and what is wrong with those.

    A bad file that the site imported must not stop what does not need it.
    """
    faults: list[Fault] = []
    broken: set[Path] = set()
    for path in sorted(site_factors_dir().glob("*.toml")):
        found = Faults(str(path))
        if read_pack(path, found) is None or found.errors:
            broken.add(path)
            faults += [replace(fault, fatal=False) for fault in found.errors]
    if not broken:
        return library(), ()
    folders = (resource_dir() / "factors", site_factors_dir())
    return _library(*folders, without=frozenset(broken)), tuple(faults)


def library() -> Library:
    """The factor library that comes with the product, with the sets that the site imported."""
    imported = site_factors_dir()
    folders = (resource_dir() / "factors", *((imported,) if imported.is_dir() else ()))
    return _library(*folders)


def forget_library() -> None:
    """Read the factor files again when they are next asked for."""
    _library.cache_clear()


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
