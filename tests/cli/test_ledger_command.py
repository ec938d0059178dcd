"""`tanshu ledger` beside missing files, other ledgers and folders of others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.core.chain import SigningKey
from agent.sync.enrolment import enrolment_text
from agent.sync.keys import load_or_create_key

Tanshu = Callable[..., Any]


def _key(folder: Path, name: str) -> SigningKey:
    return load_or_create_key(folder / name)


@pytest.fixture
def enrolled(tmp_path: Path, tanshu: Tanshu) -> Path:
    """A ledger with one gateway; its key is ledger.key beside it."""
    file = tmp_path / "enrolment.json"
    file.write_text(enrolment_text("plant", "gw1", _key(tmp_path, "gw.key").public), "utf-8")
    _key(tmp_path, "ledger.key")
    database = tmp_path / "ledger.db"
    first = tanshu("ledger", "enrol", file, "--db", database)
    assert first.code == 0
    assert f"made a new ledger: {database}" in first.out
    assert "made a new ledger" not in tanshu("ledger", "enrol", file, "--db", database).out
    return database


@pytest.mark.parametrize("words", [("verify",), ("export", "out")])
def test_looking_makes_no_ledger(
    words: tuple[str, ...], tmp_path: Path, tanshu: Tanshu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = tanshu("ledger", *words, "--db", "none.db")
    assert done.code == 1
    assert done.err == "tanshu: none.db: there is no such ledger (name it with --db)\n"
    assert list(tmp_path.iterdir()) == []


def test_a_faulty_enrolment_makes_no_ledger(tmp_path: Path, tanshu: Tanshu) -> None:
    (tmp_path / "enrolment.json").write_text("{}", "utf-8")
    done = tanshu("ledger", "enrol", tmp_path / "enrolment.json", "--db", tmp_path / "ledger.db")
    assert done.code == 1
    assert not (tmp_path / "ledger.db").exists()


def test_export_names_the_missing_key(enrolled: Path, tmp_path: Path, tanshu: Tanshu) -> None:
    out = tmp_path / "out"
    done = tanshu("ledger", "export", out, "--db", enrolled, "--key-file", tmp_path / "none.key")
    assert done.code == 1
    assert "--key-file" in done.err
    assert done.err.count("\n") == 1
    assert not out.exists()


def test_export_keeps_out_of_folders_of_others(
    enrolled: Path, tmp_path: Path, tanshu: Tanshu
) -> None:
    out = tmp_path / "out"
    words = ("ledger", "export", out, "--db", enrolled, "--key-file")
    own = tmp_path / "ledger.key"
    assert tanshu(*words, own).code == 0
    assert tanshu(*words, own).code == 0  # the same ledger again
    _key(tmp_path, "other.key")
    other = tanshu(*words, tmp_path / "other.key")
    assert (other.code, other.err.count("\n")) == (1, 1)
    assert "no earlier export of this ledger" in other.err
    (out / "ledger-key.txt").unlink()
    assert tanshu(*words, own).code == 1
