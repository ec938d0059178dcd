"""Write the golden vectors of the sync formats: fixed keys, fixed records, fixed bytes.

Run it only to add a vector. Existing ones never change within v1: they are what other
implementations test against. The keys below are public and sign nothing else.
"""

from __future__ import annotations

import json
import sys
from hashlib import sha256
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent.parent))

from agent.book.ports import Owner, Span  # noqa: E402
from agent.book.revise import booked_emissions, revisions  # noqa: E402
from agent.book.sqlite import SqliteBook  # noqa: E402
from agent.core.activity import ActivityEntry, ActivityKind, Evidence, Origin  # noqa: E402
from agent.core.chain import SigningKey, merkle_root  # noqa: E402
from agent.core.manual import Form, ManualEntry  # noqa: E402
from agent.core.model import (  # noqa: E402
    Emission,
    Endpoint,
    Event,
    FactorRef,
    GasRates,
    Provenance,
    Receipt,
    Severity,
    Window,
)
from agent.core.payload import Link, SealedBatch, seal  # noqa: E402
from agent.core.recalculation import FactorEra, Terms  # noqa: E402
from agent.core.receipt import encode_receipt  # noqa: E402
from agent.core.report.model import Decision, Department, Review  # noqa: E402
from agent.core.report.month import Month  # noqa: E402
from agent.core.report.review_record import SignedReview  # noqa: E402
from agent.store.database import open_store  # noqa: E402

GATEWAY_SEED = sha256(b"tanshu golden gateway").digest()
LEDGER_SEED = sha256(b"tanshu golden ledger").digest()
SITE, GATEWAY = "plant-1", "gw-01"
FORMER_EPOCH = "00112233445566778899aabbccddeeff"
EPOCH = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
RECALCULATION_EPOCH = "2eca2eca2eca2eca2eca2eca2eca2eca"
ACTIVITY_EPOCH = "ac71ac71ac71ac71ac71ac71ac71ac71"
REVIEW_EPOCH = "5e715e715e715e715e715e715e715e71"
MANUAL_EPOCH = "3a173a173a173a173a173a173a173a17"
START_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
LENGTH_MS = 900_000


def window(number: int, value: float | None, revision: int = 0) -> Window:
    return Window(
        stream="gas-f103.volume",
        start_ms=START_MS + number * LENGTH_MS,
        length_ms=LENGTH_MS,
        revision=revision,
        value=value,
        provenance=Provenance.MEASURED if value is not None else Provenance.MISSING,
        method="register",
        coverage=1.0 if value is not None else 0.0,
        lower=value,
        upper=value,
        load=87.25,
    )


def emission(number: int, value: float) -> Emission:
    return Emission(
        source="f103-gas",
        start_ms=START_MS + number * LENGTH_MS,
        length_ms=LENGTH_MS,
        revision=0,
        kgco2=value * 2.1622,
        kgch4=0.0,
        kgn2o=1e-7,
        kgco2e=value * 2.1622,
        lower=None,
        upper=None,
        estimated_share=0.0,
        factor=FactorRef(id="natural-gas", version="cn-2023.1", value=2.1622, unit="kgCO2e/Nm3"),
        inputs=(("gas-f103.volume", 0),),
    )


def batches() -> list[SealedBatch]:
    key = SigningKey.from_seed(GATEWAY_SEED)
    common = {"site": SITE, "gateway": GATEWAY, "epoch": EPOCH, "key": key}
    former = Link(epoch=FORMER_EPOCH, seq=41, hash=sha256(b"batch 41").hexdigest())
    first = seal([window(0, 123.5), emission(0, 123.5)], previous=None, former=former, **common)
    second = seal(
        [
            window(1, 0.1 + 0.2),
            window(2, None),
            Endpoint(
                stream="gas-f103.volume",
                boundary_ms=START_MS + LENGTH_MS,
                time_ms=START_MS + LENGTH_MS - 137,
                register=4_294_967_295.0,
                accumulated=1e16,
            ),
            Event(
                time_ms=START_MS + 1,
                code="counter.reset",
                subject="gas-f103",
                severity=Severity.WARNING,
                detail='裂解炉 F-103: "reset"\n\u2028\U0001f525',
            ),
            emission(1, 0.1 + 0.2),
        ],
        previous=first.link,
        **common,
    )
    third = seal([window(2, 5e-324, revision=1)], previous=second.link, **common)
    return [first, second, third]


def activity_batch() -> SealedBatch:
    """What no meter reads, in a chain of its own: whole, retired, and of a batch alone."""
    shared = {"kind": ActivityKind.RAW_MATERIAL, "unit": "t", "entered_ms": START_MS + 5}
    entries = [
        ActivityEntry(
            stream="activity.raw-material.石脑油.f103",
            item="石脑油",
            amount=0.1 + 0.2,
            start_ms=START_MS,
            end_ms=START_MS + 31 * 86_400_000,
            place="f103",
            carbon_content=0.8571,
            carbon_basis="as-received",
            purity=0.99,
            price_cny=1e6,
            origin=Origin.IMPORT,
            author="王工",
            note='"1 月"\u2028',
            evidence=Evidence(name="weighing.xlsx", sha256=sha256(b"weighing").hexdigest()),
            **shared,
        ),
        ActivityEntry(
            stream="activity.raw-material.石脑油.f103",
            item="石脑油",
            amount=None,
            start_ms=START_MS,
            end_ms=START_MS + 31 * 86_400_000,
            revision=1,
            place="f103",
            **shared,
        ),
        ActivityEntry(
            stream="activity.raw-material.ethylene",
            item="ethylene",
            amount=12.0,
            start_ms=None,
            end_ms=None,
            batch="B-2026/017",
            **shared,
        ),
    ]
    return seal(
        entries,
        site=SITE,
        gateway=GATEWAY,
        epoch=ACTIVITY_EPOCH,
        previous=None,
        key=SigningKey.from_seed(GATEWAY_SEED),
    )


def recalculation_batch() -> SealedBatch:
    """Two windows, their emissions, and what another factor makes of them, as one record."""
    terms = Terms(
        eras=(
            FactorEra(
                until_ms=START_MS + LENGTH_MS,
                factor=FactorRef(
                    id="natural-gas", version="cn-2023.2", value=2.2, unit="kgCO2e/Nm3"
                ),
                gases=GasRates(kgco2=2.2),
            ),
            FactorEra(
                until_ms=None,
                factor=FactorRef(
                    id="natural-gas", version="cn-2026.1", value=2.3, unit="kgCO2e/Nm3"
                ),
                gases=GasRates(kgco2=2.29, kgch4=4e-5, kgn2o=1e-6),
            ),
        ),
        share=1.0,
        uncertainty_activity_pct=2.0,
    )
    windows, emissions = [window(0, 123.5), window(1, 0.3)], [emission(0, 123.5), emission(1, 0.3)]
    key = SigningKey.from_seed(GATEWAY_SEED)
    owner, store = Owner(site=SITE, gateway=GATEWAY), open_store(":memory:")
    with store.transaction() as connection:
        book = SqliteBook(connection)
        book.add_windows(owner, windows)
        book.add_emissions(owner, emissions)
        span = Span(from_ms=START_MS, to_ms=START_MS + 2 * LENGTH_MS)
        source, stream = emissions[0].source, windows[0].stream
        booked = booked_emissions(connection, owner, source, stream, span)
    store.close()
    (revision,) = revisions(source, stream, booked, terms, "0123456789ab")
    return seal(
        [*windows, *emissions, revision.record],
        site=SITE,
        gateway=GATEWAY,
        epoch=RECALCULATION_EPOCH,
        previous=None,
        key=key,
    )


def review_batch() -> SealedBatch:
    """A month returned, then signed, with the figures that were read."""
    figures = (
        '{"month":"2026-01","schema":1,"site":"plant-1","sources":{"f103-gas":{"kgco2e":"0.3"}}}'
    )
    reviews = [
        Review(
            month=Month(2026, 1),
            department=department,
            name="李四",
            decision=decision,
            note=note,
            figures=sha256(figures.encode()).hexdigest(),
            reviewed_ms=START_MS + 32 * 86_400_000 + number,
            settled=settled,
        )
        for number, (department, decision, note, settled) in enumerate(
            [
                (Department.PRODUCTION, Decision.RETURNED, '"F-103"\u2028', ()),
                (Department.PRODUCTION, Decision.ACCEPTED, "", ("completeness.estimated:x",)),
            ]
        )
    ]
    return seal(
        [SignedReview(review=review, figures=figures) for review in reviews],
        site=SITE,
        gateway=GATEWAY,
        epoch=REVIEW_EPOCH,
        previous=None,
        key=SigningKey.from_seed(GATEWAY_SEED),
    )


def manual_batch() -> SealedBatch:
    """What people read: a register after a replacement, its retirement, an amount."""
    register = ManualEntry(
        stream="manual.steam-old",
        time_ms=START_MS + 8 * 3_600_000,
        start_ms=None,
        form=Form.REGISTER,
        value=0.1 + 0.2,
        unit="t",
        old_end=99_999.9,
        new_start=0.0,
        running_h=7.5,
        origin=Origin.MANUAL,
        author="王工",
        note='"换表"\u2028',
        warning="value is +29% off the median of peers per running hour",
        evidence=Evidence(name="meter.jpg", sha256=sha256(b"photo").hexdigest()),
        entered_ms=START_MS + 9 * 3_600_000,
    )
    retired = ManualEntry(
        stream=register.stream,
        time_ms=register.time_ms,
        start_ms=None,
        form=Form.REGISTER,
        value=None,
        unit="t",
        revision=1,
        author="王工",
        entered_ms=START_MS + 10 * 3_600_000,
    )
    amount = ManualEntry(
        stream="manual.diesel",
        time_ms=START_MS + 8 * 3_600_000,
        start_ms=START_MS,
        form=Form.AMOUNT,
        value=1.0,
        unit="t",
        origin=Origin.IMPORT,
        author="Li",
        entered_ms=START_MS + 9 * 3_600_000,
    )
    return seal(
        [register, retired, amount],
        site=SITE,
        gateway=GATEWAY,
        epoch=MANUAL_EPOCH,
        previous=None,
        key=SigningKey.from_seed(GATEWAY_SEED),
    )


def files() -> dict[str, bytes]:
    """Name and bytes of every golden file."""
    gateway, ledger = SigningKey.from_seed(GATEWAY_SEED), SigningKey.from_seed(LEDGER_SEED)
    sealed = batches()
    receipt = Receipt(
        site=SITE,
        gateway=GATEWAY,
        epoch=EPOCH,
        through=1,
        hash=sealed[0].link.hash,
        held=((3, 3),),
    )
    none_yet = Receipt(site=SITE, gateway=GATEWAY, epoch=EPOCH, through=0, hash="", held=((2, 3),))
    whole = Receipt(site=SITE, gateway=GATEWAY, epoch=EPOCH, through=3, hash=sealed[2].link.hash)
    leaves = [b"", b"\x00", b"\x10", b" !", b"01", b"@ABC", b"PQRSTUVW", b"`abcdefghijklmno"]
    facts = {
        "gateway_key": gateway.public.text,
        "gateway_key_id": gateway.public.id,
        "ledger_key": ledger.public.text,
        "ledger_key_id": ledger.public.id,
        "batch_hashes": [batch.link.hash for batch in sealed],
        "merkle": [
            {
                "leaves": [leaf.hex() for leaf in leaves[:size]],
                "root": merkle_root(leaves[:size]).hex(),
            }
            for size in range(len(leaves) + 1)
        ],
    }
    made = {f"batch-{batch.link.seq}.txt": batch.data for batch in sealed}
    made["batch-activity.txt"] = activity_batch().data
    made["batch-recalculation.txt"] = recalculation_batch().data
    made["batch-review.txt"] = review_batch().data
    made["batch-manual.txt"] = manual_batch().data
    made["chain.batches"] = b"".join(batch.data for batch in sealed)
    for name, value in (("receipt", receipt), ("receipt-none", none_yet), ("receipt-whole", whole)):
        made[f"{name}.txt"] = encode_receipt(value, time_ms=START_MS + 3_000_000, key=ledger)
    made["keys.json"] = (
        json.dumps([{"site": SITE, "gateway": GATEWAY, "key": gateway.public.text}], indent=2)
        + "\n"
    ).encode()
    made["facts.json"] = (json.dumps(facts, indent=2) + "\n").encode()
    return made


if __name__ == "__main__":
    for name, data in files().items():
        (FOLDER / name).write_bytes(data)
