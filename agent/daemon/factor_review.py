"""What a factor file or pack would change: in the library, and in what is booked."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.book.database import sqlite3
from agent.book.ports import Owner
from agent.config.factor_diff import PackDiff, compare
from agent.config.factor_pack import FactorPack, parsed_sets
from agent.config.factors import SITE_FACTORS, site_factors_dir, usable_library
from agent.config.load import read_site
from agent.core.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from agent.pipeline.recalculate import MonthChange

MOST_CHANGES = 20  # of one set, in its summary


def differences(pack: FactorPack) -> tuple[PackDiff, ...]:
    """Each set of a pack against the one that it follows in the library as it is now.

    Raises:
        ConfigError: a factor file in the pack has faults.
        ProofError: the pack holds another set than it says.
    """
    library, _ = usable_library()
    return tuple(compare(one, library) for one in parsed_sets(pack))


def summary_of(changes: Sequence[PackDiff]) -> list[dict[str, Any]]:
    """The changes of each set in numbers, with its first changed values."""
    return [
        {
            "kind": one.set.kind,
            "id": one.set.id,
            "version": one.set.version,
            "base": None if one.base is None else one.base.id,
            "changed": len({change.row for change in one.changed}),
            "added": len(one.added),
            "removed": len(one.removed),
            "unchanged": one.unchanged,
            "changes": [asdict(change) for change in one.changed[:MOST_CHANGES]],
        }
        for one in changes
    ]


def foreseen(site: Path, folder: Path, files: Mapping[str, bytes]) -> list[MonthChange]:
    """Differences per source and month with the files imported; nothing is written.

    Raises:
        StoreError: the gateway has no database yet.
        ConfigError: the site file cannot be used with them.
    """
    with _candidate(folder, files):
        return _foreseen(site)


def _foreseen(site: Path) -> list[MonthChange]:
    """Differences per source and month under the factors that there are now."""
    from agent.pipeline.period_preview import preview_periods
    from agent.pipeline.recalculate import preview

    config, faults = read_site(site)
    if config is None:
        raise ConfigError(tuple(fault for fault in faults if not fault.warning))
    store = config.path.parent / config.store.path
    if not store.exists():
        raise StoreError(
            "there is no database yet", where=str(store), hint="import without --recalculate"
        )
    connection = sqlite3.connect(f"{store.resolve().as_uri()}?mode=ro", uri=True)
    try:
        owner = Owner(site=config.site.id, gateway=config.gateway.id)
        changes = preview(config, owner, connection)
        return changes + preview_periods(config, owner, connection)
    finally:
        connection.close()


def foreseen_of(site: Path, pack: FactorPack) -> list[MonthChange]:
    """Differences per source and month with a pack approved."""
    files = {file.name: file.content for file in pack.sets}
    return foreseen(site, site_factors_dir(), files)


@contextmanager
def _candidate(folder: Path, files: Mapping[str, bytes]) -> Iterator[None]:
    """The library as it would be with the files imported, in this process."""
    before = os.environ.get(SITE_FACTORS)
    with tempfile.TemporaryDirectory() as copy:
        for known in folder.glob("*.toml"):
            shutil.copy(known, copy)
        for name, content in files.items():
            (Path(copy) / name).write_bytes(content)
        os.environ[SITE_FACTORS] = copy
        try:
            yield
        finally:
            del os.environ[SITE_FACTORS]
            if before is not None:
                os.environ[SITE_FACTORS] = before
