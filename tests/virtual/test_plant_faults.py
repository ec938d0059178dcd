"""Faults as the command line writes them, and when they hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drivers.virtual.definition import default_definition
from drivers.virtual.errors import PlantError
from drivers.virtual.faults import KINDS, Fault, Faults, parse_fault


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dead:em-reactor@10+20", {"from_s": 10.0, "for_s": 20.0}),
        ("dead:em-reactor", {}),
        ("late:rs485-1=300,0.05", {"amount": 300.0, "probability": 0.05}),
        ("late:*", {"amount": 300.0}),
        ("noise:rs485-2=0.01@5", {"probability": 0.01, "from_s": 5.0}),
        ("rollover:em-crusher=12@3", {"amount": 12.0, "from_s": 3.0}),
        ("zero:gas-f103=2", {"amount": 2.0}),
        ("reset:oil-boiler@7.5", {"from_s": 7.5}),
        ("nan:F103.Load+4", {"for_s": 4.0}),
        ("session-loss:dcs@10+5", {"from_s": 10.0, "for_s": 5.0}),
        ("drop:gas", {}),
    ],
)
def test_a_fault_is_read(text: str, expected: dict[str, float]) -> None:
    kind, target = text.split(":")
    target = target.split("=")[0].split("@")[0].split("+")[0]
    assert parse_fault(text) == replace(Fault(kind=kind, target=target), **expected)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("dead", "expected kind:target"),
        ("dead:em-reactor@ten", "expected kind:target"),
        ("dead:em-reactor@1.2.3", "not a number of seconds"),
        ("broken:em-reactor", "no kind 'broken'; choose from dead, late"),
        ("dead:em-nothing", "no target 'em-nothing'; choose from em-crusher"),
        ("dead:em-reactor=3", "takes no parameter"),
        ("late:em-reactor=soon", "after '=' comes milliseconds"),
        ("noise:em-reactor=1.5", "after '=' comes probability"),
        ("noise:em-reactor=0.5,0.5", "after '=' comes probability"),
        ("late:em-reactor=300,7", "after '=' comes milliseconds"),
        ("noise:gas-f103", "does not happen on gas"),
        ("session-loss:rs485-1", "does not happen on rs485-1"),
        ("dead:F103.Load", "only have the fault 'nan'"),
    ],
)
def test_bad_input_gives_one_clear_line(text: str, reason: str) -> None:
    with pytest.raises(PlantError) as caught:
        parse_fault(text)
    assert reason in str(caught.value)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


class Elapsed:
    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def elapsed() -> Elapsed:
    return Elapsed()


@pytest.fixture
def faults(elapsed: Elapsed) -> Faults:
    return Faults(default_definition(), elapsed)


def test_a_fault_holds_in_its_time_and_at_its_target(faults: Faults, elapsed: Elapsed) -> None:
    faults.add("dead:em-reactor@10+20")
    held = []
    for second in range(40):
        elapsed.s = float(second)
        held.append(faults.active("dead", "em-reactor") is not None)
        assert faults.active("dead", "em-column") is None
        assert faults.active("late", "em-reactor") is None
    assert held == [10 <= second < 30 for second in range(40)]


def test_a_bus_stands_for_its_meters(faults: Faults) -> None:
    faults.add("dead:rs485-2")
    assert faults.active("dead", "em-fan") is not None
    assert faults.active("dead", "em-crusher") is None
    faults.add("nan:*")
    assert faults.active("nan", "F103.Load") is not None
    assert faults.active("nan", "em-crusher") is not None


def test_a_fault_switched_on_begins_now(faults: Faults, elapsed: Elapsed) -> None:
    elapsed.s = 100.0
    faults.switch_on("dead:em-fan+5")
    assert faults.active("dead", "em-fan") is not None
    elapsed.s = 105.0
    assert faults.active("dead", "em-fan") is None
    faults.switch_on("late:em-fan")
    faults.switch_on("dead:em-air")
    faults.switch_off(kind="late")
    assert [fault.kind for fault in faults.listed()] == ["dead", "dead"]
    faults.switch_off(target="em-air")
    assert [fault.target for fault in faults.listed()] == ["em-fan"]
    faults.switch_off()
    assert faults.listed() == ()


def test_chance_follows_the_probability(faults: Faults) -> None:
    faults.add("noise:em-fan=0.25")
    struck = sum(faults.strikes("noise", "em-fan") is not None for _ in range(4000))
    assert 850 < struck < 1150


def test_what_happens_once_is_taken_once_per_meter(faults: Faults, elapsed: Elapsed) -> None:
    faults.add("reset:rs485-1@3")
    faults.add("zero:em-air=2")
    assert faults.take("reset", "em-crusher") is None
    elapsed.s = 3.0
    assert faults.take("reset", "em-crusher") is not None
    assert faults.take("reset", "em-crusher") is None
    assert faults.take("reset", "em-column") is not None
    assert [faults.take("zero", "em-air") is not None for _ in range(3)] == [True, True, False]
    faults.switch_on("reset:em-crusher")
    assert faults.take("reset", "em-crusher") is not None


def test_every_kind_can_be_written() -> None:
    for kind, meaning in KINDS.items():
        target = "em-fan" if "rtu" in meaning.buses else "gas" if "tcp" in meaning.buses else "dcs"
        assert parse_fault(f"{kind}:{target}").kind == kind
