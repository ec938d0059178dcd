"""The hourly chart as SVG: percentages across, pixels down, so that no text is ever scaled.

Everything is styled by classes of the stylesheet; no script, no `style` attribute.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from agent.web.view import HourBar

PLOT_PX = 112
TOP_PX = 8
LABELS_PX = 20
HOURS = 24
SMALLEST = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartBar:
    """One hour as it is drawn; heights in pixels, ``title`` is what a pointer shows."""

    hour: int
    measured_px: int
    estimated_px: int
    yesterday_px: int | None
    complete: bool
    title: str


def nice_top(largest: float) -> float:
    """The smallest of 1, 2, 2.5, 5 × 10^n that is not below ``largest``.

    >>> nice_top(23.9), nice_top(0.0), nice_top(1100)
    (25.0, 1.0, 2000.0)
    """
    if not math.isfinite(largest) or largest < SMALLEST:
        return 1.0
    power = 10.0 ** math.floor(math.log10(largest))
    for step in (1.0, 2.0, 2.5, 5.0):
        if largest <= step * power:
            return step * power
    return 10.0 * power


def largest_hour(hours: Sequence[HourBar]) -> float:
    """The largest hourly emission of today and yesterday, in kg."""
    return max(
        (
            max(bar.measured_kgco2e + bar.estimated_kgco2e, bar.yesterday_kgco2e or 0.0)
            for bar in hours
        ),
        default=0.0,
    )


def heights(bar: HourBar, top_kg: float) -> tuple[int, int, int | None]:
    """Pixels of the measured part, the estimated part and yesterday's mark of one hour."""

    def pixels(value_kg: float) -> int:
        return max(0, min(PLOT_PX, round(value_kg / top_kg * PLOT_PX)))

    measured = pixels(bar.measured_kgco2e)
    total = pixels(bar.measured_kgco2e + bar.estimated_kgco2e)
    estimated = total - measured
    if bar.estimated_kgco2e > 0 and estimated < 2:
        estimated = 2
    mark = None if bar.yesterday_kgco2e is None else pixels(bar.yesterday_kgco2e)
    return measured, estimated, mark


def axis_svg(top_label: str, middle_label: str) -> Markup:
    """The scale beside the plot: top, middle and zero."""
    labels = (
        (TOP_PX, top_label),
        (TOP_PX + PLOT_PX // 2, middle_label),
        (TOP_PX + PLOT_PX, "0"),
    )
    texts = "".join(
        f'<text x="100%" y="{y + 4}" text-anchor="end">{escape(label)}</text>'
        for y, label in labels
    )
    height = TOP_PX + PLOT_PX + LABELS_PX
    return Markup(  # noqa: S704  # labels are escaped above
        f'<svg class="axis" width="48" height="{height}" aria-hidden="true">{texts}</svg>'
    )


def plot_svg(bars: Sequence[ChartBar], labelled_by: str) -> Markup:
    """The bars of a day; an hour is a group whose title a pointer shows."""
    floor = TOP_PX + PLOT_PX
    width = 100 / HOURS
    parts = [
        f'<line class="grid" x1="0" x2="100%" y1="{y}" y2="{y}"/>'
        for y in (TOP_PX, TOP_PX + PLOT_PX // 2)
    ]
    parts.extend(_bar(bar, width, floor) for bar in bars)
    parts.append(f'<line class="floor" x1="0" x2="100%" y1="{floor}" y2="{floor}"/>')
    parts.extend(
        f'<text x="{hour * width:.3f}%" y="{floor + 15}">{hour:02d}:00</text>'
        for hour in (0, 6, 12, 18)
    )
    height = floor + LABELS_PX
    return Markup(  # noqa: S704  # numbers only, titles are escaped in _bar
        f'<svg class="plot" width="100%" height="{height}" role="img" '
        f'aria-labelledby="{escape(labelled_by)}">{"".join(parts)}</svg>'
    )


def _bar(bar: ChartBar, width: float, floor: int) -> str:
    left = bar.hour * width
    inset = width * 0.14
    x, w = f"{left + inset:.3f}%", f"{width - 2 * inset:.3f}%"
    running = "" if bar.complete else " running"
    parts = [f"<title>{escape(bar.title)}</title>"]
    if bar.measured_px:
        parts.append(
            f'<rect class="measured{running}" x="{x}" width="{w}" '
            f'y="{floor - bar.measured_px}" height="{bar.measured_px}"/>'
        )
    if bar.estimated_px:
        y = floor - bar.measured_px - bar.estimated_px
        parts.append(
            f'<rect class="estimated" x="{x}" width="{w}" y="{y}" height="{bar.estimated_px}"/>'
        )
    if bar.yesterday_px is not None:
        y = floor - bar.yesterday_px
        parts.append(
            f'<line class="yesterday" x1="{left:.3f}%" x2="{left + width:.3f}%" y1="{y}" y2="{y}"/>'
        )
    return f"<g>{''.join(parts)}</g>"
