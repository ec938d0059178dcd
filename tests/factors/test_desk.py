"""Staging and deciding: in order, once, by name, and whole after any interruption."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.book.ports import Owner, Span
from agent.book.sqlite import SqliteBook
from agent.config.factor_install import file_name
from agent.config.factor_pack import open_pack, parsed_sets
from agent.core.errors import ProofError, StoreError, UsageError
from agent.daemon.factor_desk import FactorDesk
from agent.daemon.factor_review import differences, summary_of
from agent.store.database import open_store
from agent.store.factor_packs import StoredPack
from tests.factors.packs import ISSUER_KEY, OTHER_KEY, grid_table, pack, table

ROOT = Path(__file__).resolve().parents[2]
KEYS = [ISSUER_KEY.public, OTHER_KEY.public]
OWNER = Owner(site="plant", gateway="gw")
NOW_MS = 1_795_000_000_000


class Desk(FactorDesk):
    """A desk on a file of its own."""

    def __init__(self, folder: Path) -> None:
        self.database = open_store(folder / "gw.db")
        self.folder = folder / "factors"
        super().__init__(self.database, OWNER, self.folder)

    def put(self, data: bytes, now_ms: int = NOW_MS) -> str:
        opened = open_pack(data, KEYS)
        try:
            self.stage(opened, summary_of(differences(opened)), "/mnt/share", now_ms)
        except ProofError as error:
            self.refuse(opened.hash, str(error), now_ms)
        return opened.hash

    def states(self) -> dict[int, str]:
        return {one.serial: one.state for one in self.packs.all()}

    def codes(self) -> list[str]:
        events = SqliteBook(self.database.connection).events(OWNER, Span(from_ms=0, to_ms=1 << 60))
        return sorted(event.code for event in events)

    def audit(self) -> list[tuple[str, str]]:
        return self.database.connection.execute("SELECT actor, action FROM audit").fetchall()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.database.close()


def test_a_new_pack_waits_and_is_told_once(desk: Desk) -> None:
    digest = desk.put(pack())
    assert desk.put(pack()) == digest
    (stored,) = desk.packs.waiting()
    assert (stored.state, stored.origin, stored.serial) == ("staged", "/mnt/share", 1)
    (change,) = stored.summary
    assert (change["changed"], change["added"], change["removed"]) == (1, 0, 0)
    assert change["changes"][0]["new"] == 0.54
    assert desk.codes() == ["factors.staged"]


def test_an_older_or_doubled_serial_is_refused_and_told_once(desk: Desk) -> None:
    desk.put(pack(serial=5))
    for _ in range(3):
        desk.put(pack(grid_table(0.1), serial=4))
        desk.put(pack(grid_table(0.2), serial=5))
    assert desk.states() == {5: "staged"}
    assert desk.codes() == ["factors.refused", "factors.refused", "factors.staged"]


def test_what_was_rejected_does_not_come_back(desk: Desk) -> None:
    digest = desk.put(pack(serial=5))
    desk.reject(digest[:12], "王工", "地区系数有误", NOW_MS)
    desk.put(pack(serial=5))
    desk.put(pack(grid_table(0.2), serial=4))
    assert desk.states() == {5: "rejected"}
    with pytest.raises(UsageError, match="rejected by 王工"):
        desk.approve(digest, "李工", "", KEYS, NOW_MS)
    assert desk.audit() == [("王工", "factors.reject")]


def test_issuers_count_for_themselves(desk: Desk) -> None:
    desk.put(pack(serial=9))
    desk.put(pack(grid_table(0.3), serial=2, key=OTHER_KEY))
    assert desk.states() == {9: "staged", 2: "staged"}


def test_a_newer_pack_takes_the_place_of_one_it_covers_and_no_other(desk: Desk) -> None:
    desk.put(pack(serial=1))
    desk.put(pack(table("gwp.toml"), serial=2))
    newest = desk.put(pack(grid_table(0.5), serial=3))
    assert desk.states() == {1: "superseded", 2: "staged", 3: "staged"}
    with pytest.raises(UsageError, match="serial 2"):
        desk.approve(newest, "王工", "", KEYS, NOW_MS)
    second = next(one for one in desk.packs.waiting() if one.serial == 2)
    desk.reject(second.hash, "王工", "不适用", NOW_MS)
    desk.approve(newest, "王工", "", KEYS, NOW_MS)


def test_approval_puts_the_files_in_place_once(desk: Desk) -> None:
    digest = desk.put(pack(grid_table(), table("gwp.toml")))
    stored, events = desk.approve(digest[:8], " 王工 ", "按公告", KEYS, NOW_MS)
    assert (stored.state, stored.decided_by, stored.reason) == ("approved", "王工", "按公告")
    assert stored.installed_ms == NOW_MS
    assert [event.code for event in events] == ["factors.approved"]
    for one in parsed_sets(open_pack(pack(grid_table(), table("gwp.toml")), KEYS)):
        assert (desk.folder / file_name(one.set.kind, one.set.id)).exists()
    again, events = desk.approve(digest, "李工", "", KEYS, NOW_MS + 5)
    assert (again, events) == (stored, [])
    assert desk.audit() == [("王工", "factors.approve")]


def test_nothing_is_approved_that_cannot_be_installed(desk: Desk) -> None:
    digest = desk.put(pack())
    desk.folder.write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="cannot be written"):
        desk.approve(digest, "王工", "", KEYS, NOW_MS)
    assert desk.states() == {1: "staged"}
    assert desk.audit() == []


def test_a_key_that_is_no_longer_trusted_approves_nothing(desk: Desk) -> None:
    digest = desk.put(pack())
    with pytest.raises(ProofError, match="does not know"):
        desk.approve(digest, "王工", "", [OTHER_KEY.public], NOW_MS)


@pytest.mark.parametrize("by", ["", "  ", "two\nlines", "x" * 401])
def test_who_decides_must_be_named(desk: Desk, by: str) -> None:
    digest = desk.put(pack())
    with pytest.raises(UsageError):
        desk.approve(digest, by, "", KEYS, NOW_MS)
    with pytest.raises(UsageError):
        desk.reject(digest, "王工", by, NOW_MS)


def test_a_pack_is_found_by_its_first_digits(desk: Desk) -> None:
    digest = desk.put(pack())
    assert desk.packs.find(digest[:8].upper()).hash == digest
    for digits in ("", digest[:7], "0" * 12):
        with pytest.raises(UsageError):
            desk.packs.find(digits)


INTERRUPTED = """
import os, signal, sys
from pathlib import Path
from agent.config import factor_install
from tests.factors import test_desk

point, folder = sys.argv[1], Path(sys.argv[2])

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

desk = test_desk.Desk(folder)
if point == "prepared":
    desk.packs.decide = die
elif point == "decided":
    factor_install._keep_former = factor_install._write_draft = die
    from agent.daemon import factor_desk
    factor_desk.prepare = lambda *_: None
elif point == "half":
    real = Path.replace
    def replace(self, target):
        real(self, target)
        die()
    Path.replace = replace
elif point == "installed":
    desk.packs.mark_installed = die
(waiting,) = desk.packs.waiting()
desk.approve(waiting.hash, "a", "", test_desk.KEYS, test_desk.NOW_MS)
"""


@pytest.mark.parametrize("point", ["prepared", "decided", "half", "installed"])
def test_an_approval_that_is_killed_is_whole_after_it_is_repeated(
    tmp_path: Path, point: str
) -> None:
    desk = Desk(tmp_path)
    files = (grid_table(), table("gwp.toml"))
    digest = desk.put(pack(*files))
    desk.database.close()
    killed = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, point, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    desk = Desk(tmp_path)
    if point == "prepared":
        assert desk.states() == {1: "staged"}
        assert not list(desk.folder.glob("*.toml"))
        desk.approve(digest, "a", "", KEYS, NOW_MS)
    else:
        assert desk.states() == {1: "approved"}
        assert desk.finish(NOW_MS) == [digest]
    found = desk.packs.find(digest)
    assert isinstance(found, StoredPack)
    assert (found.state, found.installed_ms) == ("approved", NOW_MS)
    assert sorted(path.read_bytes() for path in desk.folder.glob("*.toml")) == sorted(files)
    assert desk.codes().count("factors.approved") == len(desk.audit()) == 1
    assert desk.finish(NOW_MS) == []
    desk.database.close()
