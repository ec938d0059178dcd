"""The factor library: emission factors as data, each with its source, looked up by name.

A factor set is one TOML file in ``config/factors/``; its version is the start of the SHA-256 of
the file's bytes, so that two gateways with the same version used the same numbers.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from msgspec import Meta, Struct

from agent.config.faults import Faults, nearest
from agent.config.resources import resource_dir
from agent.config.rules import Rules
from agent.config.tables import read_table
from agent.config.toml import read_toml
from agent.core.carbon.fuel import fuel_factor_tco2_per_unit
from agent.core.errors import ConfigError, Fault, TanshuError

VERSION_DIGITS = 12

Basis = Literal["average", "residual", "fossil"]
Status = Literal["seen", "secondary", "computed", "user"]
Positive = Annotated[float, Meta(gt=0)]
Share = Annotated[float, Meta(gt=0, le=1)]


class FactorNotFound(TanshuError):
    """No factor of that name, year or basis in the sets that the rules use."""


class FactorSet(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the factors of one file come from."""

    id: str
    kind: Literal["fuel", "grid", "heat", "gwp"]
    standard: str
    edition: str
    table: str
    status: Status
    source: str
    note: str = ""
    data_year: int | None = None
    valid_from: datetime.date | None = None
    valid_until: datetime.date | None = None
    version: str = ""  # set when the file is read


class Named(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row with its names in both languages."""

    id: str
    name_zh: str
    name_en: str
    aliases: tuple[str, ...] = ()
    row: str = ""  # the row in the table of the standard


class Fuel(Named, frozen=True, kw_only=True):
    """Combustion parameters of one fuel."""

    unit: Literal["t", "10^4Nm3"]
    ncv_gj_per_unit: Positive
    carbon_content_tc_per_gj: Positive
    oxidation: Share

    @property
    def stream_unit(self) -> str:
        """The unit in which a meter's stream of this fuel is kept."""
        return "t" if self.unit == "t" else "Nm3"

    @property
    def tco2_per_unit(self) -> float:
        return fuel_factor_tco2_per_unit(
            ncv_gj_per_unit=self.ncv_gj_per_unit,
            carbon_content_tc_per_gj=self.carbon_content_tc_per_gj,
            oxidation=self.oxidation,
        )


class Grid(Named, frozen=True, kw_only=True):
    """CO2 per kWh of one grid or province."""

    level: Literal["national", "regional", "provincial"]
    basis: Basis
    kgco2_per_kwh: Annotated[float, Meta(ge=0)]


class Heat(Named, frozen=True, kw_only=True):
    """CO2 per GJ of purchased heat."""

    tco2_per_gj: Annotated[float, Meta(ge=0)]


class Gwp(Named, frozen=True, kw_only=True):
    """Global warming potentials of one assessment report, kgCO2e per kg."""

    ch4: Positive
    n2o: Positive


_ROWS: Mapping[str, type[Named]] = {"fuel": Fuel, "grid": Grid, "heat": Heat, "gwp": Gwp}

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """All factor sets of one directory."""

    packs: tuple[Pack, ...]
    version: str  # of all files together

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
        for pack in self._packs("gwp"):
            return _named(name, _of(Gwp, pack.rows), "set of warming potentials"), pack.set
        raise FactorNotFound("no warming potentials", hint="restore config/factors/gwp.toml")

    def grid(self, region: str, year: int | None = None, basis: Basis = "average") -> GridChoice:
        """The electricity factor of a region for a year.

        ``region`` is a Chinese or pinyin name. Without ``year`` the latest data year is taken; a
        year without a published factor takes the latest earlier one, which ``data_year`` says.
        """
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

    def _refuse_grid(self, region: str, basis: Basis, rows: Iterable[Grid]) -> None:
        known = list(rows)
        row = _named(region, known, "region")
        bases = sorted({entry.basis for entry in known if entry.id == row.id})
        raise FactorNotFound(
            f'"{region}" has no {basis} factor', hint=f"published for it: {', '.join(bases)}"
        )

    def _packs(self, kind: str) -> Iterator[Pack]:
        return (pack for pack in self.packs if pack.set.kind == kind)

    def _pack(self, kind: str, name: str) -> Pack:
        for pack in self._packs(kind):
            if pack.set.id == name:
                return pack
        raise FactorNotFound(
            f'no {kind} factor set "{name}"',
            hint=nearest(name, (pack.set.id for pack in self._packs(kind))),
        )


def load_library(directory: Path) -> Library:
    """Read every factor file of a directory; ``ConfigError`` with all faults if any is wrong."""
    packs: list[Pack] = []
    found: list[Fault] = []
    digest = hashlib.sha256()
    for path in sorted(directory.glob("*.toml")):
        faults = Faults(path.name)
        pack = _read_pack(path, faults, digest)
        found += faults.found
        if pack is not None:
            packs.append(pack)
    if found:
        raise ConfigError(tuple(found))
    return Library(packs=tuple(packs), version=digest.hexdigest()[:VERSION_DIGITS])


@lru_cache(maxsize=1)
def library() -> Library:
    """The factor library that comes with the product."""
    return load_library(resource_dir() / "factors")


def _read_pack(path: Path, faults: Faults, digest: hashlib._Hash) -> Pack | None:
    read = read_toml(path, faults)
    if read is None:
        return None
    content, tables = read
    digest.update(path.name.encode() + b"\0" + hashlib.sha256(content).digest())
    version = hashlib.sha256(content).hexdigest()[:VERSION_DIGITS]
    head = tables.get("set")
    written = {**head, "version": version} if isinstance(head, dict) else head
    factor_set = read_table(FactorSet, written, "set", faults)
    if factor_set is None:
        return None
    for key in tables:
        if key not in ("set", factor_set.kind):
            faults.add(key, "unknown table", f"a {factor_set.kind} file has [[{factor_set.kind}]]")
    rows = []
    for place, table in enumerate(tables.get(factor_set.kind, ()), start=1):
        row = read_table(_ROWS[factor_set.kind], table, f"{factor_set.kind}[{place}]", faults)
        if row is not None:
            rows.append(row)
    return Pack(set=factor_set, rows=tuple(rows))


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
