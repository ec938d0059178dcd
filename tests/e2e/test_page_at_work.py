"""The page of a running gateway in a real Chromium: every device with value, unit, quality, age."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Needs
from tests.e2e.plant_site import PlantSite
from tests.web.browser import Browser

WORDS = {
    "zh-CN": {"good": "良好", "dead": "无应答"},
    "en": {"good": "Good", "dead": "No answer"},
}
ROWS = """[...document.querySelectorAll('table.devices tbody tr:not(.group)')].map((row) => ({
  name: row.querySelector('th').innerText, value: row.querySelector('.value').innerText,
  age: row.querySelector('.age').innerText, quality: row.querySelector('.quality').innerText,
  now: row.querySelector('.now').innerText, today: row.querySelector('.today').innerText }))"""


@pytest.fixture(scope="module")
def browser(needs: Needs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(needs("chromium"), tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_every_device_stands_on_the_page(
    browser: Browser, standing_site: PlantSite, tmp_path: Path, language: str
) -> None:
    browser.open(f"{standing_site.url}/?lang={language}")
    assert browser.evaluate("document.documentElement.lang") == language
    shown = {row["name"].split("\n")[0]: row for row in browser.evaluate(ROWS)}
    devices = standing_site.get("/api/v1/devices")["devices"]
    assert len(shown) == len(devices) == 10
    for device in devices:
        row = next(row for name, row in shown.items() if name.startswith(device["name"]))
        assert any(digit in row["value"] for digit in "0123456789"), row
        assert row["value"].split()[-1] in {"kW", "Nm³/h", "GJ/h", "t/h", "kg/h"}, row
        assert row["age"].strip(), row
        assert any(digit in row["now"] for digit in "0123456789"), row
        assert any(digit in row["today"] for digit in "0123456789"), row
        words = WORDS[language]
        assert words["dead" if device["id"] == "f103" else "good"] in row["quality"], row
    browser.screenshot(tmp_path / f"overview-{language}.png", full=True)
    assert browser.complaints() == []
    assert browser.evaluate("document.documentElement.scrollWidth") <= 1440


def test_values_move_by_themselves(browser: Browser, standing_site: PlantSite) -> None:
    browser.open(f"{standing_site.url}/?lang=en")
    clock = "document.querySelector('.clock').textContent"
    value = "document.querySelector('[data-live=\"device.crusher.value\"]').textContent"
    before, first = browser.evaluate(clock), browser.evaluate(value)
    browser.until(f"{clock} !== '{before}'")
    browser.until(f"{value} !== '{first}'")
    assert browser.complaints() == []


@pytest.mark.parametrize("path", ["/devices/f103", "/buses", "/delivery", "/events"])
@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_the_other_pages_are_quiet(
    browser: Browser, standing_site: PlantSite, tmp_path: Path, path: str, language: str
) -> None:
    browser.open(f"{standing_site.url}{path}?lang={language}")
    assert browser.evaluate("document.documentElement.lang") == language
    assert browser.complaints() == []
    browser.screenshot(tmp_path / f"{path.strip('/').replace('/', '-')}-{language}.png", full=True)
    text = browser.evaluate("document.body.innerText")
    assert "None" not in text
    assert "undefined" not in text
