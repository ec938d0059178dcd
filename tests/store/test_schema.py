"""The committed schema snapshots are what the migrations build."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.book.database import Database, schema_text
from agent.ledger.database import open_ledger
from agent.store.database import open_store

AGENT = Path(__file__).resolve().parents[2] / "agent"


@pytest.mark.parametrize(
    ("opened", "snapshot"),
    [(open_store, "store/schema.sql"), (open_ledger, "ledger/schema.sql")],
    ids=["gateway", "ledger"],
)
def test_snapshot_is_current(opened: type[Database], snapshot: str, tmp_path: Path) -> None:
    database = opened(tmp_path / "new.db")
    built = schema_text(database)
    database.close()
    committed = (AGENT / snapshot).read_text(encoding="utf-8")
    assert built == committed, "run scripts/schema and commit what it writes"
    assert built.count("CREATE TABLE") > 5
