"""Meters that people read, as the site file describes them: what fits, and what is said if not."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config.load import load_site, read_site
from agent.core.manual import Every, Form
from agent.core.model import StreamKind
from agent.core.timebase import HOUR_MS, MINUTE_MS

EXAMPLE = Path(__file__).parents[2] / "config" / "site.example.toml"


def faults_of(tmp_path: Path, **changes: str | None) -> dict[str, str]:
    """Faults of the example with other keys at its manual meter, by path."""
    head, table = EXAMPLE.read_text(encoding="utf-8").split("[[manual]]", 1)
    lines = table.splitlines()
    for key, value in changes.items():
        lines = [line for line in lines if not line.startswith((f"{key} =", f"# {key} ="))]
        if value is not None:
            lines.insert(1, f"{key} = {value}")
    path = tmp_path / "site.toml"
    path.write_text(head + "[[manual]]" + "\n".join(lines), encoding="utf-8")
    _, faults = read_site(path)
    return {fault.path: f"{fault.what} ({fault.hint})" for fault in faults}


def test_the_example_has_a_meter_that_is_read_by_the_shift() -> None:
    site = load_site(EXAMPLE)
    spec = site.manual["manual.steam-old"]
    assert (spec.name, spec.form, spec.stream.kind) == (
        "老蒸汽表",
        Form.REGISTER,
        StreamKind.MANUAL,
    )
    assert (spec.schedule.every, spec.schedule.minutes) == (Every.SHIFT, (0, 480, 960))
    assert (spec.schedule.grace_ms, spec.stream.period_ms) == (120 * MINUTE_MS, 8 * HOUR_MS)
    assert spec.stream == site.streams["manual.steam-old"]


def test_what_is_written_in_kilograms_counts_tonnes(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    text = EXAMPLE.read_text(encoding="utf-8").replace('unit = "t" ', 'unit = "kg" ')
    path.write_text(text, encoding="utf-8")
    stream = load_site(path).manual["manual.steam-old"].stream
    assert (stream.unit, stream.resolution, stream.modulus) == ("t", 0.0001, 1000.0)
    assert stream.max_rate_per_h == 0.04


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"unit": '"°C"'}, "unit", "is no amount"),
        ({"unit": '"kW"'}, "unit", "is no amount"),
        ({"at": '["25:00"]'}, "at[1]", "time of day"),
        ({"every": '"hour"', "at": '["08:00"]'}, "at", "due on the hour"),
        ({"every": '"day"', "at": '["08:00", "20:00"]'}, "at", "one time"),
        ({"form": '"amount"'}, "modulus", "does not wrap"),
        ({"low_per_h": "30"}, "low_per_h", "not below 20"),
        ({"high_per_h": "50"}, "high_per_h", "above max_rate_per_h"),
        ({"load": '"dcs-f103.lod"'}, "load", "dcs-f103 has no point"),
        ({"peers": '["manual.steam-old"]'}, "peers[1]", "the stream itself"),
        ({"peers": '["gas-f103.volume"]'}, "peers[1]", "counts Nm3"),
        ({"peers": '["manual.other"]'}, "peers[1]", "no device or source uses"),
    ],
)
def test_a_fault_is_named_with_what_would_be_right(
    tmp_path: Path, changes: dict[str, str | None], path: str, words: str
) -> None:
    found = faults_of(tmp_path, **changes)
    assert words in found[f"manual[steam-old].{path}"]


def test_a_shift_reading_without_shifts_asks_for_them(tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    head, rest = text.split("[[shift]]", 1)
    path = tmp_path / "site.toml"
    path.write_text(head + "[[manual]]" + rest.split("[[manual]]", 1)[1], encoding="utf-8")
    site, faults = read_site(path)
    assert site is not None
    assert site.manual == {}
    assert "manual[steam-old].at" in {fault.path for fault in faults}
    left_out = [fault.what for fault in faults if fault.warning]
    assert any("stream manual.steam-old of device f103" in what for what in left_out)
