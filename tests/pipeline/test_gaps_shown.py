"""What people and programs are told of gaps: `tanshu gaps list`, the event, its words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.cli.main import main
from agent.config.language import load_language
from agent.core.gaps.booked import GapFill
from agent.core.gaps.by_balance import METHOD
from agent.core.gaps.methods import METHODS
from agent.core.model import Event, Severity
from agent.store.database import open_store
from agent.store.gaps import GapFills
from agent.web.event_text import event_detail
from agent.web.present import Presenter, site_zone
from tests.pipeline import site

DAY_MS = 86_400_000
START_MS = 1_794_960_000_000  # 2026-11-18T00:00:00Z
FILL = GapFill(
    stream="a.energy",
    unit="kWh",
    start_ms=START_MS,
    end_ms=START_MS + DAY_MS,
    windows=24,
    total_known=False,
    method="residual-analogue+regression",
    total=1234.5,
    lower=1200.25,
    upper=1268.75,
    score_pct=3.21,
    calibration=64,
    matched=((START_MS - 7 * DAY_MS, START_MS - 6 * DAY_MS),),
)
REFUSED = GapFill(
    stream="b.energy",
    unit="kWh",
    start_ms=START_MS + DAY_MS,
    end_ms=START_MS + 3 * DAY_MS,
    windows=48,
    total_known=False,
    method="none",
    provisional=True,
    reason="condition never seen: c.grade",
)


@pytest.fixture
def site_file(tmp_path: Path) -> Path:
    path = tmp_path / "site.toml"
    path.write_text(site.SITE.replace("@energy@", site.ENERGY), encoding="utf-8")
    database = open_store(tmp_path / "tanshu.db")
    with database.transaction() as connection:
        fills = GapFills(connection)
        fills.keep(FILL, START_MS)
        fills.keep(REFUSED, START_MS)
    database.close()
    return path


def listed(site_file: Path, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["gaps", "list", "--config", str(site_file), "--days", "4000", *more])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_the_table_tells_total_interval_method_and_score(
    site_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = listed(site_file, capsys)
    for word in ("1234.5 kWh", "1200.25 to 1268.75", "residual-analogue", "3.2 %", "64"):
        assert word in out
    assert "2026-11-11 08:00" in out  # the analogue, in the site's time
    assert "condition never seen: c.grade" in out
    assert "(still open)" in out


def test_json_has_every_field(site_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gaps = json.loads(listed(site_file, capsys, "--json", "--stream", "a.energy"))["gaps"]
    assert len(gaps) == 1
    assert gaps[0]["start"] == "2026-11-18T00:00:00.000Z"
    assert gaps[0]["total"] == 1234.5
    assert gaps[0]["matched"][0]["start"] == "2026-11-11T00:00:00.000Z"


def test_a_longer_look_at_an_open_gap_takes_the_place_of_the_shorter(tmp_path: Path) -> None:
    database = open_store(tmp_path / "tanshu.db")
    with database.transaction() as connection:
        fills = GapFills(connection)
        for hours in (20, 24):
            kept = GapFill.from_record({**FILL.as_record(), "end_ms": START_MS + hours * 3_600_000})
            fills.keep(kept, START_MS)
        assert fills.between(0, 1 << 60) == [FILL]
    database.close()


@pytest.mark.parametrize(
    ("fill", "code", "words"),
    [
        (FILL, "gap.filled", "1\xa0234 kWh by regression and similar times + regression on"),
        (REFUSED, "gap.refused", "condition never seen: c.grade"),
    ],
)
def test_the_event_is_told_in_words(fill: GapFill, code: str, words: str) -> None:
    event = Event(
        time_ms=fill.end_ms,
        code=code,
        subject=fill.stream,
        severity=Severity.INFO,
        detail=json.dumps(fill.as_record()),
    )
    say = Presenter(text=load_language("en"), zone=site_zone("Asia/Shanghai"))
    assert words in event_detail(event, say)


@pytest.mark.parametrize(
    ("method", "shown"),
    [
        ("filled:residual-analogue+line", "推算方法 工况回归加相似时段 + 缺口两端连线"),
        ("provisional:calendar", "缺口未结束，暂按 历史同期"),
        ("register:line-by-load", "表底差 按负荷连线"),
        ("refused:condition never seen: c.grade", "未填补： 工况从未出现过：c.grade"),
        ("refused:something else", "未填补： something else"),
        ("formula:1a2b", "计算公式 1a2b"),
    ],
)
def test_a_method_is_told_in_the_readers_language(method: str, shown: str) -> None:
    say = Presenter(text=load_language("zh-CN"), zone=site_zone("Asia/Shanghai"))
    assert say.method(method) == shown


def test_every_family_of_methods_has_a_name() -> None:
    families = {method.family for method in METHODS.values()} | {"stop", "check-meter", METHOD}
    for code in ("zh-CN", "en"):
        text = load_language(code)
        assert all(f"method.by.{family}" in text.texts for family in families)
