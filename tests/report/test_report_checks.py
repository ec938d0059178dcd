"""What the checks find, each with its number, place and limit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from report_month import OCTOBER, OWNER, PER_HOUR, ZONE, BookedSite, measured

from agent.book.activity import SqliteActivity
from agent.config.benchmarks import all_benchmarks, load_benchmarks
from agent.config.report_site import report_reference
from agent.core.activity import ActivityEntry, ActivityKind, stream_of
from agent.core.checks.finding import Finding, FindingCode
from agent.core.checks.plausibility import (
    Benchmark,
    cems_findings,
    deviation,
    own_factor_findings,
    peer_findings,
    sector_findings,
)
from agent.core.errors import ConfigError
from agent.core.model import FactorRef, Provenance
from agent.core.report.figures import Booked
from agent.core.report.model import EntryFigures, MonthReport
from agent.core.report.month import Month
from agent.core.report.sums import EmissionRow, sum_source
from agent.core.timebase import DAY_MS, HOUR_MS
from tests.sources.site_text import site_with

SPAN = OCTOBER.span(ZONE)
REF = FactorRef(id="fuel/x@set", version="1", value=1.0, unit="kgCO2e/Nm3")


def found(report: MonthReport, code: FindingCode) -> list[Finding]:
    return [finding for finding in report.findings if finding.code is code]


def scaled(factor: float):  # type: ignore[no-untyped-def]
    def value(meter: str, hour: int) -> tuple[float | None, Provenance]:
        return PER_HOUR[meter] * (factor if meter == "fan" else 1.0), Provenance.MEASURED

    return value


@pytest.mark.parametrize(("factor", "expected"), [(1.4, 40.0), (0.6, -40.0), (1.25, None)])
def test_history_is_held_to_thirty_per_cent(
    booked: BookedSite, factor: float, expected: float | None
) -> None:
    booked.book(Month(2026, 9))
    booked.book(value=scaled(factor))
    findings = found(booked.report(), FindingCode.HISTORY)
    assert [finding.subject for finding in findings] == ([] if expected is None else ["f103-fan"])
    if expected is not None:
        assert findings[0].number == pytest.approx(expected)
        assert findings[0].limit == 30.0
        assert findings[0].reference == pytest.approx(200 * 24 * 0.5306)


def test_a_month_that_was_hardly_booked_is_no_history(booked: BookedSite) -> None:
    booked.book(Month(2026, 9), value=scaled(3.0), hours=200)
    booked.book()
    assert found(booked.report(), FindingCode.HISTORY) == []


def entry(
    kind: ActivityKind, item: str, month: Month, *, batch: str = "", content: float | None = None
) -> ActivityEntry:
    start_ms, end_ms = month.span(ZONE)
    return ActivityEntry(
        stream=stream_of(kind, item),
        kind=kind,
        item=item,
        amount=0.85 if kind is ActivityKind.CARBON_CONTENT else 120.0,
        unit="tC/t" if kind is ActivityKind.CARBON_CONTENT else "t",
        start_ms=start_ms,
        end_ms=end_ms,
        batch=batch,
        carbon_content=content,
    )


def enter(booked: BookedSite, *entries: ActivityEntry) -> None:
    with booked.database.transaction() as connection:
        SqliteActivity(connection).add_activity(OWNER, entries)


@pytest.mark.parametrize(("days_after", "severity"), [(3.0, "warning"), (41.0, "alarm")])
def test_an_entry_that_came_last_month_is_missed(
    booked: BookedSite, days_after: float, severity: str
) -> None:
    booked.book()
    enter(booked, entry(ActivityKind.PRODUCT, "乙烯", Month(2026, 9)))
    (finding,) = found(booked.report(days_after=days_after), FindingCode.ENTRY_OVERDUE)
    assert finding.name == "乙烯"
    assert (finding.number, finding.limit, finding.unit) == (days_after, 40.0, "d")
    assert finding.severity == severity
    enter(booked, entry(ActivityKind.PRODUCT, "乙烯", OCTOBER))
    assert found(booked.report(), FindingCode.ENTRY_OVERDUE) == []


def test_a_batch_without_carbon_content_is_named(booked: BookedSite) -> None:
    booked.book()
    raw = ActivityKind.RAW_MATERIAL
    enter(
        booked,
        entry(raw, "石脑油", OCTOBER, batch="B1", content=0.85),
        entry(raw, "石脑油", OCTOBER, batch="B2"),
        entry(raw, "石脑油", OCTOBER, batch="B3"),
        entry(ActivityKind.CARBON_CONTENT, "石脑油", OCTOBER, batch="B3"),
    )
    report = booked.report()
    (finding,) = found(report, FindingCode.CARBON_CONTENT)
    assert finding.detail == "B2"
    assert (finding.number, finding.reference, finding.reference_unit) == (1.0, 120.0, "t")
    assert len(report.entries) == 4


def test_an_entry_over_two_months_is_divided_and_says_so(booked: BookedSite) -> None:
    booked.book()
    start_ms, end_ms = OCTOBER.span(ZONE)
    long = replace(entry(ActivityKind.PRODUCT, "甲醇", OCTOBER), start_ms=start_ms - 31 * DAY_MS)
    enter(booked, long)
    (part,) = booked.report().entries
    assert part.divided
    assert part.amount == pytest.approx(60.0)
    assert end_ms - start_ms == 31 * DAY_MS


def source(
    name: str,
    kgco2e: float,
    *,
    device: str = "",
    kind: str = "fuel",
    activity: float | None = None,
    gas: str = "kgco2",
) -> Booked:
    from agent.core.report.figures import unknown_source

    gases = {"kgco2": 0.0, "kgch4": 0.0, "kgn2o": 0.0, gas: kgco2e}
    row = EmissionRow(
        start_ms=SPAN[0],
        length_ms=HOUR_MS,
        revision=0,
        kgco2e=kgco2e,
        lower=None,
        upper=None,
        estimated_share=0.0,
        factor=REF,
        **gases,
    )
    place = replace(
        unknown_source(name),
        kind=kind,
        device=device or name,
        unit="u",
        stage="reaction",
        unit_of_stream="Nm3",
        carrier="gas",
    )
    return Booked(
        place=place, sum=sum_source(name, [row], SPAN, ZONE), activity=activity, gap_share=0.0
    )


def test_peers_are_compared_by_their_median() -> None:
    sources = [source("a", 100e3), source("b", 104e3), source("c", 150e3)]
    (finding,) = peer_findings(sources)
    assert finding.subject == "c"
    assert finding.number == pytest.approx((150 / 102 - 1) * 100)
    assert list(peer_findings(sources[:2])) == []


def test_cems_is_held_against_the_calculated_sources_of_its_device() -> None:
    calculated = [source("gas", 100e3, device="f1"), source("other", 900e3, device="f2")]
    near, far = (source("stack", kg, device="f1", kind="cems") for kg in (108e3, 112e3))
    assert list(cems_findings([near], calculated)) == []
    (finding,) = cems_findings([far], calculated)
    assert (finding.number, finding.limit) == (pytest.approx(12.0), 10.0)
    assert finding.reference == 100.0


def test_a_stack_measurement_is_held_against_the_same_gas() -> None:
    calculated = [source("gas", 100e3, device="f1"), source("acid", 5e3, device="f1", gas="kgn2o")]
    stack = source("stack", 4e3, device="f1", kind="cems", gas="kgn2o")
    (finding,) = cems_findings([stack], calculated)
    assert (finding.number, finding.reference_unit) == (pytest.approx(-20.0), "tN2O")


@pytest.mark.parametrize(
    ("gas", "other", "counted"),
    [
        ("n2o", 'kind = "fuel"\nfuel = "natural-gas"\nstream = "m.gas"', True),
        ("co2", 'kind = "fuel"\nfuel = "natural-gas"\nstream = "m.gas"', False),
        ("co2", 'kind = "electricity"\nstream = "m.energy"', True),
        ("n2o", 'kind = "nitric_acid"\ntechnology = "高压法"\nstream = "m.mass"', False),
    ],
)
def test_a_stack_measurement_counts_where_nothing_else_computes_its_gas(
    tmp_path: Path, gas: str, other: str, counted: bool
) -> None:
    stack = f'[[source]]\nid = "stack"\ndevice = "d"\nkind = "cems"\ngas = "{gas}"\n'
    stack += 'concentration_mg_nm3 = 120\nstream = "m.gas"\n'
    config = site_with(tmp_path, f'{stack}[[source]]\nid = "x"\ndevice = "d"\n{other}\n')
    places = {place.id: place for place in report_reference(config).site.sources}
    assert places["stack"].counted is counted
    assert places["x"].counted


def test_a_sector_value_names_its_document() -> None:
    benchmark = Benchmark(
        id="nitric",
        subject="nitric_acid",
        quantity="kgN2O/t",
        low=0.05,
        high=13.9,
        source="guide",
        year=2013,
    )
    made = replace(entry(ActivityKind.PRODUCT, "硝酸", OCTOBER), place="acid")
    product = EntryFigures(entry=made, amount=100.0, divided=False)
    plant = source("acid", 2000.0, kind="nitric_acid", gas="kgn2o")
    (finding,) = sector_findings([plant], [product], [benchmark])
    assert (finding.number, finding.limit) == (20.0, 13.9)
    assert finding.detail == "guide · 2013"
    fine = source("acid", 800.0, kind="nitric_acid", gas="kgn2o")
    assert list(sector_findings([fine], [product], [benchmark])) == []
    assert list(sector_findings([fine], [], [benchmark])) == []


def test_a_deviation_from_nothing_has_no_number() -> None:
    finding = deviation(source("a", 1.0), FindingCode.HISTORY, 5.0, 0.0, "kg", 0.3)
    assert finding is not None
    assert finding.number is None
    assert deviation(source("a", 1.0), FindingCode.HISTORY, 0.0, 0.0, "kg", 0.3) is None


def test_an_own_factor_far_off_the_default_is_shown_with_both(booked: BookedSite) -> None:
    text = booked.path.read_text(encoding="utf-8")
    booked.path.write_text(
        text.replace('fuel = "natural-gas"', 'fuel = "natural-gas"\nfactor = 30.0'),
        encoding="utf-8",
    )
    booked.read_again()
    booked.book()
    report = booked.report()
    (finding,) = found(report, FindingCode.OWN_FACTOR)
    assert finding.number == pytest.approx((3.0 / 2.162188809 - 1) * 100)
    assert finding.reference == pytest.approx(2.162188809)
    assert "C.1" in finding.detail
    assert found(report, FindingCode.SECTOR)[0].limit == 2.1622
    uses = [use for use in report.factors if use.source == "f103-gas"]
    assert uses[0].document.status == "user"
    assert list(own_factor_findings(uses, {}, {})) == []


def test_sector_values_have_a_source_and_a_year() -> None:
    benchmarks = all_benchmarks()
    assert len({one.id for one in benchmarks}) == len(benchmarks) >= 5
    assert all(one.source and one.low <= one.high for one in benchmarks)


def test_faulty_sector_values_are_all_named(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('[[benchmark]]\nid = "x"\nlow = "no"\n', encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        load_benchmarks(tmp_path)
    assert {fault.path for fault in refused.value.faults} >= {
        "benchmark[1].low",
        "benchmark[1].source",
        "benchmark[1].year",
    }


def test_an_exact_default_is_within_its_range(booked: BookedSite) -> None:
    booked.book(value=measured)
    assert found(booked.report(), FindingCode.SECTOR) == []


def test_the_default_of_a_source_is_in_the_unit_of_its_stream(tmp_path: Path) -> None:
    config = site_with(
        tmp_path,
        '[[source]]\nid = "steam"\ndevice = "d"\nkind = "heat"\nstream = "m.mass"\nfactor = 0.1\n'
        "steam = { pressure_mpa = 1.0, temperature_c = 300 }\n"
        '[[source]]\nid = "coal"\ndevice = "d"\nkind = "fuel"\nfuel = "烟煤"\nstream = "m.mass"\n'
        "carbon_per_unit = 0.55\n",
    )
    defaults = report_reference(config).defaults
    assert set(defaults) == {"coal"}  # of heat the library has a factor per GJ, not per t of steam
    assert defaults["coal"].unit == config.sources["coal"].factor.unit == "kgCO2e/t"
    assert defaults["coal"].value == pytest.approx(config.sources["coal"].factor.value, rel=0.3)
