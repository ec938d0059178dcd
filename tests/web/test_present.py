"""Numbers, ages and the chart: what holds for every value."""

from __future__ import annotations

import math
import re
from datetime import timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.language import load_language
from agent.web import chart
from agent.web.chart import PLOT_PX, ChartBar, heights, nice_top, plot_svg
from agent.web.present import NONE, Presenter, number, percent, register, site_zone, unit_label
from agent.web.view import HourBar

SAY = Presenter(text=load_language("en"), zone=timezone(timedelta(hours=8)))
FINITE = st.floats(min_value=-1e12, max_value=1e12)


def parsed(text: str) -> float:
    return float(text.replace("\u00a0", "").replace("\N{MINUS SIGN}", "-"))


@given(FINITE)
def test_a_number_reads_back_to_three_figures(value: float) -> None:
    assert math.isclose(parsed(number(value)), value, rel_tol=5.1e-3, abs_tol=5.1e-4)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, NONE),
        (math.nan, NONE),
        (math.inf, NONE),
        (0.0, "0"),
        (-0.0, "0"),
        (-0.0001, "0.000"),
        (0.1234, "0.123"),
        (15.691, "15.69"),
        (312.44, "312.4"),
        (8123456.7, "8\u00a0123\u00a0457"),
        (-12.5, "\N{MINUS SIGN}12.50"),
    ],
)
def test_numbers_as_they_are_printed(value: float | None, text: str) -> None:
    assert number(value) == text


def test_registers_keep_their_decimals() -> None:
    assert register(120934.12) == "120\u00a0934.12"
    assert register(1000.0) == "1\u00a0000"
    assert register(0.0) == "0"
    assert register(None) == NONE


@given(st.floats(min_value=0, max_value=1))
def test_a_little_never_reads_as_nothing(share: float) -> None:
    text = percent(share)
    assert (text == "0%") == (share == 0)


@given(st.floats(min_value=0, max_value=1e9))
def test_an_age_is_never_overstated(age_s: float) -> None:
    count, unit = SAY.age(age_s).split()
    size = {"s": 1, "min": 60, "h": 3600, "d": 86400}[unit]
    assert int(count) * size <= age_s < (int(count) + 1) * size


def test_units_are_printed_with_their_signs() -> None:
    assert unit_label("Nm3/h") == "Nm³/h"
    assert unit_label("kgCO2e/Nm3") == "kg CO₂e/Nm³"
    assert unit_label("kgCO2e/kWh") == "kg CO₂e/kWh"
    assert unit_label("t/h") == "t/h"
    assert unit_label("") == ""
    assert unit_label("1") == ""


def test_an_unknown_zone_falls_back_to_utc_plus_8() -> None:
    moment = Presenter(text=load_language("en"), zone=site_zone("No/Where")).moment(0)
    assert moment == "1970-01-01 08:00:00"
    assert Presenter(text=load_language("en"), zone=site_zone("Asia/Shanghai")).moment(0) == moment


@given(st.floats(min_value=1e-9, max_value=1e12))
def test_the_scale_reaches_the_largest_value_and_not_far_beyond(largest: float) -> None:
    top = nice_top(largest)
    assert largest <= top * (1 + 1e-12)
    assert top <= largest * 2.5 * (1 + 1e-9)


KG = st.floats(min_value=0, max_value=1e9)


@given(KG, KG, st.none() | KG)
def test_bars_stay_in_the_plot_and_an_estimate_always_shows(
    measured: float, estimated: float, yesterday: float | None
) -> None:
    bar = HourBar(
        start_ms=0,
        measured_kgco2e=measured,
        estimated_kgco2e=estimated,
        complete=True,
        yesterday_kgco2e=yesterday,
    )
    low, hollow, mark = heights(bar, nice_top(chart.largest_hour([bar])))
    assert 0 <= low <= PLOT_PX
    assert 0 <= low + hollow <= PLOT_PX + 2
    assert (hollow > 0) == (estimated > 0)
    assert (mark is None) == (yesterday is None)


def test_the_chart_has_no_style_and_escapes_its_titles() -> None:
    bar = ChartBar(
        hour=3, measured_px=10, estimated_px=5, yesterday_px=20, complete=False, title="<&>"
    )
    svg = str(plot_svg([bar], "title"))
    assert "style" not in svg
    assert "<title>&lt;&amp;&gt;</title>" in svg
    assert len(re.findall(r"<rect", svg)) == 2
    assert 'class="measured running"' in svg
