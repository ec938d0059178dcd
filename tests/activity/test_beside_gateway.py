"""The command line beside a running gateway: through its API, never into its open file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.cli.activity_door import refuse_if_open
from agent.core.errors import StoreError
from agent.store.database import open_store
from tests.activity.desk import write_site

ROOT = Path(__file__).resolve().parents[2]
HANG_S = 60.0  # only a guard against a test that would never end
NAPHTHA = ("activity", "add", "原料", "石脑油")


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "agent.cli.main", *words]


def tanshu(folder: Path, *words: str, site: str = "site.toml") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words, "--config", str(folder / site)),
        cwd=ROOT,
        env={**os.environ, "http_proxy": "http://127.0.0.1:9"},  # never asked
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )


@contextmanager
def running(folder: Path, *, web: str = "") -> Iterator[int]:
    """A gateway process; gives the port of its page, or 0 without one."""
    site, port_file = write_site(folder, web=web), folder / "port"
    with (folder / "gateway.log").open("wb") as log:
        process = subprocess.Popen(
            command("run", "--config", str(site), "--port-file", str(port_file)),
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
    try:
        limit = time.monotonic() + HANG_S
        ready = port_file if not web else folder / "enrolment.json"
        while not ready.exists():
            assert process.poll() is None, (folder / "gateway.log").read_text()
            assert time.monotonic() < limit, "the gateway did not start"
            time.sleep(0.05)
        yield 0 if web else int(port_file.read_text())
    finally:
        process.terminate()
        process.wait(HANG_S)


def wait_for_trust(folder: Path, site: str) -> subprocess.CompletedProcess[str]:
    """The first entry, tried again until the gateway has looked at its clock."""
    limit = time.monotonic() + HANG_S
    while True:
        words = (*NAPHTHA, "1200", "t", "--period", "2026-03", "--author", "王工", "--json")
        done = tanshu(folder, *words, site=site)
        if done.returncode == 0 or time.monotonic() > limit:
            return done
        assert "clock" in done.stdout, done.stdout
        time.sleep(0.2)


def test_entries_go_through_the_running_gateway_and_else_into_the_file(tmp_path: Path) -> None:
    (tmp_path / "bill.pdf").write_bytes(b"bill")
    with running(tmp_path) as port:
        # the same site, as it stands where the port is written in the file
        text = (tmp_path / "site.toml").read_text(encoding="utf-8")
        (tmp_path / "fixed.toml").write_text(text.replace("port = 0", f"port = {port}"))
        first = wait_for_trust(tmp_path, "fixed.toml")
        assert json.loads(first.stdout)["store"] == f"http://127.0.0.1:{port}", first.stdout
        # without the port nobody can be asked, and the file is not touched beside the gateway
        blind = tanshu(tmp_path, *NAPHTHA, "1300", "t", "--period", "2026-03")
        assert blind.returncode == 1
        assert "in use" in blind.stderr
        assert len(blind.stderr.splitlines()) == 1
        named = tanshu(
            tmp_path, *NAPHTHA, "1300", "t", "--period", "2026-03",
            "--evidence", str(tmp_path / "bill.pdf"), "--url", f"http://127.0.0.1:{port}",
        )  # fmt: skip
        assert named.stdout.startswith("revised activity.raw-material.石脑油 revision 1")
        faulty = tanshu(tmp_path, *NAPHTHA, "-1", "t", site="fixed.toml")
        assert faulty.returncode == 2  # an option, to the shell
        faulty = tanshu(tmp_path, "activity", "add", "原料", "石脑油", "x", "t", site="fixed.toml")
        assert (faulty.returncode, len(faulty.stderr.splitlines())) == (3, 2)
        listed = tanshu(tmp_path, "activity", "list", "--json")
        assert json.loads(listed.stdout)["amount"] == 1300.0
    after = tanshu(tmp_path, *NAPHTHA, "--retire", "--period", "2026-03", site="fixed.toml")
    assert after.stdout.startswith("retired"), after.stderr
    assert str(tmp_path / "gateway.db") in after.stdout
    history = tanshu(
        tmp_path, "activity", "list", "--json", "--stream", "activity.raw-material.石脑油"
    )
    rows = [json.loads(line) for line in history.stdout.splitlines()]
    assert [(row["revision"], row["amount"]) for row in rows] == [
        (0, 1200.0),
        (1, 1300.0),
        (2, None),
    ]
    assert [row["author"] for row in rows] == ["王工", "", ""]
    assert tanshu(tmp_path, "activity", "list", "--csv").stdout.count("\n") == 1
    assert [path.name for path in (tmp_path / "evidence").iterdir()] == [rows[1]["evidence_sha256"]]


def test_a_gateway_without_a_page_keeps_its_file_to_itself(tmp_path: Path) -> None:
    with running(tmp_path, web="enabled = false"):
        refused = tanshu(tmp_path, *NAPHTHA, "1200", "t", "--period", "2026-03")
        assert refused.returncode == 1
        assert "in use" in refused.stderr
    done = tanshu(tmp_path, *NAPHTHA, "1200", "t", "--period", "2026-03")
    assert done.returncode == 0, done.stderr


def test_an_address_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    write_site(tmp_path)
    words = (*NAPHTHA, "1", "t", "--period", "2026-03", "--url", "http://127.0.0.1:9")
    refused = tanshu(tmp_path, *words)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
    assert not (tmp_path / "gateway.db").exists()


def test_another_gateway_at_that_port_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with running(tmp_path / "other") as port:
        text = write_site(tmp_path, port=port).read_text(encoding="utf-8")
        (tmp_path / "site.toml").write_text(text.replace("gw-01", "gw-02"), encoding="utf-8")
        done = tanshu(tmp_path, *NAPHTHA, "1200", "t", "--period", "2026-03", "--json")
        assert json.loads(done.stdout)["store"] == str(tmp_path / "gateway.db")
    assert tanshu(tmp_path / "other", "activity", "list", "--json").stdout == ""


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "gateway.db").write_bytes(b"no database at all, but long enough to be looked at")
    with pytest.raises(StoreError):
        refuse_if_open(tmp_path / "gateway.db")
    open_store(tmp_path / "free.db").close()
    refuse_if_open(tmp_path / "free.db")


def test_listing_before_anything_was_stored_says_so(tmp_path: Path) -> None:
    write_site(tmp_path)
    refused = tanshu(tmp_path, "activity", "list")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
