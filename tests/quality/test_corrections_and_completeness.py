"""By command and API: a meter replaced, a reading repaired, and how complete the data are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.types import ASGIApp

from agent.cli.main import main
from agent.core.availability import BookedTime, completeness
from agent.core.gaps.booked import GapFill
from agent.core.model import Provenance, Replacement, Sample
from agent.daemon.assemble import assemble
from agent.daemon.service import Gateway
from agent.store.corrections import Corrections
from agent.store.gaps import GapFills
from agent.store.history import History
from agent.web.app import create_app
from tests.fake_clock import FakeClock
from tests.pipeline import site

HOUR_MS = 3_600_000
START_MS = 1_794_960_000_000  # 2026-11-18T00:00:00Z, 08:00 at the site
AT = "2026-11-18T08:30:00"  # the site's time
AT_MS = START_MS + HOUR_MS // 2


def write_site(folder: Path) -> Path:
    path = folder / "site.toml"
    store = '[store]\npath = "gw.db"\n[web]\nenabled = false\n[[area]]'
    text = site.SITE.replace("@energy@", site.ENERGY).replace("[[area]]", store, 1)
    path.write_text(text.replace("window_s = 60", "window_s = 900"), encoding="utf-8")
    return path


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """Read each second for 100 minutes; 20 of them without meter b."""
    made = Gateway(write_site(tmp_path), FakeClock(START_MS), "boot")
    clock = made.clock
    assert isinstance(clock, FakeClock)
    for second in range(6_000):
        clock.advance(1)
        for meter in ("a", "b"):
            if meter == "b" and 1_800 <= second < 3_000:
                continue
            made.recorder.put(
                [
                    Sample(
                        point=f"{meter}.energy",
                        time_ms=clock.now_ms(),
                        monotonic_ns=clock.monotonic_ns(),
                        value=1000 + second / 100,
                    )
                ]
            )
    made.pipeline.run_due(clock.now_ms())
    yield made
    made.database.close()


@pytest.fixture
def app(gateway: Gateway) -> Starlette:
    view = assemble(gateway, lambda port: None, asyncio.Event())
    return create_app(view, language="en")


async def ask(app: ASGIApp, address: str, content: object = None) -> tuple[int, Any]:
    path, _, query = address.partition("?")
    body = b"" if content is None else json.dumps(content).encode()
    pieces, sent = [body], []

    async def receive() -> dict[str, Any]:
        if not pieces:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": pieces.pop(), "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = {"host": "127.0.0.1:8600", "content-type": "application/json"}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET" if content is None else "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await app(scope, receive, send)
    raw = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], json.loads(raw)


def replaced(**changes: object) -> dict[str, object]:
    fields: dict[str, object] = {
        "kind": "replaced",
        "point": "a.energy",
        "at": AT,
        "by": "李伟",
        "old_end": 1018.0,
        "new_start": 1010.0,
    }
    return {name: value for name, value in {**fields, **changes}.items() if value is not ...}


async def test_a_replacement_over_the_api(app: Starlette, gateway: Gateway) -> None:
    status, body = await ask(app, "/api/v1/corrections", replaced())
    assert (status, body["detail"]) == (
        200,
        "old_end=1018 new_start=1010 unit=kWh at=2026-11-18T00:30:00.000Z by=李伟",
    )
    declared = Corrections(gateway.database.connection).replacements()
    assert declared == {"a.energy": (Replacement(at_ms=AT_MS, old_end=1018.0, new_start=1010.0),)}
    status, body = await ask(
        app, "/api/v1/corrections", replaced(old_end=..., new_start=..., void=True)
    )
    assert status == 200
    assert Corrections(gateway.database.connection).replacements() == {}
    rows = gateway.database.connection.execute("SELECT actor, action FROM audit").fetchall()
    assert rows == [("李伟", "meter.replaced")] * 2


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"point": "a.energie"}, "point"),
        ({"point": "a.load"}, "point"),
        ({"at": "yesterday"}, "at"),
        ({"at": "2027-01-01"}, "at"),
        ({"at": "0001-01-01"}, "at"),
        ({"new_start": 10**400}, "new_start"),
        ({"by": "  "}, "by"),
        ({"old_end": ...}, "old_end"),
        ({"old_end": "1018"}, "old_end"),
        ({"old_end": 1000.0}, "old_end"),  # below what the old meter already read
        ({"new_start": 1030.0}, "new_start"),  # above what the new one read
        ({"value": 3.0}, "value"),
        ({"kind": "lost"}, "kind"),
        ({"colour": "red"}, "colour"),
        ({"void": True}, "old_end"),
        ({"old_end": ..., "new_start": ..., "void": True}, "at"),
    ],
)
async def test_what_contradicts_itself_or_the_readings_is_refused(
    app: Starlette, gateway: Gateway, changes: dict[str, object], where: str
) -> None:
    status, body = await ask(app, "/api/v1/corrections", replaced(**changes))
    assert (status, body["where"]) == (400, where)
    assert body["hint"] is not None
    assert Corrections(gateway.database.connection).replacements() == {}


async def test_a_repair_names_the_nearest_reading_and_keeps_it_as_read(
    app: Starlette, gateway: Gateway
) -> None:
    fields = {"kind": "repaired", "point": "a.energy", "at": "2026-11-18T08:30:00.300", "by": "L"}
    status, body = await ask(app, "/api/v1/corrections", {**fields, "value": 1018.5})
    assert status == 200
    assert body["detail"].startswith("from=1017.99 to=1018.5 unit=kWh at=2026-11-18T00:30:00.000Z")

    def reading() -> list[float]:
        history = History(gateway.database.connection, gateway.readings)
        return list(history.good(["a.energy"], AT_MS, AT_MS + 1)["a.energy"].values)

    assert reading() == [1018.5]
    row = gateway.database.connection.execute(
        "SELECT value FROM readings WHERE key >> 16 = ?", (AT_MS,)
    ).fetchone()
    assert row == (1017.99,)
    assert (await ask(app, "/api/v1/corrections", {**fields, "void": True}))[0] == 200
    assert reading() == []
    assert (await ask(app, "/api/v1/corrections", {**fields, "void": True}))[0] == 400


async def test_completeness_per_stream_meter_and_device(app: Starlette) -> None:
    status, body = await ask(app, "/api/v1/completeness?by=meter")
    assert status == 200
    by_meter = {each["subject"]: each for each in body["periods"]}
    assert by_meter["a"]["complete"] == by_meter["a"]["available"] == 1.0
    assert by_meter["b"]["complete"] == 1.0  # the register kept counting
    assert by_meter["b"]["available"] == pytest.approx(1 - 1_200 / (5 * 900), abs=0.01)
    assert by_meter["a"]["booked_ms"] == 5 * 900_000
    status, body = await ask(app, "/api/v1/completeness?by=device&period=month")
    assert {each["subject"] for each in body["periods"]} == {"da", "db"}
    assert (await ask(app, "/api/v1/completeness?by=tree"))[0] == 400
    assert (await ask(app, "/api/v1/completeness?from=0"))[0] == 400


async def test_gaps_that_were_looked_at(app: Starlette, gateway: Gateway) -> None:
    fill = GapFill(
        stream="b.energy",
        unit="kWh",
        start_ms=AT_MS,
        end_ms=AT_MS + 7_200_000,
        windows=8,
        total_known=False,
        method="line-by-load",
        total=20.0,
        lower=18.0,
        upper=22.0,
    )
    with gateway.database.transaction() as connection:
        GapFills(connection).keep(fill, AT_MS)
    status, body = await ask(app, f"/api/v1/gaps?from={AT_MS}&to={AT_MS + 1}")
    assert status == 200
    assert body["gaps"] == [json.loads(json.dumps(fill.as_record()))]
    status, body = await ask(app, f"/api/v1/gaps?from={AT_MS + 7_200_000}&to={AT_MS + 9_000_000}")
    assert body["gaps"] == []
    assert (await ask(app, "/api/v1/gaps?stream=b.energy"))[0] == 400


def test_a_spike_of_the_load_is_kept_as_read_and_not_counted(gateway: Gateway) -> None:
    clock = gateway.clock
    assert isinstance(clock, FakeClock)
    for second in range(20):
        clock.advance(1)
        value = 300.0 if second == 12 else 90.0
        gateway.take([Sample(point="a.load", time_ms=clock.now_ms(), monotonic_ns=0, value=value)])
        if second % 3 == 0:
            gateway.recorder.flush()
    gateway.recorder.flush()
    connection = gateway.database.connection
    suspect = connection.execute("SELECT value, raw FROM readings WHERE quality = 1").fetchall()
    assert suspect == [(300.0, "spike")]
    assert gateway.recorder.tally.suspect == 1
    now_ms = clock.now_ms()
    good = History(connection, gateway.readings).good(["a.load"], now_ms - 60_000, now_ms + 1)
    assert set(good["a.load"].values) == {90.0}
    rows = connection.execute("SELECT code FROM events WHERE subject = 'a.load'").fetchall()
    assert rows == [("reading.spike",)]


def test_a_counter_is_held_against_the_rate_of_its_meter(tmp_path: Path) -> None:
    """A register that stands still while the power says 100 kW is told, once."""
    path = write_site(tmp_path)
    power = '{ id = "power", unit = "kW", role = "rate", address = 9, type = "u16" },'
    path.write_text(path.read_text("utf-8").replace("points = [", f"points = [{power}"), "utf-8")
    made = Gateway(path, FakeClock(START_MS), "boot")
    clock = made.clock
    assert isinstance(clock, FakeClock)
    for minute in range(200):
        clock.advance(60)
        samples = []
        for back in range(59, -1, -1):
            at_ms = clock.now_ms() - back * 1000
            values = {"a.energy": 500.0, "b.energy": 100 + minute / 0.6, "a.power": 100.0}
            values["b.power"] = 100.0
            samples += [
                Sample(point=point, time_ms=at_ms, monotonic_ns=0, value=value)
                for point, value in values.items()
            ]
        made.take(samples)
        if minute % 15 == 0:
            made.pipeline.run_due(clock.now_ms())
    made.pipeline.run_due(clock.now_ms())
    rows = made.database.connection.execute(
        "SELECT code, subject FROM events WHERE code LIKE 'counter.%'"
    ).fetchall()
    assert rows == [("counter.stuck", "a.energy")]
    made.database.close()


def test_the_command_enters_into_the_file_and_lists_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_site(tmp_path)

    def tanshu(*words: str) -> tuple[object, str]:
        with pytest.raises(SystemExit) as end:
            main([*words, "--config", str(path)])
        said = capsys.readouterr()
        return end.value.code, said.out + said.err

    meter = ("meter", "replaced", "a.energy", "--at", AT, "--by", "Li", "--note", "broken glass")
    assert tanshu(*meter)[0] == 2
    code, said = tanshu(*meter, "--old-end", "1018", "--new-start", "0.2")
    assert (code, "old_end=1018 new_start=0.2" in said) == (0, True)
    code, said = tanshu("meter", "repair", "a.energy", "--at", AT, "--by", "Li", "--void")
    assert (code, "no good reading" in said) == (2, True)
    code, said = tanshu("meter", "list")
    assert (code, "replaced: 1018, then 0.2  Li  broken glass" in said) == (0, True)
    code, said = tanshu("meter", "list", "--json")
    assert (code, json.loads(said)[0]["point"]) == (0, "a.energy")
    (tmp_path / "gw.db").write_bytes(b"no database")
    code, said = tanshu("meter", "list")
    assert (code, "is it a gateway's database?" in said) == (1, True)


def test_a_day_by_hand() -> None:
    """18 h measured, 4 h allocated, 2 h missing."""
    hours = (
        (Provenance.MEASURED, 18, 18),
        (Provenance.ALLOCATED, 4, 0),
        (Provenance.MISSING, 2, 0),
    )
    times = [
        BookedTime(
            stream="em.energy",
            provenance=kind,
            length_ms=length * HOUR_MS,
            covered_ms=covered * HOUR_MS,
        )
        for kind, length, covered in hours
    ]
    (found,) = completeness(times, start_ms=0, end_ms=24 * HOUR_MS)
    assert found.complete == pytest.approx(22 / 24)
    assert found.available == pytest.approx(0.75)
    assert found.missing == pytest.approx(2 / 24)
    (device,) = completeness(
        times, start_ms=0, end_ms=1, subjects={"f103": ["em.energy", "em.energy"], "idle": ["x"]}
    )
    assert device.booked_ms == 24 * HOUR_MS
