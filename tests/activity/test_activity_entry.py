"""Reading what people write, and the checks of a single entry."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.activity import KIND_RULES, ActivityKind, slug
from agent.core.activity_period import period_text, read_period
from agent.core.activity_read import FIELDS, Desk, read_entry
from agent.core.activity_words import HEADINGS, KIND_WORDS, heading_field, unit_symbol
from agent.core.timebase import DAY_MS, HOUR_MS
from agent.core.units import UNITS
from tests.activity.desk import NOW_MS, ZONE, month, read


def faults(**fields: object) -> list[str]:
    return [remark.field for remark in read(**fields).remarks if not remark.warning]


def test_an_entry_takes_its_stream_and_canonical_unit() -> None:
    entry = read(amount="1,200", unit="公斤", place="f103", carbon_content="85.7%").entry
    assert entry is not None
    assert entry.stream == "activity.raw-material.石脑油.f103"
    assert (entry.amount, entry.unit) == (1.2, "t")
    assert entry.carbon_content == pytest.approx(0.857)
    assert (entry.start_ms, entry.end_ms) == month(3)


@pytest.mark.parametrize(
    ("amount", "unit", "kind", "canonical"),
    [
        (3, "万Nm³", "原料", (30_000.0, "Nm3")),
        (1.5, "MWh", "账单", (1500.0, "kWh")),
        (2, "万千瓦时", "bill", (20_000.0, "kWh")),
        (7, "吉焦", "product", (7.0, "GJ")),
        (85.7, "%", "含碳量", (0.857, "tC/t")),
        (500, "kgC/t", "carbon-content", (0.5, "tC/t")),
        ("0", "t", "库存", (0.0, "t")),
    ],
)
def test_units_in_both_languages(
    amount: object, unit: str, kind: str, canonical: tuple[float, str]
) -> None:
    entry = read(amount=amount, unit=unit, kind=kind).entry
    assert entry is not None
    assert (entry.amount, entry.unit) == (pytest.approx(canonical[0]), canonical[1])


def test_the_same_goods_moved_or_treated_otherwise_are_other_streams() -> None:
    streams = {
        found.stream
        for found in (
            read(kind="waste", treatment="填埋").entry,
            read(kind="waste", treatment="焚烧").entry,
            read(kind="transport", mode="tanker", distance_km=10).entry,
            read(kind="transport", mode="pipeline", distance_km=10).entry,
            read().entry,
            read(place="f103").entry,
        )
        if found is not None
    }
    assert len(streams) == 6


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"amount": -1}, ["amount"]),
        ({"amount": "many"}, ["amount"]),
        ({"amount": float("nan")}, ["amount"]),
        ({"amount": True}, ["amount"]),
        ({"amount": ...}, ["amount"]),
        ({"amount": ""}, ["amount"]),
        ({"amount": "1e400"}, ["amount"]),
        ({"amount": 10**400}, ["amount"]),
        ({"unit": "km"}, ["unit"]),
        ({"unit": "bushel"}, ["unit"]),
        ({"unit": ...}, ["unit"]),
        ({"unit": "t·km"}, ["unit"]),
        ({"purity": 1.2}, ["purity"]),
        ({"purity": "120%"}, ["purity"]),
        ({"purity": -0.1}, ["purity"]),
        ({"carbon_content": 1.01}, ["carbon_content"]),
        ({"kind": "含碳量", "amount": 101, "unit": "%"}, ["amount"]),
        ({"period": "2026-03-31..2026-03-01"}, ["period"]),
        ({"period": "2027-01"}, ["period"]),
        ({"period": "last month"}, ["period"]),
        ({"period": ...}, ["period"]),
        ({"kind": "gift"}, ["kind"]),
        ({"item": "——"}, ["item"]),
        ({"item": "x" * 500}, ["item"]),
        ({"place": "f999"}, ["place"]),
        ({"distance_km": 5}, ["distance_km"]),
        ({"colour": "red"}, ["colour"]),
        ({"note": "a\x00b"}, ["note"]),
        ({"evidence_name": "a.pdf"}, ["evidence_sha256"]),
        ({"evidence_sha256": "12"}, ["evidence_sha256"]),
        ({"kind": "waste"}, ["treatment"]),
        ({"kind": "transport"}, ["mode", "distance_km"]),
        ({"kind": "transport", "mode": "lorry", "unit": "t·km"}, []),
        ({"amount": -1, "unit": "km", "period": "x", "purity": 3}, ["unit", "period"]),
    ],
)
def test_what_cannot_be_is_named_by_its_field(changed: dict[str, object], where: list[str]) -> None:
    found = faults(**changed)
    assert [name for name in where if name not in found] == []
    assert bool(found) == bool(where)
    assert all(remark.hint for remark in read(**changed).remarks)


def test_a_period_that_is_not_over_is_a_warning_only() -> None:
    found = read(period="2026-11")
    assert found.entry is not None
    assert [remark.code for remark in found.remarks] == ["activity.incomplete"]


def test_a_batch_needs_no_period() -> None:
    entry = read(period=..., batch="B-17").entry
    assert entry is not None
    assert (entry.start_ms, entry.end_ms, entry.key[3]) == (None, None, "B-17")


@pytest.mark.parametrize("word", [None, "retire", "作废"])
def test_retiring_needs_no_unit(word: object) -> None:
    entry = read(amount=word, unit=...).entry
    assert entry is not None
    assert entry.amount is None


@given(
    st.dictionaries(st.sampled_from(FIELDS), st.none() | st.text() | st.floats() | st.booleans())
)
def test_nothing_a_person_writes_breaks_the_reader(fields: dict[str, object]) -> None:
    found = read_entry(fields, Desk(zone=ZONE, now_ms=NOW_MS, origin="manual"))  # type: ignore[arg-type]
    assert found.entry is not None or any(not remark.warning for remark in found.remarks)


@given(
    st.integers(month(1, 2001)[0] // DAY_MS, month(1, 2090)[0] // DAY_MS),
    st.integers(1, 800),
    st.booleans(),
)
def test_a_period_reads_back_as_it_is_shown(day: int, days: int, clock: bool) -> None:
    start_ms = day * DAY_MS - 8 * HOUR_MS + (7 * HOUR_MS if clock else 0)
    end_ms = start_ms + days * DAY_MS
    assert read_period(period_text(start_ms, end_ms, ZONE), ZONE) == (start_ms, end_ms)


@pytest.mark.parametrize(
    "text", ["2026年3月", "2026/3", "2026.03", " ２０２６-03 ", "2026-03-01..2026-03-31"]
)
def test_a_month_in_many_spellings(text: str) -> None:
    assert read_period(text, ZONE) == month(3)


def test_quarters_and_years() -> None:
    quarter = (month(4)[0], month(6)[1])
    assert {read_period(text, ZONE) for text in ("2026-Q2", "2026年二季度", "2026年第2季度")} == {
        quarter
    }
    assert read_period("2026", ZONE) == (month(1)[0], month(12)[1])


@given(st.text())
def test_a_slug_is_stable_and_fits_a_stream_name(text: str) -> None:
    made = slug(text)
    assert slug(made) == made
    assert not set(made) & set(" ./\\|,;:!?\n")


def test_every_unit_and_word_is_known_by_its_own_name() -> None:
    assert {symbol for symbol in UNITS if unit_symbol(symbol) != symbol} == set()
    assert set(KIND_RULES) == set(ActivityKind) == set(KIND_WORDS.values())
    for field, words in HEADINGS.items():
        assert {heading_field(word) for word in words} == {field}
