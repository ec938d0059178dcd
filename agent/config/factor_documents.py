"""Where a factor is taken from: set, table and row of the library, or the site's own value."""

from __future__ import annotations

from collections.abc import Iterable

from agent.config.factor_rows import Grid, Named
from agent.config.factors import Library
from agent.config.source_factor import USER
from agent.core.model import FactorRef
from agent.core.report.model import FactorDocument

COMPUTED = "computed"  # from a composition or an equation of the site's own


def factor_document(known: Library, ref: FactorRef, row_id: str = "") -> FactorDocument:
    """The document a factor was taken from, by its id «kind/row/…@set» and version.

    ``row_id`` is the row where it is known; the id of a factor need not name it.

    A version that this library does not have, and a factor of the site's own, have no document
    here; their status says so.
    """
    name, _, origin = ref.id.partition("@")
    set_id, _, own = origin.partition("+")
    if set_id == USER:
        return FactorDocument(status=USER)
    for pack in known.packs:
        if pack.set.id != set_id or pack.set.version != ref.version:
            continue
        by_id = (one for one in pack.rows if one.id == row_id)
        row = row_of(pack.rows, name) or next(by_id, None)
        return FactorDocument(
            standard=pack.set.standard,
            edition=pack.set.edition,
            table=pack.set.table,
            row=row.row if row else "",
            name_zh=row.name_zh if row else "",
            name_en=row.name_en if row else "",
            data_year=pack.set.data_year,
            status=USER if own else pack.set.status,
            source=pack.set.source,
        )
    return FactorDocument(status=COMPUTED if ref.version == USER else "")


def row_of(rows: Iterable[Named], name: str) -> Named | None:
    """The row that a factor's name speaks of: a fuel, a grid with its basis, a parameter."""
    kind, *words = name.split("/")
    wanted = {kind, *words[:1], *(f"{kind.replace('_', '-')}-{word}" for word in words[:1])}
    for row in rows:
        if row.id in wanted and not (isinstance(row, Grid) and row.basis not in words):
            return row
    return None
