"""Every page in a real Chromium: no complaint, no overflow, live values, and without JavaScript."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from browser import Browser
from conftest import Site, serving
from web_plant import BROKEN, EMPTY, FRESH, NOW_MS, RICH, FakeView

from agent.web.view import DeviceState

PAGES = {
    "overview": "/",
    "device": "/devices/f103",
    "dead": "/devices/k301",
    "buses": "/buses",
    "delivery": "/delivery",
    "events": "/events",
    "reports": "/reports",
    "factors": "/factors",
    "report": "/reports/2026-10",
    "missing": "/nope",
}
SIZES = {"desk": (1440, 820), "phone": (390, 844)}

# Every control that a finger may hit, with the size it has on a touch screen.
SMALL_TARGETS = """[...document.querySelectorAll('a, button, summary')].filter(
  (node) => !node.classList.contains('skip') && node.getClientRects().length
            && !node.closest('.headline')
            && node.getBoundingClientRect().height < 43.5).map((node) => node.textContent)"""


@pytest.fixture(scope="module")
def browser(
    needs: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    with Browser(needs("chromium"), tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def served() -> Iterator[Site]:
    with serving(FakeView(), live_period_s=0.2) as site:
        yield site


@pytest.mark.parametrize("language", ["zh-CN", "en"])
@pytest.mark.parametrize("size", SIZES)
def test_pages_are_quiet_and_fit(
    browser: Browser, served: Site, tmp_path: Path, language: str, size: str
) -> None:
    width, height = SIZES[size]
    for name, snapshot in (("rich", RICH), ("fresh", FRESH), ("broken", BROKEN), ("empty", EMPTY)):
        served.view.current = snapshot
        pages = PAGES if name == "rich" else {"overview": "/"}
        for page, path in pages.items():
            browser.open(f"{served.url}{path}?lang={language}", width=width, height=height)
            expected = 404 if page == "missing" else 0
            complaints = [c for c in browser.complaints() if not expected or "404" not in c]
            assert complaints == [], (name, page)
            assert browser.evaluate("document.documentElement.lang") == language
            assert browser.evaluate("document.documentElement.scrollWidth") <= width, (name, page)
            assert len(browser.requests()) <= 8
            browser.screenshot(tmp_path / f"{name}-{page}-{language}-{size}.png", full=True)
    assert len(list(tmp_path.glob("*.png"))) == len(PAGES) + 3


def test_an_old_tablet_shows_everything(browser: Browser, served: Site) -> None:
    served.view.current = RICH
    for width, height in ((1024, 768), (768, 1024), (320, 568)):
        for path in ("/", "/devices/f103", "/buses"):
            browser.open(f"{served.url}{path}?lang=en", width=width, height=height)
            assert browser.evaluate("document.documentElement.scrollWidth") <= width, (path, width)


def test_tables_of_a_device_and_events_are_not_cut_off(browser: Browser, served: Site) -> None:
    served.view.current = RICH
    cut = """[...document.querySelectorAll('.points, .factors, .log, .months')]
      .map((table) => table.closest('.scroll')).filter((box) => box.scrollWidth > box.clientWidth)
      .map((box) => box.textContent)"""
    for width, height in SIZES.values():
        for path in ("/devices/f103", "/events", "/reports"):
            browser.open(f"{served.url}{path}?lang=en", width=width, height=height)
            assert browser.evaluate(cut) == [], (path, width)


def test_the_overview_fits_one_screen(browser: Browser, served: Site) -> None:
    served.view.current = RICH
    browser.open(f"{served.url}/?lang=zh-CN")
    assert (
        browser.evaluate("document.querySelector('.chart').getBoundingClientRect().bottom") <= 820
    )
    assert (
        browser.evaluate("document.querySelector('.watch').getBoundingClientRect().bottom") <= 820
    )


def test_controls_are_large_enough_for_gloves(browser: Browser, served: Site) -> None:
    served.view.current = RICH
    browser.call("Emulation.setTouchEmulationEnabled", enabled=True)
    for path in PAGES.values():
        browser.open(f"{served.url}{path}", width=390, height=844)
        assert browser.evaluate(SMALL_TARGETS) == []
    browser.call("Emulation.setTouchEmulationEnabled", enabled=False)


def test_live_values_and_changed_states_reach_the_page(browser: Browser, served: Site) -> None:
    served.view.current = RICH
    browser.open(f"{served.url}/?lang=en")
    browser.until("document.querySelector('.clock').textContent === '14:32:08'")
    first, *others = RICH.devices
    point = replace(first.points[0], value=2800.0)
    later = replace(RICH.site, now_ms=NOW_MS + 5000)
    served.view.current = replace(
        RICH, site=later, devices=(replace(first, points=(point,)), *others)
    )
    shown = "document.querySelector('[data-live=\"device.f103.value\"]').textContent"
    browser.until(f"{shown} === '2\\u00a0800'")
    browser.until("document.querySelector('.clock').textContent === '14:32:13'")
    browser.evaluate("document.getElementById('chart-table').open = true")
    dead = replace(first, points=(point,), state=DeviceState.DEAD)
    served.view.current = replace(RICH, site=later, devices=(dead, *others))
    browser.until("document.querySelector('#part-abnormal .count').textContent === '4'")
    assert browser.evaluate("document.getElementById('chart-table').open") is True
    assert browser.complaints() == []


def test_a_lost_connection_is_said(browser: Browser) -> None:
    with serving(FakeView(), live_period_s=0.1) as site:
        browser.open(f"{site.url}/?lang=en")
        browser.until("document.querySelector('.clock').textContent === '14:32:08'")
    browser.until("document.getElementById('link').textContent.includes('Connection lost')")


def test_pages_are_useful_without_javascript(browser: Browser, served: Site) -> None:
    served.view.current = RICH
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(f"{served.url}/?lang=en")
        text = browser.evaluate("document.body.innerText")
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
    for part in ("15.69", "裂解炉 F-103", "No answer", "RS-485 一号"):
        assert part in text


def test_dark_is_dark(browser: Browser, served: Site) -> None:
    served.view.current = RICH
    ground = "getComputedStyle(document.body).backgroundColor"
    browser.open(served.url)
    light = browser.evaluate(ground)
    browser.open(served.url, dark=True)
    assert browser.evaluate(ground) != light
