"""`tanshu db` on what is no database, on wrong SQL and on values that JSON does not know."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.book.database import Database

Tanshu = Callable[..., Any]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "what? #1.db"
    database = Database(path)
    database.connection.execute("CREATE TABLE readings (value REAL, raw BLOB)")
    database.connection.execute("INSERT INTO readings VALUES (9e999, x'0aff')")
    database.close()
    return path


@pytest.mark.parametrize("words", [("query", "SELECT 1"), ("export",), ("export", "readings")])
def test_no_database(words: tuple[str, ...], tmp_path: Path, tanshu: Tanshu) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no database at all\n" * 100, "utf-8")
    for path in (text, tmp_path / "none.db"):
        done = tanshu("db", *words, "--db", path)
        assert (done.code, done.err.count("\n")) == (1, 1)


def test_a_folder_is_wrong_usage(tmp_path: Path, tanshu: Tanshu) -> None:
    done = tanshu("db", "export", "--db", tmp_path)
    assert done.code == 2
    assert "is a directory" in done.err


@pytest.mark.parametrize("sql", ["SELECT 1; SELECT 2", "", "  ", "SELEC", "DELETE FROM readings"])
def test_wrong_sql_is_wrong_usage(sql: str, file: Path, tanshu: Tanshu) -> None:
    done = tanshu("db", "query", sql, "--db", file)
    assert (done.code, done.err.count("\n"), done.out) == (2, 1, "")


def test_json_has_no_infinity(file: Path, tanshu: Tanshu) -> None:
    done = tanshu("db", "query", "SELECT * FROM readings", "--db", file, "--json")
    assert json.loads(done.out) == {"value": None, "raw": "0aff"}
