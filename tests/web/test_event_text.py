"""Details of events as sentences: made by the code that books them, read by the page."""

from __future__ import annotations

import json

import numpy as np
import pytest

from agent.config.language import LANGUAGES, load_language
from agent.core.model import Event, Severity, StreamKind, StreamSpec
from agent.core.windows import close_windows
from agent.web.event_text import event_detail
from agent.web.present import Presenter, site_zone

MINUTE_MS = 60_000
ENERGY = StreamSpec(
    id="em-1.energy",
    kind=StreamKind.COUNTER,
    quantity="energy",
    unit="kWh",
    resolution=0.1,
    modulus=None,
    max_rate_per_h=600.0,
    period_ms=MINUTE_MS,
    load=None,
)


def say(language: str) -> Presenter:
    return Presenter(text=load_language(language), zone=site_zone("Asia/Shanghai"))


def said(code: str, detail: str, language: str = "en") -> str:
    event = Event(time_ms=0, code=code, subject="em-1", severity=Severity.INFO, detail=detail)
    return event_detail(event, say(language))


def booked_events() -> dict[str, Event]:
    """The events of a meter with a gap of 20 minutes, a step back, and a fall to zero."""
    numbers = np.array([n for n in range(61) if not 10 < n < 30])
    registers = 1000.0 + numbers
    registers[numbers == 5] = 1003.9
    registers[numbers >= 40] -= 1040.0
    closing = close_windows(
        ENERGY,
        None,
        numbers.astype(np.int64) * MINUTE_MS,
        registers,
        until_ms=60 * MINUTE_MS,
        length_ms=15 * MINUTE_MS,
        loads=None,
        max_gap_ms=5 * MINUTE_MS,
    )
    return {event.code: event for event in closing.events}


@pytest.mark.parametrize("language", LANGUAGES)
def test_events_as_they_are_booked_become_sentences(language: str) -> None:
    events = booked_events()
    assert set(events) == {"gap.opened", "gap.closed", "counter.jitter", "counter.reset"}
    for event in events.values():
        text = event_detail(event, say(language))
        assert text
        assert "=" not in text
    closed = event_detail(events["gap.closed"], say(language))
    assert "20 kWh" in closed
    assert "1039 kWh → 0 kWh" in event_detail(events["counter.reset"], say(language))
    if language == "zh-CN":
        assert closed.startswith("历时 20 分")


def test_a_recalculation_is_told_without_its_json() -> None:
    detail = {"month": "2026-10", "windows": 2976, "before_kgco2e": 1234.5, "after_kgco2e": None}
    text = said("emissions.recalculated", json.dumps(detail))
    assert text == "2026-10: 2976 windows, 1\u00a0234 → — kg CO₂e"


def test_a_silent_meter_and_a_reload() -> None:
    detail = "rs485-1/em-1: no reply (check power, wiring, slave address and baud rate)"
    assert said("meter.dead", detail, "zh-CN").startswith("rs485-1/em-1：请求无应答")
    assert "buses restarted: —" in said("config.reloaded", "9f2c → 41d0, restarted: ")


@pytest.mark.parametrize(
    ("code", "detail"),
    [
        ("vendor.special", "left=right"),
        ("meter.dead", "rs485-1/em-1: wrong function code"),
        ("gap.closed", "duration_s=long amount=1 unit=kWh"),
        ("gap.closed", "100→0"),
        ("counter.reset", "100→0"),
        ("counter.jitter", ""),
        ("emissions.recalculated", "[1, 2]"),
        ("emissions.recalculated", '{"month": "2026-10"}'),
        ("config.reloaded", "by hand"),
    ],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_what_has_another_form_is_shown_as_it_is(code: str, detail: str, language: str) -> None:
    assert said(code, detail, language) == detail
