"""Gases, kinds, energy, products and days: each adds up to the total it is a part of."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from every_kind import (
    DIESEL_FACTOR,
    DIESEL_T,
    PERIOD_EMISSIONS,
    STREAM_SOURCES,
    ZONE,
    report_of_every_kind,
)
from hypothesis import given
from hypothesis import strategies as st
from report_month import BookedSite

from agent.book.activity import SqliteActivity
from agent.config.report_site import report_reference
from agent.core.activity import ActivityEntry, ActivityKind
from agent.core.report.figures import gas_figures, period_activity
from agent.core.report.model import NINETY_OF_NINETY_FIVE, Mass, MonthReport, kept, total_of
from agent.core.report.month import Month
from agent.core.report.rounding import Line, summary
from agent.core.report.sums import EmissionRow, spread, sum_source
from agent.web.report.forms import rendered
from agent.web.report_view import ReportForm
from tests.sources.site_text import site_with


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> MonthReport:
    return report_of_every_kind(tmp_path_factory.mktemp("kinds"))


def test_kinds_and_gases_add_up_to_the_total(report: MonthReport) -> None:
    total = report.totals.mass
    counted = set(STREAM_SOURCES) - {"cems"} | {"carbon_balance"}
    assert {group.key for group in report.kinds} == counted
    assert total_of(group.mass for group in report.kinds) == total
    assert [one.gas for one in report.gases] == ["CO2", "CH4", "N2O"]
    assert [one.kg for one in report.gases] == [total.kgco2, total.kgch4, total.kgn2o]
    assert float(sum(one.kgco2e for one in report.gases)) == pytest.approx(float(total.kgco2e))
    assert report.totals.mass.kgch4 > 0
    assert report.totals.mass.kgn2o > 0


def test_recovery_is_negative_and_shares_are_of_what_is_emitted(report: MonthReport) -> None:
    shares = {group.key: group.share or 0.0 for group in report.kinds}
    assert shares["co2_recovery"] < 0
    emitting = [source.share or 0 for source in report.sources if source.mass.kgco2e > 0]
    assert sum(emitting) == pytest.approx(1.0)
    recovered = next(line for line in summary(report.sources, 0).lines if line.line == "recovered")
    assert recovered.tco2e is not None
    assert recovered.tco2e < 0


def test_a_factor_in_co2_equivalent_belongs_to_no_gas() -> None:
    mass = Mass(kgco2=kept(10.0), kgch4=kept(2.0), kgn2o=kept(1.0), kgco2e=kept(331.0))
    figures = gas_figures([mass, Mass(kgco2e=kept(1000.5))], 28.0, 265.0)
    assert [one.kgco2e for one in figures] == [
        Decimal(10),
        Decimal(56),
        Decimal(265),
        Decimal(1000) + Decimal("0.5"),
    ]
    assert figures[-1].gas == ""
    assert gas_figures([mass], 28.0, 265.0)[-1].gas == "N2O"


@given(st.floats(0, 1e6), st.floats(0, 1e3), st.floats(0, 1e3), st.booleans())
def test_gases_booked_with_other_potentials_still_add_up(
    kgco2: float, kgch4: float, kgn2o: float, export: bool
) -> None:
    sign = -1.0 if export else 1.0
    booked = Mass(
        kgco2=kept(sign * kgco2),
        kgch4=kept(sign * kgch4),
        kgn2o=kept(sign * kgn2o),
        kgco2e=kept(sign * (kgco2 + kgch4 * 28.0 + kgn2o * 265.0)),
    )
    figures = gas_figures([booked], 27.0, 273.0)
    assert [one.gas for one in figures] == ["CO2", "CH4", "N2O"]
    total = sum(one.kgco2e for one in figures)
    assert float(total) == pytest.approx(float(booked.kgco2e), rel=1e-5, abs=0.02)


def test_a_source_of_the_month_has_its_amount_range_and_even_days(report: MonthReport) -> None:
    diesel = next(source for source in report.sources if source.place.id == "sludge-lorry")
    assert diesel.activity == pytest.approx(DIESEL_T, rel=1e-9)
    assert diesel.place.unit_of_stream == "t"
    emitted = DIESEL_T * DIESEL_FACTOR
    # ± 3 % of the amount at 90 %, 7 % of the factor at 95 %
    expected = ((0.03 * emitted / NINETY_OF_NINETY_FIVE) ** 2 + (0.07 * emitted) ** 2) ** 0.5
    assert diesel.half_95_kg == pytest.approx(expected, rel=1e-6)
    assert diesel.estimated_share == pytest.approx(0.25)
    assert total_of(day.mass for day in report.days) == report.totals.mass
    flow = next(flow for flow in report.energy.flows if flow.source == "sludge-lorry")
    assert flow.calorific_tce == pytest.approx(DIESEL_T * 1.4571, rel=1e-9)  # GB/T 2589-2020


def test_steam_by_mass_counts_with_its_heat(report: MonthReport) -> None:
    steam = next(source for source in report.sources if source.place.id == "heat")
    flow = next(flow for flow in report.energy.flows if flow.source == "heat")
    gj = float(steam.mass.kgco2e) / 110.0
    assert flow.calorific_tce == pytest.approx(gj * 34.12 / 1000, rel=1e-9)


def test_every_row_that_is_a_sum_is_printed_with_its_range(report: MonthReport) -> None:
    document = json.loads(rendered(report, ReportForm.JSON, "en"))
    for group in ("kinds", "sources", "devices", "units", "areas", "stages"):
        assert all(one["lower_95"] < one["kgco2e"] < one["upper_95"] for one in document[group])
    for total in (document["totals"], document["totals"]["without_energy"]):
        assert total["lower_95"] < total["kgco2e"] < total["upper_95"]
        assert 0 < total["estimated_share"] < 1


def row(start_ms: int, length_ms: int, kgco2e: float) -> EmissionRow:
    return EmissionRow(
        start_ms=start_ms,
        length_ms=length_ms,
        revision=0,
        kgco2=kgco2e,
        kgch4=0.0,
        kgn2o=0.0,
        kgco2e=kgco2e,
        lower=kgco2e - 6.0,
        upper=kgco2e + 6.0,
        estimated_share=0.0,
        factor=PERIOD_EMISSIONS[0].factor,
    )


@given(st.floats(-1e9, 1e9), st.integers(1, 31))
def test_even_parts_add_up_exactly(kg: float, parts: int) -> None:
    mass = Mass(kgco2e=kept(kg), kgco2=kept(kg / 3))
    listed = list(spread(mass, parts))
    assert len(listed) == parts
    assert total_of(listed) == mass
    assert max(part.kgco2e for part in listed) - min(part.kgco2e for part in listed) <= Decimal(
        "0.000001"
    )


@given(st.floats(-1e9, 1e9))
def test_a_month_spreads_over_its_days_and_stays_itself(kg: float) -> None:
    month = Month(2026, 2)
    from_ms, to_ms = month.span(ZONE)
    found = sum_source("s", [row(from_ms, to_ms - from_ms, kg)], (from_ms, to_ms), ZONE)
    assert found.mass.kgco2e == kept(kg)
    assert len(found.by_day) == 28
    assert total_of(found.by_day.values()) == found.mass
    assert found.spread
    assert found.half_90_kg == pytest.approx(6.0, rel=1e-6)


def test_an_amount_is_not_guessed_where_the_factor_is_nought() -> None:
    from_ms, to_ms = Month(2026, 2).span(ZONE)
    nought = replace(PERIOD_EMISSIONS[0].factor, value=0.0)
    one = replace(row(from_ms, to_ms - from_ms, 0.0), factor=nought)
    assert period_activity(sum_source("s", [one], (from_ms, to_ms), ZONE)) == (None, "")


GAS_TCE = 744_000 / 1e4 * 389.31 / 29.3076  # natural gas by its own calorific value
GRID_TCE = (148_800 + 66_960) * 0.1229e-3
STEAM_TCE = -372 * 34.12e-3


def test_energy_in_coal_equivalent_worked_out_by_hand(booked: BookedSite) -> None:
    booked.book()
    energy = booked.report().energy
    assert energy.calorific_tce == pytest.approx(GAS_TCE + GRID_TCE + STEAM_TCE, rel=1e-9)
    assert energy.equivalent_tce is None
    text = booked.path.read_text(encoding="utf-8")
    stated = 'window_s = 3600\nequivalent_kgce_per_kwh = 0.3\nequivalent_source = "公报 2025"'
    booked.path.write_text(text.replace("window_s = 3600", stated), encoding="utf-8")
    booked.read_again()
    report = booked.report()
    expected = GAS_TCE + (148_800 + 66_960) * 0.3e-3 + STEAM_TCE
    assert report.energy.equivalent_tce == pytest.approx(expected, rel=1e-9)
    assert "公报 2025" in rendered(report, ReportForm.HTML, "zh-CN").decode()


def made(item: str, amount: float, unit: str, place: str = "") -> ActivityEntry:
    from_ms, to_ms = Month(2026, 10).span(ZONE)
    return ActivityEntry(
        stream=f"activity.product.{item}.{place}",
        kind=ActivityKind.PRODUCT,
        item=item,
        amount=amount,
        unit=unit,
        start_ms=from_ms,
        end_ms=to_ms,
        place=place,
    )


def test_a_tonne_of_product_is_held_against_its_own_place(booked: BookedSite) -> None:
    booked.book()
    entries = [made("乙烯", 1000.0, "t"), made("循环水", 5_000_000.0, "kg", "cooling")]
    entries += [made("蒸汽", 3.0, "MWh"), made("丙烯", 1.0, "t", "nowhere")]
    with booked.database.transaction() as connection:
        SqliteActivity(connection).add_activity(booked.owner, entries)
    products = {one.item: one for one in booked.report().products}
    assert set(products) == {"乙烯", "循环水"}
    assert products["乙烯"].kgco2e_per_t == pytest.approx(1682.230729896)
    assert products["乙烯"].calorific_kgce_per_t == pytest.approx(GAS_TCE + GRID_TCE + STEAM_TCE)
    water = products["循环水"]
    assert water.tonnes == 5000.0
    assert water.kgco2e_per_t == pytest.approx((35528.976 - 40920) / 5000)


def test_a_published_total_is_rounded_once_from_its_unrounded_sources(booked: BookedSite) -> None:
    """四川天华 2020 by the NDRC guide: 763203.37 + 360439.74 − 459746.02 = 663897 tCO2e."""
    booked.book()
    published = {"fuel": "763203370", "carbon_balance": "360439740", "electricity": "-459746020"}
    sources = [
        replace(
            source,
            place=replace(source.place, kind=kind),
            mass=Mass(kgco2=Decimal(kg), kgco2e=Decimal(kg)),
        )
        for source, (kind, kg) in zip(booked.report().sources, published.items(), strict=False)
    ]
    printed = summary(sources, 0)
    assert printed.total_tco2e == 663_897
    assert printed.without_energy_tco2e == 1_123_643  # 1123643.11, not 763203 + 360440 by chance
    lines = {line.line: line.tco2e for line in printed.lines if line.tco2e is not None}
    assert lines == {
        Line.COMBUSTION: 763_203,
        Line.PROCESS_CO2: 360_440,
        Line.ELECTRICITY: -459_746,
    }
    total = sum((source.mass.kgco2e for source in sources), Decimal(0))
    assert total == Decimal("663897090")
    assert summary(sources, 3).total_tco2e == Decimal("663897.090")


def test_steam_carries_its_heat_whatever_it_emits(tmp_path: Path) -> None:
    factors = {
        "bought": "",
        "waste-heat": 'factor = 0\nevidence = "contract"\n',
        "renegotiated": "factor = 0.1\nchanges = [{ since = 2026-07-15, factor = 0.05 }]\n",
    }
    config = site_with(
        tmp_path,
        "".join(
            f'[[source]]\nid = "{name}"\ndevice = "d"\nkind = "heat"\nstream = "m.mass"\n{factor}'
            "steam = { pressure_mpa = 1.0, temperature_c = 300 }\n"
            for name, factor in factors.items()
        ),
    )
    coals = [place.coal for place in report_reference(config).site.sources]
    assert len(coals) == len(factors)
    assert coals[0] is not None
    assert coals == [coals[0]] * len(factors)
    heat_gj = (3051.6 - 83.74) / 1000  # kJ/kg of such steam by IAPWS-IF97, less the feed water
    assert coals[0].calorific_kgce == pytest.approx(heat_gj * 34.12, rel=1e-3)
