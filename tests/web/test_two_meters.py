"""A device that is counted from two meters, of which one is silent."""

from __future__ import annotations

from dataclasses import replace

from asgi_call import get
from starlette.applications import Starlette
from web_plant import BUSES, NOW_MS, RICH, FakeView, point

from agent.config.language import load_language
from agent.core.model import Quality
from agent.web.present import Presenter, counted_quality, device_age_s, site_zone, value_state
from agent.web.texts import Scope, page_structure, page_texts
from agent.web.view import (
    DeviceMeter,
    DeviceState,
    DeviceView,
    Problem,
    ProblemCode,
)

GAS = DeviceMeter(id="gas-f103", name="天然气表", state=DeviceState.OK, age_s=0.4)
FAN = DeviceMeter(
    id="em-fan",
    name="风机电表",
    state=DeviceState.DEAD,
    age_s=95.0,
    last_answer_ms=NOW_MS - 95_000,
)
MISSING = point("em-fan.power", "active-power", "kW", None, quality=Quality.MISSING, age_s=95.0)
SAY = Presenter(text=load_language("en"), zone=site_zone("Asia/Shanghai"))


def furnace(state: DeviceState, *meters: DeviceMeter) -> DeviceView:
    first = RICH.devices[0]
    return replace(first, state=state, meters=meters, points=(first.points[0], MISSING))


HALF_DEAD = furnace(DeviceState.DEAD, GAS, FAN)


async def test_the_silent_meter_is_named_with_its_last_reading(
    app: Starlette, view: FakeView
) -> None:
    view.current = replace(RICH, devices=(HALF_DEAD,))
    page = (await get(app, "/?lang=zh-CN")).text
    assert "裂解炉 F-103：风机电表无应答" in page
    assert "最后良好读数 14:30:33" in page
    assert "无应答 1/2" in page
    assert "F-103: no answer from 风机电表" in (await get(app, "/?lang=en")).text


def test_the_row_is_as_old_and_as_good_as_its_worst_meter() -> None:
    assert device_age_s(HALF_DEAD) == 95.0
    assert value_state(HALF_DEAD) is DeviceState.OK  # the value shown is of the other meter
    never = replace(FAN, age_s=None)
    assert device_age_s(furnace(DeviceState.DEAD, GAS, never)) is None
    answering = furnace(DeviceState.OK, GAS, replace(FAN, state=DeviceState.OK))
    assert device_age_s(answering) == answering.points[0].age_s
    assert counted_quality(answering) is Quality.MISSING
    assert SAY.quality(answering) == "Missing"
    assert SAY.quality(furnace(DeviceState.DEAD, FAN)) == "No answer"
    texts = page_texts(Scope.OVERVIEW, replace(RICH, devices=(HALF_DEAD,)), None, SAY)
    assert texts["device.f103.age"] == "1 min"


def test_a_page_is_drawn_anew_when_another_meter_falls_silent() -> None:
    other = furnace(DeviceState.DEAD, replace(GAS, state=DeviceState.DEAD), FAN)
    shown = [
        page_structure(Scope.OVERVIEW, replace(RICH, devices=(device,)), None)
        for device in (HALF_DEAD, other)
    ]
    assert shown[0] != shown[1]


async def test_known_problems_are_told_in_the_language_of_the_reader(
    app: Starlette, view: FakeView
) -> None:
    problem = Problem(
        what="f103-gas has no figure: sums are too low",
        where="f103",
        hint="look at meter gas-f103",
        code=ProblemCode.NO_FIGURE,
        values={"source": "f103-gas", "meter": "gas-f103"},
    )
    view.current = replace(RICH, problems=(problem,))
    page = (await get(app, "/?lang=zh-CN")).text
    assert "排放源 f103-gas 当前没有数值：合计偏低" in page
    assert "检查表计 gas-f103" in page
    assert "has no figure" not in page
    assert "f103-gas has no figure" in (await get(app, "/?lang=en")).text


async def test_a_meter_without_address_shows_its_points(app: Starlette, view: FakeView) -> None:
    meter = replace(BUSES[0].meters[0], address="", points=5)
    view.current = replace(RICH, buses=(replace(BUSES[0], meters=(meter,)),))
    page = (await get(app, "/buses?lang=en")).text
    assert "points: 5" in page
    assert "Requests" in page
    assert "Good reads" in page
    assert "Exchanges" not in page


async def test_a_point_without_a_quantity_shows_its_id_as_such(
    app: Starlette, view: FakeView
) -> None:
    own = point("dcs-f103.output", "output", "t/h", 18.75)
    view.current = replace(RICH, devices=(replace(RICH.devices[0], points=(own,)),))
    page = (await get(app, "/devices/f103?lang=zh-CN")).text
    assert '<span class="code muted">output</span>' in page


async def test_the_document_of_a_factor_stands_beside_it(app: Starlette) -> None:
    page = (await get(app, "/devices/f103?lang=en")).text
    factors = page[page.index('id="part-factors"') :]
    assert "GB/T 32151.10-2023, table C.1" in factors
