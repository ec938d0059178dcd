"""Numbers, ages and times as people read them; pure functions of a language and a time zone."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from agent.config.language import Language
from agent.core.model import PointRole, Quality
from agent.web.gap_text import gap_method
from agent.web.view import DeviceMeter, DeviceState, DeviceView, MeterView, PointView, Problem

NONE = "—"
GROUP = "\N{NO-BREAK SPACE}"
KG_PER_T = 1000.0
TONNES_FROM_KG = 10_000.0

AGES = (("age.days", 86_400), ("age.hours", 3_600), ("age.minutes", 60))

_CUBIC = re.compile(r"(?<=m)3\b")
_GAS = re.compile(r"CO2|CH4|N2O")
_GAS_LABELS = {"CO2": "CO₂", "CH4": "CH₄", "N2O": "N₂O"}

COUNTED_ROLES = (PointRole.RATE, PointRole.COUNTER)
WORST_FIRST = (Quality.MISSING, Quality.SUSPECT, Quality.GOOD)

SHAPES = {
    DeviceState.OK: "",
    DeviceState.ESTIMATED: "",  # drawn: a hollow dashed square
    DeviceState.STALE: "◆",
    DeviceState.DEAD: "▲",
    DeviceState.WAITING: "○",
}


def number(value: float | None, *, decimals: int | None = None) -> str:
    """About four significant figures, thousands grouped; a dash where there is no value."""
    if value is None or not math.isfinite(value):
        return NONE
    if decimals is None:
        size = abs(value)
        decimals = 0 if size >= 1000 or size == 0 else 1 if size >= 100 else 2 if size >= 1 else 3
    rounded = round(value, decimals) or 0.0  # no negative zero
    return f"{rounded:,.{decimals}f}".replace(",", GROUP).replace("-", "\N{MINUS SIGN}")


def signed(value: float | None) -> str:
    """A difference with its sign."""
    return ("+" if value is not None and value > 0 else "") + number(value)


def register(value: float | None, resolution_decimals: int = 3) -> str:
    """A cumulative register with its decimals, trailing zeros dropped."""
    if value is None or not math.isfinite(value):
        return NONE
    text = f"{value:,.{resolution_decimals}f}".rstrip("0").rstrip(".")
    return text.replace(",", GROUP)


def percent(share: float | None, *, decimals: int = 0) -> str:
    """A share of 0..1 in per cent; more than nothing never reads as nothing."""
    if share is None or not math.isfinite(share):
        return NONE
    smallest = 10.0**-decimals
    value = share * 100
    if 0 < value <= smallest / 2:  # half to even: the half, too, would read as nothing
        return f"<{smallest:.{decimals}f}%"
    return f"{number(value, decimals=decimals)}%"


def unit_label(unit: str) -> str:
    """A unit as it is printed: «Nm3» as «Nm³», «kgCO2e» as «kg CO₂e», «1» as nothing."""
    if unit == "1":
        return ""
    text = _GAS.sub(lambda gas: _GAS_LABELS[gas[0]], _CUBIC.sub("³", unit))
    return re.sub(r"\b(kg|t)(?=CO₂|CH₄|N₂O)", r"\1 ", text)


def in_tonnes(*values_kg: float | None) -> bool:
    """Whether a set of masses is better read in tonnes than in kilograms."""
    return any(value is not None and abs(value) >= TONNES_FROM_KG for value in values_kg)


def mass(value_kg: float | None, tonnes: bool) -> str:
    """A mass in the unit that was chosen for its column."""
    if value_kg is None:
        return NONE
    return number(value_kg / KG_PER_T if tonnes else value_kg)


def site_zone(name: str) -> tzinfo:
    """The site's time zone; UTC+8 where the machine does not know the name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return timezone(timedelta(hours=8))


def silent_meters(device: DeviceView) -> tuple[DeviceMeter, ...]:
    """The meters that give a device its bad state; none while all answer."""
    if device.state not in (DeviceState.DEAD, DeviceState.STALE):
        return ()
    return tuple(meter for meter in device.meters if meter.state is device.state)


def value_state(device: DeviceView) -> DeviceState:
    """The state of the meter whose value stands for the device."""
    meter = device.points[0].id.partition(".")[0] if device.points else ""
    return next((known.state for known in device.meters if known.id == meter), device.state)


def counted_quality(device: DeviceView) -> Quality | None:
    """The worst quality of the values a device is counted from; None if it has no points."""
    counted = [point.quality for point in device.points if point.role in COUNTED_ROLES]
    found = counted or [point.quality for point in device.points[:1]]
    return min(found, key=WORST_FIRST.index, default=None)


def device_age_s(device: DeviceView) -> float | None:
    """The age of the value shown; if meters do not answer, that of the longest silence."""
    ages = [meter.age_s for meter in silent_meters(device)]
    if ages:
        return None if None in ages else max(age for age in ages if age is not None)
    return device.points[0].age_s if device.points else None


def digest(value: object) -> str:
    """A short fingerprint of a value's representation."""
    return hashlib.blake2b(repr(value).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Presenter:
    """Says values in one language and one time zone."""

    text: Language
    zone: tzinfo

    def _local(self, time_ms: int) -> datetime:
        return datetime.fromtimestamp(time_ms / 1000, self.zone)

    def time(self, time_ms: int | None) -> str:
        """Local time of day, «14:32:08»."""
        return NONE if time_ms is None else self._local(time_ms).strftime("%H:%M:%S")

    def moment(self, time_ms: int | None) -> str:
        """Local date and time, «2026-11-22 14:32:08»."""
        return NONE if time_ms is None else self._local(time_ms).strftime("%Y-%m-%d %H:%M:%S")

    def machine_time(self, time_ms: int) -> str:
        """ISO 8601 with the site's offset, for `<time datetime>`."""
        return self._local(time_ms).isoformat(timespec="seconds")

    def hour(self, time_ms: int) -> int:
        return self._local(time_ms).hour

    def age(self, age_s: float | None) -> str:
        """An age in its largest whole unit, «18 min»."""
        if age_s is None or not math.isfinite(age_s):
            return NONE
        seconds = max(0, int(age_s))
        for key, size in AGES:
            if seconds >= size:
                return self.text(key, n=seconds // size)
        return self.text("age.seconds", n=seconds)

    def point_value(self, point: PointView | None) -> str:
        if point is None:
            return NONE
        if point.text is not None:
            return point.text
        return register(point.value) if point.role == "counter" else number(point.value)

    def method(self, method: str) -> str:
        """How a window was obtained; what follows a colon tells by which version."""
        if of_gap := gap_method(method, self.text):
            return of_gap
        name, colon, version = method.partition(":")
        return self.text.named("method", name) + (f" {version}" if colon else "")

    def quality(self, device: DeviceView) -> str:
        """The word for a device's data now: its state, or if that is fine the worst quality."""
        quality = counted_quality(device)
        if device.state is DeviceState.OK and quality is not None:
            return self.text(f"quality.{quality}")
        word = self.text(f"state.{device.state}")
        silent = len(silent_meters(device))
        if 0 < silent < len(device.meters):
            return self.text("devices.part", state=word, n=silent, m=len(device.meters))
        return word

    def names(self, meters: Iterable[DeviceMeter | MeterView]) -> str:
        """The names of meters, one after the other."""
        return self.text("list.and").join(meter.name or meter.id for meter in meters)

    def problem(self, problem: Problem) -> tuple[str, str]:
        """What is wrong and what to do, in the reader's language where it is a known problem."""
        if problem.code is None:
            return problem.what, problem.hint
        what = self.text(f"problem.{problem.code}", **problem.values)
        return what, self.text(f"problem_hint.{problem.code}", **problem.values)

    def data_kind(self, estimated_share: float, value: float | None) -> str:
        """How a sum was obtained: measured, or the part of it that is estimated."""
        if value is None:
            return NONE
        if estimated_share <= 0:
            return self.text("provenance.measured")
        return self.text("data.estimated_part", share=percent(estimated_share))
