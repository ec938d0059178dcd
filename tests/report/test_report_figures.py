"""A month whose figures were worked out by hand; an empty one; one that is half estimated."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from report_month import HOURS, OCTOBER, OWNER, STREAMS, ZONE, BookedSite, measured

from agent.book.report_rows import reported_months
from agent.core.checks.finding import FindingCode
from agent.core.model import Provenance, Window
from agent.core.report.model import NINETY_OF_NINETY_FIVE, MonthReport, SignOff, total_of
from agent.core.report.month import Month
from agent.core.report.rounding import Line, summary
from agent.core.timebase import HOUR_MS

# 744 h: 744,000 Nm3 · 2.162188809; 148,800 kWh and 66,960 kWh · 0.5306; −372 GJ · 110 kgCO2/GJ
GAS = Decimal("1608668.473896")
FAN = Decimal("78953.28")
PUMP = Decimal("35528.976")
STEAM = Decimal("-40920")
TOTAL = Decimal("1682230.729896")


def codes(report: MonthReport) -> list[FindingCode]:
    return [finding.code for finding in report.findings if finding.level < 3]


def sums_hold(report: MonthReport) -> None:
    total = report.totals.mass
    for groups in (report.devices, report.units, report.areas, report.stages, report.days):
        assert total_of(group.mass for group in groups) == total
    assert total_of(source.mass for source in report.sources) == total
    assert sum((use.kgco2e for use in report.factors), Decimal(0)) == total.kgco2e


def test_the_month_worked_out_by_hand(booked: BookedSite) -> None:
    booked.book()
    report = booked.report()
    assert {source.place.id: source.mass.kgco2e for source in report.sources} == {
        "f103-gas": GAS,
        "f103-fan": FAN,
        "ct1-pump": PUMP,
        "ct1-steam": STEAM,
    }
    assert GAS + FAN + PUMP + STEAM == TOTAL
    assert report.totals.mass.kgco2e == TOTAL
    assert report.totals.without_energy.kgco2e == GAS
    assert [source.place.id for source in report.sources][:2] == ["f103-gas", "f103-fan"]
    gas = report.sources[0]
    assert gas.activity == 744_000.0
    # shares are of what is emitted: the steam that was given away makes none of them larger
    assert gas.share == pytest.approx(float(GAS / (GAS + FAN + PUMP)))
    assert sum(source.share or 0 for source in report.sources if source.mass.kgco2e > 0) == 1.0
    assert gas.windows == HOURS
    assert report.totals.estimated_share == 0.0
    assert {group.key: group.mass.kgco2e for group in report.stages} == {
        "reaction": GAS + FAN,
        "auxiliary": PUMP + STEAM,
    }
    assert report.days[0].mass.kgco2e == pytest.approx(TOTAL / 31)
    assert [stream.availability for stream in report.streams] == [1.0] * 4
    assert codes(report) == []
    assert report.sign_off is SignOff.DRAFT
    assert (report.from_ms, report.to_ms) == (1790784000000, 1793462400000)
    sums_hold(report)


def test_the_printed_table_rounds_each_line_from_the_exact_sum(booked: BookedSite) -> None:
    booked.book()
    printed = summary(booked.report().sources, 0)
    lines = {line.line: line.tco2e for line in printed.lines}
    assert lines[Line.COMBUSTION] == 1609
    assert lines[Line.ELECTRICITY] == 114  # 114.482
    assert lines[Line.HEAT] == -41
    assert lines[Line.PROCESS_N2O] is None
    assert printed.total_tco2e == 1682
    assert printed.without_energy_tco2e == 1609
    assert printed.lines_differ_by_t == 0


def test_rounding_apart_is_explained(booked: BookedSite) -> None:
    booked.book()
    sources = booked.report().sources
    half = [
        replace(source, mass=replace(source.mass, kgco2e=Decimal("1499.9"), kgco2=Decimal(0)))
        for source in sources
    ]
    printed = summary(half, 0)
    assert printed.total_tco2e == 6
    assert sum(line.tco2e or 0 for line in printed.lines) == 1 + 3 + 1
    assert printed.lines_differ_by_t == 1


def test_the_range_groups_what_sources_share(booked: BookedSite) -> None:
    booked.book()
    report = booked.report()
    # gas 7 % and heat 10 % factor, electricity 5 % shared by both meters, 2 % on every meter
    gas, fan, pump, steam = (float(value) for value in (GAS, FAN, PUMP, STEAM))
    errors = [gas * 0.07, steam * 0.10, (fan + pump) * 0.05]
    errors += [value * 0.02 for value in (gas, fan, pump, steam)]
    expected = sum(error**2 for error in errors) ** 0.5
    assert report.totals.half_95_kg == pytest.approx(expected, rel=1e-9)
    assert pytest.approx(1.6449 / 1.95996, rel=1e-4) == NINETY_OF_NINETY_FIVE


def test_an_empty_month_says_so(booked: BookedSite) -> None:
    report = booked.report()
    assert report.totals.mass.kgco2e == 0
    assert report.previous is None
    assert report.last_year is None
    assert len(report.days) == 31
    assert codes(report) == [FindingCode.NO_DATA]  # once for all four
    assert (report.findings[0].streams, report.findings[0].severity) == (4, "alarm")
    assert [stream.availability for stream in report.streams] == [0.0] * 4
    assert all(source.share is None and source.activity is None for source in report.sources)
    sums_hold(report)
    assert reported_months(booked.database.connection, [OWNER], ZONE, report.made_ms) == ()


def half_estimated(meter: str, hour: int) -> tuple[float | None, Provenance]:
    if hour < HOURS // 2:
        return measured(meter, hour)
    return measured(meter, hour)[0], Provenance.ESTIMATED


def test_a_month_that_is_half_estimated(booked: BookedSite) -> None:
    booked.book(value=half_estimated)
    report = booked.report()
    assert report.totals.mass.kgco2e == TOTAL
    assert report.totals.estimated_share == pytest.approx(0.5)
    assert all(source.estimated_share == pytest.approx(0.5) for source in report.sources)
    assert codes(report) == [FindingCode.ESTIMATED] * 4
    assert report.findings[0].number == pytest.approx(50.0)
    assert [stream.availability for stream in report.streams] == pytest.approx([0.5] * 4)
    estimated = [day for day in report.days if day.mass.estimated_kgco2e > 0]
    assert len(estimated) == 16
    sums_hold(report)


def test_late_revisions_replace_and_are_counted(booked: BookedSite) -> None:
    booked.book(value=half_estimated)
    before = booked.report()
    booked.book(value=measured, revision=1)
    after = booked.report()
    assert after.totals.mass.kgco2e == TOTAL
    assert after.totals.estimated_share == 0.0
    assert after.sources[0].revised_windows == HOURS
    assert before.figures_hash != after.figures_hash


def test_other_months_are_compared_where_they_are_known(booked: BookedSite) -> None:
    booked.book()
    booked.book(Month(2026, 9))
    booked.book(Month(2025, 10), hours=372)
    report = booked.report()
    assert report.previous is not None
    assert report.last_year is not None
    assert report.previous.month == Month(2026, 9)
    assert float(report.previous.kgco2e) == pytest.approx(float(TOTAL) / 31 * 30)
    assert report.previous.coverage == 1.0
    assert report.last_year.coverage == pytest.approx(0.5)
    assert float(report.sources[0].last_year_kgco2e or 0) == pytest.approx(float(GAS) / 2)
    months = reported_months(booked.database.connection, [OWNER], ZONE, report.made_ms)
    assert (months[0], months[-1], len(months)) == (OCTOBER, Month(2025, 10), 13)


def test_a_running_month_is_reported_up_to_now_and_cannot_be_signed(booked: BookedSite) -> None:
    booked.book(hours=240)
    report = booked.report(days_after=-21.0)
    assert report.complete is False
    assert report.sign_off is SignOff.RUNNING
    assert codes(report) == [FindingCode.MONTH_RUNNING]
    assert report.findings[0].number == pytest.approx(10.0)
    assert [stream.availability for stream in report.streams] == [1.0] * 4
    # the last full hour whose windows have surely closed: an open one is not a missing one
    assert report.until_ms == report.from_ms + 239 * HOUR_MS
    assert report.sources[0].windows == 239


def test_before_the_first_window_of_a_running_month_one_sentence_says_all(
    booked: BookedSite,
) -> None:
    report = booked.report(days_after=-21.0)
    assert codes(report) == [FindingCode.MONTH_RUNNING, FindingCode.NO_DATA]
    early = booked.report(days_after=-30.9)
    assert [(one.streams, one.severity) for one in early.findings] == [(1, "info"), (4, "warning")]


def test_a_gateway_that_has_just_begun_misses_nothing(booked: BookedSite) -> None:
    hour = 240
    booked.book(hours=hour + 1)
    with booked.database.transaction() as connection:  # as if it had been started in that hour
        first_ms = OCTOBER.span(ZONE)[0] + hour * HOUR_MS
        connection.execute("DELETE FROM emissions WHERE start_ms < ?", (first_ms,))
        connection.execute("DELETE FROM windows WHERE start_ms < ?", (first_ms,))
    report = booked.report(days_after=-21 + 0.5 / 24)
    assert report.until_ms == first_ms
    assert codes(report) == [FindingCode.MONTH_RUNNING, FindingCode.FIRST_HOUR]
    assert report.findings[1].from_ms == first_ms


def test_a_gateway_that_came_in_the_middle_of_the_month_says_it_once(booked: BookedSite) -> None:
    def late(meter: str, hour: int) -> tuple[float | None, Provenance]:
        return (None, Provenance.MISSING) if hour < 300 else measured(meter, hour)

    booked.book(value=late)
    report = booked.report()
    (finding,) = [one for one in report.findings if one.level < 3]
    assert (finding.code, finding.streams, finding.number) == (
        FindingCode.MISSING_WINDOWS,
        4,
        300.0,
    )
    assert finding.id == "completeness.missing-windows:gas.volume+3"


def test_a_month_to_come_is_empty(booked: BookedSite) -> None:
    report = booked.report(days_after=-60.0)
    assert report.until_ms == report.from_ms
    assert report.totals.mass.kgco2e == 0
    assert codes(report) == [FindingCode.MONTH_RUNNING]


def test_a_source_that_left_the_site_file_still_counts(booked: BookedSite) -> None:
    booked.book()
    text = booked.path.read_text(encoding="utf-8")
    start = text.index('[[source]]\nid = "ct1-pump"')
    end = text.index('[[source]]\nid = "ct1-steam"')
    booked.path.write_text(text[:start] + text[end:], encoding="utf-8")
    booked.read_again()
    report = booked.report()
    assert report.totals.mass.kgco2e == TOTAL
    assert FindingCode.UNKNOWN_SOURCE in codes(report)
    assert {group.key for group in report.stages} >= {"unknown"}
    sums_hold(report)


def test_a_hole_is_named_with_its_hours(booked: BookedSite) -> None:
    def holed(meter: str, hour: int) -> tuple[float | None, Provenance]:
        if meter == "pump" and 100 <= hour < 130:
            return None, Provenance.MISSING
        return measured(meter, hour)

    booked.book(value=holed)
    report = booked.report()
    finding = report.findings[0]
    assert finding.id == "completeness.missing-windows:pump.energy"
    assert (finding.number, finding.limit, finding.unit) == (30.0, 0.0, "h")
    assert finding.from_ms == report.from_ms + 100 * HOUR_MS
    assert finding.to_ms == report.from_ms + 130 * HOUR_MS
    assert finding.severity == "alarm"
    pump = next(stream for stream in report.streams if stream.place.id == "pump.energy")
    assert pump.availability == pytest.approx(1 - 30 / HOURS)
    assert next(s for s in report.sources if s.place.id == "ct1-pump").missing_windows == 30


def test_a_booked_window_without_emission_is_found(booked: BookedSite) -> None:
    booked.book(meters=("gas", "fan", "steam"))
    start_ms, _ = OCTOBER.span(ZONE)
    windows = [
        Window(
            stream=STREAMS["pump"],
            start_ms=start_ms + hour * HOUR_MS,
            length_ms=HOUR_MS,
            revision=0,
            value=90.0,
            provenance=Provenance.MEASURED,
            method="register",
            coverage=1.0,
        )
        for hour in range(HOURS)
    ]
    booked.add(windows[:700])
    booked.add(windows[700:], emissions=False)
    report = booked.report()
    assert codes(report) == [FindingCode.NOT_COMPUTED, FindingCode.ARITHMETIC]
    assert report.findings[0].number == 44.0


@pytest.mark.parametrize("text", ["2026-13", "2026-1", "26-10", "", "2026-10-01", "9999-01"])
def test_what_is_not_a_month_is_refused(text: str) -> None:
    with pytest.raises(Exception, match="is not a month"):
        Month.parse(text)


def test_months_are_shifted_over_the_year() -> None:
    assert Month(2026, 1).shifted(-1) == Month(2025, 12)
    assert Month(2026, 10).shifted(-12) == Month(2025, 10)
    assert Month(2026, 12).shifted(1) == Month(2027, 1)
    assert str(Month.parse("2026-03")) == "2026-03"
