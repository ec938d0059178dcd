"""The committed vectors hold for the package and for the verifier that shares no code with it."""

from __future__ import annotations

import ast
import math
import struct
import sys
from dataclasses import replace
from hashlib import sha256

import pytest

from agent.core.activity import ActivityEntry
from agent.core.chain import PublicKey
from agent.core.errors import ProofError
from agent.core.manual import Form, ManualEntry
from agent.core.model import Emission, Event, Receipt, Window
from agent.core.payload import Link, check_follows, decode_records, parse_batch, verify_batch
from agent.core.recalculation import BulkRecalculation
from agent.core.receipt import decode_receipt
from agent.core.record import COLUMNS, decode_record, encode_record
from agent.core.report.review_record import SignedReview
from agent.core.report.signature import figures_hash
from tests.proof.evidence import GOLDEN, ROOT, facts, golden, load_script

verifier = load_script(ROOT / "scripts" / "verify_batches.py")
maker = load_script(GOLDEN / "make_golden.py")


def test_sealing_gives_the_committed_bytes() -> None:
    made = maker.files()
    assert {name: golden(name) for name in made} == made


def test_package_verifies_the_chain() -> None:
    key = PublicKey.from_text(facts()["gateway_key"])
    previous: Link | None = None
    for number, expected in enumerate(facts()["batch_hashes"], start=1):
        batch = parse_batch(golden(f"batch-{number}.txt"))
        verify_batch(batch, key)
        check_follows(batch, previous)
        assert batch.hash == expected
        previous = batch.link


def test_records_come_back_as_they_went_in() -> None:
    records = decode_records(parse_batch(golden("batch-2.txt")))
    window, event = records[0], records[3]
    assert isinstance(window, Window)
    assert window.value == 0.1 + 0.2
    assert isinstance(event, Event)
    assert event.detail == '裂解炉 F-103: "reset"\n\u2028\U0001f525'


def test_activity_comes_back_as_it_went_in() -> None:
    batch = parse_batch(golden("batch-activity.txt"))
    verify_batch(batch, PublicKey.from_text(facts()["gateway_key"]))
    whole, retired, of_a_batch = decode_records(batch)
    assert isinstance(whole, ActivityEntry)
    assert (whole.amount, whole.note) == (0.1 + 0.2, '"1 月"\u2028')
    assert whole.evidence is not None
    assert isinstance(retired, ActivityEntry)
    assert (retired.amount, retired.revision, retired.key) == (None, 1, whole.key)
    assert isinstance(of_a_batch, ActivityEntry)
    assert (of_a_batch.start_ms, of_a_batch.batch) == (None, "B-2026/017")


def test_a_recalculation_holds_for_whoever_has_the_records_before_it() -> None:
    batch = parse_batch(golden("batch-recalculation.txt"))
    verify_batch(batch, PublicKey.from_text(facts()["gateway_key"]))
    *records, recalculation = decode_records(batch)
    windows = [record for record in records if isinstance(record, Window)]
    emissions = [record for record in records if isinstance(record, Emission)]
    assert isinstance(recalculation, BulkRecalculation)
    assert [run.count for run in recalculation.runs] == [2]
    assert recalculation.before.kgco2e == sum(record.kgco2e or 0 for record in emissions)
    rows = b""
    for era, (window, emission) in enumerate(zip(windows, emissions, strict=True)):
        holds, value = recalculation.terms.eras[era], window.value
        assert value is not None
        kgco2e = value * holds.factor.value
        # the meter is exact here, so that the interval is that of the 2 % alone: 90 of 95 %
        half = math.sqrt((kgco2e * 2.0 / 100 * (1.6448536269514722 / 1.959963984540054)) ** 2)
        rows += struct.pack("<3q", window.start_ms, window.length_ms, emission.revision + 1)
        rows += struct.pack(
            "<7d",
            *(value * holds.gases.kgco2, value * holds.gases.kgch4, value * holds.gases.kgn2o),
            *(kgco2e, kgco2e - half, kgco2e + half, emission.estimated_share),
        )
        rows += struct.pack("<2q", era, window.revision)
    assert sha256(rows).hexdigest() == recalculation.sha256


def test_manual_readings_come_back_as_they_went_in() -> None:
    batch = parse_batch(golden("batch-manual.txt"))
    verify_batch(batch, PublicKey.from_text(facts()["gateway_key"]))
    register, retired, amount = decode_records(batch)
    assert isinstance(register, ManualEntry)
    assert (register.value, register.note, register.old_end) == (
        0.1 + 0.2,
        '"换表"\u2028',
        99_999.9,
    )
    assert register.evidence is not None
    assert isinstance(retired, ManualEntry)
    assert (retired.value, retired.revision, retired.key) == (None, 1, register.key)
    assert isinstance(amount, ManualEntry)
    assert (amount.form, amount.time_ms - (amount.start_ms or 0)) == (Form.AMOUNT, 8 * 3_600_000)


def test_reviews_come_back_as_they_went_in() -> None:
    batch = parse_batch(golden("batch-review.txt"))
    verify_batch(batch, PublicKey.from_text(facts()["gateway_key"]))
    returned, signed = decode_records(batch)
    assert isinstance(returned, SignedReview)
    assert (returned.review.decision, returned.review.note) == ("returned", '"F-103"\u2028')
    assert isinstance(signed, SignedReview)
    assert signed.review.settled == ("completeness.estimated:x",)
    assert figures_hash(signed.figures) == signed.review.figures
    line = encode_record(replace(signed, figures=signed.figures + " "))
    with pytest.raises(ProofError, match="not those that it signs"):
        decode_record(line, COLUMNS)


def test_receipts_come_back_as_they_went_in() -> None:
    ledger = PublicKey.from_text(facts()["ledger_key"])
    hashes = facts()["batch_hashes"]
    partial = decode_receipt(golden("receipt.txt"), ledger).receipt
    assert (partial.through, partial.hash, partial.held) == (1, hashes[0], ((3, 3),))
    none_yet = decode_receipt(golden("receipt-none.txt"), ledger).receipt
    assert none_yet == Receipt(
        site="plant-1",
        gateway="gw-01",
        epoch=none_yet.epoch,
        through=0,
        hash="",
        held=((2, 3),),
    )
    with pytest.raises(ProofError):
        decode_receipt(golden("receipt.txt"), PublicKey.from_text(facts()["gateway_key"]))


def test_independent_verifier_agrees() -> None:
    code = verifier.main(
        [
            "--keys",
            str(GOLDEN / "keys.json"),
            "--ledger-key",
            facts()["ledger_key"],
            *("--receipt", str(GOLDEN / "receipt.txt")),
            *("--receipt", str(GOLDEN / "receipt-none.txt")),
            *("--receipt", str(GOLDEN / "receipt-whole.txt")),
            str(GOLDEN / "chain.batches"),
        ]
    )
    assert code == 0


def test_a_cut_tail_contradicts_the_receipt() -> None:
    shorter = golden("batch-1.txt") + golden("batch-2.txt")
    enrolled = [{"site": "plant-1", "gateway": "gw-01", "key": facts()["gateway_key"]}]
    assert verifier.verify([shorter], enrolled)
    assert verifier.verify([golden("batch-activity.txt")], enrolled)
    assert verifier.verify([golden("batch-recalculation.txt")], enrolled)
    assert verifier.verify([golden("batch-review.txt")], enrolled)
    assert verifier.verify([golden("batch-manual.txt")], enrolled)
    with pytest.raises(verifier.Broken):
        verifier.verify([shorter], enrolled, [golden("receipt-whole.txt")], facts()["ledger_key"])
    with pytest.raises(verifier.Broken):
        verifier.verify([shorter], enrolled, [golden("receipt.txt")], facts()["ledger_key"])


def test_merkle_vectors_hold_for_the_verifier() -> None:
    for vector in facts()["merkle"]:
        leaves = [bytes.fromhex(leaf) for leaf in vector["leaves"]]
        assert verifier.tree_hash(leaves).hex() == vector["root"]


def test_the_verifier_imports_nothing_of_the_package() -> None:
    tree = ast.parse((ROOT / "scripts" / "verify_batches.py").read_text())
    roots = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert roots - set(sys.stdlib_module_names) == {"cryptography"}
