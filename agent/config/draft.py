"""A site file while it is being checked: what was written, and what had to be left out of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from agent.config import sections
from agent.config.faults import Faults, nearest
from agent.config.source_keys import read_now
from agent.config.tables import bare, read_table, show
from agent.core.model import StreamSpec

S = TypeVar("S", bound=sections.Section)


@dataclass(slots=True, eq=False)
class Item(Generic[S]):
    """One table of a list such as ``[[meter]]``; ``root`` is why it is left out, if it is."""

    kind: str
    section: S
    path: str
    table: Mapping[str, Any]
    root: str | None = None

    def is_left_out(self) -> bool:
        return self.root is not None

    @property
    def id(self) -> str:
        return str(getattr(self.section, "id"))  # noqa: B009 - every listed section has an id


class Draft:
    """The lists of a site file, with references looked up and faulty tables left out."""

    def __init__(self, tables: Mapping[str, Any], faults: Faults) -> None:
        self.faults = faults
        self.derived: dict[str, StreamSpec] = {}  # streams that are no point of a meter
        self._items: dict[str, list[Item[Any]]] = {kind: [] for kind in sections.LISTS}
        self._broken: dict[str, dict[str, str]] = {kind: {} for kind in sections.LISTS}
        self._left_out: dict[str, list[str]] = {}
        for kind, section in sections.LISTS.items():
            self._read_list(kind, section, tables.get(kind, []))

    def kept(self, kind: str, section: type[S]) -> Iterator[Item[S]]:
        """The tables of one list that nothing speaks against so far."""
        return (
            item
            for item in list(self._items[kind])
            if item.root is None and isinstance(item.section, section)
        )

    def written(self, kind: str, section: type[S]) -> tuple[Item[S], ...]:
        """Every table of one list that could be read, left out or not, to find all faults."""
        return tuple(item for item in self._items[kind] if isinstance(item.section, section))

    def reject(self, item: Item[Any], key: str, what: str, hint: str) -> None:
        """Note a fault of the table itself, at one of its keys, and leave the table out."""
        path = f"{item.path}.{key}" if key else item.path
        self.faults.add(path, what, hint)
        self.leave_out(item, item.path, quietly=True)

    def leave_out(self, item: Item[Any], root: str, *, quietly: bool = False) -> None:
        """Leave a table out because of the fault at ``root``."""
        if item.root is not None:
            return
        item.root = root
        if not quietly:
            named = item.path == f"{item.kind}[{item.id}]"
            self.miss(root, f"{item.kind} {item.id}" if named else item.path)

    def miss(self, root: str, what: str) -> None:
        """Note that ``what`` cannot be used because of the fault at ``root``."""
        self._left_out.setdefault(root, []).append(what)

    def refer(
        self, item: Item[Any], key: str, kind: str, section: type[S], name: str
    ) -> Item[S] | None:
        """The table that ``item`` names; without it ``item`` is left out too."""
        for target in self.kept(kind, section):
            if target.id == name:
                return target
        root = self.root_of(kind, name)
        if root is not None:
            self.leave_out(item, root)
        else:
            self.reject(item, key, f'unknown {kind} "{name}"', nearest(name, self.names(kind)))
        return None

    def root_of(self, kind: str, name: str) -> str | None:
        """Why a written table is left out; None if it is kept or was never written."""
        for item in self._items[kind]:
            if item.id == name and item.root is not None:
                return item.root
        return self._broken[kind].get(name)

    def names(self, kind: str) -> set[str]:
        """Every id written in one list, faulty tables included."""
        return {item.id for item in self._items[kind]} | set(self._broken[kind])

    def tell_consequences(self) -> None:
        """Warn, once per cause, of what is left out with a faulty table."""
        for root, what in self._left_out.items():
            self.faults.add(
                root,
                f"left out with it: {', '.join(what)}",
                "they come back when it is repaired",
                warning=True,
            )

    def _read_list(self, kind: str, section: type[sections.Section], tables: object) -> None:
        if not isinstance(tables, list):
            self.faults.add(kind, "not a list of tables", f"write [[{kind}]]")
            return
        labels = [_label(table) for table in tables]
        counts = Counter(label for label in labels if label)
        for place, (label, table) in enumerate(zip(labels, tables, strict=True), start=1):
            unique = label is not None and counts[label] == 1
            path = f"{kind}[{label if unique and label else place}]"
            read = read_table(section, read_now(kind, table), path, self.faults)
            if read is not None:
                self._items[kind].append(Item(kind=kind, section=read, path=path, table=table))
            elif label is not None:
                self._broken[kind].setdefault(label, path)

    def check_ids(self, taken: Mapping[str, str]) -> None:
        """Leave out tables whose id is used twice; ``taken`` are ids of single tables."""
        owners: dict[str, Item[Any]] = {}
        for kind, items in self._items.items():
            for item in items:
                first = owners.setdefault(item.id, item)
                place = (
                    taken.get(item.id)
                    or (None if first is item else first.path)
                    or self._broken[kind].get(item.id)
                )
                if place is None:
                    continue
                what = f'id "{item.id}" is used already, by {place}'
                self.reject(item, "id", what, "give each thing of the site an id of its own")
                if first is not item and first.kind == kind:
                    # a reference to this id could mean either
                    self.leave_out(first, item.path)


def _label(table: object) -> str | None:
    name = table.get("id") if isinstance(table, Mapping) else None
    if not isinstance(name, str) or not name:
        return None
    return name if bare(name) == name else show(name)
