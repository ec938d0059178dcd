"""A reading as a record: every field comes back, and the ledger sees what was changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.book.manual import SqliteManual, revise
from agent.core.activity import Evidence, Origin
from agent.core.errors import ProofError
from agent.core.manual import Form, ManualEntry
from agent.core.payload import seal
from agent.core.record import COLUMNS, decode_record, encode_record
from agent.ledger.intake import Delivery, Intake
from agent.ledger.storage import LedgerStorage
from agent.ledger.verify import verify
from tests.sync.harness import EPOCH, GATEWAY, GATEWAY_KEY, OWNER, SITE, SystemClock, new_ledger

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
number = st.none() | st.floats(allow_nan=False, allow_infinity=False)
entries = st.builds(
    ManualEntry,
    stream=text,
    time_ms=st.integers(-(2**40), 2**42),
    start_ms=st.none() | st.integers(-(2**40), 2**42),
    form=st.sampled_from(Form),
    value=number,
    unit=text,
    revision=st.integers(0, 99),
    old_end=number,
    new_start=number,
    running_h=number,
    origin=st.sampled_from(Origin),
    author=text,
    note=text,
    warning=text,
    evidence=st.none() | st.builds(Evidence, name=text, sha256=text),
    entered_ms=st.integers(0, 2**42),
)
ENTRY = ManualEntry(
    stream="manual.old",
    time_ms=1_795_046_400_000,
    start_ms=None,
    form=Form.REGISTER,
    value=1000.0,
    unit="kWh",
    author="王工",
    entered_ms=1_795_046_500_000,
)


@given(entries)
def test_a_line_holds_all_of_an_entry(entry: ManualEntry) -> None:
    line = encode_record(entry)
    assert decode_record(line, COLUMNS) == entry
    assert encode_record(entry) == line


@pytest.mark.parametrize(
    ("column", "value"),
    [("time", 1.5), ("form", "guess"), ("value", "1"), ("revision", -1), ("author", None)],
)
def test_a_line_with_a_wrong_value_is_refused(column: str, value: object) -> None:
    from agent.core import strict_json

    fields = strict_json.parse(encode_record(ENTRY))
    fields[1 + COLUMNS["manual"].index(column)] = value
    with pytest.raises(ProofError):
        decode_record(strict_json.encode(fields), COLUMNS)


@given(st.lists(entries, min_size=1, max_size=5))
def test_revisions_of_a_reading_count_up_and_repeat_nothing(said: list[ManualEntry]) -> None:
    current: ManualEntry | None = None
    booked = []
    for entry in said:
        at = replace(entry, stream="manual.old", time_ms=0)
        found = revise(current, at)
        if found.change.value != "unchanged":
            booked.append(found.entry)
        current = found.entry
        assert revise(current, at).change.value == "unchanged"
    assert [one.revision for one in booked] == list(range(len(booked)))


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("UPDATE manual_entries SET value = 1", "differs"),
        ("UPDATE manual_entries SET author = 'x'", "differs"),
        ("DELETE FROM manual_entries", "missing"),
    ],
)
def test_the_ledger_sees_what_was_changed(statement: str, code: str) -> None:
    ledger = new_ledger(Path(":memory:"))
    batch = seal([ENTRY], site=SITE, gateway=GATEWAY, epoch=EPOCH, previous=None, key=GATEWAY_KEY)
    intake = Intake(ledger, SystemClock())
    for _ in range(2):  # the same again changes nothing
        intake.take([Delivery(owner=OWNER, body=batch.data, user={})])
    assert SqliteManual(ledger.connection).history(OWNER, "manual.old") == [ENTRY]
    assert verify(ledger).ok
    with ledger.transaction() as connection:
        for trigger in ("manual_entries_stay", "manual_entries_are_kept"):
            connection.execute(f"DROP TRIGGER {trigger}")
        connection.execute(statement)
    assert {finding.code for finding in verify(ledger).findings} == {code}


def test_another_content_under_the_same_revision_is_an_alarm() -> None:
    ledger = new_ledger(Path(":memory:"))
    intake = Intake(ledger, SystemClock())
    link = None
    for entry in (ENTRY, replace(ENTRY, value=1.0)):
        batch = seal(
            [entry], site=SITE, gateway=GATEWAY, epoch=EPOCH, previous=link, key=GATEWAY_KEY
        )
        intake.take([Delivery(owner=OWNER, body=batch.data, user={})])
        link = batch.link
    alarms = LedgerStorage(ledger.connection).alarms()
    assert [alarm.code for alarm in alarms] == ["ledger.conflict"]


def test_a_booked_reading_cannot_be_changed_or_deleted() -> None:
    ledger = new_ledger(Path(":memory:"))
    with ledger.transaction() as connection:
        SqliteManual(connection).add_entries(OWNER, [ENTRY])
    for statement in ("UPDATE manual_entries SET value = 1", "DELETE FROM manual_entries"):
        with pytest.raises(Exception, match="never"), ledger.transaction() as connection:
            connection.execute(statement)
