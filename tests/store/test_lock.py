"""Two gateways never write to one database."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.core.errors import StoreError
from agent.store.lock import lock_store


def test_the_second_is_told_who_holds_it_and_the_lock_ends_with_its_file(tmp_path: Path) -> None:
    store = tmp_path / "gw.db"
    first = lock_store(store)
    with pytest.raises(StoreError, match=f"process {os.getpid()}"):
        lock_store(store)
    first.close()
    lock_store(store).close()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be locked"):
        lock_store(tmp_path / "no" / "gw.db")
