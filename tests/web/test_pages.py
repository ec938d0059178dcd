"""The pages as a browser without JavaScript gets them."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from asgi_call import get
from starlette.applications import Starlette
from web_plant import BROKEN, EMPTY, FRESH, RICH, FakeView

from agent.web.assets import load_assets
from agent.web.view import DeviceDetail, Snapshot

PAGES = (
    "/",
    "/devices/f103",
    "/devices/k301",
    "/buses",
    "/delivery",
    "/events",
    "/reports",
    "/factors",
    "/reports/2026-10",
)
VOID = {"meta", "link", "br", "hr", "input", "img"}


class Checked(HTMLParser):
    """Collects what a page consists of, and every breach of a rule."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []
        self.ids: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "style" or name.startswith("on"):
                self.faults.append(f"<{tag} {name}> is barred by the policy")
            if name in {"href", "src"} and value and re.match(r"(?i)[a-z]+:|//", value):
                self.faults.append(f"{value} is not ours")
        if "id" in attributes:
            self.ids.append(attributes["id"] or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes nothing")

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in {"script", "style"} and data.strip():
            self.faults.append(f"inline <{self.open[-1]}>")
        if data.strip():
            self.words.append(data.strip())


def checked(page: str) -> Checked:
    parser = Checked()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


@pytest.mark.parametrize("language", ["zh-CN", "en"])
@pytest.mark.parametrize(
    "snapshot", [RICH, FRESH, BROKEN, EMPTY], ids=["rich", "fresh", "broken", "empty"]
)
async def test_every_page_is_sound_html(
    app: Starlette, view: FakeView, snapshot: Snapshot, language: str
) -> None:
    view.current = snapshot
    for path in PAGES:
        answer = await get(app, f"{path}?lang={language}")
        if path.startswith("/devices/") and not snapshot.devices:
            assert answer.status == 404
            continue
        assert answer.status == 200, path
        page = checked(answer.text)
        assert page.faults == []
        assert len(set(page.ids)) == len(page.ids)
        names = [tag for tag, _ in page.tags]
        assert names.count("h1") == 1
        assert {"header", "nav", "main", "footer"} <= set(names)
        assert page.tags[0][1]["lang"] == language
        assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")
        known = set(page.ids)
        for _, attributes in page.tags:
            for name in (attributes.get("aria-labelledby") or "").split():
                assert name in known
        assert "None" not in page.words


async def test_overview_shows_value_unit_quality_age_and_emissions(app: Starlette) -> None:
    text = (await get(app, "/")).text
    for part in ("15.69", "t CO₂e/h", "97.2%", "2.8%", "231.2", "240.9", "−4.0%"):
        assert part in text
    for part in (
        "裂解炉 F-103",
        "3\u00a0143",
        "Nm³/h",
        "1 秒",
        "良好",
        "6\u00a0795",
        "94\u00a0120",
    ):
        assert part in text
    for part in ("无应答", "陈旧", "等待首读", "可疑", "推算 5%", "18 分", "无排放源"):
        assert part in text
    for part in ("RS-485 一号", "6 / 6", "41%", "2 批", "14:32:00", "+3 ms"):
        assert part in text


async def test_a_sum_with_an_unknown_part_says_so(app: Starlette) -> None:
    assert "2\u00a0201 + ?" in (await get(app, "/?lang=en")).text


async def test_nothing_abnormal_is_said_in_words(app: Starlette, view: FakeView) -> None:
    fine = tuple(d for d in RICH.devices if d.id in {"f103", "p201"})
    view.current = replace(RICH, devices=fine, buses=RICH.buses[:1])
    assert "Nothing abnormal" in (await get(app, "/?lang=en")).text


async def test_what_is_wrong_stands_with_its_hint_alarms_first(
    app: Starlette, view: FakeView
) -> None:
    view.current = BROKEN
    text = (await get(app, "/?lang=en")).text
    expected = (
        "Polling or writing stands still",
        "RS-485 一号 is down",
        "plug it in again",
        "合成气压缩机 K-301 does not answer",
        "Target ledger refuses the connection",
        "enrol the gateway",
        "meter[3].reference",
        "add reference = {",
    )
    assert [part for part in expected if part not in text] == []
    assert text.index("refuses the connection") < text.index("has stale data")


async def test_the_device_page_writes_the_arithmetic_out(app: Starlette) -> None:
    text = (await get(app, "/devices/f103?lang=en")).text
    for part in ("785.2 Nm³", "2.16222", "kg CO₂e/Nm³", "natural-gas", "gb-32151.10-2023/1"):
        assert part in text
    for part in ("GB/T 32151.10-2023, table C.1", "1\u00a0698 kg CO₂e", "Short gap, estimated"):
        assert part in text
    assert "−25.0%" in text


async def test_texts_from_outside_are_escaped(app: Starlette) -> None:
    text = (await get(app, "/events")).text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


async def test_delivery_without_a_target_says_that_the_gateway_stands_alone(
    app: Starlette, view: FakeView
) -> None:
    view.current = FRESH
    assert "stands alone" in (await get(app, "/delivery?lang=en")).text
    assert "独立运行" in (await get(app, "/delivery?lang=zh-CN")).text


async def test_language_is_asked_for_then_remembered_then_configured(app: Starlette) -> None:
    assert 'lang="zh-CN"' in (await get(app, "/")).text[:60]
    asked = await get(app, "/?lang=en")
    assert '<html lang="en">' in asked.text
    assert "lang=en" in asked.headers["set-cookie"]
    assert '<html lang="en">' in (await get(app, "/", headers={"cookie": "lang=en"})).text
    odd = await get(app, "/?lang=%3Cb%3E", headers={"cookie": "lang=xx"})
    assert '<html lang="zh-CN">' in odd.text
    assert "set-cookie" not in odd.headers


@pytest.mark.parametrize("path", [*PAGES, "/nope", "/static/app.css", "/api/v1/status", "/healthz"])
async def test_every_answer_carries_the_security_headers(app: Starlette, path: str) -> None:
    headers = (await get(app, path)).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "cache-control" in headers


async def test_faults_of_the_gateway_become_pages_in_the_reader_s_language(
    app: Starlette, view: FakeView
) -> None:
    missing = await get(app, "/devices/none?lang=en")
    assert missing.status == 404
    assert "There is no such page or thing" in missing.text
    assert (await get(app, "/", method="POST")).status == 405
    view.broken = True
    answer = await get(app, "/buses?lang=en")
    assert answer.status == 503
    assert "tanshu.db: cannot be read" in answer.text
    assert "check the disk" in answer.text
    assert checked(answer.text).faults == []


async def test_first_load_stays_within_its_budget(app: Starlette) -> None:
    page = await get(app, "/", headers={"accept-encoding": "gzip"})
    assert page.headers["content-encoding"] == "gzip"
    files = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)
    answers = [await get(app, file, headers={"accept-encoding": "gzip"}) for file in files]
    size = len(page.raw) + sum(len(answer.raw) for answer in answers)
    assert size <= 30_000  # the bar is 60 kB; this leaves room for what is still to come
    assert 2 + len(files) <= 8  # page, files, live stream
    assert all("immutable" in answer.headers["cache-control"] for answer in answers)


async def test_static_files_without_version_or_name(app: Starlette) -> None:
    plain = await get(app, "/static/app.css")
    assert plain.headers["cache-control"] == "no-cache"
    assert plain.raw == load_assets().files["app.css"].plain
    assert (await get(app, "/static/..%2Fapp.py")).status == 404


def _luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(c * 2 for c in digits) if len(digits) == 3 else digits
    channels = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_colours_reach_the_contrast_of_wcag_aa() -> None:
    css = load_assets().files["app.css"].plain.decode()
    palettes = [
        dict(re.findall(r"--([a-z]+): (#[0-9a-f]{3,6})", block))
        for block in re.findall(r":root \{(.*?)\}", css, re.S)
    ]
    light, dark = palettes[0], palettes[1]
    for palette in (light, dark):
        for ground in ("ground", "panel", "raised", "top"):
            for ink in ("ink", "muted"):
                assert _contrast(palette[ink], palette[ground]) >= 4.5, (ink, ground)
        for ground in ("panel", "raised"):
            for ink in ("alarm", "warning", "estimated"):
                assert _contrast(palette[ink], palette[ground]) >= 4.5, (ink, ground)
        assert _contrast(palette["warning"], palette["top"]) >= 4.5
        for mark in ("bar", "estimated", "edge", "focus"):
            assert _contrast(palette[mark], palette["panel"]) >= 3.0, mark
        assert _contrast(palette["bar"], palette["track"]) >= 3.0


async def test_a_source_of_entered_data_shows_its_period_and_what_it_was_made_from(
    app: Starlette, view: FakeView, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = await view.device("f103")
    assert shown is not None
    source = replace(shown.sources[0], id="tar", name="焦油", stream="", period="month")
    emission = replace(
        shown.emissions[0],
        source="tar",
        length_ms=30 * 86_400_000,
        inputs=(("activity.waste.tar-incineration", 1),),
    )

    async def device(name: str) -> DeviceDetail:
        return replace(shown, sources=(source,), emissions=(emission,))

    monkeypatch.setattr(view, "device", device)
    text = (await get(app, "/devices/f103?lang=en")).text
    assert "activity.waste.tar-incineration" in text
    assert re.search(r"\d{4}-\d\d-\d\d [\d:]+ – \d{4}-\d\d-\d\d", text)
