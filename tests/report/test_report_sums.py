"""What holds for every month: sums agree to the last digit, whatever is grouped how."""

from __future__ import annotations

import math
from decimal import Decimal
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from agent.core.gaps.booked import GapFill
from agent.core.model import FactorRef, Provenance
from agent.core.report.figures import (
    Booked,
    day_figures,
    group_figures,
    half_95_kg,
    totals_of,
)
from agent.core.report.model import SourcePlace, kept, total_of
from agent.core.report.month import Month
from agent.core.report.rounding import rounded_t
from agent.core.report.sums import EmissionRow, WindowRow, gap_half_width, sum_source
from agent.core.timebase import HOUR_MS

ZONE = ZoneInfo("Asia/Shanghai")
MONTH = Month(2026, 2)
SPAN = MONTH.span(ZONE)
FACTORS = [
    FactorRef(id=f"factor/{version}@set", version=str(version), value=1.0, unit="kgCO2e/kWh")
    for version in range(3)
]
KG = st.floats(-1e7, 1e7, allow_nan=False)
STAGES = ("reaction", "separation", "auxiliary")


@st.composite
def emission_rows(draw: st.DrawFn) -> list[EmissionRow]:
    hours = draw(st.lists(st.integers(0, 28 * 24 - 1), unique=True, max_size=30))
    return [
        EmissionRow(
            start_ms=SPAN[0] + hour * HOUR_MS,
            length_ms=HOUR_MS,
            revision=draw(st.integers(0, 2)),
            kgco2=(value := draw(st.none() | KG)),
            kgch4=draw(KG) / 1e4,
            kgn2o=0.0,
            kgco2e=value,
            lower=None,
            upper=None,
            estimated_share=draw(st.sampled_from((0.0, 0.3, 1.0))),
            factor=draw(st.sampled_from(FACTORS)),
        )
        for hour in sorted(hours)
    ]


def place(name: str, device: int, kind: str = "electricity", stream: str = "m.e") -> SourcePlace:
    return SourcePlace(
        id=name,
        name=name,
        kind=kind,
        stream=stream,
        unit_of_stream="kWh",
        share=1.0,
        device=f"d{device}",
        device_name=f"d{device}",
        unit=f"u{device % 2}",
        unit_name="",
        area="a",
        area_name="",
        stage=STAGES[device % 3],
        uncertainty_activity_pct=2.0,
        uncertainty_factor_pct=5.0,
    )


def booked(name: str, device: int, rows: list[EmissionRow], kind: str = "electricity") -> Booked:
    return Booked(
        place=place(name, device, kind),
        sum=sum_source(name, rows, SPAN, ZONE),
        activity=None,
        gap_share=0.0,
    )


MANY = st.lists(
    st.tuples(emission_rows(), st.integers(0, 4), st.sampled_from(("fuel", "electricity"))),
    max_size=6,
)


@given(MANY)
def test_every_grouping_has_the_same_total_to_the_last_digit(
    many: list[tuple[list[EmissionRow], int, str]],
) -> None:
    sources = [booked(f"s{n}", device, rows, kind) for n, (rows, device, kind) in enumerate(many)]
    total = totals_of(sources).mass
    for key in (
        lambda at: at.device,
        lambda at: at.unit,
        lambda at: at.area,
        lambda at: at.stage,
        lambda at: at.kind,
    ):
        groups = group_figures(sources, key, lambda at: "", total.kgco2e)
        assert total_of(group.mass for group in groups) == total
    assert total_of(day.mass for day in day_figures(sources, SPAN, ZONE)) == total
    parts = [part.mass for source in sources for part in source.sum.by_factor]
    assert total_of(parts) == total
    exact = math.fsum(row.kgco2e or 0.0 for rows, _, _ in many for row in rows)
    cells = sum(len(source.sum.by_day) * 3 for source in sources) + 1
    assert abs(total.kgco2e - Decimal(exact)) <= Decimal("0.000001") * cells


@given(MANY, st.randoms(use_true_random=False))
def test_the_order_of_sources_changes_nothing(
    many: list[tuple[list[EmissionRow], int, str]], random: object
) -> None:
    sources = [booked(f"s{n}", device, rows, kind) for n, (rows, device, kind) in enumerate(many)]
    shuffled = list(sources)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert totals_of(sources) == totals_of(shuffled)


@given(emission_rows(), st.sampled_from((0.5, 0.25, 0.75)))
def test_splitting_a_source_keeps_its_total_and_its_range(
    rows: list[EmissionRow], share: float
) -> None:
    def scaled(by: float) -> list[EmissionRow]:
        return [
            EmissionRow(
                start_ms=row.start_ms,
                length_ms=row.length_ms,
                revision=row.revision,
                kgco2=None if row.kgco2 is None else row.kgco2 * by,
                kgch4=0.0,
                kgn2o=0.0,
                kgco2e=None if row.kgco2e is None else row.kgco2e * by,
                lower=None,
                upper=None,
                estimated_share=row.estimated_share,
                factor=row.factor,
            )
            for row in rows
        ]

    whole = [booked("s", 0, scaled(1.0))]
    parts = [booked("s1", 0, scaled(share)), booked("s2", 0, scaled(1 - share))]
    total, split = totals_of(whole), totals_of(parts)
    slack = Decimal("0.000002") * (len(rows) + 1)
    assert abs(total.mass.kgco2e - split.mass.kgco2e) <= slack
    # the same meter and the same factor: their errors stay common to both parts
    assert math.isclose(half_95_kg(whole), half_95_kg(parts), rel_tol=1e-6, abs_tol=1e-3)


@given(st.decimals(-(10**12), 10**12, allow_nan=False, places=6), st.integers(0, 3))
def test_rounding_stays_within_half_a_step_and_has_no_negative_zero(
    kg: Decimal, decimals: int
) -> None:
    tonnes = rounded_t(kg, decimals)
    assert abs(tonnes - kg / 1000) <= Decimal(1).scaleb(-decimals) / 2
    assert tonnes != 0 or not tonnes.is_signed()


@given(KG)
def test_a_mass_is_kept_to_the_milligram(kg: float) -> None:
    assert abs(kept(kg) - Decimal(kg)) <= Decimal("0.0000005")


def window(
    hour: int,
    kind: Provenance,
    half: float | None,
    value: float | None = 10.0,
    method: str = "",
) -> WindowRow:
    return WindowRow(
        start_ms=SPAN[0] + hour * HOUR_MS,
        length_ms=HOUR_MS,
        value=value,
        provenance=kind,
        method=method,
        coverage=1.0,
        lower=None if half is None or value is None else value - half,
        upper=None if half is None or value is None else value + half,
    )


def test_a_gap_that_the_register_counted_through_leaves_no_doubt_in_the_month() -> None:
    inside = [
        window(0, Provenance.MEASURED, 0.01),
        *(window(hour, Provenance.ALLOCATED, 5.0) for hour in range(1, 5)),
        window(5, Provenance.MEASURED, 0.01),
    ]
    assert math.isclose(gap_half_width(inside, SPAN), math.hypot(0.01, 0.01), rel_tol=1e-9)
    cut = [window(hour, Provenance.ALLOCATED, 5.0) for hour in range(4)]
    assert gap_half_width(cut, SPAN) == 20.0  # the month begins within the gap


def test_errors_add_within_an_estimated_gap_and_not_between_gaps() -> None:
    rows = [
        window(1, Provenance.ESTIMATED, 3.0),
        window(2, Provenance.ESTIMATED, 1.0),
        window(10, Provenance.ESTIMATED, 3.0),
        window(11, Provenance.MISSING, None, None),
    ]
    assert gap_half_width(rows, SPAN) == 5.0


def filled(first: int, end: int, half: float) -> GapFill:
    return GapFill(
        stream="s",
        unit="kWh",
        start_ms=SPAN[0] + first * HOUR_MS,
        end_ms=SPAN[0] + end * HOUR_MS,
        windows=end - first,
        total_known=False,
        method="analogue",
        total=10.0 * (end - first),
        lower=10.0 * (end - first) - half,
        upper=10.0 * (end - first) + half,
    )


def test_a_filled_gap_is_as_unsure_as_its_total() -> None:
    """The windows of a gap share one error: found for the whole gap, it is less than their sum."""
    rows = [
        *(window(hour, Provenance.ESTIMATED, 3.0, method="filled:analogue") for hour in range(10)),
        *(window(hour, Provenance.ESTIMATED, 4.0, method="filled:line") for hour in range(10, 20)),
        *(window(hour, Provenance.MEASURED, 0.0) for hour in range(20, 30)),
    ]
    gaps = [filled(0, 10, 15.0), filled(10, 20, 20.0)]
    assert gap_half_width(rows, SPAN, gaps) == math.hypot(15.0, 20.0)
    assert gap_half_width(rows, SPAN) == 70.0  # not known apart: they all add up
    wide = [filled(0, 10, 1000.0), filled(10, 20, 20.0)]
    assert gap_half_width(rows, SPAN, wide) == math.hypot(30.0, 20.0)
    other = [*(window(hour, Provenance.ESTIMATED, 3.0, method="short-gap") for hour in range(10))]
    assert gap_half_width(other, SPAN, gaps) == 30.0  # booked anew since
