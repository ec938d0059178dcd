"""The month's emissions by day as SVG, styled by classes; the same on the page and in print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from markupsafe import Markup, escape

from agent.core.report.model import DayFigures
from agent.web.chart import nice_top
from agent.web.report.words import ReportWords, grouped

PLOT_PX = 150
TOP_PX = 8
LABELS_PX = 20
SCALE_PX = 56
SMALLEST_PX = 2  # an estimated part is never too small to be seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Tonnes to pixels: the top, and how far the plot reaches below zero."""

    top_t: float
    bottom_t: float

    @property
    def floor_px(self) -> int:
        """Where zero lies."""
        return TOP_PX + round(PLOT_PX * self.top_t / (self.top_t + self.bottom_t))

    def pixels(self, tonnes: float) -> int:
        return round(abs(tonnes) / (self.top_t + self.bottom_t) * PLOT_PX)


def scale_of(days: Sequence[DayFigures]) -> Scale:
    """A scale that holds every day, with round ends."""
    totals = [float(day.mass.kgco2e) / 1000 for day in days]
    highest, lowest = max((0.0, *totals)), min((0.0, *totals))
    return Scale(
        top_t=nice_top(highest) if highest > 0 or lowest == 0 else 0.0,
        bottom_t=nice_top(-lowest) if lowest < 0 else 0.0,
    )


def days_svg(days: Sequence[DayFigures], words: ReportWords, labelled_by: str) -> Markup:
    """One bar per day: measured below, estimated above it, hollow and dashed."""
    scale = scale_of(days)
    height = TOP_PX + PLOT_PX + LABELS_PX
    ends = [(TOP_PX, scale.top_t), (scale.floor_px, 0.0)]
    if scale.bottom_t:
        ends.append((TOP_PX + PLOT_PX, -scale.bottom_t))
    elif scale.top_t:
        ends.append((TOP_PX + PLOT_PX // 2, scale.top_t / 2))
    labels = "".join(
        f'<text x="{SCALE_PX - 8}" y="{y + 4}" text-anchor="end">{escape(_label(tonnes))}</text>'
        for y, tonnes in ends
    )
    grid = "".join(
        f'<line class="{"floor" if tonnes == 0 else "grid"}" x1="0" x2="100%" y1="{y}" y2="{y}"/>'
        for y, tonnes in ends
    )
    width = 100 / max(1, len(days))
    bars = "".join(_bar(day, scale, place * width, width, words) for place, day in enumerate(days))
    marks = "".join(
        f'<text x="{(place + 0.5) * width:.3f}%" y="{height - 5}" text-anchor="middle">'
        f"{day.day.day}</text>"
        for place, day in enumerate(days)
        if day.day.day == 1 or day.day.day % 5 == 0
    )
    return Markup(  # noqa: S704  # labels and titles are escaped where they are made
        f'<div class="days-chart"><svg class="axis" width="{SCALE_PX}" height="{height}" '
        f'aria-hidden="true">{labels}</svg>'
        f'<svg class="plot" width="100%" height="{height}" role="img" '
        f'aria-labelledby="{escape(labelled_by)}">{grid}{bars}{marks}</svg></div>'
    )


def _label(tonnes: float) -> str:
    return f"{tonnes:g}".replace("-", "\N{MINUS SIGN}")


def _bar(day: DayFigures, scale: Scale, left: float, width: float, words: ReportWords) -> str:
    total = float(day.mass.kgco2e) / 1000
    estimated = min(float(day.mass.estimated_kgco2e) / 1000, abs(total))
    whole_px = scale.pixels(total)
    estimated_px = scale.pixels(estimated)
    if estimated > 0:
        estimated_px = max(estimated_px, SMALLEST_PX)
    measured_px = max(0, whole_px - estimated_px)
    x, w = f"{left + width * 0.14:.3f}%", f"{width * 0.72:.3f}%"
    title = words.t(
        "report.day_bar",
        day=day.day.isoformat(),
        measured=grouped(Decimal(total) - Decimal(estimated), 3),
        estimated=grouped(estimated, 3),
    )
    parts = [f"<title>{escape(title)}</title>"]
    below = total < 0
    floor = scale.floor_px
    if measured_px:
        y = floor if below else floor - measured_px
        parts.append(f'<rect class="measured" x="{x}" width="{w}" y="{y}" height="{measured_px}"/>')
    if estimated_px:
        y = floor + measured_px if below else floor - measured_px - estimated_px
        parts.append(
            f'<rect class="estimated" x="{x}" width="{w}" y="{y}" height="{estimated_px}"/>'
        )
    return f"<g>{''.join(parts)}</g>"
