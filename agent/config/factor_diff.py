"""What a factor file would change against the library, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from agent.config.factor_rows import FactorSet, Grid, Named
from agent.config.factors import FactorNotFound, Library, Pack
from agent.config.faults import nearest

_NAMES = ("id", "name_zh", "name_en", "aliases", "row", "note", "basis", "level", "process")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedValue:
    """One number that differs; ``change_pct`` where both are numbers and the old one is not 0."""

    row: str
    field: str
    old: Any
    new: Any
    change_pct: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PackDiff:
    """A factor file against the set that it would follow; ``base`` is None for the first."""

    set: FactorSet
    base: FactorSet | None
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[ChangedValue, ...]
    unchanged: int


def compare(new: Pack, library: Library, against: str | None = None) -> PackDiff:
    """The changes of ``new`` against a named set, or the one that it follows.

    That is the set of the same id, the one it says it supersedes, or the newest earlier one of
    its kind. ``FactorNotFound`` if a named set does not exist.
    """
    base = _base_of(new, library, against)
    old = {} if base is None else {key_of(row): row for row in base.rows}
    fresh = {key_of(row): row for row in new.rows}
    changed = [
        change
        for key, row in fresh.items()
        if key in old
        for change in _changes(key, old[key], row)
    ]
    both = [key for key in fresh if key in old]
    return PackDiff(
        set=new.set,
        base=None if base is None else base.set,
        added=tuple(key for key in fresh if key not in old),
        removed=tuple(key for key in old if key not in fresh),
        changed=tuple(changed),
        unchanged=len(both) - len({change.row for change in changed}),
    )


def key_of(row: Named) -> str:
    """What makes a row the same row in another edition."""
    if isinstance(row, Grid):
        return f"{row.id}/{row.basis}"
    process = getattr(row, "process", None)
    return row.id if process is None else f"{process}/{row.id}"


def values_of(row: Named) -> dict[str, Any]:
    """The values of a row without its names."""
    written = msgspec.structs.asdict(row)
    return {
        name: value for name, value in written.items() if name not in _NAMES and value is not None
    }


def _base_of(new: Pack, library: Library, against: str | None) -> Pack | None:
    packs = [pack for pack in library.packs if pack.set.kind == new.set.kind]
    by_id = {pack.set.id: pack for pack in packs}
    if against is not None:
        if against not in by_id:
            raise FactorNotFound(
                f'no {new.set.kind} factor set "{against}"', hint=nearest(against, by_id)
            )
        return by_id[against]
    for name in (new.set.id, new.set.supersedes):
        if name in by_id:
            return by_id[name]
    earlier = [pack for pack in packs if _age(pack.set) <= _age(new.set)]
    return max(earlier, key=lambda pack: _age(pack.set), default=None)


def _age(factor_set: FactorSet) -> tuple[int, str]:
    return factor_set.data_year or 0, str(factor_set.valid_from or "")


def _changes(key: str, old: Named, new: Named) -> list[ChangedValue]:
    before, after = values_of(old), values_of(new)
    found = []
    for field in dict.fromkeys((*before, *after)):
        was, now = before.get(field), after.get(field)
        if was != now:
            numbers = isinstance(was, int | float) and isinstance(now, int | float)
            pct = (now / was - 1) * 100 if numbers and was else None
            found.append(ChangedValue(row=key, field=field, old=was, new=now, change_pct=pct))
    return found
