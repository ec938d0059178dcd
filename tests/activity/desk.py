"""A small site without meters, and a desk that enters into its real file."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

from agent.book.activity import SqliteActivity
from agent.book.database import Database
from agent.book.ports import Owner
from agent.config.load import load_site
from agent.config.site import SiteConfig
from agent.core.activity import Origin
from agent.core.activity_read import Desk, Read, read_entry
from agent.core.timebase import local_month
from agent.daemon.activity import enter
from agent.store.database import open_store
from agent.web.activity_view import ActivityOutcome, ActivitySubmission

ZONE = ZoneInfo("Asia/Shanghai")
NOW_MS = 1_795_329_128_000  # 2026-11-22 14:32:08 at UTC+8
OWNER = Owner(site="plant-1", gateway="gw-01")
SITE = """
[site]
id = "plant-1"
[gateway]
id = "gw-01"
[web]
port = {port}
{web}
[store]
path = "gateway.db"
[[area]]
id = "cracking"
[[unit]]
id = "furnaces"
area = "cracking"
[[device]]
id = "f103"
unit = "furnaces"
stage = "reaction"
{more}
"""


def write_site(folder: Path, *, port: int = 0, web: str = "", more: str = "") -> Path:
    path = folder / "site.toml"
    path.write_text(SITE.format(port=port, web=web, more=more), encoding="utf-8")
    return path


def month(number: int, year: int = 2026) -> tuple[int, int]:
    return local_month(year, number, ZONE)


def naphtha(**fields: object) -> dict[str, object]:
    """A good entry, with some fields changed; ``...`` takes one out."""
    entry: dict[str, object] = {
        "kind": "raw-material",
        "item": "石脑油",
        "amount": 1200,
        "unit": "t",
        "period": "2026-03",
        **fields,
    }
    return {name: value for name, value in entry.items() if value is not ...}


def read(**fields: object) -> Read:
    desk = Desk(zone=ZONE, now_ms=NOW_MS, origin=Origin.MANUAL, places=frozenset({"f103"}))
    return read_entry(naphtha(**fields), desk)


class Book:
    """A gateway's file and what is entered into it."""

    def __init__(self, folder: Path) -> None:
        self.config: SiteConfig = load_site(write_site(folder))
        self.database: Database = open_store(folder / "gateway.db")
        self.activity = SqliteActivity(self.database.connection)

    def enter(
        self,
        *entries: dict[str, object],
        now_ms: int = NOW_MS,
        files: dict[str, bytes] | None = None,
        keep_good: bool = False,
        dry_run: bool = False,
    ) -> ActivityOutcome:
        submission = ActivitySubmission(
            entries=entries, files=files or {}, keep_good=keep_good, dry_run=dry_run
        )
        return enter(self.database, OWNER, self.config, submission, now_ms)

    def rows(self) -> int:
        count: int = self.database.connection.execute("SELECT count(*) FROM activity").fetchone()[0]
        return count
