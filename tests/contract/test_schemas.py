"""The published schemas say what the code says: no more, no less, and nothing less than before."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from agent.config.factor_pack import reopen_pack
from agent.config.load import load_site
from agent.core import payload, receipt
from agent.core.chain import SigningKey
from agent.core.errors import ProofError
from agent.core.payload import decode_records, parse_batch, parse_signature_line
from agent.core.record import COLUMNS, Unknown, decode_record
from agent.core.strict_json import encode
from agent.daemon.delivery import birth_of
from tests.contract.contract import (
    GOLDEN,
    ROOT,
    VALIDATORS,
    contract_records,
    contract_run,
    faults,
    faults_of_batch,
    golden_lines,
    undescribed,
)

LINES = list(golden_lines())
RECORDS = [value for name, value in LINES if name.startswith("record-")]
WRONG = [None, True, "", "text", -1, 0, 1, 1.5, [], [[]], {}]
BEYOND = [2**63, -(2**63) - 1]  # of 64 bits
# What only a decoder can judge: columns that go together, words that name a thing, hashes.
CROSS = {
    ("activity", "start"), ("activity", "length"), ("activity", "batch"),
    ("activity", "evidence_name"), ("activity", "evidence_sha256"),
    ("manual", "evidence_name"), ("manual", "evidence_sha256"),
    ("review", "signed"), ("review", "figures"),
    ("recalculation", "from"), ("recalculation", "to"), ("recalculation", "count"),
    ("recalculation", "runs"), ("recalculation", "eras"),
}  # fmt: skip


def test_the_committed_files_are_what_the_code_says() -> None:
    made = {str(path): text for path, text in contract_run.files().items()}
    there = {
        str(path.relative_to(ROOT)): path.read_text("utf-8")
        for path in [*(ROOT / "config/schemas").iterdir(), ROOT / "docs/asyncapi.yaml"]
    }
    assert there == made, "run scripts/contract"


@pytest.mark.parametrize("name", sorted(VALIDATORS))
def test_each_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(VALIDATORS[name].schema)
    assert VALIDATORS[name].schema["$id"] == f"urn:tanshu:v1:{name}"


def test_every_kind_has_a_schema_and_a_golden_record() -> None:
    kinds = {name.removeprefix("record-") for name in VALIDATORS if name.startswith("record-")}
    assert kinds == set(COLUMNS) == {record[0] for record in RECORDS}


def test_golden_messages_are_valid() -> None:
    for name, value in LINES:
        assert faults(name, value) == []
    for path in GOLDEN.glob("receipt*.txt"):
        first, last = (json.loads(line) for line in path.read_bytes().splitlines())
        assert faults("receipt", first) + faults("signature", last) == []


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record[0])
def test_schema_and_decoder_agree_on_every_value_of_a_record(record: list[Any]) -> None:
    kind = record[0]
    assert accepted(record)
    for place, column in enumerate(COLUMNS[kind], start=1):
        for value in [*WRONG, *inside(record[place])]:
            changed = [*record]
            changed[place] = value
            valid, taken = faults(f"record-{kind}", changed) == [], accepted(changed)
            if (kind, column) in CROSS:
                assert valid or not taken, f"{kind}.{column} = {value!r}"
            else:
                assert valid == taken, f"{kind}.{column} = {value!r}"


def test_whole_numbers_have_64_bits() -> None:
    for record in RECORDS:
        for place, schema in enumerate(VALIDATORS[f"record-{record[0]}"].schema["prefixItems"]):
            if "integer" in schema.get("type", ()):
                for value in BEYOND:
                    changed = [*record[:place], value, *record[place + 1 :]]
                    assert not accepted(changed)
                    assert faults(f"record-{record[0]}", changed) != []


def test_a_record_needs_all_of_its_values() -> None:
    for record in RECORDS:
        for cut in range(len(record)):
            assert faults(f"record-{record[0]}", record[:cut]) != []
        assert faults(f"record-{record[0]}", [record[0] + "s", *record[1:]]) != []


def accepted(record: list[Any]) -> bool:
    try:
        decode_record(encode(record), COLUMNS)
    except ProofError:
        return False
    return True


def inside(value: Any) -> Iterator[Any]:
    """A list with one thing in it changed, at whatever depth."""
    if not isinstance(value, list):
        return
    yield [*value, 1.5]
    yield value[:-1]
    for place, member in enumerate(value):
        for other in [*WRONG, *inside(member)]:
            yield [*value[:place], other, *value[place + 1 :]]


@pytest.mark.parametrize(
    ("name", "value", "check"),
    [
        *((name, value, payload._check_header) for name, value in LINES if name == "batch-header"),
        *(
            ("receipt", json.loads(path.read_bytes().splitlines()[0]), receipt._check)
            for path in sorted(GOLDEN.glob("receipt*.txt"))
        ),
    ],
)
def test_headers_and_receipts_are_refused_where_the_code_refuses(
    name: str, value: dict[str, Any], check: Callable[[Any], object]
) -> None:
    for key, member in value.items():
        others = [*WRONG, *BEYOND, "a" * 64, *inside(member)]
        if isinstance(member, str):
            others += [member.upper() + "_", member + "0"]
        for other in others:
            changed = {**value, key: other}
            try:
                check(changed)
            except ProofError:
                # that spans ascend above «through» is for the code alone to say
                assert faults(name, changed) or key in {"held", "through"}, (key, other)
            else:
                # the code reads older headers, with fewer or other columns; nobody writes them
                assert not faults(name, changed) or key in {"columns", "count", "time"}, (
                    key,
                    other,
                )


def test_only_canonical_signature_lines_are_valid() -> None:
    line = payload.signature_line(payload.SCHEMA, b"\0" * 32, SigningKey.from_seed(b"k" * 32))
    value = json.loads(line)
    assert faults("signature", value) == []
    for changed in [
        {**value, "key": value["key"].upper()},
        {**value, "key": value["key"] + "0"},
        {**value, "sig": value["sig"][:-3] + "B=="},
        {**value, "sig": value["sig"].rstrip("=")},
        {**value, "more": 1},
        {"sig": value["sig"]},
    ]:
        assert faults("signature", changed) != []
        with pytest.raises(ProofError):
            parse_signature_line(encode(changed))


def test_the_first_line_of_a_factor_pack_is_valid() -> None:
    from tests.factors.packs import pack

    data = pack()
    reopen_pack(data)
    header = json.loads(data.split(b"\n", 1)[0])
    assert faults("factors-header", header) == []
    for key in header:
        for wrong in (None, 1.5, [], {}):
            assert faults("factors-header", {**header, key: wrong}) != []


@pytest.mark.parametrize("file", ["config/site.example.toml", "config/sources.example.toml"])
def test_births_of_the_example_sites_are_valid_and_fully_described(file: str) -> None:
    birth = json.loads(encode(birth_of(load_site(ROOT / file))))
    assert birth["sources"]
    assert birth["derived"]
    assert faults("birth", birth) == []
    assert list(undescribed("birth", birth)) == []
    for section in birth:
        assert faults("birth", {**birth, section: None}) != []


# An older reader and a newer writer.


@given(
    extra=st.dictionaries(st.sampled_from(["note2", "site_of", "x"]), st.text(), max_size=3),
    number=st.integers(0, len(RECORDS) - 1),
)
def test_columns_at_the_end_are_ignored(extra: dict[str, str], number: int) -> None:
    record = RECORDS[number]
    columns = {record[0]: (*COLUMNS[record[0]], *extra)}
    longer = [*record, *extra.values()]
    assert decode_record(encode(longer), columns) == decode_record(encode(record), COLUMNS)
    assert faults(f"record-{record[0]}", longer) == []


def test_unknown_kinds_and_members_are_kept_or_ignored() -> None:
    from tests.sync.harness import EPOCH, GATEWAY, GATEWAY_KEY, SITE, records_of

    sealed = payload.seal(
        records_of(1), site=SITE, gateway=GATEWAY, epoch=EPOCH, previous=None, key=GATEWAY_KEY
    )
    header, *lines, signature, _ = sealed.data.split(b"\n")
    newer = json.loads(header)
    newer["columns"]["storage-level"] = ["tank", "value"]
    newer["count"] += 1
    newer["shift"] = {"id": "early"}
    unknown = b'["storage-level","t-1",3.5]'
    data = b"\n".join([encode(newer), *lines, unknown, signature, b""])
    *_, last = decode_records(parse_batch(data))
    assert last == Unknown(kind="storage-level", line=unknown)
    assert faults("batch-header", newer) == []


# What has been published stays.


def test_the_committed_schemas_break_no_reader() -> None:
    assert contract_run.breaks(contract_run.published(), contract_run.schemas()) == []


def test_golden_columns_stay_where_they_are() -> None:
    for name, value in LINES:
        if name == "batch-header":
            for kind, columns in value["columns"].items():
                assert list(COLUMNS[kind][: len(columns)]) == columns


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda names: names[:-1], "record-endpoint/prefixItems"),
        (lambda names: (*names[:-1], "accumulation"), "record-endpoint"),
        (lambda names: (*names[:-2], names[-1], names[-2]), "record-endpoint/prefixItems/register"),
        (lambda names: ("time_of_day", *names), "record-endpoint"),
    ],
    ids=["removed", "renamed", "moved", "put in front"],
)
def test_a_column_cannot_be_taken_away_renamed_or_moved(
    change: Callable[[tuple[str, ...]], tuple[str, ...]], said: str
) -> None:
    before = contract_run.schemas()
    schema = copy.deepcopy(before["record-endpoint"])
    by_name = {item["title"]: item for item in schema["prefixItems"][1:]}
    schema["prefixItems"][1:] = [
        by_name.get(name, {"title": name, "type": "number"}) for name in change(COLUMNS["endpoint"])
    ]
    schema["minItems"] = len(schema["prefixItems"])
    broken = contract_run.breaks(before, {**before, "record-endpoint": schema})
    assert any(line.startswith(said) for line in broken), broken


def test_what_is_added_breaks_nobody_and_what_is_widened_does() -> None:
    before = contract_run.schemas()
    after = copy.deepcopy(before)
    after["record-storage"] = {"type": "array"}
    after["live"]["properties"]["shift"] = {"type": "string"}
    after["record-endpoint"]["prefixItems"].append({"title": "uncertainty", "type": "number"})
    after["record-endpoint"]["minItems"] += 1
    assert contract_run.breaks(before, after) == []
    after["record-window"]["prefixItems"][6]["enum"].append("guessed")
    after["live"]["required"].remove("time")
    after["receipt"]["properties"]["through"]["minimum"] = -1
    after["batch-header"]["properties"]["seq"]["type"] = ["integer", "null"]
    del after["event"]
    assert len(contract_run.breaks(before, after)) == 5


def test_a_column_without_words_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COLUMNS, "endpoint", (*COLUMNS["endpoint"], "uncertainty"))
    with pytest.raises(contract_records.ContractError, match=r"endpoint.*uncertainty"):
        contract_records.record_schemas()


def test_golden_batches_are_valid_line_by_line() -> None:
    assert faults_of_batch((GOLDEN / "chain.batches").read_bytes()) == []
