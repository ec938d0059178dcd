"""Tables to records: what is taken, and how a value that is not is described."""

from __future__ import annotations

from typing import Any

import pytest

from agent.config import sections
from agent.config.faults import Faults, nearest, render_faults
from agent.config.tables import read_table


def _fault(kind: type[sections.Section], key: str, value: Any, **others: Any) -> tuple[str, str]:
    faults = Faults("f")
    assert read_table(kind, {"id": "x", **others, key: value}, "t", faults) is None
    (only,) = (fault for fault in faults.found if fault.path.startswith(f"t.{key}"))
    return only.what, only.hint


@pytest.mark.parametrize(
    ("key", "value", "what", "hint"),
    [
        ("baud", "fast", '"fast" cannot be used', "write an integer from 300 to 921600"),
        ("baud", 9600.5, "9600.5 cannot be used", "write an integer from 300 to 921600"),
        ("baud", True, "true cannot be used", "write an integer from 300 to 921600"),
        ("stop_bits", 3, "3 cannot be used", "write 1 or 2"),
        ("port", [1], "an array cannot be used", "write text in quotes or an integer"),
        ("timeout_s", float("inf"), "inf cannot be used", "write a number above 0"),
        ("trust", 1, "1 cannot be used", "write text in quotes"),
    ],
)
def test_what_a_field_takes(key: str, value: Any, what: str, hint: str) -> None:
    assert _fault(sections.Bus, key, value, driver="modbus-rtu") == (what, hint)


def test_an_integer_serves_as_a_number() -> None:
    faults = Faults("f")
    read = read_table(sections.Bus, {"id": "x", "driver": "d", "timeout_s": 2}, "bus[x]", faults)
    assert read is not None
    assert read.timeout_s == 2.0
    assert faults.found == ()


def test_long_values_are_shortened() -> None:
    what, _ = _fault(sections.Bus, "baud", "9" * 500, driver="d")
    assert len(what) < 100


def test_a_fault_is_one_line_whatever_was_written() -> None:
    faults = Faults("f")
    faults.add("a\nb", "c\td", "e\x1bf")
    assert render_faults(faults.found) == r"f: a\nb: c\td (e\x1bf)"


def test_warnings_come_last() -> None:
    faults = Faults("f")
    faults.add("a", "w", "h", warning=True)
    faults.add("b", "x", "h")
    assert render_faults(faults.found).splitlines() == ["f: b: x (h)", "warning: f: a: w (h)"]
    assert [fault.path for fault in faults.errors] == ["b"]


def test_the_nearest_word_or_all_of_them() -> None:
    assert nearest("evn", ["even", "odd"]) == 'did you mean "even"?'
    assert nearest("zzz", ["even", "odd"]) == "known: even, odd"
    assert nearest("zzz", []) == "none is defined"
