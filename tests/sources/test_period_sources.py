"""Sources per month: the figures of `tanshu calc`, booked once and again when data change."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.book.sqlite import SqliteBook
from agent.config.language import load_language
from agent.core.activity import ActivityKind
from agent.core.adjustment import Adjustment, Reason
from agent.core.checks.finding import FindingCode
from agent.core.model import Provenance, Severity
from agent.core.record import COLUMNS, decode_record, encode_record
from agent.core.report.model import FactorDocument
from agent.core.timebase import HOUR_MS
from agent.pipeline import period_sources
from agent.pipeline.period_preview import preview_periods
from agent.store.state import FactorMarks
from agent.web.event_text import event_detail
from agent.web.present import Presenter, site_zone
from agent.web.report.tables_data import entries_table
from agent.web.report.words import ReportWords
from tests.carbon.inventory_text import calculate
from tests.sources.plant import DAY_MS, OWNER, Plant, month
from tests.sources.site_text import site_with

ROOT = Path(__file__).parents[2]
MAY, JUNE, JULY, AUGUST = (month(number) for number in (5, 6, 7, 8))
SEEN_MS = MAY[0] + DAY_MS
RAW, PRODUCT, WASTE, STOCK, CONTENT = (
    ActivityKind.RAW_MATERIAL,
    ActivityKind.PRODUCT,
    ActivityKind.WASTE,
    ActivityKind.INTERMEDIATE_STOCK,
    ActivityKind.CARBON_CONTENT,
)
BALANCE = """
[[source]]
id = "s"
device = "d"
kind = "carbon_balance"
inputs = [
  { material = "naphtha", activity = "activity.raw-material.naphtha" },
  { material = "natural-gas", stream = "m.gas" },
]
products = [{ material = "ethylene", activity = "activity.product.ethylene" }]
[[source.wastes]]
material = "residue"
activity = "activity.waste.residue-incineration"
carbon_content = 0.6
"""
BURNT = """
[[source]]
id = "s"
device = "d"
kind = "incineration"
waste = "hazardous"
activity = "activity.waste.hw-incineration"
"""
Make = Callable[[str], Plant]


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Make]:
    made: list[Plant] = []

    def make(sources: str) -> Plant:
        made.append(Plant(tmp_path, site_with(tmp_path, sources), seen_ms=SEEN_MS))
        return made[-1]

    yield make
    for one in made:
        one.close()


def wanted(source: str) -> float:
    """What `tanshu calc` computes, in kgCO2e."""
    total = calculate(f'[[source]]\nid = "s"\n{source}')["total_tco2e"]
    assert isinstance(total, float)
    return total * 1000


def burn(plant: Plant, amount: float | None, span: tuple[int, int] = JUNE) -> None:
    plant.enter(WASTE, "hw", amount, span, treatment="incineration")


def feed_balance(plant: Plant, product: float = 900.0) -> None:
    plant.enter(RAW, "naphtha", 1500.0, JUNE)
    plant.windows("m.gas", JUNE, 250_000.0)
    plant.enter(PRODUCT, "ethylene", product, JUNE)
    plant.enter(WASTE, "residue", 12.0, JUNE, treatment="incineration")


def test_a_carbon_balance_of_entries_and_a_meter_is_what_calc_computes(plant: Make) -> None:
    made = plant(BALANCE)
    feed_balance(made)
    assert [event for event in made.run(JULY[0]) if "2026-06" in event.detail] == []
    (booked,) = [one for one in made.emissions("s") if one.kgco2e is not None]
    assert (booked.start_ms, booked.end_ms) == JUNE
    assert booked.kgco2e == pytest.approx(
        wanted(
            'kind = "carbon_balance"\n'
            "inputs = [{ material = 'naphtha', amount = 1500 }, "
            "{ material = 'natural-gas', amount = 25, unit = '10^4Nm3' }]\n"
            "products = [{ material = 'ethylene', amount = 900 }]\n"
            "wastes = [{ material = 'residue', amount = 12, carbon_content = 0.6 }]\n"
        ),
        rel=1e-9,
    )
    assert booked.kgco2 == booked.kgco2e
    assert dict(booked.inputs) == {
        "activity.product.ethylene": 1,
        "activity.raw-material.naphtha": 1,
        "activity.waste.residue-incineration": 1,
        "m.gas": 0,
    }
    assert booked.kgco2e is not None
    assert booked.upper is not None
    # each amount is 2 % sure: the difference of large amounts is far less sure than 2 %
    assert (booked.upper - booked.kgco2e) / booked.kgco2e > 0.03
    assert booked.estimated_share == 0.0


def test_nothing_is_booked_before_the_month_has_ended(plant: Make) -> None:
    made = plant(BURNT)
    burn(made, 100.0)
    made.run(JUNE[1] - 1)
    assert [one for one in made.emissions("s") if one.start_ms == JUNE[0]] == []
    made.run(JUNE[1])
    (booked,) = [one for one in made.emissions("s") if one.start_ms == JUNE[0]]
    assert booked.kgco2e == pytest.approx(
        wanted('kind="incineration"\nwaste="hazardous"\namount=100')
    )


def test_the_same_data_book_no_revision_and_changed_data_do(plant: Make) -> None:
    made = plant(BURNT)
    burn(made, 100.0)
    made.run(JULY[0])
    made.run(JULY[0] + 1)
    made.configure(made.config)  # a restart
    made.run(JULY[0] + 2)
    assert [one.revision for one in made.all_revisions("s") if one.start_ms == JUNE[0]] == [0]
    burn(made, 120.0)
    made.run(JULY[0] + 3)
    first, second = [one for one in made.all_revisions("s") if one.start_ms == JUNE[0]]
    assert second.revision == 1
    assert second.kgco2e == pytest.approx((first.kgco2e or 0) * 1.2)
    assert dict(second.inputs) == {"activity.waste.hw-incineration": 2}


def test_a_month_without_data_has_no_value_and_says_so_until_data_come(plant: Make) -> None:
    made = plant(BURNT)
    (event,) = made.run(JULY[0] + 1)[-1:]
    assert (event.code, event.subject) == ("source.no_period_value", "s")
    assert event.severity is Severity.WARNING
    assert event.detail == "2026-06: activity.waste.hw-incineration has no entry"
    assert [one.kgco2e for one in made.emissions("s")] == [None, None]
    assert made.run(JULY[0] + 2) == []
    burn(made, 0.0)
    assert made.run(JULY[0] + 3) == []
    assert [one.kgco2e for one in made.emissions("s")] == [None, 0.0]
    burn(made, None)  # retired: nobody knows again
    assert len(made.run(JULY[0] + 4)) == 1
    assert made.emissions("s")[-1].kgco2e is None


def test_months_before_the_gateway_are_computed_from_what_is_entered(plant: Make) -> None:
    made = plant(BURNT)
    burn(made, 10.0, month(2))
    made.run(SEEN_MS + 1)
    assert [one.start_ms for one in made.emissions("s")] == [month(2)[0]]


def test_a_gap_in_a_meter_leaves_no_value_and_a_late_window_gives_one(plant: Make) -> None:
    made = plant(BALANCE)
    feed_balance(made)
    gap = (JUNE[0] + DAY_MS, JUNE[0] + DAY_MS + 7_200_000)
    made.windows("m.gas", gap, None)
    (event,) = [event for event in made.run(JULY[0]) if event.detail.startswith("2026-06")]
    assert event.detail == "2026-06: m.gas has no value for 2 h"
    made.windows("m.gas", gap, 250_000.0 / 720 * 2, provenance=Provenance.ESTIMATED)
    made.run(JULY[0] + 1)
    booked = made.emissions("s")[-1]
    assert booked.kgco2e is not None
    assert 0 < booked.estimated_share < 2 / 720
    assert dict(booked.inputs)["m.gas"] == 4  # two windows, two revisions each


def test_more_carbon_out_than_in_is_told_and_not_booked(plant: Make) -> None:
    made = plant(BALANCE)
    feed_balance(made, product=9000.0)
    events = made.run(JULY[0])
    assert "came out of" in events[-1].detail
    assert made.emissions("s")[-1].kgco2e is None


def test_stocks_and_laboratory_results_enter_the_balance(plant: Make) -> None:
    made = plant(
        BALANCE.replace(
            'activity = "activity.raw-material.naphtha"',
            'activity = "activity.raw-material.naphtha", '
            'stock = "activity.intermediate-stock.naphtha"',
        )
    )
    feed_balance(made)
    made.enter(STOCK, "naphtha", 40.0, (MAY[1] - DAY_MS, MAY[1]))
    made.enter(STOCK, "naphtha", 60.0, (JUNE[1] - DAY_MS, JUNE[1]))
    made.enter(CONTENT, "naphtha", 0.84, (JUNE[0], JUNE[0] + 10 * DAY_MS), "tC/t")
    made.enter(CONTENT, "naphtha", 0.86, (JUNE[0] + 10 * DAY_MS, JUNE[1]), "tC/t")
    made.run(JULY[0])
    content = (0.84 * 10 + 0.86 * 20) / 30
    assert made.emissions("s")[-1].kgco2e == pytest.approx(
        wanted(
            'kind = "carbon_balance"\n'
            "inputs = [{ material = 'naphtha', amount = 1500, stock_start = 40, stock_end = 60, "
            f"carbon_content = {content!r} }}, "
            "{ material = 'natural-gas', amount = 25, unit = '10^4Nm3' }]\n"
            "products = [{ material = 'ethylene', amount = 900 }]\n"
            "wastes = [{ material = 'residue', amount = 12, carbon_content = 0.6 }]\n"
        ),
        rel=1e-9,
    )


def test_entries_with_their_own_composition_are_flows_of_their_own(plant: Make) -> None:
    made = plant(BALANCE)
    made.enter(RAW, "naphtha", 700.0, (JUNE[0], JUNE[0] + DAY_MS), carbon_content=0.83)
    made.enter(RAW, "naphtha", 800.0, (JUNE[0] + DAY_MS, JUNE[1]), carbon_content=0.85, purity=0.99)
    made.windows("m.gas", JUNE, 250_000.0)
    made.enter(PRODUCT, "ethylene", 900.0, JUNE)
    made.enter(WASTE, "residue", 12.0, JUNE, treatment="incineration")
    made.run(JULY[0])
    assert made.emissions("s")[-1].kgco2e == pytest.approx(
        wanted(
            'kind = "carbon_balance"\n'
            "inputs = [{ material = 'naphtha', amount = 700, carbon_content = 0.83 }, "
            "{ material = 'naphtha', amount = 800, carbon_content = 0.85, purity = 0.99 }, "
            "{ material = 'natural-gas', amount = 25, unit = '10^4Nm3' }]\n"
            "products = [{ material = 'ethylene', amount = 900 }]\n"
            "wastes = [{ material = 'residue', amount = 12, carbon_content = 0.6 }]\n"
        ),
        rel=1e-9,
    )


def test_a_fuel_burns_what_was_bought_less_what_the_stock_grew(plant: Make) -> None:
    made = plant(
        '[[source]]\nid = "s"\ndevice = "d"\nkind = "fuel"\nfuel = "烟煤"\n'
        'activity = "activity.raw-material.coal"\nstock = "activity.intermediate-stock.coal"\n'
        'content = "activity.carbon-content.coal"\n'
    )
    made.enter(RAW, "coal", 1200.0, JUNE)
    made.enter(STOCK, "coal", 100.0, (MAY[1] - DAY_MS, MAY[1]))
    made.enter(STOCK, "coal", 300.0, (JUNE[1] - DAY_MS, JUNE[1]))
    assert "carbon-content.coal has no result" in made.run(JULY[0])[-1].detail
    made.enter(CONTENT, "coal", 55.0, JUNE, "%")
    made.run(JULY[0] + 1)
    assert made.emissions("s")[-1].kgco2e == pytest.approx(
        wanted('kind = "fuel"\nfuel = "烟煤"\namount = 1000\ncarbon_per_unit = 0.55'), rel=1e-9
    )


def test_bought_and_exported_electricity_and_steam_of_bills(plant: Make) -> None:
    made = plant(
        '[[source]]\nid = "s"\ndevice = "d"\nkind = "electricity"\nregion = "四川"\n'
        'purchased_mwh = { activity = "activity.bill.power" }\n'
        'exported_mwh = { stream = "m.energy" }\n'
        '[[source]]\nid = "h"\ndevice = "d"\nkind = "heat"\n'
        "steam = { pressure_mpa = 1.0, temperature_c = 300, "
        'mass_t = { activity = "activity.bill.steam" } }\n'
    )
    made.enter(ActivityKind.BILL, "power", 5_200_000.0, JUNE, "kWh")
    made.enter(ActivityKind.BILL, "steam", 2500.0, JUNE)
    made.windows("m.energy", JUNE, 300_000.0)
    made.run(JULY[0])
    assert made.emissions("s")[-1].kgco2e == pytest.approx(
        wanted(
            'kind="electricity"\npurchased_mwh=5200\nexported_mwh=300\nregion="四川"\nyear=2026'
        ),
        rel=1e-9,
    )
    assert made.emissions("h")[-1].kgco2e == pytest.approx(
        wanted('kind="heat"\nsteam={ mass_t = 2500, pressure_mpa = 1.0, temperature_c = 300 }'),
        rel=1e-9,
    )


def test_an_entry_of_two_months_is_divided_and_its_part_is_estimated(plant: Make) -> None:
    made = plant(BURNT)
    burn(made, 61.0, (JUNE[0], JULY[1]))
    made.run(AUGUST[0])
    june, july = made.emissions("s")[-2:]
    assert (june.kgco2e or 0) / (july.kgco2e or 1) == pytest.approx(30 / 31)
    assert june.estimated_share == july.estimated_share == 1.0


def test_day_periods(plant: Make) -> None:
    made = plant(BURNT.replace('activity = "', 'period = "day"\nactivity = "'))
    day = (JUNE[0], JUNE[0] + DAY_MS)
    burn(made, 3.0, day)
    made.run(JUNE[0] + DAY_MS + 1)
    booked = made.emissions("s")[-1]
    assert (booked.start_ms, booked.end_ms) == day
    assert booked.kgco2e is not None


def test_another_period_replaces_what_was_booked_by_the_former(plant: Make, tmp_path: Path) -> None:
    made = plant(BURNT)
    burn(made, 30.0)
    made.run(JULY[0])
    total = made.emissions("s")[-1].kgco2e
    daily = BURNT.replace('activity = "', 'period = "day"\nactivity = "')
    made.configure(site_with(tmp_path, daily))
    made.run(JULY[0] + 1)
    known = [one for one in made.emissions("s") if one.kgco2e is not None]
    assert {one.length_ms for one in known} == {DAY_MS}
    assert sum(one.kgco2e or 0 for one in known) == pytest.approx(total)


def test_another_factor_file_is_foreseen_and_then_booked(
    plant: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plant(BURNT)
    burn(made, 100.0)
    made.run(JULY[0])
    (before,) = [one for one in made.emissions("s") if one.start_ms == JUNE[0]]
    folder = tmp_path / "factors"
    folder.mkdir()
    for path in sorted((ROOT / "config" / "factors").glob("incineration-*.toml")):
        text = re.sub(r"(carbon_fraction = )[0-9.]+", r"\g<1>0.55", path.read_text("utf-8"))
        (folder / path.name).write_text(text, "utf-8")
    monkeypatch.setenv("TANSHU_FACTORS", str(folder))
    made.configure(made.config)
    (change,) = preview_periods(made.config, OWNER, made.database.connection)
    assert (change.source, change.month) == ("s", "2026-06")
    assert change.before_kgco2e == before.kgco2e
    made.run(JULY[0] + 1)
    (after,) = [one for one in made.emissions("s") if one.start_ms == JUNE[0]]
    assert after.revision == 1
    assert after.kgco2e == change.after_kgco2e != before.kgco2e
    assert after.factor.version != before.factor.version
    assert preview_periods(made.config, OWNER, made.database.connection) == []


def test_a_signed_month_that_changes_is_told_as_an_adjustment(plant: Make) -> None:
    made = plant(BURNT)
    burn(made, 100.0)
    made.run(JULY[0])
    with made.database.transaction() as connection:
        connection.execute(
            "INSERT INTO reviewed_figures (hash, figures) VALUES (?, 'f')", ("0" * 64,)
        )
        connection.execute(
            "INSERT INTO reviews (site, gateway, month, department, name, decision, note, "
            "figures, settled, reviewed_ms) VALUES ('plant', 'gw', '2026-06', 'production', 'Li', "
            "'accepted', '', ?, '[]', 1)",
            ("0" * 64,),
        )
    burn(made, 110.0)
    (event,) = made.run(JULY[0] + 1)
    told = Adjustment.of(event)
    assert (str(told.month), told.source) == ("2026-06", "s")
    assert told.after_kgco2e == pytest.approx(told.before_kgco2e * 1.1)
    assert told.reason == Reason.PERIOD


def test_what_lacks_is_told_in_the_readers_language(plant: Make) -> None:
    made = plant(BALANCE)
    event = next(one for one in made.run(JULY[0]) if "2026-06" in one.detail)
    say = Presenter(text=load_language("zh-CN"), zone=site_zone("Asia/Shanghai"))
    assert event_detail(event, say) == (
        "2026-06：activity.raw-material.naphtha 未填报; m.gas 缺少 720 小时数据; "
        "activity.product.ethylene 未填报; activity.waste.residue-incineration 未填报"
    )


def test_a_period_record_travels_as_any_emission(plant: Make) -> None:
    made = plant(BURNT)
    burn(made, 100.0)
    made.run(JULY[0])
    columns = {"emission": COLUMNS["emission"]}
    for emission in made.all_revisions("s"):
        assert decode_record(encode_record(emission), columns) == emission


def test_a_stack_measurement_is_compared_and_not_added(plant: Make) -> None:
    made = plant(
        '[[source]]\nid = "stack"\ndevice = "d"\nkind = "cems"\nstream = "m.mass"\n'
        '[[source]]\nid = "fuel"\ndevice = "d"\nkind = "fuel"\nfuel = "natural-gas"\n'
        'stream = "m.gas"\n'
    )
    made.windows("m.gas", JUNE, 500_000.0)
    made.windows("m.mass", JUNE, 2000.0)
    report = made.report(2026, 6, JULY[1])
    assert [source.place.id for source in report.compared] == ["stack"]
    assert [source.place.id for source in report.sources] == ["fuel"]
    assert any(finding.code == FindingCode.CEMS for finding in report.findings)


def test_the_report_tells_the_evidence_of_own_factors_and_what_else_decides(plant: Make) -> None:
    made = plant(BURNT + 'evidence = "contract 12"\n')
    made.enter(WASTE, "hw", 100.0, JUNE, treatment="incineration", purity=0.97)
    made.run(JULY[0])
    report = made.report(2026, 6, JULY[0])
    assert report.sources[0].place.evidence == "contract 12"
    words = ReportWords.of(report, load_language("en"))
    own = FactorDocument(status="user")
    assert words.document(own, "contract 12") == "contract 12"
    assert words.document(report.factors[0].document, "contract 12").endswith("危险废物")
    assert words.details(report.entries[0].entry) == "purity 97 % · incineration"


def test_the_report_shows_the_stock_that_the_month_began_with(plant: Make) -> None:
    made = plant(BALANCE)
    for day, level in ((MAY[0] + DAY_MS, 90.0), (JUNE[0], 80.0), (JULY[0], 60.0)):
        made.enter(STOCK, "naphtha", level, (day - DAY_MS, day))
    report = made.report(2026, 6, JULY[0])
    assert [part.amount for part in report.opening_stock] == [80.0]
    assert [part.amount for part in report.entries] == [60.0]
    rows = entries_table(report, ReportWords.of(report, load_language("en"))).rows
    assert [row[2] for row in rows] == [80.0, 60.0]


def test_what_was_recovered_is_no_product_of_the_report(plant: Make) -> None:
    made = plant(BALANCE + '[source.recovered_c_t]\nactivity = "activity.product.carbon"\n')
    for kind, item, amount in ((RAW, "naphtha", 100.0), (PRODUCT, "ethylene", 60.0)):
        made.enter(kind, item, amount, JUNE)
    made.enter(WASTE, "residue", 2.0, JUNE, treatment="incineration")
    made.enter(PRODUCT, "carbon", 3.0, JUNE)
    made.windows("m.gas", JUNE, 0.0)
    made.run(JULY[0])
    assert [one.item for one in made.report(2026, 6, JULY[0]).products] == ["ethylene"]


def test_a_start_looks_through_few_windows_again(
    plant: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def saved() -> int:
        text = FactorMarks(made.database.connection).load()["s"]
        return int(json.loads(text)["windows"])

    monkeypatch.setattr(period_sources, "MOST_UNSAVED", 50)
    made = plant(BALANCE)
    made.run(JULY[0])
    assert saved() == 0
    for hours, at in ((49, 0), (50, 50), (60, 50), (100, 100)):
        booked = SqliteBook(made.database.connection).next_id("windows") - 1
        start_ms = JULY[0] + booked * HOUR_MS
        made.windows("m.gas", (start_ms, JULY[0] + hours * HOUR_MS), 1.0 * (hours - booked))
        made.run(JULY[0] + hours * HOUR_MS)
        assert saved() == at
    made.configure(made.config)  # as after a start: what was looked at before is not due
    assert made.run(JULY[0] + 101 * HOUR_MS) == []
    feed_balance(made)
    made.run(JULY[0] + 102 * HOUR_MS)
    assert made.emissions("s")[-1].kgco2e is not None
